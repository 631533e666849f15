//! The time after a signal in which the application is expected to open files. Pure.

use crate::base::time::{Instant, Millis};
use crate::fingerprint::hash;
use crate::reload::REACTION;

/// The time after the first opened file in which further ones are counted.
const COUNTING: Millis = Millis(200);
/// The most files counted.
const FILES_MAX: usize = 64;

/// The outcome of a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// This many different files were opened, the first this long after the signal.
    Confirmed { files: u32, after: Millis },
    /// No file was opened.
    Unread,
    /// No file was seen being opened, but one may have been.
    Unknown,
}

/// The window after one signal.
#[derive(Debug)]
pub(super) struct Window {
    sent: Instant,
    first_opened: Option<Instant>,
    /// True if an opened file may have been missed.
    is_blurred: bool,
    /// The hashes of the different files' watches and names.
    files: [u32; FILES_MAX],
    count: usize,
}

impl Window {
    /// Opens a window for a signal sent now.
    pub(super) const fn new(sent: Instant) -> Self {
        Self {
            sent,
            first_opened: None,
            is_blurred: false,
            files: [0; FILES_MAX],
            count: 0,
        }
    }

    /// Records that a file was opened: `name` in the watched directory, or the watched file itself.
    pub(super) fn record(&mut self, watch: i32, name: &[u8], now: Instant) {
        self.first_opened.get_or_insert(now);
        let file = hash(watch as u64, name) as u32;
        let is_new = !self.files[..self.count].contains(&file);
        if is_new && self.count < FILES_MAX {
            self.files[self.count] = file;
            self.count += 1;
        }
    }

    /// Records that an opened file may have been missed: from now on, seeing none proves nothing.
    pub(super) const fn blur(&mut self) {
        self.is_blurred = true;
    }

    /// Returns true while no file was opened.
    pub(super) const fn is_waiting(&self) -> bool {
        self.first_opened.is_none()
    }

    /// Returns when the outcome is known at the latest.
    pub(super) fn deadline(&self) -> Instant {
        match self.first_opened {
            Some(at) => at.plus(COUNTING),
            None => self.sent.plus(REACTION),
        }
    }

    /// Returns the outcome once the deadline has passed.
    pub(super) fn outcome(&self, now: Instant) -> Option<Outcome> {
        if now < self.deadline() {
            return None;
        }
        Some(match self.first_opened {
            Some(at) => Outcome::Confirmed {
                files: self.count as u32,
                after: at.since(self.sent),
            },
            None if self.is_blurred => Outcome::Unknown,
            None => Outcome::Unread,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanoseconds(1_000_000_000_000).plus(Millis(ms))
    }

    #[test]
    fn a1_opened_files_confirm_the_reload_once_they_are_counted() {
        let mut window = Window::new(at(0));
        assert_eq!(window.deadline(), at(5_000));
        window.record(1, b"a", at(12));
        assert!(!window.is_waiting());
        assert_eq!(window.deadline(), at(212));
        for (watch, name) in [(1, "b"), (1, "a"), (2, "a"), (3, ""), (3, "")] {
            window.record(watch, name.as_bytes(), at(100));
        }
        assert_eq!(window.outcome(at(211)), None);
        let confirmed = Outcome::Confirmed {
            files: 4,
            after: Millis(12),
        };
        assert_eq!(window.outcome(at(212)), Some(confirmed));
    }

    #[test]
    fn a1_a_reload_is_unread_after_five_seconds_without_an_opened_file() {
        let window = Window::new(at(0));
        assert_eq!(window.outcome(at(4_999)), None);
        assert_eq!(window.outcome(at(5_000)), Some(Outcome::Unread));
    }

    #[test]
    fn a1_a_blurred_window_can_confirm_a_reload_but_not_deny_it() {
        let mut window = Window::new(at(0));
        window.blur();
        assert_eq!(window.outcome(at(5_000)), Some(Outcome::Unknown));
        window.record(1, b"a", at(4_000));
        let confirmed = Outcome::Confirmed {
            files: 1,
            after: Millis(4_000),
        };
        assert_eq!(window.outcome(at(5_000)), Some(confirmed));
    }

    #[test]
    fn l4_more_than_64_files_count_as_64() {
        let mut window = Window::new(at(0));
        for watch in 0..100 {
            window.record(watch, b"", at(1));
        }
        let confirmed = Outcome::Confirmed {
            files: 64,
            after: Millis(1),
        };
        assert_eq!(window.outcome(at(5_000)), Some(confirmed));
    }
}
