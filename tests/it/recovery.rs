//! Refusals by the kernel and losses of file systems: the sidecar degrades, logs it once, and recovers by itself (W6 to W9, L2).

use crate::support::kernel::{
    At, can_hold_up, descriptors_to_leave, hold_up, keep_from_running, limit_descriptors, refuse,
    with_own_mounts,
};
use crate::support::process::{Settings, Target, eventually};
use crate::support::scene::{Scene, whole};
use crate::support::volume::{Order, Volume};
use crate::support::{is_emulated, runner};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

fn mount_memory(at: &Path) {
    mount("none", at, "tmpfs", MountFlags::empty(), None).unwrap();
}

/// Detaches at once, even if it is in use.
fn unmount_lazily(at: &Path) {
    unmount(at, UnmountFlags::DETACH).unwrap();
}

fn polling(settings: Settings) -> Settings {
    settings.set("CONFIG_POLL_INTERVAL", "50ms")
}

// Mounts.

#[test]
#[ignore = "needs root"]
fn w7_a_mount_over_a_root_is_read_and_so_is_the_root_after_unmounting() {
    with_own_mounts(|| {
        let mut scene = Scene::new(|directory| {
            fs::create_dir(directory.join("conf.d")).unwrap();
            directory.join("conf.d")
        });
        let root = scene.path("conf.d");
        fs::write(scene.path("app.conf"), "outside").unwrap();
        // Mounted with a file in it, so that there is one change.
        let prepared = scene.path("prepared");
        fs::create_dir(&prepared).unwrap();
        fs::write(prepared.join("a"), "a").unwrap();
        scene.changes("over-mounted", "outside", |_| {
            mount_bind(&prepared, &root).unwrap();
        });
        scene.changes("in what is mounted", "outside", |_| {
            fs::write(root.join("a"), "b").unwrap();
        });
        scene.changes("unmounted", "outside", |_| unmount_lazily(&root));
        scene.changes("in what was covered", "outside", |_| {
            fs::write(root.join("a"), "c").unwrap();
        });
        // The same content in another place.
        fs::write(prepared.join("a"), "c").unwrap();
        mount_bind(&prepared, &root).unwrap();
        scene.sidecar.expect("the mount table has changed");
        unmount_lazily(&root);
        scene.sidecar.expect("the mount table has changed");
        assert_eq!(scene.finish().count("signal sent"), 4);
    });
}

#[test]
#[ignore = "needs root"]
fn w7_an_unmounted_file_system_is_read_once_it_is_back() {
    with_own_mounts(|| {
        let mut scene = Scene::new(|directory| {
            fs::create_dir(directory.join("volume")).unwrap();
            mount_memory(&directory.join("volume"));
            fs::create_dir(directory.join("volume/conf.d")).unwrap();
            fs::write(directory.join("volume/conf.d/a"), "a").unwrap();
            directory.join("volume/conf.d")
        });
        let volume = scene.path("volume");
        unmount(&volume, UnmountFlags::empty()).unwrap();
        scene
            .sidecar
            .expect("is the volume mounted? Waiting for it");
        mount_memory(&volume);
        scene.changes("mounted again", "start", |_| {
            fs::create_dir(volume.join("conf.d")).unwrap();
        });
        scene.changes("filled", "start", |_| {
            fs::write(volume.join("conf.d/a"), "b").unwrap();
        });
        let ending = scene.finish();
        assert_eq!(ending.count("Waiting for it"), 1);
        assert_eq!(ending.count("is there again"), 1);
        assert_eq!(ending.count("signal sent"), 2);
    });
}

/// A Pod's directory on the node, and the container's view of it, laid out by bind mounts as the kubelet and the runtime do.
fn in_a_pod(test: impl FnOnce(&Path, &Volume) + Send) {
    with_own_mounts(|| {
        let node = tempfile::tempdir().unwrap();
        let volume = node.path().join("volumes/kubernetes.io~configmap/config");
        let payload = [("app.conf", "start"), ("with blank", "x")];
        let volume = Volume::new(volume, Order::SwapFirst, &payload);
        test(node.path(), &volume);
    });
}

/// The kubelet binds what the subPath leads to now, and the runtime binds that into the container.
fn bind_sub_path(node: &Path, source: &Path, target: &Path) {
    let bound = node.join("volume-subpaths/config/app/0");
    fs::create_dir_all(bound.parent().unwrap()).unwrap();
    for place in [&bound, target] {
        if source.is_dir() {
            fs::create_dir_all(place).unwrap();
        } else {
            File::create(place).unwrap();
        }
    }
    mount_bind(fs::canonicalize(source).unwrap(), &bound).unwrap();
    mount_bind(&bound, target).unwrap();
}

