//! Instructions and system calls, which are the same in every run.

use crate::contestants::{COUNT, COUNTED, COUNTED_FLOOR, Contestant, TRACED, trace};
use crate::report::Table;
use crate::rig::{Kind, Medium, Pace, Rig};
use crate::sample::Sample;
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The line in which callgrind prints the number of instructions.
const COLLECTED: &str = "Collected : ";

fn instructions_in(line: &str) -> f64 {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Counts the instructions of a contestant from its start to its end, with some updates in between.
fn instructions(contestant: &Contestant, updates: usize) -> f64 {
    let mut rig = Rig::new(contestant, Medium::Memory);
    for _ in 0..updates {
        rig.update(Kind::Content, Pace::Slow);
    }
    rig.watcher.0.signal(Signal::TERM);
    instructions_in(&rig.watcher.0.expect(COLLECTED))
}

fn instructions_for_an_update(contestant: &Contestant) -> f64 {
    const FEW: usize = 10;
    const MANY: usize = 30;
    (instructions(contestant, MANY) - instructions(contestant, FEW)) / (MANY - FEW) as f64
}

/// Counts the instructions of a program from its start to its end, if valgrind is installed.
pub fn instructions_of(
    program: &Path,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> Option<f64> {
    let mut command = Command::new(COUNT[0]);
    command.args(&COUNT[1..]).arg(program).args(arguments);
    let output = command.envs(settings.iter().copied()).output().ok()?;
    let log = String::from_utf8(output.stderr).unwrap();
    log.lines()
        .rfind(|line| line.contains(COLLECTED))
        .map(instructions_in)
}

/// Counts the system calls from the poll that returned the last event of an update to the signal. Returns the median of some
/// updates; `target/bench/path.txt` lists the calls of the last one.
fn system_calls() -> f64 {
    let mut rig = Rig::new(&TRACED, Medium::Memory);
    let counts = (0..9).map(|_| {
        rig.update(Kind::Content, Pace::Slow);
        let trace = fs::read_to_string(trace(rig.root())).unwrap();
        let calls: Vec<&str> = trace.lines().collect();
        let is_signal = |call: &&str| call.starts_with("pidfd_send_signal(");
        let signal = calls.iter().rposition(is_signal).unwrap();
        // With a timeout of zero, poll does not wait.
        let waits = |call: &&str| {
            call.starts_with("ppoll(") && !call.contains("{tv_sec=0, tv_nsec=0}, NULL")
        };
        let wait = calls[..signal].iter().rposition(waits).unwrap();
        fs::create_dir_all("target/bench").unwrap();
        fs::write("target/bench/path.txt", calls[wait..=signal].join("\n")).unwrap();
        (signal - wait) as f64
    });
    Sample::of(counts.collect()).median()
}

/// Returns the figures that `make guard` checks too; `None` if valgrind or strace is missing.
pub fn figures() -> [(&'static str, Option<f64>); 2] {
    let calls = is_installed("strace").then(system_calls);
    [
        (
            "instructions for an update",
            is_installed("valgrind").then(|| instructions_for_an_update(&COUNTED)),
        ),
        (
            "system calls from an update's last event to the signal",
            calls,
        ),
    ]
}

pub fn measure() -> Table {
    let count = |count: fn(&Contestant) -> f64, contestant| {
        is_installed("valgrind").then(|| count(contestant))
    };
    let [(update, sidecar), (calls, sidecar_calls)] = figures();
    let floor = count(instructions_for_an_update, &COUNTED_FLOOR);
    // Not guarded: it depends on the length of the machine's mount table.
    let start = |contestant| count(|contestant| instructions(contestant, 0), contestant);
    let rows = [
        (update, floor, sidecar),
        // The floor signals after one read.
        (calls, Some(1.0), sidecar_calls),
        (
            "instructions from start to end",
            start(&COUNTED_FLOOR),
            start(&COUNTED),
        ),
    ];
    let mut table = Table::new(
        "counted",
        "instructions in user space, and system calls",
        "floor | sidecar",
    );
    let cell =
        |figure: Option<f64>| figure.map_or("valgrind or strace is missing".into(), Value::from);
    for (name, floor, sidecar) in rows {
        table.add(name, [cell(floor), cell(sidecar)]);
    }
    table
}
