//! How single values are read.

use super::problem::Problem;
use super::types::{CommaList, MAX_CMDLINE, MAX_NAMES, MAX_ROOTS, PollInterval};
use crate::base::file::{NAME_MAX, PATH_MAX};
use crate::base::signal::{NotASignal, Signal};
use crate::base::text::{is_same_word, parse_number, pieces};
use crate::base::time::Millis;

/// The longest duration: a thousand hours.
const MAX_DURATION: Millis = Millis(1000 * 3_600_000);

/// Reads one of a few words, in either case.
pub(super) fn choice<T: Copy>(
    value: &[u8],
    choices: &[(&str, T)],
    words: &'static str,
) -> Result<T, Problem> {
    choices
        .iter()
        .find(|(word, _)| is_same_word(value, word.as_bytes()))
        .map(|(_, meaning)| *meaning)
        .ok_or(Problem::NotAChoice(words))
}

/// Reads true or false.
pub(super) fn boolean(value: &[u8]) -> Result<bool, Problem> {
    let is_one_of = |words: [&str; 3]| words.iter().any(|it| is_same_word(value, it.as_bytes()));
    if is_one_of(["true", "1", "yes"]) {
        Ok(true)
    } else if is_one_of(["false", "0", "no"]) {
        Ok(false)
    } else {
        Err(Problem::NotABoolean)
    }
}

/// Reads a number with a unit, or 0.
pub(super) fn duration(value: &[u8]) -> Result<Millis, Problem> {
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
    let unit_ms = unit_ms.ok_or(Problem::NotADuration)?;
    number
        .and_then(|number| number.checked_mul(unit_ms))
        .map(Millis)
        .filter(|duration| *duration <= MAX_DURATION)
        .ok_or(Problem::TooLong)
}

/// Reads a signal's name or number.
pub(super) fn signal(value: &[u8]) -> Result<Signal, Problem> {
    Signal::parse(value).map_err(|error| match error {
        NotASignal::OutOfRange => Problem::SignalOutOfRange,
        NotASignal::Unknown { nearest } => Problem::UnknownSignal(nearest),
    })
}

/// Reads a path.
pub(super) fn path(value: &[u8]) -> Result<&[u8], Problem> {
    if value.contains(&0) {
        Err(Problem::NulInPath)
    } else if value.len() >= PATH_MAX {
        Err(Problem::LongPath)
    } else if pieces(value, b'/').any(|name| name.len() > NAME_MAX) {
        Err(Problem::LongName)
    } else {
        Ok(value)
    }
}

/// Reads paths between commas.
pub(super) fn paths(value: &[u8]) -> Result<CommaList<'_>, Problem> {
    list(value, MAX_ROOTS, path)
}

/// Reads process names between commas.
pub(super) fn names(value: &[u8]) -> Result<CommaList<'_>, Problem> {
    list(value, MAX_NAMES, |name| {
        if name.contains(&b'/') {
            Err(Problem::NameIsAPath)
        } else {
            Ok(name)
        }
    })
}

fn list(
    value: &[u8],
    max: usize,
    check: fn(&[u8]) -> Result<&[u8], Problem>,
) -> Result<CommaList<'_>, Problem> {
    let list = CommaList::new(value);
    for (at, piece) in list.iter().enumerate() {
        if at == max {
            return Err(Problem::TooManyPieces);
        }
        if piece.is_empty() {
            return Err(Problem::EmptyPiece);
        }
        check(piece)?;
    }
    Ok(list)
}

/// Reads a part of a command line.
pub(super) fn cmdline(value: &[u8]) -> Result<&[u8], Problem> {
    if value.len() > MAX_CMDLINE {
        Err(Problem::LongCmdline)
    } else {
        Ok(value)
    }
}

impl PollInterval {
    /// Zero stands for never.
    pub(super) fn of(interval: Millis) -> Self {
        if interval == Millis::ZERO {
            Self::Never
        } else {
            Self::Every(interval)
        }
    }
}
