//! A fingerprint of what an application could read below the roots, in any directory order.
//!
//! Pure: no system call. An entry's key is the hash of its name, seeded with its directory's key, so that a key stands for a
//! whole relative path and none has to be kept. The fingerprint is the sum of the hashes of all entries: a sum has no order.
//!
//! # Invariants
//! The same names, types and contents give the same fingerprint, whatever the order in which they were found. Two different
//! sets give the same one by chance once in 2^64, as far as its hash goes: MurmurHash64A by Austin Appleby (github.com/aappleby/smhasher),
//! but that the length is mixed in at the end, because files are read in pieces.

/// What stands for all entries found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Adds one entry.
    pub const fn add(&mut self, entry: Entry) {
        self.0 = self.0.wrapping_add(entry.0);
    }

    /// What was added after `before`.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self(self.0.wrapping_sub(before.0))
    }

    /// For the log: equal numbers mean equal content.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl core::fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// The place of an entry: its root and its path below it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key(u64);

impl Key {
    /// The place of a root, by its path in the settings.
    pub fn root(path: &[u8]) -> Self {
        Self(hash(0, path))
    }

    /// The place of an entry in the directory at this place.
    #[must_use]
    pub fn child(self, name: &[u8]) -> Self {
        Self(hash(self.0, name))
    }

    /// That there is something at this place, whatever it is.
    pub const fn name(self) -> Entry {
        Entry(self.0)
    }
}

pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = Hash::new(seed);
    hash.update(bytes);
    hash.digest()
}

/// A hash of bytes that come in pieces of any size.
struct Hash {
    state: u64,
    /// The bytes since the last whole word, the first one lowest.
    word: u64,
    length: u64,
}

impl Hash {
    const fn new(seed: u64) -> Self {
        Self {
            state: seed,
            word: 0,
            length: 0,
        }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        // As long as no piece has ended within a word, whole words.
        if self.length.is_multiple_of(8) {
            let mut state = self.state;
            self.length += bytes.len() as u64 & !7;
            while let Some((word, rest)) = bytes.split_first_chunk() {
                state = mixed(state, u64::from_le_bytes(*word));
                bytes = rest;
            }
            self.state = state;
        }
        for byte in bytes {
            self.word |= u64::from(*byte) << (self.length % 8 * 8);
            self.length += 1;
            if self.length.is_multiple_of(8) {
                self.mix(self.word);
                self.word = 0;
            }
        }
    }

    fn digest(&mut self) -> u64 {
        self.mix(self.word);
        self.mix(self.length);
        scramble(scramble(self.state).wrapping_mul(FACTOR))
    }

    fn mix(&mut self, word: u64) {
        self.state = mixed(self.state, word);
    }
}

/// The multiplier of MurmurHash64A.
const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;

#[inline]
const fn mixed(state: u64, word: u64) -> u64 {
    let word = scramble(word.wrapping_mul(FACTOR)).wrapping_mul(FACTOR);
    (state ^ word).wrapping_mul(FACTOR)
}

#[inline]
const fn scramble(word: u64) -> u64 {
    word ^ word >> 47
}

/// The part of one entry in the fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry(u64);

/// What an entry is, where its content is not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A directory; what is in it has entries of its own.
    Directory,
    /// A directory that was found on the way to itself: not entered again.
    Cycle,
    /// A directory below the deepest level that is entered.
    TooDeep,
    /// A link to nothing, or to more links than the kernel follows.
    Dangling,
    /// A FIFO, socket or device: never opened.
    Special,
    /// A file too large to be read in full: size, modification time and inode stand in.
    Large,
    /// Something that may not be read: size, modification time and inode stand in.
    Unreadable,
}

impl Entry {
    /// An entry of which only `numbers` are known besides its place and kind.
    pub fn of(key: Key, kind: Kind, numbers: &[u64]) -> Self {
        let mut content = Content::with_tag(key, kind as u8);
        for number in numbers {
            content.read(&number.to_le_bytes());
        }
        content.entry()
    }
}

/// The content of a regular file while it is being read.
pub struct Content(Hash);

impl Content {
    /// Of the file at this place.
    pub fn new(key: Key) -> Self {
        Self::with_tag(key, u8::MAX)
    }

