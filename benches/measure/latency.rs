//! From the last step of an update to the application's handler.

use crate::contestants::{Contestant, FLOOR, SIDECAR, SIDECAR_UNCONFIRMED};
use crate::rig::{self, Rig};
use crate::sample::{Sample, ratio};
use std::time::Duration;

/// Beside the floor, update by update.
pub fn against_the_floor(updates: usize) {
    if !rig::be_undisturbed(true) {
        println!("\nWithout root, other processes of this machine disturb the measurement.");
    }
    let contestants = [&FLOOR, &SIDECAR, &SIDECAR_UNCONFIRMED];
    let mut rigs = contestants.map(Rig::new);
    let mut before = contestants.map(|_| Vec::new());
    let mut after = contestants.map(|_| Vec::new());
    for round in 0..updates {
        for step in 0..rigs.len() {
            let at = (round + step) % rigs.len();
            let rig = &mut rigs[at];
            rig.rest();
            let update = rig.update();
            let handled = rig
                .told(Duration::from_secs(10))
                .expect("told of the update");
            before[at].push((handled - update.before_last_step) as f64 / 1e6);
            after[at].push((handled - update.after_last_step) as f64 / 1e6);
        }
    }
    show(
        "just before the last step, which removes the previous directory",
        &contestants,
        &before,
    );
    // The floor has signalled before the removal has returned: there is no ratio to that.
    show("just after it", &contestants, &after);
    rig::be_undisturbed(false);
}

fn show(since: &str, contestants: &[&Contestant], values: &[Vec<f64>]) {
    println!("\nmilliseconds to the handler, since {since}\n");
    println!("| | updates | p10 | p50 | p99 | p99.9 | to the floor's p50 (quartiles) |");
    println!("|---|---|---|---|---|---|---|");
    for (contestant, of_it) in contestants.iter().zip(values) {
        let sample = Sample::of(of_it.clone());
        let [p10, p50, p99, p999] = [0.1, 0.5, 0.99, 0.999].map(|share| sample.at(share));
        let ratio = ratio(of_it, &values[0]);
        let compared = format!(
            "{:.2} ({:.2} to {:.2})",
            ratio.median(),
            ratio.at(0.25),
            ratio.at(0.75)
        );
        let compared = if Sample::of(values[0].clone()).median() > 0.0 {
            &compared
        } else {
            ""
        };
        println!(
            "| {} | {} | {p10:.3} | {p50:.3} | {p99:.3} | {p999:.3} | {compared} |",
            contestant.name,
            sample.count(),
        );
    }
}
