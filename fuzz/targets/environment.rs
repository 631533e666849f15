//! The environment: either settings or errors, and those that a plain reading of the README gives.
//!
//! Entries are separated by NUL. One that begins with a byte below the number of settings gets that setting's name.
#![no_main]

use config_reloader_sidecar::base::file::PATH_MAX;
use config_reloader_sidecar::base::signal::Signal;
use config_reloader_sidecar::base::sys::SocketAddress;
use config_reloader_sidecar::base::time::Millis;
use config_reloader_sidecar::config::{
    self, CommaList, Config, ConfirmMode, Listen, LogFormat, MAX_CMDLINE, MAX_NAMES, MAX_ROOTS,
    Matcher, Mistake, Parsed, PollInterval, SETTINGS, Select,
};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

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

fn milliseconds(value: &str) -> Option<Millis> {
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
        return number
            .bytes()
            .all(|byte| byte == b'0')
            .then_some(Millis::ZERO);
    }
    let ms = number.parse::<u64>().ok()?.checked_mul(unit)?;
    Some(Millis(ms)).filter(|ms| *ms <= Millis(1000 * 3_600_000))
}

/// As the standard library reads it. It knows a form of IPv6 addresses that ends like an IPv4 one, and zones.
fn listen(value: &str) -> Option<Listen<'_>> {
    let (host, port) = value.rsplit_once(':')?;
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port
        .parse::<u16>()
        .ok()
        .filter(|port| is_number && *port > 0)?;
    let v6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let address = match v6 {
        Some(host) if host.contains('.') => return None,
        Some(host) => SocketAddress::v6(host.parse::<Ipv6Addr>().ok()?.octets(), port),
        None if host.is_empty() || host == "localhost" => {
            SocketAddress::v4(Ipv4Addr::LOCALHOST.octets(), port)
        }
        None => SocketAddress::v4(host.parse::<Ipv4Addr>().ok()?.octets(), port),
    };
    let text = value.as_bytes();
    Some(Listen { text, address })
}

/// As a person would who has the README's table before them.
fn plain(entries: &[Vec<u8>]) -> Result<Config<'_>, (BTreeSet<&'static str>, LogFormat)> {
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
    let settle_max = it.read("RELOAD_SETTLE_MAX", Millis(2_000), milliseconds);
    let mut settle = it.read("RELOAD_SETTLE", settle_max.min(Millis(100)), milliseconds);
    if settle > settle_max && !it.wrong.contains("RELOAD_SETTLE_MAX") {
        it.wrong.insert("RELOAD_SETTLE");
        settle = settle_max;
    }
    let log_format = it.read("LOG_FORMAT", LogFormat::Text, |value| {
        match &*value.to_ascii_lowercase() {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        }
    });
    let config = Config {
        roots: roots.unwrap_or_default(),
        matcher,
        select,
        min_age: it.read("PROCESS_MIN_AGE", Millis(2_000), milliseconds),
        signal,
        settle,
        settle_max,
        min_interval: it.read("RELOAD_MIN_INTERVAL", Millis(1_000), milliseconds),
        guard: it.read("RELOAD_GUARD", true, boolean),
        catch_up: it.read("RELOAD_CATCH_UP", true, boolean),
        confirm: it.read("RELOAD_CONFIRM", ConfirmMode::Warn, |value| {
            match &*value.to_ascii_lowercase() {
                "warn" => Some(ConfirmMode::Warn),
                "retry" => Some(ConfirmMode::Retry),
                "off" => Some(ConfirmMode::Off),
                _ => None,
            }
        }),
        poll: it.read("CONFIG_POLL_INTERVAL", PollInterval::Automatic, |value| {
            if value.eq_ignore_ascii_case("automatic") {
                return Some(PollInterval::Automatic);
            }
            Some(match milliseconds(value)? {
                Millis::ZERO => PollInterval::Never,
                ms => PollInterval::Every(ms),
            })
        }),
        verbose: it.read("VERBOSE", false, boolean),
        log_format,
        listen: it.read("LISTEN_ADDR", None, |value| {
            if value.eq_ignore_ascii_case("off") {
                return Some(None);
            }
            listen(value).map(Some)
        }),
        sandbox: it.read("SANDBOX", true, boolean),
    };
    if it.wrong.is_empty() {
        Ok(config)
    } else {
        Err((it.wrong, log_format))
    }
}

/// Returns the variables that the mistakes name.
fn named(parsed: &Parsed) -> BTreeSet<&'static str> {
    let mistakes = parsed.mistakes().map(|mistake| match mistake {
        Mistake::Value { name, .. } => name,
        Mistake::NoTarget => "none",
    });
    mistakes.collect()
}

fuzz_target!(|data: &[u8]| {
    let entries: Vec<Vec<u8>> = data
        .split(|byte| *byte == 0)
        .map(|entry| match entry.split_first() {
            Some((at, value)) if usize::from(*at) < SETTINGS.len() => {
                let name = SETTINGS[usize::from(*at)].name;
                [name.as_bytes(), b"=", value].concat()
            }
            _ => entry.to_vec(),
        })
        .collect();
    match (
        config::parse(&mut entries.iter().map(Vec::as_slice)),
        plain(&entries),
    ) {
        (Ok(config), Ok(expected)) => assert_eq!(config, expected),
        (Err(parsed), Err((wrong, format))) => {
            assert_eq!(parsed.config().log_format, format);
            assert_eq!(named(&parsed), wrong);
        }
        (Ok(config), Err(wrong)) => panic!("{wrong:?} not found wrong: {config:?}"),
        (Err(parsed), Ok(_)) => panic!("{:?} found wrong", named(&parsed)),
    }
});
