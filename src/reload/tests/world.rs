//! A simulation of the machine and its surroundings: a disk with one of three contents, up to two processes that read it when
//! they start and when they are signalled, and an observer that carries out the actions as `run.rs` and `deliver.rs` do.
//!
//! These rules hold after every sequence of operations tried:
//! - **No change is lost.** Some seconds after the last event every process that may be signalled has last read what is on disk.
//!   When all may be, the machine is asleep without a deadline.
//! - **No signal without a cause.** Since the process last read, the content may have changed, as an event shows, or SIGUSR1
//!   came.
//! - **No signal without a need.** The process last read other content than is on disk, or SIGUSR1 came. The exceptions are the
//!   cases in which the machine cannot tell what the process has read:
//!   - it started amid a burst, within the clock tick of an event, or while a reload was pending, and the content has changed
//!     since: earlier content is not remembered;
//!   - it started after the last scan, the sidecar was stopped later, and there was an event until it was continued;
//!   - the content changed soon after a signal, and who was signalled may have read that late;
//!   - some process was signalled while the root was away, or soon before, and may not have found it;
//!   - another process was signalled for such content and this one was not: the delivery is pending for both;
//!   - the content changed while it was being scanned, or there are no events.
//! - **Two signals keep the minimum interval**, but for the one after SIGUSR1.
//! - **A stop that leaves a process behind says so**, but for one that started in a burst which ended as it began.
//! - **The machine never spins**: asleep, its deadline lies ahead.
//!
//! The first process reads at once, the second a while after its signal. What that one reads may be gone before the next scan. Then
//! it goes unnoticed: the price of sending no signal for a file that is written and put back.

// The observer keeps track of many independent conditions.
#![allow(clippy::struct_excessive_bools)]

use super::super::*;
use super::{Random, content};
use crate::base::time::{Millis, TICK};

const TIMING: Timing = Timing {
    settle: Millis(100),
    settle_max: Millis(2_000),
    min_interval: Millis(1_000),
};
/// The content that a process reads while the root is missing.
const NOTHING: usize = 9;
/// The time that the second process takes from a signal to reading.
const SLOWNESS: Millis = Millis(400);
/// The interval at which the content is compared without events.
const POLL: Millis = Millis(5_000);
/// Long enough for everything that is not hindered: a burst, the minimum interval and the longest pause.
const CALM: Millis = Millis(TIMING.settle_max.0 + TIMING.min_interval.0 + pending::LONGEST_PAUSE.0);

/// An operation on the world. Contents and processes by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    /// The content is written and the file closed.
    Write(usize),
    /// The content is written and the file stays open.
    Begin(usize),
    /// The content is exchanged as `AtomicWriter` does it.
    Update(usize),
    /// The content is written during the next scan: after it was read, or before, with the event still to come.
    WriteDuringScan(usize),
    WriteBeforeReading(usize),
    /// The content is written where nothing is armed yet, as in a directory created in this burst.
    WriteUnwatched(usize),
    /// An event that changes nothing.
    Touch,
    /// The root goes away, and comes back as it was.
    Away,
    Back,
    /// The process starts, or ends, or ends and starts again.
    Start(usize),
    End(usize),
    Restart(usize),
    /// The process may no longer be signalled, or may again.
    Deny(usize),
    Allow(usize),
    /// SIGUSR1; the same during the next scan, which it interrupts.
    Request,
    RequestDuringScan,
    /// It is time to compare the content without an event.
    Poll,
    /// Time passes, in milliseconds; the same while the sidecar gets no processor time.
    Pass(u64),
    Freeze(u64),
    /// SIGSTOP and SIGCONT.
    Stop,
    Continue,
}
use Op::{
    Allow, Away, Back, Begin, Continue, Deny, End, Freeze, Pass, Poll, Request, RequestDuringScan,
    Restart, Start, Stop, Touch, Update, Write, WriteBeforeReading, WriteDuringScan,
    WriteUnwatched,
};

