//! Starting, and what it takes to be there: memory, threads, and whether it sleeps.

use super::{READ, arming, many_files, shell};
use crate::contestants::{Contestant, FLOOR, Job, SIDECAR};
use crate::report::{Cell, Report};
use crate::rig::{Medium, Rig};
use crate::sample::in_turn;
use crate::support::process::Target;
use crate::watcher::Watcher;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// After a signal the sidecar watches for five seconds what comes of it.
const CONFIRMED: Duration = Duration::from_secs(6);
const DIRECTORIES: usize = 1_000;
const FILES_EACH: usize = 10;

fn ours<'c>(others: &[&'c Contestant]) -> Vec<&'c Contestant> {
    [&FLOOR, &SIDECAR]
        .into_iter()
        .chain(others.iter().copied())
        .collect()
}

/// All contestants at once, each with a volume of its own.
pub fn of_all(report: &mut Report, others: &[&Contestant], updates: usize, idle: Duration) {
    let contestants = ours(others);
    let mut rigs: Vec<Rig> = contestants
        .iter()
        .map(|contestant| Rig::new(contestant, Medium::Memory))
        .collect();
    let armed: Vec<_> = rigs
        .iter()
        .map(|rig| (rig.watcher.memory(), rig.watcher.threads()))
        .collect();
    let updated: Vec<_> = rigs
        .iter_mut()
        .map(|rig| {
            rig.storm(updates);
            rig.watcher.memory()
        })
        .collect();
    sleep(CONFIRMED);
    let before: Vec<_> = rigs.iter().map(|rig| rig.watcher.account()).collect();
    sleep(idle);
    let minutes = idle.as_secs_f64() / 60.0;
    let slept = rigs.iter().zip(&before).map(|(rig, before)| {
        let account = rig.watcher.account();
        [
            account.wake_ups_since(before) / minutes,
            account.seconds_since(before) * 1e3 / minutes,
        ]
    });
    let slept: Vec<_> = slept.collect();
    let tree = tempfile::tempdir().unwrap();
    let file = many_files(tree.path(), DIRECTORIES, FILES_EACH);
    let rows = contestants.iter().enumerate().map(|(at, contestant)| {
        let many = contestant.takes_trees.then(|| {
            let target = Target::start(&file);
            let watcher = contestant.start(&job(tree.path(), &target, true));
            let _ = settled(&watcher);
            watcher.memory()
        });
        let ([idle, idle_share], threads) = armed[at];
        let [after, _] = updated[at];
        let cells: [Cell; 8] = [
            threads.into(),
            idle.into(),
            idle_share.into(),
            after.into(),
            many.map(|[resident, _]| resident).into(),
            many.map(|[_, share]| share).into(),
            slept[at][0].into(),
            slept[at][1].into(),
        ];
        (contestant.name.to_owned(), cells.into())
    });
    let columns = [
        "threads",
        "resident, KiB",
        "proportional, KiB",
        "resident after 1,000 updates",
        "resident at 10,000 files",
        "proportional at 10,000 files",
        "wake-ups in an idle minute",
        "processor time in it, ms",
    ];
    report.table(
        "rest",
        "while nothing happens, all processes of it together",
        &columns,
        rows.collect(),
    );
}

fn job<'j>(root: &'j Path, target: &'j Target, is_tree: bool) -> Job<'j> {
    let pid = target.talker.pid().as_raw_nonzero().get();
    Job {
        root,
        name: &target.name,
        pid,
        is_tree,
    }
}

/// Waits until it has set up all its watches; how many they are.
fn settled(watcher: &Watcher) -> usize {
    const PATIENCE: Duration = Duration::from_secs(20);
    let start = Instant::now();
    let (mut count, mut since) = (0, start);
    while count == 0 || since.elapsed() < Duration::from_millis(700) || !watcher.is_asleep() {
        assert!(start.elapsed() < PATIENCE, "never armed");
        sleep(Duration::from_millis(20));
        let now = watcher.watches();
        if now != count {
            (count, since) = (now, Instant::now());
        }
    }
    count
}

/// Between two questions for the watches, so many times as long as the kernel takes for the answer.
const PAUSE: u32 = 4;

/// From the start until the last watch is set up.
pub fn start(report: &mut Report, others: &[&Contestant], rounds: usize) {
    let tree = tempfile::tempdir().unwrap();
    let file = many_files(tree.path(), DIRECTORIES, FILES_EACH);
    let few = tempfile::tempdir().unwrap();
    let file_of_few = many_files(few.path(), 1, 1);
    let few = few.path().join("d000000");
    let contestants = ours(others);
    let arm =
        |root: &Path, file: &Path, is_tree: bool, contestants: &[&Contestant], rounds: usize| {
            let target = Target::start(file);
            let mut counts: Vec<(&Contestant, usize)> = contestants
                .iter()
                .map(|contestant| {
                    (
                        *contestant,
                        settled(&contestant.start(&job(root, &target, is_tree))),
                    )
                })
                .collect();
            in_turn(rounds, &mut counts, |(contestant, count)| {
                let start = Instant::now();
                let watcher = contestant.start(&job(root, &target, is_tree));
                let deadline = start + Duration::from_secs(20);
                loop {
                    let asked = Instant::now();
                    if watcher.watches_soon(contestant.programs.len() == 1) >= *count {
                        break;
                    }
                    assert!(asked < deadline, "{}: not armed", contestant.name);
                    // No watch is set while the kernel lists those that are: whoever asks all the time measures himself.
                    sleep(asked.elapsed() * PAUSE);
                }
                super::ms(start.elapsed())
            })
        };
    let one = arm(&few, &file_of_few, false, &contestants, rounds);
    let takes: Vec<&Contestant> = contestants
        .iter()
        .copied()
        .filter(|contestant| contestant.takes_trees)
        .collect();
    let mut many = arm(tree.path(), &file, true, &takes, rounds / 3).into_iter();
    let rows = contestants.iter().zip(one).map(|(contestant, one)| {
        let many = contestant.takes_trees.then(|| many.next().unwrap());
        (contestant.name.to_owned(), vec![one.into(), many.into()])
    });
    // The sidecar alone reads the files then. Nobody does that faster than this, who watches nothing.
    let read = |root: &Path| shell(READ, root);
    let mut ways = [&arming as &dyn Fn(&Path) -> f64, &read];
    let names = ["sidecar: armed and read", "find, cat: reading alone"];
    let mut all = |root: &Path, rounds| in_turn(rounds, &mut ways, |way| way(root)).into_iter();
    let few_and_many = all(&few, rounds).zip(all(tree.path(), rounds / 3));
    let read = names.into_iter().zip(few_and_many);
    let rows = rows
        .chain(read.map(|(name, (one, many))| (name.to_owned(), vec![one.into(), many.into()])));
    let columns = ["one file", "10,000 files in 1,000 directories"];
    report.table(
        "start",
        "from the start until the last watch is set up, ms",
        &columns,
        rows.collect(),
    );
}