#[test]
#[ignore = "needs root"]
fn w9_a_sub_path_in_a_root_is_reported_and_never_changes() {
    in_a_pod(|node, volume| {
        let etc = node.join("etc app");
        fs::create_dir(&etc).unwrap();
        bind_sub_path(node, &volume.path.join("app.conf"), &etc.join("app.conf"));
        let mut target = Target::start(&etc.join("app.conf"));
        let roots = format!("{},{}", etc.display(), volume.path.display());
        let mut sidecar = Settings::new(roots, &target.name).start();
        let warning = format!(
            "\"{}\" is a subPath mount, which Kubernetes never updates; mount the whole volume instead",
            etc.join("app.conf").display()
        );
        let log = sidecar.seen().join("\n");
        assert_eq!(log.matches(&warning).count(), 1, "{log}");
        assert_eq!(log.matches("subPath").count(), 1, "{log}");
        // It is signalled because the volume is watched as well; what it reads confirms the warning.
        volume.update(&[("app.conf", "new")]);
        assert_eq!(target.signalled().1, "start");
    });
}

#[test]
#[ignore = "needs root"]
fn w9_a_sub_path_at_or_around_a_root_is_reported() {
    in_a_pod(|node, volume| {
        volume.update(&[("conf.d/sub/a", "1")]);
        let etc = node.join("etc");
        bind_sub_path(node, &volume.path.join("conf.d"), &etc);
        symlink(&etc, node.join("link")).unwrap();
        for root in [&etc, &etc.join("sub"), &node.join("link")] {
            let mut sidecar = Settings::new(root, "nobody").start();
            let log = sidecar.seen().join("\n");
            assert_eq!(log.matches("is a subPath mount").count(), 1, "{log}");
        }
    });
}

#[test]
#[ignore = "needs root"]
fn w9_a_whole_volume_is_not_reported() {
    in_a_pod(|node, volume| {
        let etc = node.join("etc");
        fs::create_dir(&etc).unwrap();
        mount_bind(&volume.path, &etc).unwrap();
        let mut target = Target::start(&etc.join("app.conf"));
        let mut sidecar = Settings::new(&etc, &target.name).start();
        volume.update(&[("app.conf", "new")]);
        assert_eq!(target.signalled().1, "new");
        assert!(!sidecar.seen().join("\n").contains("subPath"));
    });
}

#[test]
#[ignore = "needs root"]
fn w9_a_mounted_file_that_was_replaced_on_the_other_side_is_reported() {
    in_a_pod(|node, _| {
        let [original, other, mounted] = ["original", "other", "etc"].map(|name| node.join(name));
        for path in [&original, &other, &mounted] {
            fs::write(path, "content").unwrap();
        }
        mount_bind(&original, &mounted).unwrap();
        let mut sidecar = Settings::new(&mounted, "nobody").start();
        assert!(!sidecar.seen().join("\n").contains("replaced"));
        fs::rename(&other, &original).unwrap();
        let mut sidecar = Settings::new(&mounted, "nobody").start();
        let warning = format!(
            "{} is a mount of what was replaced since",
            mounted.display()
        );
        assert!(sidecar.seen().join("\n").contains(&warning));
    });
}

// Directories that go and come.

#[test]
fn w7_exchanged_directories_are_read_at_their_new_places() {
    let mut scene = Scene::new(|directory| {
        for place in ["root/sub", "other/sub"] {
            fs::create_dir_all(directory.join(place)).unwrap();
        }
        fs::write(directory.join("root/a"), "1").unwrap();
        fs::write(directory.join("other/sub/a"), "2").unwrap();
        directory.join("root")
    });
    let exchange = |one: &str, other: &str, scene: &Scene| {
        let paths = [scene.path(one), scene.path(other)];
        renameat_with(CWD, &paths[0], CWD, &paths[1], RenameFlags::EXCHANGE).unwrap();
    };
    scene.changes("root", "start", |scene| exchange("root", "other", scene));
    scene.changes("in it", "start", |scene| {
        fs::write(scene.path("root/sub/a"), "3").unwrap();
    });
    scene.changes("a directory in it", "start", |scene| {
        exchange("root/sub", "other/sub", scene);
    });
    scene.changes("in that", "start", |scene| {
        fs::write(scene.path("root/sub/a"), "4").unwrap();
    });
    // A directory that was moved away is no longer watched.
    fs::write(scene.path("other/a"), "5").unwrap();
    fs::write(scene.path("other/sub/a"), "6").unwrap();
    scene.changes("the end", "end", |scene| {
        fs::write(scene.path("root/a"), "end").unwrap();
        fs::write(scene.path("app.conf"), "end").unwrap();
    });
    assert_eq!(scene.finish().count("signal sent"), 5);
}

