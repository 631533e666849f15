//! The meaning of single inotify events; inotify(7). Pure.

use crate::reload::Change;
use core::fmt::{self, Display};
use rustix::fs::inotify::ReadFlags;

/// The meaning of an event for the content.
pub(super) fn change(events: ReadFlags, name: &[u8]) -> Option<Change> {
    let is_old_volume =
        events.contains(ReadFlags::DELETE | ReadFlags::ISDIR) && name.starts_with(b"..");
    if events.contains(ReadFlags::IGNORED) {
        // The end of a watch. Its cause has an event of its own.
        None
    } else if is_old_volume {
        // AtomicWriter's last step, if `..data` was replaced before it.
        Some(Change::Complete)
    } else if events.contains(ReadFlags::DELETE_SELF) {
        Some(Change::Gone)
    } else if events.contains(ReadFlags::MODIFY) {
        Some(Change::Writing)
    } else {
        Some(Change::Finished)
    }
}

/// Returns true if watches may be left on what is no longer in the tree, or events were lost.
pub(super) fn makes_stale(events: ReadFlags) -> bool {
    // A directory that is moved keeps its watch, and so does everything below it.
    let is_moved_directory = events.contains(ReadFlags::MOVED_FROM | ReadFlags::ISDIR);
    let lost = ReadFlags::QUEUE_OVERFLOW | ReadFlags::UNMOUNT | ReadFlags::MOVE_SELF;
    is_moved_directory || events.intersects(lost)
}

/// Returns true if AtomicWriter has made an update visible: only removals are left of it.
pub(super) fn is_swap(events: ReadFlags, name: &[u8]) -> bool {
    events.contains(ReadFlags::MOVED_TO) && name == b"..data"
}

struct Bit {
    flag: ReadFlags,
    name: &'static str,
}

const fn bit(flag: ReadFlags, name: &'static str) -> Bit {
    Bit { flag, name }
}

static BITS: [Bit; 13] = [
    bit(ReadFlags::MODIFY, "MODIFY"),
    bit(ReadFlags::ATTRIB, "ATTRIB"),
    bit(ReadFlags::CLOSE_WRITE, "CLOSE_WRITE"),
    bit(ReadFlags::MOVED_FROM, "MOVED_FROM"),
    bit(ReadFlags::MOVED_TO, "MOVED_TO"),
    bit(ReadFlags::CREATE, "CREATE"),
    bit(ReadFlags::DELETE, "DELETE"),
    bit(ReadFlags::DELETE_SELF, "DELETE_SELF"),
    bit(ReadFlags::MOVE_SELF, "MOVE_SELF"),
    bit(ReadFlags::UNMOUNT, "UNMOUNT"),
    bit(ReadFlags::QUEUE_OVERFLOW, "Q_OVERFLOW"),
    bit(ReadFlags::IGNORED, "IGNORED"),
    bit(ReadFlags::ISDIR, "ISDIR"),
];

/// Writes the names of an event's bits, separated by commas.
pub(super) struct Names(pub(super) ReadFlags);

impl Display for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for bit in BITS.iter().filter(|bit| self.0.contains(bit.flag)) {
            formatter.write_str(separator)?;
            formatter.write_str(bit.name)?;
            separator = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn w2_removing_the_previous_timestamped_directory_completes_an_update() {
        let removed = ReadFlags::DELETE | ReadFlags::ISDIR;
        for (events, name, expected) in [
            (removed, "..2026_11_23_12_00_00.1234", Change::Complete),
            (removed, "conf.d", Change::Finished),
            (ReadFlags::DELETE, "..data_tmp", Change::Finished),
            (ReadFlags::MOVED_TO, "..data", Change::Finished),
        ] {
            assert_eq!(change(events, name.as_bytes()), Some(expected), "{name}");
        }
    }

    #[test]
    fn each_kind_of_event_has_its_meaning() {
        for (events, expected) in [
            (ReadFlags::MODIFY, Some(Change::Writing)),
            (ReadFlags::CLOSE_WRITE, Some(Change::Finished)),
            (ReadFlags::DELETE_SELF, Some(Change::Gone)),
            (ReadFlags::IGNORED, None),
        ] {
            assert_eq!(change(events, b"app.conf"), expected, "{events:?}");
        }
    }

    #[test]
    fn w7_only_lost_events_and_moved_directories_make_watches_stale() {
        for events in [
            ReadFlags::QUEUE_OVERFLOW,
            ReadFlags::UNMOUNT,
            ReadFlags::MOVE_SELF,
            ReadFlags::MOVED_FROM | ReadFlags::ISDIR,
        ] {
            assert!(makes_stale(events), "{events:?}");
        }
        for events in [
            ReadFlags::MOVED_FROM,
            ReadFlags::MOVED_TO | ReadFlags::ISDIR,
            ReadFlags::CREATE | ReadFlags::ISDIR,
            ReadFlags::DELETE | ReadFlags::ISDIR,
            ReadFlags::IGNORED,
        ] {
            assert!(!makes_stale(events), "{events:?}");
        }
    }

    #[test]
    fn events_are_named_as_in_the_manual_page() {
        let names = |events| Names(events).to_string();
        assert_eq!(names(ReadFlags::DELETE | ReadFlags::ISDIR), "DELETE,ISDIR");
        assert_eq!(names(ReadFlags::QUEUE_OVERFLOW), "Q_OVERFLOW");
        assert_eq!(names(ReadFlags::empty()), "");
    }
}
