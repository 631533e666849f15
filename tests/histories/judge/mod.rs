//! Checks a recorded history against what the sidecar promises. Pure.
//!
//! Steps and starts of processes are timed to the microsecond, log lines to the millisecond. The start of a scan is not logged.
//! It is bounded from below: by the line that logs the scan's result, less the time for which the sidecar ran or was kept
//! waiting, less [`SLACK`].

mod converge;
mod log;
mod needless;
#[cfg(test)]
mod tests;
mod truth;

use crate::trace::{Time, Trace};
use log::Sent;
pub use log::parse;
use std::fmt;

const MS: Time = 1_000_000;
/// Delays that the kernel does not count: the hypervisor taking a processor away, locks held by others.
const SLACK: Time = 10 * MS;
/// The kernel reports start times in clock ticks.
const TICK: Time = 10 * MS;
/// The first link, the first signal, or another level of directories deepens the stack: 8 pages.
const STACK_KIB: u64 = 32;

/// A promise of the sidecar.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Promise {
    /// In the end, the target runs what is on disk.
    Converges,
    /// A change precedes every signal.
    NeverNeedless,
    /// Two signals are at least the minimum interval apart.
    KeepsInterval,
    /// Idle, it uses as much memory and as many descriptors as before.
    NeverGrows,
    /// The log says what happened.
    LogsTheTruth,
}

/// A broken promise, and how it was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken(pub Promise, pub String);

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.0, self.1)
    }
}

/// Counts for the summary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counts {
    pub signals: usize,
    /// Signals without a change, to processes that started or were signalled during a burst of events. The sidecar scans after
    /// the burst, and cannot rule out that the process read some other content during it.
    pub cautious: usize,
    /// Targets that read too slowly: they were signalled for the final content, or started with it, but read some content that
    /// existed for a moment later. Returning to the delivered content gives no signal (W10).
    pub late: usize,
}

/// Checks every promise.
///
/// # Errors
/// All promises that are broken.
pub fn judge(trace: &Trace) -> Result<Counts, Vec<Broken>> {
    let unparsed = |line| {
        let text = format!("not a log line: {line}");
        vec![Broken(Promise::LogsTheTruth, text)]
    };
    let lines = parse(trace).map_err(unparsed)?;
    let sent = log::sent(&lines);
    let mut broken = Vec::new();
    let late = converge::check(trace, &sent, &mut broken);
    let mut cautious = 0;
    // The log's times are useless if somebody set the wall clock meanwhile.
    if (trace.wall_ms[1] - trace.wall_ms[0]).abs() <= 1 {
        cautious = needless::check(trace, &sent, &mut broken);
        check_interval(trace, &sent, &mut broken);
    }
    check_growth(trace, &mut broken);
    truth::check(trace, &lines, &sent, &mut broken);
    if broken.is_empty() {
        Ok(Counts {
            signals: sent.len(),
            cautious,
            late: usize::from(late),
        })
    } else {
        Err(broken)
    }
}

fn check_interval(trace: &Trace, sent: &[Sent], broken: &mut Vec<Broken>) {
    let min_ms = trace.timing.min_interval_ms as Time;
    for pair in sent.windows(2) {
        let apart_ms = (pair[1].at - pair[0].at) / MS;
        // Both times are truncated to a millisecond.
        let too_close = apart_ms + 1 < min_ms;
        if too_close && !pair[1].requested && !pair[1].together {
            let text = format!("two signals are {apart_ms} ms apart; the minimum is {min_ms} ms");
            broken.push(Broken(Promise::KeepsInterval, text));
        }
    }
}

fn check_growth(trace: &Trace, broken: &mut Vec<Broken>) {
    let [before, after] = trace.usage;
    let grown = after.anonymous_kib > before.anonymous_kib + STACK_KIB;
    if grown || after.descriptors != before.descriptors {
        let text = format!("{before:?} became {after:?}");
        broken.push(Broken(Promise::NeverGrows, text));
    }
}

/// Returns the earliest time at which the scan can have begun whose result was logged at `logged`.
fn scan_begun(trace: &Trace, logged: Time) -> Time {
    let mut earliest = logged - SLACK;
    loop {
        let busy = trace.busy_between(earliest, logged);
        // The sidecar may wait for a lock that a step holds.
        let steps = trace.steps.iter().map(|step| (step.begun, step.done));
        let delays = steps.chain(trace.stops.iter().copied());
        let delays = delays.filter(|(begun, done)| *begun <= logged && earliest <= *done);
        let delayed: Time = delays.map(|(begun, done)| done - begun).sum();
        let next = logged - SLACK - busy - delayed;
        if next >= earliest {
            return earliest;
        }
        earliest = next;
    }
}
