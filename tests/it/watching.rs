//! Plain directories and files: what is a change and what is not (W1, W3, W4, W5, W6, W8).

use crate::support::process::{Settings, Target};
use crate::support::scene::{Scene, whole};
use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::SystemTime;

#[test]
fn w3_every_way_of_changing_a_directory_is_one_signal() {
    let mut scene = Scene::new(whole);
    scene.changes("written", "written", |scene| {
        fs::write(scene.path("app.conf"), "written").unwrap()
    });
    scene.changes("created", "written", |scene| {
        fs::write(scene.path("new.conf"), "x").unwrap()
    });
    scene.changes("empty file", "written", |scene| {
        drop(File::create(scene.path("empty")).unwrap())
    });
    scene.changes("appended", "written", |scene| {
        OpenOptions::new()
            .append(true)
            .open(scene.path("new.conf"))
            .unwrap()
            .write_all(b"y")
            .unwrap();
    });
    scene.changes("renamed over", "renamed", |scene| {
        let outside = tempfile::tempdir_in(scene.directory.path().parent().unwrap()).unwrap();
        fs::write(outside.path().join("tmp"), "renamed").unwrap();
        fs::rename(outside.path().join("tmp"), scene.path("app.conf")).unwrap();
    });
    scene.changes("renamed", "renamed", |scene| {
        fs::rename(scene.path("new.conf"), scene.path("newer.conf")).unwrap()
    });
    scene.changes("linked", "renamed", |scene| {
        fs::hard_link(scene.path("app.conf"), scene.path("hard")).unwrap()
    });
    scene.changes("symlinked", "renamed", |scene| {
        symlink("app.conf", scene.path("soft")).unwrap()
    });
    scene.changes("deleted", "renamed", |scene| {
        fs::remove_file(scene.path("newer.conf")).unwrap()
    });
    scene.changes("directory made", "renamed", |scene| {
        fs::create_dir(scene.path("conf.d")).unwrap()
    });
    scene.changes("file in it", "renamed", |scene| {
        fs::write(scene.path("conf.d/a"), "a").unwrap()
    });
    scene.changes("directory moved", "renamed", |scene| {
        fs::rename(scene.path("conf.d"), scene.path("conf.e")).unwrap()
    });
    scene.changes("file in it", "renamed", |scene| {
        fs::write(scene.path("conf.e/a"), "b").unwrap()
    });
    scene.changes("directory removed", "renamed", |scene| {
        fs::remove_dir_all(scene.path("conf.e")).unwrap()
    });
    scene.changes("truncated", "", |scene| {
        drop(File::create(scene.path("app.conf")).unwrap())
    });
}

#[test]
fn w3_operations_that_leave_the_content_alone_send_no_signal() {
    let mut scene = Scene::new(whole);
    scene.changes_nothing("chmod", |scene| {
        fs::set_permissions(scene.path("app.conf"), Permissions::from_mode(0o640)).unwrap();
    });
    scene.changes_nothing("touch", |scene| {
        let times = FileTimes::new()
            .set_modified(SystemTime::UNIX_EPOCH)
            .set_accessed(SystemTime::UNIX_EPOCH);
        OpenOptions::new()
            .write(true)
            .open(scene.path("app.conf"))
            .unwrap()
            .set_times(times)
            .unwrap();
    });
    scene.changes_nothing("same bytes", |scene| {
        fs::write(scene.path("app.conf"), "start").unwrap()
    });
    scene.changes_nothing("put back", |scene| {
        fs::write(scene.path("app.conf"), "other").unwrap();
        fs::write(scene.path("app.conf"), "start").unwrap();
    });
    scene.changes_nothing("made and removed", |scene| {
        fs::create_dir(scene.path("d")).unwrap();
        fs::remove_dir(scene.path("d")).unwrap();
    });
    // Reading gives no event at all: what is written after it is the first that is heard of.
    assert_eq!(fs::read_to_string(scene.path("app.conf")).unwrap(), "start");
    scene.changes("written", "end", |scene| {
        fs::write(scene.path("app.conf"), "end").unwrap()
    });
    assert_eq!(scene.target.count(), 1);
}

