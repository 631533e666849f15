//! Waits in poll(2) until a descriptor is ready or a deadline has passed.

use crate::base::sys;
use crate::base::time::{Deadline, Instant, Millis};
use crate::confirm::TARGETS_MAX;
use crate::http::CONNECTIONS_MAX;
use crate::process::Proc;
use crate::report::Report;
use crate::report::facts::lifecycle::Lifecycle;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// The pause after poll(2) has failed, perhaps for lack of memory: trying again at once would fail as well.
const PAUSE: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// The result of the wait.
pub(super) struct Ready {
    /// The mount table has changed.
    pub(super) mounts: bool,
    /// An HTTP client has connected or sent something.
    pub(super) http: bool,
    /// When the program woke, if it has slept.
    pub(super) slept_until: Option<Instant>,
}

/// The descriptors to wait for.
pub(super) struct Waits<'s> {
    descriptors: [PollFd<'s>; 5 + TARGETS_MAX + CONNECTIONS_MAX],
    count: usize,
}

impl<'s> Waits<'s> {
    pub(super) fn new(signals: &'s OwnedFd) -> Self {
        Self {
            descriptors: core::array::from_fn(|_| PollFd::new(signals, PollFlags::IN)),
            count: 1,
        }
    }

    pub(super) fn for_events(&mut self, fds: impl IntoIterator<Item = BorrowedFd<'s>>) {
        self.add(fds, PollFlags::IN);
    }

    // PRI and RDNORM are used for one kind of descriptor each, so that the result shows which kind is ready.

    pub(super) fn for_mounts(&mut self, fds: impl IntoIterator<Item = BorrowedFd<'s>>) {
        self.add(fds, PollFlags::PRI);
    }

    pub(super) fn for_http(&mut self, fds: impl IntoIterator<Item = BorrowedFd<'s>>) {
        self.add(fds, PollFlags::RDNORM);
    }

    fn add(&mut self, fds: impl IntoIterator<Item = BorrowedFd<'s>>, flags: PollFlags) {
        for fd in fds {
            if let Some(slot) = self.descriptors.get_mut(self.count) {
                *slot = PollFd::from_borrowed_fd(fd, flags);
                self.count += 1;
            }
        }
    }

    /// Sleeps until something comes, or until the deadline.
    pub(super) fn wait(mut self, deadline: Deadline, proc: &Proc, report: &mut Report) -> Ready {
        let had_waited = proc.waited_for_processor();
        let slept_from = sys::now();
        let descriptors = &mut self.descriptors[..self.count];
        let result = poll(descriptors, deadline.timeout(slept_from).as_ref());
        // Something was ready before the program got a processor: leave out the time that it waited for one.
        let late = proc.waited_for_processor().wrapping_sub(had_waited);
        let woke = sys::now().minus_nanoseconds(late);
        let mut events = PollFlags::empty();
        match result {
            Ok(_) => {
                events = descriptors
                    .iter()
                    .fold(events, |all, one| all | one.revents())
            }
            Err(Errno::INTR) => {}
            Err(errno) => {
                report.record(&Lifecycle::PollFailed(errno));
                let _ = poll(&mut [], Some(&PAUSE));
            }
        }
        Ready {
            mounts: events.contains(PollFlags::PRI),
            http: events.intersects(PollFlags::RDNORM | PollFlags::HUP | PollFlags::ERR),
            slept_until: (woke.since(slept_from) > Millis::ZERO).then_some(woke),
        }
    }
}