// inotify.

/// The length of an event queue. One test changes it briefly, which another must not see.
static QUEUE_LIMIT: Mutex<&str> = Mutex::new("/proc/sys/fs/inotify/max_queued_events");

/// More events than the queue takes, while the sidecar cannot take them.
fn overflow(scene: &mut Scene, events: u64) {
    let paths = ["one", "two"].map(|name| scene.path(name));
    scene.sidecar.signal(Signal::STOP);
    // Two in turn, because the kernel merges an event with the one before if they are the same.
    let mut files = paths.map(|path| File::create(path).unwrap());
    for _ in 0..events / 2 {
        for file in &mut files {
            file.write_all(b"x").unwrap();
        }
    }
    fs::create_dir(scene.path("lost")).unwrap();
    fs::write(scene.path("app.conf"), "in the storm").unwrap();
    drop(files);
    scene.sidecar.signal(Signal::CONT);
    assert_eq!(scene.target.signalled().1, "in the storm");
    // Its creation was lost; what is in it is watched all the same.
    scene.changes("in a directory that was lost", "in the storm", |scene| {
        fs::write(scene.path("lost/a"), "a").unwrap();
    });
}

#[test]
fn w7_changes_lost_in_a_queue_overflow_are_found() {
    let limit = QUEUE_LIMIT.lock().unwrap_or_else(PoisonError::into_inner);
    let queue: u64 = fs::read_to_string(*limit).unwrap().trim().parse().unwrap();
    assert!(
        queue <= 1 << 20,
        "overflowing {queue} events takes too long"
    );
    let mut scene = Scene::with(whole, |settings| settings.set("VERBOSE", "false"));
    drop(limit);
    overflow(&mut scene, queue + 1000);
    // Said once, and not again within the minute.
    scene.sidecar.signal(Signal::STOP);
    for name in ["one", "two"].iter().cycle().take(queue as usize + 1000) {
        fs::write(scene.path(name), name).unwrap();
    }
    scene.changes("another one", "again", |scene| {
        fs::write(scene.path("app.conf"), "again").unwrap();
        scene.sidecar.signal(Signal::CONT);
    });
    let ending = scene.finish();
    assert_eq!(ending.count("the inotify queue overflowed"), 1);
    assert_eq!(ending.count("signal sent"), 3);
}

#[test]
#[ignore = "needs root"]
fn w7_a_short_queue_overflows_often_and_loses_nothing() {
    let limit = QUEUE_LIMIT.lock().unwrap_or_else(PoisonError::into_inner);
    let before = fs::read_to_string(*limit).unwrap();
    if let Err(error) = fs::write(*limit, "8") {
        return eprintln!("SKIPPED: {}: {error}", *limit);
    }
    // The limit counts when the queue is made.
    let scene = std::panic::catch_unwind(|| Scene::new(whole));
    fs::write(*limit, before).unwrap();
    drop(limit);
    let mut scene = scene.unwrap();
    overflow(&mut scene, 100);
    assert_eq!(scene.finish().count("the inotify queue overflowed"), 1);
}

#[test]
#[ignore = "needs root"]
fn w8_running_out_of_watches_is_logged_and_watching_resumes_when_there_are_more() {
    let limit = "/proc/sys/user/max_inotify_watches";
    let in_namespace = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        &format!("echo 5 > {limit}; exec \"$@\""),
        "sh",
    ];
    let prepare = |directory: &Path| {
        for number in 0..10 {
            fs::create_dir(directory.join(format!("d{number}"))).unwrap();
        }
        directory.to_owned()
    };
    let mut scene = Scene::with(prepare, |settings| polling(settings).through(&in_namespace));
    let change_each = |scene: &mut Scene, content: &str| {
        for number in 0..10 {
            scene.changes("in one of ten directories", "start", |scene| {
                fs::write(scene.path(format!("d{number}/a")), content).unwrap();
            });
        }
    };
    change_each(&mut scene, "found by comparing");
    let pid = scene.sidecar.pid().as_raw_nonzero().to_string();
    let raised = Command::new("nsenter")
        .args(["--user", "--preserve-credentials", "--target", &pid])
        .args(["sh", "-c", &format!("echo 1000 > {limit}")])
        .status();
    assert!(raised.unwrap().success());
    // Not waiting for the minute to pass.
    scene.sidecar.signal(Signal::USR1);
    scene.sidecar.expect("inotify works again");
    assert_eq!(scene.target.signalled().1, "start");
    change_each(&mut scene, "heard of");
    let ending = scene.stop();
    assert_eq!(ending.count("inotify is refused: ENOSPC"), 1);
    assert_eq!(ending.count("inotify works again"), 1);
}

