//! When to look, when to signal: the state machine.
//!
//! Pure: events and the time go in, one action comes out. The loop in `run.rs` carries the action out and feeds what came of it
//! back as the next event, until the machine asks to sleep.
//!
//! # Invariants
//! - While what was last seen differs from what was last delivered, a delivery is owed: it is pending, or waits for the least
//!   interval.
//! - A look follows the first event of a burst after [`Timing::settle_max`] at the latest.
//! - Two signals are at least [`Timing::min_interval`] apart, but for the one that was asked for with SIGUSR1.
//! - Asleep without deadline: nothing is settling, nothing is owed, nothing is polled.

mod event;

pub use event::{Action, Attempt, Change, Event, Note, Order, Timing, Waiting};

use crate::base::time::{Instant, Millis};

use crate::fingerprint::Fingerprint;

/// Events have come and the look at what they did is still to be taken.
#[derive(Clone, Copy, Debug)]
struct Settling {
    first: Instant,
    last: Instant,
    /// The look is not put off any longer than this.
    limit: Instant,
    due: Instant,
    /// What a look without an event has found. Without events nothing tells whether a writer has finished, but that the next
    /// look finds the same.
    found: Option<Fingerprint>,
}

/// Someone has not been told of the content that was last seen.
#[derive(Clone, Copy, Debug)]
struct Owed {
    order: Order,
    /// The first event of the change.
    since: Instant,
    /// The next attempt.
    next: Instant,
    /// The pause after the next attempt that fails.
    pause: Millis,
    /// What was said about it last.
    said: Option<(Waiting, Instant)>,
    /// Some process has been told of the content seen now, or of one seen since the last complete delivery.
    partly: bool,
    /// Asked for with SIGUSR1, and nobody has been signalled since: at once, changed or not.
    demanded: bool,
}

/// The first pause between two attempts to deliver, and the longest, in milliseconds: soon enough after the application is
/// ready, rare enough to cost nothing while it never is.
const FIRST_PAUSE: Millis = Millis(100);
const LONGEST_PAUSE: Millis = Millis(5_000);
/// A process that was started before the sidecar has its name so long after it, in milliseconds: some set it when they are ready.
const NAMED: Millis = Millis(10_000);
/// The same reason is not said again sooner than this.
const REPEAT: Millis = Millis(60_000);

/// The state.
#[derive(Clone, Debug)]
pub struct Reload {
    timing: Timing,
    /// What every process is known to have been told, or to have read at its start; `None` where that is not one content.
    delivered: Option<Fingerprint>,
    seen: Fingerprint,
    looked_at: Instant,
    settling: Option<Settling>,
    owed: Option<Owed>,
    /// SIGUSR1 came and the look for it is still to be taken.
    demanded: bool,
    last_signal: Option<Instant>,
    /// Someone was signalled while the content was changing, and may have read what was there for that moment.
    unsure: bool,
    generation: u32,
}

impl Reload {
    /// Nothing seen, nothing delivered: the first event must be [`Event::Started`].
    pub fn new(timing: Timing) -> Self {
        Self {
            timing,
            delivered: None,
            seen: Fingerprint::default(),
            looked_at: Instant::BOOT,
            settling: None,
            owed: None,
            demanded: false,
            last_signal: None,
            unsure: false,
            generation: 0,
        }
    }

    /// When [`Event::Woke`] is due. `None`: only an event can change anything.
    pub fn deadline(&self) -> Option<Instant> {
        match (&self.settling, &self.owed) {
            // A delivery waits for the look that is due soon: it may find other content.
            (Some(settling), _) => Some(settling.due),
            (None, Some(owed)) => Some(self.attempt_at(owed)),
            (None, None) => None,
        }
    }

    /// When the first event came of the change that is being delivered.
    pub fn changed_since(&self) -> Option<Instant> {
        self.owed.as_ref().map(|owed| owed.since)
    }

    /// The same of a change that somebody is known to wait for: at the start nobody need.
    pub fn pending_since(&self) -> Option<Instant> {
        let owed = self.owed.as_ref()?;
        (owed.order.is_for_everyone() || owed.said.is_some()).then_some(owed.since)
    }

