//! The bounds of the walk below one root. Pure.
//!
//! Links that lead from each of a dozen directories to all the others make billions of entries, and a thousand links to one file
//! make gigabytes to read. Whatever is reached through links has a bound of its own, so that it does not use up what the real entries
//! need.
//!
//! # Invariants
//! Two walks of an unchanged tree stop at the same entry. Processor time differs from walk to walk, so a walk that runs out of it
//! falls back to a checkpoint, at which the next one stops.

use crate::fingerprint::Fingerprint;

/// The most entries read below one root, not counting those below links.
pub const ENTRIES_MAX: u64 = 1 << 18;
/// The most steps taken through links below one root: names resolved, and entries below links.
pub const LINKS_MAX: u64 = 1 << 16;
/// The most bytes read below one root.
pub const BYTES_MAX: u64 = 1 << 30;
/// The most processor time for one root, in seconds. As many entries as there may be take less.
pub const TIME_MAX: u64 = 5;
/// The number of bounds of which amounts are counted.
const COUNTED: usize = 3;
/// The number of bounds.
pub const BOUNDS: usize = COUNTED + 1;

/// A bound of the walk below one root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    /// `ENTRIES_MAX`. Entries past it are left out.
    Entries,
    /// `LINKS_MAX`. Links past it are not followed.
    Links,
    /// `BYTES_MAX`. Size and times stand in for the content of files past it.
    Bytes,
    /// The processor time. Entries past it are left out.
    Time,
}

/// The rest of the bounds for the walk below one root.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    left: [u64; COUNTED],
    /// Entries read so far, those below links included.
    steps: u32,
    /// The step at which an earlier walk ran out of time.
    steps_max: u32,
    is_late: bool,
    /// The last step whose number is a power of two, and the fingerprint before it.
    checkpoint: (u32, Fingerprint),
}

impl Budget {
    /// Returns the budget of a walk that stops at this step at the latest.
    pub fn new(steps_max: u32) -> Self {
        Self {
            left: [ENTRIES_MAX, LINKS_MAX, BYTES_MAX],
            steps: 0,
            steps_max,
            is_late: false,
            checkpoint: (0, Fingerprint::default()),
        }
    }

    /// Returns the step at which the next walk should stop.
    pub const fn steps_max(&self) -> u32 {
        if self.is_late {
            self.checkpoint.0
        } else {
            self.steps_max
        }
    }

    /// Ends the walk, which has run out of processor time.
    pub const fn expire(&mut self) {
        self.is_late = true;
    }

    /// Takes an amount.
    ///
    /// # Errors
    /// The bound that is reached. Once a bound is reached, every call for it fails.
    pub fn spend(&mut self, bound: Bound, amount: u64) -> Result<(), Bound> {
        if self.is_late {
            return Err(Bound::Time);
        }
        let Some(left) = self.left.get_mut(bound as usize) else {
            return Ok(());
        };
        let Some(rest) = left.checked_sub(amount) else {
            *left = 0;
            return Err(bound);
        };
        *left = rest;
        Ok(())
    }

    /// Takes one entry. `fingerprint` is that of the entries before it.
    ///
    /// # Errors
    /// The bound that is reached.
    pub fn step(&mut self, bound: Bound, fingerprint: Fingerprint) -> Result<(), Bound> {
        self.spend(bound, 1)?;
        if self.steps >= self.steps_max {
            return Err(Bound::Time);
        }
        self.steps += 1;
        if self.steps.is_power_of_two() {
            self.checkpoint = (self.steps - 1, fingerprint);
        }
        Ok(())
    }

    /// Returns the walk's fingerprint; after it has run out of time, that of the checkpoint.
    pub const fn settle(&self, fingerprint: Fingerprint) -> Fingerprint {
        if self.is_late {
            self.checkpoint.1
        } else {
            fingerprint
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(u32::MAX)
    }
}
