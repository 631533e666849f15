//! Runs a history and records what happened.
//!
//! One thread carries out the actions of all writers, in the order of the history's own clock. So the order is the same each
//! time, however busy the machine is, and nothing changes between two steps while the content is read.

use crate::action::{Action, Paused};
use crate::history::{History, ROOTS, Timed, Timing};
use crate::idle::{proc, usage, wait_until_idle};
use crate::messages::WATCHING;
use crate::plan::World;
use crate::support::act::{How, open};
use crate::support::digest::digest;
use crate::support::process::{Settings, Talker, example};
use crate::support::unique_name;
use crate::target::{Target, fork, nanoseconds, no_forks, now};
use crate::trace::{Step, Time, Trace};
use rustix::process::Signal;
use rustix::time::ClockId;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

fn wall_ms() -> i64 {
    (nanoseconds(ClockId::Realtime) - now()) / 1_000_000
}

/// Runs a history in a directory of its own.
///
/// # Errors
/// Why it did not come to an end.
pub fn run(history: &History) -> Result<Trace, String> {
    // In memory, as a disk may delay the sidecar's reads.
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let directory = directory.unwrap();
    let mut run = Run::start(history, directory.path());
    run.wait_until_idle()?;
    run.trace.usage[0] = usage(&run.sidecar);
    run.all_steps(history);
    run.wait_until_idle()?;
    run.trace.usage[1] = usage(&run.sidecar);
    Ok(run.finish())
}

/// The sidecar's settings.
pub fn environment(timing: Timing, roots: &str, name: &str) -> Vec<(&'static str, String)> {
    let ms = |number: u64| format!("{number}ms");
    let signal = if timing.realtime {
        "SIGRTMIN+3"
    } else {
        "SIGHUP"
    };
    let all = [
        ("CONFIG_DIR", roots.to_owned()),
        ("PROCESS_NAME", name.to_owned()),
        ("PROCESS_MIN_AGE", "0".to_owned()),
        ("RELOAD_SIGNAL", signal.to_owned()),
        ("RELOAD_SETTLE", ms(timing.settle_ms)),
        ("RELOAD_SETTLE_MAX", ms(timing.settle_max_ms)),
        ("RELOAD_MIN_INTERVAL", ms(timing.min_interval_ms)),
        // It keeps the sidecar busy for five seconds after a signal.
        ("RELOAD_CONFIRM", "off".to_owned()),
        // The files are as new as the target.
        ("RELOAD_CATCH_UP", "false".to_owned()),
    ];
    let poll = timing
        .poll_ms
        .map(|poll_ms| ("CONFIG_POLL_INTERVAL", ms(poll_ms)));
    all.into_iter().chain(poll).collect()
}

fn settings(timing: Timing, roots: &str, name: &str) -> Settings {
    let json = Settings::bare().set("LOG_FORMAT", "json");
    let environment = environment(timing, roots, name).into_iter();
    environment.fold(json, |settings, (name, value)| settings.set(name, value))
}

/// One writer's remaining operations.
struct Writer {
    operations: VecDeque<Timed>,
    /// The rest of the operation that has begun.
    actions: VecDeque<Paused>,
    /// When it continues, by the history's clock.
    due_ms: u64,
}

impl Writer {
    fn new(operations: &[Timed]) -> Self {
        Self {
            due_ms: operations.first().map_or(0, |first| first.delay_ms),
            operations: operations.iter().cloned().collect(),
            actions: VecDeque::new(),
        }
    }

    fn is_done(&self) -> bool {
        self.actions.is_empty() && self.operations.is_empty()
    }

    /// The pause before its next action.
    fn pause_ms(&self) -> u64 {
        let action = self.actions.front().map(|action| action.pause_ms);
        let operation = || self.operations.front().map(|next| next.delay_ms);
        action.or_else(operation).unwrap_or(0)
    }
}

struct Run {
    trace: Trace,
    world: World,
    program: PathBuf,
    roots: String,
    sidecar: Talker,
    target: Option<Target>,
    /// The file that each writer holds open.
    open: Vec<Option<File>>,
    stopped: Option<Time>,
}

impl Run {
    /// Lays out the files and starts the target and the sidecar.
    fn start(history: &History, base: &Path) -> Self {
        let world = {
            let _guard = no_forks();
            World::new(base)
        };
        let roots = ROOTS.map(|root| base.join(root).display().to_string());
        let roots = roots.join(",");
        let name = unique_name();
        let program = base.join(&name);
        symlink(example("target"), &program).unwrap();

        let mut trace = Trace::new(history.settings, now());
        trace.wall_ms = [wall_ms(); 2];
        trace.digest = digest(&roots);
        trace.first_stamps = world.first_stamps();

        let mut target = Target::start(&program, &roots);
        target.talker.expect("ready");
        let settings = settings(history.settings, &roots, &name);
        let mut sidecar = fork(|| settings.launch());
        sidecar.expect(WATCHING);
        Self {
            trace,
            world,
            program,
            roots,
            sidecar,
            target: Some(target),
            open: history.writers.iter().map(|_| None).collect(),
            stopped: None,
        }
    }

