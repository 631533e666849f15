//! The timing of scans and signals: bursts, slow writers, storms, and changes put back in time (W10).

use crate::support::process::{Settings, Talker, Target, eventually};
use crate::support::scene::{Ending, Scene, whole};
use rustix::process::Signal;
use std::fs::{self, File, Permissions};
use std::io::{Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn w10_many_files_written_in_one_go_are_one_signal() {
    let scene = Scene::with(whole, |settings| {
        settings
            .set("RELOAD_SETTLE", "1s")
            .set("RELOAD_SETTLE_MAX", "1h")
            .set("VERBOSE", "false")
    });
    for directory in 0..100 {
        let path = scene.path(format!("{directory}"));
        fs::create_dir(&path).unwrap();
        for file in 0..10 {
            fs::write(path.join(format!("{file}")), "content").unwrap();
        }
    }
    fs::write(scene.path("app.conf"), "end").unwrap();
    fs::remove_dir_all(scene.path("50")).unwrap();
    assert_eq!(scene.finish().signals("end"), 1);
}

#[test]
fn a_slow_writer_of_a_root_file_delays_the_signal() {
    let mut scene = Scene::with(
        |directory| directory.join("app.conf"),
        |settings| {
            settings
                .set("RELOAD_SETTLE", "0")
                .set("RELOAD_SETTLE_MAX", "1h")
        },
    );
    let mut file = overwrite(&scene.path("app.conf"));
    for piece in ["one", " two"] {
        file.write_all(piece.as_bytes()).unwrap();
        scene.sidecar.expect("events=MODIFY");
    }
    scene.changes("closed", "one two", |_| drop(file));
    assert_eq!(scene.finish().signals("one two"), 1);
}

#[test]
fn a_slow_writer_delays_the_signal_whatever_else_is_finished() {
    let mut scene = Scene::with(whole, |settings| {
        settings
            .set("RELOAD_SETTLE", "0")
            .set("RELOAD_SETTLE_MAX", "1h")
    });
    let mut file = overwrite(&scene.path("app.conf"));
    file.write_all(b"half").unwrap();
    scene.sidecar.expect("events=MODIFY");
    fs::write(scene.path("another"), "whole").unwrap();
    scene.sidecar.expect("name=another events=CLOSE_WRITE");
    file.write_all(b" and half").unwrap();
    scene.changes("closed", "half and half", |_| drop(file));
    assert_eq!(scene.finish().signals("half and half"), 1);
}

/// Opens it for writing from its beginning, without emptying it.
fn overwrite(path: &Path) -> File {
    File::options().write(true).open(path).unwrap()
}

// Storms.

/// Writes to `app.conf` without a pause until so many signals have come, and once more.
fn storm(signals: usize, adapt: impl FnOnce(Settings) -> Settings) -> Ending {
    let mut scene = Scene::with(whole, |settings| adapt(settings.set("VERBOSE", "false")));
    let path = scene.path("app.conf");
    let mut round = 0_u64..;
    eventually("signalled so often", || {
        for round in round.by_ref().take(100) {
            fs::write(&path, format!("round {round}")).unwrap();
        }
        scene.target.count() >= signals
    });
    fs::write(path, "end").unwrap();
    scene.finish()
}

#[test]
fn w10_in_an_endless_storm_a_signal_comes_every_settle_maximum() {
    const SETTLE_MAX: Duration = Duration::from_millis(200);
    let mut ending = storm(5, |settings| {
        // It is hardly ever quiet for so long: signals come because of the settle maximum.
        settings
            .set("RELOAD_SETTLE", "200ms")
            .set("RELOAD_SETTLE_MAX", "200ms")
    });
    // The shortest of several: the machine may be busy with other tests.
    let pause = ending.shortest_pause("signal sent");
    assert!(pause < 2 * SETTLE_MAX, "{pause:?}");
    assert!(ending.signals("end") > 5);
}

#[test]
fn w10_in_an_endless_storm_signals_keep_the_minimum_interval() {
    const INTERVAL: Duration = Duration::from_millis(300);
    let mut ending = storm(5, |settings| {
        settings
            .set("RELOAD_SETTLE", "0")
            .set("RELOAD_SETTLE_MAX", "50ms")
            .set("RELOAD_MIN_INTERVAL", "300ms")
    });
    // The time of a line is taken after the one signal and before the least interval is counted from it, and is cut to
    // milliseconds.
    let pause = ending.shortest_pause("signal sent");
    assert!(pause + Duration::from_millis(2) >= INTERVAL, "{pause:?}");
    assert!(pause < 2 * INTERVAL, "{pause:?}");
    assert!(ending.signals("end") > 5);
}

#[test]
fn w3_a_storm_without_a_change_sends_no_signal_and_is_scanned_rarely() {
    const SETTLE: Duration = Duration::from_millis(20);
    let scene = Scene::with(whole, |settings| settings.set("RELOAD_SETTLE_MAX", "100ms"));
    let started = Instant::now();
    for round in 0.. {
        let mode = Permissions::from_mode(0o600 + round % 8);
        fs::set_permissions(scene.path("app.conf"), mode).unwrap();
        thread::sleep(Duration::from_millis(1));
        if started.elapsed() > Duration::from_secs(1) {
            break;
        }
    }
    let ending = scene.finish();
    let looks = ending.count("the content is the same");
    // After each quiet time at the most.
    let most = started.elapsed().as_millis() / SETTLE.as_millis();
    assert!(
        (1..=most).contains(&(looks as u128)),
        "{looks} of at most {most} looks"
    );
    assert_eq!(ending.count("signal sent"), 0);
}

// There and back.

/// Asserts, once the sidecar is idle, that its log has `told` alone as signalled.
#[track_caller]
fn expect_only(told: &Target, mut sidecar: Talker) {
    sidecar.wait_until_idle();
    let (_, log) = sidecar.end();
    let sent: Vec<_> = log
        .iter()
        .filter(|line| line.contains("signal sent"))
        .collect();
    let pid = format!(" pid={} ", told.talker.pid().as_raw_nonzero());
    assert!(sent.len() == 1 && sent[0].contains(&pid), "{log:#?}");
}

#[test]
fn w10_a_change_put_back_concerns_only_processes_started_meanwhile() {
    // A file being written is not scanned before it is closed, however long it takes to start a process.
    let mut scene = Scene::with(whole, |settings| {
        settings
            .set("RELOAD_SETTLE", "0")
            .set("RELOAD_SETTLE_MAX", "1h")
    });
    let path = scene.path("app.conf");
    let mut file = overwrite(&path);
    file.write_all(b"other").unwrap();
    scene.sidecar.expect("events=MODIFY");
    let mut meanwhile = Target::start_as(&scene.target.name, &path, &[]);
    file.rewind().unwrap();
    file.write_all(b"start").unwrap();
    scene.sidecar.expect("events=MODIFY");
    drop(file);
    assert_eq!(meanwhile.signalled().1, "start");
    scene.sidecar.expect("signal sent");
    // Once signalled, it is like the others.
    scene.changes_nothing("there and back again", |_| {
        let mut file = overwrite(&path);
        file.write_all(b"other").unwrap();
        file.rewind().unwrap();
        file.write_all(b"start").unwrap();
    });
    expect_only(&meanwhile, scene.sidecar);
}

#[test]
fn w10_a_cancelled_reload_concerns_only_processes_started_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.conf");
    fs::write(&path, "start").unwrap();
    let unready = Target::start_as(&crate::support::unique_name(), &path, &["--late", "1"]);
    let mut sidecar = Settings::new(directory.path(), &unready.name)
        .set("RELOAD_MIN_INTERVAL", "0")
        .start();
    fs::write(&path, "other").unwrap();
    sidecar.expect("reload pending");
    let mut meanwhile = Target::start_as(&unready.name, &path, &[]);
    fs::write(&path, "start").unwrap();
    sidecar.expect("the content is again what it was; the pending reload is cancelled");
    assert_eq!(meanwhile.signalled().1, "start");
    unready.talker.signal(Signal::USR2);
    expect_only(&meanwhile, sidecar);
}

