//! The program's own words, packed when it is compiled: half of the bytes that they would take as text.
//!
//! Byte-pair encoding: a byte that is none of their characters stands for two others, which may stand for two others themselves.
//! Pure.

use crate::base::file::PATH_MAX;
use crate::base::text::{Text, Word, piece};
use core::fmt;

/// Text of the program's own. Made by [`words!`](crate::words!), written by [`Log::say`](crate::report::old_log::Log::say).
#[derive(Clone, Copy, Debug)]
pub struct Words(&'static [u8]);

/// Packs a literal, or several that are to follow each other.
#[macro_export]
macro_rules! words {
    ($($text:expr),+) => {{
        const TEXT: &str = concat!($($text),+);
        const PACKED: [u8; $crate::base::words::packed(TEXT).1] = $crate::base::words::pack(TEXT);
        const { $crate::base::words::Words::new(&PACKED) }
    }};
}

/// What the bytes stand for that are no characters: each is two earlier ones, or characters, put together. The pairs that save
/// most, taken in turn from the program's own words: a test says so when others have become much better, and which.
#[rustfmt::skip]
const PAIRS: [&str; 160] = [
    "e ", "s ", "th", "t ", "in", "er", "d ", "the ", "an", "or", "on", "es", "al", ", ", "is ", "re", "no",
    "en", "  ", "ch", "; ", "es ", "or ", "ro", "ing", "ig", "er ", "ed", "y ", "to", "ign", "wh", "ti", "ar",
    "ignal", "ces", "pro", "el", "at ", "signal", ": ", "at", "not ", "ing ", "il", "proces", "ev", "ed ", "un",
    "lo", "ad", "a ", ".\n", " the ", "con", "as ", "iv", "it", "atch", "and ", "ain", "st", "se", "om", " is ",
    "ang", "am", "process ", "of", "com", "can", "ad ", "    ", "us", "tif", "otif", "inotif", "chang", "al ",
    "ag", "IG", "whi", "which", "it ", "fil", "ent", "de", "TE", "watch", "relo", "cannot ", "as", "again",
    "tot", "total ", "_total ", "IN", "ter ", "no ", "fter ", "for ", "ever", "end", "be ", "after ", ", which",
    "wi", "with", "to ", "signal ", "pa", "oun", "of ", "ive ", "is", "cont", "by ", "AD", "ou", "o ", "ma",
    "give ", "ex", "ent ", "LE", "this ", "the process ", "par", "ol", "ne", "inotify ", "be", "an ", "SIG",
    "NO", "CE", "; give ", ", which is ", "ther ", "si", "s_total ", "read ", "process", "ong", "on ", "ere ",
    "en ", "dec", "and", ". ", "ter", "st ", "reload", "rec", "read", "pp", "op", "l ", "iver", "its ",
];

/// The first byte that is none of the words' characters. Nor are those after it, and then those before the blank.
const FIRST: u8 = b'}';

/// The byte that stands for a pair: not NUL, which ends the words, and none of those that end lines.
const fn code(pair: usize) -> u8 {
    let mut code = FIRST as usize + pair;
    if code > 0xff {
        code -= 0xff;
        code += (code >= b'\n' as usize) as usize;
        code += (code >= b'\r' as usize) as usize;
    }
    code as u8
}

const fn place(byte: u8) -> usize {
    byte.wrapping_sub(FIRST) as usize
}

/// The two halves of each byte from [`FIRST`] to the blank. What ends lines stands for itself.
static HALVES: [[u8; 2]; place(b' ')] = {
    let mut halves = [[b'\n'; 2]; place(b' ')];
    halves[place(b'\r')] = [b'\r'; 2];
    let mut pair = 0;
    while pair < PAIRS.len() {
        halves[place(code(pair))] = PAIRS_IN_HALVES[pair];
        pair += 1;
    }
    halves
};

impl Words {
    /// Nothing.
    pub const NONE: Self = Self::new(&[0]);

    /// What [`pack`] has returned.
    pub const fn new(packed: &'static [u8]) -> Self {
        Self(packed)
    }

    /// Adds the words to `text`.
    pub fn unpack<const N: usize>(self, text: &mut Text<N>) {
        for byte in self.0.iter().filter(|it| **it != 0) {
            unpack(*byte, text);
        }
    }

    /// The piece with this number, of those that are separated by `|`.
    #[inline(never)]
    pub fn piece(self, at: usize) -> Word {
        let mut all = Text::<PATH_MAX>::new();
        self.unpack(&mut all);
        let mut word = Word::new();
        word.push(piece(all.as_bytes(), b'|', at));
        word
    }
}

/// For the tests: the program itself does without formatting.
impl fmt::Display for Words {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Text::<TEXT_MAX>::new();
        self.unpack(&mut text);
        str::from_utf8(text.as_bytes())
            .unwrap_or_default()
            .fmt(formatter)
    }
}

fn unpack<const N: usize>(byte: u8, text: &mut Text<N>) {
    match HALVES.get(place(byte)) {
        Some(halves) if halves[0] != byte => halves.iter().for_each(|half| unpack(*half, text)),
        _ => text.push_byte(byte),
    }
}

const fn halves() -> [[u8; 2]; PAIRS.len()] {
    let mut halves = [[0; 2]; PAIRS.len()];
    let mut at = 0;
    while at < PAIRS.len() {
        let pair = PAIRS[at].as_bytes();
        let mut middle = 1;
        while middle < pair.len() {
            let (left, right) = pair.split_at(middle);
            if let (Some(left), Some(right)) = (known(left, at), known(right, at)) {
                halves[at] = [left, right];
                break;
            }
            middle += 1;
        }
        assert!(middle < pair.len(), "no two earlier ones make up this pair");
        at += 1;
    }
    halves
}

