//! Whether what happened is what was promised. Pure.
//!
//! Times: steps and starts are known to the microsecond. The sidecar's log tells milliseconds. When it looked is known only as
//! "at most so long before the line that says what it found": as long as it was busy or kept waiting meanwhile, and [`LOOK`].

use crate::run::{Life, Step, Story, Time};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;

const MS: Time = 1_000_000;
/// What the kernel does not count: a processor taken away from the whole machine, locks held by others.
const LOOK: Time = 10 * MS;
/// Start times are told in clock ticks.
const TICK: Time = 10 * MS;

/// The promises.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Promise {
    /// In the end the target runs what is there.
    Converges,
    /// No signal without a change since the one before.
    NeverNeedless,
    /// No two signals within the least interval.
    KeepsInterval,
    /// Memory and descriptors are the same at rest.
    Constant,
    /// What it says is what it did.
    TellsTheTruth,
}

/// A promise that was broken, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken(pub Promise, pub String);

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.0, self.1)
    }
}

/// One line of the sidecar's log.
pub struct Line {
    /// When it was written, cut to the millisecond.
    pub at: Time,
    pub level: String,
    pub message: String,
    /// All but the time.
    pub rest: Value,
}

/// One signal, as the log tells of it.
struct Sent {
    at: Time,
    pid: i32,
    /// When the last look was told of before it that found a change.
    looked: Option<Time>,
    /// SIGUSR1 has come since the one before.
    demanded: bool,
    /// The line before tells of a signal to another process: they were sent at one go.
    also: bool,
}

/// What there is to be counted where nothing is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signals {
    pub all: usize,
    /// To processes that started, or were signalled, amid events which changed nothing. The sidecar looks when the events are
    /// over, and cannot know that there was nothing else for a moment, which the process has read.
    pub careful: usize,
    /// The target was told of what is there in the end, or started when it was there, and was so slow to read that it read
    /// something else, which was there for a moment. That the content comes back to what was delivered is no reason for a signal
    /// (W10).
    pub late: usize,
}

/// Judges everything.
pub fn judge(story: &Story) -> Result<Signals, Vec<Broken>> {
    let mut broken = Vec::new();
    let lines = match parse(story) {
        Ok(lines) => lines,
        Err(line) => {
            return Err(vec![Broken(
                Promise::TellsTheTruth,
                format!("no line of a log: {line}"),
            )]);
        }
    };
    let sent = sent(&lines);
    let late = converges(story, &sent, &mut broken);
    let careful = never_needless(story, &sent, &mut broken);
    keeps_interval(story, &sent, &mut broken);
    constant(story, &mut broken);
    tells_the_truth(story, &lines, &sent, &mut broken);
    let signals = Signals {
        all: sent.len(),
        careful,
        late: usize::from(late),
    };
    if broken.is_empty() {
        Ok(signals)
    } else {
        Err(broken)
    }
}

/// The log, with its times on the clock of the steps.
pub fn parse(story: &Story) -> Result<Vec<Line>, String> {
    let parse = |text: &String| {
        let mut rest: Value = serde_json::from_str(text).map_err(|_| text.clone())?;
        let mut take = |key: &str| match rest.as_object_mut()?.remove(key)? {
            Value::String(text) => Some(text),
            _ => None,
        };
        let (time, level) = (take("time").ok_or(text)?, take("level").ok_or(text)?);
        let message = rest["message"].as_str().ok_or(text)?.to_owned();
        // "2026-11-23T15:16:27.123Z"
        let number = |from: usize, to: usize| time.get(from..to)?.parse::<Time>().ok();
        let of_day = || {
            Some(
                ((number(11, 13)? * 60 + number(14, 16)?) * 60 + number(17, 19)?) * 1000
                    + number(20, 23)?,
            )
        };
        let begun = story.begun / MS;
        let since = of_day().ok_or(text)? - story.wall_ms[0] - begun;
        // Nothing here takes a day; a line may seem a little older than the beginning, where the clocks are cut.
        let since = (since + 1000).rem_euclid(86_400_000) - 1000;
        Ok(Line {
            at: (begun + since) * MS,
            level,
            message,
            rest,
        })
    };
    story.log.iter().map(parse).collect()
}

