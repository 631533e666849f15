//! Volumes written by the kubelet's AtomicWriter: exactly one signal per update, after its last step (W2).

use crate::support::process::{Settings, Talker, Target, eventually};
use crate::support::unique_name;
use crate::support::volume::{Order, Volume};
use inotify::{EventMask, Inotify, WatchMask};
use rustix::process::Signal;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::thread;

const ORDERS: [Order; 2] = [Order::LinksFirst, Order::SwapFirst];

/// A volume with `app.conf`, a target that reads it, and a sidecar without a minimum interval.
fn scene(
    order: Order,
    adapt: impl FnOnce(Settings) -> Settings,
) -> (tempfile::TempDir, Volume, Target, Talker) {
    let directory = tempfile::tempdir().unwrap();
    let volume = Volume::new(
        directory.path().join("volume"),
        order,
        &[("app.conf", "start")],
    );
    let target = Target::start(&volume.path.join("app.conf"));
    let settings = Settings::new(&volume.path, &target.name).set("RELOAD_MIN_INTERVAL", "0");
    let sidecar = adapt(settings).start();
    (directory, volume, target, sidecar)
}

/// With a settle time this long, a signal can only come from an update's last step.
fn at_the_last_step(settings: Settings) -> Settings {
    settings
        .set("RELOAD_SETTLE", "1h")
        .set("RELOAD_SETTLE_MAX", "1h")
}

#[test]
fn the_tests_writer_causes_the_same_events_as_the_kubelet() {
    for order in ORDERS {
        let directory = tempfile::tempdir().unwrap();
        let volume = Volume::new(directory.path(), order, &[("kept", "1"), ("stale", "1")]);
        let mut inotify = Inotify::init().unwrap();
        inotify
            .watches()
            .add(directory.path(), WatchMask::ALL_EVENTS)
            .unwrap();
        volume.update(&[("kept", "2"), ("new", "2")]);
        let mut buffer = [0; 4096];
        let events: Vec<String> = inotify
            .read_events(&mut buffer)
            .unwrap()
            .filter(|event| {
                !event
                    .mask
                    .intersects(EventMask::OPEN | EventMask::ACCESS | EventMask::CLOSE_NOWRITE)
            })
            .map(|event| {
                format!(
                    "{:?} {}",
                    event.mask,
                    event.name.unwrap_or_default().display()
                )
            })
            .map(|event| event.replace("EventMask(", "").replace(')', ""))
            .map(|event| match event.split_once(" ..2026") {
                Some((mask, _)) => format!("{mask} ..ts"),
                None => event,
            })
            .collect();
        let made = "CREATE new";
        let (early, late) = if order == Order::LinksFirst {
            (Some(made), None)
        } else {
            (None, Some(made))
        };
        let expected: Vec<&str> = ["CREATE | ISDIR ..ts", "ATTRIB | ISDIR ..ts"]
            .into_iter()
            .chain(early)
            .chain([
                "CREATE ..data_tmp",
                "MOVED_FROM ..data_tmp",
                "MOVED_TO ..data",
            ])
            .chain(late)
            .chain(["DELETE stale", "DELETE | ISDIR ..ts"])
            .collect();
        assert_eq!(events, expected, "{order:?}");
    }
}

#[test]
fn w2_a_thousand_updates_give_a_thousand_signals_each_with_the_newest_content() {
    for order in ORDERS {
        let (_directory, volume, mut target, mut sidecar) =
            scene(order, |settings| settings.set("VERBOSE", "false"));
        for update in 0..500 {
            let content = format!("update {update}");
            volume.update(&[("app.conf", &content)]);
            assert_eq!(target.signalled(), ("SIGHUP".to_owned(), content));
        }
        sidecar.signal(rustix::process::Signal::TERM);
        sidecar.expect("stopped by SIGTERM");
        assert_eq!(target.count(), 500, "{order:?}");
    }
}

