//! The walk over everything that an application could read below a root: one pass that arms watches and takes the fingerprint.
//!
//! Directories are walked by descriptor, so that no path grows too long and nothing can be exchanged underneath. Links are
//! resolved name by name, as path_resolution(7) says, because every directory on the way decides what is read in the end.
//!
//! # Invariants
//! - What is read is armed first: a change after the reading gives an event.
//! - FIFOs, sockets and devices are never opened.

mod resolve;

use crate::base::file::{NAME_MAX, descriptor_path, open_path};
use crate::fingerprint::{Content, Entry, Fingerprint, Key, Kind};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use resolve::resolve;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::{self, Errno};

/// Directories are entered this many levels below a root.
pub const LEVELS: usize = 16;
/// Files are read in full up to this size in bytes.
const FULL_READ_MAX: u64 = 8 << 20;
/// Bytes read at once. Large enough that the copying and not the call is what takes the time.
const READ_SIZE: usize = 4096;
/// For the entries of one directory at a time; there is one such buffer for each level. The longest entry takes 280 bytes.
const ENTRIES_SIZE: usize = 512;
/// At most so many entries are looked at below one root. It takes a few seconds then, and links that lead from each of a dozen
/// directories to all the others make billions.
pub const ENTRIES_MAX: u32 = 1 << 18;

/// What a watch on a directory or file is to notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// A directory of the tree: its entries, and what is done to them.
    Tree,
    /// A directory on the way, where one name decides: its entries only.
    Names,
    /// A file that can be written to by another name than the one in the tree.
    File,
    /// A directory on the way: its own removal or renaming only.
    Itself,
}

/// What came of setting a watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Armed {
    /// There was none before.
    New,
    /// There was one before, or there is none because the kernel refuses watches altogether; or the walk is one that only arms.
    Known,
    /// What may not be read may not be watched; EACCES of inotify_add_watch(2).
    Denied,
}

/// Why an entry counts by less than its content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shortfall {
    /// It may not be read, or cannot.
    Unreadable(Errno),
    /// It lies deeper than [`LEVELS`].
    TooDeep,
    /// More than [`ENTRIES_MAX`] came before it.
    TooMany,
}

/// A directory laid out by AtomicWriter.
#[derive(Clone, Copy, Default)]
pub struct Volume {
    /// Which one of those that were come across.
    pub number: usize,
    /// It was [`shown`](Visit::shown) before, and no name has come or gone since.
    pub is_known: bool,
}

