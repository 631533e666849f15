//! Every sequence of events, whether or not it makes sense: up to a depth, states that differ in nothing but the clock taken as
//! one.

use super::super::*;
use super::{
    COMPLETE, FINISHED, WOKE, WRITING, at, content, held, looked, looked_unsteadily, told, told_but,
};
use std::collections::HashSet;

const TIMING: Timing = Timing {
    settle_ms: 100,
    settle_max_ms: 300,
    min_interval_ms: 500,
};

/// A machine with what an observer knows of it.
#[derive(Clone, Debug)]
struct Observed {
    reload: Reload,
    now: Instant,
    action: Action,
    /// The first event since the last look that counted.
    first_event: Option<Instant>,
    last_signal: Option<Instant>,
    /// SIGUSR1 came and nobody has been signalled since.
    demanded: bool,
    /// What was last delivered under which generation.
    delivering: Option<(u32, Fingerprint)>,
    path: Vec<(u64, Event)>,
}

impl Observed {
    fn new() -> Self {
        Self {
            reload: Reload::new(TIMING),
            now: at(0),
            action: Action::Sleep,
            first_event: None,
            last_signal: None,
            demanded: false,
            delivering: None,
            path: Vec::new(),
        }
    }

    fn step(&mut self, event: Event) {
        let asked = self.action;
        let machine_demanded = self.reload.demanded;
        let settling = self.reload.settling;
        self.path.push((self.now.ms_since(at(0)), event));
        self.action = self.reload.step(event, self.now).0;
        match event {
            Event::Changed(_) | Event::Resumed(_) => {
                self.first_event.get_or_insert(self.now);
            }
            Event::Demanded => {
                self.demanded = true;
                self.first_event.get_or_insert(self.now);
            }
            Event::Looked { disturbed, .. } => {
                let steady = disturbed.is_none();
                let put_off = self.first_event.filter(|first| {
                    first.plus_ms(TIMING.settle_max_ms) > self.now && !machine_demanded
                });
                let found = self.reload.settling.and_then(|settling| settling.found);
                self.first_event = match (steady, settling) {
                    // Without an event, another look has to find the same.
                    _ if found.is_some() => put_off.or(Some(self.now)),
                    // It came before its time.
                    (true, Some(settling)) if settling.due > self.now => put_off,
                    (true, _) => None,
                    // What disturbed the look is an event of its own if the look counts all the same.
                    (false, _) => put_off.or(Some(self.now)),
                };
            }
            Event::Attempted(attempt)
                if attempt.signalled > 0 && matches!(asked, Action::Deliver(_)) =>
            {
                self.last_signal = Some(self.now);
                self.demanded = false;
            }
            Event::Started { .. }
            | Event::Attempted(_)
            | Event::PollDue
            | Event::Unconfirmed
            | Event::Woke
            | Event::Stopped => {}
        }
        self.check(event);
    }

    fn must(&self, holds: bool, rule: &str) {
        assert!(
            holds,
            "{rule}: broken by {:#?} {:#?}",
            self.path, self.reload
        );
    }

    fn check(&mut self, event: Event) {
        let Reload {
            settling,
            owed,
            delivered,
            seen,
            unsure,
            ..
        } = self.reload;
        // Before the first look nothing is known, and nothing is owed.
        let is_delivered = delivered == Some(seen) || seen == Fingerprint::default();
        let deadline = self.reload.deadline();
        self.must(
            deadline.is_some() == (settling.is_some() || owed.is_some()),
            "a deadline while there is something to do, and only then",
        );
        self.must(
            is_delivered || owed.is_some() || unsure,
            "what is not delivered is owed",
        );
        self.must(
            !unsure || settling.is_some() || owed.is_some(),
            "what is not sure is looked at or owed",
        );
        self.must(
            self.reload.changed_since().is_some() == owed.is_some(),
            "what is owed has a beginning",
        );
        if let (Some(first), false) = (self.first_event, self.action == Action::Look) {
            let limit = first.plus_ms(TIMING.settle_max_ms).max(self.now.plus_ms(1));
            self.must(
                deadline.is_some_and(|deadline| deadline <= limit),
                "a look follows after the longest time",
            );
        }
        match self.action {
            Action::Sleep => self.must(
                deadline.is_none_or(|at| at > self.now),
                "asleep, the deadline lies ahead",
            ),
            Action::Deliver(order) => {
                let interval_is_over = self
                    .last_signal
                    .is_none_or(|last| last.plus_ms(TIMING.min_interval_ms) <= self.now);
                self.must(
                    interval_is_over || self.demanded,
                    "two signals keep the least interval",
                );
                let (generation, content) = self
                    .delivering
                    .replace((order.generation, seen))
                    .unwrap_or((0, seen));
                self.must(
                    generation != order.generation || content == seen,
                    "one generation, one content",
                );
            }
            Action::Look => self.must(
                settling.is_some() || event == Event::PollDue,
                "a look has a cause",
            ),
            Action::Exit { undelivered } => {
                // Whether anybody is to be caught up with is not known before that was tried.
                let catching_up = owed.is_some_and(|owed| !owed.order.is_for_everyone());
                self.must(
                    undelivered || settling.is_none() && (is_delivered || catching_up),
                    "what is not delivered is said",
                );
            }
        }
        self.must(
            (event == Event::Stopped) == matches!(self.action, Action::Exit { .. }),
            "it ends when it is asked to",
        );
    }