fn sent(lines: &[Line]) -> Vec<Sent> {
    let (mut looked, mut demanded, mut all) = (None, false, Vec::<Sent>::new());
    let mut line_before = "";
    for line in lines {
        let pid = line.rest["pid"].as_i64().unwrap_or(0) as i32;
        match &*line.message {
            "content changed" => looked = Some(line.at),
            "SIGUSR1 received: reading everything and signalling now" => demanded = true,
            "signal sent" => all.push(Sent {
                at: line.at,
                pid,
                looked,
                demanded: std::mem::take(&mut demanded),
                also: line_before == "signal sent"
                    && all.last().is_some_and(|last| last.pid != pid),
            }),
            _ => {}
        }
        line_before = &line.message;
    }
    all
}

/// Whether the target has read something else than what is there, but was told of that in time.
fn converges(story: &Story, sent: &[Sent], broken: &mut Vec<Broken>) -> bool {
    let Some(life) = story.lives.last() else {
        return false;
    };
    let read = life
        .lines
        .last()
        .map_or("nothing", |line| line.rsplit(' ').next().unwrap_or(line));
    let there = format!("{:016x}", story.digest);
    if read == there {
        return false;
    }
    let told = sent.iter().rfind(|signal| signal.pid == life.pid);
    let is_late = match told {
        Some(told) => told
            .looked
            .is_some_and(|looked| was_there_before_and_after(story, looked)),
        None => was_there_at_start_and_after(story, life),
    };
    if is_late {
        return true;
    }
    let of_step = story
        .steps
        .iter()
        .rposition(|step| format!("{:016x}", step.after) == read);
    let which = of_step.map_or("none of the steps".to_owned(), |step| {
        format!("step {}", step + 1)
    });
    let text =
        format!("the target has read {read}, which was there after {which}; there is {there}");
    broken.push(Broken(Promise::Converges, text));
    false
}

/// Whether what is there in the end was what a look found that was told of at this time, and something else came after.
fn was_there_before_and_after(story: &Story, told: Time) -> bool {
    let since = looked(story, told);
    let found = |at: usize| {
        let step = &story.steps[at];
        let until = story.steps.get(at + 1).map_or(Time::MAX, |next| next.done);
        // What was there before the first step counts as well.
        step.after == story.digest && step.begun <= told + MS && until >= since
            || at == 0 && step.before == story.digest && step.done >= since
    };
    let changes = |step: &Step| step.before != step.after || step.middle;
    let is_later = |at: usize| {
        story.steps[at..]
            .iter()
            .any(|step| changes(step) && step.done >= since)
    };
    (0..story.steps.len()).any(|at| found(at) && is_later(at))
}

/// The same for a process that was not told of anything: nothing had changed around its start, but before it had read everything.
fn was_there_at_start_and_after(story: &Story, life: &Life) -> bool {
    let changes = |step: &&Step| step.before != step.after || step.middle;
    let mut changing = story.steps.iter().filter(changes);
    let later = |step: &Step| step.begun > life.running;
    let around = |step: &Step| step.done >= life.spawned - TICK && !later(step);
    !changing.clone().any(around)
        && changing
            .find(|step| later(step))
            .is_some_and(|step| step.before == story.digest)
}

/// Each signal must follow a change that its receiver may not know of. How many were sent out of care.
fn never_needless(story: &Story, sent: &[Sent], broken: &mut Vec<Broken>) -> usize {
    let mut careful = 0;
    if is_clock_stepped(story) {
        return careful;
    }
    for (at, signal) in sent.iter().enumerate() {
        let before = sent[..at].iter().rfind(|before| before.pid == signal.pid);
        let Some(life) = story.lives.iter().find(|life| life.pid == signal.pid) else {
            continue;
        };
        let (known, what) = match before {
            Some(before) => (
                looked(story, before.looked.unwrap_or(story.begun)),
                "the look behind the one before",
            ),
            None => (started(story, life, signal.at), "its start"),
        };
        let may_concern = before.is_some() || may_not_know(story, life, signal);
        if may_concern && has_changed(story, known, signal.at + MS) {
            continue;
        }
        let amid_events = match before {
            Some(before) => {
                before.looked == signal.looked
                    && (signalled_amid_events(story, before, known)
                        || resumed_amid_events(story, life, known, signal))
            }
            None => started_amid_events(story, life, known, signal),
        };
        if amid_events {
            careful += 1;
        } else {
            let text = format!(
                "signal {} of {} to process {}, {} ms after the beginning: nothing has changed since {what}, {} ms after the beginning",
                at + 1,
                sent.len(),
                signal.pid,
                (signal.at - story.begun) / MS,
                (known - story.begun) / MS,
            );
            broken.push(Broken(Promise::NeverNeedless, text));
        }
    }
    careful
}

