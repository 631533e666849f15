//! The watches that the last scan relied on, so that other events cost no scan. Pure.
//!
//! Watches that the last scan did not use are on files that an update has replaced, so their events say nothing about the content
//! that was read.

use crate::fingerprint::Fingerprint;
use crate::tree::{Role, Volume};

/// The most watches from before the scan that are told apart: the directories on the way to a volume, and the volume. What an update
/// brings has new watches.
const SLOTS_MAX: usize = 16;

/// Roles as bits. The directories on the way to the roots have one of these two.
const LOOKUP: u8 = 1 << Role::Lookup as u8;
const WAY: u8 = LOOKUP | 1 << Role::Ancestor as u8;
/// In addition to its roles, the directory is a volume laid out by AtomicWriter.
const VOLUME: u8 = 1 << 7;

/// A watch from before the scan.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// 0 if the slot is free.
    watch: i32,
    /// The roles it had in the last scan.
    roles: u8,
    /// The visible names of a volume, if none has come or gone since it was listed.
    names: Fingerprint,
}

/// The watches that the last scan relied on, and what has happened to them since.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    /// The highest watch from before the scan. Higher ones were all set by the scan.
    highest_before: i32,
    slots: [Slot; SLOTS_MAX],
    /// The slot of the watch that was armed last; `SLOTS_MAX` if it has none.
    last: usize,
    /// The way to the roots is armed, and nothing has happened on it since.
    is_way_valid: bool,
    /// The scan has set a watch on the way.
    is_way_new: bool,
    /// Nothing has happened since the scan that could change its result.
    is_current: bool,
}

impl Cache {
    /// Returns an empty cache.
    pub(super) fn new() -> Self {
        Self {
            highest_before: 0,
            slots: [Slot::default(); SLOTS_MAX],
            last: 0,
            is_way_valid: false,
            is_way_new: false,
            is_current: false,
        }
    }

    /// Begins a scan. `highest` is the highest watch so far.
    pub(super) fn begin(&mut self, highest: i32) {
        for slot in &mut self.slots {
            slot.roles &= WAY;
            if !self.is_way_valid {
                *slot = Slot::default();
            }
        }
        // The first scan keeps its own watches in slots, as far as there is room.
        self.highest_before = if highest == 0 { i32::MAX } else { highest };
        self.is_way_new = false;
        self.is_current = false;
    }

    /// Takes a watch that the scan has armed.
    pub(super) fn armed(&mut self, watch: i32, role: Role) {
        let role = 1 << role as u8;
        if watch > self.highest_before {
            self.is_way_new |= role & WAY != 0;
            self.last = SLOTS_MAX;
            return;
        }
        let is_same_or_free = |slot: &Slot| slot.watch == watch || slot.watch == 0;
        self.last = (self.slots.iter().position(is_same_or_free)).unwrap_or(SLOTS_MAX);
        if let Some(slot) = self.slots.get_mut(self.last) {
            slot.watch = watch;
            slot.roles |= role;
        }
    }

    /// Marks the directory that was armed last as a volume: of its names that begin with two dots only `..data` matters.
    pub(super) fn enter_volume(&mut self) -> Volume {
        let mut is_cached = false;
        if let Some(slot) = self.slots.get_mut(self.last) {
            slot.roles |= VOLUME;
            is_cached = slot.names != Fingerprint::default();
        }
        Volume {
            slot: self.last,
            is_cached,
        }
    }

