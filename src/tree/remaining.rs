//! The part of a path that is still to be resolved.

use crate::base::file::PATH_MAX;
use crate::base::sys;
use core::ffi::CStr;
use rustix::fd::BorrowedFd;
use rustix::fs;
use rustix::io::{self, Errno};

/// The start of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Start {
    /// At `/`.
    Root,
    /// In the directory that holds the link, or in the working directory.
    Here,
}

/// The names still to be resolved, each ended by NUL. They fill the end of the buffer, so that a link's target fits in front.
pub(super) struct Remaining {
    bytes: [u8; PATH_MAX],
    start: usize,
}

impl Remaining {
    /// Returns an empty path.
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; PATH_MAX],
            // The last byte ends the last name.
            start: PATH_MAX - 1,
        }
    }

    /// Passes separators and `.` up to the next name. Returns false if there is none.
    pub(super) fn advance(&mut self) -> bool {
        loop {
            match self.bytes.get(self.start..) {
                Some([0, ..] | [b'.', 0, ..]) => self.start += 1,
                None | Some([]) => return false,
                Some(_) => return true,
            }
        }
    }

    /// Returns the next name, after [`advance`](Self::advance) has found it.
    pub(super) fn name(&self) -> &CStr {
        sys::c_str(&self.bytes[self.start..])
    }

    /// Passes the next name.
    pub(super) fn skip(&mut self) {
        self.start += self.name().count_bytes();
    }

    /// Puts a path in front.
    pub(super) fn prepend(&mut self, path: &[u8]) -> io::Result<Start> {
        let start = (self.start.checked_sub(path.len())).ok_or(Errno::NAMETOOLONG)?;
        self.bytes[start..self.start].copy_from_slice(path);
        Ok(self.separate(start))
    }

    /// Replaces the next name, a link in `directory`, by the link's target.
    pub(super) fn follow(&mut self, directory: BorrowedFd<'_>) -> io::Result<Start> {
        let (room, rest) = self.bytes.split_at_mut(self.start);
        let length = fs::readlinkat_raw(directory, sys::c_str(rest), &mut *room)?;
        // A target that fills the room may be cut off.
        if length == room.len() {
            return Err(Errno::NAMETOOLONG);
        }
        self.skip();
        let start = self.start - length;
        self.bytes.copy_within(..length, start);
        Ok(self.separate(start))
    }

    /// Splits the path that was written between `start` and the next name into names.
    fn separate(&mut self, start: usize) -> Start {
        let path = &mut self.bytes[start..self.start];
        let is_absolute = path.first() == Some(&b'/');
        for byte in path.iter_mut().filter(|byte| **byte == b'/') {
            *byte = 0;
        }
        self.start = start;
        if is_absolute {
            Start::Root
        } else {
            Start::Here
        }
    }
}
