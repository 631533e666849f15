//! What is armed and what counts, over directories made up for it, told by a visitor that writes down what it is asked for.

use super::*;
use rustix::fs::FileType;
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Writes everything down.
#[derive(Default)]
struct Recorder {
    armed: Vec<(Part, PathBuf)>,
    last: Option<(Part, PathBuf)>,
    files: u32,
    directories: u32,
    shortfalls: Vec<(PathBuf, Shortfall)>,
    /// How often it may still be asked before it breaks the walk off.
    patience: Option<u32>,
    /// A directory that is removed when it is armed for the second time, and how often it was.
    removed: Option<(PathBuf, u32)>,
    knows_the_way: bool,
    only_arms: bool,
    /// What volumes have shown, and what they are known to show.
    shown: Vec<Fingerprint>,
    known: Option<Fingerprint>,
}

impl Visit for Recorder {
    fn reads(&self) -> bool {
        !self.only_arms
    }

    fn arm(&mut self, fd: BorrowedFd<'_>, part: Part) -> Armed {
        let path = path_of(fd);
        // As the kernel counts: what is armed for something more is no new watch.
        let is_new = self.armed.iter().all(|(_, known)| *known != path);
        if let Some((removed, times)) = &mut self.removed
            && *removed == path
        {
            *times += 1;
            if *times == 2 {
                fs::remove_dir(removed).unwrap();
            }
        }
        self.last = Some((part, path.clone()));
        if !self.armed.contains(&(part, path.clone())) {
            self.armed.push((part, path));
        }
        if is_new { Armed::New } else { Armed::Known }
    }

    fn knows_the_way(&mut self) -> bool {
        self.knows_the_way
    }

    fn volume(&mut self) -> Volume {
        let (part, path) = self.last.as_ref().unwrap();
        assert_eq!(*part, Part::Tree);
        assert!(path.join("..data").is_symlink());
        Volume {
            number: self.shown.len(),
            is_known: self.known.is_some(),
        }
    }

    fn shown(&mut self, volume: usize, names: Fingerprint) -> bool {
        assert_eq!(volume, self.shown.len());
        self.shown.push(names);
        self.known.take().is_none_or(|known| known == names)
    }

    fn found(&mut self, kind: FileType) {
        match kind {
            FileType::Directory => self.directories += 1,
            FileType::RegularFile => self.files += 1,
            other => panic!("{other:?} counts by its content"),
        }
    }

    fn falls_short(&mut self, directory: BorrowedFd<'_>, name: &[u8], shortfall: Shortfall) {
        let path = path_of(directory).join(std::ffi::OsStr::from_bytes(name));
        self.shortfalls.push((path, shortfall));
    }

    fn passed(&mut self, _: &rustix::fs::Stat) {}

