//! `/proc/PID/status`, read piece by piece: gives what a plain parser makes of the whole.
#![no_main]

use config_reloader_sidecar::process::Status;
use config_reloader_sidecar_fuzz::{Fixture, target};
use libfuzzer_sys::fuzz_target;
use std::cell::LazyCell;

thread_local! {
    static FIXTURE: LazyCell<Fixture> = LazyCell::new(|| Fixture::new("status"));
}

/// As much of a line is looked at: only the list of groups is longer.
const LINE: usize = 1024;

fn plain(content: &[u8]) -> Status {
    let mut status = Status::default();
    let hexadecimal = |value: &str| {
        let digits = value.trim_matches(|character: char| character.is_ascii_whitespace());
        u64::from_str_radix(digits, 16)
            .ok()
            .filter(|_| !digits.starts_with('+'))
            .unwrap_or(0)
    };
    let mut lines: Vec<_> = content.split(|byte| *byte == b'\n').collect();
    // What comes after the last line feed is no line. Of one that is too long the end is not waited for.
    lines.pop_if(|rest| rest.len() < LINE);
    for line in lines {
        let line = String::from_utf8_lossy(&line[..line.len().min(LINE)]).into_owned();
        match line.split_once(':') {
            Some(("Uid", ids)) => {
                // The kernel puts one tab between them.
                let blank = |character: char| character.is_ascii_whitespace();
                let effective = ids
                    .trim_matches(blank)
                    .split(blank)
                    .nth(1)
                    .unwrap_or_default();
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
    let status = FIXTURE.with(|fixture| {
        fixture.write(data);
        fixture.proc.status(target())
    });
    assert_eq!(status, Ok(plain(data)));
});
