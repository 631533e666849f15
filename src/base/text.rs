//! Text of bounded length on the stack, in place of growing strings, and small parsers of bytes. Pure.

use super::sys;
use core::ffi::CStr;
use core::fmt::{self, Write};

/// At most `N` bytes of text. A push that does not fit is dropped as a whole, and so is every push after it: a text is cut between
/// two pushes, never inside one.
#[derive(Debug)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
    /// The number of bytes that may be used; 0 once the text is cut.
    room: usize,
}

impl<const N: usize> Text<N> {
    /// Returns an empty text.
    pub const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
            room: N,
        }
    }

    /// Returns the text of a value.
    pub fn of(value: &dyn fmt::Display) -> Self {
        let mut text = Self::new();
        let _ = write!(text, "{value}");
        text
    }

    /// Adds all of `bytes`, or nothing and marks the text as cut.
    pub fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        match self.bytes.get_mut(self.len..end) {
            Some(slot) if end <= self.room => {
                slot.copy_from_slice(bytes);
                self.len = end;
            }
            _ => self.room = 0,
        }
    }

    /// Adds `number` in decimal, with leading zeros up to `width` digits.
    pub fn push_number(&mut self, number: u64, width: usize) {
        let mut digits = [0; 20];
        self.push(decimal(number, width.max(1), &mut digits));
    }

    /// Adds blanks, one at least, until the text is `width` bytes long.
    pub fn pad(&mut self, width: usize) {
        self.push(b" ");
        while self.len < width && !self.is_cut() {
            self.push(b" ");
        }
    }

    /// Returns true if something did not fit.
    pub const fn is_cut(&self) -> bool {
        self.room == 0
    }

    /// Returns its length in bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns true if it has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps the text from `start` on if all of it fits, and removes it if not.
    pub fn keep_whole(&mut self, start: usize) {
        if self.is_cut() {
            self.len = start;
        }
    }

    /// Empties it, and keeps `reserve` bytes free until [`release`](Self::release).
    pub fn clear(&mut self, reserve: usize) {
        self.len = 0;
        self.release(reserve);
    }

    /// Keeps only `reserve` bytes free, and lets a cut text continue, so that an open quotation mark can be closed.
    pub fn release(&mut self, reserve: usize) {
        self.room = N - reserve;
    }

    /// Returns it for a system call: up to the first NUL, and without its last byte if the text is full.
    pub fn as_c_str(&mut self) -> &CStr {
        let end = self.len.min(N - 1);
        self.bytes[end] = 0;
        sys::c_str(&self.bytes[..=end])
    }

    /// Returns it as text, up to the first byte that is not UTF-8.
    pub fn as_str(&self) -> &str {
        valid_utf8(self.as_bytes())
    }

    /// Returns its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns bytes as text, up to the first that is not UTF-8. Log lines use chunks as well, which makes this smaller than
/// `str::from_utf8`.
pub fn valid_utf8(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

/// A short text. Texts share three sizes, this, [`Paragraph`]'s and that of paths, so that there are few copies of the code.
pub type Word = Text<64>;

/// A text of several lines, or one for a terminal.
pub type Paragraph = Text<1024>;

/// Returns the digits of `number`, at least `width` of them.
// Not inlined: it is the same for every size of a text.
#[inline(never)]
fn decimal(mut number: u64, width: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut count = 0;
    for digit in digits.iter_mut().rev() {
        if number == 0 && count >= width {
            break;
        }
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        count += 1;
    }
    digits.get(20 - count..).unwrap_or_default()
}

/// Returns the pieces between separators. Its type is the same for every separator, so that there is one copy of the code.
pub fn pieces(bytes: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    bytes.split(move |byte| *byte == separator)
}

// Core's own ways to do the following two compare many bytes at once, which takes 250 bytes of code each.

/// Returns true if `byte` is one of `bytes`.
#[allow(clippy::manual_contains)]
pub fn has(bytes: &[u8], byte: u8) -> bool {
    bytes.iter().any(|one| *one == byte)
}

/// Returns true if both texts are the same but for the case of ASCII letters.
// Not inlined: it is called in many places.
#[inline(never)]
pub fn is_same_word(one: &[u8], other: &[u8]) -> bool {
    let are_same = |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b);
    one.len() == other.len() && one.iter().zip(other).all(are_same)
}

/// Parses an unsigned number of digits of `base` and nothing else, as `str::parse` does but for a leading `+`. Returns `None` if it
/// does not fit.
pub fn parse_number(digits: &[u8], base: u32) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = char::from(*byte).to_digit(base)?;
        number.checked_mul(base.into())?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_only_digits_and_fits_64_bits() {
        assert_eq!(parse_number(b"0", 10), Some(0));
        assert_eq!(parse_number(b"0042", 10), Some(42));
        assert_eq!(parse_number(b"18446744073709551615", 10), Some(u64::MAX));
        assert_eq!(parse_number(b"ffffffffffffffff", 16), Some(u64::MAX));
        for text in [
            "",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1x",
            "0x1",
            "18446744073709551616",
            "\u{661}",
        ] {
            assert_eq!(parse_number(text.as_bytes(), 10), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_padded_to_their_width() {
        let mut text = Text::<64>::new();
        for (number, width) in [(0, 0), (7, 2), (2026, 2), (u64::MAX, 0)] {
            text.push_number(number, width);
            text.push(b" ");
        }
        assert_eq!(text.as_bytes(), b"0 07 2026 18446744073709551615 ");
    }

    #[test]
    fn columns_are_padded_and_never_run_together() {
        let mut text = Text::<12>::new();
        for (piece, width) in [("a", 4), ("bcdef", 8), ("g", 12)] {
            text.push(piece.as_bytes());
            text.pad(width);
        }
        assert_eq!(text.as_bytes(), b"a   bcdef g ");
        text.pad(100);
        assert!(text.is_cut());
    }

    #[test]
    fn a_push_that_does_not_fit_is_dropped_with_all_after_it() {
        let mut text = Text::<8>::new();
        text.clear(2);
        text.push(b"12345");
        text.push(b"67");
        text.push(b"8");
        assert!(text.is_cut());
        assert_eq!(text.as_bytes(), b"12345");
        text.release(0);
        text.push(b"end");
        assert_eq!(text.as_bytes(), b"12345end");
    }
}