#[derive(Clone, Copy, PartialEq, Debug)]
struct App {
    pid: u32,
    /// Cut to the tick.
    start: Instant,
    read: usize,
    read_at: Instant,
    /// The content may have changed since it read, as far as its start time tells.
    may_be_outdated: bool,
    /// Since it read, SIGUSR1 came.
    requested: bool,
    /// It started amid a burst, or in the tick of an event, or while a reload was pending.
    amid: bool,
    /// It read content that no scan saw, and that gave no event.
    read_unseen: bool,
    /// When it will read, if it has been signalled and has not read since.
    reading_at: Option<Instant>,
    /// It read late, and no scan counted that saw the same content.
    read_briefly: bool,
}

#[derive(Clone, Debug)]
struct World {
    reload: Reload,
    now: Instant,
    min_age: Millis,
    disk: usize,
    /// The root is missing.
    is_away: bool,
    away_since: Instant,
    /// There are no events: changes are found by comparing at intervals.
    blind: bool,
    last_scan: Instant,
    /// The sidecar is stopped, and later events wait.
    is_stopped: bool,
    waiting: Option<Change>,
    seen: usize,
    /// When content was written where nothing was armed.
    unwatched: Option<Instant>,
    /// Happens during the next scan.
    during: Option<Op>,
    apps: [Option<App>; 2],
    denied: [bool; 2],
    next_pid: u32,
    signalled: Vec<u32>,
    generation: u32,
    last_event: Instant,
    last_request: Instant,
    last_signal: Option<Instant>,
    /// SIGUSR1 came and no process has been signalled since.
    requested: bool,
    /// Since the machine was last idle, some processes were signalled and others not; the content changed during a scan.
    partly: bool,
    unsteady: bool,
    broken: Option<&'static str>,
}

impl World {
    /// Returns a world with one process, which has read the current content.
    fn new(min_age: Millis) -> Self {
        let mut world = Self::before_start(min_age);
        world.handle(Event::Started {
            fingerprint: content(0),
            catch_up: None,
        });
        world
    }

    /// Returns a world with one process, which has read older content than there is when the sidecar starts.
    fn behind() -> Self {
        let mut world = Self::before_start(Millis(0));
        world.apps[0].as_mut().unwrap().read = 2;
        let catch_up = Some(world.now);
        world.pass(60_000);
        world.handle(Event::Started {
            fingerprint: content(0),
            catch_up,
        });
        world
    }

    /// Returns a world in which inotify does not work.
    fn blind() -> Self {
        Self {
            blind: true,
            ..Self::new(Millis(0))
        }
    }

    fn before_start(min_age: Millis) -> Self {
        let now = super::at(0);
        let mut world = Self {
            reload: Reload::new(TIMING),
            now,
            min_age,
            disk: 0,
            is_away: false,
            away_since: now,
            blind: false,
            last_scan: now,
            is_stopped: false,
            waiting: None,
            seen: 0,
            unwatched: None,
            during: None,
            apps: [None; 2],
            denied: [false; 2],
            next_pid: 1,
            signalled: Vec::new(),
            generation: 0,
            last_event: Instant::BOOT,
            last_request: Instant::BOOT,
            last_signal: None,
            requested: false,
            partly: false,
            unsteady: false,
            broken: None,
        };
        world.start(0);
        world.now = now.plus(Millis(3_600_000));
        world
    }

    fn must(&mut self, holds: bool, rule: &'static str) {
        if !holds {
            self.broken.get_or_insert(rule);
        }
    }

