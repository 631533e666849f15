//! The environment: either settings or errors, and those that a plain reading of the README gives.
//!
//! Entries are separated by NUL. One that begins with a byte below the number of settings gets that setting's name.
#![no_main]

use config_reloader_sidecar::config::{
    self, COUNT, CommaList, Config, Values, MAX_CMDLINE, MAX_NAMES, MAX_ROOTS, PATH_MAX, PollInterval,
    Setting,
};
use config_reloader_sidecar::confirm::Mode;
use config_reloader_sidecar::log::Format;
use config_reloader_sidecar::process::{Matcher, Select};
use config_reloader_sidecar::signal::Signal;
use config_reloader_sidecar_fuzz::{json, logged, text};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;

/// Settings as they are read from an environment, and what is wrong with them by name.
struct Reading<'e> {
    entries: &'e [Vec<u8>],
    wrong: BTreeSet<&'static str>,
}

impl<'e> Reading<'e> {
    /// The value of a variable: the first there is, unless it is empty.
    fn value(&self, name: &str) -> Option<&'e [u8]> {
        let start = format!("{name}=");
        let mut values = self
            .entries
            .iter()
            .filter_map(|entry| entry.strip_prefix(start.as_bytes()));
        values
            .next()
            .map(<[u8]>::trim_ascii)
            .filter(|value| !value.is_empty())
    }

    /// What the value stands for, or the default.
    fn read<T>(&mut self, name: &'static str, default: T, read: fn(&'e str) -> Option<T>) -> T {
        let Some(value) = self.value(name) else {
            return default;
        };
        str::from_utf8(value)
            .ok()
            .and_then(read)
            .unwrap_or_else(|| {
                self.wrong.insert(name);
                default
            })
    }
}

fn pieces(value: &str, most: usize, is_right: fn(&str) -> bool) -> Option<CommaList<'_>> {
    let mut pieces = value
        .split(',')
        .map(|piece| piece.trim_matches(|character: char| character.is_ascii_whitespace()));
    let is_right =
        pieces.clone().count() <= most && pieces.all(|piece| !piece.is_empty() && is_right(piece));
    is_right.then_some(CommaList::new(value.as_bytes()))
}

fn is_path(value: &str) -> bool {
    value.len() < PATH_MAX
        && !value.contains('\0')
        && value.split('/').all(|name| name.len() <= 255)
}