    /// One event in, one action out. Total: any event may come in any state.
    pub fn step(&mut self, event: Event, now: Instant) -> (Action, Option<Note>) {
        let mut note = None;
        let mut is_ahead = false;
        match event {
            Event::Started {
                fingerprint,
                catch_up,
            } => {
                self.seen = fingerprint;
                self.delivered = catch_up.is_none().then_some(fingerprint);
                self.looked_at = now;
                if let Some(changed_at) = catch_up {
                    // Nobody need be there: who starts later reads what is there now.
                    self.owe(now, Some(Instant::BOOT), changed_at);
                }
            }
            Event::Changed(change, since) => self.changed(change, since.min(now), now),
            Event::Looked {
                fingerprint,
                disturbed,
                armed_new,
            } => {
                if let Some(settling) = self.settling.as_mut().filter(|_| armed_new) {
                    settling.last = now;
                }
                note = self.looked(fingerprint, disturbed, now, &mut is_ahead);
            }
            Event::Attempted(attempt) => note = self.attempted(attempt, now),
            Event::Demanded => {
                self.demanded = true;
                self.changed(Change::Complete, now, now);
            }
            Event::Unconfirmed => {
                // Whatever is going on ends with a signal as well, or shows that none is needed.
                if self.settling.is_none() && self.owed.is_none() {
                    self.owe(now, None, now);
                }
            }
            Event::PollDue => return (Action::Look, None),
            Event::Woke => {}
            Event::Stopped => {
                let undelivered = self.pending_since().is_some() || self.settling.is_some();
                return (Action::Exit { undelivered }, None);
            }
        }
        let action = match (&self.settling, &self.owed) {
            (Some(settling), _) if settling.due <= now => Action::Look,
            (settling, Some(owed))
                if (settling.is_none() || is_ahead) && self.attempt_at(owed) <= now =>
            {
                Action::Deliver(owed.order)
            }
            _ => Action::Sleep,
        };
        (action, note)
    }

    /// `since`: nothing happened before.
    fn changed(&mut self, change: Change, since: Instant, now: Instant) {
        let settling = self.settling.get_or_insert(Settling {
            first: since,
            last: now,
            limit: now.plus(self.timing.settle_max),
            due: now,
            found: None,
        });
        settling.first = settling.first.min(since);
        settling.last = now;
        settling.due = self.timing.due(change, settling.limit, now);
        settling.found = None;
    }

    /// `is_ahead` is set where a delivery that is due does not wait for the look at what has disturbed this one.
    fn looked(
        &mut self,
        fingerprint: Fingerprint,
        disturbed: Option<Change>,
        now: Instant,
        is_ahead: &mut bool,
    ) -> Option<Note> {
        let is_burst = self.settling.is_some();
        let limit = now.plus(self.timing.settle_max);
        // Without an event the change lies somewhere between two looks.
        let looked_before = core::mem::replace(&mut self.looked_at, now);
        let burst = self.settling.get_or_insert(Settling {
            first: looked_before,
            last: now,
            limit,
            due: now,
            found: Some(self.seen),
        });
        let is_another = burst.found.is_some_and(|found| found != fingerprint);
        if is_another {
            burst.last = now;
        }
        let change = disturbed.or(is_another.then_some(Change::Finished));
        // Whether the look does not count yet.
        let is_put_off = if is_burst {
            // One without an event may come amid a burst.
            now < burst.limit && (change.is_some() || now < burst.due)
        } else {
            is_another
        };
        if is_put_off && !self.demanded {
            if let Some(change) = change {
                burst.last = now;
                burst.due = self.timing.due_after(change, burst.limit, now);
                burst.found = burst.found.map(|_| fingerprint);
            }
            return None;
        }
        let Settling { first, last, .. } = *burst;
        self.settling = None;
        let before = core::mem::replace(&mut self.seen, fingerprint);
        let differs = fingerprint != before;
        let again = disturbed.is_none() && core::mem::take(&mut self.unsure);
        let is_new = differs || again;
        let mut note = differs.then_some(Note::Changed {
            before,
            after: fingerprint,
        });
        match &mut self.owed {
            _ if core::mem::take(&mut self.demanded) => {
                // Whoever starts from now on reads what is there now.
                self.owe(now, None, now).demanded = true;
            }
            // What is owed stays owed to the same processes, and to those that started while it was not there for a moment.
            Some(owed) if !is_new => {
                if is_burst {
                    let since = owed.order.started_between.map_or(first, |(since, _)| since);
                    owed.order.started_between = Some((since, last));
                }
            }
            Some(owed) if self.delivered == Some(fingerprint) && !owed.partly && !owed.demanded => {
                let since = owed.since;
                self.owe(first, Some(since), last);
                note = Some(Note::Reverted);
            }
            None if !is_new => {
                // The content may have been another for a moment, and a process may have started in it.
                if is_burst {
                    self.owe(first, Some(first), last);
                    note = Some(Note::Unchanged);
                }
            }
            _ => {
                self.owe(first, None, last);
            }
        }
        if let Some(change) = disturbed {
            // What changed after it had been read has had its event. A delivery that is due does not wait for the look at it:
            // where something changes all the time, every look is like this.
            *is_ahead = true;
            self.settling = Some(Settling {
                first: last,
                last: now,
                limit,
                due: self.timing.due_after(change, limit, now),
                found: None,
            });
        }
        note
    }

