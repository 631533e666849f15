//! Delivery beside many other processes.

use super::counted::instructions_of;
use super::settings;
use crate::report::{Cell, Report};
use crate::rig::now;
use crate::sample::{growth, in_turn};
use crate::support::process::{Talker, Target};
use crate::support::{program, unique_name};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// From `act` to the target's handler, in milliseconds.
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

/// What is delivered is one write of a small file, without any pause.
fn at_once(root: &Path, name: &str) -> Talker {
    let settings = settings(root, name).set("RELOAD_SETTLE", "0");
    settings.set("RELOAD_MIN_INTERVAL", "0").start()
}

/// The targets have the highest numbers: all the others are looked at before them.
fn beside(count: usize, rounds: usize) -> Vec<Cell> {
    let (root, file) = &config("0");
    let root = root.path();
    let crowd = ["--crowd", &count.to_string()];
    let _crowd = Target::start_as(&unique_name(), file, &crowd);
    let mut target = Target::start(file);
    let mut sidecar = at_once(root, &target.name);
    let mut writes = 0;
    let mut known = || {
        writes += 1;
        sidecar.wait_at_rest();
        until_handled(&mut target, || fs::write(file, writes.to_string()).unwrap())
    };
    let mut new = || {
        let (root, file) = config("0");
        let name = unique_name();
        let mut sidecar = at_once(root.path(), &name);
        let mut target = Target::start_as(&name, &file, &[]);
        sidecar.wait_at_rest();
        until_handled(&mut target, || fs::write(&file, "1").unwrap())
    };
    let mut asked = Target::start(file);
    let mut command = || {
        let settings = settings(root, &asked.name).arguments(&["signal"]);
        until_handled(&mut asked, || assert!(settings.status().success()))
    };
    let mut other = Target::start(file);
    let mut pkill = || {
        let mut pkill = Command::new("pkill");
        pkill.args(["-HUP", "-x", &other.name]);
        until_handled(&mut other, || assert!(pkill.status().unwrap().success()))
    };
    let mut ways: [&mut dyn FnMut() -> f64; 4] = [&mut known, &mut new, &mut command, &mut pkill];
    let times = in_turn(rounds, &mut ways, |way| way());
    let settings = [
        ("CONFIG_DIR", root.to_str().unwrap()),
        ("PROCESS_NAME", &asked.name),
    ];
    let instructions = [
        instructions_of(&program(), &["signal"], &settings),
        instructions_of(Path::new("pkill"), &["-HUP", "-x", &other.name], &[]),
    ];
    let times = times.into_iter().map(Cell::from);
    times.chain(instructions.map(Cell::from)).collect()
}

pub fn delivery(report: &mut Report, rounds: usize, counts: &[usize]) {
    let rows: Vec<(String, Vec<Cell>)> = counts
        .iter()
        .map(|count| (count.to_string(), beside(*count, rounds)))
        .collect();
    let exponent = |column: usize| {
        let points = counts
            .iter()
            .zip(&rows)
            .map(|(count, (_, cells))| (*count as f64, cells[column].number()));
        Cell::from(growth(&points.collect::<Vec<_>>()))
    };
    let exponents = (0..6).map(exponent).collect();
    let rows = rows
        .into_iter()
        .chain([("growth exponent from 1,000".to_owned(), exponents)])
        .collect();
    let columns = [
        "write to handler, a process seen before",
        "write to handler, one never seen before",
        "`signal`, start to handler",
        "pkill -x, start to handler",
        "`signal`, instructions",
        "pkill -x, instructions",
    ];
    report.table(
        "crowd",
        "beside so many other processes, ms",
        &columns,
        rows,
    );
}
