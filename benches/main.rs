//! `make bench`: the release program that `SIDECAR` names beside what a user would pick instead and beside the least that can do
//! the job, in one run on one machine. Nothing here fails for being slow: what is compared is measured in the same run, turn and
//! turn about, and figures are medians with their quartiles.
//!
//! `ONLY=latency` measures that alone; with `QUICK=1` there are fewer rounds, to try it.

#[path = "../tests/support/mod.rs"]
mod support;

mod contestants;
mod measure;
mod rig;
mod sample;

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
    if is_wanted("latency") {
        measure::latency::against_the_floor(rounds(1000, 100));
    }
}
