//! Generated histories: random interleavings of everything that is done to configuration, by several writers at once, against
//! the program as it ships. `make histories` runs some thousands, `make soak` as many as fit into some hours.
//!
//! In the end the target runs what is there, no signal came without a change, none came too soon, nothing has grown, and the
//! log tells the same: see `judge`. A history that breaks a promise is made smaller and printed as a script.
//!
//! Numbers in the environment: `HISTORIES` or `HOURS`, how many; `SEED` of the first, the next one has the next; `JOBS`, how many
//! at once, because most of a history is waiting; `SHRINKING`, for how many seconds at most a failure is made smaller.

#[path = "../support/mod.rs"]
mod support;

mod history;
mod judge;
mod plan;
mod run;
mod script;
mod search;

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
fn every_promise_is_kept_in_every_history() {
    let hours: Option<f64> = setting("HOURS");
    let plan = Plan {
        seed: setting("SEED").unwrap_or_else(random_seed),
        histories: if hours.is_some() {
            u64::MAX
        } else {
            setting("HISTORIES").unwrap_or(2000)
        },
        time: hours.map(|hours| Duration::from_secs_f64(hours * 3600.0)),
        at_once: setting("JOBS").unwrap_or(24),
        shrinking: Duration::from_secs(setting("SHRINKING").unwrap_or(180)),
    };
    if let Err(report) = search(&plan) {
        panic!("{report}");
    }
}

fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // Of six digits, to be typed again.
    RandomState::new().hash_one(0) % 1_000_000
}
