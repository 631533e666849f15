//! `/proc/PID/status`, read piece by piece: gives what a plain parser makes of the whole.
#![no_main]

use config_reloader_sidecar::process::Status;
use config_reloader_sidecar_fuzz::{Fixture, target};
use libfuzzer_sys::fuzz_target;
use std::cell::LazyCell;

thread_local! {
    static FIXTURE: LazyCell<Fixture> = LazyCell::new(|| Fixture::new("status"));
}

/// Lines longer than what is read at once are lists of groups: made so, whatever they were.
const PIECE: usize = 1024;

fn plain(content: &[u8]) -> Status {
    let content = String::from_utf8_lossy(content).into_owned();
    let mut status = Status::default();
    let hexadecimal = |value: &str| {
        let digits = value.trim_matches(|character: char| character.is_ascii_whitespace());
        u64::from_str_radix(digits, 16)
            .ok()
            .filter(|_| !digits.starts_with('+'))
            .unwrap_or(0)
    };
    // What comes after the last line feed is no line.
    let whole = content.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.split('\n') {
        match line.split_once(':') {
            Some(("Uid", ids)) => {
                let effective = ids.split_ascii_whitespace().nth(1).unwrap_or_default();
                let effective = effective
                    .parse()
                    .ok()
                    .filter(|_| !effective.starts_with('+'));
                status.uid = effective.unwrap_or(0_u64) as u32;
            }
            Some(("SigBlk", mask)) => status.blocked = hexadecimal(mask),
            Some(("SigIgn", mask)) => status.ignored = hexadecimal(mask),
            Some(("SigCgt", mask)) => status.caught = hexadecimal(mask),
            _ => {}
        }
    }
    status
}

fuzz_target!(|data: &[u8]| {
    let mut content = data.to_vec();
    for line in content.split_mut(|byte| *byte == b'\n') {
        if line.len() >= PIECE {
            line.fill(b'7');
        }
    }
    let status = FIXTURE.with(|fixture| {
        fixture.write(&content);
        fixture.proc.status(target())
    });
    assert_eq!(status, Ok(plain(&content)));
});
