//! Where a path leads: name by name, as path_resolution(7) says, because every directory on the way decides what is read in
//! the end, and is armed.

use crate::base::file::PATH_MAX;
use crate::tree::{Armed, Part, Visit, kind_of};
use core::ffi::CStr;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, CWD, FileType, Mode, OFlags};
use rustix::io::{self, Errno};

/// As many links on one path as the kernel follows; path_resolution(7).
const LINKS_MAX: u32 = 40;
/// For looking at what a name stands for without opening it; open(2).
const LOCATE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Finds what `path` leads to, seen from `base`, and arms everything on the way that could change it.
///
/// # Errors
/// ENOENT, ENOTDIR, ELOOP: it leads nowhere. EACCES and others: the way cannot be followed.
#[inline(never)]
pub fn resolve(
    visit: &mut dyn Visit,
    base: BorrowedFd<'_>,
    base_is_armed: bool,
    path: &[u8],
) -> io::Result<(OwnedFd, FileType)> {
    loop {
        let mut news = false;
        let found = resolve_once(visit, base, base_is_armed, path, &mut news);
        // What was renamed between being passed and being armed is found on the second time: everything is armed then.
        if !news {
            return found;
        }
    }
}

fn resolve_once(
    visit: &mut dyn Visit,
    base: BorrowedFd<'_>,
    base_is_armed: bool,
    path: &[u8],
    news: &mut bool,
) -> io::Result<(OwnedFd, FileType)> {
    let mut rest = Rest::new();
    let mut is_armed = base_is_armed;
    let mut at = match rest.put(path)? {
        Start::Here if base_is_armed => None,
        // The working directory is no descriptor, and a watch needs one.
        Start::Here => Some(locate(base, c".")?),
        Start::Root => {
            is_armed = false;
            Some(locate(CWD, c"/")?)
        }
    };
    let mut links = 0;
    while let Some(name) = rest.name() {
        let directory = at.as_ref().map_or(base, OwnedFd::as_fd);
        if name == c".." {
            at = Some(locate(directory, c"..")?);
            is_armed = false;
            rest.skip();
            continue;
        }
        let kind = kind_of(directory, name, &mut *visit);
        // Here this one name decides: the directory is armed, and then the name is looked at again.
        if kind != Ok(FileType::Directory) && !is_armed {
            visit.arm(directory, Part::Names);
            is_armed = true;
            continue;
        }
        match kind? {
            FileType::Symlink => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::LOOP);
                }
                let start = match rest.follow(directory) {
                    // It is no link any more.
                    Err(Errno::INVAL) => continue,
                    start => start?,
                };
                if start == Start::Root {
                    at = Some(locate(CWD, c"/")?);
                    is_armed = false;
                }
            }
            kind => {
                let fd = locate(directory, name)?;
                rest.skip();
                if kind != FileType::Directory {
                    if rest.name().is_some() {
                        return Err(Errno::NOTDIR);
                    }
                    // By its name at least, where the directory can be watched.
                    if visit.arm(fd.as_fd(), Part::File) == Armed::Denied {
                        visit.arm(directory, Part::Tree);
                    }
                    return Ok((fd, kind));
                }
                if !is_armed {
                    *news |= visit.arm(fd.as_fd(), Part::Itself) == Armed::New;
                }
                at = Some(fd);
                is_armed = false;
            }
        }
    }
    let found = at.map_or_else(|| locate(base, c"."), Ok)?;
    Ok((found, FileType::Directory))
}

fn locate(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    fs::openat(directory, name, LOCATE, Mode::empty())
}

/// Where a path begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Start {
    /// At `/`.
    Root,
    /// Where the link is, or in the working directory.
    Here,
}

/// What is still to be resolved of a path. It stands at the end of a buffer, so that a link's target goes in front of it, and
/// with NUL in the place of slashes, so that each name is a C string.
struct Rest {
    bytes: [u8; PATH_MAX],
    start: usize,
}

impl Rest {
    /// Nothing, but for the last name's NUL.
    const fn new() -> Self {
        Self {
            bytes: [0; PATH_MAX],
            start: PATH_MAX - 1,
        }
    }

    /// The next name that is not `.`; `None` at the end.
    fn name(&mut self) -> Option<&CStr> {
        loop {
            while *self.bytes.get(self.start)? == 0 {
                self.start += 1;
            }
            if self.bytes[self.start..].starts_with(b".\0") {
                self.start += 1;
            } else {
                return Some(
                    CStr::from_bytes_until_nul(&self.bytes[self.start..]).unwrap_or_default(),
                );
            }
        }
    }

    /// Passes the name that [`name`](Self::name) gave.
    fn skip(&mut self) {
        self.start += self.bytes[self.start..]
            .iter()
            .take_while(|byte| **byte != 0)
            .count();
    }

    /// Puts a path in front.
    fn put(&mut self, path: &[u8]) -> io::Result<Start> {
        let start = self
            .start
            .checked_sub(path.len())
            .ok_or(Errno::NAMETOOLONG)?;
        self.bytes[start..self.start].copy_from_slice(path);
        Ok(self.separate(start))
    }

    /// Exchanges the next name, which is a link in `directory`, for the target of the link.
    fn follow(&mut self, directory: BorrowedFd<'_>) -> io::Result<Start> {
        let (room, rest) = self.bytes.split_at_mut(self.start);
        let length = fs::readlinkat_raw(
            directory,
            CStr::from_bytes_until_nul(rest).unwrap_or_default(),
            &mut *room,
        )?;
        // A target that fills the room may have been cut.
        if length == room.len() {
            return Err(Errno::NAMETOOLONG);
        }
        self.skip();
        let start = self.start - length;
        self.bytes.copy_within(..length, start);
        Ok(self.separate(start))
    }

    /// Makes what was put between `start` and the rest a part of it.
    fn separate(&mut self, start: usize) -> Start {
        let put = &mut self.bytes[start..self.start];
        let absolute = put.first() == Some(&b'/');
        for byte in put.iter_mut().filter(|byte| **byte == b'/') {
            *byte = 0;
        }
        self.start = start;
        if absolute { Start::Root } else { Start::Here }
    }
}
