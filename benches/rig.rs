//! A volume, an application that reads it, and a watcher between them: each contestant has its own, so that they can be measured
//! turn and turn about.

use crate::contestants::{Contestant, Job};
use crate::support::digest::digest;
use crate::support::process::Target;
use crate::support::volume::{Order, Volume};
use crate::support::{DEADLINE, unique_name};
use crate::watcher::Watcher;
use rustix::time::{ClockId, clock_gettime};
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
    /// Before the last step everybody comes to rest, so that only this step is waited for.
    LastAlone,
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
                self.wait_at_rest();
            }
        }
        if pace == Pace::LastAlone {
            self.wait_at_rest();
        }
        let before_last_step = now();
        last.run().unwrap();
        [before_last_step, now()]
    }

    /// Leaves the watcher time for what was written, and waits until it has done what there is to do.
    fn wait_at_rest(&self) {
        sleep(SLOW);
        while !self.watcher.is_asleep() {
            sleep(Duration::from_millis(1));
        }
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
