//! Watches what happens after a signal: whether the files are read again, and whether the process survives.
//!
//! A scan arms an [`OpenWatches`] for every directory and linked file that it reads. A process that opens a file there after
//! the signal is taken for the application. The sidecar's own scans open files as well, so events that came before the end of a
//! scan are discarded, and a window that overlaps with a scan ends without a warning.

mod open_watches;
mod window;

pub use open_watches::OpenWatches;

use crate::base::file;
use crate::base::signal::Signal;
use crate::base::time::{Instant, Millis};
use crate::config::{Config, ConfirmMode};
use crate::reload::REACTION;
use crate::report::Report;
use crate::report::facts::Subject;
use crate::report::facts::confirming::Confirming;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::dup;
use window::{Outcome, Window};

/// The most signalled processes watched for their end.
pub const TARGETS_MAX: usize = 8;
/// The time from the end of a process to its report: if the sidecar is stopped within it, the Pod was, and the signal is not to blame.
const GRACE: Millis = Millis(2_000);
/// The number of times that a signal without effect is sent again.
const RETRIES: u8 = 3;

/// A process that was signalled a moment ago.
#[derive(Debug)]
struct Target {
    subject: Subject,
    /// Readable when the process has ended; pidfd_open(2). `None` once that was seen.
    pidfd: Option<OwnedFd>,
    sent: Instant,
    ended: Option<Instant>,
}

impl Target {
    fn deadline(&self) -> Instant {
        match self.ended {
            Some(ended) => ended.plus(GRACE),
            None => self.sent.plus(REACTION),
        }
    }

    /// Returns true if the process was found to have ended just now.
    fn check(&mut self, now: Instant) -> bool {
        let has_ended = |pidfd: &mut OwnedFd| file::is_readable(pidfd.as_fd());
        let has_ended = self.pidfd.take_if(has_ended).is_some();
        if has_ended {
            self.ended = Some(now);
        }
        has_ended
    }
}

/// The state of the watch on the effect of signals.
#[derive(Debug)]
pub struct Confirm {
    mode: ConfirmMode,
    signal: Signal,
    open_watches: OpenWatches,
    /// True if the last scan found files, which the application can open.
    has_files: bool,
    window: Option<Window>,
    targets: [Option<Target>; TARGETS_MAX],
    retries_left: u8,
}

impl Confirm {
    /// Returns the state before any signal.
    pub fn new(config: &Config<'_>) -> Self {
        // A process that is meant to end is not expected to read anything.
        let mode = if config.signal.is_meant_to_end() {
            ConfirmMode::Off
        } else {
            config.confirm
        };
        Self {
            mode,
            signal: config.signal,
            open_watches: match mode {
                ConfirmMode::Off => OpenWatches::disabled(),
                ConfirmMode::Warn | ConfirmMode::Retry => OpenWatches::enabled(),
            },
            has_files: false,
            window: None,
            targets: [const { None }; TARGETS_MAX],
            retries_left: RETRIES,
        }
    }

    /// Prepares for a scan and returns the watches that it arms.
    pub fn before_scan(&mut self, now: Instant) -> &mut OpenWatches {
        // Files that others open during the scan cannot be told from those that the scan opens.
        self.record(now);
        // Some of the watches may be on files that are gone, and they count towards the limit.
        if self.open_watches.is_full() {
            self.open_watches.disarm();
        }
        &mut self.open_watches
    }

    /// Takes the number of files that a scan has found; `None` if it was interrupted.
    pub fn after_scan(&mut self, files: Option<u32>) {
        self.has_files = files.map_or(self.has_files, |files| files > 0);
        self.discard();
        if let Some(window) = &mut self.window {
            window.blur();
        }
    }

    /// Allows all retries again, because the content has changed.
    pub const fn content_changed(&mut self) {
        self.retries_left = RETRIES;
    }

    /// Forgets which files were opened so far, because processes are about to be signalled.
    pub fn before_signal(&mut self) {
        self.discard();
        self.window = None;
    }

