//! Writes bytes, errors and times as text. Pure.
//!
//! Numbers are shown as `u64`, here and everywhere else: each other type would bring its own copy of the code.

use super::text::Text;
use core::fmt::{self, Display, Write};
use rustix::io::Errno;

/// Bytes from outside, such as a path: UTF-8 as it is, anything else as `\xNN`.
#[derive(Clone, Copy)]
pub struct Bytes<'b>(pub &'b [u8]);

impl Display for Bytes<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            formatter.write_str(chunk.valid())?;
            for byte in chunk.invalid() {
                write_hex(formatter, *byte)?;
            }
        }
        Ok(())
    }
}

/// Bytes from outside, for a terminal: as [`Bytes`], but control characters (C0, DEL and C1) become `\xNN` as well.
#[derive(Clone, Copy)]
pub struct Printable<'b>(pub &'b [u8]);

impl Display for Printable<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() {
                    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                        write_hex(formatter, byte)?;
                    }
                } else {
                    formatter.write_char(character)?;
                }
            }
            for byte in chunk.invalid() {
                write_hex(formatter, *byte)?;
            }
        }
        Ok(())
    }
}

/// The destination of text, which decides how it is escaped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quote {
    /// Inside a JSON string.
    Json,
    /// Inside a quoted value of a text line.
    Value,
    /// In the message of a text line.
    Message,
}

/// Returns true if a value can stand in a text line without quotation marks.
pub fn is_plain(value: &[u8]) -> bool {
    !value.is_empty()
        && value
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\'))
}

/// Adds `value` so that no terminal and no parser takes part of it for something else: control characters (C0, DEL and C1)
/// become `\xNN`, in JSON with the backslash doubled.
pub fn push_escaped<const N: usize>(text: &mut Text<N>, value: &str, quote: Quote) {
    let mut utf8 = [0; 4];
    for character in value.chars() {
        match (character, quote) {
            ('"', Quote::Json | Quote::Value) => text.push(b"\\\""),
            ('\\', Quote::Json | Quote::Value) => text.push(b"\\\\"),
            ('\n', Quote::Json | Quote::Value) => text.push(b"\\n"),
            ('\t', Quote::Json | Quote::Value) => text.push(b"\\t"),
            _ if character.is_control() => {
                for byte in character.encode_utf8(&mut utf8).bytes() {
                    push_hex(text, byte, quote);
                }
            }
            _ => text.push(character.encode_utf8(&mut utf8).as_bytes()),
        }
    }
}

/// Adds `value` as [`push_escaped`] does; bytes that are not UTF-8 become `\xNN` like control characters.
pub fn push_escaped_bytes<const N: usize>(text: &mut Text<N>, value: &[u8], quote: Quote) {
    for chunk in value.utf8_chunks() {
        push_escaped(text, chunk.valid(), quote);
        for byte in chunk.invalid() {
            push_hex(text, *byte, quote);
        }
    }
}

fn push_hex<const N: usize>(text: &mut Text<N>, byte: u8, quote: Quote) {
    let start = text.len();
    if quote == Quote::Json {
        text.push(b"\\");
    }
    let _ = write_hex(text, byte);
    text.keep_whole(start);
}

fn write_hex(output: &mut dyn Write, byte: u8) -> fmt::Result {
    write!(output, "\\x{byte:02x}")
}

/// A moment in milliseconds since the epoch, as RFC 3339 writes it: in UTC, with milliseconds.
#[derive(Clone, Copy)]
pub struct Timestamp(pub u64);

impl Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0 / DAY_MS);
        let (clock, millis) = (Clock(self.0), self.0 % 1000);
        write!(formatter, "{year}-{month:02}-{day:02}T{clock}.{millis:03}Z")
    }
}

/// A moment in milliseconds since the epoch, as HTTP writes it; RFC 9110, section 5.6.7.
#[derive(Clone, Copy)]
pub struct HttpDate(pub u64);

impl Display for HttpDate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0 / DAY_MS;
        let (year, month, day) = date(days);
        // 1 January 1970 was a Thursday.
        let weekday = three_letters("ThuFriSatSunMonTueWed", days % 7);
        let month = three_letters("JanFebMarAprMayJunJulAugSepOctNovDec", month - 1);
        let clock = Clock(self.0);
        write!(formatter, "{weekday}, {day:02} {month} {year} {clock} GMT")
    }
}

