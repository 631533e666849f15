//! Regular files: what is found by its name is examined before it is opened.

use super::budget::Bound;
use super::open::reopen;
use super::read;
use super::visit::{Passage, Role, Shortfall, Stop};
use super::walk::Walk;
use crate::fingerprint::{Entry, Key, Kind};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, FileType, Stat};
use rustix::io;

impl Walk<'_> {
    /// Adds a located file, or what has taken its place.
    // Not inlined: keeps the buffer for reading off the stack of the levels below.
    #[inline(never)]
    pub(super) fn file(&mut self, located: &OwnedFd, key: Key) -> io::Result<()> {
        let stat = fs::fstat(located)?;
        // It is not what the listing said if another entry has taken its place since.
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !is_file || self.is_closed(located.as_fd(), &stat) {
            self.add(key, Kind::Special);
            return Ok(());
        }
        let fd = reopen(located)?;
        if stat.st_nlink as u64 > 1 {
            self.visit.arm(fd.as_fd(), Role::File);
        }
        self.visit.count(FileType::RegularFile);
        self.visit.saw_status(&stat);
        let entry = self.content(&fd, &stat, key)?;
        self.fingerprint.add(entry);
        Ok(())
    }

    /// Returns the entry of an open file: its content or, if that is more than the walk may read, what stands in for it.
    fn content(&mut self, fd: &OwnedFd, stat: &Stat, key: Key) -> io::Result<Entry> {
        let size = stat.st_size as u64;
        if size > read::FULL_READ_MAX {
            return Ok(read::large(stat, key));
        }
        if let Err(Stop::Exceeded(bound)) = self.visit.spend(Bound::Bytes, size) {
            self.visit
                .fell_short(fd.as_fd(), b"", Shortfall::Exceeded(bound));
            return Ok(read::large(stat, key));
        }
        read::content(fd, size, key, &mut *self.visit)
    }

    /// Returns true for what is on a file system that is not entered.
    pub(super) fn is_closed(&mut self, fd: BorrowedFd<'_>, stat: &Stat) -> bool {
        let device = Some(stat.st_dev as u64);
        if self.file_system.0 != device {
            self.file_system = (device, self.visit.entered_file_system(fd));
        }
        self.file_system.1 == Passage::Closed
    }
}
