//! After the signal: the files are read again or are not, the process lives or does not (A1, A2).

use crate::support::process::{Settings, Talker, Target, eventually};
use crate::support::volume::{Order, Volume};
use rustix::process::Signal;
use std::fs;

/// An emulator has no sandbox, which is said.
fn is_warning(line: &str) -> bool {
    line.contains(" warn ") && !line.contains("sandboxed in part")
}

struct Scene {
    directory: tempfile::TempDir,
    target: Target,
    sidecar: Talker,
}

/// A root with two files, a target that reads `reads` when it is signalled, and a sidecar that is `set` to something.
fn scene(reads: &str, options: &[&str], set: &[(&str, &str)]) -> Scene {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    fs::create_dir(&root).unwrap();
    for file in ["elsewhere", "root/app.conf", "root/other"] {
        fs::write(directory.path().join(file), "start").unwrap();
    }
    let name = crate::support::unique_name();
    let target = Target::start_as(&name, &directory.path().join(reads), options);
    let settings = Settings::new(&root, &name).set("RELOAD_CONFIRM", "warn");
    let settings = set.iter().fold(settings, |settings, (name, value)| {
        settings.set(name, value)
    });
    Scene {
        directory,
        target,
        sidecar: settings.start(),
    }
}

/// One event, so that no look of the sidecar's follows on the one before the signal.
fn update(scene: &Scene, content: &str) {
    let path = |name: &str| scene.directory.path().join(name);
    fs::write(path("new"), content).unwrap();
    fs::rename(path("new"), path("root/app.conf")).unwrap();
}

#[test]
fn a1_a_file_that_is_opened_after_the_signal_confirms_the_reload() {
    let mut scene = scene("root/app.conf", &[], &[]);
    for content in ["one", "two"] {
        update(&scene, content);
        assert_eq!(scene.target.signalled().1, content);
        let line = scene.sidecar.expect("reload confirmed");
        assert!(line.contains("files=1 after_ms="), "{line}");
    }
    scene.sidecar.wait_until_idle();
    let (_, log) = scene.sidecar.end();
    let log = log.join("\n");
    assert_eq!(log.matches("reload confirmed").count(), 2, "{log}");
    assert!(!log.lines().any(is_warning), "{log}");
}

#[test]
fn a1_a_directory_that_is_listed_confirms_nothing() {
    let mut scene = scene("root", &[], &[]);
    update(&scene, "one");
    scene
        .sidecar
        .expect("none of the watched files has been opened since");
}

#[test]
fn a1_a_directory_without_files_needs_no_confirmation() {
    let directory = tempfile::tempdir().unwrap();
    let mut target = Target::start(directory.path());
    let mut sidecar = Settings::new(directory.path(), &target.name)
        .set("RELOAD_CONFIRM", "warn")
        .start();
    fs::create_dir(directory.path().join("conf.d")).unwrap();
    assert_eq!(target.signalled().1, "conf.d");
    sidecar.wait_until_idle();
    let (_, log) = sidecar.end();
    assert!(!log.iter().any(|line| is_warning(line)), "{log:?}");
}

#[test]
fn a1_keys_opened_through_a_volumes_links_confirm_the_reload() {
    let directory = tempfile::tempdir().unwrap();
    let volume = Volume::new(directory.path(), Order::SwapFirst, &[("app.conf", "start")]);
    let mut target = Target::start(&volume.path.join("app.conf"));
    let mut sidecar = Settings::new(&volume.path, &target.name)
        .set("RELOAD_CONFIRM", "warn")
        .start();
    volume.update(&[("app.conf", "new"), ("added", "1")]);
    assert_eq!(target.signalled().1, "new");
    let line = sidecar.expect("reload confirmed");
    assert!(line.contains("files=1 after_ms="), "{line}");
}

