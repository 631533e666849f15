//! In the end, the target runs what is on disk.

use super::log::Sent;
use super::{Broken, MS, Promise, TICK, scan_begun};
use crate::trace::{Life, Step, Time, Trace};

/// Returns true if the target read something else, but only because it was late.
pub fn check(trace: &Trace, sent: &[Sent], broken: &mut Vec<Broken>) -> bool {
    let Some(life) = trace.lives.last() else {
        return false;
    };
    let last = life.lines.last().map_or("nothing", String::as_str);
    let read = last.rsplit(' ').next().unwrap_or(last);
    let expected = format!("{:016x}", trace.digest);
    if read == expected {
        return false;
    }
    let signal = sent.iter().rfind(|signal| signal.pid == life.pid);
    let late = match signal {
        Some(signal) => signal
            .changed
            .is_some_and(|logged| was_scanned_then_changed(trace, logged)),
        None => was_there_at_start_then_changed(trace, life),
    };
    if !late {
        let step = trace.step_that_left(read);
        let text = format!("the target read {read}, left by {step}; on disk is {expected}");
        broken.push(Broken(Promise::Converges, text));
    }
    late
}

/// True if the scan that was logged at `logged` can have found the final content, and a change followed.
fn was_scanned_then_changed(trace: &Trace, logged: Time) -> bool {
    let since = scan_begun(trace, logged);
    let was_found = |at: usize| {
        let step = &trace.steps[at];
        let until = trace.steps.get(at + 1).map_or(Time::MAX, |next| next.done);
        let after = step.after == trace.digest && step.begun <= logged + MS && until >= since;
        let before_any = at == 0 && step.before == trace.digest && step.done >= since;
        after || before_any
    };
    let has_changed = |steps: &[Step]| {
        let mut changes = steps.iter().filter(|step| step.changes());
        changes.any(|step| step.done >= since)
    };
    (0..trace.steps.len()).any(|at| was_found(at) && has_changed(&trace.steps[at..]))
}

/// True if nothing changed while an unsignalled process started, and the next change came before it had read everything.
fn was_there_at_start_then_changed(trace: &Trace, life: &Life) -> bool {
    let mut changes = trace.steps.iter().filter(|step| step.changes());
    let is_later = |step: &Step| step.begun > life.running;
    let during_start = |step: &Step| step.done >= life.spawned - TICK && !is_later(step);
    !changes.clone().any(during_start)
        && changes
            .find(|step| is_later(step))
            .is_some_and(|step| step.before == trace.digest)
}
