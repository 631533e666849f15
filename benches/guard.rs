//! `make guard`: fails if a countable figure grew by more than its tolerance since it was stored in `guard.json`.

use crate::contestants::SIDECAR;
use crate::measure::counted;
use crate::rig::{Kind, Medium, Pace, Priority, Rig};
use crate::support::program;
use serde_json::{Value, json};
use std::fs;
use std::thread::sleep;
use std::time::Duration;

const STORED: &str = "benches/guard.json";
const UPDATES: usize = 20;
const IDLE: Duration = Duration::from_secs(15);

/// Measures all figures.
fn figures() -> Vec<(&'static str, f64)> {
    // The number of events in one read depends on scheduling.
    Priority::RealTime.set();
    let mut rig = Rig::new(&SIDECAR, Medium::Memory);
    let [armed, _] = rig.watcher.memory();
    let kinds = [Kind::Content, Kind::Keys]
        .into_iter()
        .cycle()
        .take(UPDATES);
    let updates: Vec<_> = kinds.map(|kind| rig.update(kind, Pace::Slow)).collect();
    let [updated, _] = rig.watcher.memory();
    // For five seconds after a signal, the sidecar waits for the files to be read.
    rig.watcher.0.wait_until_idle();
    let before = rig.watcher.usage();
    sleep(IDLE);
    let wake_ups = rig.watcher.usage().wake_ups_since(&before);
    let mean = |sum: usize| sum as f64 / UPDATES as f64;
    let signals = mean(updates.iter().map(|update| update.signals).sum());
    let early = mean(updates.iter().map(|update| update.early).sum());
    let bytes = fs::metadata(program()).unwrap().len() as f64;
    let mut figures = vec![
        ("bytes of the program", bytes),
        ("resident memory when armed, KiB", armed as f64),
        ("resident memory after updates, KiB", updated as f64),
        ("signals for an update", signals),
        ("signals too early for an update", early),
        ("wake-ups while nothing happens", wake_ups),
    ];
    let counted = counted::figures().into_iter();
    figures.extend(counted.map(|(name, figure)| {
        (
            name,
            figure.unwrap_or_else(|| panic!("{name}: valgrind or strace is missing")),
        )
    }));
    figures
}

fn stored() -> Value {
    serde_json::from_str(&fs::read_to_string(STORED).unwrap()).unwrap()
}

/// Stores the current figures. Tolerances stay as they are.
pub fn keep() {
    let mut stored = stored();
    for (name, now) in figures() {
        println!("{name}: {now}, was {}", stored[name]["at_most"]);
        stored[name]["at_most"] = json!(now.ceil() as u64);
    }
    fs::write(STORED, format!("{stored:#}\n")).unwrap();
}

/// Compares the current figures with the stored ones, and exits with an error if one is worse.
pub fn check() {
    let stored = stored();
    let mut is_worse = false;
    println!("| | now | stored | tolerance, % | |\n|---|---|---|---|---|");
    for (name, now) in figures() {
        let at_most = stored[name]["at_most"].as_f64();
        let at_most = at_most.unwrap_or_else(|| panic!("{name} is not stored"));
        let percent = stored[name]["tolerance_percent"].as_f64().unwrap_or(0.0);
        let verdict = match now {
            now if now > at_most * (1.0 + percent / 100.0) => "WORSE",
            now if now < at_most * (1.0 - percent / 100.0) => "better: make guard-keep",
            _ => "",
        };
        is_worse |= verdict == "WORSE";
        println!("| {name} | {now} | {at_most} | {percent} | {verdict} |");
    }
    if is_worse {
        println!("\nIf this is worth it, store the new figures with make guard-keep.");
        std::process::exit(1);
    }
}
