//! Everything that an application can read below a root, however it gets there (W1, W3, W4, W5).
#![allow(unsafe_code)]

use crate::support::is_root;
use crate::support::process::{Settings, Target};
use crate::support::scene::{Scene, whole};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, mkdirat, openat, renameat_with};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Makes `link` lead to `target` in one step, as `ln -sfn` and git-sync do.
fn relink(target: impl AsRef<Path>, link: &Path) {
    let temporary = link.with_extension("tmp");
    symlink(target, &temporary).unwrap();
    fs::rename(temporary, link).unwrap();
}

/// Two entries of any kind take each other's place in one step.
fn exchange(one: &Path, other: &Path) {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
}

// Cycles.

#[test]
fn w1_directories_that_link_to_each_other_are_walked_once_each_way() {
    let mut scene = Scene::new(|directory| {
        let root = directory.join("root");
        for (name, other) in [("a", "b"), ("b", "a")] {
            fs::create_dir_all(root.join(name)).unwrap();
            fs::write(root.join(name).join("file"), name).unwrap();
            symlink(Path::new("..").join(other), root.join(name).join("to")).unwrap();
        }
        root
    });
    // root, a, a/to, b, b/to; a/to/to is a again, and cut.
    scene.says("watching files=4 directories=5");
    scene.changes("in one", "start", |scene| {
        fs::write(scene.path("root/a/file"), "changed").unwrap();
    });
    scene.changes("in the other", "start", |scene| {
        fs::write(scene.path("root/b/new"), "").unwrap();
    });
    scene.changes("the cycle opened", "start", |scene| {
        fs::remove_file(scene.path("root/a/to")).unwrap();
    });
    assert_eq!(scene.finish().signals("start"), 3);
}

#[test]
fn w1_a_link_to_an_ancestor_outside_the_root_is_followed_back_to_the_root_and_no_further() {
    let mut scene = Scene::new(|directory| {
        let root = directory.join("above/root");
        fs::create_dir_all(&root).unwrap();
        symlink("../..", root.join("up")).unwrap();
        root
    });
    // The root, what is two levels above it, what is one level above it; and then the root again.
    scene.says("watching files=1 directories=3");
    scene.changes("above the root", "changed", |scene| {
        fs::write(scene.path("app.conf"), "changed").unwrap();
    });
    scene.changes("in the root", "changed", |scene| {
        fs::write(scene.path("above/root/new"), "").unwrap();
    });
    scene.changes("between", "changed", |scene| {
        fs::write(scene.path("above/new"), "").unwrap();
    });
    assert_eq!(scene.finish().signals("changed"), 3);
}

// Links.

#[test]
fn w5_a_root_that_is_a_link_to_a_link_is_followed_over_every_directory() {
    let mut scene = Scene::new(|directory| {
        for name in ["first", "second", "third/blue", "third/green"] {
            fs::create_dir_all(directory.join(name)).unwrap();
        }
        fs::write(directory.join("third/blue/colour"), "blue").unwrap();
        fs::write(directory.join("third/green/colour"), "green").unwrap();
        symlink("../second/hop", directory.join("first/root")).unwrap();
        symlink(directory.join("third/blue"), directory.join("second/hop")).unwrap();
        directory.join("first/root")
    });
    scene.changes("the second link", "start", |scene| {
        relink("../third/green", &scene.path("second/hop"));
    });
    scene.changes("where it leads now", "start", |scene| {
        fs::write(scene.path("third/green/colour"), "lime").unwrap();
    });
    scene.changes("the first link", "start", |scene| {
        relink(scene.path("third/blue"), &scene.path("first/root"));
    });
    scene.changes("the last directory is another", "start", |scene| {
        exchange(&scene.path("third/blue"), &scene.path("third/green"));
    });
    scene.changes("and is watched", "start", |scene| {
        fs::write(scene.path("third/blue/new"), "").unwrap();
    });
    scene.changes_nothing("the last directory gone", |scene| {
        fs::remove_dir_all(scene.path("third/blue")).unwrap();
    });
    scene.changes("the root is a directory of its own", "start", |scene| {
        fs::create_dir(scene.path("own")).unwrap();
        exchange(&scene.path("own"), &scene.path("first/root"));
    });
    scene.changes("and is watched", "start", |scene| {
        fs::write(scene.path("first/root/new"), "").unwrap();
    });
    assert_eq!(scene.finish().signals("start"), 7);
}

