//! Roots that are missing: their going is no change, but who starts meanwhile does not find them. Pure.

use crate::base::time::Instant;

/// The missing roots.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    /// One bit for each that was missing in the last scan that counted.
    pub(super) roots: u64,
    /// When the first of them went missing.
    pub(super) since: Instant,
}

impl Missing {
    /// Takes the roots that are missing now. Returns since when one was missing that is there again. `first` is the earliest time at
    /// which they may have gone.
    pub(super) fn take(&mut self, roots: u64, first: Instant) -> Option<Instant> {
        let before = core::mem::replace(&mut self.roots, roots);
        if before == 0 {
            self.since = first;
        }
        (before & !roots != 0).then_some(self.since)
    }
}

impl Default for Missing {
    fn default() -> Self {
        Self {
            roots: 0,
            since: Instant::BOOT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w6_a_root_that_is_back_was_missing_since_the_first_one_went() {
        let at = |seconds: u64| Instant::from_nanoseconds(seconds * 1_000_000_000);
        let mut missing = Missing::default();
        assert_eq!(missing.take(0, at(1)), None);
        assert_eq!(missing.take(0b01, at(2)), None);
        assert_eq!(missing.take(0b11, at(3)), None);
        assert_eq!(missing.take(0b01, at(4)), Some(at(2)));
        assert_eq!(missing.take(0b10, at(5)), Some(at(2)));
        assert_eq!(missing.take(0, at(6)), Some(at(2)));
        assert_eq!(missing.take(0, at(7)), None);
    }
}
