//! One scan while it runs: arms and counts the entries of the walk, and reports those that cannot be read.

use super::cache::Cache;
use super::changes::Changes;
use super::gap::{report_remote, report_shortfall};
use super::instance::Instance;
use super::snapshot::{Problems, Snapshot};
use crate::base::file::{descriptor_path, is_shortage};
use crate::base::time::Instant;
use crate::config::CommaList;
use crate::confirm::OpenWatches;
use crate::fingerprint::{Fingerprint, Secret};
use crate::mount::FileSystem;
use crate::report::Report;
use crate::report::facts::watching::Watching;
use crate::tree::{self, Armed, Role, Shortfall, Visit, Volume};
use rustix::fd::BorrowedFd;
use rustix::fs::inotify::{self, WatchFlags};
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

/// Check for interruption once every this many calls, because checking costs a system call. This many small files, or pieces of a
/// large one, are read in a millisecond.
const INTERRUPTION_CALLS: u32 = 32;

const NAMES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE);
const CONTENT: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB);
const ITSELF: WatchFlags = WatchFlags::DELETE_SELF.union(WatchFlags::MOVE_SELF);

/// The input of a scan, and the objects it works with besides the watches.
pub struct ScanContext<'c> {
    /// The directories and files to scan.
    pub roots: CommaList<'c>,
    /// The key of the fingerprint.
    pub secret: Secret,
    /// The current time.
    pub now: Instant,
    /// Watches for the application reading the files, armed for everything that is read.
    pub openings: &'c mut OpenWatches,
    /// Finds out which entries have changed.
    pub changes: &'c mut Changes,
    /// Receives the problems.
    pub report: &'c mut Report,
    /// Returns true when the scan should stop early.
    pub is_interrupted: &'c dyn Fn() -> bool,
}

/// The scan stopped early and has no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interrupted;

/// The purpose of one walk over the roots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pass {
    /// Arms all directories, and reads no file.
    Arm,
    /// Arms and reads everything.
    Read,
}

/// One scan while it runs.
pub(super) struct Scan<'s, 'c> {
    pub(super) instance: &'s mut Instance,
    pub(super) cache: &'s mut Cache,
    /// The problems that have been logged, by this scan or an earlier one.
    pub(super) reported: &'s mut Problems,
    pub(super) context: &'s mut ScanContext<'c>,
    pub(super) state: State,
}

/// The findings of a scan so far.
pub(super) struct State {
    pass: Pass,
    snapshot: Snapshot,
    is_interrupted: bool,
    /// The number of times the walk has asked for an interruption.
    calls: u32,
}

impl State {
    /// Returns the state before the first root, beginning with this pass.
    pub(super) fn new(pass: Pass) -> Self {
        Self {
            pass,
            snapshot: Snapshot::default(),
            is_interrupted: false,
            calls: 0,
        }
    }
}

impl Scan<'_, '_> {
    /// Runs the scan.
    pub(super) fn run(mut self) -> Result<Snapshot, Interrupted> {
        if self.state.pass == Pass::Arm {
            self.walk()?;
            self.state.pass = Pass::Read;
        }
        self.walk()?;
        Ok(self.state.snapshot)
    }

    fn walk(&mut self) -> Result<(), Interrupted> {
        self.context.changes.begin();
        self.state.snapshot = Snapshot::default();
        let roots = self.context.roots;
        for (at, root) in roots.iter().enumerate() {
            let walked = tree::walk(root, self.context.secret.root(at), self);
            if self.state.is_interrupted {
                return Err(Interrupted);
            }
            if self.state.pass == Pass::Read {
                self.finish_root(root, 1 << at, walked.outcome);
            }
            self.state.snapshot.fingerprint.merge(walked.fingerprint);
            self.context.changes.add(root, 0, walked.fingerprint);
        }
        Ok(())
    }

    /// Takes the outcome of reading a root, and reports it if it has changed. `bit` stands for the root.
    fn finish_root(&mut self, root: &[u8], bit: u64, outcome: Result<(), Errno>) {
        let was_missing = self.reported.missing_roots & bit != 0;
        match outcome {
            Ok(()) => {
                self.reported.missing_roots &= !bit;
                if was_missing {
                    self.context.report.record(&Watching::RootBack { root });
                }
            }
            Err(errno) => {
                self.reported.missing_roots |= bit;
                let snapshot = &mut self.state.snapshot;
                snapshot.problems.missing_roots |= bit;
                // There is an event when a missing root appears, but perhaps none when an unreadable one can be read.
                snapshot.is_incomplete |= errno != Errno::NOENT;
                snapshot.is_short |= is_shortage(errno);
                if !was_missing {
                    let missing = Watching::RootMissing { root, errno };
                    self.context.report.record(&missing);
                }
            }
        }
    }
}

