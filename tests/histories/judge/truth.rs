//! The log says what happened.

use super::log::{Line, Sent};
use super::{Broken, Promise};
use crate::messages::{
    CHANGED, REQUESTED, SANDBOXED, SENT, STARTED, STOPPED, WATCHING, is_expected_warning,
    missing_root, restored_root,
};
use crate::trace::{Life, Trace};
use std::collections::BTreeSet;

pub fn check(trace: &Trace, lines: &[Line], sent: &[Sent], broken: &mut Vec<Broken>) {
    let mut lie = |text: String| broken.push(Broken(Promise::LogsTheTruth, text));
    check_beginning_and_end(trace, lines, &mut lie);
    check_levels(lines, &mut lie);
    check_repeats(lines, &mut lie);
    check_changes(lines, &mut lie);
    check_roots(trace, lines, &mut lie);
    for life in &trace.lives {
        check_deliveries(trace, life, sent, &mut lie);
    }
    let is_target = |signal: &&Sent| trace.lives.iter().any(|life| life.pid == signal.pid);
    if let Some(signal) = sent.iter().find(|signal| !is_target(signal)) {
        lie(format!(
            "process {} was signalled, but is no target",
            signal.pid
        ));
    }
}

fn check_beginning_and_end(trace: &Trace, lines: &[Line], lie: &mut impl FnMut(String)) {
    let mut messages = lines.iter().map(|line| &*line.message);
    let last = messages.clone().next_back();
    if trace.exit != Some(0) || last != Some(STOPPED) {
        lie(format!(
            "it ended with {last:?}, exit code {:?}",
            trace.exit
        ));
    }
    let mut next = || messages.find(|message| *message != SANDBOXED);
    let first = [next(), next()];
    if first != [Some(STARTED), Some(WATCHING)] {
        lie(format!("it began with {first:?}"));
    }
}

fn check_levels(lines: &[Line], lie: &mut impl FnMut(String)) {
    for line in lines {
        let is_expected = match &*line.level {
            "info" => true,
            "warn" => is_expected_warning(&line.message),
            _ => false,
        };
        if !is_expected {
            lie(format!("unexpected {}: {}", line.level, line.members));
        }
    }
}

fn check_repeats(lines: &[Line], lie: &mut impl FnMut(String)) {
    for pair in lines.windows(2) {
        let may_repeat = [SENT, REQUESTED].contains(&&*pair[0].message);
        if pair[0].members == pair[1].members && !may_repeat {
            lie(format!("logged twice: {}", pair[1].members));
        }
    }
}

/// Changes are counted from 1.
fn check_changes(lines: &[Line], lie: &mut impl FnMut(String)) {
    let changes = lines.iter().filter(|line| line.message == CHANGED);
    for (number, line) in (1..).zip(changes) {
        let update = &line.members["update"];
        if update != number {
            lie(format!("change {number} is logged as {update}"));
        }
    }
}

/// A missing root is logged once, and so is its return.
fn check_roots(trace: &Trace, lines: &[Line], lie: &mut impl FnMut(String)) {
    let mut missing = BTreeSet::new();
    for line in lines {
        let is_news = match (missing_root(&line.message), restored_root(&line.message)) {
            (Some(root), _) => missing.insert(root),
            (None, Some(root)) => missing.remove(root),
            (None, None) => true,
        };
        if !is_news {
            lie(format!("{}, as before", line.message));
        }
    }
    let actual: BTreeSet<_> = trace.missing.iter().map(String::as_str).collect();
    if missing != actual {
        lie(format!(
            "{missing:?} are logged as missing, but {actual:?} are"
        ));
    }
}

/// A process handles every signal that was sent to it: fewer if two merged, or if it was killed first.
fn check_deliveries(trace: &Trace, life: &Life, sent: &[Sent], lie: &mut impl FnMut(String)) {
    let queued = trace.timing.realtime;
    let signal = if queued { "SIG" } else { "SIGHUP " };
    let sent = sent.iter().filter(|sent| sent.pid == life.pid).count();
    let lines = life.lines.iter();
    let skipped = usize::from(
        lines
            .clone()
            .next()
            .is_some_and(|line| line.starts_with("ready")),
    );
    let handled = lines
        .skip(skipped)
        .filter(|line| line.starts_with(signal))
        .count();
    let only_these = handled + skipped == life.lines.len();
    let may_be_fewer = life.killed || !queued && handled > 0;
    let is_right = handled == sent || handled < sent && may_be_fewer;
    if !only_these || !is_right {
        lie(format!(
            "process {} was sent {sent} signals, and printed {:?}",
            life.pid, life.lines
        ));
    }
}
