//! The fingerprint of everything an application can read below the roots. Pure.
//!
//! An entry's key is the hash of its name, seeded with its directory's key, so a key stands for a whole path and no path is kept.
//! The fingerprint is the sum of the hashes of all entries, so their order does not matter.
//!
//! The hash is SipHash-2-4 by Aumasson and Bernstein (cr.yp.to/siphash), a keyed one: without the [`Secret`] nobody can find
//! contents with the same fingerprint, nor check a guess of a content against its fingerprint. The variant with fewer rounds,
//! SipHash-1-3, is meant for tables, whose hashes nobody sees; a fingerprint may leave the program, with `CONFIG_HASH_KEY`.
//!
//! # Invariants
//! The same names, types and contents always give the same fingerprint under the same secret; different ones give the same with a
//! chance of 1 in 2^64.

/// The key of the hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Secret([u64; 2]);

impl Secret {
    /// Returns the secret with these bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        let both = u128::from_le_bytes(bytes);
        Self([both as u64, (both >> 64) as u64])
    }

    /// Returns the secret that a text of any length stands for.
    pub fn from_text(text: &[u8]) -> Self {
        Self([0, 1].map(|half| hash(half, text)))
    }

    /// Returns the key of a root, given its place in the settings: where it is mounted does not matter.
    pub fn root(self, at: usize) -> Key {
        Key {
            secret: self,
            path: at as u64,
        }
    }
}

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

    /// Returns the fingerprint as a number.
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
pub struct Key {
    secret: Secret,
    path: u64,
}

impl Key {
    /// Returns the key of an entry of the directory with this key.
    #[must_use]
    pub fn child(self, name: &[u8]) -> Self {
        let mut hash = self.hash(NAME);
        hash.update(name);
        Self {
            path: hash.digest(),
            ..self
        }
    }

    /// Returns an entry that stands for the path alone.
    pub const fn name(self) -> Entry {
        Entry(self.path)
    }

    /// Returns the hash of the path and of what it is hashed for.
    fn hash(self, tag: u8) -> Hash {
        let mut hash = Hash::new(self.secret);
        // Whole words, so that what follows starts at a word and takes the fast path.
        hash.word(self.path);
        hash.word(tag.into());
        hash
    }
}

/// Returns a 64-bit hash for tables. Its key is no secret.
pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = Hash::new(Secret([seed, 0]));
    hash.update(bytes);
    hash.digest()
}

/// SipHash-2-4 of bytes that arrive in pieces of any size.
struct Hash {
    state: [u64; 4],
    /// The bytes since the last whole word, the first of them lowest.
    word: u64,
    length: u64,
}

impl Hash {
    const fn new(Secret([a, b]): Secret) -> Self {
        // "somepseudorandomlygeneratedbytes".
        let state = [
            a ^ 0x736f_6d65_7073_6575,
            b ^ 0x646f_7261_6e64_6f6d,
            a ^ 0x6c79_6765_6e65_7261,
            b ^ 0x7465_6462_7974_6573,
        ];
        Self {
            state,
            word: 0,
            length: 0,
        }
    }

    /// Takes eight bytes at once.
    fn word(&mut self, word: u64) {
        self.mix(word);
        self.length += 8;
    }

    // Not inlined, because there are several calls: only the loop below has to be fast.
    #[inline(never)]
    fn mix(&mut self, word: u64) {
        self.state = mixed(self.state, word);
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

    fn digest(mut self) -> u64 {
        // The lowest byte of the length goes into the last word.
        self.mix(self.word | self.length << 56);
        let mut state = self.state;
        state[2] ^= 0xff;
        for _ in 0..4 {
            state = round(state);
        }
        state.into_iter().fold(0, |all, word| all ^ word)
    }
}

// Inlined, so that the state stays in registers: three times as fast.
#[allow(clippy::inline_always)]
#[inline(always)]
const fn mixed(mut state: [u64; 4], word: u64) -> [u64; 4] {
    state[3] ^= word;
    state = round(round(state));
    state[0] ^= word;
    state
}

#[allow(clippy::inline_always)]
#[inline(always)]
const fn round([mut a, mut b, mut c, mut d]: [u64; 4]) -> [u64; 4] {
    a = a.wrapping_add(b);
    c = c.wrapping_add(d);
    b = b.rotate_left(13) ^ a;
    d = d.rotate_left(16) ^ c;
    a = a.rotate_left(32);
    c = c.wrapping_add(b);
    a = a.wrapping_add(d);
    b = b.rotate_left(17) ^ c;
    d = d.rotate_left(21) ^ a;
    [a, b, c.rotate_left(32), d]
}

/// The domains of a hash, beside each [`Kind`]: the name of an entry, and the content of a regular file.
const NAME: u8 = 254;
const FILE: u8 = 255;

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
    /// A file too large to read. Its size, mtime, ctime and inode stand in for its content.
    Large,
    /// A file or directory that cannot be read. Its size, mtime and inode stand in for its content.
    Unreadable,
}

