//! Changes made before the sidecar started are caught up (P8).

use crate::support::process::{Settings, Talker, Target};
use crate::support::volume::{Order, Volume, let_age};
use std::fs::{self, File, FileTimes};
use std::time::SystemTime;

/// A target, then a change when it is at least two ticks old, then a sidecar: with what it is `set` to.
fn started_after_a_change(set: &[(&str, &str)]) -> (tempfile::TempDir, Target, Talker) {
    let directory = tempfile::tempdir().unwrap();
    let volume = Volume::new(
        directory.path().join("volume"),
        Order::SwapFirst,
        &[("app.conf", "old")],
    );
    let target = Target::start(&volume.path.join("app.conf"));
    volume.update(&[("app.conf", "new")]);
    let settings = Settings::new(&volume.path, &target.name);
    let settings = settings.set("RELOAD_CATCH_UP", "true");
    let settings = set.iter().fold(settings, |settings, (name, value)| {
        settings.set(name, value)
    });
    (directory, target, settings.start())
}

#[test]
fn p8_a_process_from_before_the_newest_change_is_signalled_once_at_start() {
    let (_directory, mut target, mut sidecar) = started_after_a_change(&[]);
    assert_eq!(target.signalled().1, "new");
    sidecar.wait_until_idle();
    let (_, log) = sidecar.end();
    let log = log.join("\n");
    assert_eq!(log.matches("signal sent").count(), 1, "{log}");
    assert!(
        log.contains("signalled at startup: the process started before"),
        "{log}"
    );
}

#[test]
fn p8_a_process_from_after_the_newest_change_is_left_alone() {
    let (directory, mut first, mut sidecar) = started_after_a_change(&[]);
    assert_eq!(first.signalled().1, "new");
    sidecar.expect("signalled at startup");
    sidecar.end();
    drop(first);
    let path = directory.path().join("volume");
    let_age(&path);
    let mut target = Target::start(&path.join("app.conf"));
    let mut sidecar = Settings::new(&path, &target.name)
        .set("RELOAD_CATCH_UP", "true")
        .start();
    sidecar.wait_until_idle();
    let (_, log) = sidecar.end();
    let log = log.join("\n");
    assert!(
        !log.contains("signal sent") && !log.contains("pending"),
        "{log}"
    );
    assert_eq!(target.count(), 0);
}

#[test]
fn p8_without_a_process_at_startup_nothing_is_caught_up() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("app.conf"), "new").unwrap();
    let mut sidecar = Settings::new(directory.path(), "nobody")
        .set("RELOAD_CATCH_UP", "true")
        .start();
    sidecar.wait_until_idle();
    let (_, log) = sidecar.end();
    assert!(!log.iter().any(|line| line.contains("pending")), "{log:?}");
}

#[test]
fn p8_a_change_made_while_no_sidecar_ran_is_caught_up() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("app.conf");
    fs::write(&file, "one").unwrap();
    let mut target = Target::start(&file);
    for content in ["two", "three"] {
        fs::write(&file, content).unwrap();
        // An old time of modification, as copying with times leaves it, hides nothing.
        let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
        File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_times(times)
            .unwrap();
        let sidecar = Settings::new(directory.path(), &target.name)
            .set("RELOAD_CATCH_UP", "true")
            .start();
        assert_eq!(target.signalled().1, content);
        sidecar.end();
    }
    assert_eq!(target.count(), 2);
}

#[test]
fn p8_catching_up_waits_for_a_process_that_is_not_ready() {
    let (_directory, mut target, mut sidecar) =
        started_after_a_change(&[("PROCESS_MIN_AGE", "1s")]);
    sidecar.expect("younger than PROCESS_MIN_AGE");
    assert_eq!(target.signalled().1, "new");
    assert!(target.age_ms() >= 1000);
}

#[test]
fn p8_catching_up_can_be_turned_off() {
    let (_directory, mut target, mut sidecar) =
        started_after_a_change(&[("RELOAD_CATCH_UP", "false")]);
    sidecar.wait_until_idle();
    sidecar.end();
    assert_eq!(target.count(), 0);
}
