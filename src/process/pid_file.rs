//! Reads the file that `PROCESS_PID_FILE` names.

use super::stat::{Process, parse_pid};
use crate::base::text::pieces;
use crate::base::time::{Instant, Millis, TICK};
use crate::base::{file, sys};
use rustix::fd::AsFd;
use rustix::fs::{OFlags, fstat};
use rustix::process::Pid;

/// The content of a process file.
pub(super) struct PidFile {
    /// The process id in its first line.
    pub pid: Pid,
    /// When it was written.
    written: Instant,
}

impl PidFile {
    /// Reads the file, with blanks around the id ignored.
    pub fn read(path: &[u8]) -> Option<Self> {
        // Opening must not wait for the other end of a FIFO, nor make a terminal the controlling one.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = file::open_path(path, flags).ok()?;
        let mut buffer = [0; 64];
        let length = file::fill(file.as_fd(), &mut buffer).ok()?;
        let mut lines = pieces(buffer.get(..length)?, b'\n');
        let line = lines.next()?;
        // The beginning of a truncated line could be another process's id.
        let is_whole = length < buffer.len() || lines.next().is_some();
        let pid = parse_pid(line.trim_ascii()).filter(|_| is_whole)?;
        let stat = fstat(&file).ok()?;
        let mtime_ms = stat.st_mtime as u64 * 1000 + stat.st_mtime_nsec as u64 / 1_000_000;
        let age = Millis(sys::wall_ms().saturating_sub(mtime_ms));
        Some(Self {
            pid,
            written: sys::now().minus(age),
        })
    }

    /// Returns true if a process may be the one that the file was written for: one that started later has only got its id. Start times
    /// and the times of files are rounded down, each by a tick at most.
    pub fn is_for(&self, process: &Process) -> bool {
        process.start <= self.written.plus(TICK.times(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::string::String;

    fn read(content: &str) -> Option<i32> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        let read = PidFile::read(file.path().as_os_str().as_bytes());
        read.map(|read| read.pid.as_raw_pid())
    }

    #[test]
    fn p1_the_first_line_of_a_process_file_is_the_id() {
        for (content, pid) in [
            ("42", Some(42)),
            ("42\n", Some(42)),
            ("  42 \r\n", Some(42)),
            ("42\n/var/lib/postgresql/data\n1700000000\n5432\n", Some(42)),
            ("0042\n", Some(42)),
            ("2147483647\n", Some(i32::MAX)),
            ("", None),
            ("\n42\n", None),
            ("0\n", None),
            ("-42\n", None),
            ("+42\n", None),
            ("42 43\n", None),
            ("0x2a\n", None),
            ("2147483648\n", None),
            ("99999999999999999999\n", None),
            ("nginx\n", None),
            ("42\0\n", None),
        ] {
            assert_eq!(read(content), pid, "{content:?}");
        }
    }

    #[test]
    fn a_truncated_id_is_not_taken_for_a_shorter_one() {
        // 64 bytes are read.
        for (blanks, pid) in [
            (50, Some(10)),
            (61, Some(10)),
            (62, None),
            (63, None),
            (100, None),
        ] {
            let blank: String = " ".repeat(blanks);
            assert_eq!(read(&format!("{blank}10\n")), pid, "{blanks} blanks");
            assert_ne!(read(&format!("{blank}1099\n")), Some(10), "{blanks} blanks");
        }
    }
}
