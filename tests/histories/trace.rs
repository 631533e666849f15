//! The record of a history.

use crate::history::Timing;

/// Nanoseconds since boot.
pub type Time = i64;

/// Actions without a pause between them, and digests of the content before and after.
#[derive(Clone, Debug)]
pub struct Step {
    pub begun: Time,
    pub done: Time,
    pub before: u64,
    pub after: u64,
    /// For a moment the content may have been neither `before` nor `after`.
    pub middle: bool,
    /// It touched files.
    pub files: bool,
    pub shell: Vec<String>,
}

impl Step {
    /// Returns true if a reader may have found something new.
    pub fn changes(&self) -> bool {
        self.before != self.after || self.middle
    }

    pub fn overlaps(&self, since: Time, until: Time) -> bool {
        self.done >= since && self.begun <= until
    }
}

/// One process that was the target.
#[derive(Clone, Debug, Default)]
pub struct Life {
    pub pid: i32,
    /// A time before its start.
    pub spawned: Time,
    /// A time after its start.
    pub running: Time,
    pub killed: bool,
    /// The lines it printed.
    pub lines: Vec<String>,
}

/// The sidecar's use of resources while idle.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    pub anonymous_kib: u64,
    pub descriptors: usize,
}

#[derive(Clone, Debug)]
pub struct Trace {
    pub timing: Timing,
    pub begun: Time,
    pub steps: Vec<Step>,
    pub lives: Vec<Life>,
    /// From each SIGSTOP to the sidecar to its SIGCONT.
    pub stops: Vec<(Time, Time)>,
    /// When SIGUSR1 was sent to the sidecar.
    pub requests: Vec<Time>,
    /// A time, and for how long the sidecar had run or waited for a processor by then.
    pub busy: Vec<(Time, Time)>,
    pub log: Vec<String>,
    pub exit: Option<i32>,
    /// Before the first step and after the last.
    pub usage: [Usage; 2],
    /// The digest of the content in the end.
    pub digest: u64,
    /// The roots that are missing in the end.
    pub missing: Vec<String>,
    /// The wall clock's milliseconds at boot, computed at the beginning and in the end.
    pub wall_ms: [i64; 2],
    pub operations: usize,
    pub updates: usize,
    /// The volumes' first timestamped directories.
    pub first_stamps: Vec<(&'static str, String)>,
}

impl Trace {
    pub fn new(timing: Timing, begun: Time) -> Self {
        Self {
            timing,
            begun,
            steps: Vec::new(),
            lives: Vec::new(),
            stops: Vec::new(),
            requests: Vec::new(),
            busy: Vec::new(),
            log: Vec::new(),
            exit: None,
            usage: Default::default(),
            digest: 0,
            missing: Vec::new(),
            wall_ms: [0; 2],
            operations: 0,
            updates: 0,
            first_stamps: Vec::new(),
        }
    }

    /// Returns for how long the sidecar ran or waited for a processor in this time, at most.
    pub fn busy_between(&self, since: Time, until: Time) -> Time {
        let before = self.busy.iter().rfind(|busy| busy.0 <= since);
        let after = self.busy.iter().find(|busy| busy.0 >= until);
        let total = |busy: Option<&(Time, Time)>| busy.map_or(0, |busy| busy.1);
        total(after.or(self.busy.last())) - total(before)
    }

    /// Names the last step that left this content.
    pub fn step_that_left(&self, digest: &str) -> String {
        let is_it = |step: &Step| format!("{:016x}", step.after) == digest;
        match self.steps.iter().rposition(is_it) {
            Some(at) => format!("step {}", at + 1),
            None => "no step".to_owned(),
        }
    }
}
