//! A volume, an application that reads it, and a watcher between them: each contestant has its own, so that they can be measured
//! turn and turn about.

use crate::contestants::Contestant;
use crate::support::DEADLINE;
use crate::support::digest::digest;
use crate::support::process::{Talker, Target};
use crate::support::volume::{Order, Volume};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::path::Path;
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
    fn is_asleep(&self) -> bool {
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
    fn watches(&self) -> usize {
        let of_process = |pid: Pid| {
            let descriptors = fs::read_dir(format!("/proc/{}/fdinfo", pid.as_raw_nonzero()));
            let descriptors = descriptors.into_iter().flatten().flatten();
            let infos = descriptors.filter_map(|entry| fs::read_to_string(entry.path()).ok());
            infos
                .map(|info| info.matches("inotify wd:").count())
                .sum::<usize>()
        };
        self.processes().into_iter().map(of_process).sum()
    }
}

/// The fields of `/proc/PID/stat` from the third, the state; proc(5).
pub fn stat(pid: Pid) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// The last step of an update, in nanoseconds.
#[derive(Clone, Copy)]
pub struct Update {
    pub before_last_step: i64,
    pub after_last_step: i64,
}

pub struct Rig {
    pub watcher: Watcher,
    pub target: Target,
    volume: Volume,
    updates: usize,
    _directory: tempfile::TempDir,
}

impl Rig {
    /// Starts everything and waits until the contestant watches.
    pub fn new(contestant: &Contestant) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let volume = Volume::new(
            directory.path().join("volume"),
            Order::SwapFirst,
            &[("app.conf", "update 0")],
        );
        let target = Target::start_as(
            &crate::support::unique_name(),
            &volume.path,
            &["--tree", "1"],
        );
        let watcher = contestant.start(&volume.path, &target);
        let rig = Self {
            watcher,
            target,
            volume,
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

    /// Waits until nothing of it runs.
    pub fn rest(&self) {
        let deadline = Instant::now() + DEADLINE;
        // Twice: one that was about to be woken is awake a moment later.
        for _ in 0..2 {
            sleep(Duration::from_millis(1));
            while !self.watcher.is_asleep() {
                assert!(Instant::now() < deadline, "never at rest");
                sleep(Duration::from_millis(1));
            }
        }
    }

    /// New content, written as the kubelet writes it.
    pub fn update(&mut self) -> Update {
        self.updates += 1;
        let content = format!("update {}", self.updates);
        let mut before_last_step = 0;
        self.volume
            .update_with(&[("app.conf", &content)], |_| before_last_step = now());
        Update {
            before_last_step,
            after_last_step: now(),
        }
    }

    /// When the handler ran in which the application first saw all of the update; `None` if it was never told.
    pub fn told(&mut self, within: Duration) -> Option<i64> {
        let content = format!("{:016x}", digest(self.root().to_str().unwrap()));
        let deadline = Instant::now() + within;
        loop {
            let line = self.target.talker.next(deadline).ok()?;
            if line.ends_with(&content) {
                return line.split(' ').nth(1)?.parse().ok();
            }
        }
    }
}
