//! A volume, an application that reads it, and a watcher between them: each contestant has its own, so that they can be measured
//! turn and turn about.

use crate::contestants::{Contestant, Job};
use crate::support::digest::digest;
use crate::support::process::{Talker, Target};
use crate::support::volume::{Order, Volume};
use crate::support::{DEADLINE, unique_name};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Nanoseconds on the clock that the target stamps its signals with.
pub fn now() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Lets this process, and whatever it starts from now on, run before everything else on the machine, or no longer. Whether that
/// is so: it takes root.
pub fn be_undisturbed(yes: bool) -> bool {
    let (policy, priority) = if yes {
        ("--fifo", "1")
    } else {
        ("--other", "0")
    };
    let mut chrt = Command::new("chrt");
    chrt.args([
        "--all-tasks",
        policy,
        "--pid",
        priority,
        &std::process::id().to_string(),
    ]);
    chrt.stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
        && yes
}

/// A contestant that runs, with all the processes that belong to it: they are a process group, which ends with this.
pub struct Watcher(pub Talker);

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = kill_process_group(self.0.pid(), Signal::KILL);
    }
}

impl Watcher {
    /// The processes that it consists of at the moment.
    pub fn processes(&self) -> Vec<Pid> {
        let group = self.0.pid().as_raw_nonzero().to_string();
        let all = fs::read_dir("/proc").unwrap().flatten();
        let pids = all.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
        pids.filter(|pid| stat(*pid).is_some_and(|fields| fields[2] == group))
            .collect()
    }

    /// Whether each of them, with all its threads, waits for something.
    pub fn is_asleep(&self) -> bool {
        self.processes().into_iter().all(|pid| {
            let tasks = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
            let mut tasks = tasks.into_iter().flatten().flatten();
            tasks.all(|task| {
                let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                stat.rsplit(") ")
                    .next()
                    .is_some_and(|rest| rest.starts_with(['S', 'Z']))
            })
        })
    }

    /// How many watches it has set up.
    pub fn watches(&self) -> usize {
        self.processes().into_iter().map(watches_of).sum()
    }

    /// The same, sooner for one that has only one process.
    pub fn watches_soon(&self, is_one: bool) -> usize {
        if is_one {
            watches_of(self.0.pid())
        } else {
            self.watches()
        }
    }

    /// What it has done up to now.
    pub fn account(&self) -> Account {
        let switches = |status: &str| {
            let (_, count) = status.split_once("\nvoluntary_ctxt_switches:")?;
            count.lines().next()?.trim().parse().ok()
        };
        // cutime and cstime, the 16th and 17th field, in clock ticks; proc(5).
        let ended = self.processes().into_iter().filter_map(stat);
        let ticks = |fields: Vec<String>| {
            fields[13..15]
                .iter()
                .map(|field| field.parse::<f64>().unwrap())
                .sum::<f64>()
        };
        Account {
            running: self.each_task("schedstat", |schedstat| {
                schedstat.split(' ').next()?.parse().ok()
            }),
            ended: ended.map(ticks).sum(),
            sleeps: self.each_task("status", switches),
        }
    }

    pub fn threads(&self) -> u64 {
        self.each_task("comm", |_| Some(1.0)).len() as u64
    }

    /// Kilobytes that are resident, and its share of them; exact, other than what `status` says.
    pub fn memory(&self) -> [u64; 2] {
        ["Rss:", "Pss:"].map(|name| {
            let of_process = |pid: Pid| {
                let maps =
                    fs::read_to_string(format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero()))
                        .ok()?;
                let line = maps.lines().find(|line| line.starts_with(name))?;
                line.split_whitespace().nth(1)?.parse::<u64>().ok()
            };
            self.processes().into_iter().filter_map(of_process).sum()
        })
    }

    /// What a file in `/proc` says of each thread.
    fn each_task(
        &self,
        file: &str,
        value: impl Fn(&str) -> Option<f64>,
    ) -> BTreeMap<OsString, f64> {
        let mut values = BTreeMap::new();
        for pid in self.processes() {
            let tasks = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
            for task in tasks.into_iter().flatten().flatten() {
                let text = fs::read_to_string(task.path().join(file)).unwrap_or_default();
                values.extend(value(&text).map(|value| (task.file_name(), value)));
            }
        }
        values
    }
}

/// What a watcher has done from its start to some moment.
pub struct Account {
    /// Processor time of each thread, in nanoseconds; Documentation/scheduler/sched-stats.rst.
    running: BTreeMap<OsString, f64>,
    /// That of the processes that have ended, in clock ticks.
    ended: f64,
    /// How often each thread has gone to sleep, and so was woken.
    sleeps: BTreeMap<OsString, f64>,
}

impl Account {
    /// The difference, of the threads that are still there.
    fn since(now: &BTreeMap<OsString, f64>, before: &BTreeMap<OsString, f64>) -> f64 {
        now.iter()
            .map(|(task, value)| value - before.get(task).unwrap_or(&0.0))
            .sum()
    }

    pub fn seconds_since(&self, before: &Self) -> f64 {
        Self::since(&self.running, &before.running) / 1e9 + (self.ended - before.ended) / 100.0
    }

    pub fn wake_ups_since(&self, before: &Self) -> f64 {
        Self::since(&self.sleeps, &before.sleeps)
    }
}

