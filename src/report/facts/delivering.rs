//! Changes, and the signals that tell of them.

use super::Subject;
use crate::base::encode::Name;
use crate::base::signal::Signal;
use crate::base::time::Millis;
use crate::report::Fact;
use crate::report::line::{Level, Line};
use crate::report::metrics::Metrics;
use core::fmt::{self, Display, Write};
use rustix::io::Errno;

/// What is wrong where no other container's process can be seen.
pub const NOT_SHARED: &str = "other containers' processes cannot be seen from here; set shareProcessNamespace: true in the Pod";
/// What is wrong where only the sidecar's own processes can be seen.
pub const HIDDEN: &str = "/proc hides the processes of other users (hidepid)";
/// What is wrong with a process file.
pub const NO_PID_FILE: &str =
    "PROCESS_PID_FILE has no process id in its first line, or cannot be read";
/// What to do where the process is another user's.
pub const NOT_PERMITTED: &str =
    "run the sidecar with the process's uid (runAsUser), or as uid 0 with the capability KILL";

/// The settings by which the process is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted<'f> {
    /// `PROCESS_NAME`.
    pub names: Option<&'f [u8]>,
    /// `PROCESS_CMDLINE`.
    pub cmdline: Option<&'f [u8]>,
    /// `PROCESS_PID_FILE`.
    pub pid_file: Option<&'f [u8]>,
}

impl Wanted<'_> {
    /// Adds those that are set as keys.
    pub fn add_to(&self, line: &mut Line) {
        for (key, value) in [
            ("process_name", self.names),
            ("process_cmdline", self.cmdline),
            ("process_pid_file", self.pid_file),
        ] {
            if let Some(value) = value {
                line.key(key, value);
            }
        }
    }
}

/// Why a reload cannot be delivered now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Obstacle<'f> {
    /// No process matches; what may be wrong, if that is known.
    NoProcess(Option<&'static str>, Wanted<'f>),
    /// The process file names none.
    NoPidFile(Wanted<'f>),
    /// The signal is refused with EPERM.
    NotPermitted {
        /// The sidecar's effective user id.
        own_uid: u32,
        /// The process, and its effective user id.
        target: Option<(Subject, u32)>,
    },
    /// The process is too young.
    TooYoung(Option<Subject>),
    /// The signal would end or stop the process.
    Guarded(Signal, Option<Subject>),
    /// The process ignores the signal.
    Ignored(Signal, Option<Subject>),
    /// The signal is refused with another error.
    Refused(Errno, Subject),
    /// `/proc` cannot be read.
    NoProc(Errno),
}

impl Obstacle<'_> {
    /// Writes the reason, then adds its keys.
    pub fn describe(&self, line: &mut Line) -> fmt::Result {
        self.reason(line)?;
        let subject = match *self {
            Self::NoProcess(_, wanted) | Self::NoPidFile(wanted) => {
                wanted.add_to(line);
                None
            }
            Self::Guarded(signal, subject) | Self::Ignored(signal, subject) => {
                line.signal(signal);
                subject
            }
            Self::NotPermitted { target, .. } => target.map(|(subject, _)| subject),
            Self::TooYoung(subject) => subject,
            Self::Refused(_, subject) => Some(subject),
            Self::NoProc(_) => None,
        };
        if let Some(subject) = subject {
            line.subject(subject);
        }
        Ok(())
    }

    fn reason(&self, line: &mut Line) -> fmt::Result {
        match *self {
            Self::NoProcess(None, _) => line.write_str("no process matches"),
            Self::NoProcess(Some(hint), _) => write!(line, "no process matches; {hint}"),
            Self::NoPidFile(_) => line.write_str(NO_PID_FILE),
            Self::NotPermitted {
                own_uid,
                target: Some((_, uid)),
            } => write!(
                line,
                "EPERM: this runs as uid {own_uid}, the process as uid {uid}; {NOT_PERMITTED}"
            ),
            Self::NotPermitted { own_uid, .. } => {
                write!(line, "EPERM: this runs as uid {own_uid}; {NOT_PERMITTED}")
            }
            Self::TooYoung(_) => line.write_str(
                "the process is younger than PROCESS_MIN_AGE, or was not ready until just now",
            ),
            Self::Guarded(signal, _) => write!(
                line,
                "{signal} would end or stop the process, which has no handler for it yet; will send it once it has"
            ),
            Self::Ignored(..) => {
                line.write_str("the process ignores the signal, perhaps until it is ready")
            }
            Self::Refused(errno, _) => {
                write!(line, "the kernel refuses the signal: {}", Name(errno))
            }
            Self::NoProc(errno) => write!(line, "cannot read /proc: {}", Name(errno)),
        }
    }
}

