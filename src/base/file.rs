//! Opening files, and reading them into buffers of a fixed size.

use crate::base::sys;
use crate::base::text::{Text, Word};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, CWD, FileType, Mode, OFlags};
use rustix::io::{self, Errno};

/// The longest path with its final NUL, in bytes; `PATH_MAX` in limits.h.
pub const PATH_MAX: usize = 4096;
/// The longest file name, in bytes; `NAME_MAX` in limits.h.
pub const NAME_MAX: usize = 255;

/// Returns true if file descriptors or memory ran short, or another process holds a lease: this passes and says nothing about the file.
pub fn is_shortage(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN
    )
}

/// Opens a path, relative to the working directory.
///
/// # Errors
/// Those of open(2).
// Not inlined: keeps the path's buffer off the stack of the caller.
#[inline(never)]
pub fn open_path(path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let mut name = Text::<PATH_MAX>::new();
    name.push(path);
    fs::openat(CWD, name.as_c_str(), flags | OFlags::CLOEXEC, Mode::empty())
}

/// Returns a path that leads to an open file; proc_pid_fd(5).
pub fn descriptor_path(fd: BorrowedFd<'_>) -> Word {
    let mut path = Word::new();
    path.push(b"/proc/self/fd/");
    path.push_number(fd.as_raw_fd() as u64, 0);
    path
}

/// Opens a terminal or a pipe once more, so that writing to it does not block. The flag belongs to what was opened, and others may
/// have the stream open as well. Returns `None` where that is not possible: a file and a socket cannot be opened again as they are.
pub fn open_unblocked(stream: BorrowedFd<'_>) -> Option<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match FileType::from_raw_mode(fs::fstat(stream).ok()?.st_mode) {
        FileType::CharacterDevice | FileType::Fifo => fs::openat(
            CWD,
            descriptor_path(stream).as_c_str(),
            flags,
            Mode::empty(),
        )
        .ok(),
        _ => None,
    }
}

/// Reads until the end or until the buffer is full. Returns the number of bytes read.
///
/// # Errors
/// Those of read(2), except EINTR.
pub fn fill(file: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
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

/// The lines of a file, without line feeds. A line longer than the buffer is cut to its size. The last line does not count without a
/// line feed, which the kernel always writes.
#[derive(Debug)]
pub struct Lines<'f> {
    file: BorrowedFd<'f>,
    buffer: &'f mut [u8],
    /// The bytes read but not returned yet.
    start: usize,
    end: usize,
    /// The current line was cut: skip the rest of it.
    is_cut: bool,
    /// The result of the last read(2).
    pub outcome: io::Result<usize>,
}

impl<'f> Lines<'f> {
    /// Returns the lines from the file's current position on.
    pub const fn new(file: BorrowedFd<'f>, buffer: &'f mut [u8]) -> Self {
        Self {
            file,
            buffer,
            start: 0,
            end: 0,
            is_cut: false,
            outcome: Ok(0),
        }
    }

    /// Returns the next line, which may be modified; `None` at the end or after an error.
    pub fn next_line(&mut self) -> Option<&mut [u8]> {
        loop {
            let start = self.start;
            let unread = self.buffer.get(start..self.end)?;
            if let Some(length) = unread.iter().position(|byte| *byte == b'\n') {
                self.start += length + 1;
                if !core::mem::take(&mut self.is_cut) {
                    return self.buffer.get_mut(start..start + length);
                }
            } else if unread.len() == self.buffer.len() {
                self.end = 0;
                if !core::mem::replace(&mut self.is_cut, true) {
                    return Some(self.buffer);
                }
            } else {
                self.buffer.copy_within(start..self.end, 0);
                self.start = 0;
                self.end -= start;
                self.outcome = io::read(self.file, self.buffer.get_mut(self.end..)?);
                match self.outcome {
                    Ok(0) => return None,
                    Ok(read) => self.end += read,
                    Err(Errno::INTR) => {}
                    Err(_) => return None,
                }
            }
        }
    }
}

/// Returns true if a descriptor can be read without waiting: for a pidfd, that its process has ended; poll(2).
pub fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut descriptors = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    poll(&mut descriptors, Some(&sys::AT_ONCE)).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};
    use std::os::fd::AsFd;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn lines_of(text: &str, size: usize) -> Vec<String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.rewind().unwrap();
        let mut found = Vec::new();
        let mut buffer = vec![0; size];
        let mut lines = Lines::new(file.as_fd(), &mut buffer);
        while let Some(line) = lines.next_line() {
            found.push(std::str::from_utf8(line).unwrap().to_string());
        }
        found
    }

    #[test]
    fn all_lines_are_returned_whatever_the_size_of_the_buffer() {
        let text = "a\n\nbcd\nefgh\ni\n";
        for size in 5..20 {
            assert_eq!(
                lines_of(text, size),
                ["a", "", "bcd", "efgh", "i"],
                "{size}"
            );
        }
    }

    #[test]
    fn a_line_longer_than_the_buffer_is_cut() {
        assert_eq!(lines_of("0123456789\nab\n", 4), ["0123", "ab"]);
        assert_eq!(lines_of("01234567\nab\n", 4), ["0123", "ab"]);
    }

    #[test]
    fn text_without_a_line_feed_is_not_a_line() {
        assert_eq!(lines_of("a\nb", 8), ["a"]);
        assert!(lines_of("", 8).is_empty());
    }
}
