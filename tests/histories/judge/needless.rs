//! Every signal follows a change that its receiver may not have read.

use super::log::Sent;
use super::{Broken, MS, Promise, SLACK, TICK, scan_begun};
use crate::trace::{Life, Step, Time, Trace};

/// Returns the number of signals that followed no change, but were justified by events.
pub fn check(trace: &Trace, sent: &[Sent], broken: &mut Vec<Broken>) -> usize {
    let mut cautious = 0;
    for (at, signal) in sent.iter().enumerate() {
        let Some(life) = trace.lives.iter().find(|life| life.pid == signal.pid) else {
            continue;
        };
        let previous = sent[..at].iter().rfind(|sent| sent.pid == signal.pid);
        let check = Check {
            trace,
            life,
            signal,
            previous,
            since: previous.map_or_else(
                || unread_since(trace, life, signal),
                |previous| scan_begun(trace, previous.changed.unwrap_or(trace.begun)),
            ),
        };
        if check.follows_a_change() {
            continue;
        }
        if check.follows_events() {
            cautious += 1;
        } else {
            let text = check.explain(at + 1, sent.len());
            broken.push(Broken(Promise::NeverNeedless, text));
        }
    }
    cautious
}

/// Returns the time since when a process may have missed a change, if it has not been signalled yet. It has read the files
/// after its start, but the sidecar only knows the bursts of events around that start.
fn unread_since(trace: &Trace, life: &Life, signal: &Sent) -> Time {
    let timing = trace.timing;
    let burst_ms = 2 * timing.settle_max_ms
        + timing.settle_ms
        + timing.min_interval_ms
        + timing.poll_ms.unwrap_or(0);
    let stops = trace.stops.iter().filter(|stop| stop.0 <= signal.at);
    let stopped: Time = stops.map(|stop| stop.1 - stop.0).sum();
    scan_begun(trace, life.spawned) - TICK - burst_ms as Time * MS - stopped
}

/// One signal, its receiver, and the signal before to the same receiver.
struct Check<'t> {
    trace: &'t Trace,
    life: &'t Life,
    signal: &'t Sent,
    previous: Option<&'t Sent>,
    /// The receiver has surely read what was there before this.
    since: Time,
}

impl Check<'_> {
    /// Log times are truncated to a millisecond.
    fn until(&self) -> Time {
        self.signal.at + MS
    }

    fn follows_a_change(&self) -> bool {
        let (since, until) = (self.since, self.until());
        let mut changes = self.trace.steps.iter().filter(|step| step.changes());
        let mut requests = self.trace.requests.iter();
        (self.previous.is_some() || self.is_newer_than_the_start())
            // A request that comes during a scan is met after the signal that follows the scan.
            && (self.signal.requested
                || requests.any(|at| (since..=until).contains(at))
                || changes.any(|step| step.overlaps(since, until)))
    }

    /// True if anything happened since the process started that the sidecar may take for a change.
    fn is_newer_than_the_start(&self) -> bool {
        let started = self.life.spawned - TICK - MS;
        self.signal.changed.is_some_and(|logged| logged >= started)
            || self.signal.requested
            || self
                .events()
                .any(|step| step.overlaps(started, self.until()))
    }

    fn follows_events(&self) -> bool {
        match self.previous {
            None => self.started_during_events(),
            Some(previous) => {
                previous.changed == self.signal.changed
                    && (self.signalled_during_events(previous) || self.resumed_after_events())
            }
        }
    }

    /// True if files were touched between the previous signal's scan and the moment when the sidecar next slept: it cannot tell
    /// which of the two came first.
    fn signalled_during_events(&self, previous: &Sent) -> bool {
        let asleep = previous.at + SLACK;
        self.events().any(|step| step.overlaps(self.since, asleep))
    }

    /// True if the process started after the previous signal's scan and the sidecar was stopped: on resuming, it cannot tell
    /// how old the events are.
    fn resumed_after_events(&self) -> bool {
        let (since, until) = (self.since, self.until());
        self.was_stopped(since)
            && self.life.spawned + TICK >= since
            && self.events().any(|step| step.overlaps(since, until))
    }

    /// True if the process started during a burst of events, or before one that came while the sidecar was stopped.
    fn started_during_events(&self) -> bool {
        let started = self.life.spawned - TICK;
        // A burst that ended before the start is over.
        let over = self.signal.changed.filter(|logged| *logged < started);
        let since = over.map_or(self.since, |logged| {
            scan_begun(self.trace, logged).max(self.since)
        });
        let running = self.life.running + 2 * TICK;
        let was_stopped = self.was_stopped(since);
        self.events().any(|step| {
            step.overlaps(since, running) || was_stopped && step.overlaps(started, self.until())
        })
    }

    fn was_stopped(&self, since: Time) -> bool {
        let mut stops = self.trace.stops.iter();
        stops.any(|stop| stop.1 >= since && stop.0 <= self.until())
    }

    fn events(&self) -> impl Iterator<Item = &Step> {
        self.trace.steps.iter().filter(|step| step.files)
    }

    fn explain(&self, number: usize, all: usize) -> String {
        let since = if self.previous.is_some() {
            "the scan before its previous signal"
        } else {
            "it started"
        };
        format!(
            "signal {number} of {all}, to process {} at {} ms: nothing has changed since {since}, at {} ms",
            self.signal.pid,
            (self.signal.at - self.trace.begun) / MS,
            (self.since - self.trace.begun) / MS,
        )
    }
}
