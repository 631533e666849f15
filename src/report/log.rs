//! Writes log lines, one writev(2) each, which never blocks and never ends the program.

use super::line::{Format, Level, Line};
use crate::base::file::open_unblocked;
use crate::base::sys;
use core::fmt::Write;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSlice, writev};

/// Writes lines to standard error or standard output, those of [`Format::Plain`] always to standard output.
#[derive(Debug)]
pub struct Log {
    pub(super) format: Format,
    pub(super) min_level: Level,
    stream: BorrowedFd<'static>,
    /// The stream opened once more, if writing to it could block otherwise.
    unblocked: Option<OwnedFd>,
    /// The number of lines dropped since the last report of it.
    dropped: u64,
    /// The last line was written in part, as to a full disk: the next one begins with a line feed.
    is_torn: bool,
    /// Takes the lines in place of standard error.
    #[cfg(fuzzing)]
    pub sink: Option<fn(&[u8])>,
}

impl Log {
    /// Returns a log that writes text and drops debug lines.
    pub const fn new() -> Self {
        Self {
            format: Format::Text,
            min_level: Level::Info,
            stream: sys::stderr(),
            unblocked: None,
            dropped: 0,
            is_torn: false,
            #[cfg(fuzzing)]
            sink: None,
        }
    }

    /// Writes the lines from now on to this stream.
    pub fn open(&mut self, stream: BorrowedFd<'static>) {
        self.stream = stream;
        self.unblocked = open_unblocked(stream);
    }

    /// Returns true if every line was written.
    pub const fn is_intact(&self) -> bool {
        self.dropped == 0
    }

    /// Writes one line. Returns false if it had to be dropped, which is logged as soon as a line can be written again.
    pub fn send(&mut self, line: &mut Line) -> bool {
        let is_written = self.write(line.finish());
        if !is_written {
            self.dropped += 1;
        } else if self.dropped > 0 {
            line.begin(Level::Warn, sys::wall_ms());
            let _ = line
                .write_str("lines before this were dropped, because the log stream took no more");
            line.key_number("dropped", self.dropped);
            if self.write(line.finish()) {
                self.dropped = 0;
            }
        }
        is_written
    }

    fn write(&mut self, line: &[u8]) -> bool {
        #[cfg(fuzzing)]
        if let Some(sink) = self.sink {
            sink(line);
            return true;
        }
        if self.format == Format::Plain {
            return write_all(line);
        }
        let stream = self.unblocked.as_ref().map_or(self.stream, AsFd::as_fd);
        // A socket is ready long before it is full, and a pipe when it takes a whole line: even one that could not be opened once more
        // does not block after this, unless others write to it as well.
        let mut ready = [PollFd::new(&stream, PollFlags::OUT)];
        let is_ready = matches!(poll(&mut ready, Some(&sys::AT_ONCE)), Ok(1))
            && ready[0].revents().contains(PollFlags::OUT);
        if !is_ready {
            return false;
        }
        let before: &[u8] = if self.is_torn { b"\n" } else { b"" };
        let written = writev(stream, &[IoSlice::new(before), IoSlice::new(line)]);
        let is_whole = written == Ok(before.len() + line.len());
        self.is_torn = written.is_ok() && !is_whole || written.is_err() && self.is_torn;
        is_whole
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes to standard output for as long as it takes. Returns false on an error.
pub(super) fn write_all(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match rustix::io::write(sys::stdout(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}
