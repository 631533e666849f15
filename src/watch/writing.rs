//! Which files are being written to. Pure.

use crate::fingerprint::hash;
use rustix::fs::inotify::ReadFlags;

/// So many files are told apart. Of more than these, one that is not known is taken for finished.
const FILES_MAX: usize = 16;

/// What ends the writing of a file by its name: it was closed, or it is not there any more.
const ENDS: ReadFlags = ReadFlags::CLOSE_WRITE
    .union(ReadFlags::DELETE)
    .union(ReadFlags::MOVED_FROM);

/// The files that were written to and not closed since the last look.
#[derive(Debug, Default)]
pub(super) struct Writing {
    /// The watch and a hash of the name; 0 for none.
    files: [(i32, u32); FILES_MAX],
}

impl Writing {
    /// Takes in one event.
    pub(super) fn event(&mut self, watch: i32, name: &[u8], events: ReadFlags) {
        let file = (watch, hash(0, name) as u32);
        let known = self.files.iter().position(|it| *it == file);
        if events.contains(ReadFlags::MODIFY) {
            let free = || self.files.iter().position(|it| it.0 == 0);
            if let Some(at) = known.or_else(free) {
                self.files[at] = file;
            }
        } else if events.contains(ReadFlags::IGNORED) {
            self.files.iter_mut().for_each(|it| {
                if it.0 == watch {
                    *it = (0, 0);
                }
            });
        } else if let Some(at) = known.filter(|_| events.intersects(ENDS)) {
            self.files[at] = (0, 0);
        }
    }

    /// Whether a file is being written to.
    pub(super) fn is_going_on(&self) -> bool {
        self.files.iter().any(|it| it.0 != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn going_on(events: &[(i32, &str, ReadFlags)]) -> bool {
        let mut writing = Writing::default();
        for (watch, name, events) in events {
            writing.event(*watch, name.as_bytes(), *events);
        }
        writing.is_going_on()
    }

    const WRITTEN: ReadFlags = ReadFlags::MODIFY;
    const CLOSED: ReadFlags = ReadFlags::CLOSE_WRITE;

    #[test]
    fn a_file_is_being_written_to_until_it_is_closed() {
        assert!(!going_on(&[]));
        assert!(going_on(&[(1, "a", WRITTEN)]));
        assert!(going_on(&[
            (1, "a", WRITTEN),
            (1, "b", WRITTEN),
            (1, "b", CLOSED)
        ]));
        assert!(!going_on(&[
            (1, "a", WRITTEN),
            (1, "a", WRITTEN),
            (1, "a", CLOSED)
        ]));
        assert!(going_on(&[(1, "a", WRITTEN), (2, "a", CLOSED)]));
        assert!(going_on(&[(1, "a", WRITTEN), (1, "a", ReadFlags::ATTRIB)]));
    }

    #[test]
    fn a_file_that_is_gone_is_not_waited_for() {
        for gone in [ReadFlags::DELETE, ReadFlags::MOVED_FROM] {
            assert!(!going_on(&[(1, "a", WRITTEN), (1, "a", gone)]));
        }
        let all = [(1, "a", WRITTEN), (1, "b", WRITTEN)];
        assert!(!going_on(&[all[0], all[1], (1, "", ReadFlags::IGNORED)]));
        assert!(going_on(&[all[0], (2, "", ReadFlags::IGNORED)]));
    }

    #[test]
    fn of_too_many_files_those_that_are_known_are_waited_for() {
        let mut writing = Writing::default();
        for watch in 1..100 {
            writing.event(watch, b"a", WRITTEN);
        }
        assert!(writing.is_going_on());
        for watch in 1..100 {
            writing.event(watch, b"a", CLOSED);
        }
        assert!(!writing.is_going_on());
    }
}
