//! Looks for a thread that waits for a signal, as in sigwait(3).

use super::procfs::{Proc, each_id};
use crate::base::signal::Signal;
use crate::base::text::Word;
use rustix::fs::OFlags;
use rustix::io::{self, Errno};
use rustix::process::Pid;

/// What the name of the kernel function that waits has in it: `do_sigtimedwait`, perhaps with what a compiler adds, such as `.isra.0`;
/// until Linux 3.8 it was part of the system call, `sys_rt_sigtimedwait`.
const SIGWAIT: &[u8] = b"sigtimedwait";

/// The answer to whether some thread of a process waits for a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Awaited {
    /// One does, or blocks the signal, as threads do that leave it to another one.
    Yes,
    /// None does.
    No,
    /// The kernel does not show it: that takes the process's uid, or SYS_PTRACE.
    Unseen,
}

impl Proc {
    /// Looks through the threads of a process that has no handler for the signal. While a thread waits in sigwait(3), the kernel takes
    /// the signals that it waits for out of its mask; then only the kernel function in which it sleeps shows that. For which signals
    /// it waits is not shown: `RELOAD_SIGNAL` is taken to be among them.
    pub(super) fn awaits(&self, pid: Pid, signal: Signal) -> Awaited {
        let Ok(tasks) = self.open(pid, b"task", OFlags::DIRECTORY) else {
            return Awaited::No;
        };
        let mut awaited = Awaited::No;
        let _ = each_id(
            &tasks,
            &mut |thread| match self.thread_awaits(pid, thread, signal) {
                Awaited::No => Ok(()),
                Awaited::Unseen => {
                    awaited = Awaited::Unseen;
                    Ok(())
                }
                Awaited::Yes => {
                    awaited = Awaited::Yes;
                    Err(Errno::CANCELED)
                }
            },
        );
        awaited
    }

    fn thread_awaits(&self, pid: Pid, thread: Pid, signal: Signal) -> Awaited {
        let open = |file: &[u8]| {
            let mut name = Word::new();
            name.push(b"task/");
            name.push_number(thread.as_raw_nonzero().get() as u64, 0);
            name.push(file);
            self.open(pid, name.as_bytes(), OFlags::empty())
        };
        // An unreadable thread has ended, and so blocks nothing.
        let status = open(b"/status").and_then(|file| Self::read_status(&file));
        if status.unwrap_or_default().blocked & signal.mask() != 0 {
            return Awaited::Yes;
        }
        let mut buffer = [0; 64];
        let read = open(b"/wchan").and_then(|file| io::read(&file, &mut buffer));
        match buffer.get(..read.unwrap_or(0)).unwrap_or_default() {
            // `0` also stands for a thread that runs.
            b"" | b"0" => Awaited::Unseen,
            sleeps_in if sleeps_in.windows(SIGWAIT.len()).any(|it| it == SIGWAIT) => Awaited::Yes,
            _ => Awaited::No,
        }
    }
}
