//! Starting.

use super::{READ, Tree, arming, job, shell, timed};
use crate::contestants::{Contestant, Depth};
use crate::report::Table;
use crate::sample::{Sample, in_turn};
use crate::support::process::{Target, eventually};
use crate::watcher::Watcher;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Waits until a contestant has set up all its watches. Returns their number.
pub fn settle(watcher: &Watcher) -> usize {
    const QUIET: Duration = Duration::from_millis(700);
    let (mut count, mut since) = (0, Instant::now());
    eventually("armed", || {
        let now = watcher.watches();
        if now != count {
            (count, since) = (now, Instant::now());
        }
        count > 0 && since.elapsed() >= QUIET && watcher.is_asleep()
    });
    count
}

/// Waits until a contestant has this number of watches.
fn wait_for_watches(contestant: &Contestant, watcher: &Watcher, count: usize) {
    // The kernel cannot add a watch while it lists them, so this pauses for a multiple of the time that listing takes.
    const PAUSE: u32 = 4;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let asked = Instant::now();
        let watches = match contestant.programs {
            [_] => watcher.watches_of_first_process(),
            _ => watcher.watches(),
        };
        if watches >= count {
            return;
        }
        assert!(asked < deadline, "{}: not armed", contestant.name);
        sleep(asked.elapsed() * PAUSE);
    }
}

/// Returns the milliseconds from the start of each contestant until its last watch is set up.
fn arm(
    contestants: &[&Contestant],
    root: &Path,
    file: &Path,
    depth: Depth,
    rounds: usize,
) -> Vec<Sample> {
    let target = Target::start(file);
    let start = |contestant: &Contestant| contestant.start(&job(root, &target, depth));
    let counts = contestants.iter().map(|it| (*it, settle(&start(it))));
    let mut counts: Vec<(&Contestant, usize)> = counts.collect();
    in_turn(rounds, &mut counts, |(contestant, count)| {
        let mut watcher = None;
        timed(|| {
            let watcher = watcher.insert(start(contestant));
            wait_for_watches(contestant, watcher, *count);
        })
    })
}

pub fn measure(contestants: &[&Contestant], rounds: usize) -> Table {
    let (small, large) = (Tree::new(1, 1), Tree::large());
    let directory = small.root().join("d000000");
    let of_trees = contestants.iter().copied().filter(|it| it.can_watch_trees);
    let of_trees: Vec<&Contestant> = of_trees.collect();
    let one = arm(
        contestants,
        &directory,
        &small.file,
        Depth::Directory,
        rounds,
    );
    let many = arm(
        &of_trees,
        large.root(),
        &large.file,
        Depth::Tree,
        rounds / 3,
    );
    let mut many = many.into_iter();
    let mut table = Table::new(
        "start",
        "from the start until the last watch is set up, ms",
        "one file | 10,000 files in 1,000 directories",
    );
    for (contestant, one) in contestants.iter().zip(one) {
        let many = contestant.can_watch_trees.then(|| many.next()).flatten();
        table.add(contestant.name, [one.into(), many.into()]);
    }

    // Only the sidecar also reads the files. The comparison reads them and watches nothing.
    let read = |root: &Path| shell(READ, root);
    let mut ways = [&arming as &dyn Fn(&Path) -> f64, &read];
    let one = in_turn(rounds, &mut ways, |way| way(&directory));
    let many = in_turn(rounds / 3, &mut ways, |way| way(large.root()));
    let names = ["sidecar: armed and read", "find, cat: reading alone"];
    for (name, (one, many)) in names.iter().zip(one.into_iter().zip(many)) {
        table.add(name, [one.into(), many.into()]);
    }
    table
}
