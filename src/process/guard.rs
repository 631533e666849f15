//! Decides whether a process survives a signal.

use super::procfs::Proc;
use super::status::Status;
use super::threads::Awaited;
use crate::base::signal::{DefaultAction, Signal};
use rustix::process::Pid;

/// The decision about a signal for a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Send it: the process is prepared for it, or is meant to end.
    Send,
    /// Send it, but it will have no effect: the process ignores it.
    SendIgnored,
    /// Send it, although the kernel does not show what the process does with it.
    SendUnknown,
    /// Hold it back: it would end or stop the process.
    Hold,
    /// Hold it back: it would end or stop the process, unless that waits for it, which cannot be seen.
    HoldUnseen,
}

/// The disposition of a signal in a process; signal(7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// It discards the signal.
    Ignored,
    /// It has a handler.
    Caught,
    /// Its first thread blocks the signal.
    Blocked,
    /// The signal's default action happens.
    Default,
    /// The kernel does not show it.
    Unknown,
}

impl Disposition {
    /// Returns the word for it that `check` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ignored => "ignored",
            Self::Caught => "caught",
            Self::Blocked => "blocked",
            Self::Default => "default",
            Self::Unknown => "unknown",
        }
    }
}

impl Status {
    /// Returns what the process does with a signal.
    pub const fn disposition(&self, signal: Signal) -> Disposition {
        let mask = signal.mask();
        if !self.shows_signals {
            Disposition::Unknown
        } else if self.ignored & mask != 0 {
            Disposition::Ignored
        } else if self.caught & mask != 0 {
            Disposition::Caught
        } else if self.blocked & mask != 0 {
            Disposition::Blocked
        } else {
            Disposition::Default
        }
    }
}

/// Decides about a process whose status has just been read.
pub fn guard(pid: Pid, signal: Signal, status: &Status, proc: &Proc) -> Verdict {
    verdict(signal, status, || proc.awaits(pid, signal))
}

/// Decides from a status. Asks `awaited`, which is expensive, only if the answer depends on it.
fn verdict(signal: Signal, status: &Status, awaited: impl FnOnce() -> Awaited) -> Verdict {
    let is_harmless = matches!(
        signal.default_action(),
        DefaultAction::Ignore | DefaultAction::Continue
    );
    match status.disposition(signal) {
        Disposition::Ignored => Verdict::SendIgnored,
        Disposition::Caught => Verdict::Send,
        _ if signal.is_meant_to_end() || is_harmless => Verdict::Send,
        Disposition::Unknown => Verdict::SendUnknown,
        // The first thread alone may block it.
        Disposition::Blocked | Disposition::Default => match awaited() {
            Awaited::Yes => Verdict::Send,
            Awaited::No => Verdict::Hold,
            Awaited::Unseen => Verdict::HoldUnseen,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default() -> Status {
        Status {
            shows_signals: true,
            ..Status::default()
        }
    }

    fn decide(signal: &str, status: Status, awaited: Awaited) -> Verdict {
        let signal = Signal::parse(signal.as_bytes()).unwrap();
        verdict(signal, &status, || awaited)
    }

    fn all(field: fn(&mut Status) -> &mut u64) -> Status {
        let mut status = default();
        *field(&mut status) = u64::MAX;
        status
    }

    #[test]
    fn p4_a_signal_that_would_end_or_stop_the_process_is_held() {
        for signal in ["HUP", "USR1", "USR2", "SEGV", "TSTP", "RTMIN+3"] {
            for (awaited, expected) in [
                (Awaited::Yes, Verdict::Send),
                (Awaited::No, Verdict::Hold),
                (Awaited::Unseen, Verdict::HoldUnseen),
            ] {
                assert_eq!(decide(signal, default(), awaited), expected, "{signal}");
            }
        }
    }

    #[test]
    fn p4_a_prepared_process_gets_the_signal() {
        for signal in ["HUP", "USR1", "TSTP", "RTMAX"] {
            for (status, expected) in [
                (all(|status| &mut status.caught), Verdict::Send),
                (all(|status| &mut status.ignored), Verdict::SendIgnored),
                (Status::default(), Verdict::SendUnknown),
            ] {
                let verdict = decide(signal, status, Awaited::No);
                assert_eq!(verdict, expected, "{signal} {status:?}");
            }
        }
    }

    #[test]
    fn p4_signals_meant_to_end_and_harmless_ones_are_sent_to_anyone() {
        for signal in [
            "TERM", "INT", "QUIT", "KILL", "ABRT", "STOP", "CHLD", "URG", "WINCH", "CONT",
        ] {
            let verdict = decide(signal, default(), Awaited::No);
            assert_eq!(verdict, decide(signal, Status::default(), Awaited::No));
            assert_eq!(verdict, Verdict::Send, "{signal}");
        }
    }

    #[test]
    fn p4_a_handler_for_another_signal_does_not_count() {
        for (caught, signal, expected) in [
            (1, "HUP", Verdict::Send),
            (1, "USR1", Verdict::Hold),
            (1 << 63, "RTMAX", Verdict::Send),
            (1 << 63, "RTMAX-1", Verdict::Hold),
        ] {
            let status = Status {
                caught,
                ..default()
            };
            assert_eq!(decide(signal, status, Awaited::No), expected, "{signal}");
        }
    }
}
