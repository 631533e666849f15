//! What a value may be. Pure.

// The fast search behind `contains` is 200 bytes for a few hundred bytes to be searched once.
#![allow(clippy::manual_contains)]

use super::{AUTOMATIC, CommaList, Kind, Listen, MAX_CMDLINE, MAX_ROOTS};
use crate::base::file::{NAME_MAX, PATH_MAX};
use crate::base::signal::{NotASignal, Signal};
use crate::base::sys::SocketAddress;
use crate::base::text::{is_same_word, is_utf8, parse_number, pieces};
use crate::base::time::Millis;
use crate::base::words::Words;
use crate::words;

/// No duration is longer than this: a thousand hours.
const MAX_DURATION: Millis = Millis(1000 * 3_600_000);

impl Kind {
    /// The number that a value stands for; 0 for what is taken as text. Or what is wrong with it and what would be right.
    #[inline(never)]
    pub(super) fn read(self, value: &[u8]) -> Result<u64, Words> {
        if !is_utf8(value) {
            return Err(words!(", which is not UTF-8; give it as UTF-8 text"));
        }
        let (choices, advice): (&[u8], Words) = match self {
            Self::Select => (b"main|all", words!("; give main or all")),
            Self::Confirm => (b"warn|retry|off", words!("; give warn, retry or off")),
            Self::Format => (b"text|json", words!("; give text or json")),
            Self::Boolean => (
                b"false|0|no|true|1|yes",
                words!(", which is no boolean; give true or false"),
            ),
            Self::Interval if is_same_word(value, b"automatic") => return Ok(AUTOMATIC),
            Self::Interval | Self::Duration => return duration_ms(value),
            Self::Signal => {
                return match Signal::parse(value) {
                    Ok(signal) => Ok(signal.number().into()),
                    Err(NotASignal::OutOfRange) => Err(words!(
                        ", which is out of range; signals are 1 to 31 and 34 to 64, SIGRTMIN to SIGRTMIN+30"
                    )),
                    // Goes on with the nearest one.
                    Err(NotASignal::Unknown { .. }) => {
                        Err(words!(", which is no signal; did you mean SIG"))
                    }
                };
            }
            Self::Paths => return list(value, path),
            Self::Names => return list(value, name),
            Self::Path => return path(value),
            Self::Cmdline => {
                return if value.len() > MAX_CMDLINE {
                    Err(words!("..., which is too long; at most 1024 bytes work"))
                } else {
                    Ok(0)
                };
            }
            Self::Address => {
                return if is_same_word(value, b"off") || listen(value).is_some() {
                    Ok(0)
                } else {
                    Err(words!(
                        ", which is no address with a port; give for example :9533 for the loopback, 0.0.0.0:9533 or [::]:9533 for every interface"
                    ))
                };
            }
        };
        let at = pieces(choices, b'|')
            .position(|word| is_same_word(value, word))
            .ok_or(advice)? as u64;
        Ok(if matches!(self, Self::Boolean) {
            at / 3
        } else {
            at
        })
    }
}

fn path(value: &[u8]) -> Result<u64, Words> {
    if value.iter().any(|byte| *byte == 0) {
        return Err(words!(", which holds a NUL byte; a path cannot"));
    }
    if value.len() >= PATH_MAX {
        return Err(words!(
            "..., a path longer than the kernel takes; at most 4095 bytes work"
        ));
    }
    if pieces(value, b'/').any(|name| name.len() > NAME_MAX) {
        return Err(words!(
            "..., with a name in the path longer than the kernel takes; at most 255 bytes work"
        ));
    }
    Ok(0)
}

fn name(value: &[u8]) -> Result<u64, Words> {
    if value.iter().any(|byte| *byte == b'/') {
        Err(words!(
            ", which is a path; give the name alone, the part after the last slash"
        ))
    } else {
        Ok(0)
    }
}

