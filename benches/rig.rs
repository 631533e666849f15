//! A volume, a contestant that watches it, and an application that reads it. Each contestant has its own, so that they can be
//! measured in turn.

use crate::contestants::{Contestant, Depth, Job};
use crate::support::digest::digest;
use crate::support::process::{Target, eventually};
use crate::support::unique_name;
use crate::support::volume::{Order, Volume};
use crate::watcher::Watcher;
use rustix::time::{ClockId, clock_gettime};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Returns the time since boot in nanoseconds, by the clock that the target stamps its signals with.
pub fn now() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[derive(Clone, Copy)]
pub enum Priority {
    Ordinary,
    /// Ahead of everything else on the machine, so that nothing disturbs a measurement.
    RealTime,
}

impl Priority {
    /// Sets the priority of this process and of what it starts from now on. Returns false if that failed: it needs root.
    pub fn set(self) -> bool {
        let (policy, priority) = match self {
            Self::Ordinary => ("--other", "0"),
            Self::RealTime => ("--fifo", "1"),
        };
        let mut chrt = Command::new("chrt");
        chrt.args(["--all-tasks", policy, "--pid", priority]);
        chrt.arg(std::process::id().to_string())
            .stderr(Stdio::null());
        chrt.status().is_ok_and(|status| status.success())
    }
}

/// The file system of the volume.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// As for Secret, projected and downwardAPI volumes.
    Memory,
    /// As for ConfigMap volumes.
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

/// The change that an update makes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The content of a key.
    Content,
    /// The keys: one is removed, another added.
    Keys,
}

/// The timing of an update's steps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    Fast,
    /// Waits before the last step until all is idle, so that only the reaction to this step is measured.
    LastAlone,
    /// Waits after each step until all is idle, so that no two signals are merged.
    Slow,
}

/// The outcome of one update. Times are in nanoseconds since boot.
pub struct Update {
    /// Just before the last step, which removes the previous directory.
    pub before_last_step: i64,
    /// When the last step returned.
    pub after_last_step: i64,
    /// When the first handler ran that saw the whole update, if any did.
    pub delivered: Option<i64>,
    pub signals: usize,
    /// Signals whose handler did not see the whole update yet.
    pub early: usize,
}

pub struct Rig {
    pub watcher: Watcher,
    target: Target,
    volume: Volume,
    pause: Duration,
    updates: usize,
    _directory: tempfile::TempDir,
}

/// Longer than any contestant takes between two signals for one update.
const QUIET: Duration = Duration::from_millis(5);
/// Long enough for a contestant to wake up after a step.
const REACTION: Duration = Duration::from_millis(5);
/// A contestant that has not signalled by then never will.
const PATIENCE: Duration = Duration::from_secs(3);

impl Rig {
    /// Starts everything, and waits until the contestant watches.
    pub fn new(contestant: &Contestant, medium: Medium) -> Self {
        let directory = tempfile::tempdir_in(medium.path()).unwrap();
        let path = directory.path().join("volume");
        let payload = [("app.conf", "update 0"), ("key-0", "")];
        let volume = Volume::new(path, Order::SwapFirst, &payload);
        let target = Target::start_as(&unique_name(), &volume.path, &["--tree", "1"]);
        let watcher = contestant.start(&Job {
            root: &volume.path,
            name: &target.name,
            pid: target.talker.pid().as_raw_nonzero().get(),
            depth: Depth::Directory,
        });
        let mut rig = Self {
            watcher,
            target,
            volume,
            pause: contestant.pause,
            updates: 0,
            _directory: directory,
        };
        eventually(contestant.name, || rig.watcher.watches() > 0);
        rig.drain();
        rig
    }

    pub fn root(&self) -> &Path {
        &self.volume.path
    }

    /// Waits until all is idle. Returns the application's lines from until then.
    fn drain(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            if let Ok(line) = self.target.talker.next(Instant::now() + QUIET + self.pause) {
                lines.push(line);
            } else if self.watcher.is_asleep() {
                return lines;
            }
        }
    }

    /// Updates the volume as the kubelet does. Returns the times before and after the last step.
    fn write(&mut self, kind: Kind, pace: Pace) -> [i64; 2] {
        self.updates += 1;
        let content = format!("update {}", self.updates);
        let key = match kind {
            Kind::Content => "key-0".to_owned(),
            Kind::Keys => format!("key-{}", self.updates),
        };
        let steps = self.volume.steps(&[("app.conf", &content), (&key, "")]);
        let (last, others) = steps.split_last().unwrap();
        for step in others {
            step.run().unwrap();
            if pace == Pace::Slow {
                self.wait_until_asleep();
            }
        }
        if pace == Pace::LastAlone {
            self.wait_until_asleep();
        }
        let before_last_step = now();
        last.run().unwrap();
        [before_last_step, now()]
    }

    /// Waits until the contestant has reacted to the last step.
    fn wait_until_asleep(&self) {
        sleep(REACTION);
        while !self.watcher.is_asleep() {
            sleep(Duration::from_millis(1));
        }
    }

    /// Updates the volume, and waits until all is idle.
    pub fn update(&mut self, kind: Kind, pace: Pace) -> Update {
        let [before_last_step, after_last_step] = self.write(kind, pace);
        let first = self.target.talker.next(Instant::now() + PATIENCE);
        let mut lines: Vec<String> = first.into_iter().collect();
        lines.extend(self.drain());
        // Read last: the sidecar could take this process for the application that reads its files.
        let content = format!("{:016x}", digest(self.root().to_str().unwrap()));
        let (whole, early): (Vec<&String>, _) =
            lines.iter().partition(|line| line.ends_with(&content));
        let time = |line: &&String| line.split(' ').nth(1).unwrap().parse().unwrap();
        Update {
            before_last_step,
            after_last_step,
            delivered: whole.first().map(time),
            signals: lines.len(),
            early: early.len(),
        }
    }

    /// Updates the volume many times, without waiting in between.
    pub fn storm(&mut self, updates: usize) {
        for _ in 0..updates {
            self.write(Kind::Content, Pace::Fast);
        }
        // A contestant that starts a program for every event is busy for a minute.
        let mut quiet = Instant::now();
        while quiet.elapsed() < 10 * QUIET + 2 * self.pause {
            if !self.drain().is_empty() {
                quiet = Instant::now();
            }
        }
    }
}
