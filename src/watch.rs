//! inotify: arming, decoding events, overflow, and doing without it.
//!
//! A look arms and reads everything, whether or not it was armed before: the same inode gives the same watch, so there is no
//! table of watches to keep true. The inotify instance is replaced only where watches may be left on what is no longer in the
//! tree, because closing one makes the kernel wait for several milliseconds.

mod changes;
mod event;
mod looking;
mod relied;
mod writing;

use crate::base::sys;
use crate::base::time::{Instant, Millis};
use crate::config::CommaList;
use crate::confirm::OpenWatches;
use crate::fingerprint::Fingerprint;
use crate::mount;
use crate::reload::Change;
use crate::report::Report;
use crate::report::old_log::{Level, Log};
use crate::report::old_metrics::Metric;
use crate::words;
pub use changes::Changes;
use core::mem::MaybeUninit;
use event::{decode, describe, is_swap};
use looking::Looking;
use relied::Relied;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader};
use rustix::io::Errno;
use writing::Writing;

/// Room for at least 15 events with the longest names.
const EVENTS_SIZE: usize = 4096;
/// At most so many events are taken at once: a storm of them must not keep the program from anything else.
const EVENTS_MAX: u32 = 10_000;
/// inotify that was refused is tried again after this time, in milliseconds.
const RETRY: Millis = Millis(60_000);

/// What a look found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Stands for everything that was read.
    pub fingerprint: Fingerprint,
    /// Regular files.
    pub files: u32,
    /// Directories, the roots among them.
    pub directories: u32,
    /// When the newest change was made of what was read, in milliseconds since the epoch by the file system's clock.
    pub newest_ms: u64,
    /// One bit for each root that was not there.
    pub missing: u64,
    /// Something could not be read that no event may tell of when it can.
    pub incomplete: bool,
    /// Entries that count by their metadata because they cannot be read.
    pub unreadable: u32,
    /// Directories that lie too deep to be entered.
    pub too_deep: u32,
    /// Roots that hold more entries than are looked at.
    pub too_many: u32,
    /// There is a file system that others can change.
    pub remote: bool,
    /// Descriptors or memory were short, so that less could be read than is there.
    pub short: bool,
}

/// The watches, or the reason why there are none.
#[derive(Debug)]
pub struct Watch {
    inotify: Option<OwnedFd>,
    /// The highest watch descriptor given; the kernel counts upwards, so a higher one is new.
    highest: i32,
    /// So many watches have gone with what they were on.
    gone: i32,
    /// Watches may be left on what is no longer in the tree, or events were lost.
    stale: bool,
    armed_new: bool,
    /// Set while inotify does not cover everything: why, and when to try again.
    refused: Option<(Errno, Instant)>,
    /// Tells when something is mounted or unmounted, which gives no event.
    mounts: Option<OwnedFd>,
    /// Descriptors or memory have been short since then.
    short_since: Option<Instant>,
    writing: Writing,
    /// When it was said last that events were lost: not more often than every minute.
    overflow_said: Option<Instant>,
    /// What the last look found; of one that was broken off, what was told of it, which is not to be told twice.
    last: Look,
    /// What the last look relied on.
    relied: Relied,
    /// An update has become visible since that look.
    is_swapped: bool,
}

impl Watch {
    /// Nothing is armed before the first [`look`](Self::look).
    pub fn new() -> Self {
        Self {
            inotify: None,
            highest: 0,
            gone: 0,
            stale: true,
            armed_new: false,
            refused: None,
            mounts: mount::table().ok(),
            short_since: None,
            writing: Writing::default(),
            overflow_said: None,
            last: Look::default(),
            relied: Relied::new(),
            is_swapped: false,
        }
    }

    /// What to poll for [`drain`](Self::drain).
    pub fn inotify(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// The mount table: when it changes, what is watched may be covered, or uncovered.
    pub fn mounts(&self) -> Option<BorrowedFd<'_>> {
        self.mounts.as_ref().map(AsFd::as_fd)
    }

    /// The next look arms everything anew, and tries inotify again if it was refused.
    pub fn arm_anew(&mut self) {
        self.stale = true;
    }

    /// How many watches are set, as far as the events tell that were taken.
    pub const fn watches(&self) -> i32 {
        self.highest - self.gone
    }

