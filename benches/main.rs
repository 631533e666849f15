//! `make bench`: the release program that `SIDECAR` names beside what a user would pick instead and beside the least that can do
//! the job, in one run on one machine. Nothing here fails for being slow: what is compared is measured in the same run, turn and
//! turn about, and figures are medians with their quartiles.
//!
//! `ONLY=latency,updates` measures these alone; with `QUICK=1` there are fewer rounds, to try it.

#[path = "../tests/support/mod.rs"]
mod support;

mod contestants;
mod measure;
mod report;
mod rig;
mod sample;

use contestants::{ALTERNATIVES, Contestant};
use measure::updates;
use report::Report;

fn main() {
    let rounds = |many: usize, few: usize| {
        if std::env::var_os("QUICK").is_some() {
            few
        } else {
            many
        }
    };
    let only = std::env::var("ONLY").unwrap_or_default();
    let is_wanted = |measure: &str| only.is_empty() || only.split(',').any(|one| one == measure);
    let mut report = Report::new();

    let mut others: Vec<&Contestant> = Vec::new();
    for contestant in &ALTERNATIVES {
        match contestant.missing() {
            None => others.push(contestant),
            Some(program) => println!("MISSING: {}: there is no {program}", contestant.name),
        }
    }
    if only == "latency" {
        updates::against_the_floor(&mut report, rounds(1000, 100));
    }
    if is_wanted("updates") {
        updates::of_all(&mut report, &others, rounds(1000, 100));
    }
    if is_wanted("busy") {
        updates::on_a_busy_machine(&mut report, rounds(200, 40));
    }
}
