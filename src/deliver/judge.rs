//! Decides whether a process is ready for the signal.

use super::obstacle::subject;
use crate::base::sys;
use crate::base::time::Instant;
use crate::config::Config;
use crate::process::{Proc, Process, Status, Verdict, guard};
use crate::report::facts::obstacle::{Obstacle, SIGWAIT};

/// A process that ignores the signal has this many times `PROCESS_MIN_AGE` from its start, and `PROCESS_MIN_AGE` from the
/// change, to install a handler: some ignore a signal while they start, or while they execute themselves again.
const STARTUP_FACTOR: u64 = 5;

/// A process to signal, and the facts that decide when.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'p> {
    /// The process.
    pub process: &'p Process,
    /// Its status, as just read.
    pub status: &'p Status,
    /// When it was last found unprepared for the signal, or else its start.
    pub unready: Instant,
    /// When the change began.
    pub changed_at: Instant,
}

/// Decides whether to send the signal now, for a delivery and for `check` alike.
///
/// # Errors
/// The obstacle that the signal has to wait for.
pub fn judge(
    candidate: Candidate<'_>,
    config: &Config<'_>,
    proc: &Proc,
) -> Result<Verdict, Obstacle> {
    let Candidate {
        process, status, ..
    } = candidate;
    let now = sys::now();
    let verdict = if config.guard {
        guard(process.pid, config.signal, status, proc)
    } else {
        Verdict::Send
    };
    let (signal, subject) = (config.signal, subject(process));
    let guarded = |hint| Obstacle::Guarded {
        signal,
        subject,
        hint,
    };
    match verdict {
        Verdict::Hold => return Err(guarded("")),
        Verdict::HoldUnseen => return Err(guarded(SIGWAIT)),
        Verdict::SendIgnored => {
            let started = process.start.plus(config.min_age.times(STARTUP_FACTOR));
            let changed = candidate.changed_at.plus(config.min_age);
            if started.max(changed) > now {
                return Err(Obstacle::Ignored(signal, subject));
            }
        }
        Verdict::Send | Verdict::SendUnknown => {}
    }
    if ready_at(candidate.unready, config) > now {
        return Err(Obstacle::TooYoung(subject));
    }
    Ok(verdict)
}

/// Returns when a process has been ready for `PROCESS_MIN_AGE`. One that has just installed its handler is no more ready than one
/// that has just started.
pub(super) fn ready_at(unready: Instant, config: &Config<'_>) -> Instant {
    unready.plus(config.min_age)
}
