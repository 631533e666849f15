//! `make bench`: compares the release program, named by `SIDECAR`, with its alternatives and with the least program that could do
//! the job. All are measured in the same run on the same machine, in turn; figures are medians with quartiles. No result is a
//! failure.
//!
//! Results go to `target/bench`; `make bench-keep` publishes them in docs/benchmarks.md.
//!
//! `ONLY=latency,size` measures only these; `QUICK=1` takes fewer rounds, to try it out.

#[path = "../tests/support/mod.rs"]
mod support;

mod contestants;
mod guard;
mod measure;
mod published;
mod report;
mod rig;
mod sample;
mod watcher;

use contestants::{ALTERNATIVES, Contestant, FLOOR, SIDECAR};
use measure::{counted, crowd, growth, idle, size, start, storm, updates};
use report::{Report, Table};
use rig::{Medium, Pace, Priority};
use std::env;
use std::fs;
use std::path::Path;

fn main() {
    match env::var("GUARD").as_deref() {
        Ok("keep") => guard::keep(),
        Ok(_) => guard::check(),
        Err(_) if env::var_os("KEEP").is_some() => keep(),
        Err(_) => measure(),
    }
}

/// Runs the measurements that are asked for, and reports them.
fn measure() {
    let only = env::var("ONLY").unwrap_or_default();
    let is_wanted = |name: &str| only.is_empty() || only.split(',').any(|one| one == name);
    let is_quick = env::var_os("QUICK").is_some_and(|value| !value.is_empty());
    let rounds = |full: usize, quick: usize| if is_quick { quick } else { full };
    let mut report = Report::default();
    if !Priority::RealTime.set() {
        report.say("Without root, the machine's other processes disturb the measurements.");
    }
    let others = installed(&mut report);
    let all = [&[&FLOOR, &SIDECAR], &others[..]].concat();

    let mut paces = vec![
        (Medium::Disk, Pace::Fast),
        (Medium::Disk, Pace::LastAlone),
        (Medium::Memory, Pace::LastAlone),
    ];
    // "updates" measures this one with all contestants.
    if !is_wanted("updates") {
        paces.push((Medium::Memory, Pace::Fast));
    }
    let measurements: [(&str, &dyn Fn() -> Vec<Table>); 10] = [
        ("size", &|| vec![size::measure(&all)]),
        ("start", &|| vec![start::measure(&all, rounds(15, 3))]),
        ("latency", &|| {
            updates::beside_the_floor(&paces, rounds(1000, 100))
        }),
        ("updates", &|| updates::of_all(&others, rounds(1000, 100))),
        ("busy", &|| {
            vec![updates::on_a_busy_machine(rounds(200, 40))]
        }),
        ("rest", &|| {
            vec![idle::measure(&all, rounds(1000, 100), rounds(60, 5))]
        }),
        ("counted", &|| vec![counted::measure()]),
        ("growth", &|| {
            let trees = growth::of_trees(rounds(5, 1), rounds(100_000, 10_000));
            vec![trees, growth::of_content(rounds(9, 3))]
        }),
        ("crowd", &|| {
            vec![crowd::measure(rounds(15, 3), &[10, 1_000, 5_000])]
        }),
        ("storm", &|| vec![storm::measure(rounds(100_000, 10_000))]),
    ];
    for (name, measure) in measurements {
        if is_wanted(name) {
            for table in measure() {
                report.add(&table);
            }
        }
    }
    let is_whole = only.is_empty() && !is_quick && others.len() == ALTERNATIVES.len();
    report.write(Path::new("target/bench"), &machine(), is_whole);
}

/// Returns the alternatives that are installed, and reports the others.
fn installed(report: &mut Report) -> Vec<&'static Contestant> {
    let (installed, missing): (Vec<_>, Vec<_>) =
        ALTERNATIVES.iter().partition(|it| it.missing().is_none());
    for contestant in missing {
        let program = contestant.missing().unwrap_or_default();
        report.say(&format!("MISSING: {}: no {program}", contestant.name));
    }
    installed
}

/// Publishes the last results.
fn keep() {
    let results = fs::read_to_string("target/bench/results.json").unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&results).unwrap();
    assert!(
        parsed["is_whole"] == true,
        "the results are not whole: run make bench"
    );
    fs::write(published::RESULTS, &results).unwrap();
    let text = fs::read_to_string(published::PAGE).unwrap();
    fs::write(published::PAGE, published::with(&text, &results)).unwrap();
}

/// Describes this machine.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let info = read("/proc/cpuinfo");
    let mut models = info
        .lines()
        .filter_map(|line| line.strip_prefix("model name"));
    let model = models.next().and_then(|model| model.split_once(": "));
    let model = model.map_or("processors", |(_, model)| model);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{processors} x {model}, Linux {}", kernel.trim_end())
}
