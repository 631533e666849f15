//! `/proc`: which process is the application.
//!
//! The directory is injected, so that tests hand in a tree of their own. Only `comm`, `cmdline`, `stat` and `status` are read:
//! they are readable whoever owns the process, which `exe` is not; proc(5).

use crate::config::{CommaList, MAX_CMDLINE, PATH_MAX};
use crate::log::Log;
use crate::reload::Instant;
use crate::text::{Text, Word, parse_number};
use core::mem::MaybeUninit;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, CWD, Mode, OFlags, RawDir};
use rustix::io::{self, Errno};
use rustix::process::Pid;

/// The kernel cuts names to this many bytes; `PR_SET_NAME` in prctl(2).
const COMM_MAX: usize = 15;
/// Start times are in these units on every architecture that this program is built for: `USER_HZ`, proc(5).
pub const TICK_MS: u64 = 10;
/// A kernel thread; `PF_KTHREAD` in the kernel's sched.h.
const KERNEL_THREAD: u64 = 0x0020_0000;
/// No chain of ancestors is longer: the kernel nests no deeper than it has process ids, people nest a few.
const ANCESTORS_MAX: u32 = 1024;

/// What the application's process must satisfy; where several are given, all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Matcher<'e> {
    /// One of these is its name.
    pub names: Option<CommaList<'e>>,
    /// Its command line, arguments joined by spaces, contains this.
    pub cmdline: Option<&'e [u8]>,
    /// The first line of this file is its id.
    pub pid_file: Option<&'e [u8]>,
}

/// Which of several matches are signalled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Select {
    /// Those that have no matching ancestor: a master, not its workers.
    Main,
    /// All of them.
    All,
}

/// A process's name as the kernel keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Comm {
    bytes: [u8; COMM_MAX],
    len: u8,
}

impl Comm {
    fn new(name: &[u8]) -> Self {
        let len = name.len().min(COMM_MAX);
        let mut bytes = [0; COMM_MAX];
        bytes[..len].copy_from_slice(&name[..len]);
        Self {
            bytes,
            len: len as u8,
        }
    }

    /// Any bytes but NUL.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }
}

/// One process as it was when it was read. Id and start time together are never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Process {
    /// Its id in the namespace that `/proc` shows.
    pub pid: Pid,
    /// Its parent's id; `None` where that is outside the namespace.
    pub parent: Option<Pid>,
    /// Its name.
    pub comm: Comm,
    /// When it was started, cut to a clock tick.
    pub start: Instant,
    /// Neither a zombie nor a kernel thread.
    is_alive: bool,
}

impl Process {
    /// Adds it to a log line.
    pub fn name_in<'l>(&self, line: &'l mut Log) -> &'l mut Log {
        line.key_number("pid", self.pid.as_raw_nonzero().get() as u64)
            .key("process", self.comm.as_bytes())
    }
}

/// Parses `/proc/PID/stat`. The name is in parentheses and may hold parentheses itself.
pub fn parse_stat(stat: &[u8]) -> Option<Process> {
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let pid = pid(stat.get(..open)?.trim_ascii())?;
    let comm = Comm::new(stat.get(open + 1..close)?);
    // Numbered as in proc(5); the third is the first after the name.
    let mut fields = stat
        .get(close + 1..)?
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty());
    let state = fields.next()?;
    let parent = fields.next()?;
    let flags = number(fields.nth(9 - 5)?)?;
    let start = number(fields.nth(22 - 10)?)?;
    Some(Process {
        pid,
        parent: self::pid(parent),
        comm,
        start: Instant::from_nanoseconds(start.checked_mul(TICK_MS * 1_000_000)?),
        is_alive: flags & KERNEL_THREAD == 0 && !matches!(state, b"Z" | b"X" | b"x"),
    })
}

fn number(digits: &[u8]) -> Option<u64> {
    parse_number(digits, 10)
}

fn pid(digits: &[u8]) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number(digits)?).ok()?)
}