/// Whether something was done to files after the look behind a signal began, and before the sidecar had looked for others, said what
/// it did, and slept for a millisecond: what comes sooner may have come at any time since there was no event left.
fn signalled_amid_events(story: &Story, signal: &Sent, looked: Time) -> bool {
    let mut events = story.steps.iter().filter(|step| step.files);
    events.any(|step| step.done >= looked && step.begun <= signal.at + LOOK)
}

/// Whether a process started after the look that is known of, then the sidecar was stopped and continued, and there were events:
/// those may be as old as that look.
fn resumed_amid_events(story: &Story, life: &Life, looked: Time, signal: &Sent) -> bool {
    let until = signal.at + MS;
    let mut stops = story.stops.iter();
    let resumed = stops.any(|stop| stop.1 >= looked && stop.0 <= until);
    let mut events = story.steps.iter().filter(|step| step.files);
    resumed
        && life.spawned + TICK >= looked
        && events.any(|step| step.done >= looked && step.begun <= until)
}

/// Whether something was done to files no more than a burst before a process started, so that it started before the look at that;
/// or after its start, where the sidecar was stopped, and cannot know when. Start times are cut to a clock tick, and so is what
/// comes in the same one.
fn started_amid_events(story: &Story, life: &Life, known: Time, signal: &Sent) -> bool {
    let until = signal.at + MS;
    // A burst that was over is none.
    let over = signal.looked.filter(|looked| *looked < life.spawned - TICK);
    let since = over.map_or(known, |told| looked(story, told).max(known));
    let mut events = story.steps.iter().filter(|step| step.files);
    let mut stops = story.stops.iter();
    let was_stopped = stops.any(|stop| stop.1 >= since && stop.0 <= until);
    let before = |step: &Step| step.done >= since && step.begun <= life.running + 2 * TICK;
    let after = |step: &Step| step.done >= life.spawned - TICK && step.begun <= until;
    events.any(|step| before(step) || was_stopped && after(step))
}

/// When the look began, at the earliest, of which the log tells at `told`.
fn looked(story: &Story, told: Time) -> Time {
    let mut earliest = told - LOOK;
    loop {
        let before = story.busy.iter().rfind(|busy| busy.0 <= earliest);
        let after = story
            .busy
            .iter()
            .find(|busy| busy.0 >= told)
            .or(story.busy.last());
        let busy = after.map_or(0, |busy| busy.1) - before.map_or(0, |busy| busy.1);
        // A step may hold a lock that the sidecar waits for.
        let steps = story.steps.iter().map(|step| (step.begun, step.done));
        let held = steps.chain(story.stops.iter().copied());
        let held = held.filter(|(begun, done)| *begun <= told && earliest <= *done);
        let next = told - LOOK - busy - held.map(|(begun, done)| done - begun).sum::<Time>();
        if next >= earliest {
            return earliest;
        }
        earliest = next;
    }
}

/// Since when a process may not know of a change, if it has not been told of any yet. It has read what was there after its start,
/// but the sidecar knows only of the whole burst of events when that was, and of what came while the burst was owed.
fn started(story: &Story, life: &Life, told: Time) -> Time {
    let timing = story.timing;
    let burst_ms = 2 * timing.settle_max_ms
        + timing.settle_ms
        + timing.min_interval_ms
        + timing.poll_ms.unwrap_or(0);
    let stops = story.stops.iter().filter(|stop| stop.0 <= told);
    let stopped: Time = stops.map(|stop| stop.1 - stop.0).sum();
    looked(story, life.spawned) - TICK - burst_ms as Time * MS - stopped
}

/// Whether anything has happened since a process started that the sidecar may take for a change: a look, or events.
fn may_not_know(story: &Story, life: &Life, signal: &Sent) -> bool {
    let started = life.spawned - TICK - MS;
    let mut events = story.steps.iter().filter(|step| step.files);
    signal.looked.is_some_and(|looked| looked >= started)
        || signal.demanded
        || events.any(|step| step.done >= started && step.begun <= signal.at + MS)
}

fn has_changed(story: &Story, since: Time, until: Time) -> bool {
    let within = |begun: Time, done: Time| done >= since && begun <= until;
    story.demands.iter().any(|at| within(*at, *at))
        || story
            .steps
            .iter()
            .any(|step| (step.before != step.after || step.middle) && within(step.begun, step.done))
}