#[test]
fn a1_an_update_that_was_read_long_before_its_last_step_is_confirmed() {
    let directory = tempfile::tempdir().unwrap();
    let volume = Volume::new(directory.path(), Order::SwapFirst, &[("app.conf", "start")]);
    let mut target = Target::start(&volume.path.join("app.conf"));
    let mut sidecar = Settings::new(&volume.path, &target.name)
        .set("RELOAD_CONFIRM", "warn")
        .set("RELOAD_SETTLE", "10s")
        .set("RELOAD_SETTLE_MAX", "10s")
        .set("VERBOSE", "true")
        .start();
    sidecar.wait_until_idle();
    volume.update_with(&[("app.conf", "new")], |_| {
        sidecar.expect("reading everything");
        eventually("asleep until the update is complete", || {
            sidecar
                .sleeps_in(libc::SYS_ppoll)
                .is_some_and(|arguments| arguments[2] != 0)
        });
    });
    assert_eq!(target.signalled().1, "new");
    sidecar.expect("reload confirmed files=1 ");
}

#[test]
fn a1_a_process_that_opens_nothing_is_reported() {
    let mut scene = scene("elsewhere", &[], &[]);
    update(&scene, "one");
    let line = scene
        .sidecar
        .expect("none of the watched files has been opened since");
    assert!(
        line.contains(" warn ") && line.ends_with("signal=SIGHUP"),
        "{line}"
    );
    scene.sidecar.wait_until_idle();
    let (_, log) = scene.sidecar.end();
    let log = log.join("\n");
    assert_eq!(log.matches("none of the watched files").count(), 1, "{log}");
    assert_eq!(log.matches("signal sent").count(), 1, "{log}");
    assert!(!log.contains("confirmed"), "{log}");
}

#[test]
fn a1_retry_signals_again_until_the_files_are_read() {
    // Its first signal does nothing.
    let mut scene = scene(
        "root/app.conf",
        &["--drop", "1"],
        &[("RELOAD_CONFIRM", "retry")],
    );
    update(&scene, "one");
    scene.sidecar.expect("has been opened since; does the application read them again on this signal? Sending it again");
    scene.sidecar.expect("signal sent");
    assert_eq!(scene.target.signalled().1, "one");
    scene.sidecar.expect("reload confirmed");
    scene.sidecar.wait_until_idle();
    let (_, log) = scene.sidecar.end();
    let log = log.join("\n");
    assert_eq!(log.matches("signal sent").count(), 2, "{log}");
}

#[test]
fn a1_retry_gives_up_after_three_more_signals() {
    let mut scene = scene("elsewhere", &[], &[("RELOAD_CONFIRM", "retry")]);
    update(&scene, "one");
    for _ in 0..3 {
        scene.sidecar.expect("Sending it again");
    }
    let last = scene.sidecar.expect("none of the watched files");
    assert!(!last.contains("Sending"), "{last}");
    scene.sidecar.wait_until_idle();
    let (_, log) = scene.sidecar.end();
    assert_eq!(
        log.iter()
            .filter(|line| line.contains("signal sent"))
            .count(),
        4
    );
}

#[test]
fn a1_a_file_opened_before_the_signal_confirms_nothing() {
    let mut scene = scene("elsewhere", &[], &[("RELOAD_MIN_INTERVAL", "2s")]);
    update(&scene, "one");
    scene.sidecar.expect("signal sent");
    update(&scene, "two");
    scene.sidecar.expect("content changed");
    // Armed by the look, and the signal for it is still to come.
    fs::read(scene.directory.path().join("root/app.conf")).unwrap();
    scene.sidecar.expect("signal sent");
    scene.sidecar.expect("none of the watched files");
}

#[test]
fn a2_a_process_that_ends_after_the_signal_is_an_error() {
    let mut scene = scene("root/app.conf", &["--die", "1"], &[]);
    let pid = scene.target.talker.pid().as_raw_nonzero();
    update(&scene, "broken");
    let line = scene
        .sidecar
        .expect("the process ended after the signal; is the new configuration valid?");
    assert!(
        line.contains(" error ")
            && line.contains(&format!(
                "signal=SIGHUP pid={pid} process={} after_ms=",
                scene.target.name
            )),
        "{line}"
    );
}

