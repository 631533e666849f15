//! What inotify's events mean; inotify(7). Pure.

use crate::base::words::Words;
use crate::reload::Change;
use crate::report::old_log::Log;
use crate::words;
use rustix::fs::inotify::ReadFlags;

/// What one event means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Decoded {
    pub(super) change: Option<Change>,
    pub(super) stale: bool,
}

/// Pure: inotify(7).
pub(super) fn decode(events: ReadFlags, name: &[u8]) -> Decoded {
    // A directory that was moved keeps its watch; so do all below it, though they may no longer be in the tree.
    let moved_directory = events.contains(ReadFlags::MOVED_FROM | ReadFlags::ISDIR);
    let lost = ReadFlags::QUEUE_OVERFLOW | ReadFlags::UNMOUNT | ReadFlags::MOVE_SELF;
    let old_volume =
        events.contains(ReadFlags::DELETE | ReadFlags::ISDIR) && name.starts_with(b"..");
    let change = if events.contains(ReadFlags::IGNORED) {
        // The end of a watch; what ended it has an event of its own.
        None
    } else if old_volume {
        // The writer removes the previous timestamped directory when everything else is done.
        Some(Change::Complete)
    } else if events.contains(ReadFlags::DELETE_SELF) {
        Some(Change::Gone)
    } else if events.contains(ReadFlags::MODIFY) {
        Some(Change::Writing)
    } else {
        Some(Change::Finished)
    };
    Decoded {
        change,
        stale: moved_directory || events.intersects(lost),
    }
}

/// Whether AtomicWriter has exchanged what a volume's links lead to. What is left of the update are names that come and go.
pub(super) fn is_swap(events: ReadFlags, name: &[u8]) -> bool {
    events.contains(ReadFlags::MOVED_TO) && name == b"..data"
}

/// What an event can hold, by the numbers of its bits.
static BITS: [u8; 13] = [
    ReadFlags::MODIFY.bits().trailing_zeros() as u8,
    ReadFlags::ATTRIB.bits().trailing_zeros() as u8,
    ReadFlags::CLOSE_WRITE.bits().trailing_zeros() as u8,
    ReadFlags::MOVED_FROM.bits().trailing_zeros() as u8,
    ReadFlags::MOVED_TO.bits().trailing_zeros() as u8,
    ReadFlags::CREATE.bits().trailing_zeros() as u8,
    ReadFlags::DELETE.bits().trailing_zeros() as u8,
    ReadFlags::DELETE_SELF.bits().trailing_zeros() as u8,
    ReadFlags::MOVE_SELF.bits().trailing_zeros() as u8,
    ReadFlags::UNMOUNT.bits().trailing_zeros() as u8,
    ReadFlags::QUEUE_OVERFLOW.bits().trailing_zeros() as u8,
    ReadFlags::IGNORED.bits().trailing_zeros() as u8,
    ReadFlags::ISDIR.bits().trailing_zeros() as u8,
];
/// The kernel's names of these.
const NAMES: Words = words!(
    "MODIFY|ATTRIB|CLOSE_WRITE|MOVED_FROM|MOVED_TO|CREATE|DELETE|DELETE_SELF|MOVE_SELF|UNMOUNT|Q_OVERFLOW|IGNORED|ISDIR"
);

pub(super) fn describe(line: &mut Log, events: ReadFlags) {
    line.key_names("events", events.bits(), &BITS, NAMES);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(events: ReadFlags, name: &str) -> Option<Change> {
        decode(events, name.as_bytes()).change
    }

    #[test]
    fn the_previous_timestamped_directory_going_completes_an_update() {
        let gone = ReadFlags::DELETE | ReadFlags::ISDIR;
        assert_eq!(
            change(gone, "..2026_11_23_12_00_00.1234"),
            Some(Change::Complete)
        );
        assert_eq!(change(gone, "conf.d"), Some(Change::Finished));
        assert_eq!(
            change(ReadFlags::DELETE, "..data_tmp"),
            Some(Change::Finished)
        );
        assert_eq!(
            change(ReadFlags::MOVED_TO, "..data"),
            Some(Change::Finished)
        );
    }

    #[test]
    fn a_file_still_open_for_writing_is_not_finished() {
        assert_eq!(change(ReadFlags::MODIFY, "app.conf"), Some(Change::Writing));
        assert_eq!(
            change(ReadFlags::CLOSE_WRITE, "app.conf"),
            Some(Change::Finished)
        );
    }

    #[test]
    fn a_directory_on_the_way_that_is_removed_is_gone() {
        assert_eq!(change(ReadFlags::DELETE_SELF, ""), Some(Change::Gone));
    }

    #[test]
    fn the_end_of_a_watch_says_nothing_new() {
        assert_eq!(change(ReadFlags::IGNORED, ""), None);
    }

    #[test]
    fn watches_are_stale_after_lost_events_and_moved_directories_only() {
        let stale = |events| decode(events, b"x").stale;
        for events in [
            ReadFlags::QUEUE_OVERFLOW,
            ReadFlags::UNMOUNT,
            ReadFlags::MOVE_SELF,
            ReadFlags::MOVED_FROM | ReadFlags::ISDIR,
        ] {
            assert!(stale(events), "{events:?}");
        }
        for events in [
            ReadFlags::MOVED_FROM,
            ReadFlags::MOVED_TO | ReadFlags::ISDIR,
            ReadFlags::CREATE | ReadFlags::ISDIR,
            ReadFlags::DELETE | ReadFlags::ISDIR,
            ReadFlags::IGNORED,
        ] {
            assert!(!stale(events), "{events:?}");
        }
    }
}
