//! The result of a scan. Pure.

use crate::fingerprint::Fingerprint;
use crate::tree::{BOUNDS, Shortfall};

/// The result of a scan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Snapshot {
    /// Stands for everything that was read.
    pub fingerprint: Fingerprint,
    /// Regular files found.
    pub files: u32,
    /// Directories found, the roots among them.
    pub directories: u32,
    /// The newest ctime of what was read, in milliseconds since the epoch.
    pub newest_ms: u64,
    /// Something could not be read, and there may be no event when it can be.
    pub is_incomplete: bool,
    /// Something could not be read for a moment: file descriptors or memory ran short, or another process held a lease.
    pub is_short: bool,
    /// A root that exceeds its bounds was not read again. Its earlier result stands in.
    pub is_deferred: bool,
    /// The problems of the tree.
    pub problems: Problems,
}

/// The problems that a tree can have. Each is logged when a scan first finds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Problems {
    /// One bit for each root that is missing or cannot be read.
    pub missing_roots: u64,
    /// An entry cannot be read.
    pub has_unreadable: bool,
    /// A directory may not be listed.
    pub has_unlisted: bool,
    /// A directory is too deep to be entered.
    pub has_too_deep: bool,
    /// For each bound, one bit for each root that exceeds it.
    pub exceeded: [u64; BOUNDS],
    /// Part of the tree is on a file system that others can change without an event.
    pub is_remote: bool,
}

impl Problems {
    /// Adds the problem that a shortfall is; `bit` stands for its root. Returns true if it is new.
    pub(super) fn set(&mut self, shortfall: Shortfall, bit: u64) -> bool {
        let flag = match shortfall {
            Shortfall::Unreadable(_) => &mut self.has_unreadable,
            Shortfall::Unlisted => &mut self.has_unlisted,
            Shortfall::TooDeep => &mut self.has_too_deep,
            Shortfall::Exceeded(bound) => {
                let roots = &mut self.exceeded[bound as usize];
                let is_new = *roots & bit == 0;
                *roots |= bit;
                return is_new;
            }
        };
        !core::mem::replace(flag, true)
    }

    /// Returns one bit for each root that exceeds a bound.
    pub fn exceeding(&self) -> u64 {
        self.exceeded.iter().fold(0, |all, roots| all | roots)
    }

    /// Takes over the problems of a root that is not read. `bit` stands for it.
    pub(super) fn carry_over(&mut self, earlier: &Self, bit: u64) {
        self.has_unreadable |= earlier.has_unreadable;
        self.has_unlisted |= earlier.has_unlisted;
        self.has_too_deep |= earlier.has_too_deep;
        self.is_remote |= earlier.is_remote;
        for (roots, earlier) in self.exceeded.iter_mut().zip(earlier.exceeded) {
            *roots |= earlier & bit;
        }
    }
}
