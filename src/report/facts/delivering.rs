//! Changes of the content, and the signals that follow them.

use super::Subject;
use super::obstacle::{Obstacle, Wanted};
use crate::base::signal::Signal;
use crate::base::time::Millis;
use crate::report::Fact;
use crate::report::line::{Level, Line};
use crate::report::metrics::Metrics;
use core::fmt::{self, Write};

/// The doubt about a process that ignores the signal.
pub const IGNORED: &str = "the process ignores the signal, so it has no effect";
/// The doubt about a process whose handling of signals the kernel does not show; reported once.
pub const UNSHOWN: &str =
    "the kernel does not show whether the process handles the signal, so it is sent unchecked";

/// Events between a change and its signal.
#[derive(Clone, Copy)]
pub enum Delivering<'f> {
    /// The content has changed.
    Changed {
        /// The number of this change since the start. It names the content, and unlike a hash says nothing about it.
        update: u64,
        /// The names of the changed entries, separated by commas.
        names: &'f [u8],
    },
    /// Events came, but the content is the same.
    Unchanged,
    /// The content went back to what was last delivered before a signal was sent.
    Reverted,
    /// Every matching process started after the change.
    NotNeeded,
    /// A matching process started after the change, so it has read the new content.
    StartedAfter(Subject),
    /// Process 1 has adopted a matching process, while another one still has its parent; reported once.
    Adopted(Subject),
    /// A signal was sent that may not have the effect that it should.
    SentInDoubt {
        /// [`IGNORED`] or [`UNSHOWN`].
        why: &'static str,
        /// The signal.
        signal: Signal,
        /// The process.
        subject: Subject,
    },
    /// A signal was sent.
    Sent {
        /// The signal.
        signal: Signal,
        /// The process.
        subject: Subject,
        /// The time since the change began.
        after: Millis,
    },
    /// Every process that needed a signal has received it.
    Delivered {
        /// Seconds since the epoch.
        at: u64,
    },
    /// At startup, a process older than the newest change on disk was signalled.
    CaughtUp,
    /// A reload is pending.
    Pending(&'f Obstacle, &'f Wanted<'f>),
    /// A pending reload was delivered, this long after the change began.
    Arrived(Millis),
    /// The command `signal` could not signal every process.
    NotSignalled(&'f Obstacle, &'f Wanted<'f>),
}

impl Fact for Delivering<'_> {
    fn level(&self) -> Option<Level> {
        match self {
            Self::Delivered { .. } => None,
            Self::Unchanged | Self::StartedAfter(_) => Some(Level::Debug),
            Self::Changed { .. }
            | Self::Reverted
            | Self::NotNeeded
            | Self::Adopted(_)
            | Self::Sent { .. }
            | Self::CaughtUp
            | Self::Arrived(_) => Some(Level::Info),
            Self::SentInDoubt { .. } | Self::Pending(..) => Some(Level::Warn),
            Self::NotSignalled(..) => Some(Level::Error),
        }
    }

    fn describe(&self, line: &mut Line) -> fmt::Result {
        match *self {
            Self::Changed { update, names } => {
                line.write_str("content changed")?;
                line.key_number("update", update).key("names", names);
            }
            Self::Unchanged => line.write_str("the content is the same, no signal")?,
            Self::Reverted => {
                line.write_str("the content is again what it was; the pending reload is cancelled")?
            }
            Self::NotNeeded => {
                line.write_str("no signal needed: the process started after the change")?;
            }
            Self::Adopted(subject) => {
                line.write_str("process 1 has adopted a process that matches; it is passed over for one that still has its parent")?;
                line.subject(subject);
            }
            Self::StartedAfter(subject) => {
                line.write_str("started after the change, needs no signal")?;
                line.subject(subject);
            }
            Self::SentInDoubt {
                why,
                signal,
                subject,
            } => {
                line.write_str(why)?;
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
            Self::Pending(obstacle, wanted) => {
                line.write_str("reload pending: ")?;
                obstacle.describe(wanted, line)?;
            }
            Self::Arrived(after) => {
                line.write_str("the pending reload is delivered")?;
                line.after(after);
            }
            Self::NotSignalled(obstacle, wanted) => obstacle.describe(wanted, line)?,
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
            Self::Pending(Obstacle::Guarded { .. }, _) => metrics.guard_waits_total += 1,
            // These obstacles pass by themselves, so they are no failures.
            Self::Pending(Obstacle::TooYoung(_) | Obstacle::Ignored(..), _)
            | Self::Unchanged
            | Self::StartedAfter(_)
            | Self::Adopted(_)
            | Self::SentInDoubt { .. }
            | Self::CaughtUp
            | Self::Arrived(_)
            | Self::NotSignalled(..) => {}
            Self::Pending(
                Obstacle::NoProcess { .. }
                | Obstacle::NoPidFile
                | Obstacle::Stranger(_)
                | Obstacle::NoProc(_)
                | Obstacle::NotPermitted { .. }
                | Obstacle::Refused(..),
                _,
            ) => {
                metrics.reloads_total += 1;
                metrics.reloads_failed_total += 1;
                metrics.last_reload_successful = false;
            }
        }
    }
}
