//! `/proc`: which process is the application.
//!
//! The directory is injected, so that tests hand in a tree of their own. Only `comm`, `cmdline`, `stat` and `status` are read:
//! they are readable whoever owns the process, which `exe` is not; proc(5).

mod parse;

pub mod guard;
pub use parse::{Comm, Process, Status, parse_stat};

use crate::base::file::{self, Lines};
use crate::base::text::{Word, parse_number, piece, pieces};
use crate::config::MAX_CMDLINE;
pub use crate::config::{Matcher, Select};
use core::mem::MaybeUninit;
use parse::{goes_by, pid};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{self, CWD, Mode, OFlags, RawDir};
use rustix::io::{self, Errno};
use rustix::process::{Pid, getpid};

/// No chain of ancestors is longer: the kernel nests no deeper than it has process ids, people nest a few.
const ANCESTORS_MAX: u32 = 1024;

/// What a scan came across.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scanned {
    /// Live processes other than this program.
    pub others: u32,
    /// Processes that were selected.
    pub selected: u32,
    /// The process file could not be read, or its first line is no process id.
    pub no_pid_file: bool,
}

/// A `/proc`, and what this program itself is in it.
#[derive(Debug)]
pub struct Proc {
    directory: OwnedFd,
    own: Pid,
    own_comm: Comm,
    /// What the kernel counts of this program's waiting, where it does.
    schedstat: Option<OwnedFd>,
}

impl Proc {
    /// `directory` is `/proc`, `own` this program's id in it.
    ///
    /// # Errors
    /// ENOENT if the program is not in it: another namespace's `/proc`, or none.
    pub fn new(directory: OwnedFd, own: Pid) -> io::Result<Self> {
        let mut proc = Self {
            directory,
            own,
            own_comm: Comm::new(b""),
            schedstat: None,
        };
        proc.own_comm = proc.read(own)?.comm;
        proc.schedstat = proc.open(own, b"schedstat", OFlags::empty()).ok();
        Ok(proc)
    }

    /// The one that this program is in.
    ///
    /// # Errors
    /// `/proc` is not mounted, or is another PID namespace's.
    pub fn own() -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self::new(fs::openat(CWD, c"/proc", flags, Mode::empty())?, getpid())
    }

    /// For how long this program was ready to run and had no processor, all in all, in nanoseconds: the second number of
    /// `/proc/PID/schedstat`; Documentation/scheduler/sched-stats.rst. 0 where the kernel does not count that.
    pub fn waited_for_processor(&self) -> u64 {
        let mut buffer = [0; 64];
        let schedstat = self.schedstat.as_ref();
        let length = schedstat.and_then(|file| io::pread(file, &mut buffer, 0).ok());
        let read = &buffer[..length.unwrap_or(0)];
        parse_number(piece(read, b' ', 1), 10).unwrap_or(0)
    }

    /// Opens `/proc/PID/name`.
    fn open(&self, pid: Pid, name: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let mut path = Word::new();
        path.push_number(pid.as_raw_nonzero().get() as u64, 0);
        path.push(b"/");
        path.push(name);
        fs::openat(
            &self.directory,
            path.as_c_str(),
            OFlags::RDONLY | OFlags::CLOEXEC | flags,
            Mode::empty(),
        )
    }

    /// The process of this id.
    ///
    /// # Errors
    /// ENOENT or ESRCH: there is none, or it is hidden. Those of [`file::is_shortage`].
    pub fn read(&self, pid: Pid) -> io::Result<Process> {
        let file = self.open(pid, b"stat", OFlags::empty())?;
        // The longest is below 500 bytes: 64 for the name of a kernel's worker, 20 for each of 50 numbers are never all used.
        let mut buffer = [0; 1024];
        let length = io::read(&file, &mut buffer)?;
        let stat = buffer.get(..length).unwrap_or_default();
        parse_stat(pid, stat).ok_or(Errno::SRCH)
    }

    /// Calls `visit` for every process that is to be signalled.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn select(
        &self,
        matcher: &Matcher<'_>,
        select: Select,
        visit: &mut dyn FnMut(&Process),
    ) -> io::Result<Scanned> {
        let mut scanned = Scanned::default();
        if let Some(path) = matcher.pid_file {
            match read_pid_file(path) {
                // The file names this one process, whoever its ancestors are.
                Some(pid) => self.look_at(pid, &mut |process| {
                    if self.matches(process, matcher) {
                        scanned.selected += 1;
                        visit(process);
                    }
                })?,
                None => scanned.no_pid_file = true,
            }
        } else {
            self.each(&mut |process| {
                scanned.others += 1;
                if self.is_selected(process, matcher, select) {
                    scanned.selected += 1;
                    visit(process);
                }
            })?;
        }
        Ok(scanned)
    }

    /// Calls `visit` for every process but this program, zombies and kernel threads.
    ///
    /// # Errors
    /// `/proc` cannot be read, or descriptors or memory are short.
    pub fn each(&self, visit: &mut dyn FnMut(&Process)) -> io::Result<()> {
        let directory = fs::openat(
            &self.directory,
            c".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        ids(&directory, &mut |pid| self.look_at(pid, visit))
    }

    /// Calls `visit` for the process of this id, unless it is this program, a zombie or a kernel thread, or there is none.
    ///
    /// # Errors
    /// Descriptors or memory are short.
    fn look_at(&self, pid: Pid, visit: &mut dyn FnMut(&Process)) -> io::Result<()> {
        match self.read(pid) {
            Ok(process) if process.is_alive && pid != self.own => visit(&process),
            Err(errno) if file::is_shortage(errno) => return Err(errno),
            _ => {}
        }
        Ok(())
    }

    /// Whether a process is to be signalled.
    pub fn is_selected(&self, process: &Process, matcher: &Matcher<'_>, select: Select) -> bool {
        self.matches(process, matcher)
            && (select == Select::All || !self.has_matching_ancestor(process, matcher))
    }

    /// Whether the process is one that the settings mean; never another copy of this program.
    pub fn matches(&self, process: &Process, matcher: &Matcher<'_>) -> bool {
        if !process.is_alive || process.comm == self.own_comm {
            return false;
        }
        matcher.cmdline.is_none() && has_name(process, matcher, b"")
            || self.cmdline_matches(process, matcher).unwrap_or(false)
    }

    /// Reads the command line piece by piece: a JVM's is longer than any buffer that one wants to keep.
    fn cmdline_matches(&self, process: &Process, matcher: &Matcher<'_>) -> io::Result<bool> {
        let file = self.open(process.pid, b"cmdline", OFlags::empty())?;
        let mut buffer = [0; 2 * MAX_CMDLINE];
        let mut kept = 0;
        loop {
            let read = file::fill(file.as_fd(), &mut buffer[kept..])?;
            let length = kept + read;
            // The names are at the beginning.
            if kept == 0 {
                // Of an argument that does not end here the beginning would be another's name.
                let whole = if length < buffer.len() {
                    length
                } else {
                    buffer.iter().rposition(|byte| *byte == 0).unwrap_or(0)
                };
                if matcher.names.is_some() && !has_name(process, matcher, &buffer[..whole]) {
                    return Ok(false);
                }
            }
            let Some(text) = matcher.cmdline else {
                return Ok(true);
            };
            if read == 0 {
                return Ok(false);
            }
            let mut rest = &buffer[..length];
            while let [_, after @ ..] = rest {
                // The arguments are joined by blanks.
                let is_same =
                    |(byte, wanted): (&u8, &u8)| *byte == *wanted || *byte == 0 && *wanted == b' ';
                if rest.len() >= text.len() && rest.iter().zip(text).all(is_same) {
                    return Ok(true);
                }
                rest = after;
            }
            // The text may lie across two pieces.
            kept = length.min(MAX_CMDLINE);
            buffer.copy_within(length - kept..length, 0);
        }
    }

    fn has_matching_ancestor(&self, process: &Process, matcher: &Matcher<'_>) -> bool {
        let mut parent = process.parent;
        for _ in 0..ANCESTORS_MAX {
            let Some(Ok(ancestor)) = parent.map(|pid| self.read(pid)) else {
                return false;
            };
            if self.matches(&ancestor, matcher) {
                return true;
            }
            parent = ancestor.parent;
        }
        false
    }
}

