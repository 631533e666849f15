//! Reports the parts of the tree in which changes may be missed.

use crate::base::encode::Bytes;
use crate::base::file::{NAME_MAX, descriptor_path, is_shortage};
use crate::report::Report;
use crate::report::facts::watching::{Exceeded, Gap};
use crate::tree::{self, Bound, Shortfall};
use rustix::fd::BorrowedFd;
use rustix::fs::{CWD, readlinkat_raw};

/// The longest part of a directory's path that is logged, in bytes.
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
    let mut buffer = [0; PATH_SIZE + 1 + NAME_MAX];
    let path = &Bytes(path_of(directory, name, &mut buffer));
    report.record(&match shortfall {
        Shortfall::Unreadable(errno) => Gap::Unreadable {
            path,
            errno,
            is_shortage: is_shortage(errno),
        },
        Shortfall::Unlisted => Gap::Unlisted { path },
        Shortfall::TooDeep => Gap::TooDeep {
            path,
            levels: tree::LEVELS as u64,
        },
        Shortfall::Exceeded(bound) => {
            let (bound, limit) = match bound {
                Bound::Entries => (Exceeded::Entries, tree::ENTRIES_MAX),
                Bound::Links => (Exceeded::Links, tree::LINKS_MAX),
                Bound::Bytes => (Exceeded::Bytes, tree::BYTES_MAX),
                Bound::Time => (Exceeded::Time, tree::TIME_MAX),
            };
            Gap::Exceeded { path, bound, limit }
        }
    });
}

/// Reports a file system that others can change without an event.
// Not inlined, for the same reason.
#[inline(never)]
pub(super) fn report_remote(report: &mut Report, fd: BorrowedFd<'_>, file_system: &'static str) {
    let mut buffer = [0; PATH_SIZE + 1 + NAME_MAX];
    let path = Bytes(path_of(fd, b"", &mut buffer));
    report.record(&Gap::Remote {
        path: &path,
        file_system,
    });
}

/// Returns the path of an entry of what is open, or of that itself if `name` is empty. If the kernel does not tell the directory's path,
/// or it is too long, it is the name alone.
fn path_of<'b>(
    directory: BorrowedFd<'_>,
    name: &'b [u8],
    buffer: &'b mut [u8; PATH_SIZE + 1 + NAME_MAX],
) -> &'b [u8] {
    let mut link = descriptor_path(directory);
    let (path, _) = buffer.split_at_mut(PATH_SIZE);
    let length = readlinkat_raw(CWD, link.as_c_str(), path).unwrap_or(0);
    if length == 0 {
        return name;
    }
    if name.is_empty() {
        return &buffer[..length];
    }
    let end = length + 1 + name.len();
    buffer[length] = b'/';
    buffer[length + 1..end].copy_from_slice(name);
    &buffer[..end]
}
