//! Parses `/proc/PID/stat`; proc_pid_stat(5). Pure.

use crate::base::comm::Comm;
use crate::base::text::{parse_number, pieces};
use crate::base::time::{Instant, TICK};
use rustix::process::Pid;

/// The flag of a kernel thread: `PF_KTHREAD` in the kernel's sched.h.
pub(super) const KERNEL_THREAD: u64 = 0x0020_0000;

/// A process at the time it was read. The pair of id and start time is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Process {
    /// Its id in the namespace that `/proc` shows.
    pub pid: Pid,
    /// Its parent's id; `None` if the parent is outside the namespace.
    pub parent: Option<Pid>,
    /// Its name.
    pub comm: Comm,
    /// When it started, rounded down to a clock tick.
    pub start: Instant,
    /// True unless it is a kernel thread or a zombie. One whose first thread alone has ended is none.
    pub is_alive: bool,
}

/// Parses a `stat` line, except for the id. The name stands in parentheses and may contain parentheses itself.
pub fn parse_stat(pid: Pid, stat: &[u8]) -> Option<Process> {
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let mut process = Process {
        pid,
        parent: None,
        comm: Comm::new(stat.get(open + 1..close)?),
        start: Instant::NEVER,
        is_alive: true,
    };
    let mut is_zombie = false;
    // Fields are numbered as in the manual; what follows the name begins with the blank before field 3.
    for (number, field) in (2..).zip(pieces(stat.get(close + 1..)?, b' ')) {
        match number {
            3 => is_zombie = !is_alive(field),
            4 => process.parent = parse_pid(field),
            9 => process.is_alive = parse_number(field, 10)? & KERNEL_THREAD == 0,
            // The first thread may end before the others.
            20 => process.is_alive &= !is_zombie || parse_number(field, 10)? > 1,
            22 => {
                let nanoseconds = parse_number(field, 10)?.checked_mul(TICK.0 * 1_000_000)?;
                process.start = Instant::from_nanoseconds(nanoseconds);
                return Some(process);
            }
            _ => {}
        }
    }
    None
}

/// Returns false for the states of a zombie and of a dead process.
pub(super) fn is_alive(state: &[u8]) -> bool {
    !matches!(state.first(), Some(b'Z' | b'X' | b'x'))
}

/// Parses a process id: a positive decimal number without a sign.
pub(super) fn parse_pid(digits: &[u8]) -> Option<Pid> {
    Pid::from_raw(i32::try_from(parse_number(digits, 10)?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::fixture::stat_line;
    use std::vec::Vec;

    fn parse(stat: &[u8]) -> Option<Process> {
        parse_stat(Pid::from_raw(42).unwrap(), stat)
    }

    fn named(comm: &[u8]) -> Vec<u8> {
        stat_line("42", comm, "S", "7", "4194304", "1", "5678")
    }

    #[test]
    fn a_stat_line_of_the_kernel_is_parsed() {
        let line = b"6483 (cat) R 6479 6479 11417 0 -1 4194304 101 0 0 0 0 0 0 0 20 0 1 0 574752 3133440 418 18446744073709551615 \
            94727769260032 94727769279913 140735936138416 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 94727769295920 94727769297536 \
            94727991242752 140735936146138 140735936146158 140735936146158 140735936146435 0\n";
        let expected = Process {
            pid: Pid::from_raw(42).unwrap(),
            parent: Pid::from_raw(6479),
            comm: Comm::new(b"cat"),
            start: Instant::from_nanoseconds(5_747_520_000_000),
            is_alive: true,
        };
        assert_eq!(parse(line), Some(expected));
    }

    #[test]
    fn a_name_may_hold_any_bytes_and_shifts_no_field() {
        let hostile: [&[u8]; 13] = [
            b"",
            b" ",
            b"a b",
            b")",
            b"(",
            b"()",
            b") S 1 (",
            b"a) R 1 1 1 1",
            b"line\nfeed",
            b"\xff\xfe\x80",
            b"\t\x1b[31m",
            b"123456789012345",
            // The kernel's own workers have long names, which are cut.
            &[b'k'; 64],
        ];
        for comm in hostile {
            let expected = Process {
                pid: Pid::from_raw(42).unwrap(),
                parent: Pid::from_raw(7),
                comm: Comm::new(comm),
                start: Instant::from_nanoseconds(56_780_000_000),
                is_alive: true,
            };
            assert_eq!(parse(&named(comm)), Some(expected), "{comm:?}");
        }
    }

    #[test]
    fn a_truncated_stat_line_is_no_process() {
        let line = named(b"x) S (y");
        let start = line.windows(4).position(|digits| digits == b"5678");
        for length in 0..start.unwrap() {
            assert_eq!(parse(&line[..length]), None, "{length} bytes");
        }
        assert_eq!(parse(b")("), None);
    }

    #[test]
    fn a_stat_line_with_a_bad_number_is_no_process() {
        for (flags, start) in [
            ("-1", "1"),
            ("18446744073709551616", "1"),
            ("1", "-1"),
            ("1", "18446744073709551616"),
            // In nanoseconds it does not fit.
            ("1", "1844674407371"),
        ] {
            let line = stat_line("42", b"x", "S", "1", flags, "1", start);
            assert_eq!(parse(&line), None, "{flags} {start}");
        }
    }

    #[test]
    fn a_parent_outside_the_namespace_is_none() {
        for parent in ["0", "-1", "2147483648"] {
            let process = parse(&stat_line("1", b"x", "S", parent, "0", "1", "1")).unwrap();
            assert_eq!(process.parent, None, "{parent}");
        }
    }

    #[test]
    fn p2_zombies_and_kernel_threads_are_not_alive() {
        for (state, flags, is_alive) in [
            ("S", "0", true),
            ("R", "4194560", true),
            ("D", "0", true),
            ("T", "0", true),
            ("t", "0", true),
            ("I", "0", true),
            ("Z", "0", false),
            ("X", "0", false),
            ("x", "0", false),
            ("S", "2097152", false),
            ("I", "69238880", false),
        ] {
            let process = parse(&stat_line("2", b"kthreadd", state, "0", flags, "1", "1")).unwrap();
            assert_eq!(process.is_alive, is_alive, "{state} {flags}");
        }
    }

    #[test]
    fn p2_a_process_whose_first_thread_alone_has_ended_is_alive() {
        for (threads, is_alive) in [("1", false), ("2", true), ("40", true)] {
            let process = parse(&stat_line("2", b"x", "Z", "1", "0", threads, "1")).unwrap();
            assert_eq!(process.is_alive, is_alive, "{threads}");
        }
    }
}
