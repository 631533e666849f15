//! Resolves a path name by name, as in path_resolution(7): every directory on the way decides the result, so every one
//! is armed.

use super::budget::Bound;
use super::open::{kind_of, locate};
use super::remaining::{Remaining, Start};
use super::visit::{Armed, Role, Visit};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType};
use rustix::io::{self, Errno};

/// The most links that the kernel follows on one path; path_resolution(7).
const LINKS_MAX: u32 = 40;

/// The most steps taken on one path. The deepest paths in use have a few dozen.
const STEPS_MAX: u32 = 1000;
/// The most times that a path is resolved again because a directory on it was not armed before. It takes two unless somebody keeps
/// putting new directories there.
const ROUNDS_MAX: u32 = 8;
/// The walk's budget is used up, or it was interrupted.
pub(super) const STOPPED: Errno = Errno::CANCELED;

/// The directory in which a relative path is resolved.
#[derive(Clone, Copy)]
pub(super) enum Base<'b> {
    /// In the working directory, which is not armed yet.
    WorkingDirectory,
    /// In a directory of the tree, which is armed.
    Tree(BorrowedFd<'b>),
}

impl<'b> Base<'b> {
    /// Returns a descriptor for system calls that end in `at`.
    pub(super) const fn fd(self) -> BorrowedFd<'b> {
        match self {
            Self::WorkingDirectory => CWD,
            Self::Tree(fd) => fd,
        }
    }
}

/// The end of a path. The descriptor is good for locating, not for reading.
pub(super) struct Found {
    pub(super) fd: OwnedFd,
    pub(super) kind: FileType,
}

/// Finds what `path` leads to and arms everything on the way that could change it.
///
/// # Errors
/// ENOENT, ENOTDIR, ELOOP: it leads nowhere. EBUSY: it changes faster than it can be followed, or is too long. `STOPPED`. EACCES and
/// others: it cannot be followed.
// Not inlined: keeps the path's buffer off the stack of the walk.
#[inline(never)]
pub(super) fn resolve(visit: &mut dyn Visit, base: Base<'_>, path: &[u8]) -> io::Result<Found> {
    for _ in 0..ROUNDS_MAX {
        let mut resolver = Resolver::new(&mut *visit, base);
        let found = resolver.run(path);
        // A directory may be renamed after it is passed and before it is armed: with everything armed, resolve once more.
        if !resolver.has_armed_new || found.as_ref().is_err_and(|errno| *errno == STOPPED) {
            return found;
        }
    }
    Err(Errno::BUSY)
}

/// The directory reached so far.
struct Position<'r> {
    base: Base<'r>,
    /// `None` while it is still the base.
    fd: Option<OwnedFd>,
    /// The directory is armed for its names, so a change of the next name gives an event.
    is_armed: bool,
}

impl Position<'_> {
    fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().map_or(self.base.fd(), OwnedFd::as_fd)
    }

    fn enter(&mut self, directory: OwnedFd) {
        self.fd = Some(directory);
        self.is_armed = false;
    }
}

struct Resolver<'r> {
    visit: &'r mut dyn Visit,
    position: Position<'r>,
    remaining: Remaining,
    /// Links followed so far.
    links: u32,
    steps: u32,
    /// A directory on the way was not armed before.
    has_armed_new: bool,
}

impl<'r> Resolver<'r> {
    fn new(visit: &'r mut dyn Visit, base: Base<'r>) -> Self {
        Self {
            visit,
            position: Position {
                base,
                fd: None,
                is_armed: matches!(base, Base::Tree(_)),
            },
            remaining: Remaining::new(),
            links: 0,
            steps: 0,
            has_armed_new: false,
        }
    }

    fn run(&mut self, path: &[u8]) -> io::Result<Found> {
        self.start(path)?;
        while self.remaining.advance() {
            if let Some(found) = self.step()? {
                return Ok(found);
            }
        }
        // The path ends in a directory.
        let fd = match self.position.fd.take() {
            Some(fd) => fd,
            None => locate(self.position.base.fd(), c".")?,
        };
        let kind = FileType::Directory;
        Ok(Found { fd, kind })
    }

    fn start(&mut self, path: &[u8]) -> io::Result<()> {
        match (self.remaining.prepend(path)?, self.position.base) {
            (Start::Root, _) => self.position.enter(locate(CWD, c"/")?),
            // Only a real descriptor can be armed, and CWD is none.
            (Start::Here, Base::WorkingDirectory) => self.position.enter(locate(CWD, c".")?),
            (Start::Here, Base::Tree(_)) => {}
        }
        Ok(())
    }

    /// Takes one step: arms the current directory, or resolves one name in it. Returns what the path leads to once that is clear.
    fn step(&mut self) -> io::Result<Option<Found>> {
        self.spend()?;
        let (directory, name) = (self.position.fd(), self.remaining.name());
        if name == c".." {
            let parent = locate(directory, name)?;
            self.remaining.skip();
            self.position.enter(parent);
            return Ok(None);
        }
        let kind = kind_of(directory, name, &mut *self.visit);
        // Anything but a directory can be replaced without a directory being moved: arm first, then look the name up again.
        if kind != Ok(FileType::Directory) && !self.position.is_armed {
            self.visit.arm(directory, Role::Lookup);
            self.position.is_armed = true;
            return Ok(None);
        }
        match kind? {
            FileType::Symlink => self.follow().map(|()| None),
            FileType::Directory => self.descend().map(|()| None),
            kind => self.finish(kind).map(Some),
        }
    }

    fn spend(&mut self) -> io::Result<()> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(Errno::BUSY);
        }
        self.visit.spend(Bound::Links, 1).map_err(|_| STOPPED)
    }

    /// Follows the link that the next name is.
    fn follow(&mut self) -> io::Result<()> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::LOOP);
        }
        match self.remaining.follow(self.position.fd()) {
            Ok(Start::Root) => self.position.enter(locate(CWD, c"/")?),
            // EINVAL: no longer a link. The next step looks it up again.
            Ok(Start::Here) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    /// Enters the directory that the next name is.
    fn descend(&mut self) -> io::Result<()> {
        let directory = locate(self.position.fd(), self.remaining.name())?;
        self.remaining.skip();
        // If names are watched there, its removal or renaming is noticed already.
        if !self.position.is_armed {
            let armed = self.visit.arm(directory.as_fd(), Role::Ancestor);
            self.has_armed_new |= armed == Armed::New;
        }
        self.position.enter(directory);
        Ok(())
    }

    /// Ends the path at a file, a device or the like.
    fn finish(&mut self, kind: FileType) -> io::Result<Found> {
        let directory = self.position.fd();
        let fd = locate(directory, self.remaining.name())?;
        self.remaining.skip();
        if self.remaining.advance() {
            return Err(Errno::NOTDIR);
        }
        // A file that may not be watched itself can be watched by its name, if the directory may be.
        if self.visit.arm(fd.as_fd(), Role::File) == Armed::Denied {
            self.visit.arm(directory, Role::Tree);
        }
        Ok(Found { fd, kind })
    }
}