    /// Returns true if the operation makes sense in this state.
    fn apply(&mut self, op: Op) -> bool {
        match op {
            Write(_) | Begin(_) | Update(_) | Away | WriteDuringScan(_) | WriteBeforeReading(_)
                if self.is_away =>
            {
                return false;
            }
            WriteUnwatched(_) | Touch if self.is_away => return false,
            Away if self.blind => return false,
            Away => {
                self.read();
                self.is_away = true;
                // The burst that it belongs to may have begun before.
                self.away_since =
                    (self.reload.burst).map_or(self.now, |burst| burst.first.min(self.now));
                self.write(self.disk, Change::Finished);
            }
            Back if !self.is_away => return false,
            Back => {
                self.read();
                self.is_away = false;
                let away_since = self.away_since;
                let signalled = (self.last_signal).is_some_and(|at| away_since < at.plus(REACTION));
                for app in self.apps.iter_mut().flatten() {
                    app.amid |= signalled;
                }
                self.write(self.disk, Change::Finished);
            }
            Write(new) | Begin(new) | Update(new) if new == self.disk => return false,
            Write(new) => self.write(new, Change::Finished),
            Begin(new) => self.write(new, Change::Writing),
            Update(new) => self.write(new, Change::Complete),
            WriteDuringScan(_) | WriteBeforeReading(_) | RequestDuringScan => {
                self.during = Some(op)
            }
            WriteUnwatched(new) => {
                // The scan that is due arms it.
                if self.reload.burst.is_none() || self.blind {
                    return false;
                }
                self.change_content(new);
                self.unwatched = Some(self.now);
            }
            Touch => self.write(self.disk, Change::Finished),
            Start(at) if self.apps[at].is_none() => self.start(at),
            End(at) if self.apps[at].is_some() => self.apps[at] = None,
            Restart(at) if self.apps[at].is_some() => self.start(at),
            Deny(at) if !self.denied[at] => self.denied[at] = true,
            Allow(at) if self.denied[at] => self.denied[at] = false,
            Stop if !self.is_stopped => self.is_stopped = true,
            Continue if self.is_stopped => {
                self.is_stopped = false;
                if let Some(change) = self.waiting.take() {
                    // It happened at some time between the last scan and now.
                    self.last_event = self.now;
                    self.away_since = self.away_since.min(self.last_scan);
                    for app in self.apps.iter_mut().flatten() {
                        let uncertain = app.start.plus(TICK) > self.last_scan;
                        app.may_be_outdated |= uncertain;
                        app.amid |= uncertain;
                        app.amid |=
                            (self.last_signal).is_some_and(|at| self.last_scan < at.plus(REACTION));
                    }
                    self.handle(Event::Changed(change, self.last_scan));
                }
                self.pass(0);
            }
            Request | Poll if self.is_stopped => return false,
            Start(_) | End(_) | Restart(_) | Deny(_) | Allow(_) | Stop | Continue => return false,
            Request => {
                self.request();
                self.handle(Event::Requested);
            }
            Poll => self.handle(Event::PollDue),
            Pass(ms) => self.pass(ms),
            Freeze(ms) => self.now = self.now.plus(Millis(ms)),
        }
        true
    }

    fn request(&mut self) {
        self.requested = true;
        self.last_request = self.now;
        for app in self.apps.iter_mut().flatten() {
            app.requested = true;
        }
    }

    fn start(&mut self, at: usize) {
        let tick_ns = TICK.0 * 1_000_000;
        let start = Instant::from_nanoseconds(self.now.as_nanoseconds() / tick_ns * tick_ns);
        self.apps[at] = Some(App {
            pid: self.next_pid,
            start,
            read: self.readable(),
            read_at: self.now,
            may_be_outdated: start <= self.last_event,
            requested: start <= self.last_request,
            amid: start <= self.last_event || self.reload.deadline().is_some(),
            read_unseen: false,
            reading_at: None,
            read_briefly: false,
        });
        self.next_pid += 1;
    }

    /// Returns what a process reads now.
    fn readable(&self) -> usize {
        if self.is_away { NOTHING } else { self.disk }
    }

