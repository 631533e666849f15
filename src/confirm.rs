//! After the signal: whether the files were read again, and whether the process survived it.
//!
//! A look leaves behind, for each directory and linked file that it has read, a watch for being opened, on an inotify instance
//! of its own. What opens files there after the signal is taken for the application; that a directory is opened says nothing,
//! because whoever writes the next update does so. The program's own looks open files as well: what came until the end of a look
//! is thrown away, and a window in which a look was taken ends without a warning.

mod window;

use crate::base::file::descriptor_path;
use crate::base::time::Instant;
use crate::base::words::Words;
use crate::config::Config;
pub use crate::config::ConfirmMode as Mode;
use crate::process::Process;
use crate::process::guard::is_meant_to_end;
use crate::report::Report;
use crate::report::old_log::{Level, Log};
use crate::report::old_metrics::Metric;
use crate::words;
use core::mem::MaybeUninit;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use window::{Outcome, WINDOW, Window};

/// So many directories and linked files are watched for being opened. Whoever reads more of them reads these, too.
const PLACES_MAX: u32 = 64;
/// So many signalled processes are watched for their end.
pub const TARGETS_MAX: usize = 8;
/// How often a signal that had no effect is sent again.
const RETRIES: u8 = 3;

/// The watches for being opened.
#[derive(Debug)]
pub struct Openings {
    is_wanted: bool,
    inotify: Option<OwnedFd>,
    /// The first and the last watch set since [`disarm`](Self::disarm); the kernel counts upwards.
    first: i32,
    last: i32,
    count: u32,
}

impl Openings {
    /// None; there will be some if they are wanted.
    pub const fn new(is_wanted: bool) -> Self {
        Self {
            is_wanted,
            inotify: None,
            first: 0,
            last: 0,
            count: 0,
        }
    }

    /// Watches a directory or file that was read just now. Where the kernel refuses, nothing can be confirmed.
    pub fn arm(&mut self, fd: BorrowedFd<'_>) {
        if !self.is_wanted || self.count == PLACES_MAX {
            return;
        }
        if self.inotify.is_none() {
            self.inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok();
        }
        let Some(inotify) = &self.inotify else { return };
        let mut path = descriptor_path(fd);
        if let Ok(watch) = inotify::add_watch(inotify, path.as_c_str(), WatchFlags::OPEN)
            && watch > self.last
        {
            if self.count == 0 {
                self.first = watch;
            }
            self.last = watch;
            self.count += 1;
        }
    }

    /// Removes the watches one by one: closing the instance would make the kernel wait for several milliseconds.
    fn disarm(&mut self) {
        let Some(inotify) = &self.inotify else { return };
        if self.count > 0 {
            for watch in self.first..=self.last {
                // One on a file that is gone has gone with it.
                let _ = inotify::remove_watch(inotify, watch);
            }
        }
        self.count = 0;
    }

    /// Takes what was opened until now, and tells the window of each time that a file was.
    fn take(&mut self, mut window: Option<&mut Window>, now: Instant) {
        let Some(inotify) = &self.inotify else { return };
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut reader = Reader::new(inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            let events = event.events();
            if let Some(window) = &mut window
                && events.contains(ReadFlags::OPEN)
                && !events.contains(ReadFlags::ISDIR)
            {
                let name = event.file_name().map_or(&b""[..], |name| name.to_bytes());
                window.opened(event.wd(), name, now);
            }
        }
    }
}

/// A process that was signalled a moment ago.
#[derive(Debug)]
struct Target {
    process: Process,
    /// Readable when it has ended; pidfd_open(2).
    pidfd: OwnedFd,
    sent: Instant,
}

/// What is watched after a signal.
#[derive(Debug)]
pub struct Confirm {
    openings: Openings,
    mode: Mode,
    /// There are files that can be opened.
    has_files: bool,
    window: Option<Window>,
    targets: [Option<Target>; TARGETS_MAX],
    retries_left: u8,
}

impl Confirm {
    /// Nothing was signalled yet.
    pub fn new(config: &Config<'_>) -> Self {
        // Whoever means to end the process does not expect it to read anything.
        let mode = if is_meant_to_end(config.signal) {
            Mode::Off
        } else {
            config.confirm
        };
        Self {
            openings: Openings::new(mode != Mode::Off),
            mode,
            has_files: false,
            window: None,
            targets: [const { None }; TARGETS_MAX],
            retries_left: RETRIES,
        }
    }

    /// What a look arms. What the application opens meanwhile cannot be told from what the look opens.
    pub fn before_look(&mut self, now: Instant) -> &mut Openings {
        self.gather(now);
        // What was armed before may be gone, and counts towards the limit.
        if self.openings.count == PLACES_MAX {
            self.openings.disarm();
        }
        &mut self.openings
    }

    /// A look has been taken, and so many files were found; `None` if it was broken off.
    pub fn after_look(&mut self, files: Option<u32>) {
        self.has_files = files.map_or(self.has_files, |files| files > 0);
        self.discard();
        if let Some(window) = &mut self.window {
            window.blur();
        }
    }