/// The name in a first argument: its last path component; where a title was set, `nginx: master process`, what is before the
/// colon.
fn argument_name(argument: &[u8]) -> &[u8] {
    let title = argument.windows(2).position(|pair| pair == b": ");
    let path = match (title, argument.split_last()) {
        (Some(colon), _) => &argument[..colon],
        (None, Some((b':', before))) => before,
        (None, _) => argument,
    };
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Whether a process goes by `name`. A name longer than the kernel keeps must begin like `comm` and stand in the first
/// argument as a whole.
fn goes_by(name: &[u8], comm: &[u8], argument: &[u8]) -> bool {
    let in_argument = argument_name(argument) == name;
    if name.len() > COMM_MAX {
        comm == &name[..COMM_MAX] && in_argument
    } else {
        comm == name || in_argument
    }
}

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
        };
        proc.own_comm = proc.read(own)?.comm;
        Ok(proc)
    }

    /// This program's id.
    pub const fn own_pid(&self) -> Pid {
        self.own
    }

    /// Opens `/proc/PID/name`.
    ///
    /// # Errors
    /// ENOENT or ESRCH: the process is gone. EACCES: it is hidden.
    pub fn open(&self, pid: Pid, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let mut path = Word::new();
        path.push_number(pid.as_raw_nonzero().get() as u64, 0);
        path.push(b"/");
        path.push(name.as_bytes());
        fs::openat(
            &self.directory,
            path.as_c_str(),
            OFlags::RDONLY | OFlags::CLOEXEC | flags,
            Mode::empty(),
        )
    }

    /// The process of this id; `None` if there is none, or it is hidden.
    pub fn process(&self, pid: Pid) -> Option<Process> {
        self.read(pid).ok()
    }

    fn read(&self, pid: Pid) -> io::Result<Process> {
        let file = self.open(pid, "stat", OFlags::empty())?;
        // The longest is below 500 bytes: 64 for the name of a kernel's worker, 20 for each of 50 numbers are never all used.
        let mut buffer = [0; 1024];
        let length = io::read(&file, &mut buffer)?;
        parse_stat(&buffer[..length])
            .filter(|process| process.pid == pid)
            .ok_or(Errno::SRCH)
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
                Some(pid) => self.consider(pid, matcher, Select::All, &mut scanned, visit),
                None => scanned.no_pid_file = true,
            }
            return Ok(scanned);
        }
        let directory = fs::openat(
            &self.directory,
            c".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut entries = RawDir::new(&directory, &mut buffer);
        while let Some(entry) = entries.next() {
            if let Some(pid) = pid(entry?.file_name().to_bytes()) {
                self.consider(pid, matcher, select, &mut scanned, visit);
            }
        }
        Ok(scanned)
    }

    fn consider(
        &self,
        pid: Pid,
        matcher: &Matcher<'_>,
        select: Select,
        scanned: &mut Scanned,
        visit: &mut dyn FnMut(&Process),
    ) {
        let Some(process) = self.live(pid) else {
            return;
        };
        scanned.others += 1;
        if self.is_selected(&process, matcher, select) {
            scanned.selected += 1;
            visit(&process);
        }
    }

    /// The process of this id, unless it is this program, a zombie or a kernel thread.
    pub fn live(&self, pid: Pid) -> Option<Process> {
        self.process(pid)
            .filter(|process| process.is_alive && pid != self.own)
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
        let by_comm = |name: &[u8]| name.len() <= COMM_MAX && process.comm.as_bytes() == name;
        if matcher.cmdline.is_none() && matcher.names.is_some_and(|names| names.iter().any(by_comm))
        {
            return true;
        }
        self.cmdline_matches(process, matcher).unwrap_or(false)
    }

    /// Reads the command line piece by piece: a JVM's is longer than any buffer that one wants to keep.
    fn cmdline_matches(&self, process: &Process, matcher: &Matcher<'_>) -> io::Result<bool> {
        let file = self.open(process.pid, "cmdline", OFlags::empty())?;
        let mut buffer = [0; 2 * MAX_CMDLINE];
        let mut length = read_all(file.as_fd(), &mut buffer)?;
        if let Some(names) = matcher.names {
            let argument = buffer[..length]
                .split(|byte| *byte == 0)
                .next()
                .unwrap_or_default();
            if !names
                .iter()
                .any(|name| goes_by(name, process.comm.as_bytes(), argument))
            {
                return Ok(false);
            }
        }
        let Some(text) = matcher.cmdline else {
            return Ok(true);
        };
        let mut is_last = false;
        loop {
            for byte in &mut buffer[..length] {
                if *byte == 0 {
                    *byte = b' ';
                }
            }
            if buffer[..length]
                .windows(text.len())
                .any(|window| window == text)
            {
                return Ok(true);
            }
            if is_last {
                return Ok(false);
            }
            // The text may lie across two pieces.
            let kept = length.min(MAX_CMDLINE);
            buffer.copy_within(length - kept..length, 0);
            let read = read_all(file.as_fd(), &mut buffer[kept..])?;
            length = kept + read;
            is_last = read == 0;
        }
    }

    fn has_matching_ancestor(&self, process: &Process, matcher: &Matcher<'_>) -> bool {
        let mut parent = process.parent;
        for _ in 0..ANCESTORS_MAX {
            let Some(ancestor) = parent.and_then(|pid| self.process(pid)) else {
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

/// Reads until the end or until the buffer is full.
fn read_all(file: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match io::read(file, &mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(length)
}

#[inline(never)]
fn read_pid_file(path: &[u8]) -> Option<Pid> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut name = Text::<PATH_MAX>::new();
    name.push(path);
    let file = fs::openat(CWD, name.as_c_str(), flags, Mode::empty()).ok()?;
    let mut buffer = [0; 64];
    let length = read_all(file.as_fd(), &mut buffer).ok()?;
    let content = &buffer[..length];
    // Of a line that does not end here the beginning would be another process's id.
    let is_whole = length < buffer.len() || content.contains(&b'\n');
    parse_pid_file(content).filter(|_| is_whole)
}

/// The first line, blanks around it aside.
fn parse_pid_file(content: &[u8]) -> Option<Pid> {
    let line = content.split(|byte| *byte == b'\n').next()?.trim_ascii();
    pid(line)
}

/// What a process has set up for signals, and who it is: from `/proc/PID/status`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// Effective user id.
    pub uid: u32,
    /// Signals that the thread blocks, as a bit mask with signal 1 lowest; so are those below.
    pub blocked: u64,
    /// Signals that the process ignores.
    pub ignored: u64,
    /// Signals that the process has a handler for.
    pub caught: u64,
}

impl Status {
    /// Takes in one line of the file.
    fn take(&mut self, line: &[u8]) {
        for (name, mask) in [
            (b"SigBlk:", &mut self.blocked),
            (b"SigIgn:", &mut self.ignored),
            (b"SigCgt:", &mut self.caught),
        ] {
            if let Some(value) = line.strip_prefix(name) {
                *mask = parse_number(value.trim_ascii(), 16).unwrap_or(0);
            }
        }
        if let Some(value) = line.strip_prefix(b"Uid:") {
            // Real, effective, saved, of the file system.
            let effective = value.trim_ascii().split(u8::is_ascii_whitespace).nth(1);
            self.uid = effective.and_then(number).map_or(0, |uid| uid as u32);
        }
    }
}

impl Proc {
    /// Reads `/proc/PID/status`, of the process or, with `thread`, of one of its threads.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn status(&self, pid: Pid) -> io::Result<Status> {
        status_of(self.open(pid, "status", OFlags::empty())?.as_fd())
    }

    /// Whether any thread of the process blocks a signal, given as a bit mask: then it may be waiting for it in sigwait(3).
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn is_blocked_in_a_thread(&self, pid: Pid, mask: u64) -> io::Result<bool> {
        let tasks = self.open(pid, "task", OFlags::DIRECTORY)?;
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut entries = RawDir::new(&tasks, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !name.first().is_some_and(u8::is_ascii_digit) {
                continue;
            }
            let mut path = Word::new();
            path.push(name);
            path.push(b"/status");
            let opened = fs::openat(
                &tasks,
                path.as_c_str(),
                OFlags::RDONLY | OFlags::CLOEXEC,
                Mode::empty(),
            );
            // A thread that has ended meanwhile blocks nothing.
            let status = opened
                .and_then(|file| status_of(file.as_fd()))
                .unwrap_or_default();
            if status.blocked & mask != 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Line by line, because the list of groups can be longer than any buffer. What is left of such a line when the buffer is
/// emptied looks like no line that is wanted.
fn status_of(file: BorrowedFd<'_>) -> io::Result<Status> {
    let mut status = Status::default();
    let mut buffer = [0; 1024];
    let mut length = 0;
    loop {
        let read = io::read(file, &mut buffer[length..])?;
        if read == 0 {
            return Ok(status);
        }
        length += read;
        let mut start = 0;
        while let Some(end) = buffer[start..length].iter().position(|byte| *byte == b'\n') {
            status.take(&buffer[start..start + end]);
            start += end + 1;
        }
        if start == 0 && length == buffer.len() {
            start = length;
        }
        buffer.copy_within(start..length, 0);
        length -= start;
    }
}

#[cfg(test)]
mod tests;
