//! What a value may be. Pure.

// The fast search behind `contains` is 200 bytes for a few hundred bytes to be searched once.
#![allow(clippy::manual_contains)]

use super::problem::Problem;
use super::{AUTOMATIC, CommaList, Kind, MAX_CMDLINE, MAX_NAMES, MAX_ROOTS, PATH_MAX};
use crate::signal::{NotASignal, Signal};
use crate::text::{is_utf8, parse_number};
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
            Self::Address => address(value).map(|()| 0),
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
    if value
        .split(|byte| *byte == b'/')
        .any(|name| name.len() > NAME_MAX)
    {
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

/// `host:port`, `[v6]:port` or `:port`, the host an address or `localhost`.
fn address(value: &[u8]) -> Result<(), Problem> {
    let colon = value
        .iter()
        .rposition(|byte| *byte == b':')
        .ok_or(Problem::NotAnAddress)?;
    let (host, port) = (&value[..colon], &value[colon + 1..]);
    let mut parts = 0;
    let is_v4 = host.split(|byte| *byte == b'.').all(|part| {
        parts += 1;
        parse_number(part, 10).is_some_and(|part| part < 256)
    }) && parts == 4;
    let is_v6 = host.starts_with(b"[")
        && host.ends_with(b"]")
        && host.iter().any(|byte| *byte == b':')
        && host[1..host.len() - 1]
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || *byte == b':' || *byte == b'.');
    match parse_number(port, 10) {
        Some(1..=65535) if host.is_empty() || host == b"localhost" || is_v4 || is_v6 => Ok(()),
        _ => Err(Problem::NotAnAddress),
    }
}