/// The release program with one system call forced to fail: an old kernel, or a strict profile.
fn without(calls: &[(i64, Option<u64>, i32)], said: &str) -> Option<Vec<String>> {
    if is_emulated() {
        eprintln!("the emulator needs the calls for itself");
        return None;
    }
    let mut scene = Scene::with(whole, |settings| {
        let settings = settings.adapt(|command| {
            for (call, argument, errno) in calls {
                refuse(command, *call, *argument, *errno);
            }
        });
        polling(settings)
    });
    for content in ["one", "two", "three"] {
        scene.changes("all the same", content, |scene| {
            fs::write(scene.path("app.conf"), content).unwrap();
        });
    }
    let ending = scene.stop();
    assert_eq!(ending.count(said), 1, "{:#?}", ending.log);
    assert_eq!(ending.count("signal sent"), 3);
    Some(ending.log)
}

#[test]
fn w8_a_kernel_without_inotify_is_polled() {
    let said = "inotify is refused: ENOSYS; comparing the content at intervals instead. This kernel has no inotify";
    without(&[(libc::SYS_inotify_init1, None, libc::ENOSYS)], said);
    without(&[(libc::SYS_inotify_add_watch, None, libc::ENOSYS)], said);
}

#[test]
fn w8_a_file_system_without_statfs_counts_as_local() {
    without(&[(libc::SYS_fstatfs, None, libc::ENOSYS)], " watching ");
}

#[test]
fn the_wall_clock_decides_nothing() {
    let wall_clock = Some(libc::CLOCK_REALTIME as u64);
    let refused = [(libc::SYS_clock_gettime, wall_clock, libc::EINVAL)];
    // Not stepped but stopped: that is as wrong as a clock can be.
    if let Some(log) = without(&refused, " watching ") {
        assert!(
            log.iter()
                .all(|line| line.starts_with("1970-01-01T00:00:00.000Z "))
        );
    }
}

#[test]
#[ignore = "needs root"]
fn start_times_follow_the_time_namespaces_boot_clock() {
    let mut scene = Scene::with(whole, |settings| {
        settings.set("PROCESS_MIN_AGE", "1h").through(&[
            "unshare",
            "--time",
            "--boottime",
            "1000000",
            "--fork",
            "--kill-child",
        ])
    });
    fs::write(scene.path("app.conf"), "new").unwrap();
    // The target is not an hour old, whatever the clock says.
    scene.sidecar.expect("is younger than PROCESS_MIN_AGE");
}

// Descriptors.

#[test]
fn w8_running_out_of_descriptors_is_no_change_and_hides_none() {
    if is_emulated() {
        return eprintln!("the emulator needs descriptors for itself");
    }
    let prepare = |directory: &Path| {
        fs::create_dir_all(directory.join("a/b/c/d")).unwrap();
        fs::write(directory.join("a/b/c/d/deep"), "1").unwrap();
        directory.to_owned()
    };
    let mut scene = Scene::with(prepare, polling);
    let pid = scene.sidecar.pid();
    // Enough to find the root and to look at a process, too little for five levels.
    limit_descriptors(pid, Some(descriptors_to_leave(pid, 2)));
    scene
        .sidecar
        .expect("EMFILE; trying again at intervals. Raise the limit of open files");
    fs::write(scene.path("a/b/c/d/deep"), "2").unwrap();
    scene.sidecar.expect("CLOSE_WRITE");
    scene.sidecar.expect("the content is the same");
    limit_descriptors(pid, Some(256));
    scene.sidecar.expect("every file can be read again");
    assert_eq!(scene.target.signalled().1, "start");
    let ending = scene.stop();
    assert_eq!(ending.count("EMFILE"), 1);
    assert_eq!(ending.count("signal sent"), 1);
}

