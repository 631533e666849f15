//! Watches and fingerprints of directories made for each test.

use super::read::FULL_READ_MAX;
use super::*;
use crate::base::file::descriptor_path;
use crate::fingerprint::{Fingerprint, Secret};
use rustix::fd::BorrowedFd;
use rustix::fs::{CWD, FileType, Mode};
use rustix::io::Errno;
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Records what the walk does.
#[derive(Default)]
struct Recorder {
    armed: Vec<(Role, PathBuf)>,
    last: Option<(Role, PathBuf)>,
    files: u32,
    directories: u32,
    shortfalls: Vec<(PathBuf, Shortfall)>,
    budget: Budget,
    /// The number of calls left before the walk runs out of time.
    calls_until_late: Option<u32>,
    /// Volumes whose `..data` leads nowhere.
    broken: u32,
    /// The number of calls left before the walk is interrupted.
    calls_left: Option<u32>,
    /// A directory to remove when it is armed for the second time, and how often it has been armed.
    removed: Option<(PathBuf, u32)>,
    is_way_unchanged: bool,
    only_arms: bool,
    /// The names that volumes were listed with.
    listed: Vec<Fingerprint>,
    /// The names of the next volume, as if from an earlier scan.
    cached: Option<Fingerprint>,
}

impl Visit for Recorder {
    fn reads_files(&self) -> bool {
        !self.only_arms
    }

    fn arm(&mut self, fd: BorrowedFd<'_>, role: Role) -> Armed {
        let path = path_of(fd);
        // As in the kernel, arming it for another role makes no new watch.
        let is_new = self.armed.iter().all(|(_, known)| *known != path);
        if let Some((removed, times)) = &mut self.removed
            && *removed == path
        {
            *times += 1;
            if *times == 2 {
                fs::remove_dir(removed).unwrap();
            }
        }
        self.last = Some((role, path.clone()));
        if !self.armed.contains(&(role, path.clone())) {
            self.armed.push((role, path));
        }
        if is_new { Armed::New } else { Armed::Unchanged }
    }

    fn is_way_unchanged(&mut self) -> bool {
        self.is_way_unchanged
    }

    fn enter_volume(&mut self) -> Volume {
        let (role, path) = self.last.as_ref().unwrap();
        assert_eq!(*role, Role::Tree);
        assert!(path.join("..data").is_symlink());
        Volume {
            slot: self.listed.len(),
            is_cached: self.cached.is_some(),
        }
    }

    fn volume_broken(&mut self, slot: usize) {
        assert_eq!(slot, self.listed.len());
        self.broken += 1;
    }

    fn volume_listed(&mut self, slot: usize, names: Fingerprint) -> bool {
        assert_eq!(slot, self.listed.len());
        self.listed.push(names);
        self.cached.take().is_none_or(|cached| cached == names)
    }

    fn count(&mut self, kind: FileType) {
        match kind {
            FileType::Directory => self.directories += 1,
            FileType::RegularFile => self.files += 1,
            other => panic!("{other:?} is counted"),
        }
    }

    fn fell_short(&mut self, directory: BorrowedFd<'_>, name: &[u8], shortfall: Shortfall) {
        let path = path_of(directory).join(std::ffi::OsStr::from_bytes(name));
        self.shortfalls.push((path, shortfall));
    }

    fn saw_status(&mut self, _: &rustix::fs::Stat) {}

    fn was_read(&mut self, _: BorrowedFd<'_>) {}

    fn fingerprinted(&mut self, _: &[u8], _: usize, _: Fingerprint) {}

    fn entered_file_system(&mut self, fd: BorrowedFd<'_>) -> Passage {
        if path_of(fd).starts_with("/proc") {
            Passage::Closed
        } else {
            Passage::Open
        }
    }

    fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    fn is_interrupted(&mut self, _: u32) -> bool {
        match &mut self.calls_until_late {
            Some(0) => self.budget.expire(),
            Some(left) => *left -= 1,
            None => {}
        }
        match &mut self.calls_left {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }
}

fn path_of(fd: BorrowedFd<'_>) -> PathBuf {
    let path = rustix::fs::readlinkat(CWD, descriptor_path(fd).as_c_str(), Vec::new()).unwrap();
    PathBuf::from(std::ffi::OsString::from_vec(path.into_bytes()))
}

/// A temporary directory to make up trees in.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn directory(&self, name: &str) {
        fs::create_dir_all(self.path(name)).unwrap();
    }