#[test]
fn w10_content_that_was_read_late_and_is_put_back_is_told_again() {
    let mut scene = Scene::with(whole, |settings| settings.set("RELOAD_MIN_INTERVAL", "2s"));
    let path = scene.path("app.conf");
    // It handles the signal only after the next change.
    scene.target.talker.signal(Signal::STOP);
    fs::write(&path, "first").unwrap();
    scene.sidecar.expect("signal sent");
    fs::write(&path, "second").unwrap();
    scene.sidecar.expect("content changed update=2");
    scene.target.talker.signal(Signal::CONT);
    for signal in ["SIGCONT", "SIGHUP"] {
        let expected = (signal.to_owned(), "second".to_owned());
        assert_eq!(scene.target.signalled(), expected);
    }
    fs::write(&path, "first").unwrap();
    assert_eq!(scene.target.signalled().1, "first");
    assert_eq!(scene.finish().signals("first"), 2);
}

// Directories made and filled while nothing is watched there.

#[test]
fn w7_a_directory_that_is_being_filled_when_it_is_first_watched_is_one_signal() {
    let mut scene = Scene::with(whole, |settings| {
        settings
            .set("RELOAD_SETTLE", "300ms")
            .set("RELOAD_SETTLE_MAX", "1h")
    });
    // Written to all the time, so that only the quiet time after the last file can end it.
    fs::create_dir(scene.path("filled")).unwrap();
    for file in 0..30 {
        fs::write(scene.path(format!("filled/{file}")), "content").unwrap();
        thread::sleep(Duration::from_millis(20));
    }
    fs::create_dir_all(scene.path("a/b/c")).unwrap();
    let mut file = File::create(scene.path("a/b/c/file")).unwrap();
    for _ in 0..30 {
        file.write_all(b"piece").unwrap();
        thread::sleep(Duration::from_millis(20));
    }
    drop(file);
    scene.target.signalled();
    assert_eq!(scene.finish().signals("start"), 1);
}
