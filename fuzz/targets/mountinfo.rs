//! `/proc/self/mountinfo`: only a line with enough fields is a mount, and any paths can be read from a line as the kernel writes it.
#![no_main]

use config_reloader_sidecar::mount::Mount;
use libfuzzer_sys::fuzz_target;
use std::fmt::Write;

/// Escapes a path like the kernel's `seq_path`.
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

/// Returns true for a subPath mount of the kubelet: a component is `volume-subpaths`, or begins with `..` and a digit.
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
    // Two paths, separated by NUL, which paths cannot contain.
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
