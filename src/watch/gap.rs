//! Reports the parts of the tree in which changes may be missed.

use crate::base::encode::Bytes;
use crate::base::file::{descriptor_path, is_shortage};
use crate::report::Report;
use crate::report::facts::watching::Gap;
use crate::tree::{self, Shortfall};
use core::fmt::{self, Display};
use rustix::fd::BorrowedFd;
use rustix::fs::{CWD, readlinkat_raw};

/// The longest part of a path that is logged, in bytes.
const PATH_SIZE: usize = 1024;

/// Reports an entry of which less than the full content is in the fingerprint.
// Not inlined: keeps the path's buffer off the stack of the scan.
#[inline(never)]
pub(super) fn report_shortfall(
    report: &mut Report,
    directory: BorrowedFd<'_>,
    name: &[u8],
    shortfall: Shortfall,
) {
    let mut buffer = [0; PATH_SIZE];
    let path = &Path {
        directory: path_of(directory, &mut buffer),
        name,
    };
    report.record(&match shortfall {
        Shortfall::Unreadable(errno) => Gap::Unreadable {
            path,
            errno,
            is_shortage: is_shortage(errno),
        },
        Shortfall::TooDeep => Gap::TooDeep {
            path,
            levels: tree::LEVELS as u64,
        },
        Shortfall::TooMany => Gap::TooMany {
            path,
            entries: tree::ENTRIES_MAX.into(),
        },
    });
}

/// Reports a file system that others can change without an event.
// Not inlined, for the same reason.
#[inline(never)]
pub(super) fn report_remote(report: &mut Report, fd: BorrowedFd<'_>, file_system: &'static str) {
    let mut buffer = [0; PATH_SIZE];
    let path = Bytes(path_of(fd, &mut buffer));
    report.record(&Gap::Remote {
        path: &path,
        file_system,
    });
}

/// The path of an entry.
struct Path<'p> {
    /// The path of its directory; empty if that is not known.
    directory: &'p [u8],
    name: &'p [u8],
}

impl Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.directory.is_empty() {
            write!(formatter, "{}/", Bytes(self.directory))?;
        }
        Bytes(self.name).fmt(formatter)
    }
}

/// Returns the path of what is open, or nothing if it cannot be read.
fn path_of<'b>(fd: BorrowedFd<'_>, buffer: &'b mut [u8]) -> &'b [u8] {
    let mut link = descriptor_path(fd);
    let length = readlinkat_raw(CWD, link.as_c_str(), &mut *buffer).unwrap_or(0);
    &buffer[..length]
}
