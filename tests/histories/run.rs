//! Runs a history and writes down what happened.
//!
//! One thread does all the steps of all writers, in the order of the history's own clock. So the order is the same every time,
//! however busy the machine is, and between two steps nothing changes: what is read then is what there was.

use crate::history::{History, ROOTS, Timed, Timing};
use crate::plan::{Deed, World};
use crate::support::DEADLINE;
use crate::support::act::{How, open};
use crate::support::digest::digest;
use crate::support::process::{Settings, Talker, example};
use crate::support::unique_name;
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::{Duration, Instant};

/// Nanoseconds since boot: the clock of everything here.
pub type Time = i64;

/// Steps done at one go, and what could be read before and after.
#[derive(Clone, Debug)]
pub struct Step {
    pub begun: Time,
    pub done: Time,
    pub before: u64,
    pub after: u64,
    /// For a moment there may have been something else than before and after.
    pub middle: bool,
    /// Files were touched at all.
    pub files: bool,
    pub shell: Vec<String>,
}

/// A child has copies of all open files until it executes its program: what another history closes meanwhile is closed then only,
/// and that is when its sidecar is told. So nobody starts a process while anybody writes.
static STARTS: RwLock<()> = RwLock::new(());

fn no_starts() -> RwLockReadGuard<'static, ()> {
    STARTS.read().unwrap_or_else(PoisonError::into_inner)
}

fn start<Started>(start: impl FnOnce() -> Started) -> Started {
    let _alone = STARTS.write().unwrap_or_else(PoisonError::into_inner);
    start()
}

/// One process that was the target.
#[derive(Clone, Debug, Default)]
pub struct Life {
    pub pid: i32,
    /// No later than its start.
    pub spawned: Time,
    /// No earlier than its start.
    pub running: Time,
    pub killed: Option<Time>,
    pub lines: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    pub anonymous_kib: u64,
    pub descriptors: usize,
}

/// What happened.
#[derive(Clone, Debug)]
pub struct Story {
    pub timing: Timing,
    pub begun: Time,
    pub steps: Vec<Step>,
    pub lives: Vec<Life>,
    /// When the sidecar was stopped.
    pub stops: Vec<(Time, Time)>,
    pub demands: Vec<Time>,
    /// How long the sidecar had run and had waited for a processor, all in all.
    pub busy: Vec<(Time, Time)>,
    /// The sidecar's log.
    pub log: Vec<String>,
    pub exit: Option<i32>,
    /// At rest, before the first step and after the last.
    pub usage: [Usage; 2],
    /// What is there in the end, and which roots are not.
    pub digest: u64,
    pub missing: Vec<String>,
    /// The wall clock's milliseconds at boot, as reckoned at the beginning and in the end.
    pub wall_ms: [i64; 2],
    pub operations: usize,
    pub updates: usize,
    /// The volumes' first timestamped directories.
    pub first_stamps: Vec<(&'static str, String)>,
}

pub fn now() -> Time {
    nanoseconds(ClockId::Boottime)
}

fn nanoseconds(clock: ClockId) -> i64 {
    let now = clock_gettime(clock);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

fn wall_ms() -> i64 {
    (nanoseconds(ClockId::Realtime) - now()) / 1_000_000
}

/// Runs a history in a directory of its own.
///
/// # Errors
/// What could not be brought to an end.
pub fn run(history: &History) -> Result<Story, String> {
    // Without a disk, which may keep a reader waiting.
    let memory = Path::new("/dev/shm");
    let directory = match tempfile::tempdir_in(memory) {
        Ok(directory) => directory,
        Err(_) => tempfile::tempdir().unwrap(),
    };
    let base = directory.path();
    let world = {
        let _calm = no_starts();
        World::new(base)
    };
    let roots: Vec<_> = ROOTS
        .map(|root| base.join(root).display().to_string())
        .into();
    let roots = roots.join(",");
    let name = unique_name();
    symlink(example("target"), base.join(&name)).unwrap();
    let begun = now();
    let first_wall_ms = wall_ms();
    let mut target = Target::start(&base.join(&name), &roots);
    target.talker.expect("ready");
    let settings = settings(history.settings, &roots, &name);
    let mut sidecar = start(|| settings.launch());
    sidecar.expect("watching");
    let mut run = Run {
        story: Story {
            timing: history.settings,
            begun,
            steps: Vec::new(),
            lives: Vec::new(),
            stops: Vec::new(),
            demands: Vec::new(),
            busy: Vec::new(),
            log: Vec::new(),
            exit: None,
            usage: Default::default(),
            digest: digest(&roots),
            missing: Vec::new(),
            wall_ms: [first_wall_ms; 2],
            operations: 0,
            updates: 0,
            first_stamps: world.first_stamps(),
        },
        world,
        program: base.join(&name),
        roots,
        sidecar,
        target: Some(target),
        open: Vec::new(),
        stopped: None,
    };
    run.wait_at_rest()?;
    run.story.usage[0] = run.usage();
    run.all_steps(history);
    run.wait_at_rest()?;
    run.story.usage[1] = run.usage();
    Ok(run.finish())
}

/// As they are given to the sidecar.
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
        // It would not be at rest before five seconds are over.
        ("RELOAD_CONFIRM", "off".to_owned()),
        // The target has just started, and so has everything else.
        ("RELOAD_CATCH_UP", "false".to_owned()),
    ];
    let poll = timing
        .poll_ms
        .map(|poll_ms| ("CONFIG_POLL_INTERVAL", ms(poll_ms)));
    all.into_iter().chain(poll).collect()
}

