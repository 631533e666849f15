//! Which watches the last look relied on, and what their events mean for it. Events of others tell of what an update has
//! replaced, and nothing about what was read. Pure.

use crate::fingerprint::Fingerprint;
use crate::tree::{Part, Volume};

/// So many watches that a look has found set already are told apart: the directories on the way to a volume, and the volume.
/// What an update brings has new ones.
const KNOWN_MAX: usize = 16;

/// What a watch is relied on for, as bits: the parts of directories on the way, in one of which one name decides,
const NAMES: u8 = 1 << Part::Names as u8;
const WAY: u8 = NAMES | 1 << Part::Itself as u8;
/// and, beside the other parts, a directory laid out by AtomicWriter.
const VOLUME: u8 = 1 << 7;

/// A watch that was there before the look.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    watch: i32,
    /// Nothing if the last look did not come across it.
    parts: u8,
    /// What a volume shows, if nothing has come or gone there since it was listed.
    names: Fingerprint,
}

/// The watches of the last look, and what has happened to them since.
#[derive(Clone, Debug)]
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
    pub(super) fn new() -> Self {
        Self {
            before: 0,
            known: [Known::default(); KNOWN_MAX],
            last: 0,
            is_way_known: false,
            is_way_new: false,
            is_current: false,
        }
    }

    /// A look begins, and the highest watch is this one.
    pub(super) fn begin(&mut self, highest: i32) {
        for known in &mut self.known {
            known.parts &= WAY;
            if !self.is_way_known {
                *known = Known::default();
            }
        }
        // All that the first look comes across is told apart, as far as there is room.
        self.before = if highest == 0 { i32::MAX } else { highest };
        self.is_way_new = false;
        self.is_current = false;
    }

    /// The kernel has answered with this watch.
    pub(super) fn set(&mut self, watch: i32, part: Part) {
        let bit = 1 << part as u8;
        if watch > self.before {
            self.is_way_new |= bit & WAY != 0;
            self.last = KNOWN_MAX;
            return;
        }
        let is_it = |known: &Known| known.watch == watch || known.watch == 0;
        self.last = self.known.iter().position(is_it).unwrap_or(KNOWN_MAX);
        if let Some(known) = self.known.get_mut(self.last) {
            known.watch = watch;
            known.parts |= bit;
        }
    }

    /// The directory whose watch was set last is a volume's: of the names that begin with two dots only `..data` leads anywhere.
    pub(super) fn volume(&mut self) -> Volume {
        let mut is_known = false;
        if let Some(known) = self.known.get_mut(self.last) {
            known.parts |= VOLUME;
            is_known = known.names != Fingerprint::default();
        }
        Volume {
            number: self.last,
            is_known,
        }
    }

    /// A volume was listed. False if what was known of it, which was relied on, is not so any more.
    pub(super) fn shown(&mut self, volume: usize, names: Fingerprint) -> bool {
        let Some(known) = self.known.get_mut(volume) else {
            return true;
        };
        let before = core::mem::replace(&mut known.names, names);
        let is_so = before == names || before == Fingerprint::default();
        if !is_so {
            known.names = Fingerprint::default();
        }
        is_so
    }

    /// The look has read everything; whether events tell of all that can happen to it.
    pub(super) fn end(&mut self, is_told: bool) {
        self.is_current = is_told;
        // What is new on the way gets a place in `known` when it is come across again.
        self.is_way_known = is_told && !self.is_full() && !self.is_way_new;
    }

    /// Takes in an event.
    pub(super) fn event(&mut self, watch: i32, name: &[u8]) {
        let is_shown = !name.starts_with(b"..");
        let known = self.known.iter_mut().find(|known| known.watch == watch);
        let (is_read, is_way) = match known {
            Some(known) => {
                if is_shown {
                    known.names = Fingerprint::default();
                }
                let leads_anywhere = is_shown || name == b"..data" || known.parts & VOLUME == 0;
                let way = if name.is_empty() { WAY } else { NAMES };
                (leads_anywhere && known.parts != 0, known.parts & way != 0)
            }
            None if watch > self.before => (true, false),
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
    use crate::fingerprint::Key;

    const OLD: &[u8] = b"..2026_11_25_12_00_00.1234";

    /// The second look at a volume, 3, the way to which leads through 1 and 2. An update has brought 10.
    fn relied() -> Relied {
        let mut relied = Relied::new();
        for (highest, data) in [(0, 9), (9, 10)] {
            relied.begin(highest);
            relied.set(1, Part::Itself);
            relied.set(2, Part::Names);
            relied.set(3, Part::Itself);
            relied.set(3, Part::Tree);
            let volume = relied.volume();
            relied.set(data, Part::Tree);
            relied.shown(volume.number, names(1));
            relied.end(true);
        }
        relied
    }

    fn names(number: u8) -> Fingerprint {
        let mut names = Fingerprint::default();
        names.add(Key::root(&[number]).name());
        names
    }

    /// Whether the look is current, and the way known, after one event.
    fn after(relied: &Relied, watch: i32, name: &[u8]) -> (bool, bool) {
        let mut relied = relied.clone();
        relied.event(watch, name);
        (relied.is_current(), relied.is_way_known())
    }

    #[test]
    fn what_happens_on_the_way_puts_everything_in_doubt() {
        for (watch, name) in [(1, &b""[..]), (2, b""), (2, b"app.conf"), (2, OLD)] {
            assert_eq!(after(&relied(), watch, name), (false, false));
        }
        assert_eq!(
            after(&relied(), 3, b""),
            (false, false),
            "the volume's own end"
        );
    }

    #[test]
    fn what_happens_in_a_volume_says_nothing_of_the_way() {
        for name in [&b"app.conf"[..], b"..data"] {
            assert_eq!(after(&relied(), 3, name), (false, true));
        }
        assert_eq!(after(&relied(), 10, b"app.conf"), (false, true));
    }

    #[test]
    fn what_an_update_has_replaced_says_nothing() {
        for (watch, name) in [
            (4, &b"app.conf"[..]),
            (9, b""),
            (3, OLD),
            (3, b"..data_tmp"),
        ] {
            assert_eq!(after(&relied(), watch, name), (true, true));
        }
    }

    #[test]
    fn lost_events_and_doubt_concern_everything() {
        assert_eq!(after(&relied(), -1, b""), (false, false));
        let mut relied = relied();
        relied.doubt();
        assert!(!relied.is_current() && !relied.is_way_known());
    }

    #[test]
    fn the_first_look_tells_apart_what_it_has_armed_itself() {
        let mut relied = Relied::new();
        relied.begin(0);
        relied.set(1, Part::Itself);
        relied.set(2, Part::Names);
        relied.set(3, Part::Tree);
        relied.volume();
        relied.set(4, Part::Tree);
        relied.end(true);
        let after = |watch, name: &[u8]| super::tests::after(&relied, watch, name);
        assert_eq!(after(1, b""), (false, false));
        assert_eq!(after(2, b"link"), (false, false));
        assert_eq!(after(3, b"..data"), (false, true));
        assert_eq!(after(3, OLD), (true, true));
        assert_eq!(after(4, b"app.conf"), (false, true));
    }

    #[test]
    fn a_way_of_which_a_part_is_new_is_followed_again() {
        let mut relied = relied();
        for (highest, is_known) in [(10, false), (11, true)] {
            relied.begin(highest);
            relied.set(11, Part::Names);
            relied.set(3, Part::Tree);
            relied.end(true);
            assert_eq!(relied.is_way_known(), is_known);
        }
        assert_eq!(after(&relied, 11, b"link"), (false, false));
    }

    #[test]
    fn what_only_the_look_before_came_across_says_nothing() {
        let mut relied = Relied::new();
        for (highest, data) in [(0, 2), (2, 3)] {
            relied.begin(highest);
            relied.set(1, Part::Tree);
            relied.volume();
            relied.set(data, Part::Tree);
            relied.end(true);
        }
        for name in [&b"app.conf"[..], b""] {
            assert_eq!(after(&relied, 2, name), (true, true));
            assert!(!after(&relied, 3, name).0);
        }
    }

    /// Whether a look still knows what the volume shows, after an event.
    fn is_known_after(watch: i32, name: &[u8]) -> bool {
        let mut relied = relied();
        relied.event(watch, name);
        relied.begin(10);
        relied.set(3, Part::Tree);
        relied.volume().is_known
    }

    #[test]
    fn what_a_volume_shows_is_known_until_a_name_comes_or_goes() {
        for name in [&b"..data"[..], b"..data_tmp", OLD] {
            assert!(is_known_after(3, name));
        }
        assert!(is_known_after(10, b"app.conf"), "what is behind it");
        assert!(!is_known_after(3, b"app.conf"));
        assert!(!is_known_after(3, b""));
        assert!(!is_known_after(2, b"link"));
        assert!(!is_known_after(-1, b""), "events were lost");
    }

    #[test]
    fn a_volume_that_shows_something_else_is_to_be_listed() {
        let mut relied = relied();
        relied.begin(10);
        relied.set(3, Part::Tree);
        let volume = relied.volume();
        assert!(!relied.shown(volume.number, names(2)));
        assert!(!relied.volume().is_known);
        assert!(relied.shown(volume.number, names(2)));
        assert!(relied.shown(volume.number, names(2)));
        assert!(relied.volume().is_known);
        assert!(!relied.shown(volume.number, Fingerprint::default()));
        assert!(!relied.volume().is_known);
        assert!(relied.shown(KNOWN_MAX, names(2)), "there is no room");
    }

    #[test]
    fn a_directory_that_is_no_volume_any_more_has_no_names_of_its_own() {
        let mut relied = relied();
        relied.begin(10);
        relied.set(3, Part::Tree);
        relied.end(true);
        assert_eq!(after(&relied, 3, OLD), (false, true));
    }

    #[test]
    fn a_volume_on_the_way_to_another_root_is_on_the_way() {
        let mut relied = relied();
        relied.begin(10);
        relied.set(3, Part::Tree);
        relied.volume();
        relied.set(3, Part::Names);
        relied.end(true);
        assert_eq!(after(&relied, 3, b"..data"), (false, false));
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
        assert!(!after(&relied, 60, b"a").0);
    }
}
