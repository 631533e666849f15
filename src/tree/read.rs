//! The part of the fingerprint that one file makes up.

use super::visit::Visit;
use crate::fingerprint::{Content, Entry, Key, Kind};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{self, AtFlags, Stat};
use rustix::io;

/// Files are read in full up to this size in bytes.
pub(super) const FULL_READ_MAX: u64 = 8 << 20;
/// The bytes read by one call: enough that copying takes longer than calling.
const READ_SIZE: usize = 4096;

/// Returns the entry of a file that is too large to read.
pub(super) fn large(stat: &Stat, key: Key) -> Entry {
    // mtime can be set back, ctime cannot. It also changes with the mode and the owner, which is the price.
    let [size, mtime, nanoseconds, inode] = stand_in(stat);
    let ctime = [stat.st_ctime as u64, stat.st_ctime_nsec as u64];
    let numbers = [size, mtime, nanoseconds, inode, ctime[0], ctime[1]];
    Entry::of(key, Kind::Large, &numbers)
}

/// Returns the entry of an open regular file of `size` bytes.
pub(super) fn content(
    fd: &OwnedFd,
    size: u64,
    key: Key,
    visit: &mut dyn Visit,
) -> io::Result<Entry> {
    let mut buffer = [MaybeUninit::uninit(); READ_SIZE];
    let mut content = Content::new(key);
    let mut total = 0;
    loop {
        let (read, _) = io::read(fd, &mut buffer)?;
        total += read.len() as u64;
        content.read(read);
        // Stop at the expected size: a file may grow faster than it is read, and what is appended later gives an event.
        let is_whole = read.is_empty() || total == size;
        if is_whole || total > FULL_READ_MAX || visit.is_interrupted(1) {
            return Ok(content.entry());
        }
    }
}

/// Returns the entry of an open file that cannot be read.
// Not inlined: keeps the status off the stack of the walk, which has a frame for each level.
#[inline(never)]
pub(super) fn unreadable(fd: &OwnedFd, key: Key) -> Entry {
    let numbers = fs::fstat(fd).map_or([0; 4], |stat| stand_in(&stat));
    Entry::of(key, Kind::Unreadable, &numbers)
}

/// Returns the entry of a file or directory that cannot be opened.
// Not inlined, for the same reason.
#[inline(never)]
pub(super) fn unreadable_at(directory: BorrowedFd<'_>, name: &CStr, key: Key) -> Entry {
    let stat = fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
    let numbers = stat.map_or([0; 4], |stat| stand_in(&stat));
    Entry::of(key, Kind::Unreadable, &numbers)
}

/// Returns size, mtime and inode, which stand in for content.
fn stand_in(stat: &Stat) -> [u64; 4] {
    [
        stat.st_size as u64,
        stat.st_mtime as u64,
        stat.st_mtime_nsec as u64,
        stat.st_ino as u64,
    ]
}
