//! The walk over everything that an application could read below a root: one pass that arms watches and takes the fingerprint.
//!
//! Directories are walked by descriptor, so that no path grows too long and nothing can be exchanged underneath. Links are
//! resolved name by name, as path_resolution(7) says, because every directory on the way decides what is read in the end.
//!
//! # Invariants
//! - What is read is armed first: a change after the reading gives an event.
//! - FIFOs, sockets and devices are never opened.

use crate::fingerprint::{Content, Entry, Fingerprint, Key, Kind};
use core::mem::MaybeUninit;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::{self, Errno};

use crate::text::Word;

/// Directories are entered this many levels below a root.
pub const LEVELS: usize = 16;
/// Files are read in full up to this size in bytes.
const FULL_READ_MAX: u64 = 8 << 20;
/// As many links on one path as the kernel follows; path_resolution(7).
const LINKS_MAX: u32 = 40;
/// Longest path with its final NUL, in bytes.
const PATH_MAX: usize = 4096;
/// Bytes read at once. Large enough that the copying and not the call is what takes the time.
const READ_SIZE: usize = 8192;
/// For the entries of one directory at a time; there is one such buffer for each level. The longest entry takes 280 bytes.
const ENTRIES_SIZE: usize = 1024;

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

/// Why an entry counts by less than its content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shortfall {
    /// It may not be read, or cannot.
    Unreadable(Errno),
    /// It lies deeper than [`LEVELS`].
    TooDeep,
}