/// By the times in the log, of which each is cut to the millisecond.
fn keeps_interval(story: &Story, sent: &[Sent], broken: &mut Vec<Broken>) {
    if is_clock_stepped(story) {
        return;
    }
    for pair in sent.windows(2) {
        let apart_ms = (pair[1].at - pair[0].at) / MS;
        if !pair[1].demanded && !pair[1].also && apart_ms + 1 < story.timing.min_interval_ms as Time
        {
            let text = format!(
                "two signals {apart_ms} ms apart, where {} ms are the least",
                story.timing.min_interval_ms
            );
            broken.push(Broken(Promise::KeepsInterval, text));
        }
    }
}

/// The wall clock was set meanwhile, and the log goes by it.
fn is_clock_stepped(story: &Story) -> bool {
    (story.wall_ms[1] - story.wall_ms[0]).abs() > 1
}

fn constant(story: &Story, broken: &mut Vec<Broken>) {
    let [before, after] = story.usage;
    // The stack is touched deeper by the first link, the first signal, or more levels of directories: 8 pages.
    let grown = after.anonymous_kib > before.anonymous_kib + 32;
    if grown || after.descriptors != before.descriptors {
        broken.push(Broken(
            Promise::Constant,
            format!("{before:?} became {after:?}"),
        ));
    }
}

fn tells_the_truth(story: &Story, lines: &[Line], sent: &[Sent], broken: &mut Vec<Broken>) {
    let mut lie = |text: String| broken.push(Broken(Promise::TellsTheTruth, text));
    if story.exit != Some(0)
        || lines.last().map(|line| &*line.message) != Some("stopped by SIGTERM")
    {
        lie(format!(
            "it did not stop as asked: {:?}, {:?}",
            story.exit,
            lines.last().map(|line| &line.message)
        ));
    }
    let mut messages = lines.iter().map(|line| &*line.message);
    let mut next = || messages.find(|message| *message != "sandboxed");
    let beginning = [next(), next()];
    if beginning != [Some("started"), Some("watching")] {
        lie(format!("it began with {beginning:?}"));
    }
    // Of levels and messages only what such a history can bring about.
    for line in lines {
        let is_expected = match &*line.level {
            "info" => true,
            "warn" => {
                line.message.starts_with("cannot read ") && line.message.ends_with("Waiting for it")
                    || line.message == "reload pending: no process matches"
                    // Somebody else on this machine may have set the limit low.
                    || line.message.starts_with("inotify's queue overflowed")
                    || line
                        .message
                        .contains(" would end or stop the process, which has no handler")
            }
            _ => false,
        };
        if !is_expected {
            lie(format!("{}: {} ({})", line.level, line.message, line.rest));
        }
    }
    for pair in lines.windows(2) {
        let is_each_of_its_own = [
            "signal sent",
            "SIGUSR1 received: reading everything and signalling now",
        ]
        .contains(&&*pair[0].message);
        if pair[0].rest == pair[1].rest && !is_each_of_its_own {
            lie(format!("said twice: {}", pair[1].rest));
        }
    }
    let mut seen: Option<&Value> = None;
    for line in lines {
        if line.message.starts_with("the content is again what it was") {
            seen = None;
        }
        if line.message != "content changed" {
            continue;
        }
        let (before, after) = (&line.rest["before"], &line.rest["after"]);
        if before == after || seen.is_some_and(|seen| seen != before) {
            lie(format!(
                "content changed from {before} to {after}, after {seen:?}"
            ));
        }
        seen = Some(after);
    }
    roots(story, lines, &mut lie);
    handled(story, sent, &mut lie);
}

/// A root that is not there is told of once, and so is its coming back.
fn roots(story: &Story, lines: &[Line], lie: &mut impl FnMut(String)) {
    let mut missing: HashMap<String, bool> = HashMap::new();
    for line in lines {
        let gone = line
            .message
            .strip_prefix("cannot read ")
            .and_then(|rest| rest.split_once(": ENOENT"))
            .map(|(root, _)| (root, true));
        let back = line
            .message
            .strip_suffix(" is there again")
            .map(|root| (root, false));
        if let Some((root, is_missing)) = gone.or(back)
            && missing.insert(root.to_owned(), is_missing).unwrap_or(false) == is_missing
        {
            lie(format!("{}, but it was so before", line.message));
        }
    }
    let mut said: Vec<_> = missing
        .into_iter()
        .filter(|root| root.1)
        .map(|root| root.0)
        .collect();
    let mut there = story.missing.clone();
    said.sort();
    there.sort();
    if said != there {
        lie(format!(
            "it misses {said:?} in the end, and {there:?} are not there"
        ));
    }
}

