//! What a value may be. Pure.

// The fast search behind `contains` is 200 bytes for a few hundred bytes to be searched once.
#![allow(clippy::manual_contains)]

use super::problem::Problem;
use super::{AUTOMATIC, CommaList, Kind, Listen, MAX_CMDLINE, MAX_NAMES, MAX_ROOTS, PATH_MAX};
use crate::signal::{NotASignal, Signal};
use crate::sys::SocketAddress;
use crate::text::{is_utf8, parse_number, pieces};
use crate::tree::NAME_MAX;

/// No duration is longer than this: a thousand hours.
const MAX_DURATION_MS: u64 = 1000 * 3_600_000;
impl Kind {
    /// The number that a value stands for; 0 for what is taken as text.
    #[inline(never)]
    pub(super) fn read(self, value: &[u8]) -> Result<u64, Problem> {
        if !is_utf8(value) {
            return Err(Problem::NotUtf8);
        }
        match self {
            Self::Paths => list(value, MAX_ROOTS, path).map(|()| 0),
            Self::Names => list(value, MAX_NAMES, name).map(|()| 0),
            Self::Cmdline if value.len() > MAX_CMDLINE => {
                Err(Problem::TooLong { limit: MAX_CMDLINE })
            }
            Self::Cmdline => Ok(0),
            Self::Path => path(value).map(|()| 0),
            Self::Address if value.eq_ignore_ascii_case(b"off") || listen(value).is_some() => Ok(0),
            Self::Address => Err(Problem::NotAnAddress),
            Self::Select => choice(value, &["main", "all"]),
            Self::Confirm => choice(value, &["warn", "retry", "off"]),
            Self::Format => choice(value, &["text", "json"]),
            Self::Boolean => {
                let words = ["false", "0", "no", "true", "1", "yes"];
                position(value, &words)
                    .map(|at| at / 3)
                    .ok_or(Problem::NotABoolean)
            }
            Self::Interval if value.eq_ignore_ascii_case(b"automatic") => Ok(AUTOMATIC),
            Self::Interval | Self::Duration => duration_ms(value),
            Self::Signal => match Signal::parse(value) {
                Ok(signal) => Ok(signal.number().into()),
                Err(NotASignal::OutOfRange) => Err(Problem::SignalOutOfRange),
                Err(NotASignal::Unknown { nearest }) => Err(Problem::UnknownSignal { nearest }),
            },
        }
    }
}

fn choice(value: &[u8], choices: &'static [&'static str]) -> Result<u64, Problem> {
    position(value, choices).ok_or(Problem::NotOneOf { choices })
}

/// The place among `words` of the one that `value` is, letters of either case alike.
fn position(value: &[u8], words: &[&str]) -> Option<u64> {
    let at = words
        .iter()
        .position(|word| value.eq_ignore_ascii_case(word.as_bytes()));
    at.map(|at| at as u64)
}

fn path(value: &[u8]) -> Result<(), Problem> {
    if value.iter().any(|byte| *byte == 0) {
        return Err(Problem::Nul);
    }
    if value.len() >= PATH_MAX {
        return Err(Problem::PathTooLong);
    }
    if pieces(value, b'/').any(|name| name.len() > NAME_MAX) {
        return Err(Problem::NameTooLong);
    }
    Ok(())
}

fn name(value: &[u8]) -> Result<(), Problem> {
    if value.iter().any(|byte| *byte == b'/') {
        Err(Problem::Slash)
    } else {
        Ok(())
    }
}

/// At most `limit` pieces that pass `check`.
fn list(
    value: &[u8],
    limit: usize,
    check: fn(&[u8]) -> Result<(), Problem>,
) -> Result<(), Problem> {
    for (at, piece) in CommaList::new(value).iter().enumerate() {
        if at == limit {
            return Err(Problem::TooMany { limit });
        }
        if piece.is_empty() {
            return Err(Problem::EmptyPiece);
        }
        check(piece)?;
    }
    Ok(())
}

fn duration_ms(value: &[u8]) -> Result<u64, Problem> {
    let digits = value
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (number, unit) = value.split_at(digits);
    let unit_ms = match unit {
        b"ms" => 1,
        b"s" => 1000,
        b"m" => 60_000,
        b"h" => 3_600_000,
        b"" if number.iter().all(|digit| *digit == b'0') => 0,
        _ => return Err(Problem::NotADuration),
    };
    if digits == 0 {
        return Err(Problem::NotADuration);
    }
    parse_number(number, 10)
        .and_then(|number| number.checked_mul(unit_ms))
        .filter(|ms| *ms <= MAX_DURATION_MS)
        .ok_or(Problem::DurationTooLong)
}

/// `v4:port`, `[v6]:port`, or `localhost:port` and `:port`, which are the IPv4 loopback's.
pub(super) fn listen(text: &[u8]) -> Option<Listen<'_>> {
    let colon = text.iter().rposition(|byte| *byte == b':')?;
    let (host, port) = (&text[..colon], &text[colon + 1..]);
    let port = parse_number(port, 10).filter(|port| (1..=65535).contains(port))? as u16;
    let inner = host.strip_prefix(b"[");
    let address = if let Some(inner) = inner.and_then(|host| host.strip_suffix(b"]")) {
        SocketAddress::v6(v6(inner)?.to_be_bytes(), port)
    } else if host.is_empty() || host == b"localhost" {
        SocketAddress::v4([127, 0, 0, 1], port)
    } else {
        SocketAddress::v4(v4(host)?, port)
    };
    Some(Listen { text, address })
}

/// Four decimal numbers. One with a leading zero is refused, which others take as octal.
fn v4(text: &[u8]) -> Option<[u8; 4]> {
    let mut octets = [0; 4];
    let mut parts = pieces(text, b'.');
    for octet in &mut octets {
        let part = parts.next()?;
        let is_padded = part.len() > 1 && part.starts_with(b"0");
        *octet = parse_number(part, 10).filter(|number| !is_padded && *number < 256)? as u8;
    }
    parts.next().is_none().then_some(octets)
}

/// Groups of hexadecimal digits, among them at most one `::`; RFC 4291, section 2.2, without its form that ends like an IPv4
/// address.
fn v6(text: &[u8]) -> Option<u128> {
    // Of two colons at the start the first ends no group.
    let mut rest = match text {
        [b':', rest @ ..] if rest.starts_with(b":") => rest,
        [b':', ..] => return None,
        _ => text,
    };
    let (mut number, mut count) = (0_u128, 0);
    // The groups before the gap.
    let mut head = None;
    while let [first, after @ ..] = rest {
        if *first == b':' {
            if head.replace((number, count)).is_some() {
                return None;
            }
            number = 0;
            rest = after;
            continue;
        }
        let piece = pieces(rest, b':').next()?;
        let group = parse_number(piece, 16).filter(|_| piece.len() <= 4)?;
        number = number << 16 | u128::from(group);
        count += 1;
        rest = match rest.get(piece.len()..)? {
            // A colon alone at the end ends nothing.
            [_] => return None,
            [_, rest @ ..] => rest,
            [] => &[],
        };
    }
    match head {
        None if count == 8 => {}
        // The gap stands for one group at least.
        Some((mut head, before)) if count < 8 => {
            for _ in before..8 {
                head <<= 16;
            }
            number |= head;
        }
        _ => return None,
    }
    Some(number)
}
