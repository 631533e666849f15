//! Delivers the signal: to the very process that was selected, never to another one with a recycled id.
//!
//! An application waits for its signal, so nothing that can take long stands before the first one: the targets of the last
//! delivery are signalled before `/proc` is scanned, and the change is logged afterwards.

mod context;
mod obstacle;
mod send;
mod targets;

pub use context::{ContentChange, Context};
pub use obstacle::wanted;

use crate::base::sys;
use crate::base::time::Instant;
use crate::config::Config;
use crate::confirm::Confirm;
use crate::process::{Proc, Process, Status, Verdict, guard};
use crate::reload::{Attempt, Order};
use crate::report::Report;
use crate::report::facts::delivering::Delivering;
use crate::report::facts::obstacle::Obstacle;
use obstacle::{no_process, refused, subject, waiting};
use rustix::io;
use send::{hold, send};
use targets::{HELD_MAX, Target, Targets};

/// A process that ignores the signal has this many times `PROCESS_MIN_AGE` from its start, and `PROCESS_MIN_AGE` from the
/// change, to install a handler: some ignore a signal while they start, or while they execute themselves again.
const STARTUP_FACTOR: u64 = 5;

/// State kept from one attempt to the next.
#[derive(Debug)]
pub struct Delivery<'c> {
    targets: Targets,
    /// Why the last attempt was not complete.
    obstacle: Option<Obstacle<'c>>,
}

/// One attempt and its progress.
struct Round<'c> {
    order: Order,
    changed_at: Instant,
    signalled: u32,
    /// The first obstacle.
    obstacle: Option<Obstacle<'c>>,
    /// When it passes, if that is known.
    ready_at: Option<Instant>,
}

impl<'c> Delivery<'c> {
    /// Returns the state before any attempt.
    pub const fn new() -> Self {
        Self {
            targets: Targets::new(),
            obstacle: None,
        }
    }

    /// Returns why the last attempt was not complete; `None` if it was.
    pub const fn obstacle(&self) -> Option<Obstacle<'c>> {
        self.obstacle
    }

    /// Finds and holds the present targets, so that the first change can be delivered without a scan.
    pub fn prepare(&mut self, config: &Config<'_>, proc: &Proc) {
        // An unreadable `/proc` is reported as soon as there is something to deliver.
        let _ = proc.select(&config.matcher, config.select, &mut |process| {
            let target = self.targets.slot(process, 0);
            target.pidfd = hold(process, &config.matcher, proc).unwrap_or_default();
        });
    }

    /// Signals every process that the order concerns and that is ready. `changed_at` is when the change began.
    // Not inlined, so that a scan, which never overlaps with this, can use the same stack.
    #[inline(never)]
    pub fn attempt(
        &mut self,
        order: Order,
        changed_at: Instant,
        context: &mut Context<'_, 'c>,
    ) -> Attempt {
        let mut round = Round {
            order,
            changed_at,
            signalled: 0,
            obstacle: None,
            ready_at: None,
        };
        self.signal_held(&mut round, context);
        context.record_change();
        // The scan meets these obstacles again.
        (round.obstacle, round.ready_at) = (None, None);
        self.signal_selected(&mut round, context);
        self.obstacle = round.obstacle;
        Attempt {
            signalled: round.signalled,
            waiting: round.obstacle.as_ref().map(waiting),
            ready_at: round.ready_at,
        }
    }

    /// Signals the targets of the last delivery that still match.
    fn signal_held(&mut self, round: &mut Round<'c>, context: &mut Context<'_, 'c>) {
        let matcher = &context.config.matcher;
        if matcher.pid_file.is_some() {
            // The file may name another process by now.
            return;
        }
        for at in 0..HELD_MAX {
            if let Some((process, status)) = self.targets.read_held(at, context.proc)
                && context.proc.matches(&process, matcher)
            {
                self.offer(&process, Some(&status), round, context);
            }
        }
    }

    /// Scans `/proc` and signals the processes selected there.
    fn signal_selected(&mut self, round: &mut Round<'c>, context: &mut Context<'_, 'c>) {
        let (config, proc) = (context.config, context.proc);
        let scanned = proc.select(&config.matcher, config.select, &mut |process| {
            self.offer(process, None, round, context);
        });
        if round.obstacle.is_none() {
            round.obstacle = match scanned {
                Err(errno) => Some(Obstacle::NoProc(errno)),
                Ok(scanned) if scanned.no_pid_file => Some(Obstacle::NoPidFile(wanted(config))),
                Ok(scanned) if scanned.selected == 0 && round.signalled == 0 => {
                    Some(no_process(config, scanned.others))
                }
                Ok(_) => None,
            };
        }
    }

    /// Signals a process, if the order concerns it and it was not signalled yet. `status` is given if it was just read.
    fn offer(
        &mut self,
        process: &Process,
        status: Option<&Status>,
        round: &mut Round<'c>,
        context: &mut Context<'_, 'c>,
    ) {
        let target = self.targets.slot(process, round.order.generation);
        if target.signalled == round.order.generation {
            return;
        }
        if !round.order.concerns(process.start) {
            context.record(&Delivering::StartedAfter(subject(process)));
            return;
        }
        match signal(target, process, status, round, context) {
            Ok(()) => {
                round.signalled += 1;
                record_signal(target, process, round, context);
            }
            Err(obstacle) => {
                if matches!(obstacle, Obstacle::Guarded(..) | Obstacle::Ignored(..)) {
                    target.unready = sys::now();
                }
                round.add_obstacle(obstacle, target.ready_at(context.config.min_age));
            }
        }
    }
}

