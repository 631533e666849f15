//! Reads the files of a `/proc` directory.

use super::stat::{Process, parse_pid, parse_stat};
use super::status::Status;
use crate::base::comm::Comm;
use crate::base::file::{self, Lines};
use crate::base::sys;
use crate::base::text::{Word, parse_number, pieces};
use core::mem::MaybeUninit;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags, RawDir};
use rustix::io::{self, Errno};
use rustix::process::{Pid, getpid};

/// A `/proc` directory and the sidecar's own entry in it.
#[derive(Debug)]
pub struct Proc {
    directory: OwnedFd,
    own_pid: Pid,
    own_comm: Comm,
    /// `None` where the kernel keeps no scheduler statistics.
    schedstat: Option<OwnedFd>,
}

impl Proc {
    /// Returns the `/proc` in `directory`, where the sidecar has the id `own_pid`.
    ///
    /// # Errors
    /// ENOENT if the sidecar is not in it: it is not a `/proc`, or another namespace's.
    pub fn new(directory: OwnedFd, own_pid: Pid) -> io::Result<Self> {
        let mut proc = Self {
            directory,
            own_pid,
            own_comm: Comm::new(b""),
            schedstat: None,
        };
        proc.own_comm = proc.read(own_pid)?.comm;
        proc.schedstat = proc.open(own_pid, b"schedstat", OFlags::empty()).ok();
        Ok(proc)
    }

    /// Returns the `/proc` mounted in the sidecar's container.
    ///
    /// # Errors
    /// `/proc` is not mounted, or belongs to another PID namespace.
    pub fn own() -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self::new(fs::openat(CWD, c"/proc", flags, Mode::empty())?, getpid())
    }

    /// Returns the sidecar's own id.
    pub(super) const fn own_pid(&self) -> Pid {
        self.own_pid
    }

    /// Returns the directory.
    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Returns true if a process is a copy of the sidecar, such as a command in its container: it has the same name and runs the
    /// same file. A file that may not be looked at is another user's, and no copy.
    fn is_copy(&self, process: &Process) -> bool {
        let file = |pid| {
            let mut path = Self::path(pid, b"exe");
            let stat = fs::statat(&self.directory, path.as_c_str(), AtFlags::empty());
            stat.map(|stat| (stat.st_dev, stat.st_ino))
        };
        process.comm == self.own_comm
            && file(process.pid).is_ok_and(|copy| file(self.own_pid) == Ok(copy))
    }

    /// Returns for how many nanoseconds the sidecar was ready to run but had no processor, since it started: the second
    /// number of `/proc/PID/schedstat`; Documentation/scheduler/sched-stats.rst. 0 where the kernel does not count that.
    pub fn waited_for_processor(&self) -> u64 {
        let mut buffer = [0; 64];
        let schedstat = self.schedstat.as_ref();
        let length = schedstat.and_then(|file| io::pread(file, &mut buffer, 0).ok());
        let read = buffer.get(..length.unwrap_or(0)).unwrap_or_default();
        let second = pieces(read, b' ').nth(1).unwrap_or_default();
        parse_number(second, 10).unwrap_or(0)
    }

    /// Returns `PID/name`, a path in the directory.
    pub(super) fn path(pid: Pid, name: &[u8]) -> Word {
        let mut path = Word::new();
        path.push_number(pid.as_raw_nonzero().get() as u64, 0);
        path.push(b"/");
        path.push(name);
        path
    }

    /// Opens `/proc/PID/name`.
    pub(super) fn open(&self, pid: Pid, name: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        fs::openat(
            &self.directory,
            Self::path(pid, name).as_c_str(),
            OFlags::RDONLY | OFlags::CLOEXEC | flags,
            Mode::empty(),
        )
    }

    /// Reads the process with this id.
    ///
    /// # Errors
    /// ENOENT or ESRCH if there is none or it is hidden; those of [`file::is_shortage`].
    pub fn read(&self, pid: Pid) -> io::Result<Process> {
        let file = self.open(pid, b"stat", OFlags::empty())?;
        // A line has 52 fields and stays far below 1,024 bytes: most numbers have a few digits.
        let mut buffer = [0; 1024];
        let length = io::read(&file, &mut buffer)?;
        let stat = buffer.get(..length).unwrap_or_default();
        parse_stat(pid, stat).ok_or(Errno::SRCH)
    }

    /// Reads a process's status.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn status(&self, pid: Pid) -> io::Result<Status> {
        Self::read_status(&self.open(pid, b"status", OFlags::empty())?)
    }

    /// Reads a status file. One read usually suffices; a list of groups longer than the buffer is skipped.
    pub(super) fn read_status(file: &OwnedFd) -> io::Result<Status> {
        let mut buffer = [0; 2048];
        let mut lines = Lines::new(file.as_fd(), &mut buffer);
        let mut status = Status::default();
        while let Some(line) = lines.next_line() {
            if status.parse_line(line).is_break() {
                break;
            }
        }
        lines.outcome.map(|_| status)
    }

    /// Calls `visit` for every process except the sidecar, its copies, zombies and kernel threads.
    ///
    /// # Errors
    /// `/proc` cannot be read, or file descriptors or memory run short. EINTR if the sidecar is asked to stop.
    pub fn each(&self, visit: &mut dyn FnMut(&Process) -> io::Result<()>) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = fs::openat(&self.directory, c".", flags, Mode::empty())?;
        each_id(&directory, &mut |pid| {
            if sys::is_interrupted() {
                return Err(Errno::INTR);
            }
            match self.find(pid)? {
                Some(process) => visit(&process),
                None => Ok(()),
            }
        })
    }

    /// Returns the process with this id, unless it is gone, hidden, the sidecar or a copy of it, a zombie or a kernel thread.
    ///
    /// # Errors
    /// File descriptors or memory run short.
    pub(super) fn find(&self, pid: Pid) -> io::Result<Option<Process>> {
        match self.read(pid) {
            Ok(process) => {
                let is_other =
                    |it: &Process| it.is_alive && pid != self.own_pid && !self.is_copy(it);
                Ok(Some(process).filter(is_other))
            }
            Err(errno) if file::is_shortage(errno) => Err(errno),
            Err(_) => Ok(None),
        }
    }
}

/// Calls `visit` for each entry of a directory whose name is a process id, until it fails.
pub(super) fn each_id(
    directory: &OwnedFd,
    visit: &mut dyn FnMut(Pid) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let mut entries = RawDir::new(directory, &mut buffer);
    while let Some(entry) = entries.next() {
        if let Some(pid) = parse_pid(entry?.file_name().to_bytes()) {
            visit(pid)?;
        }
    }
    Ok(())
}