    fn read(&mut self, _: BorrowedFd<'_>) {}

    fn counted(&mut self, _: &[u8], _: usize, _: Fingerprint) {}

    fn file_system(&mut self, _: BorrowedFd<'_>) {}

    fn is_interrupted(&mut self) -> bool {
        match &mut self.patience {
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

/// A directory to make things up in.
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
        let mut fingerprint = Fingerprint::default();
        let result = walk(
            self.path(root).as_os_str().as_bytes(),
            &mut fingerprint,
            &mut recorder,
        );
        (fingerprint, recorder, result)
    }

    fn fingerprint(&self, root: &str) -> Fingerprint {
        self.walk(root).0
    }

    /// What is armed below this directory, sorted, `.` for itself.
    fn armed(&self, recorder: &Recorder) -> Vec<String> {
        let mut armed: Vec<String> = recorder
            .armed
            .iter()
            .filter_map(|(part, path)| {
                let below = path.strip_prefix(self.0.path()).ok()?;
                let below = if below == Path::new("") {
                    Path::new(".")
                } else {
                    below
                };
                Some(format!("{part:?} {}", below.display()))
            })
            .collect();
        armed.sort();
        armed
    }

    /// Lays `files` out as the kubelet does, in the timestamped directory of this number.
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

// What is armed.

#[test]
fn a_directory_is_armed_with_everything_below_and_the_way_to_it() {
    let disk = Disk::new();
    disk.file("root/a", "a");
    disk.file("root/sub/deep/b", "b");
    disk.directory("beside");
    let (_, recorder) = disk.walk("root");
    assert_eq!(
        disk.armed(&recorder),
        [
            "Itself .",
            "Itself root",
            "Tree root",
            "Tree root/sub",
            "Tree root/sub/deep"
        ]
    );
    assert!(
        recorder
            .armed
            .contains(&(Part::Itself, disk.0.path().parent().unwrap().to_owned()))
    );
    assert_eq!((recorder.files, recorder.directories), (2, 3));
}

#[test]
fn a_file_is_armed_with_the_names_beside_it() {
    let disk = Disk::new();
    disk.file("root/app.conf", "a");
    disk.file("root/beside", "b");
    let (_, recorder) = disk.walk("root/app.conf");
    assert_eq!(
        disk.armed(&recorder),
        [
            "File root/app.conf",
            "Itself .",
            "Itself root",
            "Names root"
        ]
    );
    assert_eq!((recorder.files, recorder.directories), (1, 0));
}

#[test]
fn of_a_missing_root_the_deepest_directory_that_is_there_is_armed() {
    let disk = Disk::new();
    disk.directory("here");
    disk.file("file", "");
    for (root, armed) in [
        (
            "here/later/conf",
            &["Itself .", "Itself here", "Names here"][..],
        ),
        ("gone", &["Itself .", "Names ."]),
        ("file/below", &["Itself .", "Names ."]),
    ] {
        let (fingerprint, recorder, result) = disk.walk_with(root, Recorder::default());
        assert_eq!(result, Err(Errno::NOENT), "{root}");
        assert_eq!(disk.armed(&recorder), armed, "{root}");
        assert_ne!(
            fingerprint,
            Fingerprint::default(),
            "{root}: that it is missing counts"
        );
    }
}

#[test]
fn every_link_of_a_chain_is_armed_where_it_stands() {
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
            "File out/blue/conf/a",
            "Itself .",
            "Itself out",
            "Itself out/blue/conf",
            "Itself root",
            "Names out",
            "Names out/blue/conf",
            "Tree root",
        ]
    );
    assert_eq!(recorder.files, 1);
}

#[test]
fn a_root_that_is_a_link_is_armed_where_it_stands_and_where_it_leads() {
    let disk = Disk::new();
    disk.file("worktrees/one/a", "a");
    disk.link("current", "worktrees/one");
    let (_, recorder) = disk.walk("current");
    assert_eq!(
        disk.armed(&recorder),
        [
            "Itself .",
            "Itself worktrees/one",
            "Names .",
            "Tree worktrees/one"
        ]
    );
}

#[test]
fn w2_a_volumes_own_names_are_passed_over_and_what_its_links_lead_to_is_armed() {
    let disk = Disk::new();
    disk.volume("root", 1, &[("app.conf", "a"), ("dir/b.conf", "b")]);
    disk.file(
        "root/..2026_11_22_12_00_00.9/app.conf",
        "what the kubelet left behind",
    );
    let (_, recorder) = disk.walk("root");
    let new = "root/..2026_11_23_12_00_00.1";
    assert_eq!(
        disk.armed(&recorder),
        [
            "Itself .".to_owned(),
            "Itself root".to_owned(),
            "Tree root".to_owned(),
            format!("Tree {new}"),
            format!("Tree {new}/dir"),
        ]
    );
    assert_eq!((recorder.files, recorder.directories), (2, 2));
}

#[test]
fn a_file_with_another_name_elsewhere_is_armed_itself() {
    let disk = Disk::new();
    disk.file("root/a", "a");
    disk.file("root/b", "b");
    fs::hard_link(disk.path("root/a"), disk.path("elsewhere")).unwrap();
    let (_, recorder) = disk.walk("root");
    assert_eq!(
        disk.armed(&recorder),
        ["File root/a", "Itself .", "Itself root", "Tree root"]
    );
}

#[test]
fn dangling_links_are_armed_where_their_end_would_be() {
    let disk = Disk::new();
    disk.directory("root");
    disk.directory("out");
    disk.link("root/a", "../out/later");
    disk.link("root/self", "self");
    let (_, recorder) = disk.walk("root");
    assert_eq!(
        disk.armed(&recorder),
        [
            "Itself .",
            "Itself out",
            "Itself root",
            "Names out",
            "Tree root"
        ]
    );
    assert_eq!((recorder.files, recorder.shortfalls.len()), (0, 0));
}

// What ends the walk.

#[test]
fn cycles_are_entered_once() {
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
fn w1_the_seventeenth_level_is_too_deep_whether_or_not_a_link_leads_to_it() {
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
    assert_eq!(arms.shown, reads.shown);
}

#[test]
fn a_walk_that_is_broken_off_ends_soon() {
    let disk = Disk::new();
    for number in 0..100 {
        disk.file(&format!("root/d{}/f{number}", number % 10), "a");
    }
    for patience in [0, 1, 7, 50] {
        let recorder = Recorder {
            patience: Some(patience),
            ..Recorder::default()
        };
        let (_, recorder, _) = disk.walk_with("root", recorder);
        assert!(recorder.files <= patience, "{} files", recorder.files);
    }
}

#[test]
fn a_directory_that_goes_while_the_way_to_it_is_followed_is_gone_and_not_unreadable() {
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

// What counts.

#[test]
fn w4_the_order_in_which_entries_are_found_does_not_matter() {
    let disk = Disk::new();
    for number in 0..200 {
        disk.file(&format!("root/file-{number}"), &number.to_string());
    }
    let before = disk.fingerprint("root");
    fs::remove_dir_all(disk.path("root")).unwrap();
    for number in (0..200).rev() {
        disk.file(&format!("root/file-{number}"), &number.to_string());
    }
    assert_eq!(disk.fingerprint("root"), before);
}

#[test]
fn w4_what_an_application_reads_counts_and_not_how_it_is_laid_out() {
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
        "the same in another timestamped directory, the old one still there"
    );
    fs::rename(disk.path("root"), disk.path("elsewhere")).unwrap();
    disk.link("root", "elsewhere");
    assert_eq!(disk.fingerprint("root"), plain, "behind a link");
    assert_ne!(disk.fingerprint("elsewhere"), plain, "another root");
    disk.volume(
        "elsewhere",
        3,
        &[("app.conf", "changed"), files[1], files[2]],
    );
    assert_ne!(disk.fingerprint("root"), plain, "an update");
}

/// Something done to a disk.
type Step<'s> = &'s dyn Fn();

#[test]
fn w3_each_kind_of_change_is_one_and_taken_back_is_none() {
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
    for (what, change, take_back) in changes {
        change();
        let after = disk.fingerprint("root");
        assert!(!seen.contains(&after), "{what}");
        seen.push(after);
        take_back();
        assert_eq!(disk.fingerprint("root"), before, "{what}, and back");
    }
    let file = File::options()
        .write(true)
        .open(disk.path("root/a"))
        .unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(
        disk.fingerprint("root"),
        before,
        "the times of a file that is read do not count"
    );
}

#[test]
fn w4_fifos_sockets_and_links_to_them_count_without_being_opened() {
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
    // As a root, too.
    assert_eq!(disk.walk("root/fifo").1.files, 0);
}

#[test]
fn w4_a_large_file_counts_by_size_time_and_inode() {
    let disk = Disk::new();
    disk.file("root/large", "");
    let file = File::options()
        .write(true)
        .open(disk.path("root/large"))
        .unwrap();
    let look = |length: u64, time: u64| {
        file.set_len(length).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(time))
            .unwrap();
        disk.fingerprint("root")
    };
    // Up to the limit the content counts, here nothing but zeros, and time does not.
    assert_eq!(look(FULL_READ_MAX, 1), look(FULL_READ_MAX, 2));
    let large = look(FULL_READ_MAX + 1, 1);
    assert_ne!(look(FULL_READ_MAX + 1, 2), large);
    assert_ne!(look(FULL_READ_MAX + 2, 1), large);
    assert_eq!(look(FULL_READ_MAX + 1, 1), large);
    fs::rename(disk.path("root/large"), disk.path("moved")).unwrap();
    disk.file("root/large", "");
    let other = File::options()
        .write(true)
        .open(disk.path("root/large"))
        .unwrap();
    other.set_len(FULL_READ_MAX + 1).unwrap();
    other
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1))
        .unwrap();
    assert_ne!(disk.fingerprint("root"), large, "another inode");
}

