//! A FUSE file system, on which files change without the kernel knowing (W8).

use crate::support::is_root;
use crate::support::kernel::with_own_mounts;
use crate::support::scene::Scene;
use rustix::mount::{UnmountFlags, unmount};
use std::fs;
use std::process::Command;

#[test]
fn changes_that_inotify_misses_are_found_by_polling() {
    if !is_root() {
        return eprintln!("SKIPPED: mounting takes root");
    }
    with_own_mounts(|| {
        let mut scene = Scene::new(|directory| {
            for name in ["behind", "mounted"] {
                fs::create_dir(directory.join(name)).unwrap();
            }
            fs::write(directory.join("behind/a"), "1").unwrap();
            // No caches, which would show an old file for a second.
            let mounted = Command::new("bindfs")
                .args(["-o", "attr_timeout=0,entry_timeout=0,negative_timeout=0"])
                .args([directory.join("behind"), directory.join("mounted")])
                .status();
            assert!(mounted.unwrap().success());
            directory.join("mounted")
        });
        let log = scene.sidecar.seen().join("\n");
        let root = scene.path("mounted").display().to_string();
        let warning = format!(
            "{root} is on fuse, where inotify misses changes made elsewhere; comparing the content at intervals as well (CONFIG_POLL_INTERVAL)"
        );
        assert_eq!(log.matches(&warning).count(), 1, "{log}");
        scene.changes("behind the mount", "start", |scene| {
            fs::write(scene.path("behind/a"), "2").unwrap();
        });
        scene.changes("through the mount", "start", |scene| {
            fs::write(scene.path("mounted/a"), "3").unwrap();
        });
        scene.changes("a file that is new behind it", "start", |scene| {
            fs::write(scene.path("behind/b"), "4").unwrap();
        });
        let mounted = scene.path("mounted");
        let ending = scene.stop();
        unmount(&mounted, UnmountFlags::DETACH).unwrap();
        assert_eq!(ending.count("signal sent"), 3, "{:#?}", ending.log);
        assert_eq!(ending.count("is on fuse"), 1);
    });
}
