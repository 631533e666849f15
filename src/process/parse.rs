//! What stands in the files of `/proc`, and in process files; proc(5). Pure.

use crate::log::Log;
use crate::reload::Instant;
use crate::text::parse_number;
use rustix::process::Pid;

/// The kernel cuts names to this many bytes; `PR_SET_NAME` in prctl(2).
pub(super) const COMM_MAX: usize = 15;
/// Start times are in these units on every architecture that this program is built for: `USER_HZ`, proc(5).
pub const TICK_MS: u64 = 10;
/// A kernel thread; `PF_KTHREAD` in the kernel's sched.h.
pub(super) const KERNEL_THREAD: u64 = 0x0020_0000;
/// A process's name as the kernel keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Comm {
    bytes: [u8; COMM_MAX],
    len: u8,
}

impl Comm {
    pub(super) fn new(name: &[u8]) -> Self {
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
    pub(super) is_alive: bool,
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

pub(super) fn number(digits: &[u8]) -> Option<u64> {
    parse_number(digits, 10)
}

pub(super) fn pid(digits: &[u8]) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number(digits)?).ok()?)
}

/// The name in a first argument: its last path component; where a title was set, `nginx: master process`, what is before the
/// colon.
pub(super) fn argument_name(argument: &[u8]) -> &[u8] {
    let title = argument.windows(2).position(|pair| pair == b": ");
    let path = match (title, argument.split_last()) {
        (Some(colon), _) => &argument[..colon],
        (None, Some((b':', before))) => before,
        (None, _) => argument,
    };
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Whether a process goes by `name`. A name longer than the kernel keeps must begin like `comm` and stand as a whole in one of
/// the first three arguments: of a script that was run directly, interpreter and option come before it.
pub(super) fn goes_by(name: &[u8], comm: &[u8], cmdline: &[u8]) -> bool {
    let mut arguments = cmdline.split(|byte| *byte == 0).map(argument_name);
    if name.len() > COMM_MAX {
        comm == &name[..COMM_MAX] && arguments.take(3).any(|argument| argument == name)
    } else {
        comm == name || arguments.next() == Some(name)
    }
}

/// The first line, blanks around it aside.
pub(super) fn parse_pid_file(content: &[u8]) -> Option<Pid> {
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
    pub(super) fn take(&mut self, line: &[u8]) {
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