    /// The content is another: what was tried for the last one counts no longer.
    pub const fn content_changed(&mut self) {
        self.retries_left = RETRIES;
    }

    /// Processes are about to be signalled: what was opened until now was not on account of it.
    pub fn before_signal(&mut self) {
        self.discard();
        self.window = None;
    }

    /// A process was signalled, by way of `pidfd` if the kernel has that.
    pub fn signalled(&mut self, process: &Process, pidfd: Option<OwnedFd>, now: Instant) {
        if self.mode == Mode::Off {
            return;
        }
        if self.has_files {
            self.window
                .get_or_insert_with(|| Window::new(now, self.openings.count == 0));
        }
        let Some(pidfd) = pidfd else { return };
        let is_same = |slot: &Option<Target>| {
            (slot.as_ref()).is_some_and(|target| target.process.pid == process.pid)
        };
        let place = (self.targets.iter().position(is_same))
            .or_else(|| self.targets.iter().position(Option::is_none));
        if let Some(place) = place {
            self.targets[place] = Some(Target {
                process: *process,
                pidfd,
                sent: now,
            });
        }
    }

    /// Nothing is going on; what was armed is given up unless a signal may still come.
    pub fn rest(&mut self, is_busy: bool) {
        if self.window.is_none() && !is_busy {
            self.openings.disarm();
        }
    }

    /// When [`due`](Self::due) is to be called at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        let window = self.window.as_ref().map(Window::deadline);
        let targets = self.targets.iter().flatten().map(Target::deadline);
        targets.chain(window).min()
    }

    /// What to poll: whatever has not been waited for until then is [`due`](Self::due).
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let window = self.window.as_ref().filter(|window| window.is_waiting());
        let openings = window.and(self.openings.inotify.as_ref());
        let targets = self.targets.iter().flatten().map(|target| &target.pidfd);
        targets.chain(openings).map(AsFd::as_fd)
    }

    /// Says what has come of the signal, if that is clear by now. Whether it is to be sent again.
    pub fn due(&mut self, config: &Config<'_>, now: Instant, report: &mut Report) -> bool {
        let mut one_has_ended = false;
        for slot in &mut self.targets {
            let Some(target) = slot else { continue };
            if has_ended(&target.pidfd) {
                report.old.line(Level::Error).say(words!(
                    "the process has ended after the signal; is the new configuration valid?"
                ));
                config.signal.name_in(&mut report.old);
                target
                    .process
                    .name_in(&mut report.old)
                    .key_number("after_ms", now.since(target.sent).0)
                    .send();
                report.old.metrics.add(Metric::TargetExits, 1);
                report.old.metrics.add(Metric::ReloadsFailed, 1);
                report.old.metrics.set(Metric::LastReloadSuccessful, 0);
                *slot = None;
                one_has_ended = true;
            } else if target.deadline() <= now {
                *slot = None;
            }
        }
        if one_has_ended && self.targets.iter().all(Option::is_none) {
            // Nobody is left to read anything.
            self.window = None;
        }
        self.gather(now);
        let Some(outcome) = (self.window.as_ref()).and_then(|window| window.outcome(now)) else {
            return false;
        };
        self.window = None;
        match outcome {
            Outcome::Confirmed { files, after_ms } => {
                self.retries_left = RETRIES;
                report.old.metrics.add(Metric::Confirmations, 1);
                report
                    .old
                    .line(Level::Info)
                    .say(words!("reload confirmed"))
                    .key_number("files", files.into())
                    .key_number("after_ms", after_ms)
                    .send();
                false
            }
            Outcome::Unknown => {
                report
                    .old
                    .line(Level::Debug)
                    .say(words!("whether the files were read again cannot be told"))
                    .send();
                false
            }
            Outcome::Unread => {
                let again = self.mode == Mode::Retry && self.retries_left > 0;
                report.old.line(Level::Warn).say(words!("the signal was sent, and none of the watched files has been opened since; does the application read them again on this signal?"));
                report.old.say(if again {
                    words!(" Sending it again")
                } else {
                    Words::NONE
                });
                config.signal.name_in(&mut report.old).send();
                report.old.metrics.add(Metric::Unconfirmed, 1);
                self.retries_left -= u8::from(again);
                again
            }
        }
    }

    fn gather(&mut self, now: Instant) {
        if self.window.is_some() {
            self.openings.take(self.window.as_mut(), now);
        }
    }

    fn discard(&mut self) {
        self.openings.take(None, Instant::NEVER);
    }
}

impl Target {
    const fn deadline(&self) -> Instant {
        self.sent.plus(WINDOW)
    }
}

fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut descriptors = [PollFd::new(pidfd, PollFlags::IN)];
    rustix::event::poll(&mut descriptors, Some(&crate::base::sys::AT_ONCE))
        .is_ok_and(|ready| ready > 0)
}