/// What happens between a change and its signal.
#[derive(Clone, Copy)]
pub enum Delivering<'f> {
    /// The content differs from what was last seen.
    Changed {
        /// The names of what changed, separated by commas.
        names: &'f [u8],
        /// The fingerprint before.
        before: &'f dyn Display,
        /// The fingerprint after.
        after: &'f dyn Display,
    },
    /// Events came, and the content is the same.
    Unchanged,
    /// The content went back to what was delivered before a signal was sent.
    Reverted,
    /// Every matching process started after the change.
    NotNeeded,
    /// A process started after the change.
    StartedAfter(Subject),
    /// A process ignores the signal that is being sent.
    SentIgnored(Signal, Subject),
    /// A signal was sent.
    Sent {
        /// Which.
        signal: Signal,
        /// To whom.
        subject: Subject,
        /// How long after the change began.
        after: Millis,
    },
    /// Every process that needed a signal has got it.
    Delivered {
        /// Seconds since the epoch.
        at: u64,
    },
    /// A process from before the newest change on disk was signalled at the start.
    CaughtUp,
    /// A reload waits.
    Pending(Obstacle<'f>),
    /// A reload that had to wait was delivered.
    Arrived(Millis),
    /// `signal` could not signal anybody.
    NotSignalled(Obstacle<'f>),
}

impl Fact for Delivering<'_> {
    fn level(&self) -> Option<Level> {
        match self {
            Self::Delivered { .. } => None,
            Self::Unchanged | Self::StartedAfter(_) => Some(Level::Debug),
            Self::Changed { .. }
            | Self::Reverted
            | Self::NotNeeded
            | Self::Sent { .. }
            | Self::CaughtUp
            | Self::Arrived(_) => Some(Level::Info),
            Self::SentIgnored(..) | Self::Pending(_) => Some(Level::Warn),
            Self::NotSignalled(_) => Some(Level::Error),
        }
    }

    fn describe(&self, line: &mut Line) -> fmt::Result {
        match *self {
            Self::Changed {
                names,
                before,
                after,
            } => {
                line.write_str("content changed")?;
                line.key("names", names)
                    .key_display("before", before)
                    .key_display("after", after);
            }
            Self::Unchanged => line.write_str("the content is the same, no signal")?,
            Self::Reverted => {
                line.write_str("the content is again what it was; the pending reload is cancelled")?
            }
            Self::NotNeeded => {
                line.write_str("no signal needed: the process started after the change")?;
            }
            Self::StartedAfter(subject) => {
                line.write_str("started after the change, needs no signal")?;
                line.subject(subject);
            }
            Self::SentIgnored(signal, subject) => {
                line.write_str(
                    "the process ignores the signal; sending it, but nothing will happen",
                )?;
                line.signal(signal).subject(subject);
            }
            Self::Sent {
                signal,
                subject,
                after,
            } => {
                line.write_str("signal sent")?;
                line.signal(signal).subject(subject).after(after);
            }
            Self::CaughtUp => line.write_str(
                "signalled at startup: the process started before the configuration last changed",
            )?,
            Self::Pending(obstacle) => {
                line.write_str("reload pending: ")?;
                obstacle.describe(line)?;
            }
            Self::Arrived(after) => {
                line.write_str("the pending reload is delivered")?;
                line.after(after);
            }
            Self::NotSignalled(obstacle) => obstacle.describe(line)?,
            Self::Delivered { .. } => {}
        }
        Ok(())
    }

    fn count(&self, metrics: &mut Metrics) {
        match *self {
            Self::Changed { .. } => metrics.changes_total += 1,
            Self::Sent { .. } => metrics.signals_total += 1,
            Self::Reverted | Self::NotNeeded => metrics.last_reload_successful = true,
            Self::Delivered { at } => {
                metrics.reloads_total += 1;
                metrics.last_reload_successful = true;
                metrics.last_reload_success_timestamp_seconds = at;
            }
            Self::Pending(Obstacle::Guarded(..)) => metrics.guard_waits_total += 1,
            // What passes by itself is no failure.
            Self::Pending(Obstacle::TooYoung(_) | Obstacle::Ignored(..)) => {}
            Self::Pending(_) => {
                metrics.reloads_total += 1;
                metrics.reloads_failed_total += 1;
                metrics.last_reload_successful = false;
            }
            Self::Unchanged
            | Self::StartedAfter(_)
            | Self::SentIgnored(..)
            | Self::CaughtUp
            | Self::Arrived(_)
            | Self::NotSignalled(_) => {}
        }
    }
}
