//! A contestant that runs, and what the kernel says of it.

use crate::support::process::Talker;
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;

/// A contestant that runs, with all the processes that belong to it: they are a process group, which ends with this.
pub struct Watcher(pub Talker);

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = kill_process_group(self.0.pid(), Signal::KILL);
    }
}

impl Watcher {
    /// The processes that it consists of at the moment.
    fn processes(&self) -> Vec<Pid> {
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

/// Of the instance that has the most: one for something else than changes is not counted.
fn watches_of(process: Pid) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{}/fdinfo", process.as_raw_nonzero()));
    let descriptors = descriptors.into_iter().flatten().flatten();
    let infos = descriptors.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let watches = infos.map(|info| info.matches("inotify wd:").count());
    watches.max().unwrap_or(0)
}

/// The fields of `/proc/PID/stat` from the third, the state; proc(5).
fn stat(pid: Pid) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}
