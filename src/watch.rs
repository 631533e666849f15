//! The watched tree: inotify where it works, and scans that arm and read everything below the roots.
//!
//! Every scan arms everything anew, armed before or not: inotify gives the same watch for the same inode, so no table of watches
//! has to be kept. The inotify instance is replaced only if watches may be left on what is no longer in the tree, because closing
//! one takes the kernel several milliseconds.

mod cache;
mod changes;
mod drain;
mod event;
mod gap;
mod instance;
mod leftover;
mod roots;
mod scan;
mod snapshot;
mod writing;

use crate::base::time::Instant;
use crate::mount;
use crate::reload::Change;
use crate::report::Report;
use crate::report::facts::watching::Watching;
use drain::Events;
use instance::Instance;
use roots::Roots;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use scan::{Pass, Scan, State};
use writing::Writing;

pub use changes::Changes;
pub use scan::{Interrupted, ScanContext};
pub use snapshot::{Problems, Snapshot};

/// The watches on the tree and the result of the last scan.
#[derive(Debug)]
pub struct Watch {
    instance: Instance,
    events: Events,
    /// The mount table. Mounting and unmounting give no inotify event.
    mounts: Option<OwnedFd>,
    /// The result of the last complete scan.
    last: Snapshot,
    /// The problems that have been logged.
    reported: Problems,
    /// A refusal has been logged.
    is_refusal_reported: bool,
    /// The roots as earlier scans found them.
    roots: Roots,
}

impl Watch {
    /// Returns a watch on nothing, before the first [`scan`](Self::scan).
    pub fn new() -> Self {
        Self {
            instance: Instance::new(),
            events: Events::new(),
            mounts: mount::table().ok(),
            last: Snapshot::default(),
            reported: Problems::default(),
            is_refusal_reported: false,
            roots: Roots::new(),
        }
    }