    /// What was seen last is owed to those who started between two moments, or to all who started before the last one.
    /// `first` is when the change began.
    fn owe(&mut self, first: Instant, from: Option<Instant>, last: Instant) -> &mut Owed {
        self.generation = self.generation.wrapping_add(1);
        let order = Order {
            started_before: from.map_or(last, |_| Instant::BOOT),
            started_between: from.map(|from| (from, last)),
            generation: self.generation,
        };
        let owed = self.owed.get_or_insert(Owed {
            order,
            since: first,
            next: first,
            pause: FIRST_PAUSE,
            said: None,
            partly: false,
            demanded: false,
        });
        owed.order = order;
        owed.next = first;
        owed
    }

    fn attempted(&mut self, attempt: Attempt, now: Instant) -> Option<Note> {
        let owed = self.owed.as_mut()?;
        let is_told = attempt.signalled > 0;
        if is_told {
            self.last_signal = Some(now);
            owed.demanded = false;
            self.unsure |= self.settling.is_some();
        }
        let for_everyone = owed.order.is_for_everyone();
        let since_boot =
            (owed.order.started_between).is_some_and(|(from, _)| from == Instant::BOOT);
        let waited_ms = now.since(owed.since);
        let may_be_named = since_boot && waited_ms < NAMED;
        owed.partly |= is_told;
        if let Some(reason) = attempt.waiting {
            let is_nobody = matches!(reason, Waiting::NoProcess | Waiting::PidFile);
            // Nobody may be there who could have read something else, or goes by the name that it will have in a moment.
            if !is_nobody || for_everyone || may_be_named {
                let next = if let Some(at) = attempt.ready_at {
                    // That is the first process's time. Another one may be ready sooner, and nobody knows when.
                    at.min(now.plus(LONGEST_PAUSE))
                } else {
                    let next = now.plus(owed.pause);
                    owed.pause = (owed.pause.times(2)).min(LONGEST_PAUSE);
                    next
                };
                owed.next = next.max(now.plus(Millis(1)));
                let said_before = owed
                    .said
                    .is_some_and(|(said, at)| said == reason && now.since(at) < REPEAT);
                // Where it is not known whether there is anybody, there is nothing to be said about nobody.
                if said_before || (is_nobody && !for_everyone) {
                    return None;
                }
                owed.said = Some((reason, now));
                return Some(Note::StillWaiting(reason));
            }
        }
        let note = if !owed.partly {
            for_everyone.then_some(Note::NotNeeded)
        } else if owed.said.is_some() {
            Some(Note::Arrived {
                after_ms: waited_ms.0,
            })
        } else {
            since_boot.then_some(Note::CaughtUp)
        };
        self.owed = None;
        self.delivered = (!self.unsure).then_some(self.seen);
        note
    }

    fn attempt_at(&self, owed: &Owed) -> Instant {
        match self.last_signal {
            Some(last) if !owed.demanded => owed.next.max(last.plus(self.timing.min_interval)),
            _ => owed.next,
        }
    }
}

impl Timing {
    /// When to look after a change.
    fn due(&self, change: Change, limit: Instant, now: Instant) -> Instant {
        match change {
            Change::Writing => limit,
            Change::Finished | Change::Gone => limit.min(now.plus(self.settle)),
            Change::Complete => now,
        }
    }

    /// When to look again after a look that was disturbed: not at once, because the loop has to come round to anything else
    /// even where there is always something that disturbs.
    fn due_after(&self, change: Change, limit: Instant, now: Instant) -> Instant {
        let due = match change {
            // There is nothing to settle.
            Change::Gone => now,
            Change::Writing | Change::Finished | Change::Complete => self.due(change, limit, now),
        };
        due.max(now.plus(Millis(1)))
    }
}

// WIP #[cfg(test)]
// WIP mod tests;
