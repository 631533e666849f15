//! Why a signal cannot be delivered now.

use super::Subject;
use crate::base::encode::Name;
use crate::base::signal::Signal;
use crate::report::line::Line;
use core::fmt::{self, Write};
use rustix::io::Errno;

/// The hint if no other container's process is visible.
pub const NOT_SHARED: &str = "other containers' processes cannot be seen from here; set shareProcessNamespace: true in the Pod";
/// The hint if only the sidecar's own processes are visible.
pub const HIDDEN: &str = "/proc hides the processes of other users (hidepid)";
/// The problem of a process file.
pub const NO_PID_FILE: &str =
    "PROCESS_PID_FILE has no process id in its first line, or cannot be read";
/// The problem of a process file that is out of date.
pub const STRANGER: &str =
    "PROCESS_PID_FILE is older than the process with this id, which is therefore another one";
/// The hint if the process belongs to another user.
pub const NOT_PERMITTED: &str =
    "run the sidecar with the process's uid (runAsUser), or as uid 0 with the capability KILL";
/// The hint if a security module refuses the signal.
pub const FORBIDDEN: &str =
    "; permit it in the AppArmor profiles or the SELinux policy of both containers";
/// The hint if it cannot be seen whether the process waits for the signal.
pub const SIGWAIT: &str =
    " (if it waits in sigwait, which cannot be seen from here, set RELOAD_GUARD=false)";

/// The settings that say which process to signal.
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
    /// Adds the ones that are set as keys.
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

/// Why a signal cannot be delivered now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// No process matches.
    NoProcess {
        /// The probable cause, if there is one.
        hint: Option<&'static str>,
    },
    /// The process file cannot be read or does not begin with a process id.
    NoPidFile,
    /// The process file names a process that is not meant.
    Stranger(Subject),
    /// `/proc` cannot be read.
    NoProc(Errno),
    /// The kernel refused the signal with EPERM.
    NotPermitted {
        /// The sidecar's effective user id.
        own_uid: u32,
        /// The process's effective user id, if its status could be read.
        uid: Option<u32>,
        /// The process.
        subject: Subject,
    },
    /// The process is younger than `PROCESS_MIN_AGE`, or became ready less than that ago.
    TooYoung(Subject),
    /// The signal would end or stop the process.
    Guarded {
        /// The signal.
        signal: Signal,
        /// The process.
        subject: Subject,
        /// [`SIGWAIT`] if the process may be waiting for the signal, or else empty.
        hint: &'static str,
    },
    /// The process ignores the signal and may still be starting.
    Ignored(Signal, Subject),
    /// The kernel refused the signal with another error.
    Refused(Errno, Subject),
}

impl Obstacle {
    /// Returns true if the process is not prepared for the signal yet.
    pub const fn is_unprepared(&self) -> bool {
        matches!(self, Self::Guarded { .. } | Self::Ignored(..))
    }

    /// Writes the reason, then adds its keys.
    pub fn describe(&self, wanted: &Wanted<'_>, line: &mut Line) -> fmt::Result {
        self.write_reason(line)?;
        match *self {
            Self::NoProcess { .. } | Self::NoPidFile => wanted.add_to(line),
            Self::NoProc(_) => {}
            Self::Guarded {
                signal, subject, ..
            }
            | Self::Ignored(signal, subject) => {
                line.signal(signal).subject(subject);
            }
            Self::NotPermitted { subject, .. }
            | Self::Stranger(subject)
            | Self::TooYoung(subject)
            | Self::Refused(_, subject) => {
                line.subject(subject);
            }
        }
        Ok(())
    }

    fn write_reason(&self, line: &mut Line) -> fmt::Result {
        match *self {
            Self::NoProcess { hint: None } => line.write_str("no process matches"),
            Self::NoProcess { hint: Some(hint) } => write!(line, "no process matches; {hint}"),
            Self::NoPidFile => line.write_str(NO_PID_FILE),
            Self::Stranger(_) => line.write_str(STRANGER),
            Self::NoProc(errno) => write!(line, "cannot read /proc: {}", Name(errno)),
            Self::NotPermitted { own_uid, uid, .. } => {
                write!(line, "EPERM: the sidecar runs as uid {own_uid}")?;
                if let Some(uid) = uid {
                    write!(line, ", the process as uid {uid}")?;
                }
                write!(line, "; {NOT_PERMITTED}")
            }
            Self::TooYoung(_) => line.write_str(
                "the process is younger than PROCESS_MIN_AGE, or was not ready until just now",
            ),
            Self::Guarded { signal, hint, .. } => write!(
                line,
                "{signal} would end or stop the process, which has no handler for it yet{hint}"
            ),
            Self::Ignored(..) => {
                line.write_str("the process ignores the signal, perhaps until it is ready")
            }
            Self::Refused(errno, _) => {
                write!(line, "the kernel refuses the signal: {}", Name(errno))?;
                match errno {
                    Errno::ACCESS => line.write_str(FORBIDDEN),
                    _ => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::comm::Comm;
    use rustix::process::Pid;
    use std::string::String;

    fn text(obstacle: Obstacle) -> String {
        let mut line = Line::plain();
        obstacle
            .describe(
                &Wanted {
                    names: Some(b"a,b"),
                    ..Wanted::default()
                },
                &mut line,
            )
            .unwrap();
        String::from_utf8(line.finish().to_vec()).unwrap()
    }

    #[test]
    fn p6_an_obstacle_says_the_reason_the_way_out_and_the_subject() {
        let subject = Subject {
            pid: Pid::from_raw(7).unwrap(),
            comm: Comm::new(b"app"),
        };
        for (obstacle, expected) in [
            (
                Obstacle::NoProcess { hint: None },
                "no process matches process_name=a,b\n",
            ),
            (
                Obstacle::NoProcess { hint: Some(HIDDEN) },
                "no process matches; /proc hides the processes of other users (hidepid) process_name=a,b\n",
            ),
            (
                Obstacle::NotPermitted {
                    own_uid: 65532,
                    uid: Some(1001),
                    subject,
                },
                "EPERM: the sidecar runs as uid 65532, the process as uid 1001; run the sidecar with the process's uid (runAsUser), or as uid 0 with the capability KILL pid=7 process=app\n",
            ),
            (
                Obstacle::Guarded {
                    signal: Signal::HUP,
                    subject,
                    hint: "",
                },
                "SIGHUP would end or stop the process, which has no handler for it yet signal=SIGHUP pid=7 process=app\n",
            ),
            (
                Obstacle::Guarded {
                    signal: Signal::HUP,
                    subject,
                    hint: SIGWAIT,
                },
                "SIGHUP would end or stop the process, which has no handler for it yet (if it waits in sigwait, which cannot be seen from here, set RELOAD_GUARD=false) signal=SIGHUP pid=7 process=app\n",
            ),
            (
                Obstacle::Refused(Errno::ACCESS, subject),
                "the kernel refuses the signal: EACCES; permit it in the AppArmor profiles or the SELinux policy of both containers pid=7 process=app\n",
            ),
            (
                Obstacle::Refused(Errno::AGAIN, subject),
                "the kernel refuses the signal: EAGAIN pid=7 process=app\n",
            ),
        ] {
            assert_eq!(text(obstacle), expected);
        }
    }
}
