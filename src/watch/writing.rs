//! Tracks which files are open for writing, by the events alone. Pure.

use crate::fingerprint::hash;
use rustix::fs::inotify::ReadFlags;

/// The most files tracked. Any more count as closed.
const FILES_MAX: usize = 16;

/// Events after which a file is no longer open for writing under its name.
const ENDS: ReadFlags = ReadFlags::CLOSE_WRITE
    .union(ReadFlags::DELETE)
    .union(ReadFlags::MOVED_FROM);

/// A file by its directory's watch and a hash of its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct File {
    watch: i32,
    name: u32,
}

/// Tracks files that are open for writing, by name, until they are closed or gone.
#[derive(Debug, Default)]
pub(super) struct Writing {
    files: [Option<File>; FILES_MAX],
}

impl Writing {
    /// Takes one event.
    pub(super) fn observe(&mut self, watch: i32, name: &[u8], events: ReadFlags) {
        let file = File {
            watch,
            name: hash(0, name) as u32,
        };
        if events.contains(ReadFlags::MODIFY) {
            self.insert(file);
        } else if events.contains(ReadFlags::IGNORED) {
            self.remove(|other| other.watch == watch);
        } else if events.intersects(ENDS) {
            self.remove(|other| other == file);
        }
    }

    /// Returns true if a file is open for writing.
    pub(super) fn is_in_progress(&self) -> bool {
        self.files.iter().any(Option::is_some)
    }

    fn insert(&mut self, file: File) {
        let is_tracked = self.files.contains(&Some(file));
        let free = self.files.iter_mut().find(|slot| slot.is_none());
        if let Some(slot) = free.filter(|_| !is_tracked) {
            *slot = Some(file);
        }
    }

    fn remove(&mut self, is_meant: impl Fn(File) -> bool) {
        for slot in &mut self.files {
            *slot = slot.filter(|file| !is_meant(*file));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_progress_after(events: &[(i32, &str, ReadFlags)]) -> bool {
        let mut writing = Writing::default();
        for (watch, name, events) in events {
            writing.observe(*watch, name.as_bytes(), *events);
        }
        writing.is_in_progress()
    }

    const WRITTEN: (i32, &str, ReadFlags) = (1, "a", ReadFlags::MODIFY);

    #[test]
    fn a_file_is_in_progress_from_the_first_write_until_it_is_closed_or_gone() {
        assert!(!in_progress_after(&[]));
        assert!(in_progress_after(&[WRITTEN]));
        for ends in [
            (1, "a", ReadFlags::CLOSE_WRITE),
            (1, "a", ReadFlags::DELETE),
            (1, "a", ReadFlags::MOVED_FROM),
            (1, "", ReadFlags::IGNORED),
        ] {
            assert!(!in_progress_after(&[WRITTEN, WRITTEN, ends]), "{ends:?}");
        }
    }

    #[test]
    fn events_of_other_files_and_other_kinds_do_not_end_it() {
        for other in [
            (1, "b", ReadFlags::CLOSE_WRITE),
            (2, "a", ReadFlags::CLOSE_WRITE),
            (2, "", ReadFlags::IGNORED),
            (1, "a", ReadFlags::ATTRIB),
        ] {
            assert!(in_progress_after(&[WRITTEN, other]), "{other:?}");
        }
    }

    #[test]
    fn files_beyond_the_limit_are_not_tracked() {
        let mut writing = Writing::default();
        for watch in 1..100 {
            writing.observe(watch, b"a", ReadFlags::MODIFY);
        }
        assert!(writing.is_in_progress());
        for watch in 1..=FILES_MAX as i32 {
            writing.observe(watch, b"a", ReadFlags::CLOSE_WRITE);
        }
        assert!(!writing.is_in_progress());
    }
}
