//! Reading lines in pieces gives the lines of the whole, each truncated to the buffer. The first byte is the buffer's size.
#![no_main]

use config_reloader_sidecar::base::file::Lines;
use config_reloader_sidecar_fuzz::Memory;
use libfuzzer_sys::fuzz_target;
use std::cell::LazyCell;

thread_local! {
    static FILE: LazyCell<Memory> = LazyCell::new(Memory::new);
}

fuzz_target!(|data: &[u8]| {
    let Some((size, content)) = data.split_first() else {
        return;
    };
    let size = usize::from(*size) + 1;
    let mut expected: Vec<_> = content.split(|byte| *byte == b'\n').collect();
    // Text after the last line feed is not a line, unless it fills the buffer.
    expected.pop_if(|rest| rest.len() < size);
    let expected = expected.iter().map(|line| &line[..line.len().min(size)]);

    let mut taken = Vec::new();
    FILE.with(|file| {
        file.write(content);
        let mut buffer = vec![0; size];
        let mut lines = Lines::new(file.file(), &mut buffer);
        while let Some(line) = lines.next_line() {
            taken.push(line.to_vec());
            // The caller may modify a line in place.
            line.fill(b'\n');
        }
        lines.outcome.unwrap();
    });
    assert!(taken.iter().eq(expected), "{taken:?}");
});
