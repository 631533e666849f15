//! Signals by name and number: what is one round-trips, what is none is told the nearest name.
#![no_main]

use config_reloader_sidecar::signal::{NotASignal, Signal};
use libfuzzer_sys::fuzz_target;

/// As much of a text as is compared with the names.
const COMPARED: usize = 15;

fn distance(name: &[u8], typed: &[u8]) -> usize {
    let typed = &typed[..typed.len().min(COMPARED)];
    let upper = |bytes: &[u8]| -> String {
        // One character for each byte, which is how they are counted.
        bytes
            .to_ascii_uppercase()
            .iter()
            .map(|byte| char::from(*byte))
            .collect()
    };
    strsim::levenshtein(&upper(name), &upper(typed))
}

/// Without `SIG`.
fn bare(text: &[u8]) -> &[u8] {
    match text.get(..3) {
        Some(sig) if sig.eq_ignore_ascii_case(b"SIG") => &text[3..],
        _ => text,
    }
}

/// How far a text is from being `RTMIN+n` or `RTMAX-n`.
fn real_time(text: &[u8]) -> Option<Option<u32>> {
    let text = str::from_utf8(bare(text)).ok()?.to_ascii_uppercase();
    let (offset, from) = match (text.strip_prefix("RTMIN+"), text.strip_prefix("RTMAX-")) {
        (Some(offset), _) => (offset, 34),
        (_, Some(offset)) => (offset, 64),
        (None, None) => return None,
    };
    if offset.is_empty() || !offset.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let offset = offset.parse::<u32>().ok().filter(|offset| *offset <= 30);
    Some(offset.map(|offset| if from == 34 { 34 + offset } else { 64 - offset }))
}

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
    let digits = str::from_utf8(data)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    if let Some(digits) = digits.filter(|digits| !digits.is_empty()) {
        let number = digits.parse().ok().and_then(Signal::from_number);
        assert_eq!(parsed, number.ok_or(NotASignal::OutOfRange));
    } else if let Some(number) = real_time(data) {
        let signal = number.and_then(Signal::from_number);
        assert_eq!(parsed, signal.ok_or(NotASignal::OutOfRange));
    } else if let Err(error) = parsed {
        let NotASignal::Unknown { nearest } = error else {
            panic!("{error:?} for what is no number");
        };
        let found = Signal::parse(nearest).expect("the nearest name is a signal's");
        assert_eq!(bare(nearest), nearest);
        let least = distance(nearest, bare(data));
        assert!(least > 0 || data.len() > COMPARED, "{:?}", found.name());
        // Names that are counted from another are not suggested.
        let is_own = |name: &&[u8]| !name.iter().any(|byte| b"+-".contains(byte));
        for signal in Signal::all() {
            let name = signal.name();
            let name = Some(bare(name.as_bytes())).filter(is_own);
            assert!(name.is_none_or(|name| distance(name, bare(data)) >= least));
        }
    } else {
        // A name of the table: as it stands there, or another name of the same number.
        let known = Signal::all()
            .any(|signal| bare(signal.name().as_bytes()).eq_ignore_ascii_case(bare(data)));
        let alias = ["IOT", "CLD", "POLL", "UNUSED", "RTMIN", "RTMAX"]
            .iter()
            .any(|alias| alias.as_bytes().eq_ignore_ascii_case(bare(data)));
        assert!(known || alias);
    }
});
