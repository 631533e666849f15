//! Generated histories: random interleavings of everything that happens to configuration, by several writers at once, against
//! the release program. `make histories` runs some thousands, `make soak` as many as fit into some hours.
//!
//! `judge` checks each history against what the sidecar promises. A history that breaks a promise is shrunk and printed as a
//! script that replays it.
//!
//! Environment variables, all numbers:
//! `HISTORIES` (how many to run) or `HOURS` (for how long);
//! `SEED` (of the first history; each further one adds 1);
//! `JOBS` (how many to run at once; most of a history is waiting);
//! `SHRINKING` (for how many seconds, at most, to shrink a failure).

#[path = "../support/mod.rs"]
mod support;

mod action;
mod history;
mod idle;
mod judge;
mod messages;
mod plan;
mod run;
mod script;
mod search;
mod target;
mod trace;

use search::{Plan, search};
use std::time::Duration;

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value}: not a number")),
    )
}

#[test]
fn every_history_keeps_every_promise() {
    let hours: Option<f64> = setting("HOURS");
    let plan = Plan {
        seed: setting("SEED").unwrap_or_else(random_seed),
        histories: if hours.is_some() {
            u64::MAX
        } else {
            setting("HISTORIES").unwrap_or(2000)
        },
        time: hours.map(|hours| Duration::from_secs_f64(hours * 3600.0)),
        jobs: setting("JOBS").unwrap_or(24),
        shrinking: Duration::from_secs(setting("SHRINKING").unwrap_or(180)),
    };
    if let Err(report) = search(&plan) {
        panic!("{report}");
    }
}

fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // Six digits are easy to type.
    RandomState::new().hash_one(0) % 1_000_000
}