/// At most [`MAX_ROOTS`] pieces that pass `check`.
fn list(value: &[u8], check: fn(&[u8]) -> Result<u64, Words>) -> Result<u64, Words> {
    for (at, piece) in CommaList::new(value).iter().enumerate() {
        if at == MAX_ROOTS {
            return Err(words!(", which has too many parts; at most 64 work"));
        }
        if piece.is_empty() {
            return Err(words!(
                ", where nothing stands before or after a comma; remove that comma"
            ));
        }
        check(piece)?;
    }
    Ok(0)
}

fn duration_ms(value: &[u8]) -> Result<u64, Words> {
    let digits = value
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (digits, unit) = value.split_at(digits);
    let number = parse_number(digits, 10);
    let unit_ms = match unit {
        _ if digits.is_empty() => None,
        b"ms" => Some(1),
        b"s" => Some(1000),
        b"m" => Some(60_000),
        b"h" => Some(3_600_000),
        b"" if number == Some(0) => Some(0),
        _ => None,
    };
    let Some(unit_ms) = unit_ms else {
        return Err(words!(
            ", which is no duration; give a number with ms, s, m or h, for example 500ms, or 0"
        ));
    };
    number
        .and_then(|number| number.checked_mul(unit_ms))
        .filter(|ms| Millis(*ms) <= MAX_DURATION)
        .ok_or(words!(", which is too long; at most 1000h work"))
}

/// `v4:port`, `[v6]:port`, or `localhost:port` and `:port`, which are the IPv4 loopback's.
pub(super) fn listen(text: &[u8]) -> Option<Listen<'_>> {
    let colon = text.iter().rposition(|byte| *byte == b':')?;
    let (host, port) = (&text[..colon], &text[colon + 1..]);
    let port = parse_number(port, 10).filter(|port| (1..=65535).contains(port))? as u16;
    let address = if let [b'[', inner @ .., b']'] = host {
        SocketAddress::v6(v6(inner)?, port)
    } else {
        let is_loopback = host.is_empty() || host == b"localhost";
        let host = if is_loopback { b"127.0.0.1" } else { host };
        SocketAddress::v4(v4(host)?, port)
    };
    Some(Listen { text, address })
}

/// Four decimal numbers.
fn v4(text: &[u8]) -> Option<[u8; 4]> {
    let mut octets = [[0; 2]; 4];
    numbers(text, b'.', &mut octets)?;
    Some(octets.map(|[_, octet]| octet))
}

/// Groups of hexadecimal digits, among them at most one `::`; RFC 4291, section 2.2, without its form that ends like an IPv4
/// address.
fn v6(text: &[u8]) -> Option<[u8; 16]> {
    let mut groups = [[0; 2]; 8];
    if let Some(gap) = text.windows(2).position(|two| two == b"::") {
        let (before, after) = (&text[..gap], &text[gap + 2..]);
        let (head, rest) = groups.split_at_mut_checked(count(before, b':'))?;
        numbers(before, b':', head)?;
        // The gap stands for one group at least.
        let gap = rest.len().checked_sub(count(after, b':'))?;
        numbers(after, b':', rest.get_mut(gap..).filter(|_| gap > 0)?)?;
    } else {
        numbers(text, b':', &mut groups)?;
    }
    groups.as_flattened().try_into().ok()
}

fn count(text: &[u8], separator: u8) -> usize {
    if text.is_empty() {
        0
    } else {
        pieces(text, separator).count()
    }
}

/// As many numbers as there are places: bytes in decimal between points, else two bytes each in hexadecimal. A decimal one with a
/// leading zero is refused, which others take as octal.
#[inline(never)]
fn numbers(text: &[u8], separator: u8, places: &mut [[u8; 2]]) -> Option<()> {
    if count(text, separator) != places.len() {
        return None;
    }
    let is_decimal = separator == b'.';
    let (base, most) = if is_decimal { (10, 3) } else { (16, 4) };
    for (piece, place) in pieces(text, separator).zip(places) {
        let number = parse_number(piece, base).filter(|_| piece.len() <= most)? as u16;
        if is_decimal && (number > 255 || piece.len() > 1 && piece[0] == b'0') {
            return None;
        }
        *place = number.to_be_bytes();
    }
    Some(())
}