/// Calls `visit` for each entry of a directory that is named by a number.
fn ids(directory: &OwnedFd, visit: &mut dyn FnMut(Pid) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let mut entries = RawDir::new(directory, &mut buffer);
    while let Some(entry) = entries.next() {
        if let Some(pid) = pid(entry?.file_name().to_bytes()) {
            visit(pid)?;
        }
    }
    Ok(())
}

/// Whether the process goes by one of the names, as far as the command line was read.
fn has_name(process: &Process, matcher: &Matcher<'_>, cmdline: &[u8]) -> bool {
    let comm = process.comm.as_bytes();
    (matcher.names).is_some_and(|names| names.iter().any(|name| goes_by(name, comm, cmdline)))
}

/// The first line, blanks around it aside.
fn read_pid_file(path: &[u8]) -> Option<Pid> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = file::open_path(path, flags).ok()?;
    let mut buffer = [0; 64];
    let length = file::fill(file.as_fd(), &mut buffer).ok()?;
    let mut lines = pieces(buffer.get(..length)?, b'\n');
    let line = lines.next()?;
    // Of a line that does not end here the beginning would be another process's id.
    let is_whole = length < buffer.len() || lines.next().is_some();
    pid(line.trim_ascii()).filter(|_| is_whole)
}

impl Proc {
    /// Reads `/proc/PID/status`.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn status(&self, pid: Pid, status: &mut Status) -> io::Result<()> {
        self.status_in(pid, b"status", status)
    }

    /// What is usually there fits, and is read at once. The list of groups can be longer than any buffer; nobody wants it.
    fn status_in(&self, pid: Pid, name: &[u8], status: &mut Status) -> io::Result<()> {
        let file = self.open(pid, name, OFlags::empty())?;
        let mut buffer = [0; 2048];
        let mut lines = Lines::new(file.as_fd(), &mut buffer);
        while let Some(line) = lines.next_line() {
            if status.take(line) {
                break;
            }
        }
        lines.outcome.map(|_| ())
    }

    /// Whether any thread of the process blocks a signal, given as a bit mask: then it may be waiting for it in sigwait(3).
    pub fn is_blocked_in_a_thread(&self, pid: Pid, mask: u64) -> bool {
        let mut is_blocked = false;
        if let Ok(tasks) = self.open(pid, b"task", OFlags::DIRECTORY) {
            let _ = ids(&tasks, &mut |thread| {
                let mut name = Word::new();
                name.push(b"task/");
                name.push_number(thread.as_raw_nonzero().get() as u64, 0);
                name.push(b"/status");
                // A thread that has ended meanwhile blocks nothing.
                let mut status = Status::default();
                let _ = self.status_in(pid, name.as_bytes(), &mut status);
                is_blocked |= status.blocked & mask != 0;
                Ok(())
            });
        }
        is_blocked
    }
}

// WIP #[cfg(test)]
// WIP mod tests;