/// The milliseconds in a day.
const DAY_MS: u64 = 86_400_000;

/// The time of day of a moment in milliseconds since the epoch.
struct Clock(u64);

impl Display for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0 / 60_000;
        let (hour, minute, second) = (minutes / 60 % 24, minutes % 60, self.0 / 1000 % 60);
        write!(formatter, "{hour:02}:{minute:02}:{second:02}")
    }
}

/// Returns the three letters at this place.
fn three_letters(names: &str, at: u64) -> &str {
    let start = 3 * at as usize;
    names.get(start..start + 3).unwrap_or_default()
}

/// Returns year, month and day this many days after 1 January 1970.
fn date(mut days: u64) -> (u64, u64, u64) {
    // Counting is shorter than the usual formula, and a few dozen years take no time.
    let (mut year, mut month) = (1970, 1);
    loop {
        let length = match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if days < length {
            return (year, month, days + 1);
        }
        days -= length;
        month += 1;
        if month > 12 {
            (year, month) = (year + 1, 1);
        }
    }
}

/// The name of a system call's error, such as `ENOENT`; `errno 4000` for one that the program does not expect. errno(3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name(pub Errno);

impl Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(errno, _)| *errno == self.0) {
            Some((_, name)) => formatter.write_str(name),
            None => write!(formatter, "errno {}", self.0.raw_os_error() as u64),
        }
    }
}

/// The errors that the program can meet.
static NAMES: [(Errno, &str); 22] = [
    (Errno::ACCESS, "EACCES"),
    (Errno::ADDRINUSE, "EADDRINUSE"),
    (Errno::ADDRNOTAVAIL, "EADDRNOTAVAIL"),
    (Errno::AFNOSUPPORT, "EAFNOSUPPORT"),
    (Errno::AGAIN, "EAGAIN"),
    (Errno::CONNREFUSED, "ECONNREFUSED"),
    (Errno::INVAL, "EINVAL"),
    (Errno::IO, "EIO"),
    (Errno::LOOP, "ELOOP"),
    (Errno::MFILE, "EMFILE"),
    (Errno::NAMETOOLONG, "ENAMETOOLONG"),
    (Errno::NFILE, "ENFILE"),
    (Errno::NODEV, "ENODEV"),
    (Errno::NOENT, "ENOENT"),
    (Errno::NOMEM, "ENOMEM"),
    (Errno::NOSPC, "ENOSPC"),
    (Errno::NOSYS, "ENOSYS"),
    (Errno::NOTDIR, "ENOTDIR"),
    (Errno::PERM, "EPERM"),
    (Errno::SRCH, "ESRCH"),
    (Errno::STALE, "ESTALE"),
    (Errno::TIMEDOUT, "ETIMEDOUT"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        for (wall_ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_795_435_200_123, "2026-11-23T12:00:00.123Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp(wall_ms).to_string(), expected);
        }
    }

    #[test]
    fn http_dates_have_names_for_day_and_month() {
        for (wall_ms, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777_999, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (1_709_164_800_000, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (1_798_761_599_000, "Thu, 31 Dec 2026 23:59:59 GMT"),
        ] {
            assert_eq!(HttpDate(wall_ms).to_string(), expected);
        }
    }

    #[test]
    fn errors_have_their_names_and_others_their_numbers() {
        assert_eq!(Name(Errno::NOENT).to_string(), "ENOENT");
        assert_eq!(
            Name(Errno::from_raw_os_error(4000)).to_string(),
            "errno 4000"
        );
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        let hostile = "a\u{1b}[31m\nb\u{9b}\u{e9}".as_bytes();
        assert_eq!(
            Printable(hostile).to_string(),
            "a\\x1b[31m\\x0ab\\xc2\\x9bé"
        );
        assert_eq!(Printable(b"\xff\x7f").to_string(), "\\xff\\x7f");
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_shown_in_hexadecimal() {
        assert_eq!(
            Bytes(b"caf\xc3\xa9 \xff\x80").to_string(),
            "café \\xff\\x80"
        );
    }
}
