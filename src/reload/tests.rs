//! The machine by example. `totality` tries every sequence of events, `world` judges what the machine does to processes and files.

use super::*;
use crate::base::time::Millis;
use crate::fingerprint::{Entry, Kind, Secret};

mod totality;
mod world;

const TIMING: Timing = Timing {
    settle: Millis(100),
    settle_max: Millis(2_000),
    min_interval: Millis(1_000),
};

const WRITING: Event = Event::Changed(Change::Writing, Instant::NEVER);
const FINISHED: Event = Event::Changed(Change::Finished, Instant::NEVER);
const COMPLETE: Event = Event::Changed(Change::Complete, Instant::NEVER);
const WOKE: Event = Event::Woke;

/// The instant this many milliseconds into the test; the machine booted long before.
fn at(ms: u64) -> Instant {
    Instant::from_nanoseconds(1_000_000_000_000).plus(Millis(ms))
}

/// The fingerprint of content number `number`.
fn content(number: usize) -> Fingerprint {
    let mut fingerprint = Fingerprint::default();
    fingerprint.add(Entry::of(
        Secret::new([7; 16]).root(0),
        Kind::Large,
        &[number as u64],
    ));
    fingerprint
}

/// `SplitMix64`: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit) as usize
    }
}

fn scanned(number: usize) -> Event {
    Event::Scanned(Scan {
        fingerprint: content(number),
        missing: 0,
        disturbed: None,
        newly_watched: None,
    })
}

fn scanned_amid_change(number: usize) -> Event {
    Event::Scanned(Scan {
        fingerprint: content(number),
        missing: 0,
        disturbed: Some(Change::Finished),
        newly_watched: None,
    })
}

/// A scan that set a new watch and found that the latest change was at `active`.
fn newly_watched(number: usize, active: Instant) -> Event {
    Event::Scanned(Scan {
        fingerprint: content(number),
        missing: 0,
        disturbed: None,
        newly_watched: Some(active),
    })
}

/// An attempt that signalled this many processes and left none out.
fn signalled(signalled: u32) -> Event {
    Event::Attempted(Attempt {
        signalled,
        waiting: None,
        ready_at: None,
    })
}

/// An attempt that signalled this many processes and could not signal another.
fn signalled_except(signalled: u32, reason: Waiting) -> Event {
    Event::Attempted(Attempt {
        signalled,
        waiting: Some(reason),
        ready_at: None,
    })
}

fn waiting(reason: Waiting) -> Event {
    signalled_except(0, reason)
}

fn too_young(ready_ms: u64) -> Event {
    Event::Attempted(Attempt {
        signalled: 0,
        waiting: Some(Waiting::TooYoung),
        ready_at: Some(at(ready_ms)),
    })
}

/// A machine whose clock is set by hand, in milliseconds. Each step asserts the action and returns the note.
struct Machine(Reload);

impl Machine {
    /// Returns a machine that has seen content 0 at 0 ms.
    fn started() -> Self {
        Self::with(TIMING)
    }

    fn with(timing: Timing) -> Self {
        let mut machine = Self(Reload::new(timing));
        assert_eq!(
            machine.sleeps(
                Event::Started {
                    fingerprint: content(0),
                    catch_up: None
                },
                0,
                None
            ),
            None
        );
        machine
    }

    /// Lets a deadline pass and a scan be made.
    fn scans_and_delivers(&mut self, scanned: Event, ms: u64) -> Order {
        self.scans(WOKE, ms);
        self.delivers(scanned, ms)
    }

    /// Returns a machine that has seen content 0, pending for processes that started before `ms`.
    fn catching_up(ms: u64) -> (Self, Order) {
        let mut machine = Self(Reload::new(TIMING));
        let started = Event::Started {
            fingerprint: content(0),
            catch_up: Some(at(ms)),
        };
        let order = machine.delivers(started, 0);
        (machine, order)
    }

    /// Returns a machine that signalled at 0 ms, when content 1 came.
    fn signalled() -> Self {
        let mut machine = Self::started();
        machine.scans(COMPLETE, 0);
        machine.delivers(scanned(1), 0);
        machine.sleeps(signalled(1), 0, None);
        machine
    }

    /// Returns a machine to which content 1 came at 0 ms. It cannot be delivered, and the next attempt is due at 100 ms.
    fn waiting(reason: Waiting) -> Self {
        let mut machine = Self::started();
        machine.scans(COMPLETE, 0);
        machine.delivers(scanned(1), 0);
        assert_eq!(
            machine.sleeps(waiting(reason), 0, Some(100)),
            Some(Note::StillWaiting(reason))
        );
        machine
    }

    #[track_caller]
    fn sleeps(&mut self, event: Event, now_ms: u64, deadline_ms: Option<u64>) -> Option<Note> {
        let (action, note) = self.0.step(event, at(now_ms));
        assert_eq!(
            (action, self.0.deadline()),
            (Action::Sleep, deadline_ms.map(at))
        );
        note
    }

    #[track_caller]
    fn scans(&mut self, event: Event, now_ms: u64) {
        assert_eq!(self.0.step(event, at(now_ms)), (Action::Scan, None));
    }

    #[track_caller]
    fn delivers(&mut self, event: Event, now_ms: u64) -> Order {
        self.delivers_noting(event, now_ms).0
    }

