//! What stands in the files of `/proc`, and in process files; proc(5). Pure.

pub(super) use crate::base::comm::COMM_MAX;
pub use crate::base::comm::Comm;
use crate::base::text::{parse_number, piece, pieces, place};
use crate::base::time::{Instant, TICK};
use crate::report::old_log::Log;
use rustix::process::Pid;

/// A kernel thread; `PF_KTHREAD` in the kernel's sched.h.
pub(super) const KERNEL_THREAD: u64 = 0x0020_0000;
/// One process as it was when it was read. Id and start time together are never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Process {
    /// Its id in the namespace that `/proc` shows.
    pub pid: Pid,
    /// Its parent's id; `None` where that is outside the namespace.
    pub parent: Option<Pid>,
    /// Its name.
    pub comm: Comm,
    /// When it was started, cut to a clock tick.
    pub start: Instant,
    /// Neither a zombie nor a kernel thread.
    pub is_alive: bool,
}

impl Process {
    /// Adds it to a log line.
    pub fn name_in<'l>(&self, line: &'l mut Log) -> &'l mut Log {
        line.key_number("pid", self.pid.as_raw_nonzero().get() as u64)
            .key("process", self.comm.as_bytes())
    }
}

/// Parses `/proc/PID/stat`, but for the id. The name is in parentheses and may hold parentheses itself.
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
    // Numbered as in proc(5); the third comes after the name and a blank.
    for (at, field) in (2..).zip(pieces(stat.get(close + 1..)?, b' ')) {
        match at {
            3 => process.is_alive = is_alive(field),
            4 => process.parent = self::pid(field),
            9 => process.is_alive &= number(field)? & KERNEL_THREAD == 0,
            22 => {
                let nanoseconds = number(field)?.checked_mul(TICK.0 * 1_000_000)?;
                process.start = Instant::from_nanoseconds(nanoseconds);
                return Some(process);
            }
            _ => {}
        }
    }
    None
}

/// Whether a process in this state is neither a zombie nor less.
fn is_alive(state: &[u8]) -> bool {
    !matches!(state.first(), Some(b'Z' | b'X' | b'x'))
}

pub(super) fn number(digits: &[u8]) -> Option<u64> {
    parse_number(digits, 10)
}

pub(super) fn pid(digits: &[u8]) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number(digits)?).ok()?)
}

/// The name in a first argument: its last path component; where a title was set, `nginx: master process`, what is before the
/// colon.
pub(super) fn argument_name(argument: &[u8]) -> &[u8] {
    let mut start = 0;
    let mut rest = argument;
    while let [byte, after @ ..] = rest {
        let at = argument.len() - rest.len();
        if *byte == b':' && matches!(after, [] | [b' ', ..]) {
            return argument.get(start..at).unwrap_or_default();
        }
        if *byte == b'/' {
            start = at + 1;
        }
        rest = after;
    }
    argument.get(start..).unwrap_or_default()
}

/// Whether a process goes by `name`. A name longer than the kernel keeps must begin like `comm` and stand as a whole in one of
/// the first three arguments: of a script that was run directly, interpreter and option come before it.
pub(super) fn goes_by(name: &[u8], comm: &[u8], cmdline: &[u8]) -> bool {
    let kept = name.get(..COMM_MAX).unwrap_or(name);
    let is_long = name.len() > COMM_MAX;
    if (comm == kept) != is_long {
        return !is_long;
    }
    let mut arguments = pieces(cmdline, 0);
    for _ in 0..if is_long { 3 } else { 1 } {
        if arguments.next().is_some_and(|it| argument_name(it) == name) {
            return true;
        }
    }
    false
}

/// What a process has set up for signals, and who it is: from `/proc/PID/status`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// Its name; line feeds and backslashes in it are escaped.
    pub comm: Comm,
    /// A zombie, or less.
    pub is_dead: bool,
    /// Effective user id.
    pub uid: u32,
    /// Signals that the thread blocks, as a bit mask with signal 1 lowest; so are those below.
    pub blocked: u64,
    /// Signals that the process ignores.
    pub ignored: u64,
    /// Signals that the process has a handler for.
    pub caught: u64,
}

impl Status {
    /// Takes in one line of the file. Whether it is the last one that counts.
    pub(super) fn take(&mut self, line: &[u8]) -> bool {
        // Most lines are others, and an application waits while they are read.
        if !matches!(line, [b'N' | b'S' | b'U', ..]) {
            return false;
        }
        const NAME: &[u8] = b"Name:\t";
        let part = |at| piece(line, b'\t', at);
        let value = part(1);
        let at = place(part(0), b"Name:|State:|Uid:|SigBlk:|SigIgn:|SigCgt:");
        let mask = match at {
            0 => {
                // A name may have a tab in it.
                self.comm = Comm::new(line.get(NAME.len()..).unwrap_or_default());
                return false;
            }
            1 => {
                self.is_dead = !is_alive(value);
                return false;
            }
            2 => {
                // Real, effective, saved, of the file system.
                self.uid = number(part(2)).unwrap_or(0) as u32;
                return false;
            }
            3 => &mut self.blocked,
            4 => &mut self.ignored,
            5 => &mut self.caught,
            _ => return false,
        };
        *mask = parse_number(value, 16).unwrap_or(0);
        at == 5
    }
}