    /// Lets the processes read that are slow to do so.
    fn read(&mut self) {
        let readable = self.readable();
        for app in self.apps.iter_mut().flatten() {
            if app.reading_at.is_some_and(|at| at <= self.now) {
                app.read_at = app.reading_at.take().unwrap();
                app.read = readable;
                app.read_briefly = true;
            }
            // A scan that counts has seen the same.
            app.read_briefly &= match app.read {
                NOTHING => self.reload.missing.roots == 0,
                read => self.reload.seen != content(read),
            };
        }
    }

    fn change_content(&mut self, new: usize) {
        self.read();
        self.disk = new;
        self.last_event = self.now;
        for app in self.apps.iter_mut().flatten() {
            app.may_be_outdated = true;
            // Its start may as well have come after this.
            app.amid |= app.start.plus(TICK) > self.now;
            // The machine does not tell those who were signalled from the others.
            app.amid |= (self.last_signal).is_some_and(|at| self.now < at.plus(REACTION));
        }
    }

    fn write(&mut self, new: usize, change: Change) {
        self.change_content(new);
        if self.blind {
            return;
        }
        if self.is_stopped {
            self.waiting = self.waiting.max(Some(change));
        } else {
            self.handle(Event::Changed(change, Instant::NEVER));
        }
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now.plus(Millis(ms));
        while self.broken.is_none() && !self.is_stopped {
            let deadline = self.reload.deadline().map(|at| (at, Event::Woke));
            let poll_at = self
                .blind
                .then(|| (self.last_scan.plus(POLL), Event::PollDue));
            let next = [deadline, poll_at]
                .into_iter()
                .flatten()
                .min_by_key(|(at, _)| *at);
            let Some((at, event)) = next.filter(|(at, _)| *at <= end) else {
                break;
            };
            self.now = at.max(self.now);
            self.handle(event);
        }
        self.now = end;
    }

    /// Makes a scan.
    fn scan(&mut self) -> Event {
        let scanned_before = core::mem::replace(&mut self.last_scan, self.now);
        let is_away = self.is_away;
        let is_possible = |op: &Op| !is_away || *op == RequestDuringScan;
        let during = self.during.take().filter(is_possible);
        if let Some(RequestDuringScan) = during {
            self.request();
            return Event::Requested;
        }
        if let Some(WriteBeforeReading(new)) = during {
            self.change_content(new);
        }
        let fingerprint = content(self.disk);
        if core::mem::replace(&mut self.seen, self.disk) == self.disk && self.blind {
            for app in self.apps.iter_mut().flatten() {
                app.read_unseen |= app.read != self.disk && app.read_at >= scanned_before;
            }
        }
        if let Some(WriteDuringScan(new)) = during {
            self.change_content(new);
        }
        let newly_watched = self.unwatched.take();
        if newly_watched.is_some() {
            // The write may have happened at any time until now.
            self.last_event = self.now;
            for app in self.apps.iter_mut().flatten() {
                app.may_be_outdated = true;
                app.amid = true;
            }
        }
        let steady = during.is_none() || self.blind;
        self.unsteady |= !steady;
        Event::Scanned(Scan {
            fingerprint,
            missing: u64::from(self.is_away),
            disturbed: (!steady).then_some(Change::Finished),
            newly_watched,
        })
    }

    fn handle(&mut self, mut event: Event) {
        for _ in 0..10 {
            let action = self.reload.step(event, self.now).0;
            self.read();
            event = match action {
                Action::Sleep => {
                    let deadline = self.reload.deadline();
                    self.must(
                        deadline.is_none_or(|at| at > self.now),
                        "asleep, the deadline lies ahead",
                    );
                    if deadline.is_none() {
                        (self.partly, self.unsteady) = (false, false);
                    }
                    return;
                }
                Action::Scan => self.scan(),
                Action::Deliver(order) => Event::Attempted(self.attempt(order)),
                Action::Exit { .. } => return self.must(false, "ends only when asked to"),
            }
        }
        self.must(false, "the machine comes to rest");
    }

