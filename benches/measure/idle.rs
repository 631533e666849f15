//! A contestant's memory, threads and wake-ups while nothing happens.

use super::start::settle;
use super::{Tree, job};
use crate::contestants::{Contestant, Depth};
use crate::report::Table;
use crate::rig::{Medium, Rig};
use crate::support::process::Target;
use std::thread::sleep;
use std::time::Duration;

/// Longer than the five seconds after a signal in which the sidecar waits for the files to be read.
const CONFIRMED: Duration = Duration::from_secs(6);

/// Measures all contestants at once, each with a volume of its own.
pub fn measure(contestants: &[&Contestant], updates: usize, idle_seconds: usize) -> Table {
    let rigs = contestants.iter().map(|it| Rig::new(it, Medium::Memory));
    let mut rigs: Vec<Rig> = rigs.collect();
    let armed = rigs
        .iter()
        .map(|it| (it.watcher.memory(), it.watcher.thread_count()));
    let armed: Vec<_> = armed.collect();
    let updated = rigs.iter_mut().map(|rig| {
        rig.storm(updates);
        rig.watcher.memory()
    });
    let updated: Vec<_> = updated.collect();
    sleep(CONFIRMED);
    let before: Vec<_> = rigs.iter().map(|rig| rig.watcher.usage()).collect();
    sleep(Duration::from_secs(idle_seconds as u64));
    let minutes = idle_seconds as f64 / 60.0;
    let slept = rigs.iter().zip(&before).map(|(rig, before)| {
        let usage = rig.watcher.usage();
        let milliseconds = usage.seconds_since(before) * 1e3;
        [
            usage.wake_ups_since(before) / minutes,
            milliseconds / minutes,
        ]
    });
    let slept: Vec<[f64; 2]> = slept.collect();

    let tree = Tree::large();
    let mut table = Table::new(
        "rest",
        "while nothing happens; all processes of a contestant together",
        "threads | resident, KiB | proportional, KiB | resident after 1,000 updates | resident at 10,000 files | proportional at 10,000 files | wake-ups in an idle minute | processor time in it, ms",
    );
    for (at, contestant) in contestants.iter().enumerate() {
        let ([resident, proportional], threads) = armed[at];
        let many = contestant
            .can_watch_trees
            .then(|| memory_with(contestant, &tree));
        let [wake_ups, processor_time] = slept[at];
        let cells = [
            threads.into(),
            resident.into(),
            proportional.into(),
            updated[at][0].into(),
            many.map(|[resident, _]| resident).into(),
            many.map(|[_, proportional]| proportional).into(),
            wake_ups.into(),
            processor_time.into(),
        ];
        table.add(contestant.name, cells);
    }
    table
}

/// Returns the memory of a contestant that watches a tree.
fn memory_with(contestant: &Contestant, tree: &Tree) -> [u64; 2] {
    let target = Target::start(&tree.file);
    let watcher = contestant.start(&job(tree.root(), &target, Depth::Tree));
    settle(&watcher);
    watcher.memory()
}