    /// Returns the descriptor to poll for [`drain`](Self::drain).
    pub fn inotify(&self) -> Option<BorrowedFd<'_>> {
        self.instance.fd().map(AsFd::as_fd)
    }

    /// Returns the mount table, to be polled for `POLLPRI`: a mount can cover or uncover what is watched.
    pub fn mounts(&self) -> Option<BorrowedFd<'_>> {
        self.mounts.as_ref().map(AsFd::as_fd)
    }

    /// Makes the next scan set all watches anew, and try inotify again if it was refused.
    pub const fn rearm(&mut self) {
        self.events.is_stale = true;
    }

    /// Makes the next scan read everything.
    pub const fn invalidate(&mut self) {
        self.events.cache.invalidate();
    }

    /// Returns the number of watches, as far as the events taken so far tell.
    pub const fn watches(&self) -> i32 {
        self.instance.highest() - self.events.gone
    }

    /// Returns one bit for each root that is missing or cannot be read.
    pub const fn missing(&self) -> u64 {
        self.reported.missing_roots
    }

    /// Returns one bit for each root that exceeds its bounds.
    pub fn exceeding(&self) -> u64 {
        self.reported.exceeding()
    }

    /// Returns when to scan the roots that the last scan left out, if there are any.
    pub fn deferred_until(&self) -> Option<Instant> {
        (self.last.is_deferred).then_some(self.roots.read_again_at)
    }

    /// Returns the result of the last complete scan.
    pub const fn last(&self) -> &Snapshot {
        &self.last
    }

    /// Returns true if nothing has changed since the last scan, so that its result can be reused.
    pub const fn is_current(&self) -> bool {
        self.events.cache.is_current() && !self.events.is_stale
    }

    /// Returns true if an update has become visible since the last scan. Its last step is still to come, but its content is there.
    pub const fn is_swapped(&self) -> bool {
        self.events.is_swapped
    }

    /// Returns true if the kernel refuses inotify, altogether or for part of the tree.
    pub fn is_refused(&self) -> bool {
        self.instance.refusal().is_some()
    }

    /// Returns true if a watch has been set since the last call.
    pub const fn take_armed_new(&mut self) -> bool {
        self.instance.take_armed_new()
    }

    /// Returns true if part of the tree cannot be watched, though only this machine changes it.
    pub fn is_incomplete(&self) -> bool {
        self.is_refused() || self.last.is_incomplete
    }

    /// Returns why changes may go unnoticed, given whether the content is compared at intervals.
    pub fn obstacle(&self, is_compared: bool) -> Option<&'static str> {
        if self.last.problems.has_unlisted {
            Some("a directory may not be listed")
        } else if self.is_incomplete() && !is_compared {
            Some("inotify is refused or does not see everything, and CONFIG_POLL_INTERVAL is 0")
        } else {
            None
        }
    }

    /// Returns true if there are changes without an event.
    pub fn is_blind(&self) -> bool {
        self.is_incomplete() || self.reported.is_remote
    }

    /// Arms and reads everything below the roots. The result is [`last`](Self::last).
    ///
    /// # Errors
    /// The scan was interrupted.
    pub fn scan(&mut self, mut context: ScanContext<'_>) -> Result<(), Interrupted> {
        // A file that stays open for ever delays only one scan.
        self.events.writing = Writing::default();
        let pass = self.renew(context.now, context.report);
        self.instance.begin();
        self.events.cache.begin(self.instance.highest());
        self.events.is_swapped = false;
        let scan = Scan {
            instance: &mut self.instance,
            cache: &mut self.events.cache,
            reported: &mut self.reported,
            roots: &mut self.roots,
            context: &mut context,
            state: State::new(pass),
        };
        let scanned = scan.run();
        context.report.record(&Watching::Roots {
            count: context.roots.iter().count() as u64,
            missing: self.missing().count_ones().into(),
            exceeding: self.reported.exceeding().count_ones().into(),
        });
        self.finish(scanned?, context.report);
        Ok(())
    }

    /// Replaces the inotify instance if its watches may be wrong, or it is time to try again. Returns the first pass of the scan.
    fn renew(&mut self, now: Instant, report: &mut Report) -> Pass {
        if !self.events.is_stale && !self.instance.is_retry_due(now) {
            return Pass::Read;
        }
        self.events.cache.invalidate();
        self.events.gone = 0;
        self.events.swapped = None;
        self.roots.lift_limits();
        if self.instance.open(now) {
            self.events.is_stale = false;
            // If no watch is set yet, arm every directory before the first file is read, which may take long.
            Pass::Arm
        } else {
            report.record(&Watching::CallRefused);
            Pass::Read
        }
    }

    /// Takes the result of a complete scan.
    fn finish(&mut self, snapshot: Snapshot, report: &mut Report) {
        if !snapshot.is_short {
            self.roots.shortage.end();
        }
        if self.reported.has_unreadable && !snapshot.problems.has_unreadable {
            report.record(&Watching::AllReadable);
        }
        self.reported = snapshot.problems;
        self.last = snapshot;
        if self.is_blind() || self.last.is_deferred {
            self.events.cache.invalidate();
        } else {
            self.events.cache.complete();
            self.instance.remove_leftover(&self.events.cache);
        }
        self.report_refusal(report);
    }

    fn report_refusal(&mut self, report: &mut Report) {
        let refusal = self.instance.refusal();
        match (self.is_refusal_reported, refusal) {
            (false, Some(errno)) => report.record(&Watching::Refused(errno)),
            (true, None) => report.record(&Watching::Works),
            (true, Some(_)) | (false, None) => {}
        }
        self.is_refusal_reported = refusal.is_some();
    }

    /// Takes the events that are queued. Returns the strongest change among them.
    pub fn drain(&mut self, report: &mut Report) -> Option<Change> {
        self.events.drain(self.instance.fd()?, report)
    }
}

#[cfg(fuzzing)]
impl Watch {
    /// The buffer for events, in bytes.
    pub const EVENTS_SIZE: usize = drain::EVENTS_SIZE;