/// As many signals were sent to each process as it has handled: fewer where two became one, or where it was killed first.
fn handled(story: &Story, sent: &[Sent], lie: &mut impl FnMut(String)) {
    for life in &story.lives {
        let count = sent.iter().filter(|signal| signal.pid == life.pid).count();
        let name = if story.timing.realtime {
            "SIG"
        } else {
            "SIGHUP "
        };
        let handled = life
            .lines
            .iter()
            .filter(|line| line.starts_with(name))
            .count();
        let others = life.lines.len()
            - handled
            - usize::from(
                life.lines
                    .first()
                    .is_some_and(|line| line.starts_with("ready")),
            );
        let may_be_fewer = life.killed.is_some() || !story.timing.realtime && handled > 0;
        if others > 0 || handled > count || handled < count && !may_be_fewer {
            lie(format!(
                "{count} signals were sent to process {}, it told: {:?}",
                life.pid, life.lines
            ));
        }
    }
    if let Some(signal) = sent
        .iter()
        .find(|signal| story.lives.iter().all(|life| life.pid != signal.pid))
    {
        lie(format!(
            "process {} got a signal and is none of the targets",
            signal.pid
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Timing;
    use crate::run::Usage;

    const PID: i32 = 7;

    /// The time of day at this many milliseconds after the beginning, which is half a day after midnight.
    fn log(at_ms: u64, level: &str, rest: &str) -> String {
        let (second, ms) = (at_ms / 1000, at_ms % 1000);
        format!(
            "{{\"time\":\"2026-11-23T12:00:{second:02}.{ms:03}Z\",\"level\":\"{level}\",\"message\":{rest}}}"
        )
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

    /// The content becomes 2 after a second, and 20 ms later there is a signal.
    fn story() -> Story {
        let sent = format!("\"signal sent\",\"pid\":{PID}");
        Story {
            timing: Timing {
                settle_ms: 20,
                settle_max_ms: 100,
                min_interval_ms: 50,
                poll_ms: None,
                realtime: true,
            },
            begun: 0,
            steps: vec![step(1000, 1, 2)],
            lives: vec![Life {
                pid: PID,
                spawned: 0,
                running: 0,
                killed: None,
                lines: vec![
                    "ready 0000000000000001".to_owned(),
                    "SIG37 1021000000 0000000000000002".to_owned(),
                ],
            }],
            stops: Vec::new(),
            demands: Vec::new(),
            busy: Vec::new(),
            log: vec![
                log(10, "info", "\"started\""),
                log(11, "info", "\"watching\""),
                log(
                    1020,
                    "info",
                    "\"content changed\",\"before\":\"a\",\"after\":\"b\"",
                ),
                log(1020, "info", &sent),
                log(5000, "info", "\"stopped by SIGTERM\""),
            ],
            exit: Some(0),
            usage: [Usage::default(); 2],
            digest: 2,
            missing: Vec::new(),
            wall_ms: [12 * 3_600_000; 2],
            operations: 1,
            updates: 0,
            first_stamps: Vec::new(),
        }
    }

    /// One more signal, of which the target tells.
    fn signalled_again(mut story: Story, at_ms: u64, found: &str) -> Story {
        let last = story.log.len() - 1;
        story.log.insert(
            last,
            log(at_ms, "info", &format!("\"signal sent\",\"pid\":{PID}")),
        );
        if !found.is_empty() {
            let changed = format!("\"content changed\",\"before\":\"b\",\"after\":\"{found}\"");
            story.log.insert(last, log(at_ms, "info", &changed));
        }
        story.lives[0]
            .lines
            .push(format!("SIG37 {at_ms}000000 0000000000000002"));
        story
    }

    #[track_caller]
    fn assert_breaks(promise: Promise, story: &Story) {
        let broken = judge(story).expect_err("something is broken");
        assert!(
            broken.iter().all(|broken| broken.0 == promise),
            "{broken:?}"
        );
    }

    #[test]
    fn a_change_and_a_signal_keep_every_promise() {
        assert_eq!(judge(&story()).map(|signals| signals.all), Ok(1));
    }

    #[test]
    fn what_was_not_told_is_lost() {
        let mut story = story();
        story.steps.push(step(2000, 2, 3));
        story.digest = 3;
        assert_breaks(Promise::Converges, &story);
    }

    #[test]
    fn a_signal_after_steps_that_change_nothing_is_needless() {
        let mut story = signalled_again(story(), 2020, "c");
        assert_breaks(Promise::NeverNeedless, &story);
        story.steps.push(step(2000, 2, 2));
        assert_breaks(Promise::NeverNeedless, &story);
        story.steps[1].middle = true;
        assert!(
            judge(&story).is_ok(),
            "something else was there for a moment"
        );
    }

    #[test]
    fn who_reads_what_was_there_for_a_moment_is_told_if_the_process_started_in_it() {
        let mut story = story();
        story.steps = vec![step(1000, 1, 2), step(1030, 2, 1)];
        story.digest = 1;
        story.lives[0].lines = vec!["ready 0000000000000002".to_owned()];
        story.log.drain(2..4);
        let mut started = |spawned, running| {
            story.lives[0].spawned = spawned * MS;
            story.lives[0].running = running * MS;
            judge(&story)
        };
        assert_eq!(started(990, 995).map(|signals| signals.late), Ok(1));
        for (spawned, running) in [(990, 1002), (1001, 1002), (1020, 1040)] {
            let broken = started(spawned, running).unwrap_err();
            assert_eq!(broken[0].0, Promise::Converges);
        }
    }

    #[test]
    fn a_second_signal_for_the_same_change_is_needless() {
        assert_breaks(Promise::NeverNeedless, &signalled_again(story(), 1080, ""));
    }

    #[test]
    fn a_second_signal_is_careful_where_something_was_done_amid_the_first_or_right_after() {
        let second_after_a_step = |at_ms| {
            let mut story = signalled_again(story(), 1080, "");
            story.steps.push(step(at_ms, 2, 2));
            story
        };
        for at_ms in [1012, 1024] {
            let judged = judge(&second_after_a_step(at_ms));
            assert_eq!(judged.map(|signals| signals.careful), Ok(1));
        }
        assert_breaks(Promise::NeverNeedless, &second_after_a_step(1040));
    }

    #[test]
    fn a_process_that_started_after_the_change_needs_no_signal() {
        let mut story = story();
        (story.lives[0].spawned, story.lives[0].running) = (1032 * MS, 1032 * MS);
        story.log[3] = log(1100, "info", &format!("\"signal sent\",\"pid\":{PID}"));
        assert_breaks(Promise::NeverNeedless, &story);
        (story.lives[0].spawned, story.lives[0].running) = (1020 * MS, 1020 * MS);
        assert!(
            judge(&story).is_ok(),
            "start times are cut to the clock tick"
        );
    }

    #[test]
    fn two_signals_within_the_least_interval_are_too_many() {
        let mut story = signalled_again(story(), 1068, "c");
        story.steps.push(step(1040, 2, 2));
        story.steps[1].middle = true;
        assert_breaks(Promise::KeepsInterval, &story);
        let mut story = signalled_again(self::story(), 1069, "c");
        story.steps.push(step(1040, 2, 2));
        story.steps[1].middle = true;
        assert!(judge(&story).is_ok(), "times are cut to the millisecond");
    }

    #[test]
    fn descriptors_and_memory_must_not_grow() {
        let mut story = story();
        story.usage[1].descriptors = 1;
        assert_breaks(Promise::Constant, &story);
        story.usage[1] = Usage {
            anonymous_kib: 36,
            descriptors: 0,
        };
        assert_breaks(Promise::Constant, &story);
    }

    #[test]
    fn the_log_must_tell_of_every_signal_and_of_nothing_else() {
        let mut unheard = story();
        unheard.lives[0]
            .lines
            .push("SIG37 1100000000 0000000000000002".to_owned());
        assert_breaks(Promise::TellsTheTruth, &unheard);
        let mut unsent = story();
        unsent.lives[0].lines[1] = "SIG1 1100000000 0000000000000002".to_owned();
        unsent.lives[0].lines.truncate(1);
        assert!(judge(&unsent).is_err());
        for line in [
            "\"content changed\",\"before\":\"x\",\"after\":\"y\"",
            "\"stopping while a reload is pending\"",
        ] {
            let mut story = story();
            story.log.insert(
                4,
                log(
                    4000,
                    if line.contains("stopping") {
                        "warn"
                    } else {
                        "info"
                    },
                    line,
                ),
            );
            assert_breaks(Promise::TellsTheTruth, &story);
        }
    }
}
