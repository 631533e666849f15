//! The walk itself: directories, their entries and the targets of links.

use super::budget::Bound;
use super::directory::Directory;
use super::open::{READING, is_gone, kind_of, locate, open};
use super::read;
use super::resolve::{Base, STOPPED, resolve};
use super::visit::{Passage, Role, Shortfall, Stop, Visit};
use crate::base::file::open_path;
use crate::fingerprint::{Entry, Fingerprint, Key, Kind};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, FileType, OFlags, RawDir};
use rustix::io::{self, Errno};

/// The number of levels below a root that are entered.
pub const LEVELS: usize = 16;
/// The size of the buffer for directory entries, of which there is one for each level. The longest entry takes 280 bytes.
const ENTRIES_SIZE: usize = 512;

/// The result of walking one root.
pub struct Walked {
    /// The fingerprint of everything found.
    pub fingerprint: Fingerprint,
    /// Why the root cannot be read.
    pub outcome: io::Result<()>,
}

/// Walks one root, a directory or a file. `key` stands for its path.
pub fn walk(root: &[u8], key: Key, visit: &mut dyn Visit) -> Walked {
    let mut walk = Walk {
        visit: &mut *visit,
        fingerprint: Fingerprint::default(),
        ancestors: [(0, 0); LEVELS + 1],
        file_system: (None, Passage::Open),
    };
    let outcome = walk.root(root, key);
    if outcome.is_err_and(|errno| errno != Errno::NOENT) {
        walk.add(key, Kind::Unreadable);
    }
    let fingerprint = walk.fingerprint;
    Walked {
        fingerprint: visit.budget().settle(fingerprint),
        outcome,
    }
}

pub(super) struct Walk<'w> {
    pub(super) visit: &'w mut dyn Visit,
    pub(super) fingerprint: Fingerprint,
    /// Device and inode of the directories from the root to the current one.
    ancestors: [(u64, u64); LEVELS + 1],
    /// The device of the directory or file that was examined last, and whether it is entered.
    pub(super) file_system: (Option<u64>, Passage),
}

/// An entry of a directory, or what stands for it in the directory behind `..data`.
struct Child<'c> {
    directory: BorrowedFd<'c>,
    name: &'c CStr,
    kind: FileType,
    key: Key,
    /// The level of its directory.
    level: usize,
    /// The bound that the entries of its directory count towards.
    bound: Bound,
}

