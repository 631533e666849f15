//! The state of each root, between scans and during one.

use crate::base::sys;
use crate::base::time::{Instant, Millis};
use crate::config::MAX_ROOTS;
use crate::fingerprint::Fingerprint;
use crate::tree::Budget;

/// The longest time for which a shortage may hide changes.
const SHORTAGE_MAX: Millis = Millis(60_000);
/// A root that exceeds its bounds is read again only after this many times the time that took, so that it leaves time for the others.
const DEFERRAL: u64 = 4;
/// The least time until it is read again.
const DEFERRAL_MIN: Millis = Millis(1_000);

/// The roots as earlier scans found them.
#[derive(Debug)]
pub(super) struct Roots {
    pub(super) all: [Root; MAX_ROOTS as usize],
    /// When a root that exceeds its bounds is to be read again.
    pub(super) read_again_at: Instant,
    pub(super) shortage: Shortage,
}

/// The state of a root from one scan to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Root {
    /// Its part of the fingerprint.
    pub(super) part: Fingerprint,
    /// The step at which its walk stops, because an earlier one ran out of time.
    pub(super) steps_max: u32,
}

impl Roots {
    /// Returns the roots before the first scan.
    pub(super) fn new() -> Self {
        let root = Root {
            part: Fingerprint::default(),
            steps_max: u32::MAX,
        };
        Self {
            all: [root; MAX_ROOTS as usize],
            read_again_at: Instant::BOOT,
            shortage: Shortage::default(),
        }
    }

    /// Puts off the next reading of a root that exceeds its bounds, which has taken this long.
    pub(super) fn defer(&mut self, took: Millis) {
        let pause = took.times(DEFERRAL).max(DEFERRAL_MIN);
        self.read_again_at = self.read_again_at.max(sys::now().plus(pause));
    }

    /// Lets the next scan read every root as the first one did.
    pub(super) fn lift_limits(&mut self) {
        self.read_again_at = Instant::BOOT;
        for root in &mut self.all {
            root.steps_max = u32::MAX;
        }
    }
}

/// Decides how long the previous result is kept while something cannot be read for a moment: failing to read a file is not a change to
/// it.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    since: Option<Instant>,
}

impl Shortage {
    /// Returns true while a shortage is so short that the previous result is kept. If it lasts, not all changes may be hidden.
    pub(super) fn hides_changes(&mut self, now: Instant) -> bool {
        now.since(*self.since.get_or_insert(now)) < SHORTAGE_MAX
    }

    /// Ends the shortage.
    pub(super) const fn end(&mut self) {
        self.since = None;
    }
}

/// The findings below one root so far.
pub(super) struct RootState {
    /// One bit for the root.
    pub(super) bit: u64,
    pub(super) budget: Budget,
    /// The processor time when its walk began.
    started: Millis,
    /// Something could not be read, but soon can be.
    pub(super) is_short: bool,
}

impl RootState {
    /// Returns the state before the walk below the root with this index.
    pub(super) fn new(at: usize, steps_max: u32) -> Self {
        Self {
            bit: 1 << at,
            budget: Budget::new(steps_max),
            started: sys::processor_time(),
            is_short: false,
        }
    }
    /// Returns the processor time that the walk has taken.
    pub(super) fn took(&self) -> Millis {
        Millis(sys::processor_time().0 - self.started.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_nanoseconds(1_000_000_000_000);

    #[test]
    fn a_shortage_hides_changes_for_a_minute() {
        let mut shortage = Shortage::default();
        for (ms, hides) in [(0, true), (59_999, true), (60_000, false)] {
            assert_eq!(shortage.hides_changes(START.plus(Millis(ms))), hides);
        }
        shortage.end();
        assert!(
            shortage.hides_changes(START.plus(Millis(70_000))),
            "the next one"
        );
    }
}