    fn with_tag(key: Key, tag: u8) -> Self {
        let mut hash = Hash::new(key.0);
        // A whole word, so that those of the content are whole as well.
        hash.mix(tag.into());
        Self(hash)
    }

    /// The next bytes.
    pub fn read(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// When all was read.
    pub fn entry(mut self) -> Entry {
        Entry(self.0.digest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(key: Key, content: &[u8]) -> Entry {
        let mut reading = Content::new(key);
        reading.read(content);
        reading.entry()
    }

    fn sum(entries: &[Entry]) -> Fingerprint {
        let mut sum = Fingerprint::default();
        for entry in entries {
            sum.add(*entry);
        }
        sum
    }

    #[test]
    fn the_order_of_entries_does_not_matter() {
        let root = Key::root(b"/etc/app");
        let [a, b, c] = ["a", "b", "c"].map(|name| file(root.child(name.as_bytes()), b"same"));
        assert_eq!(sum(&[a, b, c]), sum(&[c, a, b]));
    }

    #[test]
    fn the_size_of_the_pieces_read_does_not_matter() {
        let key = Key::root(b"r");
        let bytes: std::vec::Vec<u8> = (0..1000u32).map(|n| n as u8).collect();
        for size in [1, 3, 31, 32, 33, 999] {
            let mut reading = Content::new(key);
            for piece in bytes.chunks(size) {
                reading.read(piece);
            }
            assert_eq!(reading.entry(), file(key, &bytes), "pieces of {size}");
        }
    }

    #[test]
    fn name_place_type_and_content_each_matter() {
        let root = Key::root(b"/etc/app");
        let variants = [
            file(root.child(b"a"), b"x"),
            file(root.child(b"b"), b"x"),
            file(root.child(b"a"), b"y"),
            file(root.child(b"a"), b""),
            file(root.child(b"a").child(b"a"), b"x"),
            file(Key::root(b"/etc/other").child(b"a"), b"x"),
            Entry::of(root.child(b"a"), Kind::Directory, &[]),
            Entry::of(root.child(b"a"), Kind::Special, &[]),
            Entry::of(root.child(b"a"), Kind::Large, &[1, 2, 3]),
            Entry::of(root.child(b"a"), Kind::Large, &[1, 2, 4]),
            Entry::of(root.child(b"a"), Kind::Unreadable, &[1, 2, 3]),
        ];
        for (at, one) in variants.iter().enumerate() {
            for other in &variants[at + 1..] {
                assert_ne!(one, other);
            }
        }
    }

    #[test]
    fn each_bit_of_a_content_changes_half_of_the_hash() {
        let key = Key::root(b"r");
        for length in [1, 7, 8, 9, 16, 63, 500] {
            let content: std::vec::Vec<u8> = (0..length).map(|n| (n * 7) as u8).collect();
            let Entry(whole) = file(key, &content);
            let mut changed = 0;
            for bit in 0..length * 8 {
                let mut other = content.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                let Entry(hash) = file(key, &other);
                let differing = (hash ^ whole).count_ones();
                assert!(
                    (10..=54).contains(&differing),
                    "bit {bit} of {length}: {differing}"
                );
                changed += differing as usize;
            }
            let mean = changed as f64 / (length * 8) as f64;
            assert!((28.0..36.0).contains(&mean), "{length}: {mean}");
        }
    }

    #[test]
    fn among_much_that_is_alike_nothing_is_taken_for_another() {
        let mut seen = std::collections::HashSet::new();
        for directory in 0..16_u8 {
            let directory = Key::root(b"r").child(&[directory]);
            for number in 0..1 << 16_u32 {
                let digits = std::format!("{number}");
                assert!(seen.insert(directory.child(digits.as_bytes()).0));
                assert!(seen.insert(file(directory, digits.as_bytes()).0));
            }
        }
        // Nothing, and zeros of different lengths.
        for length in 0..64 {
            assert!(seen.insert(file(Key::root(b"r"), &std::vec![0; length]).0));
        }
    }

    #[test]
    fn two_contents_swapped_between_names_are_a_change() {
        let root = Key::root(b"r");
        let (a, b) = (root.child(b"a"), root.child(b"b"));
        assert_ne!(
            sum(&[file(a, b"1"), file(b, b"2")]),
            sum(&[file(a, b"2"), file(b, b"1")])
        );
    }
}
