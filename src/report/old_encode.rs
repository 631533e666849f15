//! How values, times and errors are written in a line. Pure.

use crate::base::text::{Text, Word, character, hexadecimal};
use crate::base::words::Words;
use crate::words;
use rustix::io::Errno;

/// Where bytes from outside go, which decides how they are escaped.
#[derive(Clone, Copy)]
pub(crate) enum Quote {
    /// Inside a JSON string.
    Json,
    /// Inside a quoted value of a text line.
    Value,
    /// In the message of a text line.
    Message,
}

/// Whether a value can stand in a text line without quotation marks.
pub(crate) fn is_plain(value: &[u8]) -> bool {
    !value.is_empty()
        && value
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\'))
}

/// Adds bytes from outside so that no terminal and no parser takes them for something else: control characters (C0, DEL and
/// C1) and bytes that are not UTF-8 become `\xNN`, in JSON with the backslash doubled.
pub(crate) fn push_escaped<const N: usize>(text: &mut Text<N>, mut bytes: &[u8], quote: Quote) {
    while let [first, after @ ..] = bytes {
        let Some(character) = character(bytes) else {
            push_byte(text, *first, quote);
            bytes = after;
            continue;
        };
        let (utf8, after) = bytes.split_at(character.len_utf8());
        bytes = after;
        match (character, quote) {
            ('"', Quote::Json | Quote::Value) => text.push(b"\\\""),
            ('\\', Quote::Json | Quote::Value) => text.push(b"\\\\"),
            ('\n', Quote::Json | Quote::Value) => text.push(b"\\n"),
            ('\t', Quote::Json | Quote::Value) => text.push(b"\\t"),
            _ if character.is_control() => {
                for byte in utf8 {
                    push_byte(text, *byte, quote);
                }
            }
            _ => text.push(utf8),
        }
    }
}

fn push_byte<const N: usize>(text: &mut Text<N>, byte: u8, quote: Quote) {
    let start = text.len();
    text.push(match quote {
        Quote::Json => b"\\\\x",
        Quote::Value | Quote::Message => b"\\x",
    });
    let [.., high, low] = hexadecimal(byte.into());
    text.push(&[high, low]);
    text.keep_whole(start);
}

/// Adds a time as RFC 3339 writes it, in UTC with milliseconds.
pub(crate) fn push_time<const N: usize>(text: &mut Text<N>, wall_ms: u64) {
    const DAY_S: u64 = 86_400;
    let second = wall_ms / 1000 % DAY_S;
    // Counting is shorter than calculating, and a few dozen years take no time.
    let mut day = wall_ms / 1000 / DAY_S;
    let mut year = 1970;
    let mut month = 1;
    loop {
        let days = match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if day < days {
            break;
        }
        day -= days;
        month += 1;
        if month > 12 {
            month = 1;
            year += 1;
        }
    }
    for (number, width, after) in [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day + 1, 2, b'T'),
        (second / 3600, 2, b':'),
        (second / 60 % 60, 2, b':'),
        (second % 60, 2, b'.'),
        (wall_ms % 1000, 3, b'Z'),
    ] {
        text.push_number(number, width);
        text.push(&[after]);
    }
}

/// The errors that the program can meet; the rest is printed as a number.
static ERRNOS: [u8; 21] = [
    Errno::ACCESS.raw_os_error() as u8,
    Errno::ADDRINUSE.raw_os_error() as u8,
    Errno::ADDRNOTAVAIL.raw_os_error() as u8,
    Errno::AGAIN.raw_os_error() as u8,
    Errno::CONNREFUSED.raw_os_error() as u8,
    Errno::INVAL.raw_os_error() as u8,
    Errno::IO.raw_os_error() as u8,
    Errno::LOOP.raw_os_error() as u8,
    Errno::MFILE.raw_os_error() as u8,
    Errno::NAMETOOLONG.raw_os_error() as u8,
    Errno::NFILE.raw_os_error() as u8,
    Errno::NODEV.raw_os_error() as u8,
    Errno::NOENT.raw_os_error() as u8,
    Errno::NOMEM.raw_os_error() as u8,
    Errno::NOSPC.raw_os_error() as u8,
    Errno::NOSYS.raw_os_error() as u8,
    Errno::NOTDIR.raw_os_error() as u8,
    Errno::PERM.raw_os_error() as u8,
    Errno::SRCH.raw_os_error() as u8,
    Errno::STALE.raw_os_error() as u8,
    Errno::TIMEDOUT.raw_os_error() as u8,
];

/// Their names without the E, in the same order.
const ERRNO_NAMES: Words = words!(
    "ACCES|ADDRINUSE|ADDRNOTAVAIL|AGAIN|CONNREFUSED|INVAL|IO|LOOP|MFILE|NAMETOOLONG|NFILE|NODEV|NOENT|NOMEM|NOSPC|NOSYS|NOTDIR|PERM|SRCH|STALE|TIMEDOUT"
);

/// Its name, or its number where it has none here.
pub fn errno_text(errno: Errno) -> Word {
    let mut text = Word::new();
    let number = errno.raw_os_error();
    if let Some(at) = ERRNOS.iter().position(|it| i32::from(*it) == number) {
        text.push(b"E");
        text.push(ERRNO_NAMES.piece(at).as_bytes());
    } else {
        text.push(b"errno ");
        text.push_number(errno.raw_os_error().unsigned_abs().into(), 0);
    }
    text
}
