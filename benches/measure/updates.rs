//! Updates of a volume: how soon and how often the application is signalled, and at what cost.

use crate::contestants::{Contestant, FLOOR, SIDECAR, UNCONFIRMED};
use crate::report::Table;
use crate::rig::{Kind, Medium, Pace, Priority, Rig, Update};
use crate::sample::{Sample, ratio};
use crate::watcher::Usage;
use serde_json::Value;
use std::process::{Child, Command};

/// These take part in every round, so that they can be compared update by update.
const OURS: [&Contestant; 3] = [&FLOOR, &SIDECAR, &UNCONFIRMED];

#[derive(Clone, Copy)]
struct Plan {
    medium: Medium,
    kind: Kind,
    pace: Pace,
    rounds: usize,
    /// The others take part in every round of this many: some need a third of a second for an update.
    others_every: usize,
}

const FAST: Plan = Plan {
    medium: Medium::Memory,
    kind: Kind::Content,
    pace: Pace::Fast,
    rounds: 1,
    others_every: 10,
};

/// A contestant and its updates.
struct Entry<'c> {
    contestant: &'c Contestant,
    rig: Rig,
    updates: Vec<Update>,
    before: Usage,
}

impl<'c> Entry<'c> {
    fn new(contestant: &'c Contestant, medium: Medium) -> Self {
        let mut rig = Rig::new(contestant, medium);
        // The first update only warms up.
        rig.update(Kind::Content, Pace::Fast);
        Self {
            before: rig.watcher.usage(),
            contestant,
            rig,
            updates: Vec::new(),
        }
    }

    /// Returns the milliseconds from a moment of each update to the first handler that saw all of it.
    fn latencies(&self, since: fn(&Update) -> i64) -> Vec<f64> {
        let delivered = self.updates.iter().filter_map(|update| {
            let nanoseconds = update.delivered? - since(update);
            Some(nanoseconds as f64 / 1e6)
        });
        delivered.collect()
    }

    fn mean(&self, count: fn(&Update) -> usize) -> f64 {
        self.updates.iter().map(count).sum::<usize>() as f64 / self.updates.len() as f64
    }
}

/// Updates the volumes of all contestants in turn, in alternating order.
fn run<'c>(contestants: &[&'c Contestant], plan: Plan) -> Vec<Entry<'c>> {
    let entries = contestants.iter().map(|it| Entry::new(it, plan.medium));
    let mut entries: Vec<Entry> = entries.collect();
    let mut all: Vec<usize> = (0..entries.len()).collect();
    let mut ours: Vec<usize> = (0..OURS.len()).collect();
    for round in 0..plan.rounds {
        let order = match round % plan.others_every {
            0 => &mut all,
            _ => &mut ours,
        };
        order.reverse();
        for &mut at in order {
            let entry = &mut entries[at];
            entry.updates.push(entry.rig.update(plan.kind, plan.pace));
        }
    }
    entries
}

const LATENCY: &str = "from just before the last step of an update, which removes the previous directory, to the handler that sees all of it, ms";

fn latency_table(name: &'static str, title: &str, entries: &[Entry]) -> Table {
    let mut table = Table::new(
        name,
        title,
        "p50 | p99 | p99.9 | p50 since the last step had returned | p50 / floor's | updates | never told",
    );
    // Not since the step returned: by then, the floor has often signalled.
    let floor = entries[0].latencies(|update| update.before_last_step);
    for entry in entries {
        let latencies = entry.latencies(|update| update.before_last_step);
        let since_return = entry.latencies(|update| update.after_last_step);
        let sample = Sample::of(latencies.clone());
        // Contestants that had as many updates as the floor are compared with it update by update.
        let compared = if latencies.len() == floor.len() {
            Value::from(ratio(&latencies, &floor))
        } else {
            (sample.median() / Sample::of(floor.clone()).median()).into()
        };
        let updates = entry.updates.len();
        let cells = [
            sample.at(0.5).into(),
            sample.at(0.99).into(),
            sample.at(0.999).into(),
            Sample::of(since_return).median().into(),
            compared,
            updates.into(),
            (updates - sample.count()).into(),
        ];
        table.add(entry.contestant.name, cells);
    }
    table
}

impl Plan {
    fn latency_table(&self, entries: &[Entry]) -> Table {
        let is_last_alone = self.pace == Pace::LastAlone;
        let name = match (self.medium, is_last_alone) {
            (Medium::Memory, false) => "latency",
            (Medium::Memory, true) => "latency_of_the_last_step",
            (Medium::Disk, false) => "latency_on_disk",
            (Medium::Disk, true) => "latency_on_disk_of_the_last_step",
        };
        let medium = match self.medium {
            Medium::Memory => "in memory, as Secrets are",
            Medium::Disk => "on disk, as ConfigMaps are",
        };
        let pace = if is_last_alone {
            "with a pause before the last step"
        } else {
            "written as fast as can be"
        };
        let title = format!("{LATENCY} (a volume {medium}, {pace})");
        latency_table(name, &title, entries)
    }
}

/// Measures the sidecar beside the floor alone.
pub fn beside_the_floor(ways: &[(Medium, Pace)], rounds: usize) -> Vec<Table> {
    let tables = ways.iter().map(|&(medium, pace)| {
        let plan = Plan {
            medium,
            pace,
            rounds,
            ..FAST
        };
        plan.latency_table(&run(&OURS, plan))
    });
    tables.collect()
}

/// Measures all contestants.
pub fn of_all(others: &[&Contestant], rounds: usize) -> Vec<Table> {
    let contestants = [&OURS, others].concat();
    let fast = Plan { rounds, ..FAST };
    let entries = run(&contestants, fast);
    let latencies = fast.latency_table(&entries);
    let [content, keys] = [Kind::Content, Kind::Keys].map(|kind| {
        let plan = Plan {
            kind,
            pace: Pace::Slow,
            others_every: 1,
            rounds: rounds / 40,
            ..FAST
        };
        run(&contestants, plan)
    });
    let mut signals = Table::new(
        "signals",
        "for one update of a volume",
        "signals when the content of a key is new | of them too early | signals when a key goes and one comes | too early of these | processor time, ms",
    );
    for (entry, (content, keys)) in entries.iter().zip(content.iter().zip(&keys)) {
        let used = entry.rig.watcher.usage().seconds_since(&entry.before);
        let cells = [
            content.mean(|update| update.signals),
            content.mean(|update| update.early),
            keys.mean(|update| update.signals),
            keys.mean(|update| update.early),
            used * 1e3 / entry.updates.len() as f64,
        ];
        signals.add(entry.contestant.name, cells.map(Value::from));
    }
    vec![latencies, signals]
}

/// Keeps one processor busy until it is dropped.
struct Spinner(Child);

impl Spinner {
    fn new() -> Self {
        let mut shell = Command::new("sh");
        Self(shell.args(["-c", "while :; do :; done"]).spawn().unwrap())
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measures at ordinary priority, while every processor is busy with something else.
pub fn on_a_busy_machine(rounds: usize) -> Table {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Priority::Ordinary.set();
    let spinners: Vec<Spinner> = (0..processors).map(|_| Spinner::new()).collect();
    let entries = run(&OURS, Plan { rounds, ..FAST });
    drop(spinners);
    Priority::RealTime.set();
    let title = "the same while every processor is busy, ms";
    latency_table("busy", title, &entries)
}