#[test]
fn w1_a_file_is_watched_through_every_way_of_saving_it() {
    let mut scene = Scene::new(|directory| directory.join("app.conf"));
    scene.changes("in place", "in place", |scene| {
        fs::write(scene.path("app.conf"), "in place").unwrap()
    });
    scene.changes("renamed over", "renamed", |scene| {
        fs::write(scene.path("tmp"), "renamed").unwrap();
        fs::rename(scene.path("tmp"), scene.path("app.conf")).unwrap();
    });
    scene.changes("in place again", "again", |scene| {
        fs::write(scene.path("app.conf"), "again").unwrap()
    });
    scene.changes("by another name", "elsewhere", |scene| {
        fs::hard_link(scene.path("app.conf"), scene.path("other")).unwrap();
        fs::write(scene.path("other"), "elsewhere").unwrap();
    });
    scene.changes_nothing("another file beside it", |scene| {
        fs::write(scene.path("beside"), "x").unwrap()
    });
}

#[test]
fn w1_several_roots_are_watched_each() {
    let first = tempfile::tempdir().unwrap();
    let second = tempfile::tempdir().unwrap();
    let file = second.path().join("app.conf");
    fs::write(&file, "start").unwrap();
    let mut target = Target::start(&file);
    let roots = format!("{} , {}", first.path().display(), file.display());
    let _sidecar = Settings::new(roots, &target.name)
        .set("RELOAD_MIN_INTERVAL", "0")
        .start();
    fs::write(first.path().join("a"), "a").unwrap();
    assert_eq!(target.signalled().1, "start");
    fs::write(&file, "second").unwrap();
    assert_eq!(target.signalled().1, "second");
}

#[test]
fn w1_sixteen_levels_are_watched_and_a_deeper_one_is_logged_once() {
    let mut deep = PathBuf::new();
    for level in 1..=16 {
        deep.push(format!("l{level}"));
    }
    let mut scene = Scene::new(|directory| {
        fs::create_dir_all(directory.join(&deep)).unwrap();
        directory.to_owned()
    });
    let deep = scene.directory.path().join(deep);
    scene.changes("level 16", "start", |_| {
        fs::write(deep.join("a"), "a").unwrap()
    });
    scene.changes("level 17", "start", |_| {
        fs::create_dir(deep.join("l17")).unwrap()
    });
    scene
        .sidecar
        .expect("l16/l17 is more than 16 levels deep and is not watched");
    scene.changes("another", "start", |_| {
        fs::create_dir(deep.join("m17")).unwrap()
    });
    scene.changes("end", "end", |scene| {
        fs::write(scene.path("app.conf"), "end").unwrap()
    });
    assert_eq!(
        scene
            .sidecar
            .seen()
            .iter()
            .filter(|line| line.contains("levels deep"))
            .count(),
        1
    );
}

#[test]
fn w1_a_cycle_of_links_is_cut() {
    let mut scene = Scene::new(|directory| {
        fs::create_dir(directory.join("sub")).unwrap();
        symlink("..", directory.join("sub/up")).unwrap();
        symlink("self", directory.join("self")).unwrap();
        directory.to_owned()
    });
    scene.changes("below the cycle", "start", |scene| {
        fs::write(scene.path("sub/a"), "a").unwrap()
    });
}

