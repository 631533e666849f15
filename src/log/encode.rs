//! How values, times and errors are written in a line. Pure.

use crate::text::{Text, Word};
use rustix::io::Errno;

/// Where bytes from outside go, which decides how they are escaped.
#[derive(Clone, Copy)]
pub(super) enum Quote {
    /// Inside a JSON string.
    Json,
    /// Inside a quoted value of a text line.
    Value,
    /// In the message of a text line.
    Message,
}

/// Whether a value can stand in a text line without quotation marks.
pub(super) fn is_plain(value: &[u8]) -> bool {
    !value.is_empty()
        && value
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !b"\"=\\".contains(byte))
}

/// Adds bytes from outside so that no terminal and no parser takes them for something else: control characters (C0, DEL and
/// C1) and bytes that are not UTF-8 become `\xNN`, in JSON with the backslash doubled.
pub(super) fn push_escaped<const N: usize>(text: &mut Text<N>, bytes: &[u8], quote: Quote) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            let mut utf8 = [0; 4];
            let utf8 = character.encode_utf8(&mut utf8).as_bytes();
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
        for byte in chunk.invalid() {
            push_byte(text, *byte, quote);
        }
    }
}

fn push_byte<const N: usize>(text: &mut Text<N>, byte: u8, quote: Quote) {
    let mut escape = Word::new();
    escape.push(match quote {
        Quote::Json => b"\\\\x",
        Quote::Value | Quote::Message => b"\\x",
    });
    escape.push_hex(byte.into(), 2);
    text.push(escape.as_bytes());
}

/// Adds a time as RFC 3339 writes it, in UTC with milliseconds.
pub(super) fn push_time<const N: usize>(text: &mut Text<N>, wall_ms: u64) {
    const DAY_S: u64 = 86_400;
    let seconds = wall_ms / 1000;
    // Years that begin in March put the leap day last; an era of 400 of them has 146,097 days. The epoch, 1970-01-01, is
    // day 719,468 of that calendar.
    let day = seconds / DAY_S + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let second = seconds % DAY_S;
    let mut part = |number, width, after: &[u8]| {
        text.push_number(number, width);
        text.push(after);
    };
    part(year, 4, b"-");
    part(month, 2, b"-");
    part(day_of_month, 2, b"T");
    part(second / 3600, 2, b":");
    part(second / 60 % 60, 2, b":");
    part(second % 60, 2, b".");
    part(wall_ms % 1000, 3, b"Z");
}

/// The names, without their E, of the errors that the program can meet; the rest is printed as a number. A fixed width saves a
/// pointer each.
static ERRNO_NAMES: [(Errno, [u8; 11]); 23] = [
    (Errno::ACCESS, *b"ACCES      "),
    (Errno::AGAIN, *b"AGAIN      "),
    (Errno::BADF, *b"BADF       "),
    (Errno::FBIG, *b"FBIG       "),
    (Errno::INVAL, *b"INVAL      "),
    (Errno::IO, *b"IO         "),
    (Errno::ISDIR, *b"ISDIR      "),
    (Errno::LOOP, *b"LOOP       "),
    (Errno::MFILE, *b"MFILE      "),
    (Errno::NAMETOOLONG, *b"NAMETOOLONG"),
    (Errno::NFILE, *b"NFILE      "),
    (Errno::NODEV, *b"NODEV      "),
    (Errno::NOENT, *b"NOENT      "),
    (Errno::NOMEM, *b"NOMEM      "),
    (Errno::NOSPC, *b"NOSPC      "),
    (Errno::NOSYS, *b"NOSYS      "),
    (Errno::NOTCONN, *b"NOTCONN    "),
    (Errno::NOTDIR, *b"NOTDIR     "),
    (Errno::NXIO, *b"NXIO       "),
    (Errno::PERM, *b"PERM       "),
    (Errno::PIPE, *b"PIPE       "),
    (Errno::SRCH, *b"SRCH       "),
    (Errno::STALE, *b"STALE      "),
];

/// Its name without the E.
pub(super) fn errno_name(errno: Errno) -> Option<&'static [u8]> {
    let (_, name) = ERRNO_NAMES.iter().find(|(it, _)| *it == errno)?;
    Some(name.trim_ascii_end())
}