/// Whoever wants the walk done.
pub trait Visit {
    /// Sets a watch. Whether it is a new one.
    fn arm(&mut self, fd: BorrowedFd<'_>, part: Part) -> bool;
    /// A directory or file was found that counts with its content.
    fn found(&mut self, kind: FileType);
    /// The entry `name` in `directory` counts by less.
    fn falls_short(&mut self, directory: BorrowedFd<'_>, name: &[u8], shortfall: Shortfall);
    /// Whether to break off; asked often.
    fn is_interrupted(&mut self) -> bool;
}

/// Walks one root, a directory or a file, and adds what is there to `fingerprint`. Whether there is something.
pub fn walk<V: Visit>(
    root: &[u8],
    fingerprint: &mut Fingerprint,
    visit: &mut V,
) -> Result<(), Errno> {
    let mut walk = Walk {
        visit,
        fingerprint,
        ancestors: [(0, 0); LEVELS + 1],
        content: [MaybeUninit::uninit(); READ_SIZE],
    };
    walk.target(CWD, false, root, Key::root(root), 0)
}

struct Walk<'w, V> {
    visit: &'w mut V,
    fingerprint: &'w mut Fingerprint,
    /// Device and inode of the directories from the root to the one being walked.
    ancestors: [(u64, u64); LEVELS + 1],
    content: [MaybeUninit<u8>; READ_SIZE],
}

impl<V: Visit> Walk<'_, V> {
    /// Whatever `path` leads to, seen from `base`. The error says why it leads nowhere.
    fn target(
        &mut self,
        base: BorrowedFd<'_>,
        base_is_armed: bool,
        path: &[u8],
        key: Key,
        level: usize,
    ) -> Result<(), Errno> {
        let (fd, stat) = match resolve(self.visit, base, base_is_armed, path) {
            Ok(found) => found,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                self.fingerprint.add(Entry::of(key, Kind::Dangling, &[]));
                return Err(Errno::NOENT);
            }
            Err(errno) => {
                self.unreadable(base, path, key, None, errno);
                return Err(errno);
            }
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let opened = fs::openat(&fd, c".", OPEN | OFlags::DIRECTORY, Mode::empty());
                self.opened(opened, base, path, key, Self::directory, level);
            }
            FileType::RegularFile => {
                let opened = fs::openat(
                    CWD,
                    descriptor_path(fd.as_fd()).as_bytes(),
                    OPEN,
                    Mode::empty(),
                );
                self.opened(opened, base, path, key, Self::file, level);
            }
            _ => self.fingerprint.add(Entry::of(key, Kind::Special, &[])),
        }
        Ok(())
    }

    fn directory(&mut self, fd: &OwnedFd, key: Key, level: usize) -> io::Result<()> {
        let stat = fs::fstat(fd)?;
        let id = (stat.st_dev as u64, stat.st_ino as u64);
        if self.ancestors[..level].contains(&id) {
            self.fingerprint.add(Entry::of(key, Kind::Cycle, &[]));
            return Ok(());
        }
        self.ancestors[level] = id;
        self.visit.arm(fd.as_fd(), Part::Tree);
        self.visit.found(FileType::Directory);
        self.fingerprint.add(Entry::of(key, Kind::Directory, &[]));
        // The visible entries of a volume laid out by the kubelet's AtomicWriter are links through `..data`. What is behind
        // them counts under their names; the names that begin with two dots are the writer's own and change every time.
        let volume = fs::statat(fd, c"..data", AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
        let mut buffer = [MaybeUninit::uninit(); ENTRIES_SIZE];
        let mut entries = RawDir::new(fd, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." || volume && name.starts_with(b"..") {
                continue;
            }
            if self.visit.is_interrupted() {
                return Ok(());
            }
            let kind = entry.file_type();
            self.entry(fd.as_fd(), name, kind, key.child(name), level);
        }
        Ok(())
    }

    fn entry(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        kind: FileType,
        key: Key,
        level: usize,
    ) {
        let kind = match kind {
            FileType::Unknown => match fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(_) => return,
            },
            kind => kind,
        };
        let open = |flags| {
            fs::openat(
                directory,
                name,
                OPEN | OFlags::NOFOLLOW | flags,
                Mode::empty(),
            )
        };
        match kind {
            FileType::RegularFile => {
                self.opened(
                    open(OFlags::empty()),
                    directory,
                    name,
                    key,
                    Self::file,
                    level,
                );
            }
            FileType::Directory if level == LEVELS => self.too_deep(directory, name, key),
            FileType::Directory => {
                self.opened(
                    open(OFlags::DIRECTORY),
                    directory,
                    name,
                    key,
                    Self::directory,
                    level + 1,
                );
            }
            FileType::Symlink => {
                // A link at the deepest level is followed to a file, but not into a directory.
                let _ = self.target(directory, true, name, key, level + 1);
            }
            _ => self.fingerprint.add(Entry::of(key, Kind::Special, &[])),
        }
    }

    /// Goes on with what was opened; what cannot be opened or read counts by its metadata.
    fn opened(
        &mut self,
        opened: io::Result<OwnedFd>,
        directory: BorrowedFd<'_>,
        name: &[u8],
        key: Key,
        read: fn(&mut Self, &OwnedFd, Key, usize) -> io::Result<()>,
        level: usize,
    ) {
        if level > LEVELS {
            let is_directory = opened.as_ref().is_ok_and(|fd| {
                fs::fstat(fd)
                    .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
            });
            if is_directory {
                self.too_deep(directory, name, key);
                return;
            }
        }
        match opened.and_then(|fd| read(self, &fd, key, level)) {
            // Gone, or another type than a moment ago: there is an event for it, and another look.
            Ok(()) | Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => {}
            Err(errno) => {
                let stat = fs::statat(directory, name, AtFlags::empty()).ok();
                self.unreadable(directory, name, key, stat, errno);
            }
        }
    }

    fn file(&mut self, fd: &OwnedFd, key: Key, _level: usize) -> io::Result<()> {
        let stat = fs::fstat(fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            self.fingerprint.add(Entry::of(key, Kind::Special, &[]));
            return Ok(());
        }
        if stat.st_nlink as u64 > 1 {
            self.visit.arm(fd.as_fd(), Part::File);
        }
        if stat.st_size as u64 > FULL_READ_MAX {
            self.visit.found(FileType::RegularFile);
            self.fingerprint
                .add(Entry::of(key, Kind::Large, &metadata(&stat)));
            return Ok(());
        }
        let mut reading = Content::new(key);
        let mut total = 0;
        loop {
            let (read, _) = io::read(fd, &mut self.content)?;
            total += read.len() as u64;
            reading.read(read);
            // A file that grows faster than it is read must not hold the walk up: there are events for what comes later.
            if read.is_empty() || total > FULL_READ_MAX || self.visit.is_interrupted() {
                break;
            }
        }
        self.visit.found(FileType::RegularFile);
        self.fingerprint.add(reading.entry());
        Ok(())
    }

    fn unreadable(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        key: Key,
        stat: Option<Stat>,
        errno: Errno,
    ) {
        let numbers = stat.as_ref().map_or([0; 4], metadata);
        self.fingerprint
            .add(Entry::of(key, Kind::Unreadable, &numbers));
        self.visit
            .falls_short(directory, name, Shortfall::Unreadable(errno));
    }

    fn too_deep(&mut self, directory: BorrowedFd<'_>, name: &[u8], key: Key) {
        self.fingerprint.add(Entry::of(key, Kind::TooDeep, &[]));
        self.visit.falls_short(directory, name, Shortfall::TooDeep);
    }
}

/// For reading without waiting: a FIFO that took a file's place a moment ago must not block the program.
const OPEN: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);
/// For looking at what a name stands for without opening it; open(2).
const LOCATE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Size, modification time and inode, which stand in for content.
fn metadata(stat: &Stat) -> [u64; 4] {
    [
        stat.st_size as u64,
        stat.st_mtime as u64,
        stat.st_mtime_nsec as u64,
        stat.st_ino as u64,
    ]
}