impl Visit for Scan<'_, '_> {
    fn reads_files(&self) -> bool {
        self.state.pass == Pass::Read
    }

    fn arm(&mut self, fd: BorrowedFd<'_>, role: Role) -> Armed {
        let Some(inotify) = self.instance.fd() else {
            return Armed::Unchanged;
        };
        let mask = match role {
            Role::Tree => NAMES | CONTENT,
            Role::Lookup => NAMES,
            Role::Ancestor => ITSELF,
            Role::File => CONTENT,
        };
        let mut path = descriptor_path(fd);
        match inotify::add_watch(inotify, path.as_c_str(), mask | WatchFlags::MASK_ADD) {
            Ok(watch) => {
                self.cache.armed(watch, role);
                let is_new = self.instance.register(watch);
                // After a pass that arms, everything is resolved once more anyway.
                if is_new && self.state.pass == Pass::Read {
                    Armed::New
                } else {
                    Armed::Unchanged
                }
            }
            // These matter least: an ancestor can only be renamed, and a file is watched by its name.
            Err(Errno::ACCESS) if matches!(role, Role::Ancestor | Role::File) => Armed::Denied,
            Err(errno) => {
                self.context.report.record(&Watching::CallRefused);
                self.instance.refuse(errno, self.context.now);
                Armed::Unchanged
            }
        }
    }

    fn is_way_unchanged(&mut self) -> bool {
        self.cache.is_way_valid()
    }

    fn enter_volume(&mut self, data: &[u8]) -> Volume {
        self.cache.enter_volume(data)
    }

    fn volume_listed(&mut self, slot: usize, names: Fingerprint) -> bool {
        self.cache.volume_listed(slot, names)
    }

    fn count(&mut self, kind: FileType) {
        if kind == FileType::Directory {
            self.state.snapshot.directories += 1;
        } else {
            self.state.snapshot.files += 1;
        }
    }

    fn was_read(&mut self, fd: BorrowedFd<'_>) {
        if self.state.pass == Pass::Read {
            self.context.openings.arm(fd);
        }
    }

    fn saw_status(&mut self, stat: &Stat) {
        // ctime, because mtime can be set, as by copying a file with its times.
        let changed_ms = stat.st_ctime as u64 * 1000 + stat.st_ctime_nsec as u64 / 1_000_000;
        let newest_ms = &mut self.state.snapshot.newest_ms;
        *newest_ms = changed_ms.max(*newest_ms);
    }

    fn fell_short(&mut self, directory: BorrowedFd<'_>, name: &[u8], shortfall: Shortfall) {
        if self.state.pass == Pass::Arm {
            return;
        }
        let snapshot = &mut self.state.snapshot;
        if matches!(shortfall, Shortfall::Unreadable(errno) if is_shortage(errno)) {
            snapshot.is_short = true;
            snapshot.is_incomplete = true;
        }
        *problem(&mut snapshot.problems, shortfall) = true;
        if !core::mem::replace(problem(self.reported, shortfall), true) {
            report_shortfall(self.context.report, directory, name, shortfall);
        }
    }

    fn entered_file_system(&mut self, fd: BorrowedFd<'_>) {
        if self.state.pass == Pass::Arm {
            return;
        }
        let Ok(stat) = rustix::fs::fstatfs(fd) else {
            return;
        };
        let file_system = FileSystem::from_magic(stat.f_type as u64);
        if file_system.is_remote {
            self.state.snapshot.problems.is_remote = true;
            if !core::mem::replace(&mut self.reported.is_remote, true) {
                report_remote(self.context.report, fd, file_system.name);
            }
        }
    }

    fn fingerprinted(&mut self, name: &[u8], level: usize, part: Fingerprint) {
        self.context.changes.add(name, level, part);
    }

    fn is_interrupted(&mut self) -> bool {
        self.state.calls = self.state.calls.wrapping_add(1);
        if self.state.calls.is_multiple_of(INTERRUPTION_CALLS) {
            self.state.is_interrupted |= (self.context.is_interrupted)();
        }
        self.state.is_interrupted
    }
}

/// Returns the problem that a shortfall is.
fn problem(problems: &mut Problems, shortfall: Shortfall) -> &mut bool {
    match shortfall {
        Shortfall::Unreadable(_) => &mut problems.has_unreadable,
        Shortfall::TooDeep => &mut problems.has_too_deep,
        Shortfall::TooMany => &mut problems.has_too_many,
    }
}
