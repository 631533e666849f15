//! The guard: a signal whose arrival would end or stop the process is held back.

use crate::base::signal::{DefaultAction, Signal};
use crate::base::words::Words;
use crate::process::{Proc, Status};
use crate::words;
use rustix::process::Pid;

/// What would come of sending the signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The process is prepared, or means to be ended.
    Send,
    /// The process ignores it: harmless, and useless.
    SendIgnored,
    /// It would end or stop the process.
    Hold,
}

/// Decides from a process's status; `blocked_in_a_thread` is asked only where that decides. Pure but for that question.
pub fn verdict(
    signal: Signal,
    status: &Status,
    blocked_in_a_thread: impl FnOnce(u64) -> bool,
) -> Verdict {
    let mask = signal.mask();
    let is_harmless = matches!(
        signal.default_action(),
        DefaultAction::Ignore | DefaultAction::Continue
    );
    if status.ignored & mask != 0 {
        Verdict::SendIgnored
    } else if is_meant_to_end(signal)
        || is_harmless
        || (status.caught | status.blocked) & mask != 0
        || blocked_in_a_thread(mask)
    {
        Verdict::Send
    } else {
        Verdict::Hold
    }
}

/// Whether whoever configures this signal wants the process to end or stop.
pub fn is_meant_to_end(signal: Signal) -> bool {
    [
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGKILL,
        libc::SIGABRT,
        libc::SIGSTOP,
    ]
    .contains(&signal.number().into())
}

/// What becomes of the signal in the process, in a word.
pub fn disposition(signal: Signal, status: &Status) -> Words {
    let mask = signal.mask();
    if status.ignored & mask != 0 {
        words!("ignored")
    } else if status.caught & mask != 0 {
        words!("caught")
    } else if status.blocked & mask != 0 {
        words!("blocked")
    } else {
        words!("default")
    }
}

/// Decides about a process whose status was read just now.
pub fn guard(pid: Pid, signal: Signal, status: &Status, proc: &Proc) -> Verdict {
    verdict(signal, status, |mask| {
        proc.is_blocked_in_a_thread(pid, mask)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(signal: &str, status: Status, blocked_in_a_thread: bool) -> Verdict {
        verdict(Signal::parse(signal.as_bytes()).unwrap(), &status, |_| {
            blocked_in_a_thread
        })
    }

    fn all(field: fn(&mut Status) -> &mut u64) -> Status {
        let mut status = Status::default();
        *field(&mut status) = u64::MAX;
        status
    }

    #[test]
    fn an_unprepared_process_is_spared_a_signal_that_would_end_or_stop_it() {
        for signal in ["HUP", "USR1", "USR2", "SEGV", "TSTP", "RTMIN+3"] {
            assert_eq!(
                judged(signal, Status::default(), false),
                Verdict::Hold,
                "{signal}"
            );
        }
    }

    #[test]
    fn a_prepared_process_gets_the_signal() {
        for signal in ["HUP", "USR1", "TSTP", "RTMAX"] {
            assert_eq!(
                judged(signal, all(|status| &mut status.caught), false),
                Verdict::Send,
                "{signal} caught"
            );
            assert_eq!(
                judged(signal, all(|status| &mut status.blocked), false),
                Verdict::Send,
                "{signal} blocked"
            );
            assert_eq!(
                judged(signal, Status::default(), true),
                Verdict::Send,
                "{signal} blocked in a thread"
            );
            assert_eq!(
                judged(signal, all(|status| &mut status.ignored), false),
                Verdict::SendIgnored,
                "{signal} ignored"
            );
        }
    }

    #[test]
    fn the_signals_that_are_meant_to_end_or_stop_are_sent() {
        for signal in ["TERM", "INT", "QUIT", "KILL", "ABRT", "STOP"] {
            assert_eq!(
                judged(signal, Status::default(), false),
                Verdict::Send,
                "{signal}"
            );
        }
    }

    #[test]
    fn signals_that_do_nothing_by_default_are_sent() {
        for signal in ["CHLD", "URG", "WINCH", "CONT"] {
            assert_eq!(
                judged(signal, Status::default(), false),
                Verdict::Send,
                "{signal}"
            );
        }
    }

    #[test]
    fn only_the_signal_in_question_counts() {
        let hup = Status {
            caught: 1,
            ..Status::default()
        };
        assert_eq!(judged("HUP", hup, false), Verdict::Send);
        assert_eq!(judged("INT", hup, false), Verdict::Send);
        assert_eq!(judged("USR1", hup, false), Verdict::Hold);
        let rtmax = Status {
            caught: 1 << 63,
            ..Status::default()
        };
        assert_eq!(judged("RTMAX", rtmax, false), Verdict::Send);
        assert_eq!(judged("RTMAX-1", rtmax, false), Verdict::Hold);
    }
}