#[test]
fn w2_a_volume_is_not_listed_if_it_is_known_what_it_shows() {
    let disk = Disk::new();
    disk.volume("root", 1, &[("a", "1"), ("b/c", "1")]);
    let (before, recorder) = disk.walk("root");
    let [names] = recorder.shown[..] else {
        panic!("{:?}", recorder.shown)
    };
    assert_ne!(names, Fingerprint::default());
    // Whoever lists it finds this.
    disk.file("root/other", "");
    let known = |names| Recorder {
        known: Some(names),
        ..Recorder::default()
    };
    let (fingerprint, recorder, _) = disk.walk_with("root", known(names));
    assert_eq!(
        (fingerprint, recorder.files, recorder.directories),
        (before, 2, 2)
    );
    assert_eq!(recorder.shown, [names]);
    let (listed, recorder) = disk.walk("root");
    assert_ne!(listed, before);
    assert_eq!(
        recorder.shown,
        [Fingerprint::default()],
        "not all of it is behind ..data"
    );

    fs::remove_file(disk.path("root/other")).unwrap();
    disk.volume("root", 2, &[("a", "2"), ("b/c", "2")]);
    let (listed, recorder) = disk.walk("root");
    assert_eq!(recorder.shown, [names], "the names are the same");
    let (fingerprint, recorder, _) = disk.walk_with("root", known(names));
    assert_eq!((fingerprint, recorder.shown.len()), (listed, 1));
}

