//! The process that is signalled, and the lock that keeps starts of processes apart from open files.

use crate::support::process::Talker;
use crate::trace::{Life, Time};
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// Held for reading while files are open for writing, and for writing while a process is started. A child has copies of all open
/// files until it executes its program, and would delay the event of another history's close until then.
static FORKS: RwLock<()> = RwLock::new(());

pub fn no_forks() -> RwLockReadGuard<'static, ()> {
    FORKS.read().unwrap_or_else(PoisonError::into_inner)
}

pub fn fork<Started>(start: impl FnOnce() -> Started) -> Started {
    let _guard = FORKS.write().unwrap_or_else(PoisonError::into_inner);
    start()
}

/// The time of everything in a trace.
pub fn now() -> Time {
    nanoseconds(ClockId::Boottime)
}

pub fn nanoseconds(clock: ClockId) -> Time {
    let now = clock_gettime(clock);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// The process that is signalled.
pub struct Target {
    pub talker: Talker,
    spawned: Time,
    running: Time,
}

impl Target {
    pub fn start(program: &Path, roots: &str) -> Self {
        let mut command = Command::new(program);
        command
            .args([roots, "--tree", "1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let (spawned, mut child, running) = fork(|| (now(), command.spawn().unwrap(), now()));
        let output = child.stdout.take().unwrap();
        Self {
            talker: Talker::new(child, output),
            spawned,
            running,
        }
    }

    /// Kills the process and returns what it printed.
    pub fn end(self) -> Life {
        let pid = self.talker.pid().as_raw_nonzero().get();
        self.talker.signal(Signal::KILL);
        let (_, lines) = self.talker.finish();
        Life {
            pid,
            spawned: self.spawned,
            running: self.running,
            killed: false,
            lines,
        }
    }
}
