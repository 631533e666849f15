//! Which watches the last look relied on, and what their events mean for it. Events of others tell of what an update has
//! replaced, and nothing about what was read. Pure.

use crate::tree::Part;

/// So many watches that a look has found set already are told apart: the directories on the way to a volume, and the volume.
/// What an update brings has new ones.
const KNOWN_MAX: usize = 16;

/// A watch that was there before the look.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    watch: i32,
    /// A directory laid out by AtomicWriter.
    is_volume: bool,
    /// A directory on the way to something, in which one name decides.
    is_on_way: bool,
}

/// The watches of the last look, and what has happened to them since.
#[derive(Debug)]
pub(super) struct Relied {
    /// The highest watch there was before the look; those above it were all set by the look.
    before: i32,
    known: [Known; KNOWN_MAX],
    /// The place in `known` of the watch that was set last; none is left if this is its length.
    last: usize,
    /// The way to the roots is armed, and nothing has happened on it since.
    is_way_known: bool,
    /// Something on the way was armed by this look.
    is_way_new: bool,
    /// Nothing has happened since the look that could make another one find anything else.
    is_current: bool,
}

impl Relied {
    /// There was no look, or what it armed is gone.
    pub(super) const fn new() -> Self {
        const NONE: Known = Known {
            watch: 0,
            is_volume: false,
            is_on_way: false,
        };
        Self {
            before: 0,
            known: [NONE; KNOWN_MAX],
            last: 0,
            is_way_known: false,
            is_way_new: false,
            is_current: false,
        }
    }

    /// A look begins, and the highest watch is this one.
    pub(super) fn begin(&mut self, highest: i32) {
        let is_way_known = self.is_way_known;
        for known in &mut self.known {
            known.is_volume = false;
            if !is_way_known {
                *known = Known::default();
            }
        }
        self.before = highest;
        self.is_way_new = false;
        self.is_current = false;
    }

    /// The kernel has answered with this watch.
    pub(super) fn set(&mut self, watch: i32, part: Part) {
        if watch > self.before {
            self.is_way_new |= matches!(part, Part::Names | Part::Itself);
            self.last = KNOWN_MAX;
            return;
        }
        let is_it = |known: &Known| known.watch == watch || known.watch == 0;
        self.last = self.known.iter().position(is_it).unwrap_or(KNOWN_MAX);
        if let Some(known) = self.known.get_mut(self.last) {
            known.watch = watch;
            known.is_on_way |= part == Part::Names;
        }
    }

    /// The directory whose watch was set last is a volume's: of the names that begin with two dots only `..data` leads anywhere.
    pub(super) fn volume(&mut self) {
        if let Some(known) = self.known.get_mut(self.last) {
            known.is_volume = true;
        }
    }

    /// The look has read everything; whether events tell of all that can happen to it.
    pub(super) fn end(&mut self, is_told: bool) {
        self.is_current = is_told;
        self.is_way_known = is_told && !self.is_full();
    }

    /// Takes in an event.
    pub(super) fn event(&mut self, watch: i32, name: &[u8]) {
        let (is_read, is_way) = match self.known.iter().find(|known| known.watch == watch) {
            _ if watch > self.before => (true, self.is_way_new),
            Some(known) if known.is_volume && !name.is_empty() => {
                let leads_anywhere = name == b"..data" || !name.starts_with(b"..");
                (leads_anywhere, known.is_on_way)
            }
            Some(_) => (true, true),
            // It may be one that there was no room for, or none at all: events were lost.
            None => (watch < 0 || self.is_full(), watch < 0),
        };
        self.is_current &= !is_read;
        self.is_way_known &= !is_way;
    }

    /// What was found is not to be relied on any more.
    pub(super) const fn doubt(&mut self) {
        self.is_current = false;
        self.is_way_known = false;
    }

    /// Whether another look would find the same.
    pub(super) const fn is_current(&self) -> bool {
        self.is_current
    }

    /// Whether the way to the roots need not be followed again.
    pub(super) const fn is_way_known(&self) -> bool {
        self.is_way_known
    }

    const fn is_full(&self) -> bool {
        self.known[KNOWN_MAX - 1].watch != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[u8] = b"..2026_11_25_12_00_00.1234";

    /// The second look at a volume, 3, the way to which leads through 1 and 2. An update has brought 10.
    fn relied() -> Relied {
        let mut relied = Relied::new();
        for highest in [0, 9] {
            relied.begin(highest);
            relied.set(1, Part::Itself);
            relied.set(2, Part::Names);
            relied.set(3, Part::Itself);
            relied.set(3, Part::Tree);
            relied.volume();
            relied.set(10, Part::Tree);
            relied.end(true);
        }
        relied
    }

    /// Whether the look is current, and the way known, after one event.
    fn after(mut relied: Relied, watch: i32, name: &[u8]) -> (bool, bool) {
        relied.event(watch, name);
        (relied.is_current(), relied.is_way_known())
    }

    #[test]
    fn what_happens_on_the_way_puts_everything_in_doubt() {
        for watch in [1, 2] {
            for name in [&b""[..], b"app.conf", OLD] {
                assert_eq!(after(relied(), watch, name), (false, false));
            }
        }
        assert_eq!(
            after(relied(), 3, b""),
            (false, false),
            "the volume's own end"
        );
    }

    #[test]
    fn what_happens_in_a_volume_says_nothing_of_the_way() {
        for name in [&b"app.conf"[..], b"..data"] {
            assert_eq!(after(relied(), 3, name), (false, true));
        }
        assert_eq!(after(relied(), 10, b"app.conf"), (false, true));
    }

    #[test]
    fn what_an_update_has_replaced_says_nothing() {
        for (watch, name) in [
            (4, &b"app.conf"[..]),
            (9, b""),
            (3, OLD),
            (3, b"..data_tmp"),
        ] {
            assert_eq!(after(relied(), watch, name), (true, true));
        }
    }

    #[test]
    fn lost_events_and_doubt_concern_everything() {
        assert_eq!(after(relied(), -1, b""), (false, false));
        let mut relied = relied();
        relied.doubt();
        assert!(!relied.is_current() && !relied.is_way_known());
    }

    #[test]
    fn after_the_first_look_nothing_is_known_apart() {
        let mut relied = Relied::new();
        relied.begin(0);
        relied.set(1, Part::Itself);
        relied.set(3, Part::Tree);
        relied.end(true);
        assert!(relied.is_current());
        assert_eq!(after(relied, 3, b"..data"), (false, false));
    }

    #[test]
    fn a_directory_that_is_no_volume_any_more_has_no_names_of_its_own() {
        let mut relied = relied();
        relied.begin(10);
        relied.set(3, Part::Tree);
        relied.end(true);
        assert_eq!(after(relied, 3, OLD), (false, false));
    }

    #[test]
    fn a_volume_on_the_way_to_another_root_is_on_the_way() {
        let mut relied = relied();
        relied.begin(10);
        relied.set(3, Part::Tree);
        relied.volume();
        relied.set(3, Part::Names);
        relied.end(true);
        assert_eq!(after(relied, 3, b"..data"), (false, false));
    }

    #[test]
    fn a_look_that_was_broken_off_is_not_current() {
        let mut relied = relied();
        relied.begin(10);
        assert!(!relied.is_current());
    }

    #[test]
    fn where_there_is_no_room_left_every_event_counts() {
        let mut relied = Relied::new();
        relied.begin(100);
        for watch in 1..=50 {
            relied.set(watch, Part::Tree);
            relied.volume();
        }
        relied.end(true);
        assert!(!relied.is_way_known());
        assert!(!after(relied, 60, b"a").0);
    }
}
