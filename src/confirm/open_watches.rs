//! Watches for files being opened.

use crate::base::file::descriptor_path;
use core::mem::MaybeUninit;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

/// The most directories and linked files watched. An application that reads more of them reads these, too.
const WATCHES_MAX: u32 = 64;

/// An inotify instance that watches for files being opened; inotify(7).
#[derive(Debug)]
pub struct OpenWatches {
    is_enabled: bool,
    inotify: Option<OwnedFd>,
    /// The first and the last watch since the last [`disarm`](Self::disarm). The kernel numbers watches upwards.
    first: i32,
    last: i32,
    count: u32,
}

impl OpenWatches {
    /// Returns watches that can be armed.
    pub const fn enabled() -> Self {
        Self::new(true)
    }

    /// Returns watches that are never armed.
    pub const fn disabled() -> Self {
        Self::new(false)
    }

    const fn new(is_enabled: bool) -> Self {
        Self {
            is_enabled,
            inotify: None,
            first: 0,
            last: 0,
            count: 0,
        }
    }

    /// Watches a directory or file, unless there are enough watches already. A refusal is not an error: it only means that
    /// no reload can be confirmed.
    pub fn arm(&mut self, fd: BorrowedFd<'_>) {
        if !self.is_enabled || self.is_full() {
            return;
        }
        if self.inotify.is_none() {
            self.inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok();
        }
        let Some(inotify) = &self.inotify else { return };
        let mut path = descriptor_path(fd);
        if let Ok(watch) = inotify::add_watch(inotify, path.as_c_str(), WatchFlags::OPEN)
            // A lower number belongs to something that is watched already.
            && watch > self.last
        {
            if self.count == 0 {
                self.first = watch;
            }
            self.last = watch;
            self.count += 1;
        }
    }

    /// Removes the watches one by one, because closing the instance would block for several milliseconds.
    pub(super) fn disarm(&mut self) {
        let Some(inotify) = &self.inotify else { return };
        if self.count > 0 {
            for watch in self.first..=self.last {
                // This fails for a file that was removed, whose watch the kernel has removed with it.
                let _ = inotify::remove_watch(inotify, watch);
            }
        }
        self.count = 0;
    }

    /// Returns true if nothing is watched.
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns true if no more watches can be added.
    pub(super) const fn is_full(&self) -> bool {
        self.count == WATCHES_MAX
    }

    /// Returns the descriptor that becomes readable when something is opened.
    pub(super) const fn descriptor(&self) -> Option<&OwnedFd> {
        self.inotify.as_ref()
    }

    /// Takes the events that have come and calls `visit` for each file that was opened: with the watch, and the file's name
    /// if the watch is on its directory.
    pub(super) fn take(&self, visit: &mut dyn FnMut(i32, &[u8])) {
        let Some(inotify) = &self.inotify else { return };
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut reader = Reader::new(inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            let events = event.events();
            // The writer of the next update opens directories, too.
            if events.contains(ReadFlags::OPEN) && !events.contains(ReadFlags::ISDIR) {
                let name = event.file_name().map_or(&b""[..], |name| name.to_bytes());
                visit(event.wd(), name);
            }
        }
    }
}