#[test]
fn w5_dot_dot_after_a_link_is_the_parent_of_its_target() {
    let mut scene = Scene::new(|directory| {
        for name in ["root", "way", "far/deep", "near/deep"] {
            fs::create_dir_all(directory.join(name)).unwrap();
        }
        for name in ["far", "near"] {
            symlink("../end", directory.join(name).join("next")).unwrap();
        }
        fs::write(directory.join("end"), "end").unwrap();
        symlink("../far/deep", directory.join("way/link")).unwrap();
        // way/link/../next is far/next, which is end.
        symlink(
            ".././way//link/../next",
            directory.join("root").join("file"),
        )
        .unwrap();
        directory.join("root")
    });
    scene.says("watching files=1 directories=1");
    scene.changes("the file", "start", |scene| {
        fs::write(scene.path("end"), "changed").unwrap();
    });
    scene.changes_nothing("another way to the same file", |scene| {
        relink("../near/deep", &scene.path("way/link"));
    });
    scene.changes("the new way", "start", |scene| {
        relink("../app.conf", &scene.path("near/next"));
    });
    scene.changes("the file that it leads to", "changed", |scene| {
        fs::write(scene.path("app.conf"), "changed").unwrap();
    });
    assert_eq!(scene.finish().signals("changed"), 3);
}

#[test]
fn w5_a_file_linked_in_from_outside_is_watched() {
    let outside = tempfile::tempdir().unwrap();
    let out = |name: &str| outside.path().join(name);
    fs::write(out("file"), "file").unwrap();
    fs::create_dir_all(out("directory/sub")).unwrap();
    let mut scene = Scene::new(|directory| {
        symlink(out("file"), directory.join("file")).unwrap();
        symlink(out("directory"), directory.join("directory")).unwrap();
        whole(directory)
    });
    let mut changes = |what: &str, action: &dyn Fn()| {
        scene.changes(what, "start", |_| action());
    };
    changes("written", &|| fs::write(out("file"), "written").unwrap());
    changes("renamed over", &|| {
        fs::write(out("tmp"), "renamed").unwrap();
        fs::rename(out("tmp"), out("file")).unwrap();
    });
    changes("written after that", &|| {
        fs::write(out("file"), "again").unwrap();
    });
    changes("removed", &|| fs::remove_file(out("file")).unwrap());
    changes("a directory in its place", &|| {
        fs::create_dir(out("file")).unwrap();
    });
    changes("which is watched", &|| {
        fs::write(out("file/new"), "").unwrap();
    });
    changes("deep in the directory", &|| {
        fs::write(out("directory/sub/new"), "").unwrap();
    });
    changes("another directory", &|| {
        fs::create_dir(out("other")).unwrap();
        exchange(&out("other"), &out("directory"));
    });
    changes("which is watched, too", &|| {
        fs::write(out("directory/new"), "").unwrap();
    });
    fs::write(out("beside what is linked"), "").unwrap();
    scene.changes("inside", "end", |scene| {
        fs::write(scene.path("app.conf"), "end").unwrap();
    });
    assert_eq!(scene.finish().signals("end"), 10);
}

#[test]
fn w5_a_dangling_link_is_followed_as_its_target_appears_step_by_step() {
    let mut scene = Scene::new(|directory| {
        fs::create_dir(directory.join("root")).unwrap();
        symlink("../later/on/file", directory.join("root/link")).unwrap();
        directory.join("root")
    });
    scene.changes_nothing("a directory of the way", |scene| {
        fs::create_dir(scene.path("later")).unwrap();
    });
    scene.changes_nothing("the next one", |scene| {
        fs::create_dir(scene.path("later/on")).unwrap();
    });
    scene.changes("the end", "start", |scene| {
        fs::write(scene.path("later/on/file"), "").unwrap();
    });
    scene.changes("gone", "start", |scene| {
        fs::remove_dir_all(scene.path("later")).unwrap();
    });
    scene.changes("there again", "start", |scene| {
        fs::create_dir_all(scene.path("later/on")).unwrap();
        fs::write(scene.path("later/on/file"), "").unwrap();
    });
    assert_eq!(scene.finish().signals("start"), 3);
}

