//! The environment: what is accepted is within the documented limits; what is refused is named, once each, and nothing else is
//! wrong.
//!
//! Which values a setting accepts is up to the unit tests; only durations are parsed again here. Entries are separated by NUL. One
//! that begins with a byte below the number of settings gets that setting's name.
#![no_main]

use config_reloader_sidecar::base::file::PATH_MAX;
use config_reloader_sidecar::base::time::Millis;
use config_reloader_sidecar::config::{
    self, Config, MAX_CMDLINE, MAX_NAMES, MAX_ROOTS, Matcher, Mistake, Parsed, PollInterval,
    SETTINGS,
};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;

const LONGEST_MS: u64 = 1000 * 3_600_000;

fn entries(data: &[u8]) -> Vec<Vec<u8>> {
    let entry = |entry: &[u8]| match entry.split_first() {
        Some((at, value)) if usize::from(*at) < SETTINGS.len() => {
            let setting = &SETTINGS[usize::from(*at)];
            [setting.name.as_bytes(), b"=", value].concat()
        }
        _ => entry.to_vec(),
    };
    data.split(|byte| *byte == 0).map(entry).collect()
}

// As `config::parse` has it.
#[expect(clippy::result_large_err)]
fn parse(entries: &[Vec<u8>]) -> Result<Config<'_>, Parsed<'_>> {
    config::parse(&mut entries.iter().map(Vec::as_slice))
}

/// The value of a variable: its first one, unless that is empty.
fn value<'e>(entries: &'e [Vec<u8>], name: &str) -> Option<&'e [u8]> {
    let start = [name.as_bytes(), b"="].concat();
    let value = entries
        .iter()
        .find_map(|entry| entry.strip_prefix(&*start))?;
    Some(value.trim_ascii()).filter(|value| !value.is_empty())
}

fn milliseconds(value: &[u8]) -> Option<u64> {
    let value = str::from_utf8(value).ok()?;
    let end = value.find(|character: char| !character.is_ascii_digit());
    let (number, unit) = value.split_at(end.unwrap_or(value.len()));
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        // Only 0 needs no unit.
        "" if !number.is_empty() && number.bytes().all(|digit| digit == b'0') => return Some(0),
        _ => return None,
    };
    let ms = number.parse::<u64>().ok()?.checked_mul(unit_ms)?;
    (ms <= LONGEST_MS).then_some(ms)
}

fn check_limits(config: &Config, entries: &[Vec<u8>]) {
    let is_path = |path: &[u8]| !path.is_empty() && path.len() < PATH_MAX;
    assert!((1..=usize::from(MAX_ROOTS)).contains(&config.roots.iter().count()));
    assert!(config.roots.iter().all(is_path));
    let Matcher {
        names,
        cmdline,
        pid_file,
        scope: _,
    } = config.matcher;
    assert!(names.is_some() || cmdline.is_some() || pid_file.is_some());
    let is_name = |name: &[u8]| !name.is_empty() && !name.contains(&b'/');
    assert!(names.is_none_or(|names| names.iter().all(is_name)));
    assert!(names.is_none_or(|names| names.iter().count() <= usize::from(MAX_NAMES)));
    assert!(cmdline.is_none_or(|text| (1..=MAX_CMDLINE).contains(&text.len())));
    assert!(pid_file.is_none_or(is_path));
    assert!(config.settle <= config.settle_max);
    if let PollInterval::Every(Millis(ms)) = config.poll {
        assert!((1..=LONGEST_MS).contains(&ms));
    }
    for (name, Millis(ms), default_ms) in [
        ("PROCESS_MIN_AGE", config.min_age, 2000),
        ("RELOAD_MIN_INTERVAL", config.min_interval, 1000),
        ("RELOAD_SETTLE_MAX", config.settle_max, 2000),
    ] {
        let expected = value(entries, name).map_or(Some(default_ms), milliseconds);
        assert_eq!(Some(ms), expected, "{name}");
    }
}

/// The variables that the mistakes name. If no target is set, that is `PROCESS_NAME`.
fn named(parsed: &Parsed) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for mistake in parsed.mistakes() {
        let name = match mistake {
            Mistake::Value { name, .. } => name,
            Mistake::NoTarget => "PROCESS_NAME",
        };
        assert!(names.insert(name.to_owned()), "{name} is named twice");
    }
    assert!(!names.is_empty());
    names
}

/// Asserts that nothing is wrong once the variables that the errors name are replaced by right ones.
fn check_errors(errors: &Parsed, entries: &[Vec<u8>]) {
    let mut wrong = named(errors);
    for name in [
        "PROCESS_MIN_AGE",
        "RELOAD_MIN_INTERVAL",
        "RELOAD_SETTLE_MAX",
    ] {
        let is_wrong = value(entries, name).is_some_and(|value| milliseconds(value).is_none());
        assert_eq!(wrong.contains(name), is_wrong, "{name}");
    }
    if wrong.contains("RELOAD_SETTLE_MAX") {
        // It cannot be compared with a maximum that is wrong.
        wrong.insert("RELOAD_SETTLE".to_owned());
    }
    for required in ["CONFIG_DIR", "PROCESS_NAME"] {
        // Its first entry may be empty, which would hide the right one.
        if value(entries, required).is_none() {
            wrong.insert(required.to_owned());
        }
    }
    let is_wrong = |entry: &[u8]| {
        let end = entry.iter().position(|byte| *byte == b'=');
        end.is_some_and(|end| wrong.contains(&*String::from_utf8_lossy(&entry[..end])))
    };
    let mut right = entries.to_vec();
    right.retain(|entry| !is_wrong(entry));
    for required in ["CONFIG_DIR=/etc/app", "PROCESS_NAME=app"] {
        right.push(required.into());
    }
    if let Err(errors) = parse(&right) {
        panic!("{:?} not named before", named(&errors));
    }
}

fuzz_target!(|data: &[u8]| {
    let entries = entries(data);
    match parse(&entries) {
        Ok(config) => check_limits(&config, &entries),
        Err(errors) => check_errors(&errors, &entries),
    }
});