/// Whoever wants the walk done.
pub trait Visit {
    /// Whether files are to be read. If not, the walk only arms, before one that reads, what it can find without opening files.
    fn reads(&self) -> bool;
    /// Sets a watch.
    fn arm(&mut self, fd: BorrowedFd<'_>, part: Part) -> Armed;
    /// Whether everything on the way to the root is armed, and nothing has happened there since.
    fn knows_the_way(&mut self) -> bool;
    /// The directory that was armed last is a volume's, of whose names those that begin with two dots do not count.
    fn volume(&mut self) -> Volume;
    /// The volume of this number was listed: all that it shows are links to what has the same name behind `..data`, and these
    /// names; nothing if that is not so. False if it was known otherwise, and is to be listed once more.
    fn shown(&mut self, volume: usize, names: Fingerprint) -> bool;
    /// A directory or file was found that counts with its content.
    fn found(&mut self, kind: FileType);
    /// What decides what is read has this status: a directory, a file, or a link that was followed.
    fn passed(&mut self, stat: &Stat);
    /// The entry `name` in `directory` counts by less.
    fn falls_short(&mut self, directory: BorrowedFd<'_>, name: &[u8], shortfall: Shortfall);
    /// Everything in this directory, or in this file that a link leads to, has been read.
    fn read(&mut self, fd: BorrowedFd<'_>);
    /// What is found from now on is on the same file system as this.
    fn file_system(&mut self, fd: BorrowedFd<'_>);
    /// The entry `name`, so many levels below the root, has this part in the fingerprint, with all that is below it.
    fn counted(&mut self, name: &[u8], level: usize, part: Fingerprint);
    /// Whether to break off; asked often.
    fn is_interrupted(&mut self) -> bool;
}

/// Walks one root, a directory or a file, and adds what is there to `fingerprint`. Whether there is something.
pub fn walk(
    root: &[u8],
    fingerprint: &mut Fingerprint,
    visit: &mut dyn Visit,
) -> Result<(), Errno> {
    let mut walk = Walk {
        visit,
        fingerprint,
        ancestors: [(0, 0); LEVELS + 1],
        device: None,
        entries: 0,
    };
    let key = Key::root(root);
    // The way to it has not changed since it was followed last, and is armed.
    let known = if walk.visit.knows_the_way() {
        open_path(root, READING | OFlags::DIRECTORY).ok()
    } else {
        None
    };
    let walked = match known {
        Some(fd) => walk.directory(&fd, key, 0),
        None => walk.target(CWD, false, root, key, 0),
    };
    if walked.is_err_and(|errno| errno != Errno::NOENT) {
        walk.count(key, Kind::Unreadable);
    }
    walked
}

struct Walk<'w> {
    visit: &'w mut dyn Visit,
    fingerprint: &'w mut Fingerprint,
    /// Device and inode of the directories from the root to the one being walked.
    ancestors: [(u64, u64); LEVELS + 1],
    /// That of the directory or file that was opened last.
    device: Option<u64>,
    entries: u32,
}

impl Walk<'_> {
    /// Whatever `path` leads to, seen from `base`. The error says why it leads nowhere.
    fn target(
        &mut self,
        base: BorrowedFd<'_>,
        base_is_armed: bool,
        path: &[u8],
        key: Key,
        level: usize,
    ) -> io::Result<()> {
        let (fd, kind) = match resolve(&mut *self.visit, base, base_is_armed, path) {
            Ok(found) => found,
            Err(errno) if leads_nowhere(errno) => return self.dangling(key),
            Err(errno) => return Err(errno),
        };
        let read = match kind {
            FileType::Directory if level > LEVELS => {
                self.too_deep(base, path, key);
                Ok(())
            }
            FileType::Directory => open(fd.as_fd(), c".", OFlags::DIRECTORY)
                .and_then(|fd| self.directory(&fd, key, level)),
            FileType::RegularFile if !self.visit.reads() => Ok(()),
            FileType::RegularFile => {
                open(CWD, descriptor_path(fd.as_fd()).as_c_str(), OFlags::empty())
                    .and_then(|fd| self.file(&fd, key))
                    .inspect(|()| self.visit.read(fd.as_fd()))
            }
            _ => {
                self.count(key, Kind::Special);
                Ok(())
            }
        };
        match read {
            // It went while the way to it was followed.
            Err(errno) if leads_nowhere(errno) => return self.dangling(key),
            Err(errno) => self.unreadable(base, path, key, fs::fstat(&fd).ok().as_ref(), errno),
            Ok(()) => {}
        }
        Ok(())
    }

    /// An entry of which nothing counts but its place and kind.
    // Not inlined: it is called in many places.
    #[inline(never)]
    fn count(&mut self, key: Key, kind: Kind) {
        self.fingerprint.add(Entry::of(key, kind, &[]));
    }

    fn dangling(&mut self, key: Key) -> io::Result<()> {
        self.count(key, Kind::Dangling);
        Err(Errno::NOENT)
    }

    fn directory(&mut self, fd: &OwnedFd, key: Key, level: usize) -> io::Result<()> {
        let before = *self.fingerprint;
        let stat = fs::fstat(fd)?;
        self.enter(fd.as_fd(), &stat);
        let id = (stat.st_dev as u64, stat.st_ino as u64);
        if self.ancestors[..level].contains(&id) {
            self.count(key, Kind::Cycle);
            return Ok(());
        }
        self.ancestors[level] = id;
        self.visit.arm(fd.as_fd(), Part::Tree);
        self.visit.passed(&stat);
        self.visit.found(FileType::Directory);
        self.count(key, Kind::Directory);
        // The visible entries of a volume laid out by the kubelet's AtomicWriter are links through `..data`. What is behind
        // them counts under their names; the names that begin with two dots are the writer's own and change every time.
        let mut target = [0; NAME_MAX];
        let link = fs::readlinkat_raw(fd, c"..data", &mut target);
        let is_volume = link.is_ok();
        let mut volume = Volume::default();
        let data = link.ok().and_then(|length| {
            volume = self.visit.volume();
            self.data(fd.as_fd(), &target[..length])
        });
        // If what it shows is known, what it leads to is listed: the volume's own list would have to wait for the removal of an
        // entry, which is the last step of an update.
        let is_known = volume.is_known && data.is_some();
        let listed = data.as_ref().filter(|_| is_known).unwrap_or(fd);
        let mut names = Fingerprint::default();
        let mut is_all_behind = true;
        let mut buffer = [MaybeUninit::uninit(); ENTRIES_SIZE];
        let mut entries = RawDir::new(listed, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            let bytes = name.to_bytes();
            if name == c"." || name == c".." || is_volume && bytes.starts_with(b"..") {
                continue;
            }
            self.entries += 1;
            if self.entries == ENTRIES_MAX {
                self.visit
                    .falls_short(fd.as_fd(), bytes, Shortfall::TooMany);
            }
            if self.entries >= ENTRIES_MAX || self.visit.is_interrupted() {
                return Ok(());
            }
            let key = key.child(bytes);
            // All of a volume's entries lead through one directory, so that none needs a way and a watch of its own.
            let behind = match &data {
                Some(data) if is_known => Some((data, entry.file_type())),
                Some(data) if entry.file_type() == FileType::Symlink => {
                    (self.kind_in(data, fd.as_fd(), name)).map(|kind| (data, kind))
                }
                _ => None,
            };
            names.add(Key::root(bytes).name());
            is_all_behind &= behind.is_some();
            let (fd, kind) = behind.unwrap_or((fd, entry.file_type()));
            let before = *self.fingerprint;
            match self.entry(fd.as_fd(), name, kind, key, level) {
                // Gone, or of another type than a moment ago: there is an event for it, and another look.
                Err(errno) if leads_nowhere(errno) => {}
                Ok(()) => {}
                Err(errno) => {
                    let stat = fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW).ok();
                    self.unreadable(fd.as_fd(), bytes, key, stat.as_ref(), errno);
                }
            }
            let part = self.fingerprint.since(before);
            self.visit.counted(bytes, level + 1, part);
        }
        if !is_known {
            self.visit.read(fd.as_fd());
        }
        if let Some(data) = data {
            let names = if is_all_behind {
                names
            } else {
                Fingerprint::default()
            };
            if !self.visit.shown(volume.number, names) {
                *self.fingerprint = before;
                return self.directory(fd, key, level);
            }
            self.visit.read(data.as_fd());
        }
        Ok(())
    }

    /// The directory that a volume's `..data` leads to, armed as one of the tree; `None` if it leads to none, or may not be watched.
    fn data(&mut self, volume: BorrowedFd<'_>, target: &[u8]) -> Option<OwnedFd> {
        let (data, kind) = resolve(&mut *self.visit, volume, true, target).ok()?;
        let is_armed = kind == FileType::Directory
            && self.visit.arm(data.as_fd(), Part::Tree) != Armed::Denied;
        is_armed.then(|| open(data.as_fd(), c".", OFlags::DIRECTORY).ok())?
    }

    /// What a volume's visible entry stands for in the directory behind `..data`; `None` where it is no link to its own name
    /// there.
    fn kind_in(&mut self, data: &OwnedFd, volume: BorrowedFd<'_>, name: &CStr) -> Option<FileType> {
        let mut target = [0; 8 + NAME_MAX];
        let length = fs::readlinkat_raw(volume, name, &mut target).ok()?;
        let own_name = target[..length].strip_prefix(b"..data/")? == name.to_bytes();
        kind_of(data.as_fd(), name, &mut *self.visit)
            .ok()
            .filter(|_| own_name)
    }

    fn entry(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &CStr,
        kind: FileType,
        key: Key,
        level: usize,
    ) -> io::Result<()> {
        let kind = match kind {
            // Some file systems do not tell with the name.
            FileType::Unknown => kind_of(directory, name, &mut *self.visit)?,
            kind => kind,
        };
        match kind {
            FileType::RegularFile if !self.visit.reads() => Ok(()),
            FileType::RegularFile => self.file(&open(directory, name, OFlags::NOFOLLOW)?, key),
            FileType::Directory if level == LEVELS => {
                self.too_deep(directory, name.to_bytes(), key);
                Ok(())
            }
            FileType::Directory => {
                let fd = open(directory, name, OFlags::NOFOLLOW | OFlags::DIRECTORY)?;
                self.directory(&fd, key, level + 1)
            }
            FileType::Symlink => {
                match self.target(directory, true, name.to_bytes(), key, level + 1) {
                    // One that leads nowhere has been counted.
                    Err(Errno::NOENT) => Ok(()),
                    followed => followed,
                }
            }
            _ => {
                self.count(key, Kind::Special);
                Ok(())
            }
        }
    }

    // Not inlined: its buffer is for as long as the file is read, and not for all the levels below.
    #[inline(never)]
    fn file(&mut self, fd: &OwnedFd, key: Key) -> io::Result<()> {
        let stat = fs::fstat(fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            self.count(key, Kind::Special);
            return Ok(());
        }
        self.enter(fd.as_fd(), &stat);
        if stat.st_nlink as u64 > 1 {
            self.visit.arm(fd.as_fd(), Part::File);
        }
        self.visit.found(FileType::RegularFile);
        self.visit.passed(&stat);
        if stat.st_size as u64 > FULL_READ_MAX {
            self.fingerprint
                .add(Entry::of(key, Kind::Large, &metadata(&stat)));
            return Ok(());
        }
        let mut buffer = [MaybeUninit::uninit(); READ_SIZE];
        let mut reading = Content::new(key);
        let mut total = 0;
        loop {
            let (read, _) = io::read(fd, &mut buffer)?;
            total += read.len() as u64;
            reading.read(read);
            // A file that grows faster than it is read must not hold the walk up: there are events for what comes later.
            let is_whole = read.is_empty() || total == stat.st_size as u64;
            if is_whole || total > FULL_READ_MAX || self.visit.is_interrupted() {
                break;
            }
        }
        self.fingerprint.add(reading.entry());
        Ok(())
    }

    /// Tells of a file system when it is come to.
    fn enter(&mut self, fd: BorrowedFd<'_>, stat: &Stat) {
        let device = Some(stat.st_dev as u64);
        if core::mem::replace(&mut self.device, device) != device {
            self.visit.file_system(fd);
        }
    }

    fn unreadable(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        key: Key,
        stat: Option<&Stat>,
        errno: Errno,
    ) {
        let numbers = stat.map_or([0; 4], metadata);
        self.fingerprint
            .add(Entry::of(key, Kind::Unreadable, &numbers));
        self.visit
            .falls_short(directory, name, Shortfall::Unreadable(errno));
    }

    fn too_deep(&mut self, directory: BorrowedFd<'_>, name: &[u8], key: Key) {
        self.count(key, Kind::TooDeep);
        self.visit.falls_short(directory, name, Shortfall::TooDeep);
    }
}

/// Whether what was looked for is not there, or is not what it was a moment ago.
fn leads_nowhere(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO
    )
}

/// For reading without waiting: a FIFO that took a file's place a moment ago must not block the program.
const READING: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

fn open(directory: BorrowedFd<'_>, name: &CStr, more: OFlags) -> io::Result<OwnedFd> {
    fs::openat(directory, name, READING | more, Mode::empty())
}

/// What a name stands for; of a link, which is passed then, the link itself.
pub fn kind_of(
    directory: BorrowedFd<'_>,
    name: &CStr,
    visit: &mut dyn Visit,
) -> io::Result<FileType> {
    let stat = fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind == FileType::Symlink {
        visit.passed(&stat);
    }
    Ok(kind)
}

/// Size, modification time and inode, which stand in for content.
fn metadata(stat: &Stat) -> [u64; 4] {
    [
        stat.st_size as u64,
        stat.st_mtime as u64,
        stat.st_mtime_nsec as u64,
        stat.st_ino as u64,
    ]
}

#[cfg(test)]
mod tests;