#[test]
fn w5_a_volume_whose_data_leads_nowhere_is_watched_for_it() {
    let mut scene = Scene::new(|directory| {
        fs::create_dir(directory.join("root")).unwrap();
        symlink("..first", directory.join("root/..data")).unwrap();
        symlink("..data/file", directory.join("root/file")).unwrap();
        directory.join("root")
    });
    let make = |scene: &Scene, name: &str| {
        fs::create_dir(scene.path("root").join(name)).unwrap();
        fs::write(scene.path("root").join(name).join("file"), name).unwrap();
    };
    scene.changes("made after the start", "start", |scene| {
        make(scene, "..first")
    });
    scene.changes("written in place", "start", |scene| {
        fs::write(scene.path("root/..first/file"), "written").unwrap();
    });
    scene.changes("dangling while it runs", "start", |scene| {
        symlink("..second", scene.path("root/..data_tmp")).unwrap();
        fs::rename(scene.path("root/..data_tmp"), scene.path("root/..data")).unwrap();
    });
    scene.changes("made while it runs", "start", |scene| {
        make(scene, "..second")
    });
    scene.changes("written in place again", "start", |scene| {
        fs::write(scene.path("root/..second/file"), "written").unwrap();
    });
    assert_eq!(scene.finish().signals("start"), 5);
}

#[test]
fn w3_a_lease_that_another_process_holds_is_no_change() {
    use std::os::fd::AsRawFd;
    let mut scene = Scene::new(|directory| {
        fs::create_dir(directory.join("root")).unwrap();
        fs::write(directory.join("root/leased"), "content").unwrap();
        fs::write(directory.join("root/beside"), "").unwrap();
        directory.join("root")
    });
    let leased = File::options().write(true).open(scene.path("root/leased"));
    let leased = leased.unwrap();
    scene.sidecar.wait_until_idle();
    // SAFETY: a call without pointers. The lease's signal, SIGIO, is ignored for as long as this process lives.
    unsafe {
        libc::signal(libc::SIGIO, libc::SIG_IGN);
        let taken = libc::fcntl(leased.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK);
        assert_eq!(taken, 0, "{}", std::io::Error::last_os_error());
    }
    fs::write(scene.path("root/beside"), "").unwrap();
    scene
        .sidecar
        .expect("leased: EAGAIN; trying again at intervals");
    drop(leased);
    scene.changes("after the lease", "start", |scene| {
        fs::write(scene.path("root/beside"), "new").unwrap();
    });
    assert_eq!(scene.stop().count("signal sent"), 1);
}

#[test]
fn w1_roots_that_overlap_are_one_change_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("sub")).unwrap();
    fs::write(path("sub/app.conf"), "start").unwrap();
    symlink("sub", path("link")).unwrap();
    let mut target = Target::start(&path("sub/app.conf"));
    // The directory, one in it, a file in that one, and a link to it: whatever changes is below most of them.
    let roots = ["", "sub", "sub/app.conf", "link"].map(|name| path(name).display().to_string());
    let mut sidecar = Settings::new(roots.join(","), &target.name)
        .set("RELOAD_MIN_INTERVAL", "0")
        .start();
    fs::write(path("sub/app.conf"), "written").unwrap();
    assert_eq!(target.signalled().1, "written");
    fs::write(path("sub/tmp"), "renamed").unwrap();
    fs::rename(path("sub/tmp"), path("sub/app.conf")).unwrap();
    assert_eq!(target.signalled().1, "renamed");
    fs::write(path("sub/app.conf"), "written again").unwrap();
    assert_eq!(target.signalled().1, "written again");
    sidecar.wait_until_idle();
    let (_, log) = sidecar.end();
    assert_eq!(log.join("\n").matches("signal sent").count(), 3, "{log:#?}");
}

// Hard links.

