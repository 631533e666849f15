//! Signals by name and number: a signal round-trips; anything else is an error with the nearest name.
#![no_main]

use config_reloader_sidecar::base::signal::{NotASignal, Signal};
use libfuzzer_sys::fuzz_target;

/// The number of bytes compared with the names.
const COMPARED: usize = 15;

fn distance(name: &[u8], typed: &[u8]) -> usize {
    let typed = &typed[..typed.len().min(COMPARED)];
    let upper = |bytes: &[u8]| -> String {
        // One character per byte, as the distance counts bytes.
        bytes
            .to_ascii_uppercase()
            .iter()
            .map(|byte| char::from(*byte))
            .collect()
    };
    strsim::levenshtein(&upper(name), &upper(typed))
}

/// Strips `SIG`.
fn bare(text: &[u8]) -> &[u8] {
    match text.get(..3) {
        Some(sig) if sig.eq_ignore_ascii_case(b"SIG") => &text[3..],
        _ => text,
    }
}

/// Parses `RTMIN+n` and `RTMAX-n`.
fn real_time(text: &[u8]) -> Option<Result<Signal, NotASignal>> {
    let text = str::from_utf8(bare(text)).ok()?.to_ascii_uppercase();
    let (offset, number): (_, fn(u32) -> u32) = match text.split_at_checked(6)? {
        ("RTMIN+", offset) => (offset, |offset| 34 + offset),
        ("RTMAX-", offset) => (offset, |offset| 64 - offset),
        _ => return None,
    };
    if offset.is_empty() || !is_number(offset) {
        return None;
    }
    let offset = offset.parse().ok().filter(|offset| *offset <= 30);
    let signal = offset.and_then(|offset| Signal::from_number(number(offset)));
    Some(signal.ok_or(NotASignal::OutOfRange))
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Names beside those that are printed.
const ALIASES: [&str; 6] = ["IOT", "CLD", "POLL", "UNUSED", "RTMIN", "RTMAX"];

fuzz_target!(|data: &[u8]| {
    let parsed = Signal::parse(data);
    if let Ok(signal) = parsed {
        let name = signal.name();
        assert_eq!(Signal::parse(name.as_bytes()), Ok(signal));
        assert_eq!(
            Signal::parse(signal.number().to_string().as_bytes()),
            Ok(signal)
        );
    }
    let digits = str::from_utf8(data).ok().filter(|text| is_number(text));
    if let Some(digits) = digits.filter(|digits| !digits.is_empty()) {
        let number = digits.parse().ok().and_then(Signal::from_number);
        assert_eq!(parsed, number.ok_or(NotASignal::OutOfRange));
    } else if let Some(expected) = real_time(data) {
        assert_eq!(parsed, expected);
    } else if let Err(error) = parsed {
        let NotASignal::Unknown { nearest } = error else {
            panic!("{error:?} for something other than a number");
        };
        // Names such as RTMIN+1 are not suggested.
        let own: Vec<_> = Signal::all()
            .map(Signal::name)
            .filter(|name| !name.as_str().contains(['+', '-']))
            .collect();
        let own = own.iter().map(|name| bare(name.as_bytes()));
        let names = own.chain(ALIASES.iter().map(|alias| alias.as_bytes()));
        let least = |names: &mut dyn Iterator<Item = &[u8]>| {
            names
                .map(|name| distance(name, bare(data)))
                .min()
                .expect("a name")
        };
        let is_of_nearest = |name: &&[u8]| Signal::parse(name) == Ok(nearest);
        let found = least(&mut names.clone().filter(is_of_nearest));
        assert_eq!(
            found,
            least(&mut names.clone()),
            "{}",
            nearest.name().as_str()
        );
        assert!(
            found > 0 || data.len() > COMPARED,
            "{}",
            nearest.name().as_str()
        );
    } else {
        // A signal's name, or an alias.
        let known = Signal::all()
            .any(|signal| bare(signal.name().as_bytes()).eq_ignore_ascii_case(bare(data)));
        let alias = ALIASES
            .iter()
            .any(|alias| alias.as_bytes().eq_ignore_ascii_case(bare(data)));
        assert!(known || alias);
    }
});
