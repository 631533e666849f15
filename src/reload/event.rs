//! What the state machine is told, and what it answers.

use crate::base::time::{Instant, Millis, TICK};
use crate::fingerprint::Fingerprint;

/// The settings that the machine works by, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Quiet time after the last event before a look.
    pub settle: Millis,
    /// A look comes at the latest this long after the first event.
    pub settle_max: Millis,
    /// Least time between two signals.
    pub min_interval: Millis,
}

/// What inotify had to say, the strongest of a batch; later variants are stronger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Change {
    /// A directory on the way to the content is gone. Where others hold it open, that is told late: after the last step of an
    /// update, perhaps while the look is taken that the step has led to.
    Gone,
    /// A file was written to and is still open, so more is likely to come: the quiet time does not end this.
    Writing,
    /// Something was finished: closed, renamed, made, removed.
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
    /// The process has just started.
    TooYoung,
    /// The signal's arrival would end or stop the process.
    Guarded,
    /// The process ignores the signal, and has started not long ago.
    Ignored,
    /// The system call failed in another way, or `/proc` could not be read.
    Failed,
}

/// What came of an attempt to deliver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// So many processes were signalled now.
    pub signalled: u32,
    /// The reason of the first process that could not be signalled.
    pub waiting: Option<Waiting>,
    /// When that one is worth another try, if that is known.
    pub ready_at: Option<Instant>,
}

/// Whom to signal: the processes that may have read something else than what is there now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    /// The content changed last at this time: whoever started before it has read something older.
    pub started_before: Instant,
    /// The content was another for a while: whoever started in it may have read that.
    pub started_between: Option<(Instant, Instant)>,
    /// Goes up with each new content, so that no process is told of the same content twice.
    pub generation: u32,
}

impl Order {
    /// Whether a process is to be told that started at `start` or, because start times are cut to the clock tick, within a tick
    /// after it. Where that leaves it open, the process is rather told once too often.
    pub fn concerns(&self, start: Instant) -> bool {
        start <= self.started_before
            || self
                .started_between
                .is_some_and(|(first, last)| first < start.plus(TICK) && start <= last)
    }

    /// Whether there were processes to tell even if none is there now.
    pub(super) fn is_for_everyone(&self) -> bool {
        self.started_before > Instant::BOOT
    }
}

/// What the machine is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The first look, taken when everything was armed.
    Started {
        /// What was seen.
        fingerprint: Fingerprint,
        /// When the content changed last, if a process from before it is to be signalled.
        catch_up: Option<Instant>,
    },
    /// Something may have changed, and nothing before this moment. That may be some time ago: the program was stopped, or busy, or
    /// waited for a processor. One that lies ahead stands for now.
    Changed(Change, Instant),
    /// The result of [`Action::Look`].
    Looked {
        /// What was seen.
        fingerprint: Fingerprint,
        /// What changed while it was being read, so that it is uncertain what was read.
        disturbed: Option<Change>,
        /// Something was armed that was not before: what happened there until now has had no event.
        armed_new: bool,
    },
    /// The result of [`Action::Deliver`].
    Attempted(Attempt),
    /// SIGUSR1: look and signal now.
    Demanded,
    /// The signal had no effect and is to be sent again.
    Unconfirmed,
    /// The content is to be compared without an event: at an interval, or because something was mounted or unmounted.
    PollDue,
    /// A deadline has passed.
    Woke,
    /// SIGTERM or SIGINT.
    Stopped,
}

/// What is to be done next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Nothing until an event or [`Reload::deadline`].
    Sleep,
    /// Read everything and answer with [`Event::Looked`].
    Look,
    /// Signal, and answer with [`Event::Attempted`].
    Deliver(Order),
    /// End the program.
    Exit {
        /// A reload was owed or may have been.
        undelivered: bool,
    },
}

/// Something worth a log line, beside the action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note {
    /// The content differs from what was last seen.
    Changed {
        /// What was seen before.
        before: Fingerprint,
        /// What is seen now.
        after: Fingerprint,
    },
    /// Events came, and the content is what was last delivered.
    Unchanged,
    /// The content came back to what was delivered before it could be delivered.
    Reverted,
    /// The reload waits; said when the reason changes and then once a minute.
    StillWaiting(Waiting),
    /// A reload that had to wait has been delivered.
    Arrived {
        /// How long it took since the first event, in milliseconds.
        after_ms: u64,
    },
    /// What was on disk at the start has been told to a process from before its newest change.
    CaughtUp,
    /// All matching processes started after the change.
    NotNeeded,
}
