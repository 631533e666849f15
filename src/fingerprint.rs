//! The fingerprint of everything an application can read below the roots. Pure.
//!
//! An entry's key is the hash of its name, seeded with its directory's key, so a key stands for a whole path and no path is kept.
//! The fingerprint is the sum of the hashes of all entries, so their order does not matter.
//!
//! # Invariants
//! The same names, types and contents always give the same fingerprint; different ones give the same with a chance of 1 in 2^64. The
//! hash is MurmurHash64A by Austin Appleby (github.com/aappleby/smhasher), except that the length is mixed in at the end because
//! files are read in pieces.

/// Stands for a set of entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Adds one entry.
    pub const fn add(&mut self, entry: Entry) {
        self.0 = self.0.wrapping_add(entry.0);
    }

    /// Adds all entries of another fingerprint.
    pub const fn merge(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    /// Returns the fingerprint of the entries added since `before`.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self(self.0.wrapping_sub(before.0))
    }

    /// Returns the fingerprint as a number, for the log.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl core::fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// Stands for the path of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key(u64);

impl Key {
    /// Returns the key of a root, given its path in the settings.
    pub fn root(path: &[u8]) -> Self {
        Self(hash(0, path))
    }

    /// Returns the key of an entry of the directory with this key.
    #[must_use]
    pub fn child(self, name: &[u8]) -> Self {
        Self(hash(self.0, name))
    }

    /// Returns an entry that stands for the path alone.
    pub const fn name(self) -> Entry {
        Entry(self.0)
    }
}

/// Returns a 64-bit hash, for tables as well as for fingerprints. It is not cryptographic.
pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = Hash::new(seed);
    hash.update(bytes);
    hash.digest()
}

/// A hash of bytes that arrive in pieces of any size.
struct Hash {
    state: u64,
    /// The bytes since the last whole word, the first of them lowest.
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
        // The fast path, as long as no piece has ended within a word.
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

/// The share of one entry in a fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry(u64);

/// The type of an entry whose content is not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A directory. Its entries are added separately.
    Directory,
    /// A directory that is its own ancestor by way of a link. It is not entered again.
    Cycle,
    /// A directory too deep to be entered.
    TooDeep,
    /// A link that leads nowhere, or through more links than the kernel follows.
    Dangling,
    /// A FIFO, socket or device, which is never opened.
    Special,
    /// A file too large to read. Its size, mtime and inode stand in for its content.
    Large,
    /// A file or directory that cannot be read. Its size, mtime and inode stand in for its content.
    Unreadable,
}

impl Entry {
    /// Returns an entry made up of its path, its kind and `numbers`.
    pub fn of(key: Key, kind: Kind, numbers: &[u64]) -> Self {
        let mut content = Content::with_tag(key, kind as u8);
        for number in numbers {
            content.read(&number.to_le_bytes());
        }
        content.entry()
    }
}

/// The content of a regular file while it is read.
pub struct Content(Hash);

impl Content {
    /// Begins the content of the file with this key.
    pub fn new(key: Key) -> Self {
        Self::with_tag(key, u8::MAX)
    }

    fn with_tag(key: Key, tag: u8) -> Self {
        let mut hash = Hash::new(key.0);
        // A whole word, so that the content starts at a word and takes the fast path.
        hash.mix(tag.into());
        Self(hash)
    }

    /// Takes the next bytes.
    pub fn read(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the entry once everything has been read.
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
    fn name_directory_type_and_content_each_matter() {
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
    fn each_bit_of_the_content_changes_half_of_the_hash() {
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
    fn similar_entries_do_not_collide() {
        let mut seen = std::collections::HashSet::new();
        for directory in 0..16_u8 {
            let directory = Key::root(b"r").child(&[directory]);
            for number in 0..1 << 16_u32 {
                let digits = std::format!("{number}");
                assert!(seen.insert(directory.child(digits.as_bytes()).0));
                assert!(seen.insert(file(directory, digits.as_bytes()).0));
            }
        }
        // The empty file, and zeros of different lengths.
        for length in 0..64 {
            assert!(seen.insert(file(Key::root(b"r"), &std::vec![0; length]).0));
        }
    }

    #[test]
    fn swapping_the_contents_of_two_files_is_a_change() {
        let root = Key::root(b"r");
        let (a, b) = (root.child(b"a"), root.child(b"b"));
        assert_ne!(
            sum(&[file(a, b"1"), file(b, b"2")]),
            sum(&[file(a, b"2"), file(b, b"1")])
        );
    }
}
