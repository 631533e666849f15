//! Tries every sequence of events, whether or not it makes sense, up to a depth. States that behave alike from now on are merged;
//! a test of its own checks that they do.

use super::super::*;
use super::{
    COMPLETE, FINISHED, WOKE, WRITING, at, content, scanned, scanned_amid_change, signalled,
    signalled_except, waiting,
};
use crate::base::time::Millis;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::rc::Rc;
use std::sync::LazyLock;

const TIMING: Timing = Timing {
    settle: Millis(100),
    settle_max: Millis(300),
    min_interval: Millis(500),
};

/// A machine and an observer's record of it.
#[derive(Clone, Debug)]
struct Observed {
    reload: Reload,
    now: Instant,
    action: Action,
    /// The first event since the last scan that counted.
    first_event: Option<Instant>,
    last_signal: Option<Instant>,
    /// The first scan was made.
    is_started: bool,
    /// SIGUSR1 came and no process has been signalled since.
    requested: bool,
    /// The content last delivered, with its generation.
    delivering: Option<(u32, Fingerprint)>,
    path: Option<Rc<Step>>,
}

/// The steps that led to a state: the last event with its time in milliseconds, after the earlier steps.
#[derive(Debug)]
struct Step(Option<Rc<Step>>, u64, Event);

impl Observed {
    fn new() -> Self {
        Self {
            reload: Reload::new(TIMING),
            now: at(0),
            action: Action::Sleep,
            first_event: None,
            last_signal: None,
            is_started: false,
            requested: false,
            delivering: None,
            path: None,
        }
    }

    fn step(&mut self, event: Event) {
        let asked = self.action;
        let was_requested = self.reload.is_requested;
        let burst = self.reload.burst;
        let before = self.path.take();
        self.path = Some(Rc::new(Step(before, self.now.since(at(0)).0, event)));
        self.action = self.reload.step(event, self.now).0;
        match event {
            Event::Changed(..) => {
                self.first_event.get_or_insert(self.now);
            }
            Event::Requested => {
                self.requested = true;
                self.first_event.get_or_insert(self.now);
            }
            Event::Scanned(Scan { disturbed, .. }) => {
                let steady = disturbed.is_none();
                let put_off = self
                    .first_event
                    .filter(|first| first.plus(TIMING.settle_max) > self.now && !was_requested);
                let found = self.reload.burst.and_then(|burst| burst.found);
                self.first_event = match (steady, burst) {
                    // Without an event, another scan has to find the same.
                    _ if found.is_some() => put_off.or(Some(self.now)),
                    // The scan came early, or found activity where nothing was watched.
                    (true, Some(_)) if self.reload.burst.is_some() => put_off,
                    (true, _) => None,
                    // The disturbance is an event of its own if the scan counts all the same.
                    (false, _) => put_off.or(Some(self.now)),
                };
            }
            Event::Attempted(attempt)
                if attempt.signalled > 0 && matches!(asked, Action::Deliver(_)) =>
            {
                self.last_signal = Some(self.now);
                self.requested = false;
            }
            Event::Started { .. } => self.is_started = true,
            Event::Attempted(_)
            | Event::PollDue
            | Event::Unconfirmed
            | Event::Woke
            | Event::Stopped => {}
        }
        self.check(event);
    }

    fn must(&self, holds: bool, rule: &str) {
        if !holds {
            let mut path = Vec::new();
            let mut step = &self.path;
            while let Some(last) = step {
                path.push((last.1, last.2));
                step = &last.0;
            }
            path.reverse();
            panic!("{rule}: broken by {path:#?} {:#?}", self.reload);
        }
    }