fn settings(timing: Timing, roots: &str, name: &str) -> Settings {
    let environment = environment(timing, roots, name);
    let settings = Settings::bare().set("LOG_FORMAT", "json");
    environment
        .into_iter()
        .fold(settings, |settings, (name, value)| {
            settings.set(name, value)
        })
}

struct Target {
    talker: Talker,
    spawned: Time,
    running: Time,
}

impl Target {
    fn start(program: &Path, roots: &str) -> Self {
        let mut command = Command::new(program);
        command
            .args([roots, "--tree", "1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let (spawned, mut child, running) = start(|| (now(), command.spawn().unwrap(), now()));
        let output = child.stdout.take().unwrap();
        Self {
            talker: Talker::new(child, output),
            spawned,
            running,
        }
    }

    /// Ends it; what it has told.
    fn end(self) -> Life {
        let pid = self.talker.pid().as_raw_nonzero().get();
        self.talker.signal(Signal::KILL);
        let (_, lines) = self.talker.finish();
        Life {
            pid,
            spawned: self.spawned,
            running: self.running,
            killed: None,
            lines,
        }
    }
}

/// What a writer has before it.
struct Writer {
    operations: VecDeque<Timed>,
    steps: VecDeque<(u64, Deed)>,
    /// When it goes on, by the history's clock.
    due_ms: u64,
}

impl Writer {
    fn is_done(&self) -> bool {
        self.steps.is_empty() && self.operations.is_empty()
    }
}

struct Run {
    story: Story,
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
    fn all_steps(&mut self, history: &History) {
        let writer = |operations: &Vec<Timed>| Writer {
            due_ms: operations.first().map_or(0, |first| first.delay_ms),
            operations: operations.iter().cloned().collect(),
            steps: VecDeque::new(),
        };
        let mut writers: Vec<_> = history.writers.iter().map(writer).collect();
        self.open.resize_with(writers.len(), || None);
        let mut clock_ms = 0;
        while let Some((number, writer)) = writers
            .iter_mut()
            .enumerate()
            .filter(|(_, writer)| !writer.is_done())
            .min_by_key(|(_, writer)| writer.due_ms)
        {
            thread::sleep(Duration::from_millis(writer.due_ms - clock_ms));
            clock_ms = writer.due_ms;
            if writer.steps.is_empty()
                && let Some(timed) = writer.operations.pop_front()
            {
                let (steps, next) = self.world.plan(&timed.operation);
                writer.steps = steps.into();
                if let Some(next) = next {
                    writer.operations.push_front(next);
                }
                self.story.operations += 1;
                self.story.updates += usize::from(!writer.steps.is_empty() && timed.is_update());
            }
            self.at_one_go(number, &mut writer.steps);
            let step = writer.steps.front().map(|(pause_ms, _)| *pause_ms);
            let operation = || writer.operations.front().map(|next| next.delay_ms);
            writer.due_ms += step.or_else(operation).unwrap_or(0);
        }
    }

    /// Does the first step, and those that follow it without a pause.
    fn at_one_go(&mut self, writer: usize, steps: &mut VecDeque<(u64, Deed)>) {
        let before = self.story.digest;
        let mut calm = Some(no_starts());
        let begun = now();
        let (mut effective, mut middle, mut files, mut shell) = (0, false, false, Vec::new());
        while let Some((_, deed)) = steps.pop_front() {
            if matches!(deed, Deed::Start | Deed::Kill) {
                calm = None;
            } else {
                calm.get_or_insert_with(no_starts);
            }
            let may_have = matches!(&deed, Deed::File(act) if act.has_a_middle());
            if self.carry_out(writer, &deed) {
                shell.push(deed.shell(writer, &self.world.base));
                middle |= may_have;
                files |= matches!(
                    deed,
                    Deed::File(_) | Deed::Open(_) | Deed::Put(_) | Deed::Close
                );
                effective += usize::from(!matches!(&deed, Deed::File(act) if act.is_harmless()));
            }
            if steps.front().is_none_or(|(pause_ms, _)| *pause_ms > 0) {
                break;
            }
        }
        let done = now();
        drop(calm);
        if shell.is_empty() {
            return;
        }
        let after = digest(&self.roots);
        self.story.digest = after;
        self.story.steps.push(Step {
            begun,
            done,
            before,
            after,
            middle: middle || effective > 1 && files,
            files,
            shell,
        });
        self.note_how_busy();
    }

    /// Whether it could be done.
    fn carry_out(&mut self, writer: usize, deed: &Deed) -> bool {
        match deed {
            Deed::File(act) => return act.run().is_ok(),
            Deed::Open(path) => {
                self.open[writer] = open(path, How::Anew).ok();
                return self.open[writer].is_some();
            }
            Deed::Put(content) => {
                let file = self.open[writer].as_mut();
                return file.is_some_and(|file| file.write_all(content.as_bytes()).is_ok());
            }
            Deed::Close => return self.open[writer].take().is_some(),
            Deed::Kill => {
                let killed = now();
                let life = self.target.take().expect("a target").end();
                self.story.lives.push(Life {
                    killed: Some(killed),
                    ..life
                });
            }
            Deed::Start => self.target = Some(Target::start(&self.program, &self.roots)),
            Deed::Stop => {
                self.stopped = Some(now());
                self.sidecar.signal(Signal::STOP);
            }
            Deed::Continue => {
                self.sidecar.signal(Signal::CONT);
                let since = self.stopped.take().expect("stopped");
                self.story.stops.push((since, now()));
            }
            Deed::Demand => {
                self.story.demands.push(now());
                self.sidecar.signal(Signal::USR1);
            }
        }
        true
    }

    /// Documentation/scheduler/sched-stats.rst of Linux: time spent on a processor, time spent waiting for one.
    fn note_how_busy(&mut self) {
        let text = fs::read_to_string(self.proc("schedstat")).unwrap();
        let numbers = text.split_whitespace().take(2);
        let busy = numbers.map(|number| number.parse::<Time>().unwrap()).sum();
        self.story.busy.push((now(), busy));
    }

    fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.sidecar.pid().as_raw_nonzero())
    }