#[test]
fn w3_a_file_with_another_name_outside_is_watched_under_both() {
    let outside = tempfile::tempdir().unwrap();
    let other = outside.path().join("other");
    let mut scene = Scene::new(|directory| {
        fs::hard_link(directory.join("app.conf"), &other).unwrap();
        whole(directory)
    });
    scene.changes("written by the other name", "other", |_| {
        fs::write(&other, "other").unwrap();
    });
    scene.changes("written by its own name", "own", |scene| {
        fs::write(scene.path("app.conf"), "own").unwrap();
    });
    scene.changes_nothing("the other name is another file's", |_| {
        let temporary = outside.path().join("tmp");
        fs::write(&temporary, "not this one").unwrap();
        fs::rename(&temporary, &other).unwrap();
    });
    scene.changes("linked again", "own", |scene| {
        fs::hard_link(&other, scene.path("linked")).unwrap();
    });
    scene.changes("and written by the other name", "own", |_| {
        fs::write(&other, "again").unwrap();
    });
    assert_eq!(scene.finish().signals("own"), 4);
}

#[test]
fn w3_two_names_of_one_file_in_the_tree_are_one_change_when_it_is_written() {
    let mut scene = Scene::new(|directory| {
        fs::create_dir(directory.join("sub")).unwrap();
        fs::hard_link(directory.join("app.conf"), directory.join("sub/same")).unwrap();
        whole(directory)
    });
    scene.changes("written", "written", |scene| {
        fs::write(scene.path("sub/same"), "written").unwrap();
    });
    scene.changes("parted", "written", |scene| {
        fs::write(scene.path("sub/tmp"), "parted").unwrap();
        fs::rename(scene.path("sub/tmp"), scene.path("sub/same")).unwrap();
    });
    scene.changes("each by itself", "by itself", |scene| {
        fs::write(scene.path("app.conf"), "by itself").unwrap();
    });
    assert_eq!(scene.finish().signals("by itself"), 3);
}

// Kinds and names.

#[test]
fn w3_a_change_of_type_is_a_change() {
    let outside = tempfile::tempdir().unwrap();
    let out = |name: &str| outside.path().join(name);
    fs::create_dir(out("directory")).unwrap();
    fs::write(out("directory/file"), "").unwrap();
    symlink("app.conf", out("link")).unwrap();
    symlink("nowhere", out("dangling")).unwrap();
    rustix::fs::mknodat(CWD, out("fifo"), rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
    fs::write(out("empty"), "").unwrap();
    let mut scene = Scene::new(|directory| {
        fs::write(directory.join("name"), "a file").unwrap();
        whole(directory)
    });
    for kind in ["directory", "link", "dangling", "fifo", "empty"] {
        scene.changes(kind, "start", |scene| {
            exchange(&out(kind), &scene.path("name"));
        });
    }
    // Each is exchanged once more, the other way round: what comes in is what went out before.
    for kind in ["fifo", "directory", "empty", "dangling", "link"] {
        scene.changes(kind, "start", |scene| {
            exchange(&out(kind), &scene.path("name"));
        });
    }
    assert_eq!(scene.finish().signals("start"), 10);
}

#[test]
fn w4_directories_and_links_may_have_names_of_any_bytes() {
    let mut scene = Scene::new(whole);
    let longest = [b'\xfe'; 255];
    for name in [
        &b"with space"[..],
        b"line\nfeed",
        b"\xff\xfe",
        b"-",
        b"-..",
        &longest,
    ] {
        let name = OsStr::from_bytes(name);
        scene.changes("directory made", "start", |scene| {
            fs::create_dir(scene.path(name)).unwrap();
        });
        scene.changes("file in it", "start", |scene| {
            fs::write(scene.path(name).join(name), "a").unwrap();
        });
        // The link's own name is one of the others; what it leads to has this one twice.
        scene.changes("link to it", "start", |scene| {
            symlink(Path::new(name).join(name), scene.path("link")).unwrap();
        });
        scene.changes("written behind the link", "start", |scene| {
            fs::write(scene.path("link"), "b").unwrap();
        });
        scene.changes("removed", "start", |scene| {
            fs::remove_file(scene.path("link")).unwrap();
            fs::remove_dir_all(scene.path(name)).unwrap();
        });
    }
    let lines = scene.finish().log.join("");
    assert!(!lines.chars().any(char::is_control));
}

/// Makes sixteen directories in each other, whose names have 255 bytes: together they are longer than any path may be. What
/// is returned is the last one.
fn beyond_path_max(directory: &Path) -> OwnedFd {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = openat(CWD, directory, flags, Mode::empty()).unwrap();
    let name = "d".repeat(255);
    for _ in 0..16 {
        mkdirat(&at, &name, Mode::RWXU).unwrap();
        at = openat(&at, &name, flags, Mode::empty()).unwrap();
    }
    at
}

fn write_at(directory: &OwnedFd, name: &str, content: &str) {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::RWXU).unwrap();
    File::from(file).write_all(content.as_bytes()).unwrap();
}

