//! `make bench`: the release program that `SIDECAR` names beside what a user would pick instead and beside the least that can do
//! the job, in one run on one machine. Nothing here fails for being slow: what is compared is measured in the same run, turn and
//! turn about, and figures are medians with their quartiles.
//!
//! What was measured is in `target/bench` then; `make bench-keep` makes it what the README says.
//!
//! `ONLY=latency` measures that alone, or several with commas between; with `QUICK=1` there are fewer rounds, to try it.

#[path = "../tests/support/mod.rs"]
mod support;

mod contestants;
mod guard;
mod measure;
mod readme;
mod report;
mod rig;
mod sample;
mod watcher;

use contestants::{ALTERNATIVES, Contestant};
use measure::{counted, crowd, growth, rest, size, storm, updates};
use report::Report;
use rig::{Medium, Pace};
use std::fs;
use std::path::Path;
use std::time::Duration;

fn main() {
    if let Ok(how) = std::env::var("GUARD") {
        return guard::check(how == "keep");
    }
    if std::env::var_os("KEEP").is_some() {
        return keep();
    }
    let is_quick = std::env::var_os("QUICK").is_some_and(|value| !value.is_empty());
    let rounds = |many: usize, few: usize| if is_quick { few } else { many };
    let only = std::env::var("ONLY").unwrap_or_default();
    let is_wanted = |measure: &str| only.is_empty() || only.split(',').any(|one| one == measure);
    let mut report = Report::new();

    if !rig::be_undisturbed(true) {
        report.say("Without root, other processes of this machine disturb what follows.");
    }
    let mut others: Vec<&Contestant> = Vec::new();
    for contestant in &ALTERNATIVES {
        match contestant.missing() {
            None => others.push(contestant),
            Some(program) => report.say(&format!(
                "MISSING: {}: there is no {program}",
                contestant.name
            )),
        }
    }
    if is_wanted("size") {
        size::of_all(&mut report, &others);
    }
    if is_wanted("start") {
        rest::start(&mut report, &others, rounds(15, 3));
    }
    if is_wanted("latency") {
        let mut ways = vec![
            (Medium::Disk, Pace::Fast),
            (Medium::Disk, Pace::LastAlone),
            (Medium::Memory, Pace::LastAlone),
        ];
        // All of them are measured so below.
        if !is_wanted("updates") {
            ways.push((Medium::Memory, Pace::Fast));
        }
        updates::against_the_floor(&mut report, rounds(1000, 100), ways);
    }
    if is_wanted("updates") {
        updates::of_all(&mut report, &others, rounds(1000, 100));
    }
    if is_wanted("busy") {
        updates::on_a_busy_machine(&mut report, rounds(200, 40));
    }
    if is_wanted("rest") {
        rest::of_all(
            &mut report,
            &others,
            rounds(1000, 100),
            Duration::from_secs(rounds(60, 5) as u64),
        );
    }
    if is_wanted("counted") {
        counted::table(&mut report);
    }
    if is_wanted("growth") {
        growth::of_trees(&mut report, rounds(5, 1), rounds(100_000, 10_000));
        growth::of_content(&mut report, rounds(9, 3));
    }
    if is_wanted("crowd") {
        crowd::delivery(&mut report, rounds(15, 3), &[10, 1_000, 5_000]);
    }
    if is_wanted("storm") {
        storm::of_writes(&mut report, rounds(100_000, 10_000));
    }
    let is_whole = only.is_empty() && !is_quick && others.len() == ALTERNATIVES.len();
    report.write(Path::new("target/bench"), &machine(), is_whole);
}

/// What was measured last becomes what the README says.
fn keep() {
    let results = fs::read_to_string("target/bench/results.json").unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&results).unwrap();
    assert!(
        parsed["is_whole"] == true,
        "only a part was measured: make bench"
    );
    fs::write(readme::RESULTS, &results).unwrap();
    let text = fs::read_to_string("README.md").unwrap();
    fs::write("README.md", readme::with(&text, &results)).unwrap();
}

/// What it was measured on.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("processors", |(_, model)| model);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{processors} x {model}, Linux {}", kernel.trim_end())
}