#[test]
fn w2_keys_added_and_removed_in_the_same_update_are_there_and_gone_when_the_signal_comes() {
    for order in ORDERS {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("volume");
        let volume = Volume::new(
            &path,
            order,
            &[
                ("app.conf", "start"),
                ("stale", "x"),
                ("nested/a.conf", "1"),
            ],
        );
        let mut target = Target::start(&path);
        let _sidecar = Settings::new(&path, &target.name).start();
        volume.update(&[
            ("app.conf", "start"),
            ("added", "y"),
            ("nested/b.conf", "2"),
            ("other/c", "3"),
        ]);
        let data = fs::read_link(path.join("..data")).unwrap();
        let names = format!("{} ..data added app.conf nested other", data.display());
        assert_eq!(target.signalled().1, names, "{order:?}");
    }
}

#[test]
fn w2_the_signal_follows_the_last_step_at_once() {
    for order in ORDERS {
        let (_directory, volume, mut target, mut sidecar) = scene(order, at_the_last_step);
        for content in ["one", "two"] {
            volume.update(&[("app.conf", content)]);
            assert_eq!(target.signalled().1, content, "{order:?}");
            sidecar.wait_until_idle();
        }
    }
}

#[test]
fn w2_without_a_previous_directory_the_quiet_time_decides() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("volume");
    fs::create_dir(&path).unwrap();
    let mut target = Target::start(&path.join("app.conf"));
    let _sidecar = Settings::new(&path, &target.name).start();
    Volume::new(&path, Order::SwapFirst, &[("app.conf", "first")]);
    assert_eq!(target.signalled().1, "first");
}

#[test]
fn w2_without_a_last_step_the_quiet_time_decides_after_the_swap() {
    let (_directory, volume, mut target, _sidecar) = scene(Order::SwapFirst, |settings| settings);
    volume.update_with(&[("app.conf", "swapped")], |_| {
        assert_eq!(target.signalled().1, "swapped");
    });
}

/// Settings under which nothing is signalled before the steps of a test are done, however slow the machine is.
fn after_a_long_quiet_time(settings: Settings) -> Settings {
    settings
        .set("RELOAD_SETTLE", "500ms")
        .set("RELOAD_SETTLE_MAX", "1h")
}

#[test]
fn w2_a_mirror_that_removes_the_previous_directory_first_gives_one_signal_with_the_new_content() {
    let (_directory, volume, mut target, mut sidecar) =
        scene(Order::SwapFirst, after_a_long_quiet_time);
    for content in ["one", "two", "three"] {
        let previous = fs::read_link(volume.path.join("..data")).unwrap();
        fs::remove_dir_all(volume.path.join(&previous)).unwrap();
        let removed = format!("name={} events=DELETE,ISDIR", previous.display());
        sidecar.expect(&removed);
        eventually("asleep", || sidecar.sleeps_in(libc::SYS_ppoll).is_some());
        volume.update(&[("app.conf", content)]);
        assert_eq!(target.signalled().1, content);
        sidecar.wait_until_idle();
    }
    let (_, log) = sidecar.end();
    assert_eq!(log.join("\n").matches("signal sent").count(), 3, "{log:#?}");
}

#[test]
fn w4_a_first_write_into_an_empty_volume_is_one_signal_however_slow() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("volume");
    fs::create_dir(&path).unwrap();
    let mut target = Target::start(&path.join("app.conf"));
    let mut sidecar = Settings::new(&path, &target.name)
        .set("RELOAD_SETTLE", "10ms")
        .set("RELOAD_MIN_INTERVAL", "0")
        .start();
    let timestamped = path.join("..2026_11_23_12_00_00.1");
    fs::create_dir(&timestamped).unwrap();
    sidecar.expect("the content is the same");
    for name in ["app.conf", "beside"] {
        fs::write(timestamped.join(name), "first").unwrap();
        symlink(format!("..data/{name}"), path.join(format!("..{name}"))).unwrap();
        sidecar.expect("the content is the same");
    }
    symlink(&timestamped, path.join("..data_tmp")).unwrap();
    fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    sidecar.expect("the content is the same");
    symlink("..data/app.conf", path.join("app.conf")).unwrap();
    assert_eq!(target.signalled().1, "first");
    sidecar.wait_until_idle();
    assert_eq!(target.count(), 1);
}

