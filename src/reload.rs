//! When to scan and when to signal: the state machine.
//!
//! Pure: an event and the time go in, one action comes out. The loop in `run` carries the action out and feeds the result back as
//! the next event, until the machine asks to sleep.
//!
//! # Invariants
//! - While the content last seen differs from the content last delivered, a delivery is pending or waits for the minimum interval.
//! - A scan follows the first event of a burst after [`Timing::settle_max`] at the latest.
//! - Two signals are at least [`Timing::min_interval`] apart, except for one requested with SIGUSR1.
//! - Asleep without a deadline, nothing is settling and nothing is pending.

mod burst;
mod event;
mod missing;
mod pending;

pub use event::{Action, Attempt, Change, Event, Note, Order, REACTION, Scan, Timing, Waiting};

use crate::base::time::Instant;
use crate::fingerprint::Fingerprint;
use burst::Burst;
use missing::Missing;
use pending::Pending;

/// The state.
#[derive(Clone, Debug)]
pub struct Reload {
    timing: Timing,
    /// The content that every process was signalled for or has read at its start; `None` if they may differ.
    delivered: Option<Fingerprint>,
    seen: Fingerprint,
    scanned_at: Instant,
    burst: Option<Burst>,
    pending: Option<Pending>,
    /// SIGUSR1 came and the scan for it is still to be made.
    is_requested: bool,
    last_signal: Option<Instant>,
    /// A process was signalled while the content was changing and may have read something in between.
    is_unsure: bool,
    missing: Missing,
    generation: u32,
}

/// The reason for a scan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Events came.
    Events,
    /// The content is compared without an event.
    Comparison,
}

/// The one that goes first when a scan and a delivery are both due.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    /// The scan, which may find other content.
    Scan,
    /// The delivery: where something changes all the time, the scan would always go first.
    Delivery,
}

impl Reload {
    /// Returns the machine at startup. Its first event must be [`Event::Started`].
    pub fn new(timing: Timing) -> Self {
        Self {
            timing,
            delivered: None,
            seen: Fingerprint::default(),
            scanned_at: Instant::BOOT,
            burst: None,
            pending: None,
            is_requested: false,
            last_signal: None,
            is_unsure: false,
            missing: Missing::default(),
            generation: 0,
        }
    }

    /// Returns the content last delivered, if it is certain which that is.
    pub const fn delivered(&self) -> Option<Fingerprint> {
        self.delivered
    }

    /// Returns when [`Event::Woke`] is due; `None` if there is nothing to do until another event comes.
    pub fn deadline(&self) -> Option<Instant> {
        match (&self.burst, &self.pending) {
            (Some(burst), _) => Some(burst.due),
            (None, Some(pending)) => Some(self.attempt_at(pending)),
            (None, None) => None,
        }
    }

    /// Returns when the change that is being delivered began.
    pub fn changed_since(&self) -> Option<Instant> {
        self.pending.as_ref().map(|pending| pending.since)
    }

    /// Returns the same if a process is certain to need the change. The catch-up at startup may concern none.
    pub fn pending_since(&self) -> Option<Instant> {
        let pending = self.pending.as_ref()?;
        (pending.order.is_for_everyone() || pending.reported.is_some()).then_some(pending.since)
    }

    /// Takes one event and returns one action. Total: any event may come in any state.
    pub fn step(&mut self, event: Event, now: Instant) -> (Action, Option<Note>) {
        let mut note = None;
        let mut first = First::Scan;
        match event {
            Event::Started {
                fingerprint,
                catch_up,
            } => self.started(fingerprint, catch_up, now),
            Event::Changed(change, since) => self.changed(change, since.min(now), now),
            Event::Scanned(scan) => (note, first) = self.scanned(scan, now),
            Event::Attempted(attempt) => note = self.attempted(attempt, now),
            Event::Requested => {
                self.is_requested = true;
                self.changed(Change::Complete, now, now);
            }
            Event::Unconfirmed => {
                // Anything under way ends with a signal as well, or shows that none is needed.
                if self.burst.is_none() && self.pending.is_none() {
                    self.require(now, None, now);
                }
            }
            Event::PollDue => return (Action::Scan, None),
            Event::Woke => {}
            Event::Stopped => {
                let undelivered = self.pending_since().is_some() || self.burst.is_some();
                return (Action::Exit { undelivered }, None);
            }
        }
        (self.action(first, now), note)
    }

    fn action(&self, first: First, now: Instant) -> Action {
        match (&self.burst, &self.pending) {
            (Some(burst), _) if burst.due <= now => Action::Scan,
            (burst, Some(pending))
                if (burst.is_none() || first == First::Delivery)
                    && self.attempt_at(pending) <= now =>
            {
                Action::Deliver(pending.order)
            }
            _ => Action::Sleep,
        }
    }

    fn started(&mut self, fingerprint: Fingerprint, catch_up: Option<Instant>, now: Instant) {
        self.seen = fingerprint;
        self.delivered = catch_up.is_none().then_some(fingerprint);
        self.scanned_at = now;
        if let Some(changed_at) = catch_up {
            // There may be no such process, which is fine: one that starts later reads the current content.
            self.require(now, Some(Instant::BOOT), changed_at);
        }
    }

