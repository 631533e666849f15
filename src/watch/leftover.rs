//! Finds the watches that an update has made useless. Pure.
//!
//! The previous timestamped directory of a volume keeps its watch until it is removed. Each file in it would then give an event
//! and wake the sidecar, which slows down the removal: the very step that the application waits for.

use core::ops::Range;

/// The most watches looked after. An update sets one for each directory it brings.
const MAX: i32 = 64;

/// The watches that the last scan set, as far as the present one has not armed them again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leftover {
    /// The highest watch before the last scan.
    before_last: i32,
    /// The highest watch before the present scan.
    before: i32,
    /// One bit for each watch since `before_last` that is armed again.
    used: u64,
}

impl Leftover {
    /// Returns the state before the first scan.
    pub(super) const fn new() -> Self {
        Self {
            before_last: 0,
            before: 0,
            used: 0,
        }
    }

    /// Begins a scan. `highest` is the highest watch so far.
    pub(super) const fn begin(&mut self, highest: i32) {
        self.before_last = self.before;
        self.before = highest;
        self.used = 0;
    }

    /// Takes a watch that the scan has armed.
    pub(super) fn armed(&mut self, watch: i32) {
        if self.range().contains(&watch) {
            self.used |= self.bit(watch);
        }
    }

    /// Returns the watches that a complete scan had no use for.
    pub(super) fn iter(self) -> impl Iterator<Item = i32> {
        self.range()
            .filter(move |watch| self.used & self.bit(*watch) == 0)
    }

    /// Returns the watches that the last scan set, but none if they are too many.
    fn range(&self) -> Range<i32> {
        let end = match self.before - self.before_last {
            0..=MAX => self.before + 1,
            _ => 0,
        };
        self.before_last + 1..end
    }

    const fn bit(&self, watch: i32) -> u64 {
        1 << (watch - self.before_last - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Returns what is left over after scans that arm these watches.
    fn left_over(scans: &[&[i32]]) -> Vec<i32> {
        let mut leftover = Leftover::new();
        let mut highest = 0;
        for scan in scans {
            leftover.begin(highest);
            for watch in *scan {
                leftover.armed(*watch);
                highest = highest.max(*watch);
            }
        }
        leftover.iter().collect()
    }

    #[test]
    fn w2_the_previous_timestamped_directory_needs_no_watch() {
        assert_eq!(left_over(&[&[1, 2, 3]]), [0; 0]);
        assert_eq!(left_over(&[&[1, 2, 3], &[1, 2, 4]]), [3]);
        assert_eq!(left_over(&[&[1, 2, 3], &[1, 2, 4], &[1, 2, 5]]), [4]);
        assert_eq!(left_over(&[&[1, 2, 3], &[1, 2, 3]]), [0; 0]);
    }

    #[test]
    fn watches_from_before_the_last_scan_are_kept() {
        // The scan does not arm the way to the roots again while it is valid.
        assert_eq!(left_over(&[&[1, 2, 3], &[1, 2, 4], &[5]]), [4]);
    }

    #[test]
    fn too_many_new_watches_are_all_kept() {
        let many: Vec<i32> = (1..=MAX).collect();
        assert_eq!(left_over(&[&many, &[1]]).len(), 63);
        let too_many: Vec<i32> = (1..=MAX + 1).collect();
        assert_eq!(left_over(&[&too_many, &[1]]), [0; 0]);
    }

    #[test]
    fn an_instance_without_watches_begins_anew() {
        let mut leftover = Leftover::new();
        leftover.begin(7);
        leftover.begin(0);
        assert_eq!(leftover.iter().count(), 0);
    }
}