    /// Waits until the sidecar has nothing more to do and the target has read everything that it was told to read.
    ///
    /// An event or signal wakes a process before the call that caused it returns. So who sleeps has dealt with everything, if
    /// nobody else did anything meanwhile: the target's own end of reading may be an event for the sidecar, where a file was
    /// removed while it was being read.
    fn wait_at_rest(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + DEADLINE;
        let mut rest = Rest::default();
        loop {
            let turns = self.turns();
            if self.sleeps(&mut rest)
                && self.target().sleeps_in(libc::SYS_recvfrom).is_some()
                && self.sleeps(&mut rest)
                && turns == self.turns()
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err("never at rest".to_owned());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn target(&self) -> &Talker {
        &self.target.as_ref().expect("a target").talker
    }

    fn turns(&self) -> [u64; 2] {
        [switches(&self.sidecar), switches(self.target())]
    }

    /// Whether the sidecar sleeps until something happens.
    fn sleeps(&mut self, rest: &mut Rest) -> bool {
        let turn = switches(&self.sidecar);
        let Some(arguments) = self.sidecar.sleeps_in(libc::SYS_ppoll) else {
            return false;
        };
        let Some(poll_ms) = self.story.timing.poll_ms else {
            return arguments[2] == 0;
        };
        // It always sleeps until the next comparison. At rest that is each time as long as the interval; what it is to do
        // otherwise is due sooner than in half a second, or in five seconds where a process is waited for.
        let enough_ms = if self.is_pending() { 6_000 } else { 500 };
        let left_ms = self.timeout_ms(arguments[2]);
        if turn != rest.turn && turn == switches(&self.sidecar) {
            rest.turn = turn;
            let is_whole = left_ms.is_some_and(|left_ms| left_ms + 5 >= poll_ms);
            rest.whole = if is_whole { rest.whole + 1 } else { 0 };
        }
        rest.whole * poll_ms >= enough_ms + poll_ms
    }

    /// Whether the log leaves it open what became of a reload that had to wait.
    fn is_pending(&mut self) -> bool {
        let ends = [
            "the pending reload is",
            "no signal needed",
            "is again what it was",
        ];
        let mut lines = self.sidecar.seen().iter().rev();
        lines.find_map(|line| {
            let is_begin = line.contains("reload pending: ");
            (is_begin || ends.iter().any(|end| line.contains(end))).then_some(is_begin)
        }) == Some(true)
    }

    /// What ppoll(2) was given as its timeout.
    fn timeout_ms(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 16];
        let memory = File::open(self.proc("mem")).ok()?;
        memory.read_exact_at(&mut bytes, address).ok()?;
        let number = |at: usize| Some(u64::from_le_bytes(bytes[at..at + 8].try_into().ok()?));
        Some(number(0)? * 1000 + number(8)? / 1_000_000)
    }

    /// What it uses while it sleeps: where it compares at intervals it may be about to.
    fn usage(&self) -> Usage {
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            let turn = switches(&self.sidecar);
            let is_asleep = self.sidecar.sleeps_in(libc::SYS_ppoll).is_some();
            let usage = self.usage_now();
            if is_asleep && turn == switches(&self.sidecar) {
                return usage;
            }
        }
        panic!("never asleep");
    }