    fn file(&self, name: &str, content: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    fn link(&self, name: &str, target: impl AsRef<Path>) {
        symlink(target, self.path(name)).unwrap();
    }

    fn walk(&self, root: &str) -> (Fingerprint, Recorder) {
        let (fingerprint, recorder, result) = self.walk_with(root, Recorder::default());
        assert_eq!(result, Ok(()));
        (fingerprint, recorder)
    }

    fn walk_with(
        &self,
        root: &str,
        mut recorder: Recorder,
    ) -> (Fingerprint, Recorder, Result<(), Errno>) {
        let key = Secret::new([7; 16]).root(0);
        let walked = walk(self.path(root).as_os_str().as_bytes(), key, &mut recorder);
        (walked.fingerprint, recorder, walked.outcome)
    }

    fn fingerprint(&self, root: &str) -> Fingerprint {
        self.walk(root).0
    }

    /// Returns what is armed in this directory, sorted; `.` is the directory itself.
    fn armed(&self, recorder: &Recorder) -> Vec<String> {
        let mut armed: Vec<String> = recorder
            .armed
            .iter()
            .filter_map(|(role, path)| {
                let below = path.strip_prefix(self.0.path()).ok()?;
                let below = if below == Path::new("") {
                    Path::new(".")
                } else {
                    below
                };
                Some(format!("{role:?} {}", below.display()))
            })
            .collect();
        armed.sort();
        armed
    }

    /// Lays out files as the kubelet does, in the timestamped directory with this number.
    fn volume(&self, root: &str, number: u32, files: &[(&str, &str)]) {
        let timestamped = format!("..2026_11_23_12_00_00.{number}");
        for (name, content) in files {
            self.file(&format!("{root}/{timestamped}/{name}"), content);
            let key = name.split('/').next().unwrap();
            let _ = symlink(format!("..data/{key}"), self.path(root).join(key));
        }
        let _ = fs::remove_file(self.path(root).join("..data"));
        self.link(&format!("{root}/..data"), timestamped);
    }
}

// Watches.

#[test]
fn w1_a_directory_is_armed_with_everything_below_it_and_the_way_to_it() {
    let disk = Disk::new();
    disk.file("root/a", "a");
    disk.file("root/sub/deep/b", "b");
    disk.directory("beside");
    let (_, recorder) = disk.walk("root");
    assert_eq!(
        disk.armed(&recorder),
        [
            "Ancestor .",
            "Ancestor root",
            "Tree root",
            "Tree root/sub",
            "Tree root/sub/deep"
        ]
    );
    assert!(
        recorder
            .armed
            .contains(&(Role::Ancestor, disk.0.path().parent().unwrap().to_owned()))
    );
    assert_eq!((recorder.files, recorder.directories), (2, 3));
}

#[test]
fn w1_a_file_is_armed_through_its_directory() {
    let disk = Disk::new();
    disk.file("root/app.conf", "a");
    disk.file("root/beside", "b");
    let (_, recorder) = disk.walk("root/app.conf");
    assert_eq!(
        disk.armed(&recorder),
        [
            "Ancestor .",
            "Ancestor root",
            "File root/app.conf",
            "Lookup root"
        ]
    );
    assert_eq!((recorder.files, recorder.directories), (1, 0));
}

#[test]
fn w6_the_nearest_existing_directory_of_a_missing_root_is_armed() {
    let disk = Disk::new();
    disk.directory("here");
    disk.file("file", "");
    for (root, armed) in [
        (
            "here/later/conf",
            &["Ancestor .", "Ancestor here", "Lookup here"][..],
        ),
        ("gone", &["Ancestor .", "Lookup ."]),
        ("file/below", &["Ancestor .", "Lookup ."]),
    ] {
        let (fingerprint, recorder, result) = disk.walk_with(root, Recorder::default());
        assert_eq!(result, Err(Errno::NOENT), "{root}");
        assert_eq!(disk.armed(&recorder), armed, "{root}");
        assert_ne!(
            fingerprint,
            Fingerprint::default(),
            "{root}: a missing root is in the fingerprint"
        );
    }
}

#[test]
fn w5_every_link_of_a_chain_is_armed() {
    let disk = Disk::new();
    disk.file("out/blue/conf/a", "a");
    disk.link("out/live", "blue");
    disk.link("out/hop", "live/conf/a");
    disk.directory("root");
    disk.link("root/a", disk.path("out/hop"));
    let (_, recorder) = disk.walk("root");
    assert_eq!(
        disk.armed(&recorder),
        [
            "Ancestor .",
            "Ancestor out",
            "Ancestor out/blue/conf",
            "Ancestor root",
            "File out/blue/conf/a",
            "Lookup out",
            "Lookup out/blue/conf",
            "Tree root",
        ]
    );
    assert_eq!(recorder.files, 1);
}

#[test]
fn w5_a_root_that_is_a_link_is_armed_at_both_ends() {
    let disk = Disk::new();
    disk.file("worktrees/one/a", "a");
    disk.link("current", "worktrees/one");
    let (_, recorder) = disk.walk("current");
    assert_eq!(
        disk.armed(&recorder),
        [
            "Ancestor .",
            "Ancestor worktrees/one",
            "Lookup .",
            "Tree worktrees/one"
        ]
    );
}

#[test]
fn an_unchanged_way_is_not_resolved_again() {
    let disk = Disk::new();
    disk.file("root/a", "a");
    let resolved = disk.fingerprint("root");
    let recorder = Recorder {
        is_way_unchanged: true,
        ..Recorder::default()
    };
    let (fingerprint, recorder, _) = disk.walk_with("root", recorder);
    assert_eq!(disk.armed(&recorder), ["Tree root"]);
    assert_eq!(fingerprint, resolved);
}

#[test]
fn w2_hidden_names_of_a_volume_are_skipped_and_what_its_links_lead_to_is_armed() {
    let disk = Disk::new();
    disk.volume("root", 1, &[("app.conf", "a"), ("dir/b.conf", "b")]);
    disk.file(
        "root/..2026_11_22_12_00_00.9/app.conf",
        "left behind by the kubelet",
    );
    let (_, recorder) = disk.walk("root");
    let new = "root/..2026_11_23_12_00_00.1";
    assert_eq!(
        disk.armed(&recorder),
        [
            "Ancestor .".to_owned(),
            "Ancestor root".to_owned(),
            "Tree root".to_owned(),
            format!("Tree {new}"),
            format!("Tree {new}/dir"),
        ]
    );
    assert_eq!((recorder.files, recorder.directories), (2, 2));
}

#[test]
fn w3_a_file_with_a_second_hard_link_is_armed_itself() {
    let disk = Disk::new();
    disk.file("root/a", "a");
    disk.file("root/b", "b");
    fs::hard_link(disk.path("root/a"), disk.path("elsewhere")).unwrap();
    let (_, recorder) = disk.walk("root");
    assert_eq!(
        disk.armed(&recorder),
        ["Ancestor .", "Ancestor root", "File root/a", "Tree root"]
    );
}

#[test]
fn w5_the_directory_where_a_dangling_link_would_end_is_armed() {
    let disk = Disk::new();
    disk.directory("root");
    disk.directory("out");
    disk.link("root/a", "../out/later");
    disk.link("root/self", "self");
    let (_, recorder) = disk.walk("root");
    assert_eq!(
        disk.armed(&recorder),
        [
            "Ancestor .",
            "Ancestor out",
            "Ancestor root",
            "Lookup out",
            "Tree root"
        ]
    );
    assert_eq!((recorder.files, recorder.shortfalls.len()), (0, 0));
}

// Limits.

#[test]
fn w1_cycles_are_entered_once() {
    let disk = Disk::new();
    disk.file("root/sub/a", "a");
    disk.link("root/sub/up", "..");
    disk.link("root/sub/here", ".");
    disk.link("root/out", "../other");
    disk.directory("other");
    disk.link("other/back", "../root");
    let (_, recorder) = disk.walk("root");
    assert_eq!((recorder.files, recorder.directories), (1, 3));
    assert_eq!(recorder.shortfalls, []);
}

#[test]
fn w1_directories_below_level_16_are_not_entered_even_through_a_link() {
    let disk = Disk::new();
    let sixteen: Vec<String> = (1..=LEVELS).map(|level| format!("l{level}")).collect();
    let sixteen = format!("root/{}", sixteen.join("/"));
    disk.file(&format!("{sixteen}/file"), "a");
    disk.file("other/file", "b");
    let (_, recorder) = disk.walk("root");
    assert_eq!(
        (recorder.directories as usize, recorder.shortfalls.len()),
        (LEVELS + 1, 0)
    );
    disk.directory(&format!("{sixteen}/l17/l18"));
    disk.link(&format!("{sixteen}/link"), disk.path("other"));
    disk.link(&format!("{sixteen}/link-to-file"), disk.path("other/file"));
    let (_, mut recorder) = disk.walk("root");
    recorder
        .shortfalls
        .sort_by(|one, other| one.0.cmp(&other.0));
    let expected = ["l17", "link"].map(|name| (disk.path(&sixteen).join(name), Shortfall::TooDeep));
    assert_eq!(recorder.shortfalls, expected);
    assert_eq!(
        (recorder.directories as usize, recorder.files),
        (LEVELS + 1, 2)
    );
}

#[test]
fn w7_a_walk_that_only_arms_sets_the_same_watches_and_reads_no_file() {
    let disk = Disk::new();
    disk.volume("root/volume", 1, &[("a", "1"), ("d/b", "2")]);
    disk.file("root/d/e/file", "3");
    disk.file("elsewhere/file", "4");
    disk.link("root/d/directory", "../../elsewhere");
    disk.link("root/d/link", "../../elsewhere/file");
    disk.link("root/nowhere", "missing");
    let (_, reads) = disk.walk("root");
    let recorder = Recorder {
        only_arms: true,
        ..Recorder::default()
    };
    let (_, arms, _) = disk.walk_with("root", recorder);
    assert_eq!(disk.armed(&arms), disk.armed(&reads));
    assert_eq!((arms.files, reads.files), (0, 5));
    assert_eq!(arms.listed, reads.listed);
}

#[test]
fn w12_what_links_lead_to_does_not_use_up_what_real_entries_need() {
    let disk = Disk::new();
    for one in 0..12 {
        for link in 0..12 {
            disk.directory(&format!("root/d{one}"));
            disk.link(&format!("root/d{one}/l{link}"), format!("../d{link}"));
        }
        disk.file(&format!("root/d{one}/zz"), "real");
    }
    let (before, recorder) = disk.walk("root");
    assert!(matches!(
        recorder.shortfalls[0].1,
        Shortfall::Exceeded(Bound::Links)
    ));
    assert_eq!(disk.fingerprint("root"), before, "the same each time");
    for one in 0..12 {
        let tree = format!("Tree root/d{one}");
        assert!(disk.armed(&recorder).contains(&tree), "{tree}");
        disk.file(&format!("root/d{one}/zz"), "new");
        assert_ne!(disk.fingerprint("root"), before, "d{one}");
        disk.file(&format!("root/d{one}/zz"), "real");
    }
}

#[test]
fn w12_a_walk_that_runs_out_of_time_is_repeatable() {
    let disk = Disk::new();
    for number in 0..100 {
        disk.file(&format!("root/d{}/f{number}", number % 10), "a");
    }
    for calls in [20, 50, 90] {
        let late = Recorder {
            calls_until_late: Some(calls),
            ..Recorder::default()
        };
        let (before, mut late, _) = disk.walk_with("root", late);
        let steps_max = late.budget().steps_max();
        let again = || {
            let recorder = Recorder {
                budget: Budget::new(steps_max),
                ..Recorder::default()
            };
            disk.walk_with("root", recorder)
        };
        let (after, recorder, _) = again();
        assert_eq!(after, before, "after {calls} calls");
        let (_, shortfall) = recorder.shortfalls[0];
        assert_eq!(shortfall, Shortfall::Exceeded(Bound::Time));
        assert_eq!(again().0, before, "and again");
    }
}

#[test]
fn w12_file_systems_that_are_not_entered_count_by_their_name() {
    let disk = Disk::new();
    disk.directory("root");
    let empty = disk.fingerprint("root");
    disk.link("root/directory", "/proc");
    disk.link("root/file", "/proc/uptime");
    let (before, recorder) = disk.walk("root");
    assert_ne!(before, empty);
    assert_eq!((recorder.files, recorder.directories), (0, 1));
    // A root is somebody's wish, which is refused aloud.
    let (_, _, outcome) = disk.walk_with("/proc", Recorder::default());
    assert_eq!(outcome, Err(Errno::OPNOTSUPP));
}

#[test]
fn w12_a_path_of_too_many_steps_is_unreadable() {
    let disk = Disk::new();
    disk.file("root/file", "");
    disk.link("root/short", format!("{}file", "../root/".repeat(200)));
    disk.link("root/long", format!("{}file", "../root/".repeat(501)));
    let (_, recorder) = disk.walk("root");
    let expected = (disk.path("root/long"), Shortfall::Unreadable(Errno::BUSY));
    assert_eq!(recorder.shortfalls, [expected]);
    assert_eq!(recorder.files, 2);
}

#[test]
fn w5_a_volume_whose_data_leads_nowhere_is_no_volume_yet() {
    let disk = Disk::new();
    disk.directory("root");
    disk.link("root/..data", "..later");
    let (before, recorder) = disk.walk("root");
    assert_eq!(recorder.broken, 1);
    disk.file("root/..later/app.conf", "a");
    disk.link("root/app.conf", "..data/app.conf");
    let (after, recorder) = disk.walk("root");
    assert_ne!(after, before);
    assert_eq!((recorder.broken, recorder.files), (0, 1));
}

#[test]
fn l1_an_interrupted_walk_ends_soon() {
    let disk = Disk::new();
    for number in 0..100 {
        disk.file(&format!("root/d{}/f{number}", number % 10), "a");
    }
    for calls in [0, 1, 7, 50] {
        let recorder = Recorder {
            calls_left: Some(calls),
            ..Recorder::default()
        };
        let (_, recorder, _) = disk.walk_with("root", recorder);
        assert!(recorder.files <= calls, "{} files", recorder.files);
    }
}

#[test]
fn a_directory_removed_while_it_is_resolved_is_missing_and_not_unreadable() {
    for root in ["root", "gone"] {
        let disk = Disk::new();
        disk.directory("root");
        disk.directory("gone");
        disk.link("root/link", "../gone");
        let recorder = Recorder {
            removed: Some((disk.path("gone"), 0)),
            ..Recorder::default()
        };
        let (_, recorder, _) = disk.walk_with(root, recorder);
        assert!(!disk.path("gone").exists());
        assert_eq!(recorder.shortfalls, [], "{root}");
    }
}

// The fingerprint.

#[test]
fn w4_the_same_content_has_the_same_fingerprint_however_it_is_laid_out() {
    let disk = Disk::new();
    let files = [("app.conf", "a"), ("dir/b.conf", "b"), ("dir/c.conf", "c")];
    for (name, content) in files {
        disk.file(&format!("root/{name}"), content);
    }
    let plain = disk.fingerprint("root");
    fs::remove_dir_all(disk.path("root")).unwrap();
    disk.volume("root", 1, &files);
    assert_eq!(disk.fingerprint("root"), plain, "a volume");
    disk.volume("root", 2, &files);
    assert_eq!(
        disk.fingerprint("root"),
        plain,
        "the same in another timestamped directory beside the old one"
    );
    fs::rename(disk.path("root"), disk.path("elsewhere")).unwrap();
    disk.link("root", "elsewhere");
    assert_eq!(disk.fingerprint("root"), plain, "behind a link");
    assert_eq!(disk.fingerprint("elsewhere"), plain, "another path");
    disk.volume(
        "elsewhere",
        3,
        &[("app.conf", "changed"), files[1], files[2]],
    );
    assert_ne!(disk.fingerprint("root"), plain, "an update");
}

/// A step that changes a disk.
type Step<'s> = &'s dyn Fn();

#[test]
fn w3_every_change_alters_the_fingerprint_and_undoing_it_restores_it() {
    let disk = Disk::new();
    disk.file("root/a", "a");
    disk.file("root/b", "b");
    disk.directory("root/sub");
    disk.link("root/link", "a");
    let before = disk.fingerprint("root");
    let swap = || {
        fs::rename(disk.path("root/a"), disk.path("root/tmp")).unwrap();
        fs::rename(disk.path("root/b"), disk.path("root/a")).unwrap();
        fs::rename(disk.path("root/tmp"), disk.path("root/b")).unwrap();
    };
    let write = |content: &str| fs::write(disk.path("root/a"), content).unwrap();
    let move_to = |from: &str, to: &str| fs::rename(disk.path(from), disk.path(to)).unwrap();
    let changes: [(&str, Step, Step); 8] = [
        ("written", &|| write("x"), &|| write("a")),
        ("emptied", &|| write(""), &|| write("a")),
        ("longer", &|| write("aa"), &|| write("a")),
        ("renamed", &|| move_to("root/a", "root/c"), &|| {
            move_to("root/c", "root/a")
        }),
        ("swapped", &swap, &swap),
        ("moved down", &|| move_to("root/a", "root/sub/a"), &|| {
            move_to("root/sub/a", "root/a")
        }),
        ("an empty file", &|| disk.file("root/new", ""), &|| {
            fs::remove_file(disk.path("root/new")).unwrap()
        }),
        (
            "an empty directory",
            &|| disk.directory("root/new"),
            &|| fs::remove_dir(disk.path("root/new")).unwrap(),
        ),
    ];
    let mut seen = vec![before];
    for (what, change, undo) in changes {
        change();
        let after = disk.fingerprint("root");
        assert!(!seen.contains(&after), "{what}");
        seen.push(after);
        undo();
        assert_eq!(disk.fingerprint("root"), before, "{what}, then undone");
    }
    let file = File::options()
        .write(true)
        .open(disk.path("root/a"))
        .unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(
        disk.fingerprint("root"),
        before,
        "the mtime of a small file"
    );
}

#[test]
fn w4_fifos_and_sockets_count_without_being_opened() {
    let disk = Disk::new();
    disk.directory("root");
    let before = disk.fingerprint("root");
    rustix::fs::mknodat(CWD, disk.path("root/fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let with_fifo = disk.fingerprint("root");
    assert_ne!(with_fifo, before);
    disk.link("root/link", "fifo");
    let _socket = std::os::unix::net::UnixListener::bind(disk.path("root/socket")).unwrap();
    let (fingerprint, recorder) = disk.walk("root");
    assert_ne!(fingerprint, with_fifo);
    assert_eq!((recorder.files, recorder.shortfalls.len()), (0, 0));
    // The same holds for a root.
    assert_eq!(disk.walk("root/fifo").1.files, 0);
}

#[test]
fn w4_a_read_error_is_passed_on() {
    let disk = Disk::new();
    let directory = File::open(disk.path("")).unwrap().into();
    let key = Secret::new([7; 16]).root(0);
    let read = super::read::content(&directory, 1, key, &mut Recorder::default());
    assert_eq!(read, Err(Errno::ISDIR));
}

#[test]
fn w4_size_times_and_inode_stand_in_for_the_content_of_a_large_file() {
    let disk = Disk::new();
    disk.file("root/large", "");
    let mut options = File::options();
    let file = options.write(true).open(disk.path("root/large")).unwrap();
    let scan = |length: u64| {
        file.set_len(length).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        disk.fingerprint("root")
    };
    // Up to the limit only the content counts, here zeros.
    let small = scan(FULL_READ_MAX);
    file.set_modified(std::time::SystemTime::now()).unwrap();
    assert_eq!(disk.fingerprint("root"), small);
    let large = scan(FULL_READ_MAX + 1);
    assert_eq!(disk.fingerprint("root"), large, "reading changes nothing");
    assert_ne!(scan(FULL_READ_MAX + 2), large);
    // The clock of ctime ticks every few milliseconds.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let written = || {
        file.write_all_at(b"changed", 0).unwrap();
        scan(FULL_READ_MAX + 1)
    };
    while written() == large {
        assert!(std::time::Instant::now() < deadline, "mtime is set back");
    }
}

#[test]
fn w2_a_volume_with_cached_names_is_not_listed() {
    let disk = Disk::new();
    disk.volume("root", 1, &[("a", "1"), ("b/c", "1")]);
    let (before, recorder) = disk.walk("root");
    let [names] = recorder.listed[..] else {
        panic!("{:?}", recorder.listed)
    };
    assert_ne!(names, Fingerprint::default());
    // Only listing the volume finds this file.
    disk.file("root/other", "");
    let with_cached = |names| Recorder {
        cached: Some(names),
        ..Recorder::default()
    };
    let (fingerprint, recorder, _) = disk.walk_with("root", with_cached(names));
    assert_eq!(
        (fingerprint, recorder.files, recorder.directories),
        (before, 2, 2)
    );
    assert_eq!(recorder.listed, [names]);
    let (listed, recorder) = disk.walk("root");
    assert_ne!(listed, before);
    assert_eq!(
        recorder.listed,
        [Fingerprint::default()],
        "an entry that is no link through ..data"
    );

    fs::remove_file(disk.path("root/other")).unwrap();
    disk.volume("root", 2, &[("a", "2"), ("b/c", "2")]);
    let (listed, recorder) = disk.walk("root");
    assert_eq!(recorder.listed, [names], "the same names");
    let (fingerprint, recorder, _) = disk.walk_with("root", with_cached(names));
    assert_eq!((fingerprint, recorder.listed.len()), (listed, 1));
}

#[test]
fn w2_a_volume_with_other_names_than_cached_is_listed_again() {
    let disk = Disk::new();
    disk.volume("root", 1, &[("a", "1"), ("b", "1")]);
    let (_, recorder) = disk.walk("root");
    let before = recorder.listed[0];
    // First the key is gone and its link is still there, then the link is gone as well.
    disk.volume("root", 2, &[("a", "2")]);
    for _ in 0..2 {
        let recorder = Recorder {
            cached: Some(before),
            ..Recorder::default()
        };
        let (fingerprint, recorder, _) = disk.walk_with("root", recorder);
        assert_eq!(fingerprint, disk.fingerprint("root"));
        assert_eq!(recorder.listed.len(), 2);
        let _ = fs::remove_file(disk.path("root/b"));
    }
}

#[test]
fn w4_names_that_begin_with_two_dots_count_below_plain_directories_alone() {
    let disk = Disk::new();
    disk.file("root/sub/a", "a");
    let before = disk.fingerprint("root");
    disk.file("root/..b", "b");
    disk.file("root/..data/c", "c");
    assert_eq!(disk.fingerprint("root"), before, "directly below a root");
    disk.link("root/..link", "..b");
    disk.file("root/sub/..b", "b");
    let plain = disk.fingerprint("root");
    assert_ne!(plain, before);
    // A directory of that name does not make it a volume.
    disk.file("root/sub/..data/c", "c");
    assert_ne!(disk.fingerprint("root"), plain);
    fs::remove_dir_all(disk.path("root/sub/..data")).unwrap();
    disk.link("root/sub/..data", "nowhere");
    assert_eq!(disk.fingerprint("root"), before, "in a volume");
    disk.link("root/b", "..b");
    let linked = disk.fingerprint("root");
    disk.file("root/..b", "other");
    assert_ne!(disk.fingerprint("root"), linked, "where a link leads to it");
}
