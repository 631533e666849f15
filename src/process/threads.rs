//! Finds out whether the threads of a process wait for a signal, as in sigwait(3).

use super::procfs::{Proc, each_id};
use crate::base::signal::Signal;
use crate::base::text::Word;
use rustix::fs::OFlags;
use rustix::io;
use rustix::process::Pid;

/// A part of the name of the kernel function that waits: `do_sigtimedwait`, to which a compiler may add `.isra.0`. Until Linux 3.8
/// it was `sys_rt_sigtimedwait`.
const SIGWAIT: &[u8] = b"sigtimedwait";

/// The answer to whether a signal that has no handler is awaited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Awaited {
    /// Every thread waits for it, or blocks it, as threads do that leave it to another one.
    Yes,
    /// The kernel would give it to a thread that does neither, and the default action would happen.
    No,
    /// The kernel does not show whether a thread waits for it: that takes the process's uid, or SYS_PTRACE.
    Unseen,
}

/// The threads of a process by what they do with a signal.
#[derive(Clone, Copy, Default)]
struct Threads {
    /// They block it or wait for it.
    prepared: u32,
    /// They may wait for it.
    unseen: u32,
    /// They do neither.
    bare: u32,
}

impl Threads {
    const fn awaited(self) -> Awaited {
        match (self.bare, self.unseen) {
            // The others leave it to the one that is not seen.
            (0, 0 | 1) if self.prepared > 0 => Awaited::Yes,
            (0, 1..) => Awaited::Unseen,
            _ => Awaited::No,
        }
    }
}

impl Proc {
    /// Looks through the threads of a process that has no handler for the signal. While a thread waits in sigwait(3), the kernel takes
    /// the signals that it waits for out of its mask; then only the kernel function in which it sleeps shows that. For which signals
    /// it waits is not shown: `RELOAD_SIGNAL` is taken to be among them.
    pub(super) fn awaits(&self, pid: Pid, signal: Signal) -> Awaited {
        let Ok(tasks) = self.open(pid, b"task", OFlags::DIRECTORY) else {
            return Awaited::No;
        };
        let mut threads = Threads::default();
        let _ = each_id(&tasks, &mut |thread| {
            self.count_thread(pid, thread, signal, &mut threads);
            Ok(())
        });
        threads.awaited()
    }

    fn count_thread(&self, pid: Pid, thread: Pid, signal: Signal, threads: &mut Threads) {
        let open = |file: &[u8]| {
            let mut name = Word::new();
            name.push(b"task/");
            name.push_number(thread.as_raw_nonzero().get() as u64, 0);
            name.push(file);
            self.open(pid, name.as_bytes(), OFlags::empty())
        };
        // An unreadable thread has ended.
        let Ok(status) = open(b"/status").and_then(|file| Self::read_status(&file)) else {
            return;
        };
        if status.blocked & signal.mask() != 0 {
            threads.prepared += 1;
            return;
        }
        let mut buffer = [0; 64];
        let read = open(b"/wchan").and_then(|file| io::read(&file, &mut buffer));
        match buffer.get(..read.unwrap_or(0)).unwrap_or_default() {
            // `0` also stands for a thread that runs.
            b"" | b"0" => threads.unseen += 1,
            sleeps_in if sleeps_in.windows(SIGWAIT.len()).any(|it| it == SIGWAIT) => {
                threads.prepared += 1;
            }
            _ => threads.bare += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p4_a_signal_is_awaited_only_if_no_thread_would_be_ended_by_it() {
        for (prepared, unseen, bare, expected) in [
            (1, 0, 0, Awaited::Yes),
            (9, 0, 0, Awaited::Yes),
            // As named and mysqld, of another user.
            (9, 1, 0, Awaited::Yes),
            (9, 2, 0, Awaited::Unseen),
            (0, 1, 0, Awaited::Unseen),
            // A library's thread that blocks every signal says nothing of the others.
            (1, 0, 1, Awaited::No),
            (9, 1, 1, Awaited::No),
            (0, 0, 1, Awaited::No),
            (0, 0, 0, Awaited::No),
        ] {
            let threads = Threads {
                prepared,
                unseen,
                bare,
            };
            assert_eq!(threads.awaited(), expected, "{prepared} {unseen} {bare}");
        }
    }
}
