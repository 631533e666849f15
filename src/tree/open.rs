//! Opening and examining entries by name, without blocking and without opening what is no file or directory.

use super::visit::Visit;
use crate::base::file::descriptor_path;
use core::ffi::CStr;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::{self, Errno};

/// Opens for reading without waiting for a lease that another process holds; fcntl(2), `F_SETLEASE`.
pub(super) const READING: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Refers to an entry without opening it; `O_PATH` in open(2).
const LOCATING: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens an entry for reading.
pub(super) fn open(directory: BorrowedFd<'_>, name: &CStr, more: OFlags) -> io::Result<OwnedFd> {
    fs::openat(directory, name, READING | more, Mode::empty())
}

/// Returns a descriptor that refers to an entry without opening it. Does not follow links.
pub(super) fn locate(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    fs::openat(directory, name, LOCATING, Mode::empty())
}

/// Opens what was located for reading: itself, whatever has its name by now.
pub(super) fn reopen(located: &OwnedFd) -> io::Result<OwnedFd> {
    let mut path = descriptor_path(located.as_fd());
    open(CWD, path.as_c_str(), OFlags::empty())
}

/// Returns the type of an entry. Does not follow links, but passes their status to the visitor.
// Not inlined: keeps the status off the stack of the walk, which has a frame for each level.
#[inline(never)]
pub(super) fn kind_of(
    directory: BorrowedFd<'_>,
    name: &CStr,
    visit: &mut dyn Visit,
) -> io::Result<FileType> {
    let stat = fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind == FileType::Symlink {
        visit.saw_status(&stat);
    }
    Ok(kind)
}

/// Returns true if the error means that an entry is gone, or is not what it was a moment ago.
pub(super) fn is_gone(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO
    )
}
