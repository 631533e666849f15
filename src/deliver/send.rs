//! Sends a signal through a pidfd, which cannot reach another process; pidfd_open(2), pidfd_send_signal(2).

use crate::base::signal::Signal;
use crate::base::sys;
use crate::process::{Matcher, Proc, Process};
use rustix::fd::OwnedFd;
use rustix::io::{self, Errno};
use rustix::process::{Pid, PidfdFlags, kill_process, pidfd_open, pidfd_send_signal};

/// Opens a pidfd, then reads the process again: only now is it certain that the descriptor refers to the process that was
/// selected. Returns `None` if pidfds are not available.
///
/// # Errors
/// ESRCH if the process has ended or no longer matches.
pub(super) fn hold(
    process: &Process,
    matcher: &Matcher<'_>,
    proc: &Proc,
) -> io::Result<Option<OwnedFd>> {
    let pidfd = match pidfd_open(process.pid, PidfdFlags::empty()) {
        // Linux before 5.3, or a seccomp profile from before that, which answers EPERM.
        Err(Errno::NOSYS | Errno::PERM) => None,
        opened => Some(opened?),
    };
    let current = proc.read(process.pid)?;
    if current.start == process.start && proc.matches(&current, matcher) {
        Ok(pidfd)
    } else {
        Err(Errno::SRCH)
    }
}

/// Sends the signal through the pidfd if there is one, otherwise to the id.
///
/// # Errors
/// EPERM, ESRCH.
pub(super) fn send(signal: Signal, pid: Pid, pidfd: Option<&OwnedFd>) -> io::Result<()> {
    let signal = sys::to_rustix(signal.number());
    match pidfd.map(|pidfd| pidfd_send_signal(pidfd, signal)) {
        // A seccomp profile may refuse one of the two calls; Linux itself got this one first, in 5.1.
        None | Some(Err(Errno::NOSYS)) => kill_process(pid, signal),
        Some(sent) => sent,
    }
}