    /// Takes events, none of them earlier than `since`.
    fn changed(&mut self, change: Change, since: Instant, now: Instant) {
        let limit = now.plus(self.timing.settle_max);
        let burst = self.burst.get_or_insert(Burst {
            first: since,
            last: now,
            limit,
            due: now,
            is_complete: false,
            found: None,
        });
        burst.extend(change, since, now, self.timing);
    }

    fn scanned(&mut self, scan: Scan, now: Instant) -> (Option<Note>, First) {
        if let (Some(burst), Some(active)) = (&mut self.burst, scan.newly_watched) {
            burst.last = now;
            burst.wait_for_quiet(active, self.timing);
        }
        let cause = if self.burst.is_some() {
            Cause::Events
        } else {
            Cause::Comparison
        };
        let limit = now.plus(self.timing.settle_max);
        let scanned_before = core::mem::replace(&mut self.scanned_at, now);
        let burst = self.burst.get_or_insert(Burst {
            // Without an event the change lies somewhere between two scans.
            first: scanned_before,
            last: now,
            limit,
            due: now,
            is_complete: false,
            found: Some(self.seen),
        });
        let differs = burst.differs(scan.fingerprint);
        if differs {
            burst.last = now;
        }
        let change = scan.disturbed.or(differs.then_some(Change::Finished));
        let is_open = match cause {
            Cause::Events => burst.is_open(change, now),
            Cause::Comparison => differs,
        };
        if is_open && !self.is_requested {
            if let Some(change) = change {
                burst.put_off(change, scan.fingerprint, now, self.timing);
            }
            return (None, First::Scan);
        }
        let Burst { first, last, .. } = *burst;
        self.burst = None;
        let note = self.settled(scan, cause, first, last, now);
        let Some(change) = scan.disturbed else {
            return (note, First::Scan);
        };
        // The change that disturbed the scan gives no further event, so another scan is due.
        self.burst = Some(Burst {
            first: last,
            last: now,
            limit,
            due: self.timing.due_after_scan(change, limit, now),
            is_complete: false,
            found: None,
        });
        (note, First::Delivery)
    }

    /// Takes a scan that counts. The content changed, if at all, between `first` and `last`.
    fn settled(
        &mut self,
        scan: Scan,
        cause: Cause,
        first: Instant,
        last: Instant,
        now: Instant,
    ) -> Option<Note> {
        let before = core::mem::replace(&mut self.seen, scan.fingerprint);
        let differs = scan.fingerprint != before;
        let may_have_misread = scan.disturbed.is_none() && core::mem::take(&mut self.is_unsure);
        let back_since = self.missing.take(scan.missing, first);
        // Those that were signalled meanwhile, or were still to react, may not have found a root.
        let may_have_missed = back_since
            .zip(self.last_signal)
            .is_some_and(|(since, signal)| since < signal.plus(REACTION));
        let first = back_since.unwrap_or(first);
        let is_new = differs || may_have_misread || may_have_missed;
        let note = differs.then_some(Note::Changed);
        if core::mem::take(&mut self.is_requested) {
            // A process that starts from now on reads the current content.
            self.require(now, None, now).is_requested = true;
            return note;
        }
        match &mut self.pending {
            // It stays pending for the same processes, and for those that started while the content may have differed briefly.
            Some(pending) if !is_new => {
                if cause == Cause::Events {
                    pending.order.extend(first, last);
                }
                note
            }
            Some(pending)
                if pending.can_revert()
                    && !may_have_missed
                    && self.delivered == Some(self.seen) =>
            {
                let since = pending.since;
                self.require(first, Some(since), last);
                Some(Note::Reverted)
            }
            // The content may have differed briefly, and a process may have started meanwhile.
            None if !is_new && cause == Cause::Events => {
                self.require(first, Some(first), last);
                Some(Note::Unchanged)
            }
            None if !is_new => note,
            _ => {
                let is_exposed = (self.last_signal).is_some_and(|at| first.since(at) < REACTION);
                self.require(first, None, last).is_exposed |= is_exposed;
                note
            }
        }
    }

    /// Makes the content last seen pending for the processes that started between `from` and `last`, or, without `from`, for all
    /// that started before `last`. `first` is when the change began.
    fn require(&mut self, first: Instant, from: Option<Instant>, last: Instant) -> &mut Pending {
        self.generation = self.generation.wrapping_add(1);
        let order = Order {
            started_before: from.map_or(last, |_| Instant::BOOT),
            started_between: from.map(|from| (from, last)),
            generation: self.generation,
        };
        let pending = self.pending.get_or_insert(Pending::new(order, first));
        pending.order = order;
        pending.next = first;
        pending
    }

    fn attempted(&mut self, attempt: Attempt, now: Instant) -> Option<Note> {
        let pending = self.pending.as_mut()?;
        if attempt.signalled > 0 {
            self.last_signal = Some(now);
            self.is_unsure |= self.burst.is_some();
            pending.is_requested = false;
            pending.is_partial = true;
        }
        if let Some(reason) = attempt.waiting
            && pending.waits_for(reason, now)
        {
            return pending.postpone(reason, attempt.ready_at, now);
        }
        let note = pending.outcome(now);
        self.pending = None;
        self.delivered = (!self.is_unsure).then_some(self.seen);
        note
    }

    fn attempt_at(&self, pending: &Pending) -> Instant {
        match self.last_signal {
            Some(last) if !pending.is_requested => {
                pending.next.max(last.plus(self.timing.min_interval))
            }
            _ => pending.next,
        }
    }
}

#[cfg(test)]
mod tests;
