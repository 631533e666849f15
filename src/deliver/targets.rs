//! The processes that are remembered between attempts.

use crate::base::file;
use crate::base::time::Instant;
use crate::process::{Proc, Process, Status};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::Pid;

/// The most processes held, to be signalled first and whatever they call themselves by then. Of the others none is forgotten, but each
/// is found anew.
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
}

/// A table of targets. Its last slot is shared by all that find no other.
#[derive(Debug)]
pub(super) struct Targets([Option<Target>; HELD_MAX + 1]);

impl Targets {
    /// Returns an empty table.
    pub const fn new() -> Self {
        Self([const { None }; HELD_MAX + 1])
    }

    /// Returns a process's target, and whether it stays. A new one takes a free slot, or that of a target that was never signalled.
    pub fn slot(&mut self, process: &Process) -> (&mut Target, Stay) {
        let slots = &mut self.0;
        let at = slots
            .iter()
            .position(|slot| slot.as_ref().is_some_and(|target| target.is(process)));
        let at = at.unwrap_or_else(|| {
            let was_signalled =
                |slot: &Option<Target>| (slot.as_ref()).is_some_and(|target| target.signalled != 0);
            let at = (slots.iter().position(Option::is_none))
                .or_else(|| slots.iter().position(|slot| !was_signalled(slot)))
                .unwrap_or(HELD_MAX);
            slots[at] = None;
            at
        });
        let stay = if at == HELD_MAX {
            Stay::Brief
        } else {
            Stay::Held
        };
        (slots[at].get_or_insert_with(|| Target::new(process)), stay)
    }

    /// Reads the present state of the target in a slot. Frees the slot if the process has ended. `None` if there is no target
    /// or no pidfd, without which its id may belong to another process by now.
    pub fn read_held(&mut self, at: usize, proc: &Proc) -> Option<Held> {
        let slot = self.0.get_mut(at)?;
        let target = slot.as_ref()?;
        let pidfd = target.pidfd.as_ref()?;
        let status = proc.status(target.pid).ok().filter(|it| !it.is_dead);
        // If it has not ended now, the status was its own.
        let Some(status) = status.filter(|_| !file::is_readable(pidfd.as_fd())) else {
            *slot = None;
            return None;
        };
        Some(Held {
            process: Process {
                pid: target.pid,
                parent: None,
                comm: status.comm,
                start: target.start,
                is_alive: true,
            },
            status,
            is_chosen: target.signalled != 0,
        })
    }
}

/// The time for which a target keeps its slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stay {
    /// Until the process ends.
    Held,
    /// Until another one needs the slot.
    Brief,
}

/// The present state of a target.
pub(super) struct Held {
    /// The process.
    pub process: Process,
    /// Its status, just read.
    pub status: Status,
    /// It was signalled before, and so stays a target whatever it calls itself now.
    pub is_chosen: bool,
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
        targets.slot(&process(1)).0.signalled = 1;
        targets.slot(&process(2)).0.signalled = 1;
        assert_eq!(targets.slot(&process(1)).0.signalled, 1);
        let recycled = Process {
            start: Instant::NEVER,
            ..process(1)
        };
        assert_eq!(targets.slot(&recycled).0.signalled, 0);
        assert_eq!(targets.slot(&process(2)).0.signalled, 1);
    }

    #[test]
    fn l4_a_signalled_target_keeps_its_slot_and_the_rest_share_the_last() {
        let mut targets = Targets::new();
        let mut signal = |pid| {
            let (target, stay) = targets.slot(&process(pid));
            target.signalled += 1;
            (target.signalled, stay)
        };
        for pid in 1..=HELD_MAX as i32 {
            assert_eq!(signal(pid), (1, Stay::Held));
        }
        for pid in [100, 200, 100] {
            assert_eq!(signal(pid), (1, Stay::Brief));
        }
        assert_eq!(signal(1), (2, Stay::Held));
    }
}
