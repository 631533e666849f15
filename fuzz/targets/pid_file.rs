//! A pid file selects the process whose id is its first line, or none.
#![no_main]

use config_reloader_sidecar::config::{Matcher, Select};
use config_reloader_sidecar_fuzz::{Fixture, Memory, TARGET};
use libfuzzer_sys::fuzz_target;
use std::cell::LazyCell;

thread_local! {
    static PARTS: LazyCell<(Fixture, Memory)> =
        LazyCell::new(|| (Fixture::new("cmdline"), Memory::new()));
}

/// The most bytes read of the file.
const READ: usize = 64;

fn plain(content: &[u8]) -> Option<i32> {
    let end = content.iter().position(|byte| *byte == b'\n');
    let line = match end {
        Some(end) if end < READ => &content[..end],
        None if content.len() < READ => content,
        _ => return None,
    };
    let line = str::from_utf8(line).ok()?;
    let digits = line.trim_matches(|character: char| character.is_ascii_whitespace());
    let id = digits.parse().ok().filter(|_| !digits.starts_with('+'));
    id.filter(|id| *id > 0)
}

fuzz_target!(|data: &[u8]| {
    PARTS.with(|parts| {
        let (fixture, file) = &**parts;
        file.write(data);
        let path = file.path();
        let matcher = Matcher {
            pid_file: Some(path.as_bytes()),
            ..Matcher::default()
        };
        let mut found = Vec::new();
        let scanned = fixture
            .proc
            .select(&matcher, Select::Main, &mut |process, _| {
                found.push(process.pid.as_raw_nonzero().get());
            })
            .unwrap();
        let expected = plain(data);
        assert_eq!(scanned.no_pid_file, expected.is_none());
        assert_eq!(
            found,
            expected
                .into_iter()
                .filter(|id| *id == TARGET)
                .collect::<Vec<_>>()
        );
    });
});