#[test]
fn w2_an_update_that_the_kubelet_skips_writes_nothing() {
    let (_directory, volume, mut target, _sidecar) = scene(Order::SwapFirst, |settings| settings);
    volume.update(&[("app.conf", "start")]);
    volume.update(&[("app.conf", "real")]);
    assert_eq!(target.signalled().1, "real");
    assert_eq!(target.count(), 1);
}

#[test]
fn w2_a_new_directory_with_the_same_payload_is_no_signal() {
    let (_directory, volume, mut target, mut sidecar) =
        scene(Order::SwapFirst, |settings| settings);
    // A restarted kubelet may write the same keys and values under a new name.
    replay(&volume.path);
    sidecar.expect("the content is the same");
    volume.update(&[("app.conf", "real")]);
    assert_eq!(target.signalled().1, "real");
    assert_eq!(target.count(), 1);
}

fn replay(path: &Path) {
    let old = fs::read_link(path.join("..data")).unwrap();
    let new = "..2026_11_23_13_00_00.1";
    fs::create_dir(path.join(new)).unwrap();
    fs::write(path.join(new).join("app.conf"), "start").unwrap();
    std::os::unix::fs::symlink(new, path.join("..data_tmp")).unwrap();
    fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    fs::remove_dir_all(path.join(old)).unwrap();
}

#[test]
fn one_key_of_a_volume_can_be_the_root() {
    let directory = tempfile::tempdir().unwrap();
    let volume = Volume::new(
        directory.path(),
        Order::SwapFirst,
        &[("app.conf", "start"), ("other", "1")],
    );
    let file = volume.path.join("app.conf");
    let mut target = Target::start(&file);
    let mut sidecar = Settings::new(&file, &target.name)
        .set("RELOAD_MIN_INTERVAL", "0")
        .start();
    volume.update(&[("app.conf", "start"), ("other", "2")]);
    sidecar.expect("the content is the same");
    volume.update(&[("app.conf", "new"), ("other", "2")]);
    assert_eq!(target.signalled().1, "new");
    assert_eq!(target.count(), 1);
}

#[test]
fn two_volumes_updated_together_end_on_the_newest_content_of_both() {
    let directory = tempfile::tempdir().unwrap();
    let first = Volume::new(
        directory.path().join("a"),
        Order::SwapFirst,
        &[("app.conf", "0")],
    );
    let second = Volume::new(
        directory.path().join("b"),
        Order::SwapFirst,
        &[("key", "0")],
    );
    let mut target = Target::start(&first.path.join("app.conf"));
    let roots = format!("{},{}", first.path.display(), second.path.display());
    let mut sidecar = Settings::new(roots, &target.name)
        .set("RELOAD_MIN_INTERVAL", "300ms")
        .start();
    second.update(&[("key", "1")]);
    first.update(&[("app.conf", "1")]);
    let mut last = target.signalled().1;
    if last != "1" {
        last = target.signalled().1;
    }
    assert_eq!(last, "1");
    sidecar.signal(rustix::process::Signal::TERM);
    sidecar.expect("stopped");
    assert!(target.count() <= 2);
}

#[test]
fn w4_an_update_of_unreadable_keys_is_a_change() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let mut volume = Volume::new(
        directory.path().join("volume"),
        Order::SwapFirst,
        &[("key", "start")],
    );
    // A Secret with `defaultMode: 0400`, and a sidecar that does not own it.
    volume.mode = 0;
    volume.update(&[("key", "one")]);
    let mut sidecar = Settings::new(&volume.path, "nobody")
        .unprivileged()
        .launch();
    sidecar.expect("cannot read");
    sidecar.expect("watching");
    for content in ["two", "three"] {
        volume.update(&[("key", content)]);
        sidecar.expect("content changed");
    }
}

