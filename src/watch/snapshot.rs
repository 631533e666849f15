//! The result of a scan. Pure.

use crate::base::time::{Instant, Millis};
use crate::fingerprint::Fingerprint;

/// The longest time for which a shortage may hide changes.
const SHORTAGE_MAX: Millis = Millis(60_000);

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
    /// File descriptors or memory ran short, so something was not read.
    pub is_short: bool,
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
    /// A directory is too deep to be entered.
    pub has_too_deep: bool,
    /// A root has too many entries.
    pub has_too_many: bool,
    /// Part of the tree is on a file system that others can change without an event.
    pub is_remote: bool,
}

/// Decides which fingerprint to use while file descriptors or memory run short.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    since: Option<Instant>,
}

impl Shortage {
    /// Returns the fingerprint to use. During a shortage that is the previous one: failing to read a file is not a change to it.
    /// If the shortage lasts, it is the current one again, so that not all changes are hidden.
    pub(super) fn fingerprint(
        &mut self,
        current: &Snapshot,
        previous: &Snapshot,
        now: Instant,
    ) -> Fingerprint {
        if !current.is_short {
            self.since = None;
            return current.fingerprint;
        }
        let since = *self.since.get_or_insert(now);
        let has_previous = previous.fingerprint != Fingerprint::default();
        if has_previous && now.since(since) < SHORTAGE_MAX {
            previous.fingerprint
        } else {
            current.fingerprint
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::Secret;

    const START: Instant = Instant::from_nanoseconds(1_000_000_000_000);

    fn snapshot(name: &[u8], is_short: bool) -> Snapshot {
        let mut fingerprint = Fingerprint::default();
        fingerprint.add(Secret::new([7; 16]).root(0).child(name).name());
        Snapshot {
            fingerprint,
            is_short,
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_shortage_hides_changes_for_a_minute() {
        let (full, short) = (snapshot(b"full", false), snapshot(b"short", true));
        let mut shortage = Shortage::default();
        let mut after =
            |current: &Snapshot, ms| shortage.fingerprint(current, &full, START.plus(Millis(ms)));
        assert_eq!(after(&short, 0), full.fingerprint);
        assert_eq!(after(&short, 59_999), full.fingerprint);
        assert_eq!(after(&short, 60_000), short.fingerprint);
        let changed = snapshot(b"changed", false);
        assert_eq!(after(&changed, 60_001), changed.fingerprint);
        assert_eq!(after(&short, 70_000), full.fingerprint, "the next shortage");
    }

    #[test]
    fn a_shortage_at_startup_hides_nothing() {
        let short = snapshot(b"short", true);
        let fingerprint = Shortage::default().fingerprint(&short, &Snapshot::default(), START);
        assert_eq!(fingerprint, short.fingerprint);
    }
}
