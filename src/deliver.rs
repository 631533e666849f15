//! Delivers the signal: to the very process that was selected, never to another one with a recycled id.
//!
//! An application waits for its signal, so nothing that can take long stands before the first one: the targets of the last
//! delivery are signalled before `/proc` is scanned, and the change is logged afterwards.

mod context;
mod judge;
mod obstacle;
mod send;
mod targets;
mod waiters;

pub use context::{ContentChange, Context};
pub use judge::{Candidate, judge};
pub use obstacle::wanted;

use crate::base::sys;
use crate::base::time::Instant;
use crate::config::Config;
use crate::confirm::Confirm;
use crate::process::{Proc, Process, Role, Status, Verdict};
use crate::reload::{Attempt, Order};
use crate::report::Report;
use crate::report::facts::delivering::{Delivering, IGNORED, UNSHOWN};
use crate::report::facts::obstacle::Obstacle;
use judge::ready_at;
use obstacle::{no_process, refused, subject, waiting};
use rustix::io::{self, Errno};
use send::{hold, send};
use targets::{HELD_MAX, Stay, Target, Targets};
use waiters::Waiters;

/// State kept from one attempt to the next.
#[derive(Debug)]
pub struct Delivery {
    targets: Targets,
    waiters: Waiters,
    /// Why the last attempt was not complete.
    obstacle: Option<Obstacle>,
    /// The log has said that the kernel does not show what a process does with a signal.
    has_reported_unknown: bool,
    /// The log has said that an adopted process is passed over.
    has_reported_adopted: bool,
}

/// One attempt and its progress.
struct Round {
    order: Order,
    changed_at: Instant,
    /// Processes offered the signal, those included that do not need it.
    offered: u32,
    signalled: u32,
    /// A process was signalled that is not held.
    is_over: bool,
    /// The first obstacle.
    obstacle: Option<Obstacle>,
    /// When it passes, if that is known.
    ready_at: Option<Instant>,
}

impl Delivery {
    /// Returns the state before any attempt.
    pub const fn new() -> Self {
        Self {
            targets: Targets::new(),
            waiters: Waiters::new(),
            obstacle: None,
            has_reported_unknown: false,
            has_reported_adopted: false,
        }
    }

    /// Returns why the last attempt was not complete; `None` if it was.
    pub const fn obstacle(&self) -> Option<&Obstacle> {
        self.obstacle.as_ref()
    }