#[test]
fn w5_a_change_anywhere_on_the_way_to_the_content_is_noticed() {
    let outside = tempfile::tempdir().unwrap();
    let out = outside.path();
    fs::create_dir_all(out.join("blue/conf")).unwrap();
    fs::create_dir_all(out.join("green/conf")).unwrap();
    fs::write(out.join("blue/conf/a"), "blue").unwrap();
    fs::write(out.join("green/conf/a"), "green").unwrap();
    symlink("blue", out.join("live")).unwrap();
    symlink("live/conf/a", out.join("hop")).unwrap();
    let mut scene = Scene::new(|directory| {
        symlink(out.join("hop"), directory.join("a")).unwrap();
        directory.to_owned()
    });
    scene.changes("the last link's target", "start", |_| {
        fs::write(out.join("blue/conf/a"), "azure").unwrap()
    });
    scene.changes("a link of the chain", "start", |_| {
        symlink("green", out.join("tmp")).unwrap();
        fs::rename(out.join("tmp"), out.join("live")).unwrap();
    });
    scene.changes("behind the new way", "start", |_| {
        fs::write(out.join("green/conf/a"), "lime").unwrap()
    });
    scene.changes("a directory on the way gone", "start", |_| {
        fs::rename(out.join("green"), out.join("gone")).unwrap()
    });
    scene.changes("and back", "start", |_| {
        fs::rename(out.join("gone"), out.join("green")).unwrap()
    });
}

#[test]
fn w5_a_root_that_is_a_link_is_followed() {
    let mut scene = Scene::new(|directory| {
        fs::create_dir_all(directory.join("one")).unwrap();
        fs::create_dir_all(directory.join("two")).unwrap();
        fs::write(directory.join("two/a"), "a").unwrap();
        symlink("one", directory.join("current")).unwrap();
        directory.join("current")
    });
    scene.changes("swapped", "start", |scene| {
        symlink("two", scene.path("tmp")).unwrap();
        fs::rename(scene.path("tmp"), scene.path("current")).unwrap();
    });
    scene.changes("in the new worktree", "start", |scene| {
        fs::write(scene.path("two/a"), "b").unwrap()
    });
}

#[test]
fn w6_a_missing_root_is_read_once_it_appears() {
    let mut scene = Scene::new(|directory| directory.join("later/conf"));
    let missing = format!(
        "cannot read {}: ENOENT; is the volume mounted? Waiting for it",
        scene.path("later/conf").display()
    );
    assert!(
        scene
            .sidecar
            .seen()
            .iter()
            .any(|line| line.contains(&missing)),
        "{:?}",
        scene.sidecar.seen()
    );
    fs::create_dir(scene.path("later")).unwrap();
    scene.changes("made", "start", |scene| {
        fs::create_dir(scene.path("later/conf")).unwrap()
    });
    scene.changes("filled", "start", |scene| {
        fs::write(scene.path("later/conf/a"), "a").unwrap()
    });
}

#[test]
fn w6_a_root_that_goes_away_is_told_once_it_is_back_with_other_content() {
    let mut scene = Scene::new(|directory| {
        fs::create_dir_all(directory.join("etc/conf")).unwrap();
        fs::write(directory.join("etc/conf/a"), "1").unwrap();
        directory.join("etc/conf")
    });
    let exchange = |scene: &Scene, from: &str, to: &str| {
        fs::rename(scene.path(from), scene.path(to)).unwrap();
    };
    scene.changes_nothing("gone", |scene| exchange(scene, "etc", "away"));
    scene.says("is the volume mounted? Waiting for it");
    scene.changes_nothing("back", |scene| exchange(scene, "away", "etc"));
    scene.changes("and watched", "start", |scene| {
        fs::write(scene.path("etc/conf/a"), "2").unwrap();
    });
    scene.changes_nothing("removed", |scene| {
        fs::remove_dir_all(scene.path("etc")).unwrap();
    });
    fs::create_dir_all(scene.path("new/conf")).unwrap();
    fs::write(scene.path("new/conf/a"), "3").unwrap();
    scene.changes("made again", "start", |scene| exchange(scene, "new", "etc"));
    assert_eq!(scene.finish().count("signal sent"), 2);
}

#[test]
fn w6_a_process_that_started_while_a_root_was_away_is_signalled_once_it_is_back() {
    let mut scene = Scene::new(|directory| {
        fs::create_dir_all(directory.join("etc")).unwrap();
        fs::write(directory.join("etc/a"), "1").unwrap();
        directory.join("etc")
    });
    let [etc, away] = ["etc", "away"].map(|name| scene.path(name));
    scene.changes_nothing("gone", |_| fs::rename(&etc, &away).unwrap());
    let mut meanwhile = Target::start_as(&scene.target.name, &away.join("a"), &[]);
    fs::rename(&away, &etc).unwrap();
    meanwhile.signalled();
    assert_eq!(scene.finish().count("signal sent"), 1);
}

