//! One scan while it runs: arms and counts the entries of the walk, and reports those that cannot be read.

use super::cache::Cache;
use super::changes::Changes;
use super::gap::{report_remote, report_shortfall};
use super::instance::Instance;
use super::roots::{RootState, Roots};
use super::snapshot::{Problems, Snapshot};
use crate::base::file::{descriptor_path, is_shortage};
use crate::base::time::{Instant, Millis};
use crate::config::CommaList;
use crate::confirm::OpenWatches;
use crate::fingerprint::{Fingerprint, Secret};
use crate::mount::FileSystem;
use crate::report::Report;
use crate::report::facts::watching::Watching;
use crate::tree::{self, Armed, Budget, Passage, Role, Shortfall, Visit, Volume, Walked};
use rustix::fd::BorrowedFd;
use rustix::fs::inotify::{self, WatchFlags};
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

/// The work after which whatever else has come is served, because looking for it costs system calls. It takes well under a
/// millisecond, unless a disk is slow.
const SLICE: u32 = 32;
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
    /// Serves whatever else has come. Returns true when the scan should stop early. Called every millisecond or so.
    pub meanwhile: &'c mut dyn FnMut(&mut Report) -> bool,
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
    /// The roots as earlier scans found them.
    pub(super) roots: &'s mut Roots,
    pub(super) context: &'s mut ScanContext<'c>,
    pub(super) state: State,
}

/// The findings of a scan so far.
pub(super) struct State {
    pass: Pass,
    snapshot: Snapshot,
    is_interrupted: bool,
    /// The work done since whatever else has come was served.
    work: u32,
    root: RootState,
}

impl State {
    /// Returns the state before the first root, beginning with this pass.
    pub(super) fn new(pass: Pass) -> Self {
        Self {
            pass,
            snapshot: Snapshot::default(),
            is_interrupted: false,
            work: 0,
            root: RootState::new(0, 0),
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
            self.state.root = RootState::new(at, self.roots.all[at].steps_max);
            if self.is_deferred() {
                self.reuse(at);
                continue;
            }
            let walked = tree::walk(root, self.context.secret.root(at), self);
            if self.state.is_interrupted {
                return Err(Interrupted);
            }
            if self.state.pass == Pass::Read {
                self.report_outcome(root, walked.outcome);
                self.keep(at, &walked);
            }
            if walked.outcome != Err(Errno::NOENT) {
                self.context.changes.add(root, 0, walked.fingerprint);
            }
        }
        Ok(())
    }

    /// Returns true if the current root exceeds its bounds and was read not long ago, so that the others have the time now.
    fn is_deferred(&self) -> bool {
        let exceeds = self.reported.exceeding() & self.state.root.bit != 0;
        exceeds && self.context.now < self.roots.read_again_at
    }

    /// Takes over what an earlier scan found below a root.
    fn reuse(&mut self, at: usize) {
        let snapshot = &mut self.state.snapshot;
        snapshot.fingerprint.merge(self.roots.all[at].part);
        snapshot.is_deferred = true;
        snapshot
            .problems
            .carry_over(self.reported, self.state.root.bit);
        self.context.changes.keep_baseline();
    }

    /// Keeps what was found below a root.
    fn keep(&mut self, at: usize, walked: &Walked) {
        let (snapshot, state) = (&mut self.state.snapshot, &self.state.root);
        let root = &mut self.roots.all[at];
        root.steps_max = state.budget.steps_max();
        snapshot.is_short |= state.is_short;
        let hides = state.is_short && self.roots.shortage.hides_changes(self.context.now);
        if walked.outcome == Err(Errno::NOENT) {
            // A root that goes away is no change: it is expected back.
            self.context.changes.keep_baseline();
        } else if !hides || root.part == Fingerprint::default() {
            root.part = walked.fingerprint;
        }
        snapshot.fingerprint.merge(root.part);
        if snapshot.problems.exceeding() & state.bit != 0 {
            self.roots.defer(state.took());
        }
    }

    /// Reports the outcome of reading a root if it has changed.
    fn report_outcome(&mut self, root: &[u8], outcome: Result<(), Errno>) {
        let bit = self.state.root.bit;
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
                self.state.root.is_short |= is_shortage(errno);
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

    fn enter_volume(&mut self) -> Volume {
        self.cache.enter_volume()
    }

    fn volume_broken(&mut self, slot: usize) {
        self.cache.volume_broken(slot);
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
        let (snapshot, root) = (&mut self.state.snapshot, &mut self.state.root);
        if matches!(shortfall, Shortfall::Unreadable(errno) if is_shortage(errno)) {
            root.is_short = true;
            snapshot.is_incomplete = true;
        }
        snapshot.is_incomplete |= shortfall == Shortfall::Unlisted;
        snapshot.problems.set(shortfall, root.bit);
        if self.reported.set(shortfall, root.bit) {
            report_shortfall(self.context.report, directory, name, shortfall);
        }
    }

    fn entered_file_system(&mut self, fd: BorrowedFd<'_>) -> Passage {
        let Ok(stat) = rustix::fs::fstatfs(fd) else {
            return Passage::Open;
        };
        let file_system = FileSystem::from_magic(stat.f_type as u64);
        if file_system.is_virtual {
            return Passage::Closed;
        }
        if file_system.is_remote && self.state.pass == Pass::Read {
            self.state.snapshot.problems.is_remote = true;
            if !core::mem::replace(&mut self.reported.is_remote, true) {
                report_remote(self.context.report, fd, file_system.name);
            }
        }
        Passage::Open
    }

    fn fingerprinted(&mut self, name: &[u8], level: usize, part: Fingerprint) {
        self.context.changes.add(name, level, part);
    }

    fn budget(&mut self) -> &mut Budget {
        &mut self.state.root.budget
    }

    fn is_interrupted(&mut self, work: u32) -> bool {
        let state = &mut self.state;
        state.work += work;
        if state.work >= SLICE {
            state.work = 0;
            state.is_interrupted |= (self.context.meanwhile)(self.context.report);
            if state.root.took() > Millis::from_secs(tree::TIME_MAX) {
                state.root.budget.expire();
            }
        }
        state.is_interrupted
    }
}
