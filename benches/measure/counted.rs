//! What can be counted, where clocks are noisy: instructions and system calls.

use crate::contestants::{COUNTED, COUNTED_FLOOR, COUNTING, Contestant, TRACED, trace};
use crate::report::Report;
use crate::rig::{Kind, Medium, Pace, Rig};
use crate::sample::Sample;
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Whether this program is to be had.
fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// From what callgrind prints.
fn instructions_in(line: &str) -> f64 {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Instructions of a contestant from its start to its end, with so many updates between.
fn instructions(contestant: &Contestant, updates: usize) -> f64 {
    let mut rig = Rig::new(contestant, Medium::Memory);
    for _ in 0..updates {
        rig.update(Kind::Content, Pace::Slow);
    }
    rig.watcher.0.signal(Signal::TERM);
    instructions_in(&rig.watcher.0.expect("Collected : "))
}

fn instructions_for_an_update(contestant: &Contestant) -> f64 {
    const FEW: usize = 10;
    const MANY: usize = 30;
    (instructions(contestant, MANY) - instructions(contestant, FEW)) / (MANY - FEW) as f64
}

/// Instructions of a program from its start to its end; `None` where what counts them is missing.
pub fn instructions_of(
    program: &Path,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> Option<f64> {
    let mut command = Command::new(COUNTING[0]);
    command.args(&COUNTING[1..]).arg(program).args(arguments);
    let output = command.envs(settings.iter().copied()).output().ok()?;
    let log = String::from_utf8(output.stderr).unwrap();
    log.lines()
        .rfind(|line| line.contains("Collected : "))
        .map(instructions_in)
}

/// System calls from the one that brought the last event to the one that signals, in the median of some updates. Those of the
/// last one are left in `target/bench/path.txt`.
fn system_calls() -> f64 {
    let mut rig = Rig::new(&TRACED, Medium::Memory);
    let mut counts = Vec::new();
    for _ in 0..9 {
        rig.update(Kind::Content, Pace::Slow);
        let trace = fs::read_to_string(trace(rig.root())).unwrap();
        let calls: Vec<&str> = trace.lines().collect();
        let signal = calls
            .iter()
            .rposition(|call| call.starts_with("pidfd_send_signal("))
            .unwrap();
        // One that only asks returns at once.
        let waits = |call: &&str| {
            call.starts_with("ppoll(") && !call.contains("{tv_sec=0, tv_nsec=0}, NULL")
        };
        let wait = calls[..signal].iter().rposition(waits).unwrap();
        counts.push((signal - wait) as f64);
        let path = calls[wait..=signal].join("\n");
        fs::create_dir_all("target/bench").unwrap();
        fs::write("target/bench/path.txt", path).unwrap();
    }
    Sample::of(counts).median()
}

/// Each with its name; `None` where the program is missing that counts.
pub fn figures() -> Vec<(&'static str, Option<f64>)> {
    let update = is_there("valgrind").then(|| instructions_for_an_update(&COUNTED));
    let calls = is_there("strace").then(system_calls);
    vec![
        ("instructions for an update", update),
        (
            "system calls from an update's last event to the signal",
            calls,
        ),
    ]
}

pub fn table(report: &mut Report) {
    let floor = is_there("valgrind").then(|| instructions_for_an_update(&COUNTED_FLOOR));
    // Not among the guarded: the longer the mount table of the machine, the more there is to read.
    let start = |contestant| is_there("valgrind").then(|| instructions(contestant, 0));
    // It signals after one read.
    let floors = [floor, Some(1.0)];
    let figures = figures()
        .into_iter()
        .zip(floors)
        .map(|((name, own), floor)| (name, own, floor));
    let start = (
        "instructions from start to end",
        start(&COUNTED),
        start(&COUNTED_FLOOR),
    );
    let missing = || "valgrind or strace is missing".to_owned().into();
    let show = |figure: Option<f64>| figure.map_or_else(missing, Into::into);
    let rows = figures
        .chain([start])
        .map(|(name, own, floor)| (name.to_owned(), vec![show(floor), show(own)]));
    report.table(
        "counted",
        "what is done outside of the kernel, and asked of it",
        &["floor", "sidecar"],
        rows.collect(),
    );
}