fn boolean(value: &str) -> Option<bool> {
    match &*value.to_ascii_lowercase() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

fn milliseconds(value: &str) -> Option<u64> {
    let units = [
        ("ms", 1),
        ("s", 1000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("", 0),
    ];
    let (number, unit) = units
        .into_iter()
        .find_map(|(unit, ms)| Some((value.strip_suffix(unit)?, ms)))?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Without a unit only 0 is a duration.
    if unit == 0 {
        return number.bytes().all(|byte| byte == b'0').then_some(0);
    }
    let ms = number.parse::<u64>().ok()?.checked_mul(unit)?;
    Some(ms).filter(|ms| *ms <= 1000 * 3_600_000)
}

fn is_address(value: &str) -> bool {
    let Some((host, port)) = value.rsplit_once(':') else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_port = is_number(port)
        && port
            .parse::<u64>()
            .is_ok_and(|port| (1..65536).contains(&port));
    let is_v6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| {
            host.contains(':')
                && host
                    .chars()
                    .all(|it| it.is_ascii_hexdigit() || ":.".contains(it))
        });
    let is_part = |part: &str| is_number(part) && part.parse::<u64>().is_ok_and(|part| part < 256);
    let is_v4 = host.split('.').count() == 4 && host.split('.').all(is_part);
    is_port && (host.is_empty() || host == "localhost" || is_v4 || is_v6)
}

/// As a person would who has the README's table before them.
fn plain(entries: &[Vec<u8>]) -> Result<Config<'_>, (BTreeSet<&'static str>, Format)> {
    let mut it = Reading {
        entries,
        wrong: BTreeSet::new(),
    };
    let roots = it.read("CONFIG_DIR", None, |value| {
        pieces(value, MAX_ROOTS, is_path).map(Some)
    });
    if roots.is_none() {
        it.wrong.insert("CONFIG_DIR");
    }
    let names = |value| pieces(value, MAX_NAMES, |name| !name.contains('/')).map(Some);
    let cmdline = |value: &'_ str| (value.len() <= MAX_CMDLINE).then_some(());
    it.read("PROCESS_NAME", None, names);
    it.read("PROCESS_CMDLINE", (), cmdline);
    it.read("PROCESS_PID_FILE", (), |value| is_path(value).then_some(()));
    let matcher = Matcher {
        names: it.value("PROCESS_NAME").map(CommaList::new),
        cmdline: it.value("PROCESS_CMDLINE"),
        pid_file: it.value("PROCESS_PID_FILE"),
    };
    if matcher == Matcher::default() {
        it.wrong.insert("none");
    }
    let select = it.read("PROCESS_SELECT", Select::Main, |value| {
        match &*value.to_ascii_lowercase() {
            "main" => Some(Select::Main),
            "all" => Some(Select::All),
            _ => None,
        }
    });
    let signal = it.read("RELOAD_SIGNAL", Signal::HUP, |value| {
        Signal::parse(value.as_bytes()).ok()
    });
    let settle_max_ms = it.read("RELOAD_SETTLE_MAX", 2_000, milliseconds);
    let mut settle_ms = it.read("RELOAD_SETTLE", settle_max_ms.min(100), milliseconds);
    if settle_ms > settle_max_ms && !it.wrong.contains("RELOAD_SETTLE_MAX") {
        it.wrong.insert("RELOAD_SETTLE");
        settle_ms = settle_max_ms;
    }
    let log_format = it.read("LOG_FORMAT", Format::Text, |value| {
        match &*value.to_ascii_lowercase() {
            "text" => Some(Format::Text),
            "json" => Some(Format::Json),
            _ => None,
        }
    });
    let mut config = Config {
        roots: roots.unwrap_or_default(),
        matcher,
        select,
        min_age_ms: it.read("PROCESS_MIN_AGE", 2_000, milliseconds),
        signal,
        settle_ms,
        settle_max_ms,
        min_interval_ms: it.read("RELOAD_MIN_INTERVAL", 1_000, milliseconds),
        guard: it.read("RELOAD_GUARD", true, boolean),
        catch_up: it.read("RELOAD_CATCH_UP", true, boolean),
        confirm: it.read("RELOAD_CONFIRM", Mode::Warn, |value| {
            match &*value.to_ascii_lowercase() {
                "warn" => Some(Mode::Warn),
                "retry" => Some(Mode::Retry),
                "off" => Some(Mode::Off),
                _ => None,
            }
        }),
        poll: it.read("CONFIG_POLL_INTERVAL", PollInterval::Automatic, |value| {
            if value.eq_ignore_ascii_case("automatic") {
                return Some(PollInterval::Automatic);
            }
            Some(match milliseconds(value)? {
                0 => PollInterval::Never,
                ms => PollInterval::Every(ms),
            })
        }),
        verbose: it.read("VERBOSE", false, boolean),
        log_format,
        without_effect: 0,
    };
    it.read("LISTEN_ADDR", (), |value| is_address(value).then_some(()));
    for (at, setting) in SETTINGS.iter().enumerate() {
        let is_set = it.value(str::from_utf8(setting.name()).unwrap()).is_some();
        config.without_effect |= u32::from(is_set && !setting.works) << at;
    }
    if it.wrong.is_empty() {
        Ok(config)
    } else {
        Err((it.wrong, log_format))
    }
}

/// The variables that the errors name, as they are reported.
fn named(errors: &Values) -> BTreeSet<String> {
    let lines = logged(errors.log_format(), false, |log| errors.report(log));
    let count = lines.len();
    let names = lines.iter().map(|line| {
        let message = match errors.log_format() {
            Format::Text | Format::Plain => text(line).to_owned(),
            Format::Json => json(line)["message"].as_str().unwrap().to_owned(),
        };
        assert!(
            !message.ends_with("..."),
            "the advice is cut off: {message}"
        );
        message.split(' ').next().unwrap_or_default().to_owned()
    });
    let names: BTreeSet<_> = names.collect();
    assert_eq!(names.len(), count, "one line for each");
    names
}

fuzz_target!(|data: &[u8]| {
    let entries: Vec<Vec<u8>> = data
        .split(|byte| *byte == 0)
        .map(|entry| match entry.split_first() {
            Some((at, value)) if usize::from(*at) < COUNT => {
                let setting = Setting::all().nth((*at).into());
                let name = setting.unwrap().name();
                [name, b"=", value].concat()
            }
            _ => entry.to_vec(),
        })
        .collect();
    match (
        config::parse(&mut entries.iter().map(Vec::as_slice)),
        plain(&entries),
    ) {
        (Ok(config), Ok(expected)) => assert_eq!(config, expected),
        (Err(errors), Err((wrong, format))) => {
            let wrong = wrong.into_iter().map(str::to_owned).collect();
            assert_eq!(errors.log_format(), format);
            assert_eq!(named(&errors), wrong);
        }
        (Ok(config), Err(wrong)) => panic!("{wrong:?} not found wrong: {config:?}"),
        (Err(errors), Ok(_)) => panic!("{:?} found wrong", named(&errors)),
    }
});
