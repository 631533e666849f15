//! The processes that are not ready for the signal. Pure.
//!
//! The list holds those that wait, which are few, rather than those that were signalled, which may be many.

use rustix::process::Pid;

/// The most processes remembered as waiting. If more wait at once, others may be signalled again with them.
const WAITERS_MAX: usize = 64;

/// A list of processes. An id is enough: a later process with the same one has read the content at its start.
#[derive(Clone, Copy, Debug)]
struct List {
    ids: [i32; WAITERS_MAX],
    /// The number of processes, those beyond the end of the list included.
    count: usize,
}

impl List {
    const EMPTY: Self = Self {
        ids: [0; WAITERS_MAX],
        count: 0,
    };

    fn add(&mut self, pid: Pid) {
        if let Some(id) = self.ids.get_mut(self.count) {
            *id = pid.as_raw_pid();
        }
        self.count += 1;
    }

    /// Returns true if the process is in the list, or may be beyond its end.
    fn may_hold(&self, pid: Pid) -> bool {
        self.count > WAITERS_MAX || self.has(pid)
    }

    fn has(&self, pid: Pid) -> bool {
        self.ids
            .iter()
            .take(self.count)
            .any(|id| *id == pid.as_raw_pid())
    }
}

/// The processes that the attempts for one content found waiting.
#[derive(Debug)]
pub(super) struct Waiters {
    /// The content for which they wait.
    generation: u32,
    /// Those of the last attempt; `None` if that does not tell who was signalled.
    before: Option<List>,
    /// Those of this attempt.
    now: List,
}

impl Waiters {
    /// Returns an empty list.
    pub const fn new() -> Self {
        Self {
            generation: 0,
            before: None,
            now: List::EMPTY,
        }
    }

    /// Begins an attempt to signal every process for the content of this generation.
    pub fn begin(&mut self, generation: u32) {
        if self.generation != generation {
            self.generation = generation;
            self.before = None;
        }
        self.now = List::EMPTY;
    }

    /// Ends an attempt that reached every process, so that from now on one that does not wait counts as signalled.
    pub const fn end(&mut self) {
        self.before = Some(self.now);
    }

    /// Returns true if a process need not be offered the signal: it was found waiting in this attempt, or did not wait after the last.
    pub fn is_done(&self, pid: Pid) -> bool {
        self.now.has(pid) || self.before.is_some_and(|before| !before.may_hold(pid))
    }

    /// Adds a process.
    pub fn add(&mut self, pid: Pid) {
        self.now.add(pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Offers the signal to 500 processes. Returns those that took it.
    fn attempt(waiters: &mut Waiters, generation: u32, waits: fn(i32) -> bool) -> Vec<i32> {
        waiters.begin(generation);
        let mut signalled = Vec::new();
        for id in 1..=500 {
            let pid = Pid::from_raw(id).unwrap();
            if waiters.is_done(pid) {
                continue;
            }
            if waits(id) {
                waiters.add(pid);
                assert!(waiters.is_done(pid) || id > WAITERS_MAX as i32);
            } else {
                signalled.push(id);
            }
        }
        waiters.end();
        signalled
    }

    #[test]
    fn p13_any_number_of_processes_is_signalled_once_while_one_waits() {
        let mut waiters = Waiters::new();
        for generation in 1..3 {
            assert_eq!(attempt(&mut waiters, generation, |it| it == 7).len(), 499);
            assert_eq!(attempt(&mut waiters, generation, |it| it == 7).len(), 0);
            assert_eq!(attempt(&mut waiters, generation, |_| false), [7]);
            assert_eq!(attempt(&mut waiters, generation, |_| false).len(), 0);
        }
    }

    #[test]
    fn l4_if_more_wait_than_are_remembered_none_is_forgotten() {
        let mut waiters = Waiters::new();
        let many = |it| it <= WAITERS_MAX as i32 + 1;
        assert_eq!(attempt(&mut waiters, 1, many).len(), 499 - WAITERS_MAX);
        assert_eq!(attempt(&mut waiters, 1, |_| false).len(), 500);
    }
}
