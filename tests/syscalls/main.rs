//! Whether the sandbox allows what the program calls, and nothing else: compares its list with what strace has seen of every
//! sidecar that the integration tests start. `make syscalls` runs them, and names in `TRACES` the directory with the traces.

use config_reloader_sidecar::sandbox::{CALLS, RESTRICTED_CALLS};
use std::collections::BTreeMap;
use std::fs;

/// A sidecar is restrained from the end of this call on.
const START: &str = "prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER,";
/// Fewer than that would not show everything.
const SIDECARS: usize = 200;

#[test]
fn the_sandbox_allows_what_is_called_and_nothing_else() {
    let directory = std::env::var("TRACES").expect("make syscalls names the traces in TRACES");
    let mut sidecars = 0;
    // How often each call was made, by its number; and the first line that shows it.
    let mut made: BTreeMap<i64, (u64, String)> = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        let trace = String::from_utf8_lossy(&bytes);
        // What does not restrain itself is another command, or a sidecar that is told not to.
        let mut lines = trace.lines().skip_while(|line| !line.contains(START));
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
    let listed = || CALLS.into_iter().chain(RESTRICTED_CALLS);
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