    #[track_caller]
    fn delivers_noting(&mut self, event: Event, now_ms: u64) -> (Order, Option<Note>) {
        match self.0.step(event, at(now_ms)) {
            (Action::Deliver(order), note) => (order, note),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn leaves_undelivered(&self, now_ms: u64) -> bool {
        match self.0.clone().step(Event::Stopped, at(now_ms)) {
            (Action::Exit { undelivered }, None) => undelivered,
            other => panic!("{other:?}"),
        }
    }
}

// Settling.

#[test]
fn a_change_is_scanned_after_the_quiet_time() {
    let mut machine = Machine::started();
    machine.sleeps(FINISHED, 0, Some(100));
    machine.sleeps(WOKE, 99, Some(100));
    machine.scans(WOKE, 100);
    let (order, note) = machine.delivers_noting(scanned(1), 100);
    assert_eq!(note, Some(Note::Changed));
    assert_eq!(
        order,
        Order {
            started_before: at(0),
            started_between: None,
            generation: 1
        }
    );
    assert_eq!(machine.sleeps(signalled(1), 101, None), None);
}

#[test]
fn every_event_restarts_the_quiet_time() {
    let mut machine = Machine::started();
    machine.sleeps(FINISHED, 0, Some(100));
    machine.sleeps(FINISHED, 60, Some(160));
    machine.sleeps(FINISHED, 159, Some(259));
    machine.scans(WOKE, 259);
    assert_eq!(machine.delivers(scanned(1), 259).started_before, at(159));
}

#[test]
fn a_storm_is_scanned_at_the_settle_maximum_after_its_first_event() {
    let mut machine = Machine::started();
    for ms in (0..1_900).step_by(50) {
        machine.sleeps(FINISHED, ms, Some(ms + 100));
    }
    machine.sleeps(FINISHED, 1_950, Some(2_000));
    machine.scans(FINISHED, 2_000);
    assert_eq!(
        machine.delivers(scanned(1), 2_000).started_before,
        at(2_000)
    );
}

#[test]
fn a_file_that_stays_open_delays_the_scan_up_to_the_settle_maximum() {
    let mut machine = Machine::started();
    machine.sleeps(WRITING, 0, Some(2_000));
    machine.sleeps(WRITING, 500, Some(2_000));
    machine.sleeps(WOKE, 1_999, Some(2_000));
    machine.scans(WOKE, 2_000);
}

#[test]
fn closing_the_file_starts_the_quiet_time() {
    let mut machine = Machine::started();
    machine.sleeps(FINISHED, 0, Some(100));
    machine.sleeps(WRITING, 50, Some(2_000));
    machine.sleeps(FINISHED, 700, Some(800));
    machine.scans(WOKE, 800);
}

#[test]
fn the_last_step_of_an_update_is_scanned_at_once() {
    let mut machine = Machine::started();
    machine.sleeps(FINISHED, 0, Some(100));
    machine.scans(COMPLETE, 3);
    assert_eq!(machine.delivers(scanned(1), 4).started_before, at(3));
}

#[test]
fn without_quiet_time_every_event_is_scanned_at_once() {
    let mut machine = Machine::with(Timing {
        settle: Millis(0),
        ..TIMING
    });
    machine.scans(FINISHED, 0);
    let mut machine = Machine::with(Timing {
        settle_max: Millis(0),
        ..TIMING
    });
    machine.scans(WRITING, 0);
}

#[test]
fn unchanged_content_concerns_only_processes_that_started_during_the_burst() {
    let mut machine = Machine::started();
    machine.sleeps(FINISHED, 1_000, Some(1_100));
    machine.sleeps(FINISHED, 1_050, Some(1_150));
    machine.scans(WOKE, 1_150);
    let (order, note) = machine.delivers_noting(scanned(0), 1_150);
    assert_eq!(note, Some(Note::Unchanged));
    for (start_ms, concerned) in [(900, false), (1_000, true), (1_050, true), (1_051, false)] {
        assert_eq!(
            order.concerns(at(start_ms)),
            concerned,
            "started at {start_ms} ms"
        );
    }
    // No process needed a signal, so nothing is reported.
    assert_eq!(machine.sleeps(signalled(0), 1_150, None), None);
}

#[test]
fn without_a_process_a_brief_change_needs_no_signal() {
    for reason in [Waiting::NoProcess, Waiting::PidFile] {
        let mut machine = Machine::started();
        machine.scans(COMPLETE, 0);
        machine.delivers(scanned(0), 0);
        assert_eq!(machine.sleeps(waiting(reason), 0, None), None);
    }
}

#[test]
fn a_process_that_started_during_the_burst_but_cannot_be_signalled_stays_pending() {
    let mut machine = Machine::started();
    machine.scans(COMPLETE, 0);
    machine.delivers(scanned(0), 0);
    let note = machine.sleeps(too_young(2_000), 0, Some(2_000));
    assert_eq!(note, Some(Note::StillWaiting(Waiting::TooYoung)));
    machine.delivers(WOKE, 2_000);
    assert_eq!(
        machine.sleeps(signalled(1), 2_000, None),
        Some(Note::Arrived(Millis(2_000)))
    );
}

#[test]
fn a_start_time_is_taken_as_up_to_one_tick_later() {
    // The change came at 1,003 ms; the process started at 1,005 ms, read it, and is said to have started at 1,000 ms.
    let order = Order {
        started_before: Instant::BOOT,
        started_between: Some((at(1_003), at(1_008))),
        generation: 1,
    };
    for (start_ms, concerned) in [(990, false), (1_000, true), (1_010, false)] {
        assert_eq!(
            order.concerns(at(start_ms)),
            concerned,
            "said to have started at {start_ms} ms"
        );
    }
}

// Disturbed scans.

#[test]
fn a_disturbed_scan_is_repeated_after_the_quiet_time() {
    let mut machine = Machine::started();
    machine.scans(COMPLETE, 0);
    assert_eq!(machine.sleeps(scanned_amid_change(1), 10, Some(110)), None);
    machine.scans(WOKE, 110);
    let (order, note) = machine.delivers_noting(scanned(2), 110);
    assert_eq!(note, Some(Note::Changed));
    assert_eq!(order.started_before, at(10));
}

#[test]
fn a_disturbed_scan_counts_at_the_settle_maximum() {
    let mut machine = Machine::started();
    machine.sleeps(WRITING, 0, Some(2_000));
    machine.scans(WOKE, 2_000);
    assert_eq!(
        machine.delivers_noting(scanned_amid_change(1), 2_001).1,
        Some(Note::Changed)
    );
}

#[test]
fn a_disturbed_scan_that_counts_is_delivered_and_then_repeated() {
    let mut machine = Machine::started();
    machine.sleeps(WRITING, 0, Some(2_000));
    machine.scans(WOKE, 2_000);
    machine.delivers(scanned_amid_change(1), 2_001);
    machine.sleeps(signalled(1), 2_002, Some(2_101));
    machine.scans(WOKE, 2_101);
    assert_eq!(
        machine.sleeps(scanned(2), 2_101, Some(3_002)),
        Some(Note::Changed)
    );
    assert_eq!(machine.delivers(WOKE, 3_002).started_before, at(2_001));
}

#[test]
fn a_disturbed_scan_for_a_request_is_repeated_too() {
    let mut machine = Machine::started();
    machine.scans(Event::Requested, 5_000);
    machine.delivers(scanned_amid_change(1), 5_001);
    machine.sleeps(signalled(1), 5_002, Some(5_101));
}

#[test]
fn a_scan_during_which_a_directory_went_is_repeated_at_once() {
    let gone = |number| {
        Event::Scanned(Scan {
            fingerprint: content(number),
            missing: 0,
            disturbed: Some(Change::Gone),
            newly_watched: None,
        })
    };
    let mut machine = Machine::started();
    machine.scans(COMPLETE, 0);
    machine.sleeps(gone(1), 1, Some(2));
    machine.scans(WOKE, 2);
    machine.delivers(scanned(1), 2);
    // As an event of its own it is one like others.
    let mut machine = Machine::started();
    machine.sleeps(Event::Changed(Change::Gone, Instant::NEVER), 0, Some(100));
}

#[test]
fn a_disturbed_scan_within_the_minimum_interval_delays_the_delivery_until_the_next_scan_only() {
    let mut machine = Machine::signalled();
    machine.sleeps(WRITING, 100, Some(2_100));
    machine.scans(WOKE, 2_100);
    let order = machine.delivers(scanned_amid_change(2), 2_100);
    machine.sleeps(signalled(1), 2_100, Some(2_200));
    assert!(order.concerns(at(100)));
    // Content that changes for ever is delivered once every settle maximum.
    machine.sleeps(WRITING, 2_150, Some(4_100));
    machine.scans(WOKE, 4_100);
    machine.delivers(scanned_amid_change(3), 4_100);
}

#[test]
fn a_disturbed_scan_is_repeated_a_millisecond_later_at_the_earliest() {
    let mut machine = Machine::with(Timing {
        settle: Millis(0),
        settle_max: Millis(0),
        ..TIMING
    });
    machine.scans(FINISHED, 0);
    machine.delivers(scanned_amid_change(1), 0);
    machine.sleeps(signalled(1), 0, Some(1));
}

#[test]
fn a_process_that_started_before_a_disturbance_is_signalled() {
    let mut machine = Machine::started();
    machine.sleeps(WRITING, 0, Some(2_000));
    // A process starts at 1,000 ms; at 2,000 ms the content changes, is read, and its event is heard of.
    machine.scans(WOKE, 2_000);
    machine.delivers(scanned_amid_change(1), 2_001);
    machine.sleeps(signalled(0), 2_001, Some(2_101));
    machine.scans(WOKE, 2_101);
    let order = machine.delivers(scanned(1), 2_101);
    assert!(order.concerns(at(1_000)));
}

#[test]
fn a_process_signalled_amid_a_change_is_signalled_again_once_the_content_rests() {
    let mut machine = Machine::started();
    machine.scans(Event::Requested, 0);
    // The content changes now, is read by the process, and is changed back.
    let first = machine.delivers(scanned_amid_change(0), 1);
    machine.sleeps(signalled(1), 1, Some(101));
    machine.scans(WOKE, 101);
    // While nothing comes to rest, nothing is repeated.
    machine.sleeps(scanned_amid_change(0), 101, Some(201));
    machine.scans(WOKE, 201);
    machine.sleeps(scanned(0), 201, Some(1_001));
    let second = machine.delivers(WOKE, 1_001);
    assert!(second.concerns(at(0)) && second.generation != first.generation);
    machine.sleeps(signalled(1), 1_001, None);
    machine.scans(COMPLETE, 3_000);
    assert!(
        !machine.delivers(scanned(0), 3_000).concerns(at(0)),
        "once is enough"
    );
}

#[test]
fn endless_events_without_a_change_send_no_more_signals() {
    let mut machine = Machine::started();
    machine.scans(Event::Requested, 0);
    machine.delivers(scanned_amid_change(0), 1);
    machine.sleeps(signalled(1), 1, Some(101));
    for ms in (100..2_000).step_by(100) {
        machine.sleeps(FINISHED, ms, Some((ms + 100).min(2_001)));
    }
    machine.scans(WOKE, 2_001);
    let order = machine.delivers(scanned_amid_change(0), 2_001);
    assert!(!order.concerns(Instant::from_nanoseconds(1)));
}

#[test]
fn a_disturbed_scan_that_signals_no_process_needs_no_second_signal() {
    let mut machine = Machine::started();
    machine.scans(Event::PollDue, 5_000);
    machine.sleeps(scanned_amid_change(0), 5_000, Some(5_100));
    machine.scans(WOKE, 5_100);
    assert!(!machine.delivers(scanned(0), 5_100).concerns(at(0)));
}

// The minimum interval.

#[test]
fn changes_within_the_minimum_interval_are_merged_into_one_trailing_signal() {
    let mut machine = Machine::signalled();
    machine.scans(COMPLETE, 100);
    assert_eq!(
        machine.sleeps(scanned(2), 100, Some(1_000)),
        Some(Note::Changed)
    );
    machine.scans(COMPLETE, 300);
    assert_eq!(
        machine.sleeps(scanned(3), 300, Some(1_000)),
        Some(Note::Changed)
    );
    let order = machine.delivers(WOKE, 1_000);
    assert_eq!(order.started_before, at(300));
    assert_eq!(machine.sleeps(signalled(1), 1_001, None), None);
    // The interval begins again with that signal.
    machine.scans(COMPLETE, 1_500);
    machine.sleeps(scanned(4), 1_500, Some(2_001));
    machine.delivers(WOKE, 2_001);
}

#[test]
fn after_the_minimum_interval_a_change_is_delivered_at_once() {
    let mut machine = Machine::signalled();
    machine.scans(COMPLETE, 1_000);
    machine.delivers(scanned(2), 1_000);
}

#[test]
fn an_attempt_that_signals_no_process_starts_no_minimum_interval() {
    let mut machine = Machine::waiting(Waiting::NoProcess);
    machine.scans(COMPLETE, 50);
    machine.delivers(scanned(2), 50);
}

#[test]
fn a_delivery_waits_for_the_scan_that_is_due() {
    let mut machine = Machine::signalled();
    machine.scans(COMPLETE, 100);
    machine.sleeps(scanned(2), 100, Some(1_000));
    machine.sleeps(FINISHED, 950, Some(1_050));
    machine.sleeps(WOKE, 1_000, Some(1_050));
    machine.scans(WOKE, 1_050);
    assert_eq!(machine.delivers(scanned(3), 1_050).started_before, at(950));
}

// Pending.

#[test]
fn a_pending_reload_is_retried_after_pauses_that_double_up_to_five_seconds() {
    let mut machine = Machine::waiting(Waiting::NoProcess);
    let mut now_ms = 100;
    for pause in [200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000] {
        machine.delivers(WOKE, now_ms);
        assert_eq!(
            machine.sleeps(waiting(Waiting::NoProcess), now_ms, Some(now_ms + pause)),
            None
        );
        now_ms += pause;
    }
}

#[test]
fn a_reason_is_reported_once_and_then_every_minute() {
    let mut machine = Machine::waiting(Waiting::NotPermitted);
    let mut said_ms = vec![0];
    while let Some(deadline) = machine
        .0
        .deadline()
        .filter(|deadline| *deadline < at(200_000))
    {
        let now_ms = deadline.since(at(0)).0;
        machine.delivers(WOKE, now_ms);
        if let (_, Some(note)) = machine.0.step(waiting(Waiting::NotPermitted), deadline) {
            assert_eq!(note, Note::StillWaiting(Waiting::NotPermitted));
            said_ms.push(now_ms);
        }
    }
    assert_eq!(said_ms.len(), 4, "{said_ms:?}");
    assert!(
        said_ms
            .windows(2)
            .all(|pair| (60_000..65_000).contains(&(pair[1] - pair[0]))),
        "{said_ms:?}"
    );
}

#[test]
fn another_reason_is_reported_at_once() {
    let mut machine = Machine::waiting(Waiting::NoProcess);
    machine.delivers(WOKE, 100);
    let note = machine.sleeps(too_young(1_500), 100, Some(1_500));
    assert_eq!(note, Some(Note::StillWaiting(Waiting::TooYoung)));
    machine.delivers(WOKE, 1_500);
    let note = machine.sleeps(waiting(Waiting::Guarded), 1_500, Some(1_700));
    assert_eq!(note, Some(Note::StillWaiting(Waiting::Guarded)));
}

#[test]
fn a_reason_is_not_reported_again_for_the_next_change() {
    let mut machine = Machine::waiting(Waiting::NotPermitted);
    machine.scans(COMPLETE, 50);
    machine.delivers(scanned(2), 50);
    assert_eq!(
        machine.sleeps(waiting(Waiting::NotPermitted), 50, Some(250)),
        None
    );
}

#[test]
fn a_pending_reload_that_arrives_is_reported_with_its_delay() {
    let mut machine = Machine::started();
    machine.sleeps(FINISHED, 0, Some(100));
    machine.scans(WOKE, 100);
    machine.delivers(scanned(1), 100);
    machine.sleeps(waiting(Waiting::Guarded), 100, Some(200));
    machine.scans(COMPLETE, 150);
    machine.delivers(scanned(2), 150);
    machine.sleeps(waiting(Waiting::Guarded), 150, Some(350));
    machine.delivers(WOKE, 350);
    assert_eq!(
        machine.sleeps(signalled(1), 350, None),
        Some(Note::Arrived(Millis(350)))
    );
}

#[test]
fn a_young_process_is_retried_when_it_is_old_enough() {
    let mut machine = Machine::started();
    machine.scans(COMPLETE, 0);
    machine.delivers(scanned(1), 0);
    machine.sleeps(too_young(1_234), 0, Some(1_234));
    machine.delivers(WOKE, 1_234);
}

#[test]
fn a_young_process_delays_the_others_by_the_longest_pause_at_most() {
    let mut machine = Machine::started();
    machine.scans(COMPLETE, 0);
    machine.delivers(scanned(1), 0);
    // The reason is that of the first process: others may have one that passes sooner.
    machine.sleeps(too_young(3_600_000), 0, Some(5_000));
    machine.delivers(WOKE, 5_000);
    assert_eq!(
        machine.sleeps(too_young(3_600_000), 5_000, Some(10_000)),
        None
    );
}

#[test]
fn a_ready_time_in_the_past_still_means_a_pause() {
    let mut machine = Machine::started();
    machine.scans(COMPLETE, 500);
    machine.delivers(scanned(1), 500);
    machine.sleeps(too_young(400), 500, Some(501));
}

#[test]
fn a_partial_delivery_stays_pending_under_the_same_generation() {
    let mut machine = Machine::started();
    machine.scans(COMPLETE, 0);
    let order = machine.delivers(scanned(1), 0);
    let note = machine.sleeps(signalled_except(1, Waiting::NotPermitted), 0, Some(1_000));
    assert_eq!(note, Some(Note::StillWaiting(Waiting::NotPermitted)));
    assert_eq!(machine.delivers(WOKE, 1_000), order);
    assert_eq!(
        machine.sleeps(signalled(1), 1_000, None),
        Some(Note::Arrived(Millis(1_000)))
    );
}

#[test]
fn a_partial_delivery_is_complete_once_the_other_processes_are_gone() {
    let mut machine = Machine::started();
    machine.scans(COMPLETE, 0);
    machine.delivers(scanned(1), 0);
    machine.sleeps(signalled_except(1, Waiting::NotPermitted), 0, Some(1_000));
    machine.delivers(WOKE, 1_000);
    assert_eq!(
        machine.sleeps(signalled(0), 1_000, None),
        Some(Note::Arrived(Millis(1_000)))
    );
}

#[test]
fn a_reload_that_no_process_needs_is_reported() {
    let mut machine = Machine::waiting(Waiting::NoProcess);
    let order = machine.delivers(WOKE, 100);
    assert!(!order.concerns(at(50)));
    assert_eq!(
        machine.sleeps(signalled(0), 100, None),
        Some(Note::NotNeeded)
    );
}

#[test]
fn the_start_of_the_change_being_delivered_is_known() {
    let mut machine = Machine::started();
    assert_eq!(machine.0.changed_since(), None);
    machine.sleeps(FINISHED, 20, Some(120));
    machine.sleeps(FINISHED, 80, Some(180));
    machine.scans(WOKE, 180);
    machine.delivers(scanned(1), 180);
    assert_eq!(machine.0.changed_since(), Some(at(20)));
    machine.sleeps(signalled(1), 180, None);
    assert_eq!(machine.0.changed_since(), None);
}

// Back to what was delivered.

#[test]
fn content_that_comes_back_before_a_signal_cancels_the_reload() {
    let mut machine = Machine::waiting(Waiting::NotPermitted);
    machine.scans(COMPLETE, 5_000);
    let (order, note) = machine.delivers_noting(scanned(0), 5_000);
    assert_eq!(note, Some(Note::Reverted));
    // Only a process that started while the other content was there needs it.
    for (start_ms, concerned) in [(0, true), (2_000, true), (5_000, true), (5_001, false)] {
        assert_eq!(
            order.concerns(at(start_ms)),
            concerned,
            "started at {start_ms} ms"
        );
    }
    assert!(!order.concerns(Instant::from_nanoseconds(1)));
    assert_eq!(machine.sleeps(signalled(0), 5_000, None), None);
}

#[test]
fn w10_content_that_comes_back_soon_after_a_signal_is_told_to_whoever_may_have_read_the_other() {
    let mut machine = Machine::signalled();
    machine.scans(COMPLETE, 4_999);
    machine.delivers(scanned(2), 5_001);
    machine.sleeps(waiting(Waiting::Guarded), 5_001, Some(5_101));
    machine.scans(COMPLETE, 5_010);
    let (order, note) = machine.delivers_noting(scanned(1), 5_010);
    assert_eq!(note, Some(Note::Changed));
    assert!(order.concerns(at(0)));
    assert_eq!(
        machine.sleeps(signalled(1), 5_010, None),
        Some(Note::Arrived(Millis(11)))
    );
    // After the time in which processes react, it is cancelled.
    let mut machine = Machine::signalled();
    machine.scans(COMPLETE, 5_000);
    machine.delivers(scanned(2), 5_000);
    machine.sleeps(waiting(Waiting::Guarded), 5_000, Some(5_100));
    machine.scans(COMPLETE, 5_010);
    let (order, note) = machine.delivers_noting(scanned(1), 5_010);
    assert_eq!(note, Some(Note::Reverted));
    assert!(!order.concerns(at(0)));
}

#[test]
fn content_that_comes_back_after_a_partial_delivery_is_pending_for_every_process() {
    let mut machine = Machine::started();
    machine.scans(COMPLETE, 0);
    let first = machine.delivers(scanned(1), 0);
    machine.sleeps(signalled_except(1, Waiting::Guarded), 0, Some(1_000));
    machine.scans(COMPLETE, 500);
    assert_eq!(
        machine.sleeps(scanned(0), 500, Some(1_000)),
        Some(Note::Changed)
    );
    let second = machine.delivers(WOKE, 1_000);
    assert_eq!(second.started_before, at(500));
    assert_ne!(
        second.generation, first.generation,
        "those who were signalled of the other are signalled again"
    );
}

#[test]
fn a_burst_that_changes_nothing_adds_the_processes_that_started_in_it() {
    let mut machine = Machine::waiting(Waiting::NotPermitted);
    machine.sleeps(FINISHED, 10_000, Some(10_100));
    machine.scans(WOKE, 10_100);
    let (order, note) = machine.delivers_noting(scanned(1), 10_100);
    assert_eq!(note, None);
    for (start_ms, concerned) in [(0, true), (9_000, false), (10_000, true), (10_050, false)] {
        assert_eq!(
            order.concerns(at(start_ms)),
            concerned,
            "started at {start_ms} ms"
        );
    }
    assert_eq!(
        order.generation, 1,
        "whoever was signalled of it is not signalled again"
    );
}

// Polling.

#[test]
fn a_change_without_an_event_is_delivered_when_a_second_scan_finds_the_same() {
    let mut machine = Machine::started();
    machine.scans(Event::PollDue, 5_000);
    machine.sleeps(scanned(1), 5_001, Some(5_101));
    machine.scans(WOKE, 5_101);
    let order = machine.delivers(scanned(1), 5_102);
    assert_eq!(
        order,
        Order {
            started_before: at(5_001),
            started_between: None,
            generation: 1
        }
    );
    assert_eq!(
        machine.0.changed_since(),
        Some(at(0)),
        "it lies between two scans"
    );
}

#[test]
fn a_change_without_an_event_happened_after_the_previous_scan() {
    let mut machine = Machine::started();
    machine.scans(Event::PollDue, 5_000);
    machine.sleeps(scanned(0), 5_001, None);
    machine.scans(Event::PollDue, 10_000);
    machine.sleeps(scanned(1), 10_001, Some(10_101));
    assert!(
        machine
            .scans_and_delivers(scanned(1), 10_101)
            .concerns(at(10_001))
    );
    assert_eq!(machine.0.changed_since(), Some(at(5_001)));
}

#[test]
fn a_change_that_goes_on_without_events_is_delivered_at_rest_or_at_the_settle_maximum() {
    let mut machine = Machine::started();
    machine.scans(Event::PollDue, 5_000);
    machine.sleeps(scanned(1), 5_000, Some(5_100));
    machine.scans(WOKE, 5_100);
    machine.sleeps(scanned(2), 5_100, Some(5_200));
    machine.scans(WOKE, 5_200);
    machine.sleeps(scanned_amid_change(2), 5_200, Some(5_300));
    let order = machine.scans_and_delivers(scanned(2), 5_300);
    assert_eq!(order.started_before, at(5_200));

    let mut machine = Machine::started();
    machine.scans(Event::PollDue, 5_000);
    machine.sleeps(scanned(1), 5_000, Some(5_100));
    machine.scans(WOKE, 6_950);
    machine.sleeps(scanned(2), 6_950, Some(7_000));
    machine.scans_and_delivers(scanned(3), 7_000);
}

#[test]
fn a_change_without_an_event_that_is_taken_back_concerns_only_processes_that_started_in_it() {
    let mut machine = Machine::started();
    machine.scans(Event::PollDue, 5_000);
    machine.sleeps(scanned(1), 5_000, Some(5_100));
    machine.scans(WOKE, 5_100);
    machine.sleeps(scanned(0), 5_100, Some(5_200));
    let order = machine.scans_and_delivers(scanned(0), 5_200);
    assert!(!order.concerns(Instant::from_nanoseconds(999_000_000_000)));
    assert!(order.concerns(at(5_050)));
    assert!(!order.concerns(at(5_200)));
}

#[test]
fn an_event_ends_the_comparison_of_two_scans() {
    let mut machine = Machine::started();
    machine.scans(Event::PollDue, 5_000);
    machine.sleeps(scanned(1), 5_000, Some(5_100));
    machine.scans(COMPLETE, 5_050);
    machine.delivers(scanned(2), 5_050);
}

// Confirmation.

#[test]
fn an_unconfirmed_signal_is_sent_again_to_every_process_after_the_minimum_interval() {
    let mut machine = Machine::signalled();
    machine.sleeps(Event::Unconfirmed, 500, Some(1_000));
    let order = machine.delivers(WOKE, 1_000);
    assert!(order.concerns(at(500)) && !order.concerns(at(501)));
    assert_eq!(machine.sleeps(signalled(1), 1_000, None), None);
}

#[test]
fn an_unconfirmed_signal_is_not_sent_again_while_another_is_due() {
    let mut machine = Machine::signalled();
    machine.sleeps(FINISHED, 500, Some(600));
    machine.sleeps(Event::Unconfirmed, 510, Some(600));
    machine.scans(WOKE, 600);
    assert!(!machine.delivers(scanned(1), 1_000).concerns(at(0)));
    let mut machine = Machine::waiting(Waiting::NotPermitted);
    machine.sleeps(Event::Unconfirmed, 10, Some(100));
}

// New watches.

#[test]
fn a_newly_watched_directory_may_have_changed_until_now() {
    let mut machine = Machine::started();
    machine.sleeps(FINISHED, 0, Some(100));
    assert!(
        machine
            .scans_and_delivers(newly_watched(1, at(0)), 100)
            .concerns(at(100))
    );
    // Taken back as well.
    let mut machine = Machine::started();
    machine.sleeps(FINISHED, 0, Some(100));
    assert!(
        machine
            .scans_and_delivers(newly_watched(0, at(0)), 100)
            .concerns(at(90))
    );
}

#[test]
fn w7_activity_where_nothing_was_watched_prolongs_the_quiet_time_up_to_the_maximum() {
    let mut machine = Machine::started();
    machine.sleeps(FINISHED, 0, Some(100));
    machine.scans(WOKE, 100);
    machine.sleeps(newly_watched(1, at(90)), 100, Some(190));
    machine.scans(WOKE, 190);
    machine.delivers(scanned(1), 190);
    let mut machine = Machine::started();
    machine.sleeps(FINISHED, 0, Some(100));
    for now in (100..2_000).step_by(100) {
        machine.scans(WOKE, now);
        machine.sleeps(newly_watched(1, at(now)), now, Some(now + 100));
    }
    machine.scans(WOKE, 2_000);
    machine.delivers(newly_watched(1, at(2_000)), 2_000);
}

#[test]
fn w2_an_update_that_is_complete_waits_for_no_quiet_in_its_new_directory() {
    let mut machine = Machine::started();
    machine.scans(COMPLETE, 0);
    machine.delivers(newly_watched(1, at(0)), 0);
}

// SIGSTOP and SIGCONT.

#[test]
fn events_from_while_the_program_was_stopped_may_be_as_old_as_the_last_scan() {
    let mut machine = Machine::started();
    machine.sleeps(
        Event::Changed(Change::Finished, at(0)),
        60_000,
        Some(60_100),
    );
    let order = machine.scans_and_delivers(scanned(0), 60_100);
    assert!(order.concerns(at(30_000)));
    // A burst was open when it was stopped.
    let mut machine = Machine::started();
    machine.sleeps(FINISHED, 10_000, Some(10_100));
    machine.scans(Event::Changed(Change::Finished, at(0)), 60_000);
    let order = machine.delivers(scanned(0), 60_000);
    assert!(order.concerns(at(5_000)) && order.concerns(at(60_000)));
}

#[test]
fn a_scan_without_an_event_that_finds_nothing_changes_nothing() {
    let mut machine = Machine::signalled();
    machine.scans(Event::PollDue, 5_000);
    assert_eq!(machine.sleeps(scanned(1), 5_001, None), None);
    let mut machine = Machine::waiting(Waiting::Guarded);
    machine.scans(Event::PollDue, 50);
    assert_eq!(machine.sleeps(scanned(1), 50, Some(100)), None);
}

#[test]
fn a_scan_without_an_event_does_not_cut_a_burst_short() {
    let mut machine = Machine::started();
    machine.sleeps(WRITING, 0, Some(2_000));
    machine.scans(Event::PollDue, 500);
    // Half of the file is there.
    assert_eq!(machine.sleeps(scanned(1), 501, Some(2_000)), None);
    // A disturbance counts by its own kind.
    machine.scans(Event::PollDue, 1_000);
    assert_eq!(
        machine.sleeps(scanned_amid_change(1), 1_001, Some(1_101)),
        None
    );
    machine.sleeps(WRITING, 1_050, Some(2_000));
    machine.scans(Event::PollDue, 1_400);
    let disturbed = Event::Scanned(Scan {
        fingerprint: content(1),
        missing: 0,
        disturbed: Some(Change::Complete),
        newly_watched: None,
    });
    assert_eq!(machine.sleeps(disturbed, 1_500, Some(1_501)), None);
    machine.scans(WOKE, 1_501);
    let (order, note) = machine.delivers_noting(scanned(2), 1_501);
    assert_eq!(note, Some(Note::Changed));
    assert_eq!(order.started_before, at(1_500));
}

// SIGUSR1.

#[test]
fn a_request_signals_every_process_at_once_though_nothing_changed() {
    let mut machine = Machine::signalled();
    machine.scans(Event::Requested, 10);
    let order = machine.delivers(scanned(1), 11);
    assert!(order.concerns(at(10)));
    assert_eq!(machine.sleeps(signalled(1), 11, None), None);
    // The signal counts for the next change.
    machine.scans(COMPLETE, 500);
    machine.sleeps(scanned(2), 500, Some(1_011));
}

#[test]
fn a_request_does_not_wait_for_content_that_keeps_changing() {
    let mut machine = Machine::started();
    machine.sleeps(WRITING, 0, Some(2_000));
    machine.scans(Event::Requested, 10);
    machine.delivers(scanned_amid_change(1), 11);
}

#[test]
fn a_request_skips_the_pause_of_a_pending_reload() {
    let mut machine = Machine::waiting(Waiting::Guarded);
    machine.scans(Event::Requested, 10);
    let order = machine.delivers(scanned(1), 10);
    assert_eq!(order.generation, 2);
    assert_eq!(
        machine.sleeps(waiting(Waiting::Guarded), 10, Some(210)),
        None
    );
}

#[test]
fn a_request_that_cannot_be_met_stays_pending_even_if_the_content_comes_back() {
    let mut machine = Machine::started();
    machine.scans(Event::Requested, 0);
    machine.delivers(scanned(0), 0);
    let note = machine.sleeps(waiting(Waiting::NotPermitted), 0, Some(100));
    assert_eq!(note, Some(Note::StillWaiting(Waiting::NotPermitted)));
    for (ms, number, next_ms) in [(10, 1, 210), (20, 0, 420)] {
        machine.scans(COMPLETE, ms);
        machine.delivers(scanned(number), ms);
        machine.sleeps(waiting(Waiting::NotPermitted), ms, Some(next_ms));
    }
    assert!(machine.delivers(WOKE, 420).concerns(at(0)));
    assert_eq!(
        machine.sleeps(signalled(1), 420, None),
        Some(Note::Arrived(Millis(420)))
    );
}

#[test]
fn a_process_that_started_after_the_request_is_not_signalled() {
    let mut machine = Machine::started();
    machine.scans(Event::Requested, 0);
    machine.delivers(scanned(0), 1);
    machine.sleeps(waiting(Waiting::NoProcess), 1, Some(101));
    let order = machine.delivers(WOKE, 101);
    assert!(order.concerns(at(0)) && !order.concerns(at(50)));
    assert_eq!(
        machine.sleeps(signalled(0), 101, None),
        Some(Note::NotNeeded)
    );
}

#[test]
fn a_request_waives_the_minimum_interval_for_one_signal_only() {
    let mut machine = Machine::signalled();
    machine.scans(Event::Requested, 10);
    machine.delivers(scanned(1), 10);
    machine.sleeps(signalled_except(1, Waiting::NotPermitted), 10, Some(1_010));
    machine.scans(COMPLETE, 500);
    machine.sleeps(scanned(2), 500, Some(1_010));
}

#[test]
fn an_undelivered_request_waives_the_minimum_interval_for_the_next_change_too() {
    let mut machine = Machine::signalled();
    machine.scans(Event::Requested, 10);
    machine.delivers(scanned(1), 10);
    machine.sleeps(waiting(Waiting::NotPermitted), 10, Some(110));
    machine.scans(COMPLETE, 50);
    let order = machine.delivers(scanned(2), 50);
    assert_eq!(order.started_before, at(50));
}

// Catch-up.

#[test]
fn a_process_older_than_the_newest_change_is_signalled_at_startup() {
    let (mut machine, order) = Machine::catching_up(0);
    assert!(order.concerns(Instant::BOOT) && order.concerns(at(0)) && !order.concerns(at(1)));
    assert_eq!(machine.sleeps(signalled(1), 0, None), Some(Note::CaughtUp));
}

#[test]
fn without_a_process_older_than_the_newest_change_nothing_is_pending() {
    let (mut machine, _) = Machine::catching_up(0);
    assert_eq!(machine.sleeps(signalled(0), 0, None), None);
    for reason in [Waiting::NoProcess, Waiting::PidFile] {
        // A process that runs may take its name a moment later. Nothing is reported.
        let (mut machine, _) = Machine::catching_up(0);
        assert_eq!(machine.sleeps(waiting(reason), 9_999, Some(10_099)), None);
        machine.delivers(WOKE, 10_099);
        assert_eq!(machine.sleeps(waiting(reason), 10_099, None), None);
        let (mut machine, _) = Machine::catching_up(0);
        machine.sleeps(waiting(reason), 0, Some(100));
        machine.delivers(WOKE, 100);
        assert_eq!(
            machine.sleeps(signalled(1), 100, None),
            Some(Note::CaughtUp)
        );
    }
}

#[test]
fn content_that_comes_back_does_not_cancel_the_catch_up() {
    let (mut machine, _) = Machine::catching_up(0);
    machine.sleeps(waiting(Waiting::Guarded), 0, Some(100));
    for (ms, number) in [(10, 1), (20, 0)] {
        machine.scans(COMPLETE, ms);
        let order = machine.delivers(scanned(number), ms);
        assert!(order.concerns(Instant::from_nanoseconds(1)));
        machine.sleeps(waiting(Waiting::Guarded), ms, Some(ms + 20 * ms));
    }
    machine.delivers(WOKE, 420);
    assert_eq!(
        machine.sleeps(signalled(1), 420, None),
        Some(Note::Arrived(Millis(420)))
    );
    // From then on it is content 0 that was delivered.
    machine.scans(COMPLETE, 9_000);
    machine.delivers(scanned(1), 9_000);
    machine.sleeps(waiting(Waiting::Guarded), 9_000, Some(9_100));
    machine.scans(COMPLETE, 9_050);
    assert_eq!(
        machine.delivers_noting(scanned(0), 9_050).1,
        Some(Note::Reverted)
    );
}

// The end.

#[test]
fn a_stop_knows_whether_a_change_is_undelivered() {
    assert!(!Machine::started().leaves_undelivered(0));
    assert!(!Machine::signalled().leaves_undelivered(0));
    assert!(
        Machine::waiting(Waiting::NoProcess).leaves_undelivered(0),
        "pending"
    );
    let mut machine = Machine::started();
    machine.sleeps(FINISHED, 0, Some(100));
    assert!(machine.leaves_undelivered(50), "a burst is open");
    let mut machine = Machine::signalled();
    machine.scans(COMPLETE, 100);
    machine.sleeps(scanned(2), 100, Some(1_000));
    assert!(machine.leaves_undelivered(150), "within the least interval");
    let mut machine = Machine::waiting(Waiting::NotPermitted);
    machine.scans(COMPLETE, 5_000);
    machine.delivers(scanned(0), 5_000);
    machine.sleeps(signalled(0), 5_000, None);
    assert!(
        !machine.leaves_undelivered(5_000),
        "the content is what was delivered"
    );
}