    fn attempt(&mut self, order: Order) -> Attempt {
        if order.generation != self.generation {
            self.generation = order.generation;
            self.signalled.clear();
        }
        let mut attempt = Attempt {
            signalled: 0,
            waiting: None,
            ready_at: None,
        };
        let mut by_pid = [0, 1];
        by_pid.sort_by_key(|at| self.apps[*at].map(|app| app.pid));
        for at in by_pid {
            let Some(app) = self.apps[at]
                .filter(|app| !self.signalled.contains(&app.pid) && order.concerns(app.start))
            else {
                continue;
            };
            let ready_at = app.start.plus(self.min_age);
            if ready_at > self.now {
                if attempt.waiting.is_none() {
                    attempt.waiting = Some(Waiting::TooYoung);
                    attempt.ready_at = Some(ready_at);
                }
            } else if self.denied[at] {
                attempt.waiting.get_or_insert(Waiting::NotPermitted);
            } else {
                self.signal(at);
                attempt.signalled += 1;
                self.signalled.push(app.pid);
            }
        }
        if self.apps == [None; 2] {
            attempt.waiting.get_or_insert(Waiting::NoProcess);
        }
        if attempt.signalled > 0 {
            let interval_is_over = self
                .last_signal
                .is_none_or(|last| last.plus(TIMING.min_interval) <= self.now);
            self.must(
                interval_is_over || self.requested,
                "two signals keep the minimum interval",
            );
            self.last_signal = Some(self.now);
            self.requested = false;
            self.partly |= attempt.waiting.is_some();
        }
        attempt
    }

    fn signal(&mut self, at: usize) {
        let Some(app) = self.apps[at] else { return };
        // Without events, and after a disturbed scan, it is unclear what the process read.
        let needed = app.read != self.disk || app.requested || self.unsteady || self.blind;
        self.must(needed || app.may_be_outdated, "no signal without a cause");
        self.must(
            needed || app.amid || self.partly,
            "no signal without a need",
        );
        let reads_now = at == 0;
        self.apps[at] = Some(App {
            read: if reads_now { self.readable() } else { app.read },
            read_at: self.now,
            reading_at: (!reads_now).then(|| self.now.plus(SLOWNESS)),
            may_be_outdated: false,
            requested: false,
            amid: false,
            read_unseen: self.blind && self.seen != self.disk,
            ..app
        });
    }

    /// Checks the rules about what happens later. A rule that is already broken stays so.
    fn check(&mut self) {
        let mut ended = self.reload.clone();
        if self.is_stopped {
            // It notices nothing before it is continued.
        } else if let (Action::Exit { undelivered: false }, _) =
            ended.step(Event::Stopped, self.now)
        {
            let left_behind = self
                .apps
                .iter()
                .flatten()
                .any(|app| app.read != self.disk && app.reading_at.is_none() && !app.amid);
            self.must(
                !left_behind || self.blind || self.is_away,
                "a stop that leaves a process behind says so",
            );
        }
        let mut later = self.clone();
        later.during = None;
        later.apply(Continue);
        later.pass((CALM + POLL + self.min_age).0);
        later.check_all_read(self.denied);
        later.denied = [false; 2];
        later.apply(Back);
        if later.apps == [None; 2] {
            later.start(0);
        }
        later.pass((CALM + self.min_age).0);
        later.check_all_read([false; 2]);
        later.must(
            later.reload.deadline().is_none(),
            "idle, the machine is asleep without a deadline",
        );
        self.broken = later.broken;
    }

    fn check_all_read(&mut self, denied: [bool; 2]) {
        self.read();
        for (app, denied) in self.apps.into_iter().zip(denied) {
            self.must(
                denied
                    || self.is_away
                    || app.is_none_or(|app| {
                        app.read == self.disk || app.read_unseen || app.read_briefly
                    }),
                "no change is lost",
            );
        }
    }
}

/// Returns the rule that these operations break, if any.
fn broken_by(world: &World, ops: &[Op]) -> Option<&'static str> {
    let mut world = world.clone();
    for op in ops {
        world.apply(*op);
        world.check();
        if world.broken.is_some() {
            break;
        }
    }
    world.broken
}

