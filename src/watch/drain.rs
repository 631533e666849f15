//! Takes events from inotify and adds them up.

use super::cache::Cache;
use super::event::{Names, change, is_swap, makes_stale};
use super::writing::Writing;
use crate::base::sys;
use crate::base::time::{Instant, Millis};
use crate::reload::Change;
use crate::report::Report;
use crate::report::facts::watching::Watching;
use core::mem::MaybeUninit;
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{Event, ReadFlags, Reader};
use rustix::io::Errno;

/// Room for at least 7 events with the longest names. The buffer and a log line are on the stack at the same time.
pub(super) const EVENTS_SIZE: usize = 2048;
/// The most events taken at once: a flood of them must not keep the program from anything else.
const EVENTS_MAX: u32 = 10_000;
/// The least time between two log lines about overflows.
const OVERFLOW_LOG_INTERVAL: Millis = Millis(60_000);

/// The sum of the events since the last scan.
#[derive(Debug)]
pub(super) struct Events {
    /// The watches that the last scan relied on.
    pub(super) cache: Cache,
    /// The files that are open for writing.
    pub(super) writing: Writing,
    /// AtomicWriter has made an update visible since the last scan.
    pub(super) is_swapped: bool,
    /// The volume in which `..data` was replaced last, if the previous directory is still to be removed.
    pub(super) swapped: Option<i32>,
    /// Watches may be left on what is no longer in the tree, or events were lost.
    pub(super) is_stale: bool,
    /// The number of watches that ended with their file or directory.
    pub(super) gone: i32,
    overflow_logged: Option<Instant>,
}

impl Events {
    /// Returns the state before the first scan.
    pub(super) fn new() -> Self {
        Self {
            cache: Cache::new(),
            writing: Writing::default(),
            is_swapped: false,
            swapped: None,
            is_stale: true,
            gone: 0,
            overflow_logged: None,
        }
    }

    /// Takes the events that are queued. Returns the strongest change among them.
    pub(super) fn drain(&mut self, inotify: &OwnedFd, report: &mut Report) -> Option<Change> {
        let mut buffer = [MaybeUninit::uninit(); EVENTS_SIZE];
        let mut reader = Reader::new(inotify, &mut buffer);
        let mut strongest = None;
        for _ in 0..EVENTS_MAX {
            match reader.next() {
                Ok(event) => strongest = strongest.max(self.take(&event, report)),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(errno) => {
                    report.record(&Watching::Unreadable(errno));
                    self.is_stale = true;
                    return strongest.max(Some(Change::Finished));
                }
            }
        }
        match strongest {
            // Another file is still being written.
            Some(Change::Gone | Change::Finished) if self.writing.is_in_progress() => {
                Some(Change::Writing)
            }
            strongest => strongest,
        }
    }

    fn take(&mut self, event: &Event<'_>, report: &mut Report) -> Option<Change> {
        let name = event.file_name().map_or(&b""[..], |name| name.to_bytes());
        let (watch, events) = (event.wd(), event.events());
        report.record(&Watching::Event {
            watch,
            name,
            events: &Names(events),
        });
        if events.contains(ReadFlags::QUEUE_OVERFLOW) {
            self.report_overflow(report);
        }
        self.gone += i32::from(events.contains(ReadFlags::IGNORED));
        self.is_stale |= makes_stale(events);
        if is_swap(events, name) {
            self.is_swapped = true;
            self.swapped = Some(watch);
        }
        self.writing.observe(watch, name, events);
        let change = match change(events, name) {
            Some(Change::Complete) if !self.is_last_step(watch) => Some(Change::Finished),
            change => change,
        };
        self.cache.observe(watch, name);
        change
    }

    /// Returns true if the removal of a timestamped directory ends an update: `..data` was replaced before it, and does not lead
    /// there. Where a mirror of the volume removes the directory first, the update is still to come.
    fn is_last_step(&mut self, watch: i32) -> bool {
        // If a scan has followed the replacement, it has read what `..data` leads to, and that is unchanged.
        let is_last = self.swapped == Some(watch) && (self.is_swapped || self.cache.is_current());
        if is_last {
            self.swapped = None;
        }
        is_last
    }

    fn report_overflow(&mut self, report: &mut Report) {
        let now = sys::now();
        let is_repeated =
            (self.overflow_logged).is_some_and(|at| now.since(at) < OVERFLOW_LOG_INTERVAL);
        if !is_repeated {
            self.overflow_logged = Some(now);
        }
        report.record(&Watching::Overflowed { is_repeated });
    }
}