impl Entry {
    /// Returns an entry made up of its path, its kind and `numbers`.
    pub fn of(key: Key, kind: Kind, numbers: &[u64]) -> Self {
        let mut content = Content(key.hash(kind as u8));
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
        Self(key.hash(FILE))
    }

    /// Takes the next bytes.
    pub fn read(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the entry once everything has been read.
    pub fn entry(self) -> Entry {
        Entry(self.0.digest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: Secret = Secret::new(*b"sixteen bytes, !");

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
        let root = SECRET.root(0);
        let [a, b, c] = ["a", "b", "c"].map(|name| file(root.child(name.as_bytes()), b"same"));
        assert_eq!(sum(&[a, b, c]), sum(&[c, a, b]));
    }

    #[test]
    fn the_size_of_the_pieces_read_does_not_matter() {
        let key = SECRET.root(0);
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
        let root = SECRET.root(0);
        let variants = [
            file(root.child(b"a"), b"x"),
            file(root.child(b"b"), b"x"),
            file(root.child(b"a"), b"y"),
            file(root.child(b"a"), b""),
            file(root.child(b"a").child(b"a"), b"x"),
            file(SECRET.root(1).child(b"a"), b"x"),
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
    fn the_hash_is_siphash_2_4() {
        // Appendix A of "SipHash: a fast short-input PRF".
        let bytes = core::array::from_fn::<u8, 15, _>(|at| at as u8);
        let mut paper = Hash::new(Secret::new(core::array::from_fn(|at| at as u8)));
        paper.update(&bytes);
        assert_eq!(paper.digest(), 0xa129_ca61_49be_45e5);
        for length in 0..100 {
            let bytes: std::vec::Vec<u8> = (0..length).map(|n: u8| n.wrapping_mul(7)).collect();
            #[allow(deprecated)]
            let mut std = std::hash::SipHasher::new_with_keys(length.into(), 0);
            std::hash::Hasher::write(&mut std, &bytes);
            let expected = std::hash::Hasher::finish(&std);
            assert_eq!(hash(length.into(), &bytes), expected, "{length}");
        }
    }

    #[test]
    fn s1_the_same_content_has_another_fingerprint_under_another_secret() {
        let secrets = [&b""[..], b"a", b"b", b"sixteen bytes, !", &[0; 17]].map(Secret::from_text);
        let entries = secrets.map(|secret| file(secret.root(0).child(b"a"), b"x"));
        for (at, one) in entries.iter().enumerate() {
            assert!(!entries[at + 1..].contains(one));
        }
    }

    #[test]
    fn each_bit_of_the_content_changes_half_of_the_hash() {
        let key = SECRET.root(0);
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
            let directory = SECRET.root(0).child(&[directory]);
            for number in 0..1 << 16_u32 {
                let digits = std::format!("{number}");
                assert!(seen.insert(directory.child(digits.as_bytes()).path));
                assert!(seen.insert(file(directory, digits.as_bytes()).0));
            }
        }
        // The empty file, and zeros of different lengths.
        for length in 0..64 {
            assert!(seen.insert(file(SECRET.root(0), &std::vec![0; length]).0));
        }
    }

    #[test]
    fn swapping_the_contents_of_two_files_is_a_change() {
        let root = SECRET.root(0);
        let (a, b) = (root.child(b"a"), root.child(b"b"));
        assert_ne!(
            sum(&[file(a, b"1"), file(b, b"2")]),
            sum(&[file(a, b"2"), file(b, b"1")])
        );
    }
}