impl Default for Delivery<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'c> Round<'c> {
    /// Keeps the first obstacle. A process that has just ended gives way to any other.
    fn add_obstacle(&mut self, obstacle: Obstacle<'c>, ready_at: Instant) {
        if matches!(self.obstacle, None | Some(Obstacle::NoProcess { .. })) {
            self.ready_at = matches!(obstacle, Obstacle::TooYoung(_)).then_some(ready_at);
            self.obstacle = Some(obstacle);
        }
    }
}

/// Signals a process, or returns the obstacle.
fn signal<'c>(
    target: &mut Target,
    process: &Process,
    status: Option<&Status>,
    round: &Round<'c>,
    context: &mut Context<'_, 'c>,
) -> Result<(), Obstacle<'c>> {
    let (config, proc) = (context.config, context.proc);
    let status = match status {
        Some(status) => *status,
        None => proc
            .status(process.pid)
            .map_err(|errno| refused(errno, None, process, config))?,
    };
    let verdict = judge(target, process, &status, round, context)?;
    if verdict == Verdict::SendIgnored {
        context.record(&Delivering::SentIgnored(config.signal, subject(process)));
    }
    if round.signalled == 0 {
        context.confirm.before_signal();
    }
    send_to(target, process, context)
        .map_err(|errno| refused(errno, Some(status.uid), process, config))
}

fn send_to(target: &mut Target, process: &Process, context: &Context<'_, '_>) -> io::Result<()> {
    let config = context.config;
    if target.pidfd.is_none() {
        target.pidfd = hold(process, &config.matcher, context.proc)?;
    }
    send(config.signal, process.pid, target.pidfd.as_ref())
}

/// Decides whether a process is ready for the signal.
fn judge<'c>(
    target: &Target,
    process: &Process,
    status: &Status,
    round: &Round<'c>,
    context: &Context<'_, 'c>,
) -> Result<Verdict, Obstacle<'c>> {
    let config = context.config;
    let now = sys::now();
    let verdict = if config.guard {
        guard(process.pid, config.signal, status, context.proc)
    } else {
        Verdict::Send
    };
    match verdict {
        Verdict::Hold => return Err(Obstacle::Guarded(config.signal, subject(process))),
        Verdict::SendIgnored => {
            let started = process.start.plus(config.min_age.times(STARTUP_FACTOR));
            if started.max(round.changed_at.plus(config.min_age)) > now {
                return Err(Obstacle::Ignored(config.signal, subject(process)));
            }
        }
        Verdict::Send => {}
    }
    if target.ready_at(config.min_age) > now {
        return Err(Obstacle::TooYoung(subject(process)));
    }
    Ok(verdict)
}

/// Records and logs that a process was signalled, and holds it for the next delivery.
fn record_signal(
    target: &mut Target,
    process: &Process,
    round: &Round<'_>,
    context: &mut Context<'_, '_>,
) {
    let now = sys::now();
    target.signalled = round.order.generation;
    let subject = subject(process);
    context.confirm.signalled(subject, target.pidfd.take(), now);
    context.record(&Delivering::Sent {
        signal: context.config.signal,
        subject,
        after: now.since(round.changed_at),
    });
    target.pidfd = hold(process, &context.config.matcher, context.proc).unwrap_or_default();
}

/// Signals every selected process once. Returns false, with the obstacle logged, if one could not be signalled.
pub fn signal_now(config: &Config<'_>, proc: &Proc, report: &mut Report) -> bool {
    let now = sys::now();
    let order = Order {
        started_before: now,
        started_between: None,
        generation: 1,
    };
    let mut delivery = Delivery::new();
    let mut context = Context {
        config,
        proc,
        report: &mut *report,
        confirm: &mut Confirm::new(config),
        change: None,
    };
    delivery.attempt(order, now, &mut context);
    match delivery.obstacle() {
        Some(obstacle) => {
            report.record(&Delivering::NotSignalled(obstacle));
            false
        }
        None => true,
    }
}