#[test]
fn w4_keys_that_become_readable_after_the_swap_are_read_in_the_end() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let mut volume = Volume::new(
        directory.path().join("volume"),
        Order::SwapFirst,
        &[("key", "start")],
    );
    let mut sidecar = Settings::new(&volume.path, "nobody").unprivileged().start();
    // kubernetes#114461: for a moment the new files do not yet belong to the `fsGroup`.
    volume.mode = 0;
    volume.update(&[("key", "update")]);
    sidecar.expect("content changed update=1 ");
    fs::set_permissions(volume.path.join("key"), Permissions::from_mode(0o644)).unwrap();
    sidecar.expect("content changed update=2 names=key");
}

#[test]
fn w2_re_owning_files_after_an_update_is_no_second_signal() {
    let (_directory, volume, mut target, mut sidecar) =
        scene(Order::SwapFirst, |settings| settings);
    for content in ["one", "two"] {
        volume.update(&[("app.conf", content)]);
        // The kubelet does this for `fsGroup`.
        let data = fs::canonicalize(volume.path.join("..data")).unwrap();
        for path in [&data, &data.join("app.conf"), &volume.path] {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            fs::set_permissions(path, Permissions::from_mode(mode | 0o070)).unwrap();
        }
        assert_eq!(target.signalled().1, content);
        sidecar.wait_until_idle();
    }
    let (_, log) = sidecar.end();
    assert_eq!(log.join("\n").matches("signal sent").count(), 2, "{log:#?}");
}

#[test]
fn w2_a_projected_volume_of_nested_keys_gives_one_signal_for_each_update_of_any_of_its_sources() {
    // A projected volume has one payload, whatever it is gathered from.
    let updates: [&[(&str, &str)]; 6] = [
        // A ConfigMap below a path, a token, the labels.
        &[
            ("app.conf", "1"),
            ("etc/a/b.conf", "1"),
            ("token", "t1"),
            ("meta/labels", "x"),
        ],
        // The token is rotated.
        &[
            ("app.conf", "1"),
            ("etc/a/b.conf", "1"),
            ("token", "t2"),
            ("meta/labels", "x"),
        ],
        // A key beside a nested one, and one below a new directory.
        &[
            ("app.conf", "2"),
            ("etc/a/b.conf", "1"),
            ("etc/a/c.conf", "1"),
            ("etc/d/e/f.conf", "1"),
            ("token", "t2"),
            ("meta/labels", "x"),
        ],
        // A nested directory goes, and a source with all its keys.
        &[("app.conf", "3"), ("etc/a/c.conf", "1"), ("token", "t2")],
        // A directory has become a file, and the other way round.
        &[("app.conf", "4"), ("etc", "1"), ("token/t", "t2")],
        // Nothing but one key is left.
        &[("app.conf", "5")],
    ];
    for order in ORDERS {
        // However slowly the steps follow each other, there is no quiet between them. Nor is it waited for, but where the end of
        // a nested directory is reported after the last step, because another process held it open.
        let (_directory, volume, mut target, mut sidecar) =
            scene(order, |settings| settings.set("RELOAD_SETTLE", "1s"));
        for update in updates {
            volume.update(update);
            assert_eq!(target.signalled().1, update[0].1, "{order:?}");
            sidecar.wait_until_idle();
        }
        let (_, log) = sidecar.end();
        assert_eq!(
            log.join("\n").matches("signal sent").count(),
            updates.len(),
            "{order:?}: {log:#?}"
        );
    }
}

#[test]
fn w2_a_volume_below_the_root_and_a_key_linked_in_from_another_give_one_signal_an_update() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    let below = Volume::new(root.join("conf.d"), Order::SwapFirst, &[("app.conf", "0")]);
    let outside = Volume::new(
        directory.path().join("other"),
        Order::SwapFirst,
        &[("app.conf", "0"), ("beside", "0")],
    );
    // The usual replacement for a `subPath`.
    symlink(outside.path.join("app.conf"), root.join("linked.conf")).unwrap();
    let mut target = Target::start(&root.join("linked.conf"));
    let settings = Settings::new(&root, &target.name).set("RELOAD_MIN_INTERVAL", "0");
    let mut sidecar = at_the_last_step(settings).start();
    let mut expected = 0;
    for round in ["1", "2", "3"] {
        outside.update(&[("app.conf", round), ("beside", "0")]);
        assert_eq!(target.signalled().1, round);
        below.update(&[("app.conf", round)]);
        assert_eq!(target.signalled().1, round);
        // A key that nothing leads to.
        outside.update(&[("app.conf", round), ("beside", round)]);
        sidecar.expect("the content is the same");
        expected += 2;
    }
    sidecar.wait_until_idle();
    let (_, log) = sidecar.end();
    assert_eq!(
        log.join("\n").matches("signal sent").count(),
        expected,
        "{log:#?}"
    );
}