    /// Makes every name of a directory matter again that was taken for a volume.
    pub(super) fn volume_broken(&mut self, slot: usize) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.roles &= !VOLUME;
        }
    }

    /// Takes the visible names of a volume. Returns false, and forgets them, if the scan relied on others.
    pub(super) fn volume_listed(&mut self, slot: usize, names: Fingerprint) -> bool {
        let Some(slot) = self.slots.get_mut(slot) else {
            return true;
        };
        let before = core::mem::replace(&mut slot.names, names);
        let is_same = before == names || before == Fingerprint::default();
        if !is_same {
            slot.names = Fingerprint::default();
        }
        is_same
    }

    /// Ends a scan that has read everything, where an event tells of every change.
    pub(super) fn complete(&mut self) {
        self.is_current = true;
        // A new directory on the way gets a slot in the next scan.
        self.is_way_valid = !self.is_full() && !self.is_way_new;
    }

    /// Takes an event.
    pub(super) fn observe(&mut self, watch: i32, name: &[u8]) {
        let is_visible = !name.starts_with(b"..");
        let slot = self.slots.iter_mut().find(|slot| slot.watch == watch);
        let (concerns_content, concerns_way) = match slot {
            Some(slot) => {
                if is_visible {
                    slot.names = Fingerprint::default();
                }
                let matters = is_visible || name == b"..data" || slot.roles & VOLUME == 0;
                let way = if name.is_empty() { WAY } else { LOOKUP };
                (matters && slot.roles != 0, slot.roles & way != 0)
            }
            None if watch > self.highest_before => (true, false),
            // It may be one that had no slot left, or -1: events were lost.
            None => (watch < 0 || self.is_full(), watch < 0),
        };
        self.is_current &= !concerns_content;
        self.is_way_valid &= !concerns_way;
    }

    /// Returns true if the last scan relied on a watch from before it.
    pub(super) fn relies_on(&self, watch: i32) -> bool {
        let mut slots = self.slots.iter();
        slots.any(|slot| slot.watch == watch && slot.roles != 0)
    }

    /// Makes the next scan read everything.
    pub(super) const fn invalidate(&mut self) {
        self.is_current = false;
        self.is_way_valid = false;
    }

    /// Returns true if nothing has changed since the last scan, so that its result can be reused.
    pub(super) const fn is_current(&self) -> bool {
        self.is_current
    }

    /// Returns true if the way to the roots need not be resolved again.
    pub(super) const fn is_way_valid(&self) -> bool {
        self.is_way_valid
    }

    const fn is_full(&self) -> bool {
        self.slots[SLOTS_MAX - 1].watch != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::Secret;

    const OLD: &[u8] = b"..2026_11_25_12_00_00.1234";

    /// Returns the cache after the second scan of a volume, 3, on the way to which are 1 and 2. An update has brought 10.
    fn cache() -> Cache {
        let mut cache = Cache::new();
        for (highest, data) in [(0, 9), (9, 10)] {
            cache.begin(highest);
            cache.armed(1, Role::Ancestor);
            cache.armed(2, Role::Lookup);
            cache.armed(3, Role::Ancestor);
            cache.armed(3, Role::Tree);
            let volume = cache.enter_volume();
            cache.armed(data, Role::Tree);
            cache.volume_listed(volume.slot, names(1));
            cache.complete();
        }
        cache
    }

    fn names(number: u8) -> Fingerprint {
        let mut names = Fingerprint::default();
        names.add(Secret::new([7; 16]).root(0).child(&[number]).name());
        names
    }

    /// Returns after one event whether the scan is current and the way valid.
    fn after(cache: &Cache, watch: i32, name: &[u8]) -> (bool, bool) {
        let mut cache = cache.clone();
        cache.observe(watch, name);
        (cache.is_current(), cache.is_way_valid())
    }

    #[test]
    fn an_event_on_the_way_invalidates_everything() {
        for (watch, name) in [(1, &b""[..]), (2, b""), (2, b"app.conf"), (2, OLD)] {
            assert_eq!(after(&cache(), watch, name), (false, false));
        }
        assert_eq!(
            after(&cache(), 3, b""),
            (false, false),
            "the volume's own end"
        );
    }

    #[test]
    fn an_event_in_a_volume_leaves_the_way_valid() {
        for name in [&b"app.conf"[..], b"..data"] {
            assert_eq!(after(&cache(), 3, name), (false, true));
        }
        assert_eq!(after(&cache(), 10, b"app.conf"), (false, true));
    }

    #[test]
    fn events_of_what_an_update_has_replaced_are_ignored() {
        for (watch, name) in [
            (4, &b"app.conf"[..]),
            (9, b""),
            (3, OLD),
            (3, b"..data_tmp"),
        ] {
            assert_eq!(after(&cache(), watch, name), (true, true));
        }
    }

    #[test]
    fn lost_events_invalidate_everything() {
        assert_eq!(after(&cache(), -1, b""), (false, false));
        let mut cache = cache();
        cache.invalidate();
        assert!(!cache.is_current() && !cache.is_way_valid());
    }

    #[test]
    fn the_first_scan_keeps_slots_for_its_own_watches() {
        let mut cache = Cache::new();
        cache.begin(0);
        cache.armed(1, Role::Ancestor);
        cache.armed(2, Role::Lookup);
        cache.armed(3, Role::Tree);
        cache.enter_volume();
        cache.armed(4, Role::Tree);
        cache.complete();
        let after = |watch, name: &[u8]| super::tests::after(&cache, watch, name);
        assert_eq!(after(1, b""), (false, false));
        assert_eq!(after(2, b"link"), (false, false));
        assert_eq!(after(3, b"..data"), (false, true));
        assert_eq!(after(3, OLD), (true, true));
        assert_eq!(after(4, b"app.conf"), (false, true));
    }

    #[test]
    fn a_way_with_a_new_watch_is_resolved_again() {
        let mut cache = cache();
        for (highest, is_valid) in [(10, false), (11, true)] {
            cache.begin(highest);
            cache.armed(11, Role::Lookup);
            cache.armed(3, Role::Tree);
            cache.complete();
            assert_eq!(cache.is_way_valid(), is_valid);
        }
        assert_eq!(after(&cache, 11, b"link"), (false, false));
    }

    #[test]
    fn events_of_what_only_an_earlier_scan_found_are_ignored() {
        let mut cache = Cache::new();
        for (highest, data) in [(0, 2), (2, 3)] {
            cache.begin(highest);
            cache.armed(1, Role::Tree);
            cache.enter_volume();
            cache.armed(data, Role::Tree);
            cache.complete();
        }
        for name in [&b"app.conf"[..], b""] {
            assert_eq!(after(&cache, 2, name), (true, true));
            assert!(!after(&cache, 3, name).0);
        }
    }

    /// Returns true if the volume's names are still cached after an event.
    fn is_cached_after(watch: i32, name: &[u8]) -> bool {
        let mut cache = cache();
        cache.observe(watch, name);
        cache.begin(10);
        cache.armed(3, Role::Tree);
        cache.enter_volume().is_cached
    }

    #[test]
    fn a_volumes_names_are_cached_until_one_comes_or_goes() {
        for name in [&b"..data"[..], b"..data_tmp", OLD] {
            assert!(is_cached_after(3, name));
        }
        assert!(is_cached_after(10, b"app.conf"), "what is behind it");
        assert!(!is_cached_after(3, b"app.conf"));
        assert!(!is_cached_after(3, b""));
        assert!(!is_cached_after(2, b"link"));
        assert!(!is_cached_after(-1, b""), "events were lost");
    }

    #[test]
    fn a_volume_with_other_names_than_cached_is_listed_again() {
        let mut cache = cache();
        cache.begin(10);
        cache.armed(3, Role::Tree);
        let volume = cache.enter_volume();
        assert!(!cache.volume_listed(volume.slot, names(2)));
        assert!(!cache.enter_volume().is_cached);
        assert!(cache.volume_listed(volume.slot, names(2)));
        assert!(cache.volume_listed(volume.slot, names(2)));
        assert!(cache.enter_volume().is_cached);
        assert!(!cache.volume_listed(volume.slot, Fingerprint::default()));
        assert!(!cache.enter_volume().is_cached);
        assert!(cache.volume_listed(SLOTS_MAX, names(2)), "there is no room");
    }

    #[test]
    fn hidden_names_matter_once_a_directory_is_no_longer_a_volume() {
        let mut cache = cache();
        cache.begin(10);
        cache.armed(3, Role::Tree);
        cache.complete();
        assert_eq!(after(&cache, 3, OLD), (false, true));
    }

    #[test]
    fn an_event_in_a_volume_on_the_way_to_another_root_invalidates_the_way() {
        let mut cache = cache();
        cache.begin(10);
        cache.armed(3, Role::Tree);
        cache.enter_volume();
        cache.armed(3, Role::Lookup);
        cache.complete();
        assert_eq!(after(&cache, 3, b"..data"), (false, false));
    }

    #[test]
    fn an_interrupted_scan_is_not_current() {
        let mut cache = cache();
        cache.begin(10);
        assert!(!cache.is_current());
    }

    #[test]
    fn every_event_counts_when_no_slot_is_left() {
        let mut cache = Cache::new();
        cache.begin(100);
        for watch in 1..=50 {
            cache.armed(watch, Role::Tree);
            cache.enter_volume();
        }
        cache.complete();
        assert!(!cache.is_way_valid());
        assert!(!after(&cache, 60, b"a").0);
    }
}
