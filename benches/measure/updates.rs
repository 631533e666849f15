//! What an update comes to: how soon the application is told, how often, and what it costs.

use crate::contestants::{Contestant, FLOOR, SIDECAR, UNCONFIRMED};
use crate::report::{Cell, Report};
use crate::rig::{Kind, Medium, Pace, Rig, Update, be_undisturbed};
use crate::sample::{Sample, ratio};
use crate::watcher::Account;
use std::process::{Child, Command};

/// Compared update by update.
const OURS: [&Contestant; 3] = [&FLOOR, &SIDECAR, &UNCONFIRMED];

/// What is done so many times.
#[derive(Clone, Copy)]
struct Plan {
    medium: Medium,
    kind: Kind,
    pace: Pace,
    rounds: usize,
    /// The alternatives take part in every so manieth round only: some need a third of a second for an update.
    others_every: usize,
}

const FAST: Plan = Plan {
    medium: Medium::Memory,
    kind: Kind::Content,
    pace: Pace::Fast,
    rounds: 1,
    others_every: 10,
};

struct Entry<'c> {
    contestant: &'c Contestant,
    rig: Rig,
    updates: Vec<Update>,
    before: Account,
}

impl<'c> Entry<'c> {
    fn new(contestant: &'c Contestant, medium: Medium) -> Self {
        let mut rig = Rig::new(contestant, medium);
        rig.update(Kind::Content, Pace::Fast);
        Self {
            before: rig.watcher.account(),
            contestant,
            rig,
            updates: Vec::new(),
        }
    }

    /// Milliseconds from the last step to the first handler that saw the whole update.
    fn latencies(&self, since: impl Fn(&Update) -> i64) -> Vec<f64> {
        let told = self
            .updates
            .iter()
            .filter_map(|update| Some((update.told? - since(update)) as f64 / 1e6));
        told.collect()
    }

    fn mean(&self, count: impl Fn(&Update) -> usize) -> f64 {
        self.updates.iter().map(count).sum::<usize>() as f64 / self.updates.len() as f64
    }
}

/// Update by update, in turn.
fn run<'c>(contestants: &[&'c Contestant], plan: Plan) -> Vec<Entry<'c>> {
    let entry = |contestant: &&'c Contestant| Entry::new(contestant, plan.medium);
    let mut entries: Vec<Entry> = contestants.iter().map(entry).collect();
    let mut all: Vec<usize> = (0..entries.len()).collect();
    let mut few: Vec<usize> = (0..entries.len().min(OURS.len())).collect();
    for round in 0..plan.rounds {
        let order = if round % plan.others_every == 0 {
            &mut all
        } else {
            &mut few
        };
        order.reverse();
        for at in order {
            let entry = &mut entries[*at];
            entry.updates.push(entry.rig.update(plan.kind, plan.pace));
        }
    }
    entries
}

fn latency_table(report: &mut Report, name: &str, title: &str, entries: &[Entry]) {
    // The floor has often signalled before the removal has returned, so that there is no ratio to that.
    let floor = entries[0].latencies(|update| update.before_last_step);
    let rows = entries.iter().map(|entry| {
        let since_before = entry.latencies(|update| update.before_last_step);
        let sample = Sample::of(since_before.clone());
        let since_after = Sample::of(entry.latencies(|update| update.after_last_step));
        let figures = [0.5, 0.99, 0.999].map(|share| Cell::from(sample.at(share)));
        let mut cells: Vec<Cell> = figures.into();
        cells.push(since_after.median().into());
        // Those that have had as many updates are compared update by update.
        let compared = if since_before.len() == floor.len() {
            ratio(&since_before, &floor).into()
        } else {
            Cell::from(sample.median() / Sample::of(floor.clone()).median())
        };
        cells.push(compared);
        cells.push((entry.updates.len() as u64).into());
        cells.push(((entry.updates.len() - sample.count()) as u64).into());
        (entry.contestant.name.to_owned(), cells)
    });
    let columns = [
        "p50",
        "p99",
        "p99.9",
        "p50 since the last step had returned",
        "p50 / floor's",
        "updates",
        "never told",
    ];
    report.table(name, title, &columns, rows.collect());
}

impl Plan {
    fn name(&self) -> String {
        let mut name = "latency".to_owned();
        name += match self.medium {
            Medium::Memory => "",
            Medium::Disk => "_on_disk",
        };
        name += match self.pace {
            Pace::Fast | Pace::Slow => "",
            Pace::LastAlone => "_of_the_last_step",
        };
        name
    }

    fn title(&self) -> String {
        let place = match self.medium {
            Medium::Memory => "in memory, as Secrets are",
            Medium::Disk => "on disk, as ConfigMaps are",
        };
        let pace = match self.pace {
            Pace::Fast | Pace::Slow => "written as fast as can be",
            Pace::LastAlone => "with a pause before the last step",
        };
        format!("{LATENCY} (a volume {place}, {pace})")
    }

    fn report(&self, report: &mut Report, entries: &[Entry]) {
        latency_table(report, &self.name(), &self.title(), entries);
    }
}

const LATENCY: &str = "from just before the last step of an update, which removes the previous directory, to the handler that sees all of it, ms";

/// The sidecar beside the floor alone.
pub fn against_the_floor(
    report: &mut Report,
    rounds: usize,
    ways: impl IntoIterator<Item = (Medium, Pace)>,
) {
    for (medium, pace) in ways {
        let plan = Plan {
            rounds,
            medium,
            pace,
            others_every: 1,
            ..FAST
        };
        plan.report(report, &run(&OURS, plan));
    }
}

/// All of them.
pub fn of_all(report: &mut Report, others: &[&Contestant], rounds: usize) {
    let contestants = [&OURS, others].concat();
    let plan = Plan { rounds, ..FAST };
    let entries = run(&contestants, plan);
    plan.report(report, &entries);
    let slow = |kind| {
        let plan = Plan {
            kind,
            pace: Pace::Slow,
            others_every: 1,
            rounds: rounds / 40,
            ..FAST
        };
        run(&contestants, plan)
    };
    let (content, keys) = (slow(Kind::Content), slow(Kind::Keys));
    let rows = entries
        .iter()
        .zip(content.iter().zip(&keys))
        .map(|(entry, (content, keys))| {
            let used = entry.rig.watcher.account().seconds_since(&entry.before);
            let cells = [
                content.mean(|update| update.signals),
                content.mean(|update| update.stale),
                keys.mean(|update| update.signals),
                keys.mean(|update| update.stale),
                used * 1e3 / entry.updates.len() as f64,
            ];
            (
                entry.contestant.name.to_owned(),
                cells.map(Cell::from).into(),
            )
        });
    let columns = [
        "signals when the content of a key is new",
        "of them too early",
        "signals when a key goes and one comes",
        "too early of these",
        "processor time, ms",
    ];
    report.table(
        "signals",
        "for one update of a volume",
        &columns,
        rows.collect(),
    );
}

/// While every processor has something else to do, which is as important.
pub fn on_a_busy_machine(report: &mut Report, rounds: usize) {
    struct Spinner(Child);
    impl Drop for Spinner {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let spin = |_| {
        Spinner(
            Command::new("sh")
                .args(["-c", "while :; do :; done"])
                .spawn()
                .unwrap(),
        )
    };
    be_undisturbed(false);
    let _spinners: Vec<Spinner> = (0..count).map(spin).collect();
    let entries = run(&OURS, Plan { rounds, ..FAST });
    latency_table(
        report,
        "busy",
        "the same while every processor is busy, ms",
        &entries,
    );
    be_undisturbed(true);
}