    /// Everything that what comes next depends on, times as seen from now.
    fn key(&self) -> impl Eq + std::hash::Hash + use<> {
        let relative = |instant: Instant| {
            (instant.0 as i64)
                .wrapping_sub(self.now.0 as i64)
                .max(-61_000_000_000)
        };
        let machine = &self.reload;
        let number = |fingerprint: Fingerprint| fingerprint.number();
        (
            machine.settling.map(|it| {
                (
                    [it.first, it.last, it.limit, it.due].map(relative),
                    it.found.map(number),
                )
            }),
            machine.owed.map(|it| {
                let between = it
                    .order
                    .started_between
                    .map(|(first, last)| [first, last].map(relative));
                let said = it.said.map(|(reason, at)| (reason as u8, relative(at)));
                (
                    [it.order.started_before, it.since, it.next].map(relative),
                    between,
                    it.pause_ms,
                    said,
                    it.partly,
                    it.demanded,
                )
            }),
            (
                machine.delivered.map(number),
                number(machine.seen),
                machine.demanded,
                machine.unsure,
            ),
            (
                relative(machine.looked_at),
                machine.last_signal.map(relative),
                self.last_signal.map(relative),
            ),
            (
                self.first_event.map(relative),
                self.demanded,
                matches!(self.action, Action::Deliver(_)),
            ),
        )
    }
}

/// Tries every sequence of `depth` events after the first look, where `makes_sense` says so. Returns how many states there are.
fn explore(
    alphabet: &[Event],
    waits_ms: &[u64],
    depth: usize,
    makes_sense: fn(&Action, &Event) -> bool,
) -> usize {
    let mut frontier = vec![Observed::new(); 3];
    frontier[1].step(Event::Started {
        fingerprint: content(0),
        catch_up: None,
    });
    frontier[2].step(Event::Started {
        fingerprint: content(0),
        catch_up: Some(at(0)),
    });
    let mut known = HashSet::new();
    for _ in 0..depth {
        let mut next = Vec::new();
        for observed in &frontier {
            let to_deadline_ms = observed
                .reload
                .deadline()
                .map_or(0, |deadline| deadline.ms_since(observed.now));
            for event in alphabet
                .iter()
                .filter(|event| makes_sense(&observed.action, event))
            {
                for ms in waits_ms.iter().chain([&to_deadline_ms]) {
                    let mut observed = observed.clone();
                    observed.now = observed.now.plus_ms(*ms);
                    observed.step(*event);
                    if known.insert(observed.key()) {
                        next.push(observed);
                    }
                }
            }
        }
        frontier = next;
    }
    known.len()
}

fn alphabet() -> [Event; 19] {
    let young = Event::Attempted(Attempt {
        signalled: 0,
        waiting: Some((Waiting::TooYoung, Some(at(900)))),
    });
    [
        WRITING,
        FINISHED,
        COMPLETE,
        Event::Resumed(Change::Finished),
        looked(0),
        looked(1),
        looked_unsteadily(0),
        looked_unsteadily(1),
        told(0),
        told(1),
        told_but(1, Waiting::NotPermitted),
        held(Waiting::NoProcess),
        held(Waiting::Guarded),
        young,
        Event::Demanded,
        Event::PollDue,
        Event::Unconfirmed,
        WOKE,
        Event::Stopped,
    ]
}

#[test]
fn any_event_may_come_in_any_state() {
    let states = explore(&alphabet(), &[30], 3, |_, _| true);
    assert!(states > 5_000, "{states}");
}

/// What can come while `action` is carried out, as `run.rs` does it.
fn answers(action: &Action, event: &Event) -> bool {
    match action {
        Action::Sleep => !matches!(event, Event::Looked { .. } | Event::Attempted(_)),
        // A look can be broken off for SIGUSR1.
        Action::Look => matches!(event, Event::Looked { .. } | Event::Demanded),
        Action::Deliver(_) => matches!(event, Event::Attempted(_)),
        Action::Exit { .. } => false,
    }
}

#[test]
fn any_event_may_come_in_any_state_that_the_loop_can_bring_about() {
    let states = explore(&alphabet(), &[30], 5, answers);
    assert!(states > 50_000, "{states}");
}

#[test]
fn the_events_that_matter_most_may_come_in_any_order_for_long() {
    let alphabet = [
        FINISHED,
        looked(0),
        looked(1),
        looked_unsteadily(1),
        told(1),
        told_but(1, Waiting::NotPermitted),
        Event::Demanded,
        WOKE,
    ];
    let states = explore(&alphabet, &[], 14, answers);
    assert!(states > 50_000, "{states}");
}
