//! Merges requests to signal now, SIGUSR1, so that a flood of them does not flood the application. Pure.

use crate::base::time::{Instant, Millis};

/// The requests: at most one of each [`RELOAD_MIN_INTERVAL`](crate::config::Config::min_interval) is met, the first at once.
#[derive(Default)]
pub(super) struct Requests {
    /// When to meet the request that has come.
    due: Option<Instant>,
    /// When the last one was met.
    met: Option<Instant>,
}

impl Requests {
    /// Takes a request. One that is waiting already stands for it too.
    pub(super) fn add(&mut self, now: Instant, min_interval: Millis) {
        let at = self.met.map_or(now, |met| met.plus(min_interval));
        self.due.get_or_insert(at);
    }

    /// Returns when [`take_due`](Self::take_due) returns true.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Returns true if a request is to be met now.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.due.take_if(|due| *due <= now).is_some();
        if is_due {
            self.met = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l1_requests_within_the_minimum_interval_are_merged_into_one() {
        let at = |ms| Instant::from_nanoseconds(1_000_000_000_000).plus(Millis(ms));
        let mut requests = Requests::default();
        let mut met = std::vec::Vec::new();
        for ms in 0..3_000 {
            if ms < 2_500 {
                requests.add(at(ms), Millis(1_000));
            }
            if requests.take_due(at(ms)) {
                met.push(ms);
            }
        }
        assert_eq!(met, [0, 1_000, 2_000]);
        assert_eq!(requests.deadline(), Some(at(3_000)));
    }
}