/// The byte for a character, or for one of the first `count` pairs.
const fn known(text: &[u8], count: usize) -> Option<u8> {
    if let [byte] = text {
        return Some(*byte);
    }
    let mut at = 0;
    while at < count {
        if equal(PAIRS[at].as_bytes(), text) {
            return Some(code(at));
        }
        at += 1;
    }
    None
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// More than the longest text has.
pub const TEXT_MAX: usize = 512;

/// The packed text, ended by a NUL, and its length. Called while compiling only.
///
/// # Panics
/// The text is too long, or has a character that the program's words do not have.
pub const fn packed(text: &str) -> ([u8; TEXT_MAX], usize) {
    let mut bytes = [0; TEXT_MAX];
    let mut length = 0;
    while length < text.len() {
        bytes[length] = text.as_bytes()[length];
        assert!(
            matches!(bytes[length], b'\n' | b'\r' | b' '..FIRST),
            "this character stands for a pair"
        );
        // They are written as they are, also as JSON.
        assert!(bytes[length] != b'"' && bytes[length] != b'\\');
        length += 1;
    }
    let mut pair = 0;
    while pair < PAIRS.len() {
        let [left, right] = PAIRS_IN_HALVES[pair];
        let (mut from, mut to) = (0, 0);
        while from < length {
            if from + 1 < length && bytes[from] == left && bytes[from + 1] == right {
                bytes[to] = code(pair);
                from += 2;
            } else {
                bytes[to] = bytes[from];
                from += 1;
            }
            to += 1;
        }
        length = to;
        pair += 1;
    }
    // With the NUL at its end.
    bytes[length] = 0;
    (bytes, length + 1)
}

const PAIRS_IN_HALVES: [[u8; 2]; PAIRS.len()] = halves();

/// The packed text, `N` bytes long, as [`packed`] says.
pub const fn pack<const N: usize>(text: &str) -> [u8; N] {
    let (bytes, _) = packed(text);
    let mut exact = [0; N];
    let mut at = 0;
    while at < N {
        exact[at] = bytes[at];
        at += 1;
    }
    exact
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::string::{String, ToString};
    use std::vec::Vec;

    #[test]
    fn what_was_packed_is_unpacked() {
        assert_eq!(words!("").to_string(), "");
        assert_eq!(words!("|\r").to_string(), "|\r");
        let sentence = words!("the process has ended after the signal", "; ", 1);
        assert_eq!(
            sentence.to_string(),
            "the process has ended after the signal; 1"
        );
        assert!(sentence.0.bytes().len() < sentence.to_string().len() * 2 / 3);
    }

    /// What stands in `words!` in the sources.
    fn all_words() -> Vec<String> {
        let mut all = Vec::new();
        let mut directories = std::vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|it| it == "rs") {
                    let source = std::fs::read_to_string(&path).unwrap();
                    let product = source.split("#[cfg(test)]").next().unwrap();
                    all.extend(product.split("words!(").skip(1).filter_map(literal));
                }
            }
        }
        all
    }

    /// The text of the literal that `source` begins with.
    fn literal(source: &str) -> Option<String> {
        let inner = source.trim_start().strip_prefix('"')?;
        Some(inner[..inner.find('"')?].replace("\\n", "\n"))
    }

    fn saved(pairs: &[String], words: &[String]) -> usize {
        let mut bytes = 0;
        for words in words {
            let mut pieces: Vec<String> = words.chars().map(String::from).collect();
            for pair in pairs {
                join(&mut pieces, pair);
            }
            bytes += words.len() - pieces.len();
        }
        bytes
    }

    fn join(pieces: &mut Vec<String>, pair: &str) {
        let mut at = 0;
        while at + 1 < pieces.len() {
            if pieces[at].len() + pieces[at + 1].len() == pair.len()
                && pair.starts_with(&pieces[at])
                && pair.ends_with(&pieces[at + 1])
            {
                let right = pieces.remove(at + 1);
                pieces[at].push_str(&right);
            }
            at += 1;
        }
    }

    fn best_pairs(words: &[String]) -> Vec<String> {
        let mut texts: Vec<Vec<String>> = words
            .iter()
            .map(|words| words.chars().map(String::from).collect())
            .collect();
        let mut pairs = Vec::new();
        while pairs.len() < PAIRS.len() {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for pieces in &texts {
                for pair in pieces.windows(2) {
                    *counts.entry(pair.concat()).or_default() += 1;
                }
            }
            let (best, _) = counts.into_iter().max_by_key(|(_, count)| *count).unwrap();
            for pieces in &mut texts {
                join(pieces, &best);
            }
            pairs.push(best);
        }
        pairs
    }

    /// Where it fails it prints the table to put in the place of the old one.
    #[test]
    fn the_pairs_are_nearly_the_best_for_the_words_as_they_are() {
        let words = all_words();
        let pairs: Vec<String> = PAIRS.iter().map(|pair| String::from(*pair)).collect();
        let best = best_pairs(&words);
        let (now, at_best) = (saved(&pairs, &words), saved(&best, &words));
        assert!(
            now * 100 >= at_best * 97,
            "saves {now} of {at_best} bytes: {best:?}"
        );
    }
}
