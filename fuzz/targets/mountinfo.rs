//! Any line of `/proc/self/mountinfo` has all its fields or is refused, and any paths survive the kernel's escaping.
#![no_main]

use config_reloader_sidecar::mount::Mount;
use libfuzzer_sys::fuzz_target;
use std::fmt::Write;

/// Escapes a path as `seq_path` in the kernel does.
fn escaped(path: &[u8]) -> Vec<u8> {
    let mut line = Vec::new();
    for byte in path {
        if b" \t\n\\".contains(byte) {
            let mut escape = String::new();
            _ = write!(escape, "\\{byte:03o}");
            line.extend(escape.into_bytes());
        } else {
            line.push(*byte);
        }
    }
    line
}

/// Returns true for the root of a subPath mount: a component begins with `..` and a digit, or is the kubelet's directory for them.
fn is_sub_path(root: &[u8]) -> bool {
    String::from_utf8_lossy(root).split('/').any(|name| {
        let stamp = name.strip_prefix("..").and_then(|rest| rest.chars().next());
        name == "volume-subpaths" || stamp.is_some_and(|first| first.is_ascii_digit())
    })
}

fuzz_target!(|data: &[u8]| {
    let mut line = data.to_vec();
    let fields = data.split(|byte| *byte == b' ').count();
    let mount = Mount::parse(&mut line);
    assert_eq!(mount.is_some(), fields >= 6);
    if let Some(mount) = mount {
        assert_eq!(mount.is_sub_path(), is_sub_path(mount.root));
    }
    // Two paths, separated by NUL, which no path holds.
    let mut paths = data.split(|byte| *byte == 0);
    let (root, point) = (
        paths.next().unwrap_or_default(),
        paths.next().unwrap_or_default(),
    );
    let mut line = b"36 35 98:0 ".to_vec();
    line.extend(escaped(root));
    line.push(b' ');
    line.extend(escaped(point));
    let rest = b" rw,noatime master:1 - ext3 /dev/root rw";
    line.extend_from_slice(rest);
    assert_eq!(Mount::parse(&mut line), Some(Mount { root, point, rest }));
});
