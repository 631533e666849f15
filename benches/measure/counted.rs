//! What can be counted, where clocks are noisy: instructions and system calls.

use crate::contestants::{COUNTED, TRACED, trace};
use crate::report::Report;
use crate::rig::{Kind, Medium, Pace, Rig};
use crate::sample::Sample;
use rustix::process::Signal;
use std::fs;
use std::process::Command;

/// Whether this program is to be had.
fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Instructions of a sidecar from its start to its end, with so many updates between.
fn instructions(updates: usize) -> f64 {
    let mut rig = Rig::new(&COUNTED, Medium::Memory);
    for _ in 0..updates {
        rig.update(Kind::Content, Pace::Fast);
    }
    rig.watcher.0.signal(Signal::TERM);
    let line = rig.watcher.0.expect("Collected : ");
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// System calls from the one that brought the last event to the one that signals, in the median of some updates.
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
    }
    Sample::of(counts).median()
}

/// Each with its name; `None` where the program is missing that counts.
pub fn figures() -> Vec<(&'static str, Option<f64>)> {
    const FEW: usize = 10;
    const MANY: usize = 30;
    let (start, update) = is_there("valgrind")
        .then(|| {
            let few = instructions(FEW);
            (
                instructions(0),
                (instructions(MANY) - few) / (MANY - FEW) as f64,
            )
        })
        .unzip();
    let calls = is_there("strace").then(system_calls);
    vec![
        ("instructions, start to end without an update", start),
        ("instructions for an update", update),
        (
            "system calls from an update's last event to the signal",
            calls,
        ),
    ]
}

pub fn table(report: &mut Report) {
    let missing = || "valgrind or strace is missing".to_owned().into();
    let rows = figures().into_iter().map(|(name, figure)| {
        (
            name.to_owned(),
            vec![figure.map_or_else(missing, Into::into)],
        )
    });
    report.table(
        "counted",
        "what the sidecar does, outside of the kernel and of it",
        &["count"],
        rows.collect(),
    );
}
