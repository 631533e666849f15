//! Writes bytes, errors and times as text. Pure.
//!
//! Numbers are shown as `u64`, here and everywhere else: each other type would bring its own copy of the code.

use super::text::valid_utf8;
use core::fmt::{self, Display, Write};
use rustix::io::Errno;

/// Bytes from outside in a message, such as a path: as they are if they are plain ASCII, else in quotation marks and escaped, so
/// that nothing in them can pass for another part of the line.
#[derive(Clone, Copy)]
pub struct Bytes<'b>(pub &'b [u8]);

impl Display for Bytes<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_plain(self.0) {
            Printable(self.0).fmt(formatter)
        } else {
            Quoted(self.0).fmt(formatter)
        }
    }
}

/// Bytes from outside in a message, always in quotation marks.
#[derive(Clone, Copy)]
pub struct Quoted<'b>(pub &'b [u8]);

impl Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\"")?;
        write_escaped(formatter, self.0, Quote::Value)?;
        formatter.write_str("\"")
    }
}

/// Bytes from outside alone in a column or a line, for a terminal.
#[derive(Clone, Copy)]
pub struct Printable<'b>(pub &'b [u8]);

impl Display for Printable<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(formatter, self.0, Quote::Message)
    }
}

/// The destination of text, which decides how it is escaped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quote {
    /// Inside a JSON string.
    Json,
    /// Inside quotation marks in a text line.
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

/// Writes `value` so that no terminal, no parser and no reader takes part of it for something else: characters that are not seen,
/// and bytes that are not UTF-8, become `\xNN`, in JSON with the backslash doubled. Each character is one `write_str`.
// Not inlined: it is called for every part of a line.
#[inline(never)]
pub fn write_escaped(output: &mut dyn Write, value: &[u8], quote: Quote) -> fmt::Result {
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            let mut utf8 = [0; 4];
            let utf8 = &*character.encode_utf8(&mut utf8);
            let text = match (character, quote) {
                ('"', Quote::Json | Quote::Value) => "\\\"",
                ('\\', Quote::Json | Quote::Value) => "\\\\",
                ('\n', Quote::Json | Quote::Value) => "\\n",
                ('\t', Quote::Json | Quote::Value) => "\\t",
                _ if is_unseen(character) => {
                    write_hex(output, utf8.as_bytes(), quote)?;
                    ""
                }
                _ => utf8,
            };
            output.write_str(text)?;
        }
        write_hex(output, chunk.invalid(), quote)?;
    }
    Ok(())
}

/// Returns true for control characters, and for those that turn the line round, break it, or are not seen at all.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

// Not inlined: it is called twice.
#[inline(never)]
fn write_hex(output: &mut dyn Write, bytes: &[u8], quote: Quote) -> fmt::Result {
    let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
    let start = usize::from(quote != Quote::Json);
    for byte in bytes {
        let hex = [b'\\', b'\\', b'x', digit(byte >> 4), digit(*byte)];
        output.write_str(valid_utf8(&hex[start..]))?;
    }
    Ok(())
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
        // The errors that the program can meet.
        formatter.write_str(match self.0 {
            Errno::ACCESS => "EACCES",
            Errno::ADDRINUSE => "EADDRINUSE",
            Errno::ADDRNOTAVAIL => "EADDRNOTAVAIL",
            Errno::AFNOSUPPORT => "EAFNOSUPPORT",
            Errno::AGAIN => "EAGAIN",
            Errno::CONNREFUSED => "ECONNREFUSED",
            Errno::INVAL => "EINVAL",
            Errno::IO => "EIO",
            Errno::LOOP => "ELOOP",
            Errno::MFILE => "EMFILE",
            Errno::NAMETOOLONG => "ENAMETOOLONG",
            Errno::NFILE => "ENFILE",
            Errno::NODEV => "ENODEV",
            Errno::NOENT => "ENOENT",
            Errno::NOMEM => "ENOMEM",
            Errno::NOSPC => "ENOSPC",
            Errno::NOSYS => "ENOSYS",
            Errno::NOTDIR => "ENOTDIR",
            Errno::PERM => "EPERM",
            Errno::SRCH => "ESRCH",
            Errno::STALE => "ESTALE",
            Errno::TIMEDOUT => "ETIMEDOUT",
            other => return write!(formatter, "errno {}", other.raw_os_error() as u64),
        })
    }
}

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
    fn l5_what_is_not_seen_does_not_reach_a_terminal() {
        for (text, expected) in [
            (
                &b"a\x1b[31m\nb\xc2\x9b\xc3\xa9"[..],
                "a\\x1b[31m\\x0ab\\xc2\\x9b\u{e9}",
            ),
            (b"\xff\x7f", "\\xff\\x7f"),
            (
                "gpj.\u{202e}conf\u{2066}".as_bytes(),
                "gpj.\\xe2\\x80\\xaeconf\\xe2\\x81\\xa6",
            ),
            (
                "\u{2028}\u{2029}\u{200b}\u{feff}".as_bytes(),
                "\\xe2\\x80\\xa8\\xe2\\x80\\xa9\\xe2\\x80\\x8b\\xef\\xbb\\xbf",
            ),
        ] {
            assert_eq!(Printable(text).to_string(), expected);
        }
    }

    #[test]
    fn l5_bytes_in_a_message_are_quoted_unless_they_are_plain() {
        for (text, expected) in [
            (&b"/etc/app.conf"[..], "/etc/app.conf"),
            (b"", "\"\""),
            (b"/a pid=1", "\"/a pid=1\""),
            (b"/a=1", "\"/a=1\""),
            (b"/a\"b\\c\n", "\"/a\\\"b\\\\c\\n\""),
            (b"caf\xc3\xa9 \xff\x80", "\"caf\u{e9} \\xff\\x80\""),
        ] {
            assert_eq!(Bytes(text).to_string(), expected);
        }
    }
}