impl Walk<'_> {
    fn root(&mut self, path: &[u8], key: Key) -> io::Result<()> {
        // If nothing has happened on the way, it need not be resolved again.
        let unchanged = if self.visit.is_way_unchanged() {
            open_path(path, READING | OFlags::DIRECTORY).ok()
        } else {
            None
        };
        match unchanged {
            Some(fd) => self.directory(&fd, key, 0, Bound::Entries),
            None => self.target(Base::WorkingDirectory, path, key, 0),
        }
    }

    /// Adds the target of a path. Returns ENOENT if it leads nowhere, and other errors if it cannot be followed.
    fn target(&mut self, base: Base<'_>, path: &[u8], key: Key, level: usize) -> io::Result<()> {
        let found = match resolve(&mut *self.visit, base, path) {
            Err(errno) if is_gone(errno) => return self.dangling(key),
            Err(STOPPED) => {
                self.add(key, Kind::TooDeep);
                if let Err(Stop::Exceeded(bound)) = self.visit.spend(Bound::Links, 1) {
                    let shortfall = Shortfall::Exceeded(bound);
                    self.visit.fell_short(base.fd(), path, shortfall);
                }
                return Ok(());
            }
            found => found?,
        };
        // Below a root that is a link, entries are as real as below any other.
        let bound = if level == 0 {
            Bound::Entries
        } else {
            Bound::Links
        };
        let added = match found.kind {
            FileType::Directory if level > LEVELS => {
                self.too_deep(base.fd(), path, key);
                Ok(())
            }
            FileType::Directory => open(found.fd.as_fd(), c".", OFlags::DIRECTORY)
                .and_then(|fd| self.directory(&fd, key, level, bound)),
            FileType::RegularFile if !self.visit.reads_files() => Ok(()),
            FileType::RegularFile => {
                (self.file(&found.fd, key)).map(|()| self.visit.was_read(found.fd.as_fd()))
            }
            _ => {
                self.add(key, Kind::Special);
                Ok(())
            }
        };
        match added {
            // It was removed while it was being resolved.
            Err(errno) if is_gone(errno) => self.dangling(key),
            Err(Errno::OPNOTSUPP) => Err(Errno::OPNOTSUPP),
            Err(errno) => {
                let entry = read::unreadable(&found.fd, key);
                self.unreadable(base.fd(), path, found.kind, errno);
                self.fingerprint.add(entry);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn directory(&mut self, fd: &OwnedFd, key: Key, level: usize, bound: Bound) -> io::Result<()> {
        let before = self.fingerprint;
        if !self.enter(fd, key, level)? {
            return Ok(());
        }
        let directory = Directory::new(fd, key, level, bound, &mut *self.visit);
        let Some(names) = self.entries(&directory)? else {
            return Ok(());
        };
        if !directory.is_cached() {
            self.visit.was_read(fd.as_fd());
        }
        if let Some((data, known)) = directory.volume() {
            if !self.visit.volume_listed(known.slot, names) {
                self.fingerprint = before;
                return self.directory(fd, key, level, bound);
            }
            self.visit.was_read(data.as_fd());
        }
        Ok(())
    }

    /// Arms a directory and adds it without its entries. Returns false if it is one of its own ancestors, or not to be entered.
    // Not inlined: keeps the status off the stack of the levels below.
    #[inline(never)]
    fn enter(&mut self, fd: &OwnedFd, key: Key, level: usize) -> io::Result<bool> {
        let stat = fs::fstat(fd)?;
        if self.is_closed(fd.as_fd(), &stat) {
            // Only a root is somebody's explicit wish.
            if level == 0 {
                return Err(Errno::OPNOTSUPP);
            }
            self.add(key, Kind::Special);
            return Ok(false);
        }
        let id = (stat.st_dev as u64, stat.st_ino as u64);
        if self.ancestors[..level].contains(&id) {
            self.add(key, Kind::Cycle);
            return Ok(false);
        }
        self.ancestors[level] = id;
        self.visit.arm(fd.as_fd(), Role::Tree);
        self.visit.saw_status(&stat);
        self.visit.count(FileType::Directory);
        self.add(key, Kind::Directory);
        Ok(true)
    }

    /// Adds the entries of a directory. Returns `None` if the walk is to stop early, and otherwise the names of the entries if all
    /// of them lead behind `..data`.
    fn entries(&mut self, directory: &Directory<'_>) -> io::Result<Option<Fingerprint>> {
        let mut names = Fingerprint::default();
        let mut are_all_behind = true;
        let mut buffer = [MaybeUninit::uninit(); ENTRIES_SIZE];
        let mut entries = RawDir::new(directory.listed(), &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if directory.skips(name) {
                continue;
            }
            if self.must_stop(directory, name) {
                return Ok(None);
            }
            let behind = directory.behind(name, entry.file_type(), &mut *self.visit);
            are_all_behind &= behind.is_some();
            names.add(directory.key.child(name.to_bytes()).name());
            let (parent, kind) = behind.unwrap_or((directory.fd.as_fd(), entry.file_type()));
            self.entry(&Child {
                directory: parent,
                name,
                kind,
                key: directory.key.child(name.to_bytes()),
                level: directory.level,
                bound: directory.bound,
            });
        }
        let names = Some(names).filter(|_| are_all_behind);
        Ok(Some(names.unwrap_or_default()))
    }

    /// Counts one more entry. Returns true if the walk is to stop before it.
    fn must_stop(&mut self, directory: &Directory<'_>, name: &CStr) -> bool {
        let step = self.visit.step(directory.bound, self.fingerprint);
        if let Err(Stop::Exceeded(bound)) = step {
            let shortfall = Shortfall::Exceeded(bound);
            (self.visit).fell_short(directory.fd.as_fd(), name.to_bytes(), shortfall);
        }
        step.is_err()
    }

    /// Adds an entry with everything below it.
    fn entry(&mut self, child: &Child<'_>) {
        let before = self.fingerprint;
        match self.read_entry(child) {
            // It went a moment ago, or its type changed: that gives an event, and so another scan.
            Err(errno) if is_gone(errno) => {}
            Err(errno) => {
                let entry = read::unreadable_at(child.directory, child.name, child.key);
                self.unreadable(child.directory, child.name.to_bytes(), child.kind, errno);
                self.fingerprint.add(entry);
            }
            Ok(()) => {}
        }
        let part = self.fingerprint.since(before);
        self.visit
            .fingerprinted(child.name.to_bytes(), child.level + 1, part);
    }

    fn read_entry(&mut self, child: &Child<'_>) -> io::Result<()> {
        let &Child {
            directory,
            name,
            key,
            level,
            bound,
            ..
        } = child;
        let kind = match child.kind {
            // Some file systems leave the type out of the listing.
            FileType::Unknown => kind_of(directory, name, &mut *self.visit)?,
            kind => kind,
        };
        match kind {
            FileType::RegularFile if !self.visit.reads_files() => Ok(()),
            FileType::RegularFile => self.file(&locate(directory, name)?, key),
            FileType::Directory if level == LEVELS => {
                self.too_deep(directory, name.to_bytes(), key);
                Ok(())
            }
            FileType::Directory => {
                let fd = open(directory, name, OFlags::NOFOLLOW | OFlags::DIRECTORY)?;
                self.directory(&fd, key, level + 1, bound)
            }
            FileType::Symlink => {
                match self.target(Base::Tree(directory), name.to_bytes(), key, level + 1) {
                    // A dangling link is an entry like any other.
                    Err(Errno::NOENT) => Ok(()),
                    followed => followed,
                }
            }
            _ => {
                self.add(key, Kind::Special);
                Ok(())
            }
        }
    }

    /// Adds an entry of which only the path and the kind count.
    pub(super) fn add(&mut self, key: Key, kind: Kind) {
        self.fingerprint.add(Entry::of(key, kind, &[]));
    }

    fn dangling(&mut self, key: Key) -> io::Result<()> {
        self.add(key, Kind::Dangling);
        Err(Errno::NOENT)
    }

    fn too_deep(&mut self, directory: BorrowedFd<'_>, name: &[u8], key: Key) {
        self.add(key, Kind::TooDeep);
        self.visit.fell_short(directory, name, Shortfall::TooDeep);
    }

    fn unreadable(&mut self, directory: BorrowedFd<'_>, name: &[u8], kind: FileType, errno: Errno) {
        // A directory, or a link whose way leads through one.
        let shortfall = if errno == Errno::ACCESS && kind != FileType::RegularFile {
            Shortfall::Unlisted
        } else {
            Shortfall::Unreadable(errno)
        };
        self.visit.fell_short(directory, name, shortfall);
    }
}
