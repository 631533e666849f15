//! The processes that are remembered between attempts.

use crate::base::time::{Instant, Millis};
use crate::process::{Proc, Process, Status};
use rustix::fd::OwnedFd;
use rustix::process::Pid;

/// The most processes remembered: those that have received the present content, so that none is signalled twice while
/// another one is pending, and those of the last delivery, so that they can be signalled first. With more, some may be
/// signalled twice.
pub(super) const HELD_MAX: usize = 16;

/// A process that was selected before.
#[derive(Debug)]
pub(super) struct Target {
    pid: Pid,
    start: Instant,
    /// The generation of the content it was last signalled for; 0 for none.
    pub signalled: u32,
    /// When it was last found unprepared for the signal, or else its start.
    pub unready: Instant,
    /// Opened before there is anything to deliver; `None` if the kernel has no pidfds.
    pub pidfd: Option<OwnedFd>,
}

impl Target {
    const fn new(process: &Process) -> Self {
        Self {
            pid: process.pid,
            start: process.start,
            signalled: 0,
            unready: process.start,
            pidfd: None,
        }
    }

    fn is(&self, process: &Process) -> bool {
        self.pid == process.pid && self.start == process.start
    }

    /// Returns when it has been ready for `min_age`. A process that has just installed its handler is no more ready than one
    /// that has just started.
    pub fn ready_at(&self, min_age: Millis) -> Instant {
        self.unready.plus(min_age)
    }
}

/// A table of targets. Its last slot is shared by all that find no other.
#[derive(Debug)]
pub(super) struct Targets([Option<Target>; HELD_MAX + 1]);

impl Targets {
    /// Returns an empty table.
    pub const fn new() -> Self {
        Self([const { None }; HELD_MAX + 1])
    }

    /// Returns a process's target. A new one takes a free slot, or that of a target that was not signalled for this
    /// generation.
    pub fn slot(&mut self, process: &Process, generation: u32) -> &mut Target {
        let slots = &mut self.0;
        let at = slots
            .iter()
            .position(|slot| slot.as_ref().is_some_and(|target| target.is(process)));
        let at = at.unwrap_or_else(|| {
            let is_outdated = |target: &Target| target.signalled != generation;
            let at = (slots.iter().position(Option::is_none))
                .or_else(|| slots.iter().flatten().position(is_outdated))
                .unwrap_or(HELD_MAX);
            slots[at] = None;
            at
        });
        slots[at].get_or_insert_with(|| Target::new(process))
    }

    /// Reads the present state of the target in a slot. Frees the slot if the process has ended. `None` if there is no target
    /// or no pidfd, without which its id may belong to another process by now.
    pub fn read_held(&mut self, at: usize, proc: &Proc) -> Option<(Process, Status)> {
        let slot = self.0.get_mut(at)?;
        let target = slot.as_ref().filter(|target| target.pidfd.is_some())?;
        let Some(status) = proc.status(target.pid).ok().filter(|it| !it.is_dead) else {
            *slot = None;
            return None;
        };
        let process = Process {
            pid: target.pid,
            parent: None,
            comm: status.comm,
            start: target.start,
            is_alive: true,
        };
        Some((process, status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::comm::Comm;

    fn process(pid: i32) -> Process {
        Process {
            pid: Pid::from_raw(pid).unwrap(),
            parent: None,
            comm: Comm::new(b"x"),
            start: Instant::from_nanoseconds(pid as u64),
            is_alive: true,
        }
    }

    #[test]
    fn p3_a_target_keeps_its_slot_and_a_recycled_id_gets_a_new_one() {
        let mut targets = Targets::new();
        targets.slot(&process(1), 1).signalled = 1;
        targets.slot(&process(2), 1).signalled = 1;
        assert_eq!(targets.slot(&process(1), 1).signalled, 1);
        let recycled = Process {
            start: Instant::NEVER,
            ..process(1)
        };
        assert_eq!(targets.slot(&recycled, 1).signalled, 0);
        assert_eq!(targets.slot(&process(2), 1).signalled, 1);
    }

    #[test]
    fn l4_outdated_targets_give_way_and_the_rest_share_the_last_slot() {
        let mut targets = Targets::new();
        for pid in 1..=HELD_MAX as i32 + 1 {
            targets.slot(&process(pid), 1).signalled = 1;
        }
        // All slots are taken for this generation: the last one changes hands.
        assert_eq!(targets.slot(&process(100), 1).signalled, 0);
        assert_eq!(targets.slot(&process(1), 1).signalled, 1);
        assert_eq!(targets.slot(&process(HELD_MAX as i32 + 1), 1).signalled, 0);
        // For the next generation the first outdated target gives way.
        targets.slot(&process(200), 2).signalled = 2;
        assert_eq!(targets.slot(&process(1), 1).signalled, 0);
    }
}