#[test]
fn w1_directories_deeper_than_path_max_are_watched() {
    let mut bottom = None;
    let mut scene = Scene::new(|directory| {
        bottom = Some(beyond_path_max(directory));
        whole(directory)
    });
    let bottom = bottom.unwrap();
    let way = format!("{}/", "d".repeat(255)).repeat(16);
    let too_long = fs::write(scene.path(way).join("file"), "").unwrap_err();
    assert_eq!(
        Errno::from_io_error(&too_long),
        Some(Errno::NAMETOOLONG),
        "no path leads there"
    );
    scene.changes("made", "start", |_| write_at(&bottom, "file", "a"));
    scene.changes("written", "start", |_| write_at(&bottom, "file", "b"));
    scene.changes("linked", "start", |_| {
        rustix::fs::symlinkat("file", &bottom, "link").unwrap();
    });
    scene.changes("a link out of there", "start", |scene| {
        rustix::fs::symlinkat(scene.path("app.conf"), &bottom, "out").unwrap();
    });
    scene.changes("the seventeenth level", "start", |_| {
        mkdirat(&bottom, "deeper", Mode::RWXU).unwrap();
    });
    // The way to it does not fit into a line; that it is not watched is said all the same.
    scene.sidecar.expect("deeper is more than 16 levels deep");
    scene.changes("at the top", "end", |scene| {
        fs::write(scene.path("app.conf"), "end").unwrap();
    });
    assert_eq!(scene.finish().signals("end"), 6);
}

// Mounts.

#[test]
#[ignore = "needs root"]
fn w1_mounts_below_the_root_are_watched_and_mount_cycles_are_cut() {
    const MOUNTS: &str = r#"
        mount -t tmpfs none "$CONFIG_DIR/sub"
        mkdir "$CONFIG_DIR/sub/deeper"
        mount -t tmpfs none "$CONFIG_DIR/sub/deeper"
        echo a > "$CONFIG_DIR/sub/deeper/file"
        mount --bind "$CONFIG_DIR" "$CONFIG_DIR/again"
        exec "$@""#;
    let mut scene = Scene::with(
        |directory| {
            fs::create_dir(directory.join("sub")).unwrap();
            fs::create_dir(directory.join("again")).unwrap();
            whole(directory)
        },
        |settings| settings.through(&["unshare", "--mount", "sh", "-ec", MOUNTS, "sh"]),
    );
    // The root, sub, sub/deeper; and again, which is the root.
    scene.says("watching files=2 directories=3");
    // The root as the sidecar sees it.
    let mount_namespace = format!("/proc/{}/root", scene.sidecar.pid().as_raw_nonzero());
    let path = scene.path("sub");
    let sub = Path::new(&mount_namespace).join(path.strip_prefix("/").unwrap());
    scene.changes("on the first mount", "start", |_| {
        fs::write(sub.join("new"), "").unwrap();
    });
    scene.changes("on the second mount", "start", |_| {
        fs::write(sub.join("deeper/file"), "b").unwrap();
    });
    // Nobody in the sidecar's namespace can read what the mount hides.
    fs::write(scene.path("sub/hidden"), "").unwrap();
    scene.changes("beside the mounts", "end", |scene| {
        fs::write(scene.path("app.conf"), "end").unwrap();
    });
    assert_eq!(scene.finish().signals("end"), 3);
}

