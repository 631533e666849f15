//! One look while it is taken: what the walk comes across is armed, counted and, where it counts by less than its content, said.

use super::{Changes, Look, RETRY, Watch, advise};
use crate::base::file::{descriptor_path, is_shortage};
use crate::base::time::Instant;
use crate::config::CommaList;
use crate::confirm::OpenWatches;
use crate::fingerprint::Fingerprint;
use crate::mount;
use crate::report::Report;
use crate::report::old_log::{Level, Log};
use crate::report::old_metrics::Metric;
use crate::tree::{self, Armed, Part, Shortfall, Visit, Volume};
use crate::words;
use rustix::fd::BorrowedFd;
use rustix::fs::inotify::{self, WatchFlags};
use rustix::fs::{CWD, FileType, Stat};
use rustix::io::Errno;

/// Of so many questions whether to break off a look, one is passed on: as many small files or pieces of a large one are read
/// in a millisecond.
const ASKED_IN_VAIN: u32 = 32;

const NAMES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE);
const CONTENT: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB);
const ITSELF: WatchFlags = WatchFlags::DELETE_SELF.union(WatchFlags::MOVE_SELF);

/// One look while it is taken.
pub(super) struct Looking<'l> {
    pub(super) watch: &'l mut Watch,
    pub(super) openings: &'l mut OpenWatches,
    pub(super) changes: &'l mut Changes,
    pub(super) report: &'l mut Report,
    pub(super) interrupted: &'l dyn Fn() -> bool,
    pub(super) now: Instant,
    pub(super) look: Look,
    /// Files are read, and what is found is told of; before, directories are armed.
    pub(super) reads: bool,
    pub(super) broken_off: bool,
    pub(super) asked: u32,
}

impl Looking<'_> {
    /// Walks every root. The fingerprint of everything, unless it was broken off.
    pub(super) fn walk(&mut self, roots: CommaList<'_>) -> Fingerprint {
        self.changes.begin();
        self.report.old.metrics.set(Metric::RootsMissing, 0);
        let mut fingerprint = Fingerprint::default();
        for (at, root) in roots.iter().enumerate() {
            self.report.old.metrics.set(Metric::Roots, at as u64 + 1);
            let before = fingerprint;
            let walked = tree::walk(root, &mut fingerprint, self);
            if self.broken_off {
                break;
            }
            if self.reads {
                self.read_root(root, 1 << at, walked);
            }
            self.counted(root, 0, fingerprint.since(before));
        }
        fingerprint
    }

    /// What came of reading a root, which has this bit.
    fn read_root(&mut self, root: &[u8], bit: u64, walked: Result<(), Errno>) {
        let told = &mut self.watch.last.missing;
        let was_missing = *told & bit != 0;
        let Err(errno) = walked else {
            *told &= !bit;
            if was_missing {
                let line = self.report.old.line(Level::Info).value(root);
                line.say(words!(" is there again")).send();
            }
            return;
        };
        *told |= bit;
        self.look.missing |= bit;
        self.report.old.metrics.add(Metric::RootsMissing, 1);
        // That the root itself comes is told by an event; that it can be read, perhaps not.
        self.look.incomplete |= errno != Errno::NOENT;
        self.look.short |= is_shortage(errno);
        if was_missing {
            return;
        }
        let line = self
            .report
            .old
            .line(Level::Warn)
            .say(words!("cannot read "));
        line.value(root).say(words!(": ")).errno(errno);
        if errno == Errno::NOENT {
            line.say(words!("; is the volume mounted? Waiting for it"));
        } else {
            line.say(words!("; trying again at intervals"));
            advise(line, errno);
        }
        line.send();
    }
}