#[test]
fn w8_running_out_of_descriptors_at_startup_is_logged_and_survived() {
    if runner().is_some() {
        return eprintln!("the runner needs descriptors for itself");
    }
    // Standard streams, signals, /proc, schedstat, the mount table: nothing is left for inotify.
    let mut scene = Scene::with(whole, |settings| {
        polling(settings).through(&["prlimit", "--nofile=7:"])
    });
    let said = "inotify is refused: EMFILE; comparing the content at intervals instead. Raise fs.inotify.max_user_instances on the node, or the limit of open files";
    let log = scene.sidecar.seen().join("\n");
    assert!(log.contains(said), "{log}");
    limit_descriptors(scene.sidecar.pid(), Some(256));
    scene.sidecar.expect("is there again");
    // Not waiting for the minute to pass.
    scene.sidecar.signal(Signal::USR1);
    scene.sidecar.expect("inotify works again");
    scene.sidecar.expect("signal sent");
    fs::write(scene.path("app.conf"), "new").unwrap();
    eventually("read", || scene.target.last() == Some("new"));
}

// The sidecar itself.

/// The content is another for a moment, and a process starts in it.
fn flip(scene: &Scene) -> Target {
    // More than the tick to which start times are cut.
    const FLIP: Duration = Duration::from_millis(50);
    fs::write(scene.path("app.conf"), "another").unwrap();
    let second = Target::start_as(&scene.target.name, &scene.path("app.conf"), &[]);
    fs::write(scene.path("app.conf"), "start").unwrap();
    let flipped = Instant::now();
    eventually("over", || flipped.elapsed() >= FLIP);
    second
}

/// A process started during the brief change is signalled. One from before, which never read anything else, is not: it was
/// signalled `before` times.
fn is_signalled_after_the_brief_change(scene: Scene, mut second: Target, before: usize) {
    assert_eq!(second.signalled().1, "start");
    let mut ending = scene.finish();
    assert_eq!(ending.target.count(), before);
    assert_eq!(second.count(), 1);
}

#[test]
fn w10_a_process_started_in_a_brief_change_while_the_sidecar_was_stopped_is_signalled() {
    let mut scene = Scene::new(whole);
    scene.sidecar.wait_until_idle();
    scene.sidecar.signal(Signal::STOP);
    let second = flip(&scene);
    scene.sidecar.signal(Signal::CONT);
    is_signalled_after_the_brief_change(scene, second, 0);
}

#[test]
fn w10_a_process_started_in_a_brief_change_during_a_request_is_signalled() {
    if !can_hold_up() {
        return;
    }
    let mut scene = Scene::new(whole);
    scene.sidecar.wait_until_idle();
    let request = || scene.sidecar.signal(Signal::USR1);
    let mut second = None;
    // It has looked for others since it signalled the one that it knew, and asks for the time next.
    let looked = [
        (libc::SYS_pidfd_send_signal, At::Exit),
        (libc::SYS_getdents64, At::Exit),
        (libc::SYS_clock_gettime, At::Entry),
    ];
    hold_up(scene.sidecar.pid(), &looked, request, || {
        second = Some(flip(&scene));
    });
    // On account of the flip, and not because it was found on request as well.
    scene.sidecar.expect("something was changed");
    scene.sidecar.expect("signal sent");
    is_signalled_after_the_brief_change(scene, second.unwrap(), 1);
}

/// False if the sidecar had a processor in the flip after all: after a second the kernel sees to that.
fn is_told_of_a_flip_unseen(mut scene: Scene) -> bool {
    let schedstat = format!("/proc/{}/schedstat", scene.sidecar.pid().as_raw_nonzero());
    let time_on_processor = || {
        let schedstat = fs::read_to_string(&schedstat).unwrap();
        schedstat.split(' ').next().unwrap().to_owned()
    };
    scene.sidecar.wait_until_idle();
    let Some(hog) = keep_from_running(scene.sidecar.pid()) else {
        eprintln!("it takes a second processor, and real-time priority");
        return true;
    };
    let before = time_on_processor();
    let second = flip(&scene);
    if time_on_processor() != before {
        return false;
    }
    drop(hog);
    is_signalled_after_the_brief_change(scene, second, 0);
    true
}

#[test]
#[ignore = "needs root"]
fn w10_a_process_started_in_a_brief_change_while_the_sidecar_had_no_cpu_is_signalled() {
    eventually("without a processor", || {
        is_told_of_a_flip_unseen(Scene::new(whole))
    });
}

#[test]
fn stopping_and_continuing_an_idle_sidecar_changes_nothing() {
    let mut scene = Scene::new(whole);
    for content in ["one", "two"] {
        scene.sidecar.signal(Signal::STOP);
        scene.sidecar.signal(Signal::CONT);
        scene.changes("after it", content, |scene| {
            fs::write(scene.path("app.conf"), content).unwrap();
        });
    }
    assert_eq!(scene.finish().count("signal sent"), 2);
}
