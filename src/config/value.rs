//! Parses single values.

use super::address;
use super::problem::{Choices, MAX_CMDLINE, MAX_HOURS, MAX_NAMES, MAX_ROOTS, MIN_KEY, Problem};
use super::types::{
    CommaList, ConfirmMode, Listen, LogFormat, LogStream, PollInterval, Scope, Select,
};
use crate::base::file::{NAME_MAX, PATH_MAX};
use crate::base::signal::{NotASignal, Signal};
use crate::base::text::{has, is_same_word, parse_number, pieces};
use crate::base::time::Millis;

type Parsed<T> = Result<T, Problem>;

pub(super) fn boolean(value: &[u8]) -> Parsed<bool> {
    choice(
        value,
        &[
            ("true", true),
            ("1", true),
            ("yes", true),
            ("false", false),
            ("0", false),
            ("no", false),
        ],
        Problem::NotABoolean,
    )
}

pub(super) fn scope(value: &[u8]) -> Parsed<Scope> {
    choice(
        value,
        &[("pod", Scope::Pod), ("node", Scope::Node)],
        Problem::NotAChoice(Choices::Scope),
    )
}

pub(super) fn select(value: &[u8]) -> Parsed<Select> {
    choice(
        value,
        &[("main", Select::Main), ("all", Select::All)],
        Problem::NotAChoice(Choices::Select),
    )
}

pub(super) fn confirm(value: &[u8]) -> Parsed<ConfirmMode> {
    choice(
        value,
        &[
            ("warn", ConfirmMode::Warn),
            ("retry", ConfirmMode::Retry),
            ("off", ConfirmMode::Off),
        ],
        Problem::NotAChoice(Choices::Confirm),
    )
}

pub(super) fn log_format(value: &[u8]) -> Parsed<LogFormat> {
    choice(
        value,
        &[("text", LogFormat::Text), ("json", LogFormat::Json)],
        Problem::NotAChoice(Choices::Format),
    )
}

pub(super) fn log_stream(value: &[u8]) -> Parsed<LogStream> {
    choice(
        value,
        &[("stderr", LogStream::Stderr), ("stdout", LogStream::Stdout)],
        Problem::NotAChoice(Choices::Stream),
    )
}

fn choice<T: Copy>(value: &[u8], choices: &[(&str, T)], problem: Problem) -> Parsed<T> {
    choices
        .iter()
        .find(|(word, _)| is_same_word(value, word.as_bytes()))
        .map(|(_, choice)| *choice)
        .ok_or(problem)
}

pub(super) fn signal(value: &[u8]) -> Parsed<Signal> {
    Signal::parse(value).map_err(|error| match error {
        NotASignal::OutOfRange => Problem::SignalOutOfRange,
        NotASignal::Unknown { nearest } => Problem::NotASignal { nearest },
    })
}

pub(super) fn interval(value: &[u8]) -> Parsed<PollInterval> {
    if is_same_word(value, b"automatic") {
        return Ok(PollInterval::Automatic);
    }
    Ok(match duration(value)? {
        Millis::ZERO => PollInterval::Never,
        interval => PollInterval::Every(interval),
    })
}

/// Parses a number with a unit, or 0 without one.
pub(super) fn duration(value: &[u8]) -> Parsed<Millis> {
    let digits = value
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (digits, unit) = value.split_at(digits);
    if digits.is_empty() {
        return Err(Problem::NotADuration);
    }
    let number = parse_number(digits, 10);
    let unit_ms = match unit {
        b"ms" => 1,
        b"s" => 1000,
        b"m" => 60_000,
        b"h" => 3_600_000,
        b"" if number == Some(0) => 0,
        _ => return Err(Problem::NotADuration),
    };
    number
        .and_then(|number| number.checked_mul(unit_ms))
        .filter(|ms| *ms <= MAX_HOURS * 3_600_000)
        .map(Millis)
        .ok_or(Problem::DurationTooLong)
}

pub(super) fn paths(value: &[u8]) -> Parsed<CommaList<'_>> {
    list(value, MAX_ROOTS, |item| path(item).err())
}

pub(super) fn names(value: &[u8]) -> Parsed<CommaList<'_>> {
    list(value, MAX_NAMES, |name| {
        has(name, b'/').then_some(Problem::NotAName)
    })
}

fn list(value: &[u8], most: u8, problem: fn(&[u8]) -> Option<Problem>) -> Parsed<CommaList<'_>> {
    let list = CommaList::new(value);
    for (at, item) in list.iter().enumerate() {
        if at == usize::from(most) {
            return Err(Problem::TooManyItems(most));
        }
        if item.is_empty() {
            return Err(Problem::EmptyItem);
        }
        if let Some(problem) = problem(item) {
            return Err(problem);
        }
    }
    Ok(list)
}

/// Checks a path as the kernel would; path_resolution(7).
pub(super) fn path(value: &[u8]) -> Parsed<&[u8]> {
    if has(value, 0) {
        Err(Problem::NulByte)
    } else if value.len() >= PATH_MAX {
        Err(Problem::PathTooLong)
    } else if pieces(value, b'/').any(|name| name.len() > NAME_MAX) {
        Err(Problem::ComponentTooLong)
    } else {
        Ok(value)
    }
}

pub(super) fn cmdline(value: &[u8]) -> Parsed<&[u8]> {
    if value.len() > MAX_CMDLINE {
        Err(Problem::CmdlineTooLong)
    } else {
        Ok(value)
    }
}

pub(super) fn hash_key(value: &[u8]) -> Parsed<Option<&[u8]>> {
    if is_same_word(value, b"off") {
        Ok(None)
    } else if value.len() < MIN_KEY {
        Err(Problem::KeyTooShort)
    } else {
        Ok(Some(value))
    }
}

pub(super) fn listen(text: &[u8]) -> Parsed<Option<Listen<'_>>> {
    if is_same_word(text, b"off") {
        return Ok(None);
    }
    let address = address::parse(text).ok_or(Problem::NotAnAddress)?;
    Ok(Some(Listen { text, address }))
}
