//! `make guard`: what can be counted must not get worse than what is stored, by more than a stated tolerance. Times are not
//! looked at.

use crate::contestants::SIDECAR;
use crate::measure::counted;
use crate::rig::{Kind, Medium, Pace, Rig, be_undisturbed};
use crate::support::program;
use serde_json::{Value, json};
use std::fs;
use std::thread::sleep;
use std::time::Duration;

const STORED: &str = "benches/guard.json";
const UPDATES: usize = 20;
const IDLE: Duration = Duration::from_secs(15);

fn figures() -> Vec<(&'static str, Option<f64>)> {
    // How many events come at once depends on who runs when.
    be_undisturbed(true);
    let mut rig = Rig::new(&SIDECAR, Medium::Memory);
    let [armed, _] = rig.watcher.memory();
    let kinds = [Kind::Content, Kind::Keys]
        .into_iter()
        .cycle()
        .take(UPDATES);
    let updates: Vec<_> = kinds.map(|kind| rig.update(kind, Pace::Slow)).collect();
    let [updated, _] = rig.watcher.memory();
    // Until nothing is due any more: for five seconds it watches what comes of a signal.
    rig.watcher.0.wait_at_rest();
    let before = rig.watcher.account();
    sleep(IDLE);
    let idle = rig.watcher.account().wake_ups_since(&before);
    let mean = |sum: usize| sum as f64 / UPDATES as f64;
    let mut figures = vec![
        (
            "bytes of the program",
            fs::metadata(program()).map(|file| file.len() as f64).ok(),
        ),
        ("resident memory when armed, KiB", Some(armed as f64)),
        ("resident memory after updates, KiB", Some(updated as f64)),
        (
            "signals for an update",
            Some(mean(updates.iter().map(|update| update.signals).sum())),
        ),
        (
            "signals too early for an update",
            Some(mean(updates.iter().map(|update| update.stale).sum())),
        ),
        ("wake-ups while nothing happens", Some(idle)),
    ];
    figures.extend(counted::figures());
    figures
}

/// Compares with what is stored, or stores it.
pub fn check(keep: bool) {
    let text = fs::read_to_string(STORED).unwrap();
    let mut stored: Value = serde_json::from_str(&text).unwrap();
    let mut is_worse = false;
    println!("| | now | stored | tolerance, % | |\n|---|---|---|---|---|");
    for (name, figure) in figures() {
        let now = figure.unwrap_or_else(|| panic!("{name}: valgrind or strace is missing"));
        let entry = &mut stored[name];
        if keep {
            entry["at_most"] = json!(now.ceil() as u64);
        }
        let at_most = entry["at_most"]
            .as_f64()
            .unwrap_or_else(|| panic!("{name} is not stored"));
        let percent = entry["tolerance_percent"].as_f64().unwrap_or(0.0);
        let verdict = match now {
            now if now > at_most * (1.0 + percent / 100.0) => "WORSE",
            now if now < at_most * (1.0 - percent / 100.0) => "better: make guard-keep",
            _ => "",
        };
        is_worse |= verdict == "WORSE";
        println!("| {name} | {now} | {at_most} | {percent} | {verdict} |");
    }
    if keep {
        fs::write(STORED, format!("{stored:#}\n")).unwrap();
    }
    if is_worse {
        println!("\nWhat is worse for a good reason is stored by make guard-keep.");
        std::process::exit(1);
    }
}