    /// Starts to watch the effect of a signal. `pidfd` is `None` if the kernel has none.
    pub fn signalled(&mut self, subject: Subject, pidfd: Option<&OwnedFd>, now: Instant) {
        if self.mode == ConfirmMode::Off {
            return;
        }
        if self.has_files && self.window.is_none() {
            let mut window = Window::new(now);
            if self.open_watches.is_empty() {
                // The kernel refused every watch.
                window.blur();
            }
            self.window = Some(window);
        }
        // Without a descriptor of its own, its end goes unnoticed.
        if let Some(Ok(pidfd)) = pidfd.map(dup) {
            self.watch_target(Target {
                subject,
                pidfd: Some(pidfd),
                sent: now,
                ended: None,
            });
        }
    }

    /// Keeps a target in the slot of the same process or a free one. If there is none, its end goes unnoticed.
    fn watch_target(&mut self, target: Target) {
        let is_same = |slot: &Option<Target>| {
            (slot.as_ref()).is_some_and(|other| other.subject.pid == target.subject.pid)
        };
        let slot = (self.targets.iter().position(is_same))
            .or_else(|| self.targets.iter().position(Option::is_none));
        if let Some(slot) = slot {
            self.targets[slot] = Some(target);
        }
    }

    /// Removes the watches unless a window is open. To be called when no signal is pending.
    pub fn disarm_if_idle(&mut self) {
        if self.window.is_none() {
            self.open_watches.disarm();
        }
    }

    /// Returns when to call [`conclude`](Self::conclude) at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        let window = self.window.as_ref().map(Window::deadline);
        let targets = self.targets.iter().flatten().map(Target::deadline);
        targets.chain(window).min()
    }

    /// Returns the descriptors to poll; when one is readable, call [`conclude`](Self::conclude).
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let window = self.window.as_ref().filter(|window| window.is_waiting());
        let opened = window.and(self.open_watches.descriptor());
        let targets = self
            .targets
            .iter()
            .flatten()
            .filter_map(|target| target.pidfd.as_ref());
        targets.chain(opened).map(AsFd::as_fd)
    }

    /// Reports the effect of the signal, as far as it is clear by now. Returns true if the signal should be sent again.
    pub fn conclude(&mut self, now: Instant, report: &mut Report) -> bool {
        self.check_targets(now, report);
        self.record(now);
        let Some(outcome) = (self.window.as_ref()).and_then(|window| window.outcome(now)) else {
            return false;
        };
        self.window = None;
        let is_retried =
            outcome == Outcome::Unread && self.mode == ConfirmMode::Retry && self.retries_left > 0;
        report.record(&match outcome {
            Outcome::Confirmed { files, after } => {
                self.retries_left = RETRIES;
                Confirming::Confirmed { files, after }
            }
            Outcome::Unknown => Confirming::Unknown,
            Outcome::Unread => Confirming::Unread {
                signal: self.signal,
                is_retried,
            },
        });
        self.retries_left -= u8::from(is_retried);
        is_retried
    }

    /// Reports the targets that ended a while ago, and drops those whose time is over.
    fn check_targets(&mut self, now: Instant, report: &mut Report) {
        let mut one_has_ended = false;
        for slot in &mut self.targets {
            let Some(target) = slot else { continue };
            one_has_ended |= target.check(now);
            if target.deadline() > now {
                continue;
            }
            if let Some(ended) = target.ended {
                report.record(&Confirming::TargetEnded {
                    signal: self.signal,
                    subject: target.subject,
                    after: ended.since(target.sent),
                });
            }
            *slot = None;
        }
        let mut targets = self.targets.iter().flatten();
        if one_has_ended && targets.all(|target| target.ended.is_some()) {
            // No process is left to open a file.
            self.window = None;
        }
    }

    /// Records in the open window, if any, which files were opened.
    fn record(&mut self, now: Instant) {
        if let Some(window) = &mut self.window {
            self.open_watches
                .take(&mut |watch, name| window.record(watch, name, now));
        }
    }

    /// Discards the events that have come.
    fn discard(&mut self) {
        self.open_watches.take(&mut |_, _| {});
    }
}
