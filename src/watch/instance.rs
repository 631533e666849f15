//! The inotify instance: its descriptor, its watches, and what the kernel refuses.

use super::cache::Cache;
use super::leftover::Leftover;
use crate::base::time::{Instant, Millis};
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags};
use rustix::io::Errno;

/// The pause before a refused inotify is tried again.
pub(super) const RETRY: Millis = Millis(60_000);

/// Why there are no watches, or not all.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    errno: Errno,
    retry_at: Instant,
}

/// An inotify instance, unless it is refused.
#[derive(Debug)]
pub(super) struct Instance {
    fd: Option<OwnedFd>,
    /// The highest watch descriptor so far. The kernel counts upwards, so a higher one is new.
    highest: i32,
    has_armed_new: bool,
    leftover: Leftover,
    refusal: Option<Refusal>,
}

impl Instance {
    /// Returns an instance that is yet to be [opened](Self::open).
    pub(super) const fn new() -> Self {
        Self {
            fd: None,
            highest: 0,
            has_armed_new: false,
            leftover: Leftover::new(),
            refusal: None,
        }
    }

    /// Returns an instance that reads its events from `fd`.
    #[cfg(fuzzing)]
    pub(super) fn of(fd: OwnedFd) -> Self {
        Self {
            fd: Some(fd),
            ..Self::new()
        }
    }

    /// Replaces the instance by one without watches. Returns false if the kernel refuses.
    pub(super) fn open(&mut self, now: Instant) -> bool {
        // Closed first, because the old watches count towards the limit.
        self.fd = None;
        self.highest = 0;
        self.refusal = None;
        match inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC) {
            Ok(fd) => self.fd = Some(fd),
            Err(errno) => self.refuse(errno, now),
        }
        self.fd.is_some()
    }

    /// Returns the descriptor.
    pub(super) const fn fd(&self) -> Option<&OwnedFd> {
        self.fd.as_ref()
    }

    /// Returns the highest watch descriptor, which is also the number of watches ever set.
    pub(super) const fn highest(&self) -> i32 {
        self.highest
    }

    /// Begins a scan.
    pub(super) const fn begin(&mut self) {
        self.leftover.begin(self.highest);
    }

    /// Removes the watches that a complete scan had no use for. It relies on the way to the roots without arming it again.
    pub(super) fn remove_leftover(&self, cache: &Cache) {
        let Some(fd) = &self.fd else {
            return;
        };
        for watch in self.leftover.iter().filter(|it| !cache.relies_on(*it)) {
            // EINVAL: the directory is gone, and its watch with it.
            let _ = inotify::remove_watch(fd, watch);
        }
    }

    /// Takes a watch descriptor from inotify_add_watch(2). Returns true if the watch is new.
    pub(super) fn register(&mut self, watch: i32) -> bool {
        self.leftover.armed(watch);
        let is_new = watch > self.highest;
        self.highest = self.highest.max(watch);
        self.has_armed_new |= is_new;
        is_new
    }

    /// Returns true if a watch has been set since the last call.
    pub(super) const fn take_armed_new(&mut self) -> bool {
        core::mem::replace(&mut self.has_armed_new, false)
    }

    /// Remembers the first refusal.
    pub(super) fn refuse(&mut self, errno: Errno, now: Instant) {
        let retry_at = now.plus(RETRY);
        self.refusal.get_or_insert(Refusal { errno, retry_at });
    }

    /// Returns why the kernel refuses inotify, altogether or for part of the tree.
    pub(super) fn refusal(&self) -> Option<Errno> {
        self.refusal.map(|refusal| refusal.errno)
    }

    /// Returns true if it is time to try a refused inotify again.
    pub(super) fn is_retry_due(&self, now: Instant) -> bool {
        self.refusal.is_some_and(|refusal| refusal.retry_at <= now)
    }
}