/// Tries every sequence of `depth` operations. Returns how many operations were tried.
fn explore(world: &World, alphabet: &[Op], depth: usize, path: &mut Vec<Op>) -> u64 {
    if depth == 0 {
        return 0;
    }
    let mut tried = 0;
    for op in alphabet {
        let mut next = world.clone();
        if !next.apply(*op) {
            continue;
        }
        path.push(*op);
        next.check();
        if let Some(rule) = next.broken {
            panic!("{rule}: broken by {path:?}");
        }
        tried += 1 + explore(&next, alphabet, depth - 1, path);
        path.pop();
    }
    tried
}

#[test]
fn every_short_story_of_one_process_ends_well() {
    let alphabet = [
        Write(0),
        Write(1),
        Restart(0),
        Deny(0),
        Allow(0),
        Request,
        Pass(3),
        Pass(100),
        Pass(1_000),
    ];
    for world in [
        World::new(Millis(0)),
        World::new(Millis(2_000)),
        World::behind(),
    ] {
        let tried = explore(&world, &alphabet, 5, &mut Vec::new());
        assert!(tried > 10_000, "{tried}");
    }
}

#[test]
fn every_short_story_of_two_processes_ends_well() {
    let alphabet = [
        Write(0),
        Update(1),
        Begin(2),
        WriteDuringScan(0),
        WriteDuringScan(1),
        Touch,
        Away,
        Back,
        WriteUnwatched(1),
        End(0),
        Start(1),
        Restart(1),
        Stop,
        Continue,
        Deny(0),
        Deny(1),
        Allow(0),
        Request,
        Poll,
        Pass(50),
        Pass(2_000),
    ];
    for world in [World::new(Millis(0)), World::behind()] {
        let tried = explore(&world, &alphabet, 4, &mut Vec::new());
        assert!(tried > 10_000, "{tried}");
    }
}

#[test]
fn long_random_stories_end_well() {
    for seed in 0..10_000 {
        let mut random = Random(seed);
        let world = [
            World::new(Millis(0)),
            World::new(Millis(2_000)),
            World::new(Millis(60_000)),
            World::behind(),
            World::blind(),
        ][random.below(5)]
        .clone();
        let ops: Vec<Op> = (0..40).map(|_| any(&mut random)).collect();
        if broken_by(&world, &ops).is_some() {
            let ops = shortest(&world, ops);
            panic!(
                "{}: broken by {ops:?}, seed {seed}",
                broken_by(&world, &ops).unwrap_or("nothing")
            );
        }
    }
}

fn any(random: &mut Random) -> Op {
    let (content, at) = (random.below(3), random.below(2));
    match random.below(29) {
        0..4 => Write(content),
        4 => Begin(content),
        5 => Update(content),
        6 => WriteDuringScan(content),
        7 => WriteBeforeReading(content),
        8 => Touch,
        9 => Start(at),
        10 => End(at),
        11 => Restart(at),
        12 => Deny(at),
        13 => Allow(at),
        14 => Request,
        15 => RequestDuringScan,
        16 => Poll,
        17 => Freeze([5, 300, 3_000][random.below(3)]),
        18 => Stop,
        19 => Continue,
        20 => WriteUnwatched(content),
        21 => Away,
        22 => Back,
        _ => Pass([3, 7, 50, 100, 500, 1_000, 2_000, 6_000, 70_000][random.below(9)]),
    }
}

/// Removes the operations that are not needed to break a rule.
fn shortest(world: &World, mut ops: Vec<Op>) -> Vec<Op> {
    let mut at = 0;
    while at < ops.len() {
        let mut fewer = ops.clone();
        fewer.remove(at);
        if broken_by(world, &fewer).is_some() {
            (ops, at) = (fewer, 0);
        } else {
            at += 1;
        }
    }
    ops
}