#[test]
fn w2_a_volume_is_listed_if_it_shows_other_names_than_were_known() {
    let disk = Disk::new();
    disk.volume("root", 1, &[("a", "1"), ("b", "1")]);
    let (_, recorder) = disk.walk("root");
    let before = recorder.shown[0];
    // A key has gone, and its link is still there; then it is not.
    disk.volume("root", 2, &[("a", "2")]);
    for _ in 0..2 {
        let known = Recorder {
            known: Some(before),
            ..Recorder::default()
        };
        let (fingerprint, recorder, _) = disk.walk_with("root", known);
        assert_eq!(fingerprint, disk.fingerprint("root"));
        assert_eq!(recorder.shown.len(), 2);
        let _ = fs::remove_file(disk.path("root/b"));
    }
}

#[test]
fn names_that_begin_with_two_dots_count_where_there_is_no_volume() {
    let disk = Disk::new();
    disk.file("root/a", "a");
    let before = disk.fingerprint("root");
    disk.file("root/..b", "b");
    let plain = disk.fingerprint("root");
    assert_ne!(plain, before);
    // A directory of that name makes no volume.
    disk.file("root/..data/c", "c");
    assert_ne!(disk.fingerprint("root"), plain);
    fs::remove_dir_all(disk.path("root/..data")).unwrap();
    disk.link("root/..data", "nowhere");
    assert_eq!(
        disk.fingerprint("root"),
        before,
        "the names of a volume's writer"
    );
}
