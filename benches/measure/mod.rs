//! The measurements. Each returns its tables.

pub mod counted;
pub mod crowd;
pub mod growth;
pub mod idle;
pub mod size;
pub mod start;
pub mod storm;
pub mod updates;

use crate::contestants::{Depth, Job};
use crate::support::process::{Settings, Target};
use crate::support::unique_name;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs something. Returns how long it took, in milliseconds.
pub fn timed(action: impl FnOnce()) -> f64 {
    let start = Instant::now();
    action();
    start.elapsed().as_secs_f64() * 1e3
}

/// The size of a typical configuration file.
const FILE_SIZE: usize = 1_000;

/// Creates directories of small files, no two alike. Returns the path of the first file.
pub fn many_files(root: &Path, directories: usize, files_each: usize) -> PathBuf {
    for directory in 0..directories {
        let path = root.join(format!("d{directory:06}"));
        fs::create_dir_all(&path).unwrap();
        for file in 0..files_each {
            let line = format!("setting-{directory}-{file} = value\n");
            let content = line.repeat(FILE_SIZE / line.len());
            fs::write(path.join(format!("app-{file}.conf")), content).unwrap();
        }
    }
    root.join("d000000/app-0.conf")
}

/// A tree of many files in a temporary directory, which is removed at the end.
pub struct Tree {
    directory: tempfile::TempDir,
    pub file: PathBuf,
}

impl Tree {
    pub fn new(directories: usize, files_each: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = many_files(directory.path(), directories, files_each);
        Self { directory, file }
    }

    /// 10,000 files in 1,000 directories.
    pub fn large() -> Self {
        Self::new(1_000, 10)
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }
}

pub fn job<'j>(root: &'j Path, target: &'j Target, depth: Depth) -> Job<'j> {
    Job {
        root,
        name: &target.name,
        pid: target.talker.pid().as_raw_nonzero().get(),
        depth,
    }
}

/// A sidecar with its defaults, without the minimum age and the confirmation.
pub fn settings(root: &Path, name: &str) -> Settings {
    Settings::new(root, name).set("VERBOSE", "false")
}

/// Returns the milliseconds from the start of the sidecar until it has armed and read everything.
pub fn arming(root: &Path) -> f64 {
    let settings = settings(root, &unique_name());
    let mut sidecar = None;
    let elapsed = timed(|| sidecar = Some(settings.start()));
    let (_, log) = sidecar.unwrap().end();
    let log = log.join("\n");
    assert!(
        !log.contains("inotify is refused"),
        "raise the limit: {log}"
    );
    // The kernel removes the watches of an ended process in the background. The next round should not pay for that.
    std::thread::sleep(Duration::from_millis(50));
    elapsed
}

pub const READ: &str = r#"find "$0" -type f -exec cat {} + > /dev/null"#;
pub const READ_AND_HASH: &str = r#"find "$0" -type f -exec cat {} + | sha256sum"#;

/// Returns the milliseconds that a shell takes for a script in which `$0` is the directory.
pub fn shell(script: &str, root: &Path) -> f64 {
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(root).stdout(Stdio::null());
    timed(|| assert!(command.status().unwrap().success(), "{script}"))
}