fn watches_of(process: Pid) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{}/fdinfo", process.as_raw_nonzero()));
    let descriptors = descriptors.into_iter().flatten().flatten();
    let infos = descriptors.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    infos.map(|info| info.matches("inotify wd:").count()).sum()
}

/// The fields of `/proc/PID/stat` from the third, the state; proc(5).
pub fn stat(pid: Pid) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// Where the volume is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// As Secret, projected and downwardAPI volumes are.
    Memory,
    /// As ConfigMap volumes are.
    Disk,
}

impl Medium {
    fn path(self) -> PathBuf {
        let memory = Path::new("/dev/shm");
        match self {
            Self::Memory if memory.is_dir() => memory.to_owned(),
            Self::Memory | Self::Disk => std::env::temp_dir(),
        }
    }
}

/// How the content changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of a key that stays.
    Content,
    /// One key goes, another comes.
    Keys,
}

/// What came of one update, in nanoseconds since boot.
pub struct Update {
    /// Just before the last step, which removes the previous directory.
    pub before_last_step: i64,
    /// When it had returned.
    pub after_last_step: i64,
    /// When the first handler ran that saw the whole update; `None` if the application was never told of it.
    pub told: Option<i64>,
    pub signals: usize,
    /// Signals that came before the whole update was to be seen.
    pub stale: usize,
}

pub struct Rig {
    pub watcher: Watcher,
    target: Target,
    volume: Volume,
    pause: Duration,
    updates: usize,
    _directory: tempfile::TempDir,
}

/// How the writer goes about it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    Fast,
    /// After each step everybody comes to rest, so that no two signals become one.
    Slow,
}

/// Nobody takes longer than this between two signals for one update.
const QUIET: Duration = Duration::from_millis(5);
const SLOW: Duration = Duration::from_millis(5);
/// Who has not signalled by then never will.
const PATIENCE: Duration = Duration::from_secs(3);

impl Rig {
    /// Starts everything and waits until the contestant watches.
    pub fn new(contestant: &Contestant, medium: Medium) -> Self {
        let directory = tempfile::tempdir_in(medium.path()).unwrap();
        let volume = Volume::new(
            directory.path().join("volume"),
            Order::SwapFirst,
            &[("app.conf", "update 0"), ("key-0", "")],
        );
        let target = Target::start_as(&unique_name(), &volume.path, &["--tree", "1"]);
        let watcher = contestant.start(&Job {
            root: &volume.path,
            name: &target.name,
            pid: target.talker.pid().as_raw_nonzero().get(),
            is_tree: false,
        });
        let mut rig = Self {
            watcher,
            target,
            volume,
            pause: Duration::from_millis(contestant.pause_ms),
            updates: 0,
            _directory: directory,
        };
        let deadline = Instant::now() + DEADLINE;
        while rig.watcher.watches() == 0 {
            assert!(
                Instant::now() < deadline,
                "{}: watches nothing",
                contestant.name
            );
            sleep(Duration::from_millis(1));
        }
        rig.rest();
        rig
    }

    pub fn root(&self) -> &Path {
        &self.volume.path
    }

    /// Waits until nothing runs; returns what the application was told meanwhile.
    fn rest(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            if let Ok(line) = self.target.talker.next(Instant::now() + QUIET + self.pause) {
                lines.push(line);
            } else if self.watcher.is_asleep() {
                return lines;
            }
        }
    }

    /// New content, written as the kubelet writes it, and nobody waits for anything.
    fn write(&mut self, kind: Kind, pace: Pace) -> [i64; 2] {
        self.updates += 1;
        let content = format!("update {}", self.updates);
        let key = format!("key-{}", if kind == Kind::Keys { self.updates } else { 0 });
        let steps = self.volume.steps(&[("app.conf", &content), (&key, "")]);
        let (last, others) = steps.split_last().unwrap();
        for step in others {
            step.run().unwrap();
            if pace == Pace::Slow {
                sleep(SLOW);
                while !self.watcher.is_asleep() {
                    sleep(Duration::from_millis(1));
                }
            }
        }
        let before_last_step = now();
        last.run().unwrap();
        [before_last_step, now()]
    }

    /// New content, and what comes of it until there is rest.
    pub fn update(&mut self, kind: Kind, pace: Pace) -> Update {
        let [before_last_step, after_last_step] = self.write(kind, pace);
        let first = self.target.talker.next(Instant::now() + PATIENCE);
        let mut lines: Vec<String> = first.into_iter().collect();
        lines.extend(self.rest());
        // Looked at last: whoever opens the files may be taken for the application.
        let content = format!("{:016x}", digest(self.root().to_str().unwrap()));
        let told = lines.iter().find(|line| line.ends_with(&content));
        Update {
            before_last_step,
            after_last_step,
            told: told.map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()),
            signals: lines.len(),
            stale: lines
                .iter()
                .filter(|line| !line.ends_with(&content))
                .count(),
        }
    }

    /// So many updates, as fast as they can be written.
    pub fn storm(&mut self, updates: usize) {
        for _ in 0..updates {
            self.write(Kind::Content, Pace::Fast);
        }
        // Who starts a program for every event has something to do for a minute.
        let mut quiet = Instant::now();
        while quiet.elapsed() < 10 * QUIET + 2 * self.pause {
            if !self.rest().is_empty() {
                quiet = Instant::now();
            }
        }
    }
}