    fn check(&mut self, event: Event) {
        let Reload {
            burst,
            pending,
            delivered,
            seen,
            is_unsure,
            ..
        } = self.reload;
        // Before the first scan nothing is seen and nothing is pending.
        let is_delivered = delivered == Some(seen) || seen == Fingerprint::default();
        let deadline = self.reload.deadline();
        self.must(
            deadline.is_some() == (burst.is_some() || pending.is_some()),
            "a deadline while there is something to do, and only then",
        );
        self.must(
            is_delivered || pending.is_some() || is_unsure,
            "undelivered content is pending",
        );
        self.must(
            !is_unsure || burst.is_some() || pending.is_some(),
            "while unsure, a scan or a delivery is due",
        );
        self.must(
            self.reload.changed_since().is_some() == pending.is_some(),
            "a pending delivery has a beginning",
        );
        if let (Some(first), false) = (self.first_event, self.action == Action::Scan) {
            let limit = first.plus(TIMING.settle_max).max(self.now.plus(Millis(1)));
            self.must(
                deadline.is_some_and(|deadline| deadline <= limit),
                "a scan follows within the settle maximum",
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
                    .is_none_or(|last| last.plus(TIMING.min_interval) <= self.now);
                self.must(
                    interval_is_over || self.requested,
                    "two signals keep the minimum interval",
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
            Action::Scan => self.must(
                burst.is_some() || event == Event::PollDue,
                "a scan has a cause",
            ),
            Action::Exit { undelivered } => {
                // Only an attempt shows whether any process needs the catch-up.
                let catching_up = pending.is_some_and(|pending| !pending.order.is_for_everyone());
                self.must(
                    undelivered || burst.is_none() && (is_delivered || catching_up),
                    "a stop reports undelivered content",
                );
            }
        }
        self.must(
            (event == Event::Stopped) == matches!(self.action, Action::Exit { .. }),
            "it exits when stopped, and only then",
        );
    }

    /// Returns the time until `instant`: 0 if that is past, however long ago.
    fn until(&self, instant: Instant) -> u64 {
        instant
            .as_nanoseconds()
            .saturating_sub(self.now.as_nanoseconds())
    }

    /// Returns everything that the next steps depend on. Of an instant in the past, that is only that it is past: the times at
    /// which a change began and ended are passed on in orders and notes, and decide nothing here.
    fn key(&self) -> [u64; 13] {
        const NONE: u64 = u64::MAX;
        let machine = &self.reload;
        let number = |it: Option<Fingerprint>| it.map_or(NONE, Fingerprint::number);
        let until = |it: Option<Instant>| it.map_or(NONE, |it| self.until(it));
        let interval = |it: Instant| it.plus(TIMING.min_interval);
        let reaction = |it: Instant| it.plus(REACTION);
        let exposes = |first| machine.last_signal.is_some_and(|it| first < reaction(it));
        let (burst, pending) = (machine.burst, machine.pending);
        let of_this_generation = (self.delivering)
            .filter(|(generation, _)| *generation == machine.generation)
            .map(|(_, content)| content);
        let flags = [
            burst.is_some(),
            burst.is_some_and(|it| it.is_complete),
            burst.is_some_and(|it| exposes(it.first)),
            burst.is_some_and(|it| exposes(it.last)),
            exposes(machine.scanned_at),
            pending.is_some_and(|it| it.is_exposed),
            pending.is_some_and(|it| it.order.is_for_everyone()),
            pending.is_some_and(|it| it.reported.is_some()),
            pending.is_some_and(|it| it.is_partial),
            pending.is_some_and(|it| it.is_requested),
            machine.missing.roots != 0,
            exposes(machine.missing.since),
            machine.is_requested,
            machine.is_unsure,
            self.is_started,
            self.requested,
            self.action == Action::Scan,
            matches!(self.action, Action::Deliver(_)),
            matches!(self.action, Action::Exit { .. }),
        ];
        [
            until(burst.map(|it| it.limit)),
            until(burst.map(|it| it.due)),
            number(burst.and_then(|it| it.found)),
            until(pending.map(|it| it.next)),
            pending.map_or(NONE, |it| it.pause.0),
            number(machine.delivered),
            number(Some(machine.seen)),
            until(machine.last_signal.map(interval)),
            until(self.last_signal.map(interval)),
            until(machine.last_signal.map(reaction)),
            until((self.first_event).map(|it| it.plus(TIMING.settle_max))),
            number(of_this_generation),
            (flags.iter()).fold(0, |bits, flag| bits << 1 | u64::from(*flag)),
        ]
    }

    /// Returns the whole state relative to now, but for the numbers of the orders, of which it matters only whether they differ.
    fn identity(&self) -> impl Eq + Hash + use<> {
        let machine = &self.reload;
        let ago = |instant: Instant| {
            instant
                .as_nanoseconds()
                .wrapping_sub(self.now.as_nanoseconds())
        };
        (
            self.key(),
            machine
                .burst
                .map(|it| [it.first, it.last, it.limit, it.due].map(ago)),
            machine.pending.map(|it| {
                (
                    [it.order.started_before, it.since, it.next].map(ago),
                    it.order
                        .started_between
                        .map(|(first, last)| [first, last].map(ago)),
                    it.reported.map(|(reason, at)| (reason as u8, ago(at))),
                )
            }),
            [Some(machine.scanned_at), machine.last_signal].map(|it| it.map(ago)),
            [self.last_signal, self.first_event].map(|it| it.map(ago)),
        )
    }

    /// Visits the states that can follow: after each possible event, at once, soon, and at the deadline.
    fn successors(&self, can_come: CanCome, mut visit: impl FnMut(Self)) {
        let to_deadline_ms = (self.reload.deadline()).map_or(0, |at| at.since(self.now).0);
        let mut waits_ms = [0, SOON.0, to_deadline_ms];
        waits_ms.sort_unstable();
        for (at, ms) in waits_ms.into_iter().enumerate() {
            if waits_ms[..at].contains(&ms) {
                continue;
            }
            let now = self.now.plus(Millis(ms));
            for event in alphabet(now).filter(|event| can_come(self, event)) {
                let mut next = self.clone();
                next.now = now;
                next.step(event);
                visit(next);
            }
        }
    }
}

/// Less than any of the machine's settings.
const SOON: Millis = Millis(30);

/// Returns true if an event can come in a state.
type CanCome = fn(&Observed, &Event) -> bool;

/// Returns the states from which to explore: before the first scan, and after it.
fn beginnings() -> Vec<Observed> {
    let started = |catch_up| {
        let mut observed = Observed::new();
        observed.step(Event::Started {
            fingerprint: content(0),
            catch_up,
        });
        observed
    };
    vec![Observed::new(), started(None), started(Some(at(0)))]
}

/// Tries every sequence of `depth` events. Returns the number of states, by `key`, and the number of steps.
fn explore<K: Eq + Hash>(
    depth: usize,
    can_come: CanCome,
    key: impl Fn(&Observed) -> K,
    mut visit: impl FnMut(&Observed),
) -> (usize, usize) {
    let mut frontier = beginnings();
    let mut visited: HashSet<K> = frontier.iter().map(&key).collect();
    let mut steps = 0;
    for _ in 0..depth {
        let mut next = Vec::new();
        for observed in &frontier {
            visit(observed);
            observed.successors(can_come, |successor| {
                steps += 1;
                if visited.insert(key(&successor)) {
                    next.push(successor);
                }
            });
        }
        frontier = next;
    }
    (visited.len(), steps)
}

/// Returns every event, with times relative to now.
fn alphabet(now: Instant) -> impl Iterator<Item = Event> {
    static SEEN_FIRST: LazyLock<Fingerprint> = LazyLock::new(|| content(0));
    static TIMELESS: LazyLock<Vec<Event>> = LazyLock::new(|| {
        vec![
            WRITING,
            FINISHED,
            COMPLETE,
            Event::Changed(Change::Gone, Instant::NEVER),
            Event::Changed(Change::Finished, at(0)),
            scanned(0),
            scanned(1),
            scanned_amid_change(0),
            scanned_amid_change(1),
            Event::Scanned(Scan {
                fingerprint: content(0),
                missing: 1,
                disturbed: None,
                newly_watched: None,
            }),
            Event::Scanned(Scan {
                fingerprint: content(1),
                missing: 0,
                disturbed: Some(Change::Gone),
                newly_watched: None,
            }),
            signalled(0),
            signalled(1),
            signalled_except(1, Waiting::NotPermitted),
            waiting(Waiting::NoProcess),
            waiting(Waiting::Guarded),
            Event::Requested,
            Event::PollDue,
            Event::Unconfirmed,
            WOKE,
            Event::Stopped,
        ]
    });
    let started = |catch_up| Event::Started {
        fingerprint: *SEEN_FIRST,
        catch_up,
    };
    let young = Event::Attempted(Attempt {
        signalled: 0,
        waiting: Some(Waiting::TooYoung),
        ready_at: Some(now.plus(Millis(200))),
    });
    let active = super::newly_watched(1, now);
    let timed = [young, active, started(None), started(Some(now))];
    TIMELESS.iter().copied().chain(timed)
}

/// Returns true unless the event is a first scan: there is only one, and it comes first.
fn anything(_: &Observed, event: &Event) -> bool {
    !matches!(event, Event::Started { .. })
}

/// Returns true if the event can come while the loop carries out the last action.
fn follows_action(observed: &Observed, event: &Event) -> bool {
    let is_scan = matches!(event, Event::Scanned(Scan { .. }));
    let is_delivery = matches!(event, Event::Attempted(_));
    if !observed.is_started && !matches!(observed.action, Action::Exit { .. }) {
        // A signal interrupted the first scan, and interrupts any other scan as well. Nothing was sent yet.
        return !is_scan && !is_delivery && *event != Event::Unconfirmed;
    }
    match observed.action {
        _ if matches!(event, Event::Started { .. }) => false,
        Action::Sleep => !is_scan && !is_delivery,
        // A signal may interrupt the scan, and then any other event may come.
        Action::Scan => !is_delivery,
        Action::Deliver(_) => is_delivery,
        Action::Exit { .. } => false,
    }
}

#[test]
fn any_event_may_come_in_any_state() {
    let (states, steps) = explore(4, anything, Observed::key, |_| ());
    assert!(states > 20_000 && steps > 100_000, "{states}, {steps}");
}

#[test]
fn any_event_may_come_in_any_state_that_the_loop_can_bring_about() {
    let (states, steps) = explore(8, follows_action, Observed::key, |_| ());
    println!("{states} states, {steps} steps");
    assert!(states > 200_000 && steps > 2_000_000, "{states}, {steps}");
}

/// States with the same key must behave alike, or the exploration would miss the successors of all but one.
#[test]
fn states_with_the_same_key_behave_alike() {
    let mut behaviours = HashMap::new();
    let mut merged = 0;
    explore(4, anything, Observed::identity, |observed| {
        let mut behaviour = Vec::new();
        observed.successors(anything, |successor| behaviour.push(successor.key()));
        match behaviours.entry(observed.key()) {
            Entry::Vacant(entry) => _ = entry.insert((behaviour, observed.clone())),
            Entry::Occupied(entry) => {
                merged += 1;
                let (other, one) = entry.get();
                assert!(*other == behaviour, "{one:#?} {observed:#?}");
            }
        }
    });
    println!("{merged} merged");
    assert!(merged > 1_000, "{merged}");
}