    fn usage_now(&self) -> Usage {
        let maps = fs::read_to_string(self.proc("smaps_rollup")).unwrap();
        let anonymous = maps.lines().find(|line| line.starts_with("Anonymous:"));
        let kib = anonymous.and_then(|line| line.split_whitespace().nth(1));
        // Of each process that it knows, 16 at most, it keeps a pidfd until it has looked for it in vain.
        let (pidfds, others): (Vec<_>, Vec<_>) = fs::read_dir(self.proc("fd"))
            .unwrap()
            .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            .partition(|it| it.to_string_lossy().contains("[pidfd]"));
        assert!(pidfds.len() <= 16, "{pidfds:?}");
        Usage {
            anonymous_kib: kib.unwrap().parse().unwrap(),
            descriptors: others.len(),
        }
    }

    fn finish(mut self) -> Story {
        self.note_how_busy();
        let (status, log) = self.sidecar.end();
        let mut story = self.story;
        story.exit = status.code();
        story.log = log;
        story.lives.extend(self.target.map(Target::end));
        story.digest = digest(&self.roots);
        story.missing = self
            .roots
            .split(',')
            .filter(|root| !Path::new(root).exists())
            .map(str::to_owned)
            .collect();
        story.wall_ms[1] = wall_ms();
        story
    }
}

#[derive(Default)]
struct Rest {
    turn: u64,
    whole: u64,
}

/// How often it has gone to sleep.
fn switches(process: &Talker) -> u64 {
    let path = format!("/proc/{}/status", process.pid().as_raw_nonzero());
    let status = fs::read_to_string(path).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|number| number.trim().parse().ok())
        .unwrap_or(0)
}