#[test]
fn w6_a_relative_root_is_resolved_in_the_working_directory() {
    let working = tempfile::tempdir().unwrap();
    let in_working = |settings: Settings| {
        settings.adapt(|command| {
            command.current_dir(&working);
        })
    };
    let mut scene = Scene::with(|_| PathBuf::from("later"), in_working);
    let root = working.path().join("later");
    scene.changes("made", "start", |_| fs::create_dir(&root).unwrap());
    scene.changes("filled", "start", |_| {
        fs::write(root.join("a"), "a").unwrap()
    });
    let log = scene.sidecar.seen().join("\n");
    assert!(!log.contains("inotify is refused"), "{log}");
}

#[test]
fn w6_a_root_that_comes_back_with_the_same_content_is_no_signal() {
    let mut scene = Scene::with(whole, |settings| settings.set("RELOAD_SETTLE", "300ms"));
    let path = scene.directory.path().to_owned();
    let away = path.with_extension("away");
    scene.changes_nothing("away and back", |_| {
        fs::rename(&path, &away).unwrap();
        fs::rename(&away, &path).unwrap();
    });
    scene.changes("still watched", "end", |scene| {
        fs::write(scene.path("app.conf"), "end").unwrap()
    });
}

#[test]
fn w4_fifos_are_never_opened() {
    let mut scene = Scene::new(|directory| {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            directory.join("fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        symlink("fifo", directory.join("link")).unwrap();
        directory.to_owned()
    });
    // A FIFO with a reader can be opened for writing without waiting.
    let writer = rustix::fs::open(
        scene.path("fifo"),
        rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK,
        rustix::fs::Mode::empty(),
    );
    assert_eq!(writer.unwrap_err(), rustix::io::Errno::NXIO);
    scene.changes("removed", "start", |scene| {
        fs::remove_file(scene.path("fifo")).unwrap()
    });
}

#[test]
fn w4_large_files_count_by_size_and_time() {
    let mut scene = Scene::new(|directory| {
        fs::write(directory.join("large"), vec![b'x'; (8 << 20) + 1]).unwrap();
        directory.to_owned()
    });
    scene.changes("appended", "start", |scene| {
        OpenOptions::new()
            .append(true)
            .open(scene.path("large"))
            .unwrap()
            .write_all(b"y")
            .unwrap();
    });
    scene.changes("written", "written", |scene| {
        fs::write(scene.path("app.conf"), "written").unwrap()
    });
}

#[test]
fn w4_unreadable_files_count_by_their_metadata_with_one_warning() {
    let mut scene = Scene::with(
        |directory| {
            fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
            for name in ["secret", "secret2"] {
                fs::write(directory.join(name), "s").unwrap();
                fs::set_permissions(directory.join(name), Permissions::from_mode(0o0)).unwrap();
            }
            directory.to_owned()
        },
        Settings::unprivileged,
    );
    let warnings = |scene: &mut Scene| {
        scene
            .sidecar
            .seen()
            .iter()
            .filter(|line| line.contains("EACCES; using its size"))
            .count()
    };
    assert_eq!(warnings(&mut scene), 1);
    fs::set_permissions(scene.path("secret"), Permissions::from_mode(0o644)).unwrap();
    scene.sidecar.expect("content changed");
    fs::write(scene.path("secret"), "t").unwrap();
    scene.sidecar.expect("content changed");
    assert_eq!(warnings(&mut scene), 1);
}

#[test]
fn w4_names_of_any_bytes_are_accepted() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let mut scene = Scene::new(whole);
    let longest = [b'n'; 255];
    for name in [
        &b"with space"[..],
        b"line\nfeed",
        b"\xff\xfe",
        b"\x1b[31m",
        b".two..",
        &longest,
    ] {
        scene.changes("made", "start", |scene| {
            fs::write(scene.directory.path().join(OsStr::from_bytes(name)), "a").unwrap()
        });
        scene.changes("written", "start", |scene| {
            fs::write(scene.directory.path().join(OsStr::from_bytes(name)), "b").unwrap()
        });
    }
    let lines = scene.sidecar.seen().join("");
    assert!(
        lines.contains(r#"name="line\nfeed""#)
            && lines.contains(r#"name="\x1b[31m""#)
            && lines.contains(r#"name="\xff\xfe""#)
    );
    assert!(!lines.chars().any(char::is_control));
}

#[test]
fn a_slow_writer_delays_the_signal_until_it_closes_the_file() {
    // Without any quiet time, a finished change is scanned at once.
    let mut scene = Scene::with(whole, |settings| {
        settings
            .set("RELOAD_SETTLE", "0")
            .set("RELOAD_SETTLE_MAX", "1h")
    });
    let path = scene.path("app.conf");
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    for piece in [" one", " two"] {
        file.write_all(piece.as_bytes()).unwrap();
        scene.sidecar.expect("events=MODIFY");
    }
    scene.changes("closed", "start one two", |_| drop(file));
}

#[test]
fn a_writer_that_never_closes_delays_the_signal_up_to_the_settle_maximum() {
    let mut scene = Scene::with(whole, |settings| settings.set("RELOAD_SETTLE_MAX", "300ms"));
    let mut file = OpenOptions::new()
        .write(true)
        .open(scene.path("app.conf"))
        .unwrap();
    scene.changes("still open", "STart", |_| file.write_all(b"ST").unwrap());
}

#[test]
fn changes_within_the_minimum_interval_are_merged_into_one_trailing_signal() {
    let mut scene = Scene::with(whole, |settings| settings.set("RELOAD_MIN_INTERVAL", "2s"));
    scene.changes("first", "1", |scene| {
        fs::write(scene.path("app.conf"), "1").unwrap()
    });
    for content in ["2", "3"] {
        fs::write(scene.path("app.conf"), content).unwrap();
        scene.sidecar.expect("content changed");
    }
    scene.changes("last", "4", |scene| {
        fs::write(scene.path("app.conf"), "4").unwrap();
    });
    assert_eq!(scene.target.count(), 2);
}

/// A sidecar in a user namespace in which the kernel allows no more than `limit` says.
fn with_inotify_limit(limit: &str, advice: &str) {
    let mut scene = Scene::with(whole, |settings| {
        let settings = settings.set("CONFIG_POLL_INTERVAL", "50ms");
        settings.through(&[
            "unshare",
            "--user",
            "--map-root-user",
            "sh",
            "-c",
            limit,
            "sh",
        ])
    });
    let log = scene.sidecar.seen().join("\n");
    assert!(log.contains(advice), "{log}");
    for content in ["polled", "polled again"] {
        scene.changes("seen without an event", content, |scene| {
            fs::write(scene.path("app.conf"), content).unwrap();
        });
    }
    let log = scene.sidecar.seen().join("\n");
    assert!(!log.contains(" event "), "{log}");
    assert_eq!(log.matches("inotify is refused").count(), 1, "{log}");
}

#[test]
#[ignore = "needs root"]
fn w8_without_inotify_instances_the_content_is_compared_at_intervals() {
    with_inotify_limit(
        r#"echo 0 > /proc/sys/user/max_inotify_instances; exec "$@""#,
        "inotify is refused: EMFILE; comparing the content at intervals instead. Raise fs.inotify.max_user_instances on the node",
    );
}

#[test]
#[ignore = "needs root"]
fn w8_without_inotify_watches_the_content_is_compared_at_intervals() {
    with_inotify_limit(
        r#"echo 0 > /proc/sys/user/max_inotify_watches; exec "$@""#,
        "inotify is refused: ENOSPC; comparing the content at intervals instead. Raise fs.inotify.max_user_watches on the node",
    );
}
