use super::*;
use crate::history::Timing;
use crate::messages::{CHANGED, SENT, STARTED, STOPPED, WATCHING};
use crate::trace::{Life, Step, Usage};
use serde_json::{Value, json};

const PID: i32 = 7;

/// A log line. The test histories begin at noon.
fn log(at_ms: u64, level: &str, mut members: Value) -> String {
    let time = format!("2026-11-23T12:00:{:02}.{:03}Z", at_ms / 1000, at_ms % 1000);
    members["time"] = time.into();
    members["level"] = level.into();
    members.to_string()
}

fn message(at_ms: u64, message: &str) -> String {
    log(at_ms, "info", json!({"message": message}))
}

fn sent(at_ms: u64) -> String {
    log(at_ms, "info", json!({"message": SENT, "pid": PID}))
}

fn changed(at_ms: u64, update: u32) -> String {
    let members = json!({"message": CHANGED, "update": update});
    log(at_ms, "info", members)
}

fn step(at_ms: Time, before: u64, after: u64) -> Step {
    Step {
        begun: at_ms * MS,
        done: at_ms * MS + 1000,
        before,
        after,
        middle: false,
        files: true,
        shell: vec!["printf".to_owned()],
    }
}

/// A step that changes something and changes it back.
fn flip(at_ms: Time, content: u64) -> Step {
    Step {
        middle: true,
        ..step(at_ms, content, content)
    }
}

/// The content changes from 1 to 2 after a second, and 20 ms later the target is signalled.
fn trace() -> Trace {
    let timing = Timing {
        settle_ms: 20,
        settle_max_ms: 100,
        min_interval_ms: 50,
        poll_ms: None,
        realtime: true,
    };
    let mut trace = Trace::new(timing, 0);
    trace.wall_ms = [12 * 3_600_000; 2];
    trace.steps = vec![step(1000, 1, 2)];
    trace.digest = 2;
    trace.exit = Some(0);
    trace.lives = vec![Life {
        pid: PID,
        lines: vec![
            "ready 0000000000000001".to_owned(),
            "SIG37 1021000000 0000000000000002".to_owned(),
        ],
        ..Life::default()
    }];
    trace.log = vec![
        message(10, STARTED),
        message(11, WATCHING),
        changed(1020, 1),
        sent(1020),
        message(5000, STOPPED),
    ];
    trace
}

fn insert(trace: &mut Trace, line: String) {
    trace.log.insert(trace.log.len() - 1, line);
}

/// Adds a signal without a scan that found a change.
fn signalled_again(at_ms: u64) -> Trace {
    let mut trace = trace();
    insert(&mut trace, sent(at_ms));
    let line = format!("SIG37 {at_ms}000000 0000000000000002");
    trace.lives[0].lines.push(line);
    trace
}

/// Adds a signal after a scan that found a change.
fn signalled_for_a_change(at_ms: u64) -> Trace {
    let mut trace = signalled_again(at_ms);
    trace.log.insert(4, changed(at_ms, 2));
    trace
}

#[track_caller]
fn assert_breaks(promise: Promise, trace: &Trace) {
    let broken = judge(trace).expect_err("a broken promise");
    assert!(
        broken.iter().all(|broken| broken.0 == promise),
        "{broken:?}"
    );
}

#[test]
fn a_change_and_its_signal_keep_every_promise() {
    assert_eq!(judge(&trace()).map(|counts| counts.signals), Ok(1));
}

#[test]
fn a_change_without_a_signal_is_lost() {
    let mut trace = trace();
    trace.steps.push(step(2000, 2, 3));
    trace.digest = 3;
    assert_breaks(Promise::Converges, &trace);
}

#[test]
fn a_signal_after_steps_that_change_nothing_is_needless() {
    let mut trace = signalled_for_a_change(2020);
    assert_breaks(Promise::NeverNeedless, &trace);
    trace.steps.push(step(2000, 2, 2));
    assert_breaks(Promise::NeverNeedless, &trace);
    trace.steps[1] = flip(2000, 2);
    assert!(judge(&trace).is_ok(), "other content existed for a moment");
}

#[test]
fn a_second_signal_for_the_same_change_is_needless() {
    assert_breaks(Promise::NeverNeedless, &signalled_again(1080));
}

