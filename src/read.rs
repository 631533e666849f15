//! Reading descriptors into buffers of a fixed size.

use crate::config::PATH_MAX;
use crate::text::Text;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{self, CWD, Mode, OFlags};
use rustix::io::{self, Errno};

/// Whether descriptors or memory are short: that passes, and says nothing about what was to be opened.
pub fn is_shortage(errno: Errno) -> bool {
    matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOMEM)
}

/// Opens a path from the settings, seen from the working directory.
///
/// # Errors
/// Those of open(2).
// Not inlined: the room for the path is for those only who need it.
#[inline(never)]
pub fn open_path(path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let mut name = Text::<PATH_MAX>::new();
    name.push(path);
    fs::openat(CWD, name.as_c_str(), flags | OFlags::CLOEXEC, Mode::empty())
}

/// Reads until the end or until the buffer is full. Returns how much was read.
///
/// # Errors
/// Those of read(2), but for EINTR.
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

/// Calls `take` for each line, without its end. Of one that is longer than the buffer it gets as much as fits. The kernel ends
/// every line: one without an end is none.
///
/// # Errors
/// Those of read(2), but for EINTR.
pub fn lines(
    file: BorrowedFd<'_>,
    buffer: &mut [u8],
    take: &mut dyn FnMut(&mut [u8]),
) -> io::Result<()> {
    let mut length = 0;
    // The rest of a line whose beginning was taken is passed over.
    let mut is_rest = false;
    loop {
        let read = io::retry_on_intr(|| io::read(file, &mut buffer[length..]))?;
        length += read;
        let mut start = 0;
        while let Some(end) = buffer[start..length].iter().position(|byte| *byte == b'\n') {
            if !core::mem::take(&mut is_rest) {
                take(&mut buffer[start..start + end]);
            }
            start += end + 1;
        }
        if read == 0 {
            return Ok(());
        }
        if start == 0 && length == buffer.len() {
            if !is_rest {
                take(buffer);
            }
            is_rest = true;
            start = length;
        }
        buffer.copy_within(start..length, 0);
        length -= start;
    }
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
        let mut take = |line: &mut [u8]| found.push(std::str::from_utf8(line).unwrap().to_string());
        lines(file.as_fd(), &mut vec![0; size], &mut take).unwrap();
        found
    }

    #[test]
    fn every_line_is_taken_whatever_the_size_of_the_buffer() {
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
    fn a_line_that_is_too_long_is_taken_as_far_as_it_fits() {
        assert_eq!(lines_of("0123456789\nab\n", 4), ["0123", "ab"]);
        assert_eq!(lines_of("01234567\nab\n", 4), ["0123", "ab"]);
    }

    #[test]
    fn what_has_no_end_is_no_line() {
        assert_eq!(lines_of("a\nb", 8), ["a"]);
        assert!(lines_of("", 8).is_empty());
    }
}
