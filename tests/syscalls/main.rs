//! Compares the system calls that the sandbox allows with those that strace saw the sidecars of the integration tests make.
//! `make syscalls` runs them, and passes the directory of the traces in `TRACES`.

use config_reloader_sidecar::sandbox::{CALLS, RESTRICTED_CALLS};
use std::collections::BTreeMap;
use std::fs;

/// The call that installs the filter.
const SANDBOXED: &str = "prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER,";
/// The least number of traces. Fewer would not cover every call.
const SIDECARS: usize = 200;

#[test]
fn the_sandbox_allows_exactly_the_calls_that_are_made() {
    let directory = std::env::var("TRACES").expect("TRACES is not set; run this by make syscalls");
    let mut sidecars = 0;
    // By number: how often the call was made, and the first line that shows it.
    let mut made: BTreeMap<i64, (u64, String)> = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        let trace = String::from_utf8_lossy(&bytes);
        // Without a filter, it is another command, or a sidecar with SANDBOX=false.
        let mut lines = trace.lines().skip_while(|line| !line.contains(SANDBOXED));
        sidecars += usize::from(lines.next().is_some());
        for line in lines {
            // 4711 [ 257] openat(AT_FDCWD, ...
            let Some((number, _)) = line.split_once('[').and_then(|(_, it)| it.split_once(']'))
            else {
                continue;
            };
            if let Ok(number) = number.trim().parse() {
                made.entry(number).or_insert_with(|| (0, line.to_owned())).0 += 1;
            }
        }
    }
    assert!(sidecars >= SIDECARS, "{sidecars} sidecars were traced");
    for (number, (times, line)) in &made {
        println!("{number:>4} {times:>8} times, as in {line:.100}");
    }
    let listed = || CALLS.iter().copied().chain(RESTRICTED_CALLS);
    let missing: Vec<_> = made
        .iter()
        .filter(|(number, _)| !listed().any(|it| it == **number))
        .collect();
    assert!(missing.is_empty(), "called, but not allowed: {missing:#?}");
    let unused: Vec<_> = listed()
        .filter(|number| !made.contains_key(number))
        .collect();
    assert!(unused.is_empty(), "allowed, but never called: {unused:?}");
}