    /// One bit for each root that was not there, or could not be read.
    pub const fn missing(&self) -> u64 {
        self.last.missing
    }

    /// What the last look found.
    pub const fn last(&self) -> &Look {
        &self.last
    }

    /// Whether another look would find the same as the last one.
    pub const fn is_current(&self) -> bool {
        self.relied.is_current() && !self.stale
    }

    /// The next look is to read everything, though no event tells of a change.
    pub const fn doubt(&mut self) {
        self.relied.doubt();
    }

    /// Whether an update has become visible that was not looked at: it is not complete, but what there is to be read by then is
    /// there now.
    pub const fn is_swapped(&self) -> bool {
        self.is_swapped
    }

    /// Whether the kernel refuses inotify, altogether or for a part.
    pub const fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Whether anything was armed that was not before, since this was asked last.
    pub const fn take_armed_new(&mut self) -> bool {
        core::mem::replace(&mut self.armed_new, false)
    }

    /// Whether something is there that no event may tell of, though whoever changes it is on this machine.
    pub const fn is_incomplete(&self) -> bool {
        self.refused.is_some() || self.last.incomplete
    }

    /// Whether events alone will not tell of every change.
    pub const fn is_blind(&self) -> bool {
        self.is_incomplete() || self.last.remote
    }

    /// Arms everything below the roots and reads it; arms what was read in `openings`, and finds out what has
    /// changed in `changes`. Whether it was not `interrupted` on the way.
    pub fn look(
        &mut self,
        roots: CommaList<'_>,
        now: Instant,
        openings: &mut OpenWatches,
        changes: &mut Changes,
        report: &mut Report,
        interrupted: &dyn Fn() -> bool,
    ) -> bool {
        // Whoever keeps a file open for ever is not waited for twice.
        self.writing = Writing::default();
        let refused_before = self.refused;
        let retry = refused_before.is_some_and(|(_, at)| at <= now);
        let mut is_fresh = false;
        if self.stale || retry {
            self.refused = None;
            // Closed first, because its watches count towards the limit. What comes in between is found by the look.
            self.inotify = None;
            self.relied.doubt();
            match inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC) {
                Ok(fresh) => {
                    self.inotify = Some(fresh);
                    (self.highest, self.gone) = (0, 0);
                    self.stale = false;
                    is_fresh = true;
                }
                Err(errno) => {
                    self.refused = Some((errno, now.plus(RETRY)));
                    report.old.metrics.add(Metric::WatchErrors, 1);
                }
            }
        }
        self.relied.begin(self.highest);
        self.is_swapped = false;
        let mut looking = Looking {
            watch: self,
            openings,
            changes,
            report,
            interrupted,
            now,
            look: Look::default(),
            reads: !is_fresh,
            broken_off: false,
            asked: 0,
        };
        // Where nothing is armed, every directory is before the first file is read, however much there is to read.
        let fingerprint = loop {
            let fingerprint = looking.walk(roots);
            if looking.broken_off {
                return false;
            }
            if core::mem::replace(&mut looking.reads, true) {
                break fingerprint;
            }
            looking.look = Look::default();
        };
        let mut look = looking.look;
        let kept = fingerprint_to_keep(&look, &self.last, &mut self.short_since, now);
        look.fingerprint = kept.unwrap_or(fingerprint);
        if self.last.unreadable > 0 && look.unreadable == 0 {
            report
                .old
                .tell(Level::Info, words!("everything can be read again"));
        }
        self.last = look;
        self.relied.end(!self.is_blind());
        self.report(refused_before, report);
        true
    }

    fn report(&self, before: Option<(Errno, Instant)>, report: &mut Report) {
        match (before, self.refused) {
            (None, Some((errno, _))) => {
                let line = report.old.line(Level::Warn);
                line.say(words!("inotify is refused: ")).errno(errno);
                line.say(words!("; comparing the content at intervals instead"));
                if errno == Errno::MFILE {
                    line.say(words!(". Raise fs.inotify.max_user_instances on the node, or the limit of open files"));
                } else {
                    advise(line, errno);
                }
                line.send();
            }
            (Some(_), None) => report.old.tell(Level::Info, words!("inotify works again")),
            _ => {}
        }
    }

    /// Takes the events that have come. The strongest change among them, if there was one.
    pub fn drain(&mut self, report: &mut Report) -> Option<Change> {
        let inotify = self.inotify.as_ref()?;
        let mut buffer = [MaybeUninit::uninit(); EVENTS_SIZE];
        let mut reader = Reader::new(inotify, &mut buffer);
        let mut strongest = None;
        for _ in 0..EVENTS_MAX {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map_or(&b""[..], |name| name.to_bytes());
                    let decoded = decode(event.events(), name);
                    let line = report.old.line(Level::Debug).say(words!("event"));
                    line.key_number("watch", event.wd() as u64)
                        .key("name", name);
                    describe(line, event.events());
                    line.send();
                    report.old.metrics.add(Metric::WatchEvents, 1);
                    self.gone += i32::from(event.events().contains(ReadFlags::IGNORED));
                    self.stale |= decoded.stale;
                    strongest = strongest.max(decoded.change);
                    self.writing.event(event.wd(), name, event.events());
                    self.relied.event(event.wd(), name);
                    self.is_swapped |= is_swap(event.events(), name);
                    if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                        report.old.metrics.add(Metric::QueueOverflows, 1);
                        if self
                            .overflow_said
                            .is_none_or(|at| sys::now().since(at) >= RETRY)
                        {
                            self.overflow_said = Some(sys::now());
                            report.old.tell(Level::Warn, words!("inotify's queue overflowed and events were lost; reading everything again. If this goes on, raise fs.inotify.max_queued_events"));
                        }
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(errno) => {
                    report
                        .old
                        .line(Level::Error)
                        .say(words!("cannot read inotify events: "))
                        .errno(errno)
                        .say(words!("; arming everything again"))
                        .send();
                    report.old.metrics.add(Metric::WatchErrors, 1);
                    self.stale = true;
                    return strongest.max(Some(Change::Finished));
                }
            }
        }
        match strongest {
            // Another file is half written.
            Some(Change::Gone | Change::Finished) if self.writing.is_going_on() => {
                Some(Change::Writing)
            }
            strongest => strongest,
        }
    }
}