    /// Takes events from `inotify`. Returns the strongest change, and true if the watches are stale.
    pub fn drain_from(inotify: OwnedFd, report: &mut Report) -> (Option<Change>, bool) {
        let mut watch = Self {
            instance: Instance::of(inotify),
            ..Self::new()
        };
        watch.events.is_stale = false;
        (watch.drain(report), watch.events.is_stale)
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Millis;
    use crate::config::CommaList;
    use crate::confirm::OpenWatches;
    use crate::fingerprint::Secret;
    use instance::RETRY;
    use rustix::io::Errno;

    const START: Instant = Instant::from_nanoseconds(1_000_000_000_000);

    /// Scans these roots.
    fn scan(
        watch: &mut Watch,
        roots: &str,
        now: Instant,
        mut is_interrupted: impl FnMut() -> bool,
    ) -> Result<(), Interrupted> {
        watch.scan(ScanContext {
            roots: CommaList::new(roots.as_bytes()),
            secret: Secret::new([7; 16]),
            now,
            openings: &mut OpenWatches::disabled(),
            changes: &mut Changes::new(),
            report: &mut Report::new(),
            meanwhile: &mut |_| is_interrupted(),
        })
    }

    #[test]
    fn w8_a_refused_inotify_is_tried_again_every_minute() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let mut watch = Watch::new();
        watch.events.is_stale = false;
        watch.instance.refuse(Errno::NOSPC, START);
        let just_before = START.plus(Millis(RETRY.0 - 1));
        assert_eq!(scan(&mut watch, path, just_before, || false), Ok(()));
        assert!(watch.is_blind() && watch.inotify().is_none());
        assert_eq!(scan(&mut watch, path, START.plus(RETRY), || false), Ok(()));
        assert!(!watch.is_blind() && watch.inotify().is_some());
    }

    #[test]
    fn w7_every_directory_is_armed_before_the_first_file_is_read() {
        const DIRECTORIES: i32 = 40;
        // Reading one file checks for interruption more often than passing all the directories.
        const FILE_SIZE: usize = 1 << 20;
        let root = tempfile::tempdir().unwrap();
        for directory in 0..DIRECTORIES {
            let directory = root.path().join(std::format!("{directory}"));
            std::fs::create_dir(&directory).unwrap();
            std::fs::write(directory.join("file"), std::vec![0; FILE_SIZE]).unwrap();
        }
        let mut watch = Watch::new();
        let checks = core::cell::Cell::new(0);
        let is_in_first_file = || checks.replace(checks.get() + 1) == 2 * DIRECTORIES * 4 / 32 + 4;
        let path = root.path().to_str().unwrap();
        let scanned = scan(&mut watch, path, START, is_in_first_file);
        assert_eq!(scanned, Err(Interrupted));
        assert!(watch.watches() > DIRECTORIES, "{}", watch.watches());
    }

    #[test]
    fn l6_problems_found_by_an_interrupted_scan_are_not_logged_again() {
        let directory = tempfile::tempdir().unwrap();
        let [comes, goes, file] = ["comes", "goes", "file"].map(|name| directory.path().join(name));
        std::fs::create_dir(&goes).unwrap();
        std::fs::write(&file, std::vec![0; 1 << 20]).unwrap();
        let path = directory.path().display();
        let roots = std::format!("{path}/comes,{path}/goes,{path}/file");
        let mut watch = Watch::new();
        assert_eq!(scan(&mut watch, &roots, START, || false), Ok(()));
        assert_eq!(watch.missing(), 0b01);
        std::fs::create_dir(comes).unwrap();
        std::fs::remove_dir(goes).unwrap();
        let interrupted_in_the_file = scan(&mut watch, &roots, START, || true);
        assert_eq!(interrupted_in_the_file, Err(Interrupted));
        assert_eq!(watch.missing(), 0b10);
        assert_eq!(scan(&mut watch, &roots, START, || false), Ok(()));
        assert_eq!(watch.missing(), 0b10);
    }
}