    /// Finds and holds the present targets, so that the first change can be delivered without a scan.
    pub fn prepare(&mut self, config: &Config<'_>, proc: &Proc) {
        // An unreadable `/proc` is reported as soon as there is something to deliver.
        let _ = proc.select(&config.matcher, config.select, &mut |process, role| {
            if role != Role::Main {
                return;
            }
            let (target, _) = self.targets.slot(process);
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
        context: &mut Context<'_, '_>,
    ) -> Attempt {
        let mut round = Round {
            order,
            changed_at,
            offered: 0,
            signalled: 0,
            is_over: false,
            obstacle: None,
            ready_at: None,
        };
        self.waiters.begin(order.generation);
        self.signal_held(&mut round, context);
        context.record_change();
        self.signal_selected(&mut round, context);
        self.obstacle = round.obstacle;
        Attempt {
            signalled: round.signalled,
            waiting: round.obstacle.as_ref().map(waiting),
            ready_at: round.ready_at,
        }
    }

    /// Signals the targets that are held: those signalled before, and those that still match.
    fn signal_held(&mut self, round: &mut Round, context: &mut Context<'_, '_>) {
        let matcher = &context.config.matcher;
        if matcher.pid_file.is_some() {
            // The file may name another process by now.
            return;
        }
        for at in 0..HELD_MAX {
            if let Some(held) = self.targets.read_held(at, context.proc)
                // By command line, it may have become the launcher of another one since.
                && (held.is_chosen
                    || matcher.cmdline.is_none() && context.proc.matches(&held.process, matcher))
            {
                self.offer(&held.process, Some(&held.status), round, context);
            }
        }
        // One that has just ended is no obstacle: whether there is another one, the scan will tell.
        round
            .obstacle
            .take_if(|it| matches!(it, Obstacle::NoProcess { .. }));
    }

    /// Scans `/proc` and signals the processes selected there.
    fn signal_selected(&mut self, round: &mut Round, context: &mut Context<'_, '_>) {
        let (config, proc) = (context.config, context.proc);
        let scanned = proc.select(
            &config.matcher,
            config.select,
            &mut |process, role| match role {
                Role::Main => self.offer(process, None, round, context),
                Role::Adopted if !core::mem::replace(&mut self.has_reported_adopted, true) => {
                    context.record(&Delivering::Adopted(subject(process)));
                }
                _ => {}
            },
        );
        // Otherwise the targets tell who was signalled.
        if round.is_over && scanned.is_ok() {
            self.waiters.end();
        }
        if round.obstacle.is_none() {
            round.obstacle = match scanned {
                Err(errno) => Some(Obstacle::NoProc(errno)),
                Ok(scanned) if scanned.no_pid_file => Some(Obstacle::NoPidFile),
                Ok(scanned) if scanned.stranger.is_some() => {
                    scanned.stranger.map(|it| Obstacle::Stranger(subject(&it)))
                }
                Ok(scanned) if round.offered == 0 => Some(no_process(config, scanned.others)),
                Ok(_) => None,
            };
        }
    }

    /// Signals a process, if the order concerns it and it was not signalled yet. `status` is given for one that is held.
    fn offer(
        &mut self,
        process: &Process,
        status: Option<&Status>,
        round: &mut Round,
        context: &mut Context<'_, '_>,
    ) {
        round.offered += 1;
        if self.waiters.is_done(process.pid) {
            return;
        }
        let (target, stay) = self.targets.slot(process);
        if target.signalled == round.order.generation {
            return;
        }
        if !round.order.concerns(process.start) {
            // The scan comes across those that are held as well.
            if status.is_none() {
                context.record(&Delivering::StartedAfter(subject(process)));
            }
            return;
        }
        match signal(target, process, status, round, context) {
            Ok(verdict) => {
                round.signalled += 1;
                round.is_over |= stay == Stay::Brief;
                target.signalled = round.order.generation;
                self.record_signal(process, verdict, round, context);
            }
            Err(obstacle) => {
                if obstacle.is_unprepared() {
                    target.unready = sys::now();
                }
                let ready_at = ready_at(target.unready, context.config);
                if matches!(obstacle, Obstacle::NoProcess { .. }) {
                    round.offered -= 1;
                } else {
                    self.waiters.add(process.pid);
                }
                round.add_obstacle(obstacle, ready_at);
            }
        }
    }

    /// Records and logs that a process was signalled, and watches what becomes of it.
    fn record_signal(
        &mut self,
        process: &Process,
        verdict: Verdict,
        round: &Round,
        context: &mut Context<'_, '_>,
    ) {
        let now = sys::now();
        let (signal, subject) = (context.config.signal, subject(process));
        let (target, _) = self.targets.slot(process);
        context
            .confirm
            .signalled(subject, target.pidfd.as_ref(), now);
        context.record(&Delivering::Sent {
            signal,
            subject,
            after: now.since(round.changed_at),
        });
        let why = match verdict {
            Verdict::SendIgnored => IGNORED,
            Verdict::SendUnknown if !core::mem::replace(&mut self.has_reported_unknown, true) => {
                UNSHOWN
            }
            _ => return,
        };
        context.record(&Delivering::SentInDoubt {
            why,
            signal,
            subject,
        });
    }
}

impl Default for Delivery {
    fn default() -> Self {
        Self::new()
    }
}

impl Round {
    /// Keeps the first obstacle. A process that has just ended gives way to any other.
    fn add_obstacle(&mut self, obstacle: Obstacle, ready_at: Instant) {
        if matches!(self.obstacle, None | Some(Obstacle::NoProcess { .. })) {
            self.ready_at = matches!(obstacle, Obstacle::TooYoung(_)).then_some(ready_at);
            self.obstacle = Some(obstacle);
        }
    }
}

/// Signals a process, or returns the obstacle.
fn signal(
    target: &mut Target,
    process: &Process,
    status: Option<&Status>,
    round: &Round,
    context: &mut Context<'_, '_>,
) -> Result<Verdict, Obstacle> {
    let (config, proc) = (context.config, context.proc);
    let status = match status.map_or_else(|| proc.status(process.pid), |status| Ok(*status)) {
        // It says as little as a status without the lines that matter.
        Err(Errno::PERM | Errno::ACCESS) => Status::default(),
        read => read.map_err(|errno| refused(errno, None, process, config))?,
    };
    let candidate = Candidate {
        process,
        status: &status,
        unready: target.unready,
        changed_at: round.changed_at,
    };
    let verdict = judge(candidate, config, proc)?;
    if round.signalled == 0 {
        context.confirm.before_signal();
    }
    send_to(target, process, context)
        .map(|()| verdict)
        .map_err(|errno| refused(errno, Some(status.uid), process, config))
}

fn send_to(target: &mut Target, process: &Process, context: &Context<'_, '_>) -> io::Result<()> {
    let config = context.config;
    if target.pidfd.is_none() {
        target.pidfd = hold(process, &config.matcher, context.proc)?;
    }
    send(config.signal, process.pid, target.pidfd.as_ref())
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
            report.record(&Delivering::NotSignalled(obstacle, &wanted(config)));
            false
        }
        None => true,
    }
}