#[test]
fn w5_after_an_update_the_way_to_the_volume_is_still_watched() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let write = |content: &str| {
        Volume::new(
            path("way/volume"),
            Order::SwapFirst,
            &[("app.conf", content)],
        )
    };
    let volume = write("start");
    let mut target = Target::start(&volume.path.join("app.conf"));
    let settings = Settings::new(&volume.path, &target.name).set("RELOAD_MIN_INTERVAL", "0");
    let mut sidecar = settings.start();
    sidecar.wait_until_idle();
    // It sees the whole update at once, so that one scan follows. That does not arm the way again, and another one might.
    sidecar.signal(Signal::STOP);
    volume.update(&[("app.conf", "update")]);
    sidecar.signal(Signal::CONT);
    assert_eq!(target.signalled().1, "update");
    sidecar.wait_until_idle();
    fs::rename(path("way"), path("away")).unwrap();
    write("back");
    assert_eq!(target.signalled().1, "back");
}

#[test]
fn w2_a_volume_first_written_later_gives_one_signal_then_and_for_every_update() {
    for exists in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mounts/volume");
        if exists {
            fs::create_dir_all(&path).unwrap();
        }
        let mut target = Target::start(&path.join("app.conf"));
        // The first update has no last step: it takes less time than is waited for quiet.
        let mut sidecar = Settings::new(&path, &target.name)
            .set("RELOAD_SETTLE", "1s")
            .set("RELOAD_MIN_INTERVAL", "0")
            .start();
        let volume = Volume::new(&path, Order::SwapFirst, &[("app.conf", "first")]);
        assert_eq!(target.signalled().1, "first", "there before: {exists}");
        for content in ["second", "third"] {
            volume.update(&[("app.conf", content), (content, "")]);
            assert_eq!(target.signalled().1, content, "there before: {exists}");
        }
        sidecar.wait_until_idle();
        let (_, log) = sidecar.end();
        let log = log.join("\n");
        assert_eq!(log.matches("signal sent").count(), 3, "{log}");
        assert_eq!(log.contains("is there again"), !exists, "{log}");
    }
}

#[test]
fn two_volumes_written_by_two_kubelets_at_once_end_on_the_newest_content_of_both() {
    const UPDATES: usize = 50;
    let directory = tempfile::tempdir().unwrap();
    let volumes = ["a", "b"].map(|name| directory.path().join(name));
    for path in &volumes {
        fs::create_dir(path).unwrap();
    }
    let name = unique_name();
    let mut targets = volumes
        .each_ref()
        .map(|path| Target::start_as(&name, &path.join("app.conf"), &[]));
    let roots = format!("{},{}", volumes[0].display(), volumes[1].display());
    let mut sidecar = Settings::new(roots, &name)
        .set("RELOAD_SETTLE", "5ms")
        .set("RELOAD_MIN_INTERVAL", "0")
        .set("VERBOSE", "false")
        .start();
    thread::scope(|scope| {
        for (path, order) in volumes.iter().zip(ORDERS) {
            scope.spawn(move || {
                let volume = Volume::new(path, order, &[("app.conf", "0")]);
                for update in 1..=UPDATES {
                    let key = format!("key-{}", update % 3);
                    volume.update(&[("app.conf", &update.to_string()), (&key, "")]);
                }
            });
        }
    });
    sidecar.wait_until_idle();
    for target in &mut targets {
        eventually("read the last update", || {
            target.last() == Some(&UPDATES.to_string())
        });
    }
    assert_eq!(sidecar.end().0.code(), Some(0));
}
