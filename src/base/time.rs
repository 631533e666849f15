//! Points in time and spans of it. Pure: clocks are read in [`sys`](super::sys).

use core::ops::Add;
use rustix::event::Timespec;

/// Start times in `/proc/PID/stat` are in these units on every architecture this program is built for: `USER_HZ`, proc_pid_stat(5).
pub const TICK: Millis = Millis(10);

/// A span of time in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Returns a span of this many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// Returns the whole seconds, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// Returns a span `factor` times as long.
    #[must_use]
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Add for Millis {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// A point in time: nanoseconds since boot, time asleep included (`CLOCK_BOOTTIME`; clock_gettime(2)).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Instant(u64);

impl Instant {
    /// Before anything happens.
    pub const BOOT: Self = Self(0);
    /// After everything that happens.
    pub const NEVER: Self = Self(u64::MAX);

    /// Returns the instant this many nanoseconds after boot.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// Returns the nanoseconds since boot.
    pub const fn as_nanoseconds(self) -> u64 {
        self.0
    }

    /// Returns the instant `span` later.
    #[must_use]
    // Not inlined: it is called in many places.
    #[inline(never)]
    pub const fn plus(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0.saturating_mul(1_000_000)))
    }

    /// Returns the instant `span` earlier, but not before boot.
    #[must_use]
    pub const fn minus(self, span: Millis) -> Self {
        self.minus_nanoseconds(span.0.saturating_mul(1_000_000))
    }

    /// Returns the instant this many nanoseconds earlier, but not before boot.
    #[must_use]
    pub const fn minus_nanoseconds(self, nanoseconds: u64) -> Self {
        Self(self.0.saturating_sub(nanoseconds))
    }

    /// Returns the time since `earlier`; zero if that is not earlier.
    // Not inlined: it is called in many places.
    #[inline(never)]
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0) / 1_000_000)
    }
}

/// The latest time to wake up, if there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// Nothing is due at any time.
    pub const NONE: Self = Self(None);

    /// Returns the earlier of this deadline and `other`, if there is one.
    #[must_use]
    pub fn or_earlier(self, other: Option<Instant>) -> Self {
        match (self.0, other) {
            (Some(a), Some(b)) => Self(Some(a.min(b))),
            (a, b) => Self(a.or(b)),
        }
    }

    /// Returns the timeout of a poll(2) that begins `now`; `None` if there is no deadline.
    pub fn timeout(self, now: Instant) -> Option<Timespec> {
        let nanoseconds = self.0?.0.saturating_sub(now.0);
        Some(Timespec {
            tv_sec: (nanoseconds / 1_000_000_000) as _,
            tv_nsec: (nanoseconds % 1_000_000_000) as _,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Instant = Instant::from_nanoseconds(1_000_000_000_000);

    #[test]
    fn the_earliest_deadline_decides_how_long_to_wait() {
        let deadline = Deadline::NONE
            .or_earlier(None)
            .or_earlier(Some(NOON.plus(Millis(1500))))
            .or_earlier(Some(NOON.plus(Millis(2000))));
        let timeout = deadline.timeout(NOON).unwrap();
        assert_eq!((timeout.tv_sec, timeout.tv_nsec), (1, 500_000_000));
        let late = deadline.timeout(NOON.plus(Millis(9000))).unwrap();
        assert_eq!((late.tv_sec, late.tv_nsec), (0, 0));
        assert!(Deadline::NONE.timeout(NOON).is_none());
    }

    #[test]
    fn time_saturates_at_both_ends() {
        assert_eq!(Instant::NEVER.plus(Millis(1)), Instant::NEVER);
        assert_eq!(Instant::BOOT.minus(Millis(1)), Instant::BOOT);
        assert_eq!(NOON.since(NOON.plus(Millis(1))), Millis::ZERO);
        assert_eq!(NOON.plus(Millis(7)).since(NOON), Millis(7));
    }
}