impl Visit for Looking<'_> {
    fn reads(&self) -> bool {
        self.reads
    }

    fn arm(&mut self, fd: BorrowedFd<'_>, part: Part) -> Armed {
        let Some(inotify) = &self.watch.inotify else {
            return Armed::Known;
        };
        let mask = match part {
            Part::Tree => NAMES | CONTENT,
            Part::Names => NAMES,
            Part::File => CONTENT,
            Part::Itself => ITSELF,
        };
        let mut path = descriptor_path(fd);
        match inotify::add_watch(inotify, path.as_c_str(), mask | WatchFlags::MASK_ADD) {
            Ok(watch) => {
                self.watch.relied.set(watch, part);
                if watch <= self.watch.highest {
                    return Armed::Known;
                }
                self.watch.highest = watch;
                self.watch.armed_new = true;
                // A way of which a part is new is followed once more, which the walk that reads will do.
                if self.reads { Armed::New } else { Armed::Known }
            }
            // Of a directory that may only be passed through, being renamed is the least event.
            Err(Errno::ACCESS) if matches!(part, Part::Itself | Part::File) => Armed::Denied,
            Err(errno) => {
                self.report.old.metrics.add(Metric::WatchErrors, 1);
                self.watch
                    .refused
                    .get_or_insert((errno, self.now.plus(RETRY)));
                Armed::Known
            }
        }
    }

    fn knows_the_way(&mut self) -> bool {
        self.watch.relied.is_way_known()
    }

    fn volume(&mut self) -> Volume {
        self.watch.relied.volume()
    }

    fn shown(&mut self, volume: usize, names: Fingerprint) -> bool {
        self.watch.relied.shown(volume, names)
    }

    fn found(&mut self, kind: FileType) {
        if kind == FileType::Directory {
            self.look.directories += 1;
        } else {
            self.look.files += 1;
        }
    }

    fn read(&mut self, fd: BorrowedFd<'_>) {
        if self.reads {
            self.openings.arm(fd);
        }
    }

    fn passed(&mut self, stat: &Stat) {
        // Not the time of the last modification, which anybody can set, and which whoever copies a file with its times does.
        let changed_ms = stat.st_ctime as u64 * 1000 + stat.st_ctime_nsec as u64 / 1_000_000;
        self.look.newest_ms = self.look.newest_ms.max(changed_ms);
    }

    fn falls_short(&mut self, directory: BorrowedFd<'_>, name: &[u8], shortfall: Shortfall) {
        if !self.reads {
            return;
        }
        let is_short = match shortfall {
            Shortfall::Unreadable(errno) => is_shortage(errno),
            Shortfall::TooDeep | Shortfall::TooMany => false,
        };
        self.look.short |= is_short;
        self.look.incomplete |= is_short;
        let last = &mut self.watch.last;
        let (count, told) = match shortfall {
            Shortfall::Unreadable(_) => (&mut self.look.unreadable, &mut last.unreadable),
            Shortfall::TooDeep => (&mut self.look.too_deep, &mut last.too_deep),
            Shortfall::TooMany => (&mut self.look.too_many, &mut last.too_many),
        };
        *count += 1;
        if core::mem::replace(told, 1) > 0 {
            return;
        }
        let line = self.report.old.line(Level::Warn);
        match shortfall {
            Shortfall::Unreadable(errno) => {
                line.say(words!("cannot read "));
                push_path(line, directory, name);
                line.say(words!(": ")).errno(errno);
                if is_short {
                    line.say(words!("; trying again at intervals"));
                    advise(line, errno);
                } else {
                    line.say(words!(
                        "; it counts by its size and time. Not said again for other files"
                    ));
                }
            }
            Shortfall::TooDeep => {
                push_path(line, directory, name);
                line.say(words!(" lies more than "))
                    .number(tree::LEVELS as u64);
                line.say(words!(" levels deep; what is in it is not watched. Not said again for other directories"));
            }
            Shortfall::TooMany => {
                push_path(line, directory, name);
                line.say(words!(
                    " and what comes after it is not watched: more than "
                ));
                line.number(tree::ENTRIES_MAX.into())
                    .say(words!(" entries"));
            }
        }
        line.send();
    }

    fn file_system(&mut self, fd: BorrowedFd<'_>) {
        if !self.reads {
            return;
        }
        let Ok(stat) = rustix::fs::fstatfs(fd) else {
            return;
        };
        let (name, is_remote) = mount::file_system(stat.f_type as u64);
        self.look.remote |= is_remote;
        if is_remote && !core::mem::replace(&mut self.watch.last.remote, true) {
            let line = self.report.old.line(Level::Warn);
            push_path(line, fd, b"");
            line.say(words!(" is on ")).value(name);
            line.say(words!(", where inotify does not tell of changes made elsewhere; the content is compared at intervals, too (CONFIG_POLL_INTERVAL)")).send();
        }
    }

    fn counted(&mut self, name: &[u8], level: usize, part: Fingerprint) {
        self.changes.counted(name, level, part);
    }

    fn is_interrupted(&mut self) -> bool {
        self.asked = self.asked.wrapping_add(1);
        if self.asked.is_multiple_of(ASKED_IN_VAIN) {
            self.broken_off |= (self.interrupted)();
        }
        self.broken_off
    }
}

/// The path of an entry of an open directory; without a name, of what is open.
fn push_path(line: &mut Log, directory: BorrowedFd<'_>, name: &[u8]) {
    let mut path = [0; 1024];
    let mut link = descriptor_path(directory);
    let length = rustix::fs::readlinkat_raw(CWD, link.as_c_str(), &mut path).unwrap_or(0);
    if length > 0 {
        line.value(&path[..length]);
    }
    if !name.is_empty() {
        line.value(if length > 0 { b"/" } else { b"" }).value(name);
    }
}