// Unreadable entries, and changes during a scan.

#[test]
fn w4_an_unreadable_directory_is_logged_once_and_read_when_it_can_be() {
    let mut scene = Scene::with(
        |directory| {
            fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
            for name in ["closed", "other"] {
                fs::create_dir(directory.join(name)).unwrap();
                fs::write(directory.join(name).join("file"), "a").unwrap();
                fs::set_permissions(directory.join(name), Permissions::from_mode(0o0)).unwrap();
            }
            whole(directory)
        },
        Settings::unprivileged,
    );
    scene.says(": EACCES; changes below it go unnoticed. Run the sidecar as");
    let [closed, other] = ["closed", "other"].map(|name| scene.path(name));
    let mut changes = |what: &str, action: &dyn Fn()| {
        action();
        println!("{what}");
        scene.sidecar.expect("content changed");
    };
    let open = |path: &Path, mode: u32| {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    let write = |name: &str| fs::write(closed.join(name), "").unwrap();
    changes("it can be read", &|| open(&closed, 0o755));
    changes("in it", &|| write("file"));
    changes("only its names can be read", &|| open(&closed, 0o444));
    if is_root() {
        changes("a name in it", &|| write("new"));
    }
    changes("only what its names stand for can be read", &|| {
        open(&closed, 0o111)
    });
    changes("it can be read again", &|| open(&closed, 0o755));
    changes("in it, again", &|| write("newer"));
    changes("the other one, too", &|| open(&other, 0o755));
    let log = scene.sidecar.seen().join("\n");
    // Each kind once: a directory, and a file in the one whose names alone could be read.
    for warning in ["EACCES; changes below it", "EACCES; using its size"] {
        assert_eq!(log.matches(warning).count(), 1, "{log}");
    }
}

#[test]
fn w4_whatever_happens_during_a_scan_the_last_content_is_delivered() {
    const INTERVAL_MS: u128 = 100;
    let scene = Scene::with(whole, |settings| {
        // A look for every event, so that the most is going on meanwhile.
        settings
            .set("RELOAD_SETTLE", "0")
            .set("RELOAD_SETTLE_MAX", "20ms")
            .set("RELOAD_MIN_INTERVAL", format!("{INTERVAL_MS}ms"))
            .set("VERBOSE", "false")
    });
    let started = Instant::now();
    thread::scope(|scope| {
        for writer in 0..2 {
            let directory = scene.directory.path();
            scope.spawn(move || hammer(directory, writer, started + Duration::from_secs(1)));
        }
    });
    for entry in fs::read_dir(scene.directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
    }
    fs::write(scene.path("app.conf"), "final").unwrap();
    let mut ending = scene.finish();
    let most = started.elapsed().as_millis() / INTERVAL_MS + 2;
    let signals = ending.signals("final");
    assert!(
        (1..=most).contains(&(signals as u128)),
        "{signals} of at most {most} signals"
    );
    assert_eq!(ending.count("cannot read"), 0, "{:#?}", ending.log);
}

/// Does everything to the same few names until `end`. What another writer makes impossible is left out.
fn hammer(directory: &Path, writer: usize, end: Instant) {
    let names = ["app.conf", "a", "b", "sub", "sub/a", "sub/b"].map(|name| directory.join(name));
    let long = vec![b'x'; 300_000];
    for turn in (writer * 31..).step_by(7) {
        let one = &names[turn % names.len()];
        let other = &names[turn / names.len() % names.len()];
        let _ = match turn % 11 {
            0 => fs::write(one, turn.to_string()),
            1 => fs::write(one, &long),
            2 => File::options()
                .append(true)
                .open(one)
                .and_then(|mut file| file.write_all(&long)),
            3 => File::options()
                .write(true)
                .open(one)
                .and_then(|file| file.set_len(10)),
            4 | 5 => fs::rename(one, other),
            6 => fs::remove_file(one),
            7 => fs::create_dir_all(&names[3]),
            8 => fs::hard_link(one, other),
            9 => symlink(other, one),
            _ => fs::remove_dir_all(&names[3]),
        };
        if Instant::now() > end {
            return;
        }
    }
}