/// The path by which an open file can be named again; proc(5).
pub fn descriptor_path(fd: BorrowedFd<'_>) -> Word {
    let mut path = Word::new();
    path.push(b"/proc/self/fd/");
    path.push_number(fd.as_raw_fd() as u64, 0);
    path
}

/// Finds what `path` leads to and arms everything on the way that could change it.
#[inline(never)]
fn resolve<V: Visit>(
    visit: &mut V,
    base: BorrowedFd<'_>,
    base_is_armed: bool,
    path: &[u8],
) -> io::Result<(OwnedFd, Stat)> {
    loop {
        let mut news = false;
        let found = resolve_once(visit, base, base_is_armed, path, &mut news);
        // What was renamed between being passed and being armed is found on the second time: everything is armed then.
        if !news {
            return found;
        }
    }
}

fn resolve_once<V: Visit>(
    visit: &mut V,
    base: BorrowedFd<'_>,
    base_is_armed: bool,
    path: &[u8],
    news: &mut bool,
) -> io::Result<(OwnedFd, Stat)> {
    let mut rest = Rest::new(path)?;
    let mut at = fs::openat(
        base,
        if rest.is_absolute() { c"/" } else { c"." },
        LOCATE,
        Mode::empty(),
    )?;
    let mut is_armed = base_is_armed && !rest.is_absolute();
    let mut links = 0;
    while let Some(name) = rest.name() {
        if name == b".." {
            at = fs::openat(&at, c"..", LOCATE, Mode::empty())?;
            is_armed = false;
            rest.skip();
            continue;
        }
        let found = fs::openat(&at, name, LOCATE, Mode::empty())
            .and_then(|fd| fs::fstat(&fd).map(|stat| (fd, stat)));
        let kind = found
            .as_ref()
            .ok()
            .map(|(_, stat)| FileType::from_raw_mode(stat.st_mode));
        // Here this one name decides: the directory is armed, and then the name is looked at again.
        if kind != Some(FileType::Directory) && !is_armed {
            visit.arm(at.as_fd(), Part::Names);
            is_armed = true;
            continue;
        }
        let (fd, stat) = found?;
        rest.skip();
        match kind {
            Some(FileType::Directory) => {
                if !is_armed {
                    *news |= visit.arm(fd.as_fd(), Part::Itself);
                }
                at = fd;
                is_armed = false;
            }
            Some(FileType::Symlink) => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::LOOP);
                }
                rest.put_link(&fd)?;
                if rest.is_absolute() {
                    at = fs::openat(CWD, c"/", LOCATE, Mode::empty())?;
                    is_armed = false;
                }
            }
            _ if rest.name().is_some() => return Err(Errno::NOTDIR),
            _ => {
                visit.arm(fd.as_fd(), Part::File);
                return Ok((fd, stat));
            }
        }
    }
    let stat = fs::fstat(&at)?;
    Ok((at, stat))
}

/// What is still to be resolved of a path, at the end of a buffer, so that a link's target goes in front of it.
struct Rest {
    bytes: [u8; PATH_MAX],
    start: usize,
}

impl Rest {
    fn new(path: &[u8]) -> io::Result<Self> {
        let mut bytes = [0; PATH_MAX];
        let start = PATH_MAX.checked_sub(path.len()).ok_or(Errno::NAMETOOLONG)?;
        bytes[start..].copy_from_slice(path);
        Ok(Self { bytes, start })
    }

    fn is_absolute(&self) -> bool {
        self.bytes[self.start..].first() == Some(&b'/')
    }

    /// The next name that is not `.`; `None` at the end.
    fn name(&mut self) -> Option<&[u8]> {
        loop {
            let slashes = self.bytes[self.start..]
                .iter()
                .take_while(|byte| **byte == b'/')
                .count();
            self.start += slashes;
            if self.start == PATH_MAX {
                return None;
            }
            let end = self.end();
            if &self.bytes[self.start..end] != b"." {
                return Some(&self.bytes[self.start..end]);
            }
            self.start = end;
        }
    }

    /// Passes the name that [`name`](Self::name) gave.
    fn skip(&mut self) {
        self.start = self.end();
    }

    fn end(&self) -> usize {
        let length = self.bytes[self.start..]
            .iter()
            .position(|byte| *byte == b'/');
        length.map_or(PATH_MAX, |length| self.start + length)
    }

    /// Puts the target of a link in front.
    fn put_link(&mut self, link: &OwnedFd) -> io::Result<()> {
        // The rest begins with a slash or is empty; one byte more than fits would tell a target that was cut.
        let room = &mut self.bytes[..self.start];
        let length = fs::readlinkat_raw(link, c"", &mut *room)?;
        if length == room.len() {
            return Err(Errno::NAMETOOLONG);
        }
        let start = self.start - length;
        self.bytes.copy_within(..length, start);
        self.start = start;
        Ok(())
    }
}
