//! The program's own start, sandbox and end.

use crate::base::encode::Name;
use crate::base::signal::Signal;
use crate::base::text::Word;
use crate::base::time::Millis;
use crate::report::Fact;
use crate::report::facts::obstacle::{NOT_SHARED, Wanted};
use crate::report::line::{Level, Line};
use crate::report::metrics::Metrics;
use core::fmt::{self, Write};
use rustix::io::Errno;

/// Events of the program itself.
#[derive(Clone, Copy, Debug)]
pub enum Lifecycle<'f> {
    /// The settings are valid and everything is open.
    Started {
        /// `CONFIG_DIR`.
        config_dir: &'f [u8],
        /// The settings that say which process to signal.
        wanted: Wanted<'f>,
        /// `LISTEN_ADDR`, if it is set.
        listen_addr: Option<&'f [u8]>,
        /// `RELOAD_SIGNAL`.
        signal: Signal,
    },
    /// The namespace holds no other container's processes.
    IsProcessOne,
    /// The sandbox was entered, as far as the kernel allows.
    Sandboxed(&'f Sandboxed),
    /// Something the program needs was refused.
    Refused {
        /// The attempt, to follow "cannot".
        what: &'static str,
        /// The system call's error.
        errno: Errno,
    },
    /// The first scan is complete.
    Watching {
        /// Regular files found.
        files: u32,
        /// Directories found, the roots among them.
        directories: u32,
    },
    /// SIGUSR1 came.
    Requested,
    /// SIGHUP came to the sidecar itself for the first time.
    HangupIgnored,
    /// Nothing to do until the deadline.
    Sleeping {
        /// Time until the deadline.
        due: Millis,
    },
    /// poll(2) failed.
    PollFailed(Errno),
    /// SIGTERM or SIGINT came.
    Stopped(Signal),
    /// SIGTERM or SIGINT came before a change was delivered.
    StoppedUndelivered,
    /// A bug.
    Panicked,
}

/// The parts of the sandbox, or why the kernel refuses them.
#[derive(Debug)]
pub struct Sandboxed {
    /// `no_new_privs`; prctl(2).
    pub no_new_privs: Result<(), Errno>,
    /// The names of the capabilities that were kept, separated by commas; capabilities(7).
    pub capabilities: Result<Word, Errno>,
    /// The system call filter; seccomp(2).
    pub seccomp: Result<(), Errno>,
}

impl Sandboxed {
    fn is_whole(&self) -> bool {
        self.no_new_privs.is_ok() && self.capabilities.is_ok() && self.seccomp.is_ok()
    }

    fn describe(&self, line: &mut Line) -> fmt::Result {
        line.write_str(if self.is_whole() {
            "sandboxed"
        } else {
            "sandboxed in part: the kernel, or the container's seccomp profile, refuses the rest"
        })?;
        let capabilities = self.capabilities.as_ref().map(Word::as_str);
        for (key, held) in [
            ("no_new_privs", self.no_new_privs.map(|()| "on")),
            ("capabilities", capabilities.map_err(|errno| *errno)),
            ("seccomp", self.seccomp.map(|()| "on")),
        ] {
            match held {
                Ok(held) => line.key(key, held.as_bytes()),
                Err(errno) => line.key(key, Word::of(&Name(errno)).as_bytes()),
            };
        }
        Ok(())
    }
}

impl Fact for Lifecycle<'_> {
    fn level(&self) -> Option<Level> {
        Some(match self {
            Self::Sleeping { .. } => Level::Debug,
            Self::Started { .. }
            | Self::Watching { .. }
            | Self::Requested
            | Self::HangupIgnored
            | Self::Stopped(_) => Level::Info,
            Self::Sandboxed(held) if held.is_whole() => Level::Info,
            Self::IsProcessOne | Self::Sandboxed(_) | Self::StoppedUndelivered => Level::Warn,
            Self::Refused { .. } | Self::PollFailed(_) | Self::Panicked => Level::Error,
        })
    }

    fn describe(&self, line: &mut Line) -> fmt::Result {
        match *self {
            Self::Started {
                config_dir,
                wanted,
                listen_addr,
                signal,
            } => {
                line.write_str("started")?;
                line.key("version", env!("CARGO_PKG_VERSION").as_bytes())
                    .key("config_dir", config_dir);
                wanted.add_to(line);
                if let Some(listen_addr) = listen_addr {
                    line.key("listen_addr", listen_addr);
                }
                line.signal(signal);
            }
            Self::IsProcessOne => write!(line, "this is process 1 of its namespace: {NOT_SHARED}")?,
            Self::Sandboxed(held) => held.describe(line)?,
            Self::Refused { what, errno } => {
                let errno = Name(errno);
                write!(
                    line,
                    "cannot {what}: {errno}; the sidecar cannot run without it"
                )?;
            }
            Self::Watching { files, directories } => {
                line.write_str("watching")?;
                line.key_number("files", files.into())
                    .key_number("directories", directories.into());
            }
            Self::Requested => {
                line.write_str("SIGUSR1 received: reading everything and signalling now")?
            }
            Self::HangupIgnored => line.write_str(
                "SIGHUP has no effect on the sidecar itself; SIGUSR1 makes it signal now",
            )?,
            Self::Sleeping { due } => {
                line.write_str("waiting")?;
                line.key_number("due_ms", due.0);
            }
            Self::PollFailed(errno) => {
                write!(
                    line,
                    "cannot wait for events: poll: {}; trying again in a second",
                    Name(errno)
                )?;
            }
            Self::Stopped(signal) => write!(line, "stopped by {signal}")?,
            Self::StoppedUndelivered => {
                line.write_str(
                    "stopping while a reload is pending: the last change was not delivered",
                )?;
            }
            Self::Panicked => {
                line.write_str("internal error; please report it with the lines before it")?
            }
        }
        Ok(())
    }
}

/// Events that are counted but not logged.
#[derive(Clone, Copy, Debug)]
pub enum Counted {
    /// The content is compared without an event.
    Polled,
    /// The same reload is attempted again.
    Retried,
    /// The current state, for the gauges.
    State {
        /// inotify watches set.
        watches: u64,
        /// The content is compared at an interval.
        polling: bool,
        /// When the pending change began, in seconds since the epoch; 0 if none is pending.
        pending_since: u64,
    },
}

impl Fact for Counted {
    fn level(&self) -> Option<Level> {
        None
    }

    fn describe(&self, _: &mut Line) -> fmt::Result {
        Ok(())
    }

    fn count(&self, metrics: &mut Metrics) {
        match *self {
            Self::State {
                watches,
                polling,
                pending_since,
            } => {
                metrics.watches = watches;
                metrics.polling = polling;
                metrics.pending_since_timestamp_seconds = pending_since;
            }
            Self::Polled => metrics.polls_total += 1,
            Self::Retried => metrics.retries_total += 1,
        }
    }
}
