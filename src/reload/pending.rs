//! A delivery that is not complete, and the time of its next attempt. Pure.

use super::event::{Note, Order, Waiting};
use crate::base::time::{Instant, Millis};

/// The first pause between two attempts, and the longest: soon enough after the application is ready, rare enough to cost nothing
/// while it never is.
const FIRST_PAUSE: Millis = Millis(100);
pub(super) const LONGEST_PAUSE: Millis = Millis(5_000);
/// The time after the sidecar's start in which an older process may still take its name: some do so once they are ready.
const NAMING_TIME: Millis = Millis(10_000);
/// The least time between two reports of the same reason.
const REPEAT: Millis = Millis(60_000);

/// A delivery that is not complete: some process may not have read the content last seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// Which processes to signal.
    pub(super) order: Order,
    /// When the change began.
    pub(super) since: Instant,
    /// When to attempt it next.
    pub(super) next: Instant,
    /// The pause after the next attempt that fails.
    pub(super) pause: Millis,
    /// The reason last reported, and when that was.
    pub(super) reported: Option<(Waiting, Instant)>,
    /// Some process was signalled for content seen since the last complete delivery.
    pub(super) is_partial: bool,
    /// Other content was seen soon after a signal, so some process may have read it.
    pub(super) is_exposed: bool,
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
            is_exposed: false,
            is_requested: false,
        }
    }

    /// Returns true if going back to the delivered content makes the delivery unnecessary.
    pub(super) fn can_revert(&self) -> bool {
        !self.is_partial && !self.is_exposed && !self.is_requested
    }

    /// Returns true if an attempt that failed for `reason` is worth another one.
    pub(super) fn waits_for(&self, reason: Waiting, now: Instant) -> bool {
        // If no process matches, there may be none that has read other content, or one that is about to take its name.
        !reason.is_nobody()
            || self.order.is_for_everyone()
            || self.order.is_since_boot() && now.since(self.since) < NAMING_TIME
    }

    /// Sets the time of the next attempt. Returns a note if the reason is worth reporting.
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
        // The order may concern no process at all, and then it is not worth reporting that there is none.
        if is_repeated || (reason.is_nobody() && !self.order.is_for_everyone()) {
            return None;
        }
        self.reported = Some((reason, now));
        Some(Note::StillWaiting(reason))
    }

    /// Returns the note, if any, for when every process that needed a signal has received it.
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