#[test]
fn a2_a_process_that_ends_as_the_sidecar_does_is_no_error() {
    // A Pod is deleted a moment after a reload.
    let mut scene = scene("root/app.conf", &["--die", "1"], &[]);
    update(&scene, "new");
    scene.sidecar.expect("signal sent");
    let process = format!("/proc/{}/stat", scene.target.talker.pid());
    let has_ended = || fs::read_to_string(&process).unwrap().contains(") Z ");
    eventually("ended", has_ended);
    // The end of the process wakes the sidecar up, unless it is awake.
    eventually("asleep", || {
        scene.sidecar.sleeps_in(libc::SYS_ppoll).is_some()
    });
    let (status, log) = scene.sidecar.end();
    assert_eq!(status.code(), Some(0));
    assert!(
        !log.iter().any(|line| line.contains("ended after")),
        "{log:?}"
    );
}

#[test]
fn a2_a_process_that_is_meant_to_end_is_no_error() {
    let mut scene = scene("root/app.conf", &[], &[("RELOAD_SIGNAL", "TERM")]);
    update(&scene, "new");
    scene.sidecar.expect("signal sent");
    scene.sidecar.wait_until_idle();
    let (_, log) = scene.sidecar.end();
    assert!(!log.iter().any(|line| line.contains(" error ")), "{log:?}");
}

#[test]
fn a1_confirmation_can_be_turned_off() {
    let mut scene = scene("elsewhere", &[], &[("RELOAD_CONFIRM", "off")]);
    update(&scene, "one");
    scene.target.signalled();
    scene.sidecar.wait_until_idle();
    scene.sidecar.signal(Signal::TERM);
    let (_, log) = scene.sidecar.finish();
    assert!(!log.iter().any(|line| is_warning(line)), "{log:?}");
}

#[test]
fn l4_a_confirmed_reload_leaves_no_descriptor_behind() {
    let mut scene = scene(
        "root/app.conf",
        &[],
        &[("RELOAD_MIN_INTERVAL", "0"), ("VERBOSE", "false")],
    );
    let watches = |sidecar: &Talker| {
        let directory = format!("/proc/{}/fdinfo", sidecar.pid().as_raw_nonzero());
        let files = fs::read_dir(directory).unwrap();
        let infos = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
        let infos: Vec<String> = infos.collect();
        (infos.len(), infos.join("").matches("inotify wd:").count())
    };
    let measure = |scene: &mut Scene, content: &str| {
        update(scene, content);
        while scene.target.signalled().1 != content {}
        scene.sidecar.wait_until_idle();
        watches(&scene.sidecar)
    };
    let first = measure(&mut scene, "first");
    for number in 0..200 {
        update(&scene, &number.to_string());
        while scene.target.signalled().1 != number.to_string() {}
    }
    assert_eq!(measure(&mut scene, "last"), first);
}

#[test]
fn a1_one_process_confirms_the_reload_though_another_ends() {
    let mut scene = scene("root/app.conf", &[], &[]);
    let _other = Target::start_as(
        &scene.target.name,
        &scene.directory.path().join("root/app.conf"),
        &["--die", "1"],
    );
    update(&scene, "one");
    assert_eq!(scene.target.signalled().1, "one");
    scene.sidecar.expect("reload confirmed");
    scene.sidecar.expect("the process ended after the signal");
}

#[test]
fn a1_every_one_of_many_updates_is_confirmed() {
    let directory = tempfile::tempdir().unwrap();
    let volume = Volume::new(directory.path(), Order::SwapFirst, &[("app.conf", "start")]);
    let mut target = Target::start(&volume.path.join("app.conf"));
    let mut sidecar = Settings::new(&volume.path, &target.name)
        .set("RELOAD_CONFIRM", "warn")
        .set("RELOAD_MIN_INTERVAL", "0")
        .start();
    // More files than are watched for being opened, and never a moment of rest.
    for update in 0..100 {
        let content = update.to_string();
        volume.update(&[("app.conf", &content)]);
        while target.signalled().1 != content {}
    }
    volume.update(&[("app.conf", "last")]);
    while target.signalled().1 != "last" {}
    sidecar.wait_until_idle();
    let (_, log) = sidecar.end();
    let outcome = log.iter().rev().find(|line| {
        line.contains("reload confirmed") || line.contains("none of the watched files")
    });
    assert!(
        outcome.is_some_and(|line| line.contains("reload confirmed")),
        "{outcome:?}"
    );
}
