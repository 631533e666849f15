//! The events that the state machine takes, and the actions it asks for. Pure.

use crate::base::time::{Instant, Millis, TICK};
use crate::fingerprint::Fingerprint;

/// The time in which a process is expected to read the content after a signal. A JVM takes a second or two.
pub const REACTION: Millis = Millis(5_000);

/// The settings of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Quiet time after the last event before a scan.
    pub settle: Millis,
    /// The longest time from the first event to a scan.
    pub settle_max: Millis,
    /// Least time between two signals.
    pub min_interval: Millis,
}

impl Timing {
    /// Returns when to scan after a change.
    pub(super) fn due(&self, change: Change, limit: Instant, now: Instant) -> Instant {
        match change {
            Change::Writing => limit,
            Change::Finished | Change::Gone => limit.min(now.plus(self.settle)),
            Change::Complete => now,
        }
    }

    /// Returns when to scan again after a scan that was disturbed. Never at once: the loop has to serve everything else even where
    /// something disturbs every scan.
    pub(super) fn due_after_scan(&self, change: Change, limit: Instant, now: Instant) -> Instant {
        let due = match change {
            // There is nothing to settle.
            Change::Gone => now,
            Change::Writing | Change::Finished | Change::Complete => self.due(change, limit, now),
        };
        due.max(now.plus(Millis(1)))
    }
}

/// The strongest change in a batch of inotify events; later variants are stronger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Change {
    /// A directory on the way to the content is gone. While other processes hold it open, the event comes late: after the last step
    /// of an update, perhaps during the scan that followed it.
    Gone,
    /// A file was written to and is still open, so more is likely to come: the quiet time does not end this.
    Writing,
    /// A change is finished: something was closed, renamed, created or removed.
    Finished,
    /// The last step of an AtomicWriter update: there is nothing to wait for.
    Complete,
}

/// Why a delivery has not happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// No process matches.
    NoProcess,
    /// The process file names no process.
    PidFile,
    /// EPERM.
    NotPermitted,
    /// The process has only just started.
    TooYoung,
    /// The signal would end or stop the process.
    Guarded,
    /// The process ignores the signal and started only recently.
    Ignored,
    /// The system call failed in another way, or `/proc` cannot be read.
    Failed,
}

impl Waiting {
    /// Returns true if there is no process to wait for.
    pub(super) fn is_nobody(self) -> bool {
        matches!(self, Self::NoProcess | Self::PidFile)
    }
}

/// The result of an attempt to deliver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The number of processes signalled.
    pub signalled: u32,
    /// Why the first process that could not be signalled was not.
    pub waiting: Option<Waiting>,
    /// When to try that one again, if known.
    pub ready_at: Option<Instant>,
}

/// The processes to signal: those that may have read other content than the current one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    /// When the content last changed. A process that started before that has read older content.
    pub started_before: Instant,
    /// The beginning and end of a time in which the content may have differed. A process that started within it may have read that.
    pub started_between: Option<(Instant, Instant)>,
    /// Increases with each new content, so that no process is signalled twice for the same one.
    pub generation: u32,
}

impl Order {
    /// Returns true if a process that started at `start` is to be signalled. Start times are rounded down to the clock tick; in case
    /// of doubt the process is signalled.
    pub fn concerns(&self, start: Instant) -> bool {
        start <= self.started_before
            || self
                .started_between
                .is_some_and(|(first, last)| first < start.plus(TICK) && start <= last)
    }

    /// Returns true if every process from before a change needs the signal, not only those that started during one.
    pub(super) fn is_for_everyone(&self) -> bool {
        self.started_before > Instant::BOOT
    }

    /// Returns true for the catch-up at the sidecar's start.
    pub(super) fn is_since_boot(&self) -> bool {
        self.started_between
            .is_some_and(|(from, _)| from == Instant::BOOT)
    }

    /// Includes the processes that started between `first`, or the time already included, and `last`.
    pub(super) fn extend(&mut self, first: Instant, last: Instant) {
        let since = self.started_between.map_or(first, |(since, _)| since);
        self.started_between = Some((since, last));
    }
}

/// The result of [`Action::Scan`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scan {
    /// The content seen.
    pub fingerprint: Fingerprint,
    /// One bit for each root that is missing. What was last read of it stands in its place.
    pub missing: u64,
    /// A change during the scan, which makes the result uncertain.
    pub disturbed: Option<Change>,
    /// The latest change found, if the scan set a new watch: changes there until now gave no event.
    pub newly_watched: Option<Instant>,
}

/// An input of the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The first scan, made once everything was watched.
    Started {
        /// The content seen.
        fingerprint: Fingerprint,
        /// When the content last changed, if a process from before then is to be signalled.
        catch_up: Option<Instant>,
    },
    /// Something may have changed, but nothing earlier than this. That can be a while ago: the program was stopped, busy, or waited
    /// for a processor. An instant in the future counts as now.
    Changed(Change, Instant),
    /// The result of [`Action::Scan`].
    Scanned(Scan),
    /// The result of [`Action::Deliver`].
    Attempted(Attempt),
    /// SIGUSR1: scan and signal now.
    Requested,
    /// The signal had no effect and is to be sent again.
    Unconfirmed,
    /// The content is to be compared without an event: at an interval, or because something was mounted or unmounted.
    PollDue,
    /// A deadline has passed.
    Woke,
    /// SIGTERM or SIGINT.
    Stopped,
}

/// The next thing to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Nothing until an event or [`Reload::deadline`](super::Reload::deadline).
    Sleep,
    /// Read everything and answer with [`Event::Scanned`].
    Scan,
    /// Signal, and answer with [`Event::Attempted`].
    Deliver(Order),
    /// End the program.
    Exit {
        /// A reload was or may have been pending.
        undelivered: bool,
    },
}

/// Something worth reporting, beside the action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note {
    /// The content differs from what was last seen.
    Changed,
    /// Events came, and the content is what was last delivered.
    Unchanged,
    /// The content went back to what was delivered before it could be delivered.
    Reverted,
    /// The reload waits; reported when the reason changes and then once a minute.
    StillWaiting(Waiting),
    /// A reload that had to wait was delivered, this long after the first event.
    Arrived(Millis),
    /// A process from before the newest change on disk was signalled at the start.
    CaughtUp,
    /// All matching processes started after the change.
    NotNeeded,
}
