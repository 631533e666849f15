//! Debouncing: events that follow each other closely are one burst, and one scan follows it. Pure.

use super::event::{Change, Timing};
use crate::base::time::Instant;
use crate::fingerprint::Fingerprint;

/// Events that no scan has followed yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burst {
    /// The earliest time at which the content may have changed.
    pub(super) first: Instant,
    /// The last event.
    pub(super) last: Instant,
    /// The latest time for the scan.
    pub(super) limit: Instant,
    /// When to scan.
    pub(super) due: Instant,
    /// The last event was an update's last step.
    pub(super) is_complete: bool,
    /// The content found by a scan without an event. Only a second scan that finds the same shows that the writer is done.
    pub(super) found: Option<Fingerprint>,
}

impl Burst {
    /// Takes in another event.
    pub(super) fn extend(&mut self, change: Change, since: Instant, now: Instant, timing: Timing) {
        self.first = self.first.min(since);
        self.last = now;
        self.due = timing.due(change, self.limit, now);
        self.is_complete = change == Change::Complete;
        self.found = None;
    }

    /// Prolongs the quiet time after activity that gave no event.
    pub(super) fn wait_for_quiet(&mut self, active: Instant, timing: Timing) {
        if !self.is_complete {
            let due = timing.due(Change::Finished, self.limit, active);
            self.due = self.due.max(due);
        }
    }

    /// Returns true if a scan found something else than the last one without an event.
    pub(super) fn differs(&self, fingerprint: Fingerprint) -> bool {
        self.found.is_some_and(|found| found != fingerprint)
    }

    /// Returns true if more is likely to come, so that a scan that came across `change` does not count yet.
    pub(super) fn is_open(&self, change: Option<Change>, now: Instant) -> bool {
        // A scan without an event may come amid a burst.
        now < self.limit && (change.is_some() || now < self.due)
    }

    /// Puts the scan off after one that came across `change`.
    pub(super) fn put_off(
        &mut self,
        change: Change,
        found: Fingerprint,
        now: Instant,
        timing: Timing,
    ) {
        self.last = now;
        self.due = timing.due_after_scan(change, self.limit, now);
        self.found = self.found.map(|_| found);
    }
}
