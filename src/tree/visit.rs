//! The interface between a walk and its caller.

use super::budget::{Bound, Budget};
use crate::fingerprint::Fingerprint;
use rustix::fd::BorrowedFd;
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

/// Why a directory or file is watched, which decides the events that matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// A directory of the tree: its entries and their content matter.
    Tree,
    /// A directory outside the tree in which a name is looked up: its entries matter, their content does not.
    Lookup,
    /// A directory outside the tree that is passed through: only its own removal or renaming matters.
    Ancestor,
    /// A file that can be written to under a name outside the tree: its content matters.
    File,
}

/// The work that an entry or a name on the way makes: several system calls.
const CALL_WORK: u32 = 4;

/// The result of arming a watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Armed {
    /// The watch is new, so changes before it gave no event.
    New,
    /// The watch existed before, or there are no watches at all, or it makes no difference to the caller whether it is new.
    Unchanged,
    /// We may not read the directory or file, and so may not watch it; EACCES of inotify_add_watch(2).
    Denied,
}

/// Why less than the full content of an entry is in the fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shortfall {
    /// The file cannot be read. Its size, mtime and inode stand in.
    Unreadable(Errno),
    /// We may not list the directory, so nothing tells of changes below it. Its mtime and inode stand in.
    Unlisted,
    /// The directory is more than `LEVELS` deep and is not entered.
    TooDeep,
    /// A bound of the walk was reached at this entry.
    Exceeded(Bound),
}

/// The treatment of a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passage {
    /// It holds files.
    Open,
    /// It is the kernel's own, as proc is: its content is no configuration, and reading it can have effects.
    Closed,
}

/// Why a walk stops early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    Interrupted,
    Exceeded(Bound),
}

/// The visitor's knowledge of a directory laid out by the kubelet's AtomicWriter.
#[derive(Clone, Copy, Default)]
pub struct Volume {
    /// Identifies the volume in [`Visit::volume_listed`].
    pub slot: usize,
    /// True if an earlier scan listed the volume and no visible name has come or gone since. The walk then lists the directory
    /// behind `..data` in its place.
    pub is_cached: bool,
}

/// The visitor that a walk arms watches through and reports to.
pub trait Visit {
    /// Returns true if files are to be read. A walk that only arms opens no files.
    fn reads_files(&self) -> bool;
    /// Arms a watch.
    fn arm(&mut self, fd: BorrowedFd<'_>, role: Role) -> Armed;
    /// Returns true if everything on the way to the roots is armed and has had no event since.
    fn is_way_unchanged(&mut self) -> bool;
    /// Marks the directory that was armed last as a volume: its names that begin with two dots do not count.
    fn enter_volume(&mut self) -> Volume;
    /// Takes back [`enter_volume`](Self::enter_volume): `..data` leads nowhere, and the directory it names may yet be made.
    fn volume_broken(&mut self, slot: usize);
    /// Takes the visible names of a volume if all of them are links to their own names behind `..data`, and an empty fingerprint
    /// if not. Returns false if the names contradict [`Volume::is_cached`]; the volume must be listed once more.
    fn volume_listed(&mut self, slot: usize, names: Fingerprint) -> bool;
    /// Counts a directory or a regular file that is part of the tree.
    fn count(&mut self, kind: FileType);
    /// Takes the status of a directory, file or followed link that decides what is read.
    fn saw_status(&mut self, stat: &Stat);
    /// Takes an entry of which less than the full content is in the fingerprint.
    fn fell_short(&mut self, directory: BorrowedFd<'_>, name: &[u8], shortfall: Shortfall);
    /// Takes a directory whose entries have all been read, or a file outside the tree that has been read.
    fn was_read(&mut self, fd: BorrowedFd<'_>);
    /// Takes a directory or file on another file system than the one before it.
    fn entered_file_system(&mut self, fd: BorrowedFd<'_>) -> Passage;
    /// Takes an entry's part of the fingerprint, which includes everything below it. Entries below it come first.
    fn fingerprinted(&mut self, name: &[u8], level: usize, part: Fingerprint);
    /// Returns what is left to the walk.
    fn budget(&mut self) -> &mut Budget;
    /// Returns true when the walk should stop early. Called at least every `work` units, each of about two microseconds.
    fn is_interrupted(&mut self, work: u32) -> bool;
}

impl dyn Visit + '_ {
    /// Takes an amount from the budget.
    pub(super) fn spend(&mut self, bound: Bound, amount: u64) -> Result<(), Stop> {
        if self.is_interrupted(CALL_WORK) {
            return Err(Stop::Interrupted);
        }
        self.budget().spend(bound, amount).map_err(Stop::Exceeded)
    }

    /// Takes an entry from the budget.
    pub(super) fn step(&mut self, bound: Bound, fingerprint: Fingerprint) -> Result<(), Stop> {
        if self.is_interrupted(CALL_WORK) {
            return Err(Stop::Interrupted);
        }
        let budget = self.budget();
        budget.step(bound, fingerprint).map_err(Stop::Exceeded)
    }
}
