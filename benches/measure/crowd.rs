//! Delivery beside many other processes.

use super::counted::instructions_of;
use super::settings;
use crate::report::Table;
use crate::rig::now;
use crate::sample::in_turn;
use crate::support::process::{Talker, Target};
use crate::support::{program, unique_name};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the milliseconds from `act` to the target's handler.
fn until_handled(target: &mut Target, act: impl FnOnce()) -> f64 {
    let start = now();
    act();
    let (_, handled, _) = target.signalled_at();
    (handled - start) as f64 / 1e6
}

fn config(content: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("app.conf");
    fs::write(&file, content).unwrap();
    (directory, file)
}

/// Starts a sidecar that does not wait: each change is one write of a small file.
fn without_pauses(root: &Path, name: &str) -> Talker {
    let settings = settings(root, name).set("RELOAD_SETTLE", "0");
    settings.set("RELOAD_MIN_INTERVAL", "0").start()
}

/// Measures beside this many other processes. The targets start last, so that all others come before them in `/proc`.
fn beside(count: usize, rounds: usize) -> Vec<Value> {
    let (directory, file) = &config("0");
    let root = directory.path();
    let _crowd = Target::start_as(&unique_name(), file, &["--crowd", &count.to_string()]);

    let mut target = Target::start(file);
    let mut sidecar = without_pauses(root, &target.name);
    let mut writes = 0;
    let mut seen_before = || {
        writes += 1;
        sidecar.wait_until_idle();
        until_handled(&mut target, || fs::write(file, writes.to_string()).unwrap())
    };
    let mut never_seen = || {
        let (directory, file) = config("0");
        let name = unique_name();
        let mut sidecar = without_pauses(directory.path(), &name);
        let mut target = Target::start_as(&name, &file, &[]);
        sidecar.wait_until_idle();
        until_handled(&mut target, || fs::write(&file, "1").unwrap())
    };
    let mut by_command = Target::start(file);
    let command_name = by_command.name.clone();
    let mut command = || {
        let settings = settings(root, &command_name).arguments(&["signal"]);
        until_handled(&mut by_command, || assert!(settings.status().success()))
    };
    let mut by_pkill = Target::start(file);
    let pkill_name = by_pkill.name.clone();
    let pkill_arguments = ["-HUP", "-x", &pkill_name];
    let mut pkill = || {
        let mut pkill = Command::new("pkill");
        pkill.args(pkill_arguments);
        until_handled(&mut by_pkill, || assert!(pkill.status().unwrap().success()))
    };
    let mut ways: [&mut dyn FnMut() -> f64; 4] =
        [&mut seen_before, &mut never_seen, &mut command, &mut pkill];
    let times = in_turn(rounds, &mut ways, |way| way());

    let settings = [
        ("CONFIG_DIR", root.to_str().unwrap()),
        ("PROCESS_NAME", &command_name),
    ];
    let instructions = [
        instructions_of(&program(), &["signal"], &settings),
        instructions_of(Path::new("pkill"), &pkill_arguments, &[]),
    ];
    let times = times.into_iter().map(Value::from);
    times.chain(instructions.map(Value::from)).collect()
}

pub fn measure(rounds: usize, counts: &[usize]) -> Table {
    let mut table = Table::new(
        "crowd",
        "beside this many other processes, ms",
        "write to handler, a process seen before | write to handler, one never seen before | `signal`, start to handler | pkill -x, start to handler | `signal`, instructions | pkill -x, instructions",
    );
    for &count in counts {
        table.add(&count.to_string(), beside(count, rounds));
    }
    table.add_exponents();
    table
}
