//! A delivery that is due, and when to attempt it again. Pure.

use super::event::{Note, Order, Waiting};
use crate::base::time::{Instant, Millis};

/// The first pause between two attempts, and the longest: soon enough after the application is ready, rare enough to cost nothing
/// while it never is.
const FIRST_PAUSE: Millis = Millis(100);
pub(super) const LONGEST_PAUSE: Millis = Millis(5_000);
/// A process from before the sidecar's start has its name this long after it: some set theirs when they are ready.
const NAMING_TIME: Millis = Millis(10_000);
/// The same reason is not reported again sooner than this.
const REPEAT: Millis = Millis(60_000);

/// A process may not know the content last seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// Which processes to signal.
    pub(super) order: Order,
    /// The first event of the change.
    pub(super) since: Instant,
    /// The next attempt.
    pub(super) next: Instant,
    /// The pause after the next attempt that fails.
    pub(super) pause: Millis,
    /// The reason last reported, and when.
    pub(super) reported: Option<(Waiting, Instant)>,
    /// Some process was signalled for content seen since the last complete delivery.
    pub(super) is_partial: bool,
    /// Requested with SIGUSR1, and no process has been signalled since: deliver at once, changed or not.
    pub(super) is_requested: bool,
}

impl Pending {
    pub(super) fn new(order: Order, since: Instant) -> Self {
        Self {
            order,
            since,
            next: since,
            pause: FIRST_PAUSE,
            reported: None,
            is_partial: false,
            is_requested: false,
        }
    }

    /// Returns true if going back to the delivered content makes the delivery unnecessary.
    pub(super) fn can_revert(&self) -> bool {
        !self.is_partial && !self.is_requested
    }

    /// Returns true if an attempt that failed for `reason` is worth another one.
    pub(super) fn waits_for(&self, reason: Waiting, now: Instant) -> bool {
        // There may be no process that could have read something else, or one that is about to take its name.
        !reason.is_nobody()
            || self.order.is_for_everyone()
            || self.order.is_since_boot() && now.since(self.since) < NAMING_TIME
    }

    /// Sets the time of the next attempt. Returns what is worth reporting.
    pub(super) fn postpone(
        &mut self,
        reason: Waiting,
        ready_at: Option<Instant>,
        now: Instant,
    ) -> Option<Note> {
        let next = if let Some(at) = ready_at {
            // This is the first process's time. Another may be ready sooner, at an unknown time.
            at.min(now.plus(LONGEST_PAUSE))
        } else {
            let next = now.plus(self.pause);
            self.pause = self.pause.times(2).min(LONGEST_PAUSE);
            next
        };
        self.next = next.max(now.plus(Millis(1)));
        let is_repeated = self
            .reported
            .is_some_and(|(reported, at)| reported == reason && now.since(at) < REPEAT);
        // If it is not known whether any process is there, that there is none is no news.
        if is_repeated || (reason.is_nobody() && !self.order.is_for_everyone()) {
            return None;
        }
        self.reported = Some((reason, now));
        Some(Note::StillWaiting(reason))
    }

    /// Returns what is worth reporting once every process that needed a signal has got it.
    pub(super) fn outcome(&self, now: Instant) -> Option<Note> {
        if !self.is_partial {
            self.order.is_for_everyone().then_some(Note::NotNeeded)
        } else if self.reported.is_some() {
            Some(Note::Arrived(now.since(self.since)))
        } else {
            self.order.is_since_boot().then_some(Note::CaughtUp)
        }
    }
}
