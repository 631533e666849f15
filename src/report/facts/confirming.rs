//! The effect of a signal.

use super::Subject;
use crate::base::signal::Signal;
use crate::base::time::Millis;
use crate::report::Fact;
use crate::report::line::{Level, Line};
use crate::report::metrics::Metrics;
use core::fmt::{self, Write};

/// Events in the seconds after a signal.
#[derive(Clone, Copy, Debug)]
pub enum Confirming {
    /// Watched files were opened.
    Confirmed {
        /// The number of different files.
        files: u32,
        /// The time from the signal to the first.
        after: Millis,
    },
    /// No file was seen being opened, but one may have been.
    Unknown,
    /// No watched file was opened.
    Unread {
        /// The signal.
        signal: Signal,
        /// True if the signal is sent again.
        is_retried: bool,
    },
    /// The process ended soon after the signal.
    TargetEnded {
        /// The signal.
        signal: Signal,
        /// The process.
        subject: Subject,
        /// The time since the signal.
        after: Millis,
    },
}

impl Fact for Confirming {
    fn level(&self) -> Option<Level> {
        Some(match self {
            Self::Unknown => Level::Debug,
            Self::Confirmed { .. } => Level::Info,
            Self::Unread { .. } => Level::Warn,
            Self::TargetEnded { .. } => Level::Error,
        })
    }

    fn describe(&self, line: &mut Line) -> fmt::Result {
        match *self {
            Self::Confirmed { files, after } => {
                line.write_str("reload confirmed")?;
                line.key_number("files", files.into()).after(after);
            }
            Self::Unknown => {
                line.write_str("cannot tell whether the files were read again")?;
            }
            Self::Unread { signal, is_retried } => {
                line.write_str("the signal was sent, but none of the watched files has been opened since; does the application read them again on this signal?")?;
                if is_retried {
                    line.write_str(" Sending it again")?;
                }
                line.signal(signal);
            }
            Self::TargetEnded {
                signal,
                subject,
                after,
            } => {
                line.write_str(
                    "the process ended after the signal; is the new configuration valid?",
                )?;
                line.signal(signal).subject(subject).after(after);
            }
        }
        Ok(())
    }

    fn count(&self, metrics: &mut Metrics) {
        match self {
            Self::Confirmed { .. } => metrics.confirmations_total += 1,
            Self::Unread { .. } => metrics.unconfirmed_total += 1,
            Self::TargetEnded { .. } => {
                metrics.target_exits_total += 1;
                metrics.reloads_failed_total += 1;
                metrics.last_reload_successful = false;
            }
            Self::Unknown => {}
        }
    }
}
