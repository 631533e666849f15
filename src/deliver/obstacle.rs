//! Turns errors into obstacles.

use crate::config::{CommaList, Config};
use crate::process::Process;
use crate::reload::Waiting;
use crate::report::facts::Subject;
use crate::report::facts::obstacle::{HIDDEN, NOT_SHARED, Obstacle, Wanted};
use rustix::io::Errno;
use rustix::process::{Pid, geteuid, getpid};

/// Returns the settings that say which process to signal, for a message.
pub fn wanted<'c>(config: &Config<'c>) -> Wanted<'c> {
    let matcher = &config.matcher;
    Wanted {
        names: matcher.names.map(CommaList::as_bytes),
        cmdline: matcher.cmdline,
        pid_file: matcher.pid_file,
    }
}

/// Returns the process as the subject of a message.
pub(super) const fn subject(process: &Process) -> Subject {
    Subject {
        pid: process.pid,
        comm: process.comm,
    }
}

/// Returns the obstacle if no process matches while this many other processes are visible.
pub(super) fn no_process(config: &Config<'_>, others: u32) -> Obstacle {
    let hint = if getpid() == Pid::INIT {
        Some(NOT_SHARED)
    } else if others == 0 && config.matcher.pid_file.is_none() {
        // Every namespace has a process 1, so it must be hidden.
        Some(HIDDEN)
    } else {
        None
    };
    Obstacle::NoProcess { hint }
}

/// Returns the obstacle if a system call about a process fails.
pub(super) fn refused(
    errno: Errno,
    uid: Option<u32>,
    process: &Process,
    config: &Config<'_>,
) -> Obstacle {
    match errno {
        // It has just ended. The next attempt finds its successor.
        Errno::SRCH | Errno::NOENT => no_process(config, 1),
        Errno::PERM => Obstacle::NotPermitted {
            own_uid: geteuid().as_raw(),
            uid,
            subject: subject(process),
        },
        _ => Obstacle::Refused(errno, subject(process)),
    }
}

/// Returns the obstacle as the state machine knows it.
pub(super) const fn waiting(obstacle: &Obstacle) -> Waiting {
    match obstacle {
        Obstacle::NoProcess { .. } => Waiting::NoProcess,
        Obstacle::NoPidFile | Obstacle::Stranger(_) => Waiting::PidFile,
        Obstacle::NotPermitted { .. } => Waiting::NotPermitted,
        Obstacle::TooYoung(_) => Waiting::TooYoung,
        Obstacle::Guarded { .. } => Waiting::Guarded,
        Obstacle::Ignored(..) => Waiting::Ignored,
        Obstacle::NoProc(_) | Obstacle::Refused(..) => Waiting::Failed,
    }
}