    fn all_steps(&mut self, history: &History) {
        let writers = history.writers.iter();
        let mut writers: Vec<_> = writers.map(|all| Writer::new(all)).collect();
        let mut clock_ms = 0;
        while let Some((number, writer)) = writers
            .iter_mut()
            .enumerate()
            .filter(|(_, writer)| !writer.is_done())
            .min_by_key(|(_, writer)| writer.due_ms)
        {
            thread::sleep(Duration::from_millis(writer.due_ms - clock_ms));
            clock_ms = writer.due_ms;
            if writer.actions.is_empty() {
                self.begin_operation(writer);
            }
            self.step(number, &mut writer.actions);
            writer.due_ms += writer.pause_ms();
        }
    }

    fn begin_operation(&mut self, writer: &mut Writer) {
        let Some(timed) = writer.operations.pop_front() else {
            return;
        };
        let plan = self.world.plan(&timed.operation);
        writer.actions = plan.actions.into();
        if let Some(operation) = plan.then {
            writer.operations.push_front(Timed {
                delay_ms: 0,
                operation,
            });
        }
        self.trace.operations += 1;
        self.trace.updates += usize::from(!writer.actions.is_empty() && timed.is_update());
    }

    /// Carries out the first action, and those that follow it without a pause.
    fn step(&mut self, writer: usize, actions: &mut VecDeque<Paused>) {
        let mut guard = Some(no_forks());
        let mut step = Step {
            begun: now(),
            done: 0,
            before: self.trace.digest,
            after: 0,
            middle: false,
            files: false,
            shell: Vec::new(),
        };
        let mut changes = 0;
        while let Some(Paused { action, .. }) = actions.pop_front() {
            if action.forks() {
                guard = None;
            } else {
                guard.get_or_insert_with(no_forks);
            }
            let has_intermediate_state =
                matches!(&action, Action::File(act) if act.has_intermediate_state());
            if self.carry_out(writer, &action) {
                step.shell.push(action.shell(writer, &self.world.base));
                step.middle |= has_intermediate_state;
                step.files |= action.touches_files();
                changes += usize::from(!matches!(&action, Action::File(act) if act.is_harmless()));
            }
            if actions.front().is_none_or(|next| next.pause_ms > 0) {
                break;
            }
        }
        step.done = now();
        drop(guard);
        if step.shell.is_empty() {
            return;
        }
        step.middle |= changes > 1 && step.files;
        step.after = digest(&self.roots);
        self.trace.digest = step.after;
        self.trace.steps.push(step);
        self.record_busy_time();
    }

    /// Returns false if the action was not possible.
    fn carry_out(&mut self, writer: usize, action: &Action) -> bool {
        let file = &mut self.open[writer];
        match action {
            Action::File(act) => return act.run().is_ok(),
            Action::Open(path) => {
                *file = open(path, How::Anew).ok();
                return file.is_some();
            }
            Action::Put(content) => {
                let content = content.as_bytes();
                return file
                    .as_mut()
                    .is_some_and(|file| file.write_all(content).is_ok());
            }
            Action::Close => return file.take().is_some(),
            Action::Kill => {
                let mut life = self.target.take().expect("a target").end();
                life.killed = true;
                self.trace.lives.push(life);
            }
            Action::Start => self.target = Some(Target::start(&self.program, &self.roots)),
            Action::Stop => {
                self.stopped = Some(now());
                self.sidecar.signal(Signal::STOP);
            }
            Action::Continue => {
                self.sidecar.signal(Signal::CONT);
                let since = self.stopped.take().expect("stopped before");
                self.trace.stops.push((since, now()));
            }
            Action::Request => {
                self.trace.requests.push(now());
                self.sidecar.signal(Signal::USR1);
            }
        }
        true
    }

    /// Records the time spent on a processor and waiting for one; Documentation/scheduler/sched-stats.rst of Linux.
    fn record_busy_time(&mut self) {
        let text = fs::read_to_string(proc(&self.sidecar, "schedstat")).unwrap();
        let numbers = text.split_whitespace().take(2);
        let busy = numbers.map(|number| number.parse::<Time>().unwrap()).sum();
        self.trace.busy.push((now(), busy));
    }

    fn wait_until_idle(&mut self) -> Result<(), String> {
        let target = &self.target.as_ref().expect("a target").talker;
        wait_until_idle(&mut self.sidecar, target, self.trace.timing.poll_ms)
    }

    fn finish(mut self) -> Trace {
        self.record_busy_time();
        let (status, log) = self.sidecar.end();
        let mut trace = self.trace;
        trace.exit = status.code();
        trace.log = log;
        trace.lives.extend(self.target.map(Target::end));
        trace.digest = digest(&self.roots);
        let roots = self
            .roots
            .split(',')
            .filter(|root| !Path::new(root).exists());
        trace.missing = roots.map(str::to_owned).collect();
        trace.wall_ms[1] = wall_ms();
        trace
    }
}