#[test]
fn a_second_signal_is_cautious_if_files_were_touched_around_the_first() {
    let touched = |at_ms| {
        let mut trace = signalled_again(1080);
        trace.steps.push(step(at_ms, 2, 2));
        trace
    };
    for at_ms in [1012, 1024] {
        let counts = judge(&touched(at_ms));
        assert_eq!(counts.map(|counts| counts.cautious), Ok(1));
    }
    assert_breaks(Promise::NeverNeedless, &touched(1040));
}

#[test]
fn a_process_that_started_after_the_change_needs_no_signal() {
    let mut trace = trace();
    trace.log[3] = sent(1100);
    let mut started = |at_ms: Time| {
        (trace.lives[0].spawned, trace.lives[0].running) = (at_ms * MS, at_ms * MS);
        trace.clone()
    };
    assert_breaks(Promise::NeverNeedless, &started(1032));
    assert!(
        judge(&started(1020)).is_ok(),
        "start times are truncated to a clock tick"
    );
}

#[test]
fn a_target_that_started_before_a_flip_may_read_its_content() {
    let mut trace = trace();
    trace.steps = vec![step(1000, 1, 2), step(1030, 2, 1)];
    trace.digest = 1;
    trace.lives[0].lines = vec!["ready 0000000000000002".to_owned()];
    trace.log.drain(2..4);
    let mut started = |spawned, running| {
        trace.lives[0].spawned = spawned * MS;
        trace.lives[0].running = running * MS;
        trace.clone()
    };
    let counts = judge(&started(990, 995));
    assert_eq!(counts.map(|counts| counts.late), Ok(1));
    for (spawned, running) in [(990, 1002), (1001, 1002), (1020, 1040)] {
        assert_breaks(Promise::Converges, &started(spawned, running));
    }
}

#[test]
fn two_signals_within_the_minimum_interval_are_too_close() {
    let second = |at_ms| {
        let mut trace = signalled_for_a_change(at_ms);
        trace.steps.push(flip(1040, 2));
        trace
    };
    assert_breaks(Promise::KeepsInterval, &second(1068));
    assert!(
        judge(&second(1069)).is_ok(),
        "times are truncated to a millisecond"
    );
}

#[test]
fn descriptors_and_memory_must_not_grow() {
    let grown = |anonymous_kib, descriptors| {
        let mut trace = trace();
        trace.usage[1] = Usage {
            anonymous_kib,
            descriptors,
        };
        trace
    };
    assert_breaks(Promise::NeverGrows, &grown(0, 1));
    assert_breaks(Promise::NeverGrows, &grown(36, 0));
    assert!(judge(&grown(32, 0)).is_ok(), "the stack may deepen");
}

#[test]
fn every_handled_signal_must_be_logged() {
    let mut trace = trace();
    trace.lives[0]
        .lines
        .push("SIG37 1100000000 0000000000000002".to_owned());
    assert_breaks(Promise::LogsTheTruth, &trace);
}

#[test]
fn every_logged_signal_must_be_handled() {
    let mut trace = trace();
    trace.lives[0].lines = vec!["ready 0000000000000002".to_owned()];
    assert_breaks(Promise::LogsTheTruth, &trace);
}

#[test]
fn changes_in_the_log_must_follow_one_another() {
    let mut trace = trace();
    insert(&mut trace, changed(4000, 7));
    assert_breaks(Promise::LogsTheTruth, &trace);
}

#[test]
fn a_warning_that_no_history_can_cause_is_unexpected() {
    let mut trace = trace();
    let warning = json!({"message": "stopping while a reload is pending"});
    insert(&mut trace, log(4000, "warn", warning));
    assert_breaks(Promise::LogsTheTruth, &trace);
}

#[test]
fn a_root_must_be_missing_exactly_if_the_log_says_so() {
    let gone = json!({"message": "cannot read /r: ENOENT. Waiting for it"});
    let mut trace = trace();
    trace.missing = vec!["/r".to_owned()];
    assert_breaks(Promise::LogsTheTruth, &trace);
    insert(&mut trace, log(4000, "warn", gone.clone()));
    assert_eq!(judge(&trace).map(|counts| counts.signals), Ok(1));
    insert(&mut trace, message(4100, "/r is there again"));
    assert_breaks(Promise::LogsTheTruth, &trace);
    trace.missing.clear();
    assert_eq!(judge(&trace).map(|counts| counts.signals), Ok(1));
}
