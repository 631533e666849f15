//! A process file: its first line is the id of a live process, or none is selected.
#![no_main]

use config_reloader_sidecar::process::{Matcher, Select};
use config_reloader_sidecar_fuzz::{Fixture, TARGET};
use libfuzzer_sys::fuzz_target;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::io::pwrite;
use std::cell::LazyCell;
use std::fs::File;
use std::os::fd::AsRawFd;

thread_local! {
    static FIXTURE: LazyCell<(Fixture, File)> = LazyCell::new(|| {
        let file = memfd_create("pid", MemfdFlags::CLOEXEC).expect("a file in memory");
        (Fixture::new("cmdline"), file.into())
    });
}

/// So much of the file is read.
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
    FIXTURE.with(|parts| {
        let (fixture, file) = &**parts;
        ftruncate(file, 0).unwrap();
        assert_eq!(pwrite(file, data, 0), Ok(data.len()));
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let matcher = Matcher {
            pid_file: Some(path.as_bytes()),
            ..Matcher::default()
        };
        let mut found = Vec::new();
        let scanned = fixture
            .proc
            .select(&matcher, Select::Main, &mut |process| {
                found.push(process.pid.as_raw_nonzero().get());
            })
            .unwrap();
        let expected = plain(data);
        assert_eq!(scanned.no_pid_file, expected.is_none());
        assert_eq!(found, Vec::from_iter(expected.filter(|id| *id == TARGET)));
    });
});