#[cfg(fuzzing)]
impl Watch {
    /// Takes events from `inotify`, and whether they have left the watches stale.
    pub fn drain_from(inotify: OwnedFd, report: &mut Report) -> (Option<Change>, bool) {
        let mut watch = Self {
            inotify: Some(inotify),
            stale: false,
            ..Self::new()
        };
        (watch.drain(report), watch.stale)
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

/// What was seen before, while descriptors or memory are short: that something cannot be read for a moment is no change. After
/// some time it is, so that one shortage that stays does not hide all changes.
fn fingerprint_to_keep(
    look: &Look,
    previous: &Look,
    short_since: &mut Option<Instant>,
    now: Instant,
) -> Option<Fingerprint> {
    if !look.short {
        *short_since = None;
        return None;
    }
    let since = *short_since.get_or_insert(now);
    let is_first = previous.fingerprint == Fingerprint::default();
    (!is_first && now.since(since) < RETRY).then_some(previous.fingerprint)
}

/// What to do about a refusal; inotify(7), `/proc` interfaces.
fn advise(line: &mut Log, errno: Errno) {
    match errno {
        Errno::MFILE => line.say(words!(". Raise the limit of open files")),
        Errno::NFILE => line.say(words!(". Raise fs.file-max on the node")),
        Errno::NOSPC => line.say(words!(". Raise fs.inotify.max_user_watches on the node")),
        Errno::NOSYS => line.say(words!(". This kernel has none")),
        Errno::ACCESS => line.say(words!(
            ". The user that this runs as must be allowed to read the directories"
        )),
        _ => line,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_nanoseconds(1_000_000_000_000);

    fn look_of(number: u64, short: bool) -> Look {
        let mut fingerprint = Fingerprint::default();
        fingerprint.add(crate::fingerprint::Entry::of(
            crate::fingerprint::Key::root(b"root"),
            crate::fingerprint::Kind::Large,
            &[number],
        ));
        Look {
            fingerprint,
            files: 1,
            short,
            ..Look::default()
        }
    }

    #[test]
    fn w8_inotify_that_was_refused_is_tried_again_every_minute() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let mut report = Report::new();
        let mut watch = Watch::new();
        let mut look = |watch: &mut Watch, ms| {
            let roots = CommaList::new(path.as_bytes());
            watch.look(
                roots,
                START.plus(Millis(ms)),
                &mut OpenWatches::disabled(),
                &mut Changes::new(),
                &mut report,
                &|| false,
            )
        };
        watch.stale = false;
        watch.refused = Some((Errno::NOSPC, START.plus(RETRY)));
        assert!(look(&mut watch, 59_999));
        assert!(watch.is_blind() && watch.inotify().is_none());
        assert!(look(&mut watch, 60_000));
        assert!(!watch.is_blind() && watch.inotify().is_some());
    }

    #[test]
    fn w7_every_directory_is_armed_before_the_first_file_is_read() {
        const DIRECTORIES: i32 = 40;
        // Whoever reads it asks whether to break off more often than somebody who passes all the directories.
        const FILE_SIZE: usize = 1 << 20;
        let root = tempfile::tempdir().unwrap();
        for directory in 0..DIRECTORIES {
            let directory = root.path().join(std::format!("{directory}"));
            std::fs::create_dir(&directory).unwrap();
            std::fs::write(directory.join("file"), std::vec![0; FILE_SIZE]).unwrap();
        }
        let path = root.path().to_str().unwrap();
        let mut watch = Watch::new();
        let asked = core::cell::Cell::new(0);
        let is_whole = watch.look(
            CommaList::new(path.as_bytes()),
            START,
            &mut OpenWatches::disabled(),
            &mut Changes::new(),
            &mut Report::new(),
            &|| asked.replace(asked.get() + 1) == 2 * DIRECTORIES / 32 + 1,
        );
        assert!(!is_whole, "in the first file");
        assert!(watch.watches() > DIRECTORIES, "{}", watch.watches());
    }

    #[test]
    fn l6_what_a_look_has_told_is_not_told_again_if_it_was_broken_off() {
        let directory = tempfile::tempdir().unwrap();
        let [comes, goes, file] = ["comes", "goes", "file"].map(|name| directory.path().join(name));
        std::fs::create_dir(&goes).unwrap();
        std::fs::write(&file, std::vec![0; 1 << 20]).unwrap();
        let path = directory.path().display();
        let roots = std::format!("{path}/comes,{path}/goes,{path}/file");
        let mut report = Report::new();
        let mut watch = Watch::new();
        let mut look = |interrupted: &dyn Fn() -> bool| {
            let roots = CommaList::new(roots.as_bytes());
            let (mut openings, mut changes) = (OpenWatches::disabled(), Changes::new());
            let is_whole = watch.look(
                roots,
                START,
                &mut openings,
                &mut changes,
                &mut report,
                interrupted,
            );
            (is_whole, watch.missing())
        };
        assert_eq!(look(&|| false), (true, 0b01));
        std::fs::create_dir(comes).unwrap();
        std::fs::remove_dir(goes).unwrap();
        assert_eq!(look(&|| true), (false, 0b10), "in the file");
        assert_eq!(look(&|| false), (true, 0b10));
    }

    #[test]
    fn what_was_read_before_counts_for_a_minute_of_shortage() {
        let (full, short) = (look_of(1, false), look_of(2, true));
        // Not even the roots could be read.
        let full = Look { files: 0, ..full };
        let mut since = None;
        let mut keep =
            |look: &Look, ms| fingerprint_to_keep(look, &full, &mut since, START.plus(Millis(ms)));
        assert_eq!(keep(&short, 0), Some(full.fingerprint));
        assert_eq!(keep(&short, 59_999), Some(full.fingerprint));
        assert_eq!(keep(&short, 60_000), None, "one that stays hides nothing");
        assert_eq!(keep(&full, 60_001), None);
        assert_eq!(keep(&short, 70_000), Some(full.fingerprint), "another one");
    }

    #[test]
    fn in_a_shortage_at_the_start_what_can_be_read_counts() {
        let nothing = Look::default();
        let kept = fingerprint_to_keep(&look_of(1, true), &nothing, &mut None, START);
        assert_eq!(kept, None);
    }
}
