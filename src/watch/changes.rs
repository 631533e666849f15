//! The names of changed entries, found with Bloom filters of constant size. Pure.
//!
//! Each entry's part of the fingerprint sets three bits. If one of them was not set in the baseline, the entry is new or has
//! changed. An entry whose bits happen to be set goes unnamed, and its directory is named in its place. Of 10 entries that happens to
//! one change in 100,000, of 100 to one in 700, of 1,000 to every seventh.

use crate::base::text::Word;
use crate::fingerprint::Fingerprint;

/// Bloom filters of one word each. All bits of a part are in one word.
type Filter = [u64; 64];

/// Compares the entries of a scan with those of a baseline.
#[derive(Debug)]
pub struct Changes {
    baseline: Filter,
    current: Filter,
    /// Separated by commas.
    names: Word,
    /// The level of the entry that was named last, or of a directory that was explained by it.
    level: usize,
}

impl Changes {
    /// Returns an empty baseline: everything is new.
    pub const fn new() -> Self {
        Self {
            baseline: [0; 64],
            current: [0; 64],
            names: Word::new(),
            level: 0,
        }
    }

    /// Begins a scan.
    pub fn begin(&mut self) {
        self.current = [0; 64];
        self.names.clear(4);
        self.level = 0;
    }

    /// Takes all entries of the baseline for current ones, because some of them are not scanned.
    pub fn keep_baseline(&mut self) {
        for (current, baseline) in self.current.iter_mut().zip(self.baseline) {
            *current |= baseline;
        }
    }

    /// Takes an entry's part of the fingerprint, which includes everything below it; entries below it come first. Names the
    /// entry if that part is new, unless an entry below it explains why.
    pub fn add(&mut self, name: &[u8], level: usize, part: Fingerprint) {
        let hash = part.number();
        let bits = 1 << (hash & 63) | 1 << (hash >> 6 & 63) | 1 << (hash >> 12 & 63);
        let word = (hash >> 58) as usize;
        let seen = self.baseline[word] | self.current[word];
        self.current[word] |= bits;
        if seen & bits == bits {
            return;
        }
        let is_explained = core::mem::replace(&mut self.level, level) > level;
        if !is_explained {
            if !self.names.is_empty() {
                self.names.push(b",");
            }
            self.names.push(name);
        }
    }

    /// Returns the names of changed entries, as many as fit.
    pub fn names(&mut self) -> &[u8] {
        if self.names.is_cut() {
            self.names.release(0);
            self.names.push(b"...");
        }
        self.names.as_bytes()
    }

    /// Makes the last scan the baseline.
    pub const fn accept(&mut self) {
        self.baseline = self.current;
    }
}

impl Default for Changes {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::{Entry, Kind, Secret, hash};
    use std::string::String;
    use std::vec::Vec;

    const SECRET: Secret = Secret::new([7; 16]);

    /// Returns a different part for different numbers.
    fn part(numbers: &[u64]) -> Fingerprint {
        let mut part = Fingerprint::default();
        part.add(Entry::of(SECRET.root(0), Kind::Large, numbers));
        part
    }

    /// Scans entries, each with its level and content, in the order of the walk. Returns the names of changed ones.
    fn scan(changes: &mut Changes, entries: &[(&str, usize, u64)]) -> String {
        changes.begin();
        for (name, level, content) in entries {
            let part = part(&[hash(0, name.as_bytes()), *content]);
            changes.add(name.as_bytes(), *level, part);
        }
        String::from_utf8(changes.names().to_vec()).unwrap()
    }

    #[test]
    fn new_and_changed_entries_are_named_and_their_directories_are_not() {
        let mut changes = Changes::new();
        scan(
            &mut changes,
            &[("a", 1, 1), ("b", 2, 1), ("d", 1, 1), ("/etc", 0, 1)],
        );
        changes.accept();
        let mut found = |entries: &[(&str, usize, u64)]| scan(&mut changes, entries);
        assert_eq!(
            found(&[("a", 1, 1), ("b", 2, 1), ("d", 1, 1), ("/etc", 0, 1)]),
            ""
        );
        assert_eq!(
            found(&[("a", 1, 2), ("b", 2, 1), ("d", 1, 1), ("/etc", 0, 2)]),
            "a"
        );
        assert_eq!(
            found(&[("a", 1, 2), ("b", 2, 2), ("d", 1, 2), ("/etc", 0, 2)]),
            "a,b"
        );
        assert_eq!(
            found(&[
                ("b", 2, 2),
                ("c", 2, 1),
                ("d", 1, 2),
                ("e", 1, 1),
                ("/etc", 0, 2)
            ]),
            "b,c,e"
        );
    }

    /// Returns how many changes go unnamed, each in a tree with this many entries.
    fn unnamed(changes: u64, entries: u64) -> usize {
        let tree = |from| (from..from + entries).map(|content| ("file", 1, content));
        let is_unnamed = |change: &u64| {
            let mut changes = Changes::new();
            let first = change * (entries + 1);
            scan(&mut changes, &tree(first).collect::<Vec<_>>());
            changes.accept();
            scan(&mut changes, &tree(first + 1).collect::<Vec<_>>()).is_empty()
        };
        (0..changes).filter(is_unnamed).count()
    }

    #[test]
    fn few_changes_go_unnamed_by_chance() {
        assert!(unnamed(10_000, 10) <= 1);
        assert!(unnamed(1000, 100) <= 3);
        assert!(unnamed(200, 1000) <= 40);
    }

    #[test]
    fn an_entry_found_twice_is_named_once() {
        let mut changes = Changes::new();
        let entries = [("a", 1, 1), ("b", 1, 1), ("a", 1, 1), ("c", 1, 1)];
        assert_eq!(scan(&mut changes, &entries), "a,b,c");
    }

    #[test]
    fn the_directory_of_a_removed_entry_is_named() {
        let mut changes = Changes::new();
        scan(
            &mut changes,
            &[("a", 1, 1), ("b", 2, 1), ("d", 1, 1), ("/etc", 0, 1)],
        );
        changes.accept();
        let mut found = |entries: &[(&str, usize, u64)]| scan(&mut changes, entries);
        assert_eq!(found(&[("a", 1, 1), ("d", 1, 2), ("/etc", 0, 2)]), "d");
        assert_eq!(found(&[("b", 2, 1), ("d", 1, 1), ("/etc", 0, 2)]), "/etc");
    }

    #[test]
    fn a_change_is_named_until_it_is_accepted() {
        let mut changes = Changes::new();
        scan(&mut changes, &[("a", 1, 1), ("/etc", 0, 1)]);
        changes.accept();
        for _ in 0..2 {
            assert_eq!(scan(&mut changes, &[("a", 1, 2), ("/etc", 0, 2)]), "a");
        }
        changes.accept();
        assert_eq!(scan(&mut changes, &[("a", 1, 2), ("/etc", 0, 2)]), "");
        assert_eq!(
            scan(&mut changes, &[("a", 1, 1), ("/etc", 0, 1)]),
            "a",
            "put back"
        );
    }

    #[test]
    fn names_that_do_not_fit_are_left_out() {
        let names: Vec<String> = (0..20).map(|at| std::format!("file-{at:02}")).collect();
        let entries: Vec<_> = names.iter().map(|name| (name.as_str(), 1, 1)).collect();
        let found = scan(&mut Changes::new(), &entries);
        assert_eq!(
            found,
            "file-00,file-01,file-02,file-03,file-04,file-05,file-06,..."
        );
        let long = "x".repeat(255);
        assert_eq!(scan(&mut Changes::new(), &[(&long, 1, 1)]), "...");
    }
}
