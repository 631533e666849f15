//! `/proc/PID/stat`: any bytes are parsed as by a plain parser, and any name is found in a line as the kernel writes it.
#![no_main]

use config_reloader_sidecar::base::time::{Instant, TICK};
use config_reloader_sidecar::process::parse_stat;
use config_reloader_sidecar_fuzz::{stat, target};
use libfuzzer_sys::fuzz_target;

/// Parent, name and start time.
type Fields = (Option<i32>, Vec<u8>, Instant);

fn parsed(line: &[u8]) -> Option<Fields> {
    let process = parse_stat(target(), line)?;
    Some((
        process.parent.map(|pid| pid.as_raw_nonzero().get()),
        process.comm.as_bytes().to_vec(),
        process.start,
    ))
}

/// The plain parser. Fields are numbered from 1, as in proc(5).
fn plain(line: &[u8]) -> Option<Fields> {
    let (_, rest) = split(line, line.iter().position(|byte| *byte == b'(')?);
    let (comm, after) = split(rest, rest.iter().rposition(|byte| *byte == b')')?);
    let after = String::from_utf8_lossy(after).into_owned();
    // A space precedes the third field.
    let fields: Vec<&str> = after.split(' ').collect();
    let field = |number: usize| fields.get(number - 2).copied();
    // The flags, which tell kernel threads, must be a number.
    number(field(9)?)?;
    // So must a zombie's number of threads be, which tells one whose first thread alone has ended.
    if field(3)?.starts_with(['Z', 'X', 'x']) {
        number(field(20)?)?;
    }
    let start = number(field(22)?)?.checked_mul(TICK.0 * 1_000_000)?;
    Some((
        id(field(4)?),
        comm[..comm.len().min(15)].to_vec(),
        Instant::from_nanoseconds(start),
    ))
}

/// Returns what precedes and follows the byte at an index.
fn split(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    (&bytes[..at], &bytes[at + 1..])
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

fn id(text: &str) -> Option<i32> {
    let id = text.parse().ok().filter(|_| !text.starts_with('+'));
    id.filter(|id| *id > 0)
}

fuzz_target!(|data: &[u8]| {
    assert_eq!(parsed(data), plain(data));
    let comm = &data[..data.len().min(15)];
    let line = stat(42, data, 7, 100);
    let start = Instant::from_nanoseconds(1_000_000_000);
    assert_eq!(parsed(&line), Some((Some(7), comm.to_vec(), start)));
});
