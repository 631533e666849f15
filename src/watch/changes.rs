//! What has changed, by name, as far as a few words of memory tell.
//!
//! Of every entry's part in the fingerprint three bits are kept. A part of which one was not set before is another one: its entry is
//! new, or has other content. One whose bits were all set by chance goes unnamed; then the directory that it is in is named in its
//! place. The more entries, the more chance: among ten it takes one change in a hundred thousand, among a hundred one in seven
//! hundred, among a thousand every seventh.

use crate::base::text::Word;
use crate::fingerprint::Fingerprint;

/// Bloom filters of a word each. A part's bits are all in one word.
type Parts = [u64; 64];

/// What a look has found, beside what was told of last.
#[derive(Debug)]
pub struct Changes {
    told: Parts,
    found: Parts,
    /// Set apart by commas.
    names: Word,
    /// Of the entry that was named last, or of the directory that it is in.
    level: usize,
}

impl Changes {
    /// Nothing was told of: everything is new.
    pub const fn new() -> Self {
        Self {
            told: [0; 64],
            found: [0; 64],
            names: Word::new(),
            level: 0,
        }
    }

    /// A look is taken.
    pub fn begin(&mut self) {
        self.found = [0; 64];
        self.names.clear(4);
        self.level = 0;
    }

    /// An entry, so many levels below the root, has this part in the fingerprint with everything below it, which has been
    /// counted before. It is named once if its part is new, unless something below it was named: then that is why.
    pub fn counted(&mut self, name: &[u8], level: usize, part: Fingerprint) {
        let hash = part.number();
        let bits = 1 << (hash & 63) | 1 << (hash >> 6 & 63) | 1 << (hash >> 12 & 63);
        let word = (hash >> 58) as usize;
        let known = self.told[word] | self.found[word];
        self.found[word] |= bits;
        if known & bits == bits {
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

    /// The names of what has changed, as many as there is room for.
    pub fn names(&mut self) -> &[u8] {
        if self.names.is_cut() {
            self.names.release(0);
            self.names.push(b"...");
        }
        self.names.as_bytes()
    }

    /// What was found is told of.
    // Not inlined: it is a copy of some hundred bytes.
    #[inline(never)]
    pub const fn tell(&mut self) {
        self.told = self.found;
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
    use crate::fingerprint::{Entry, Key, Kind};
    use std::string::String;
    use std::vec::Vec;

    /// A part that differs for each of these.
    fn part(numbers: &[u64]) -> Fingerprint {
        let mut part = Fingerprint::default();
        part.add(Entry::of(Key::root(b"root"), Kind::Large, numbers));
        part
    }

    /// Looks at entries, each with its level and what it holds; in the order of the walk, what is below first.
    fn look(changes: &mut Changes, entries: &[(&str, usize, u64)]) -> String {
        changes.begin();
        for (name, level, content) in entries {
            let part = part(&[crate::fingerprint::hash(0, name.as_bytes()), *content]);
            changes.counted(name.as_bytes(), *level, part);
        }
        String::from_utf8(changes.names().to_vec()).unwrap()
    }

    #[test]
    fn what_is_new_or_other_is_named_and_what_it_is_in_is_not() {
        let mut changes = Changes::new();
        look(
            &mut changes,
            &[("a", 1, 1), ("b", 2, 1), ("d", 1, 1), ("/etc", 0, 1)],
        );
        changes.tell();
        let mut found = |entries: &[(&str, usize, u64)]| look(&mut changes, entries);
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

    /// Of so many changes, one in each tree of so many entries, how many went unnamed.
    fn unnamed(changes: u64, entries: u64) -> usize {
        let tree = |from| (from..from + entries).map(|content| ("file", 1, content));
        let is_unnamed = |change: &u64| {
            let mut changes = Changes::new();
            let first = change * (entries + 1);
            look(&mut changes, &tree(first).collect::<Vec<_>>());
            changes.tell();
            look(&mut changes, &tree(first + 1).collect::<Vec<_>>()).is_empty()
        };
        (0..changes).filter(is_unnamed).count()
    }

    #[test]
    fn chance_leaves_few_changes_unnamed() {
        assert!(unnamed(10_000, 10) <= 1);
        assert!(unnamed(1000, 100) <= 3);
        assert!(unnamed(200, 1000) <= 40);
    }

    #[test]
    fn what_a_look_comes_across_twice_is_named_once() {
        let mut changes = Changes::new();
        let entries = [("a", 1, 1), ("b", 1, 1), ("a", 1, 1), ("c", 1, 1)];
        assert_eq!(look(&mut changes, &entries), "a,b,c");
    }

    #[test]
    fn of_what_is_gone_the_directory_is_named() {
        let mut changes = Changes::new();
        look(
            &mut changes,
            &[("a", 1, 1), ("b", 2, 1), ("d", 1, 1), ("/etc", 0, 1)],
        );
        changes.tell();
        let mut found = |entries: &[(&str, usize, u64)]| look(&mut changes, entries);
        assert_eq!(found(&[("a", 1, 1), ("d", 1, 2), ("/etc", 0, 2)]), "d");
        assert_eq!(found(&[("b", 2, 1), ("d", 1, 1), ("/etc", 0, 2)]), "/etc");
    }

    #[test]
    fn what_was_found_but_not_told_is_still_to_be_told() {
        let mut changes = Changes::new();
        look(&mut changes, &[("a", 1, 1), ("/etc", 0, 1)]);
        changes.tell();
        for _ in 0..2 {
            assert_eq!(look(&mut changes, &[("a", 1, 2), ("/etc", 0, 2)]), "a");
        }
        changes.tell();
        assert_eq!(look(&mut changes, &[("a", 1, 2), ("/etc", 0, 2)]), "");
        assert_eq!(
            look(&mut changes, &[("a", 1, 1), ("/etc", 0, 1)]),
            "a",
            "put back"
        );
    }

    #[test]
    fn as_many_are_named_as_there_is_room_for() {
        let names: Vec<String> = (0..20).map(|at| std::format!("file-{at:02}")).collect();
        let entries: Vec<_> = names.iter().map(|name| (name.as_str(), 1, 1)).collect();
        let found = look(&mut Changes::new(), &entries);
        assert_eq!(
            found,
            "file-00,file-01,file-02,file-03,file-04,file-05,file-06,..."
        );
        let long = "x".repeat(255);
        assert_eq!(look(&mut Changes::new(), &[(&long, 1, 1)]), "...");
    }
}
