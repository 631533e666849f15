//! Updates while an application starts.

use crate::app::{App, Application, settings, sidecar, volume};
use crate::pod::Pod;
use crate::support::process::Settings;
use crate::support::volume::Order;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Starts the application `ROUNDS` times (50 by default) and updates its configuration at a random moment of its first second.
/// Asserts that it always survives and ends up with the new configuration.
#[track_caller]
pub fn survives_updates_while_it_starts<A: Application>(new: impl Fn() -> A + Sync) {
    let rounds = std::env::var("ROUNDS").map_or(50, |rounds| rounds.parse().unwrap());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..A::STARTS_AT_ONCE.min(rounds) {
            scope.spawn(|| {
                loop {
                    let round = next.fetch_add(1, Ordering::Relaxed);
                    if round >= rounds {
                        return;
                    }
                    survives_an_update_while_it_starts(new(), round);
                }
            });
        }
    });
    println!(
        "{}: {rounds} rounds of start-up, {rounds} survived",
        A::NAME
    );
}

fn survives_an_update_while_it_starts<A: Application>(application: A, round: usize) {
    let fraction = RandomState::new().hash_one(round) as f64 / u64::MAX as f64;
    // Squared, so that a third of the rounds fall into the first tenth of the second, when the application is least prepared.
    let moment = Duration::from_secs_f64(fraction * fraction);
    let pod = Pod::new();
    let volume = volume(&application, &pod, Order::SwapFirst);
    let start = |app: App<A>| {
        let sidecar = app.sidecar(app.settings());
        (app, sidecar)
    };
    let update = |app: &App<A>| {
        thread::sleep(moment);
        app.replace("two");
    };
    let (mut app, mut sidecar) = match round % 3 {
        // The sidecar starts first, as a native sidecar does.
        0 => {
            let sidecar = sidecar(&pod, settings(&application, &volume));
            let app = App::launch(application, pod, volume);
            update(&app);
            (app, sidecar)
        }
        1 => {
            let (app, sidecar) = start(App::launch(application, pod, volume));
            update(&app);
            (app, sidecar)
        }
        // The sidecar starts after the update.
        _ => {
            let app = App::launch(application, pod, volume);
            update(&app);
            start(app)
        }
    };
    let signalled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        sidecar.expect("signal sent");
    }));
    assert!(signalled.is_ok(), "update at {moment:?}: {}", app.log());
    if A::READS_AGAIN {
        sidecar.expect("reload confirmed");
        app.answers("two");
    } else {
        app.answers_anything();
    }
    app.is_running();
    let (_, log) = sidecar.end();
    let sent = log.iter().filter(|line| line.contains("signal sent"));
    assert_eq!(sent.count(), 1, "update at {moment:?}: {log:#?}");
    let errors = log.iter().filter(|line| line.contains(" error "));
    assert_eq!(errors.count(), 0, "update at {moment:?}: {log:#?}");
}

/// Asserts that an application that is updated before it installs a handler is signalled only once it has one.
#[track_caller]
pub fn is_protected_while_it_starts<A: Application>(application: A) {
    let (mut app, hold) = App::start_held(application);
    let mut sidecar = app.sidecar(app.settings().set("RELOAD_CATCH_UP", "false"));
    app.replace("two");
    sidecar.expect("has no handler");
    app.is_running();
    drop(hold);
    sidecar.expect("signal sent");
    app.answers_anything();
    if A::READS_AGAIN {
        app.answers("two");
    }
    app.expect_reloads(1, sidecar);
}

/// Asserts that with these settings, an update before it installs a handler kills the application, and the sidecar reports that.
#[track_caller]
pub fn is_killed_while_it_starts<A: Application>(
    application: A,
    settings: impl FnOnce(Settings) -> Settings,
) {
    let (mut app, hold) = App::start_held(application);
    let mut sidecar = app.sidecar(settings(app.settings().set("RELOAD_CATCH_UP", "false")));
    app.replace("two");
    sidecar.expect("the process ended after the signal");
    let status = app.main.wait().unwrap();
    println!("{}: signalled while it started: {status}", A::NAME);
    drop(hold);
}
