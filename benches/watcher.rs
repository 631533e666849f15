//! A running contestant, and what proc(5) says about it.

use crate::support::process::Talker;
use rustix::process::{Signal, kill_process_group};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A running contestant with all its processes. They are a process group, which is killed at the end.
pub struct Watcher(pub Talker);

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = kill_process_group(self.0.pid(), Signal::KILL);
    }
}

impl Watcher {
    /// Returns the directory of the contestant's first process.
    fn first_process(&self) -> PathBuf {
        format!("/proc/{}", self.0.pid().as_raw_nonzero()).into()
    }

    /// Returns the directories of its processes.
    fn processes(&self) -> Vec<PathBuf> {
        let group = self.0.pid().as_raw_nonzero().to_string();
        let is_own = |process: &PathBuf| stat(process).get(2) == Some(&group);
        numbers(Path::new("/proc"))
            .into_iter()
            .filter(is_own)
            .collect()
    }

    /// Returns the directories of its threads.
    fn threads(&self) -> Vec<PathBuf> {
        let processes = self.processes().into_iter();
        processes
            .flat_map(|process| numbers(&process.join("task")))
            .collect()
    }

    pub fn thread_count(&self) -> usize {
        self.threads().len()
    }

    /// True if every thread waits for something.
    pub fn is_asleep(&self) -> bool {
        let is_asleep = |state: &String| state == "S" || state == "Z";
        let mut states = self.threads().into_iter().map(|it| stat(&it));
        states.all(|fields| fields.first().is_some_and(is_asleep))
    }

    /// Returns how many inotify watches it has.
    pub fn watches(&self) -> usize {
        self.processes()
            .iter()
            .map(|process| watches_of(process))
            .sum()
    }

    /// As [`watches`](Self::watches), of the first process alone, which is faster.
    pub fn watches_of_first_process(&self) -> usize {
        watches_of(&self.first_process())
    }

    /// Returns its resident and its proportional memory in KiB. `smaps_rollup` is exact, unlike `status`.
    pub fn memory(&self) -> [u64; 2] {
        ["Rss:", "Pss:"].map(|name| {
            let processes = self.processes().into_iter();
            let sizes = processes.filter_map(|it| field::<u64>(&read(&it, "smaps_rollup"), name));
            sizes.sum()
        })
    }

    /// Returns what it has used since its start.
    pub fn usage(&self) -> Usage {
        let threads = self.threads();
        let of_threads = |value: fn(&Path) -> Option<f64>| {
            let values = threads.iter().map(|it| Some((it.clone(), value(it)?)));
            values.flatten().collect()
        };
        // cutime and cstime.
        let ended = self.processes().into_iter().flat_map(|process| {
            let fields = stat(&process).into_iter().skip(13).take(2);
            fields.map(|field| field.parse::<f64>().unwrap())
        });
        Usage {
            running: of_threads(|thread| field(&read(thread, "schedstat"), "")),
            ended: ended.sum(),
            sleeps: of_threads(|thread| field(&read(thread, "status"), "voluntary_ctxt_switches:")),
        }
    }
}

/// A contestant's use of resources from its start to some moment.
pub struct Usage {
    /// The processor time of each thread, in nanoseconds; see Documentation/scheduler/sched-stats.rst.
    running: BTreeMap<PathBuf, f64>,
    /// The processor time of processes that have ended, in clock ticks.
    ended: f64,
    /// The number of times that each thread went to sleep, and so was woken.
    sleeps: BTreeMap<PathBuf, f64>,
}

impl Usage {
    pub fn seconds_since(&self, before: &Self) -> f64 {
        difference(&self.running, &before.running) / 1e9 + (self.ended - before.ended) / 100.0
    }

    pub fn wake_ups_since(&self, before: &Self) -> f64 {
        difference(&self.sleeps, &before.sleeps)
    }
}

/// Sums up the differences of the threads that still exist.
fn difference(now: &BTreeMap<PathBuf, f64>, before: &BTreeMap<PathBuf, f64>) -> f64 {
    let differences = now
        .iter()
        .map(|(thread, value)| value - before.get(thread).unwrap_or(&0.0));
    differences.sum()
}

/// Lists the entries of a directory in `/proc` that are named by numbers.
fn numbers(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_number = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|it| it.as_encoded_bytes()[0].is_ascii_digit())
    };
    entries
        .map(|entry| entry.path())
        .filter(is_number)
        .collect()
}

/// Reads a file in a directory of `/proc`; nothing if the process has ended.
fn read(directory: &Path, file: &str) -> String {
    fs::read_to_string(directory.join(file)).unwrap_or_default()
}

/// Parses the first word after the name of a line.
fn field<T: FromStr>(text: &str, name: &str) -> Option<T> {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
    values.next()?.split_whitespace().next()?.parse().ok()
}

/// Counts the watches of the inotify instance that has the most: other instances are for something else.
fn watches_of(process: &Path) -> usize {
    let descriptors = numbers(&process.join("fdinfo")).into_iter();
    let infos = descriptors.filter_map(|path| fs::read_to_string(path).ok());
    infos
        .map(|info| info.matches("inotify wd:").count())
        .max()
        .unwrap_or(0)
}

/// Returns the fields of `stat` from the third, the state.
fn stat(directory: &Path) -> Vec<String> {
    let stat = read(directory, "stat");
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    fields.split_whitespace().map(str::to_owned).collect()
}
