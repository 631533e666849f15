//! The time after a signal in which files are expected to be opened. Pure.

use crate::base::time::{Instant, Millis};
use crate::fingerprint::hash;

/// How long after a signal something is expected to happen, in milliseconds. A JVM takes a second or two.
pub(super) const WINDOW: Millis = Millis(5_000);
/// How long after the first file the others are counted, in milliseconds.
const COUNT: Millis = Millis(200);
/// So many different files are counted.
const FILES_MAX: usize = 64;

/// What a window has shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// So many different files were opened, the first of them so long after the signal.
    Confirmed { files: u32, after_ms: u64 },
    /// Nothing was.
    Unread,
    /// Nothing was, as far as that can be told.
    Unknown,
}

/// The window of one signal.
#[derive(Debug)]
pub(super) struct Window {
    sent: Instant,
    opened: Option<Instant>,
    is_blurred: bool,
    /// Of each file the hash of where it was opened.
    files: [u32; FILES_MAX],
    count: usize,
}

impl Window {
    /// A signal was sent now; where the kernel refuses to watch anything, what comes of it cannot be told.
    pub(super) const fn new(sent: Instant, is_blurred: bool) -> Self {
        Self {
            sent,
            opened: None,
            is_blurred,
            files: [0; FILES_MAX],
            count: 0,
        }
    }

    /// A file was opened: `name` in the directory of this watch, or what the watch itself is on.
    pub(super) fn opened(&mut self, watch: i32, name: &[u8], now: Instant) {
        self.opened.get_or_insert(now);
        let file = hash(watch as u64, name) as u32;
        let is_new = !self.files[..self.count].contains(&file);
        if is_new && self.count < FILES_MAX {
            self.files[self.count] = file;
            self.count += 1;
        }
    }

    /// The sidecar has opened the files itself: that nothing more comes is no sign any more.
    pub(super) const fn blur(&mut self) {
        self.is_blurred = true;
    }

    /// Whether nothing was opened yet.
    pub(super) const fn is_waiting(&self) -> bool {
        self.opened.is_none()
    }

    /// When the outcome is clear.
    pub(super) fn deadline(&self) -> Instant {
        match self.opened {
            Some(at) => at.plus(COUNT),
            None => self.sent.plus(WINDOW),
        }
    }

    /// What has come of it, if that is clear.
    pub(super) fn outcome(&self, now: Instant) -> Option<Outcome> {
        if now < self.deadline() {
            return None;
        }
        Some(match self.opened {
            Some(at) => Outcome::Confirmed {
                files: self.count as u32,
                after_ms: at.since(self.sent).0,
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
    fn files_that_are_opened_confirm_the_reload_when_they_have_been_counted() {
        let mut window = Window::new(at(0), false);
        assert_eq!(window.deadline(), at(5_000));
        window.opened(1, b"a", at(12));
        assert!(!window.is_waiting());
        assert_eq!(window.deadline(), at(212));
        for (watch, name) in [(1, "b"), (1, "a"), (2, "a"), (3, ""), (3, "")] {
            window.opened(watch, name.as_bytes(), at(100));
        }
        assert_eq!(window.outcome(at(211)), None);
        let confirmed = Outcome::Confirmed {
            files: 4,
            after_ms: 12,
        };
        assert_eq!(window.outcome(at(212)), Some(confirmed));
    }

    #[test]
    fn nothing_opened_in_five_seconds_is_nothing_read() {
        let window = Window::new(at(0), false);
        assert_eq!(window.outcome(at(4_999)), None);
        assert_eq!(window.outcome(at(5_000)), Some(Outcome::Unread));
    }

    #[test]
    fn a_look_of_ones_own_leaves_it_open_whether_nothing_was_read() {
        let mut window = Window::new(at(0), false);
        window.blur();
        assert_eq!(window.outcome(at(5_000)), Some(Outcome::Unknown));
        // But what was opened before or after it was opened by somebody else.
        window.opened(1, b"a", at(4_000));
        assert!(matches!(
            window.outcome(at(5_000)),
            Some(Outcome::Confirmed { .. })
        ));
    }

    #[test]
    fn more_files_than_can_be_told_apart_are_as_many_as_can() {
        let mut window = Window::new(at(0), false);
        for watch in 0..100 {
            window.opened(watch, b"", at(1));
        }
        let Some(Outcome::Confirmed { files, .. }) = window.outcome(at(5_000)) else {
            panic!("confirmed");
        };
        assert_eq!(files, 64);
    }
}
