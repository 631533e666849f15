//! `/proc/PID/status`: reading it in pieces gives the same as a plain parser of the whole.
#![no_main]

use config_reloader_sidecar::process::Status;
use config_reloader_sidecar_fuzz::{Fixture, target};
use libfuzzer_sys::fuzz_target;
use std::cell::LazyCell;

thread_local! {
    static FIXTURE: LazyCell<Fixture> = LazyCell::new(|| Fixture::new("status"));
}

/// The number of bytes parsed of a line. Only the list of groups is longer.
const LINE: usize = 2048;

fn plain(content: &[u8]) -> Status {
    let mut status = Status::default();
    let hexadecimal = |digits: &str| {
        let number = u64::from_str_radix(digits, 16).ok();
        number.filter(|_| !digits.starts_with('+'))
    };
    let mut lines: Vec<_> = content.split(|byte| *byte == b'\n').collect();
    // Text after the last line feed is not a line, unless it is so long that its end does not matter.
    lines.pop_if(|rest| rest.len() < LINE);
    for line in lines {
        let line = String::from_utf8_lossy(&line[..line.len().min(LINE)]).into_owned();
        // The kernel separates fields by one tab.
        let mut fields = line.split('\t');
        let name = fields.next().unwrap_or_default();
        let value = fields.next().unwrap_or_default();
        match name {
            "State:" => status.is_dead = value.starts_with(['Z', 'X', 'x']),
            "Uid:" => {
                let effective = fields.next().filter(|number| !number.starts_with('+'));
                let effective = effective.and_then(|number| number.parse().ok());
                status.uid = effective.unwrap_or(0_u64) as u32;
            }
            "SigBlk:" => status.blocked = hexadecimal(value).unwrap_or(0),
            "SigIgn:" => status.ignored = hexadecimal(value).unwrap_or(0),
            "NSpid:" => {
                let ids = [value].into_iter().chain(fields);
                status.namespaces = ids.filter(|id| !id.is_empty()).count() as u32;
            }
            "SigCgt:" => {
                status.shows_signals = hexadecimal(value).is_some();
                status.caught = hexadecimal(value).unwrap_or(0);
                // The last field that is needed.
                break;
            }
            _ => {}
        }
    }
    status
}

fuzz_target!(|data: &[u8]| {
    let status = FIXTURE.with(|fixture| {
        fixture.write(data);
        fixture.proc.status(target()).unwrap()
    });
    // The name is not compared.
    let expected = Status {
        comm: status.comm,
        ..plain(data)
    };
    assert_eq!(status, expected);
});
