//! What is measured.

pub mod counted;
pub mod crowd;
pub mod growth;
pub mod rest;
pub mod size;
pub mod storm;
pub mod updates;

use crate::support::process::Settings;
use crate::support::unique_name;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// What a configuration file may have.
const FILE_SIZE: usize = 1_000;

/// Small files in many directories, no two alike; the first of them.
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

/// A sidecar with its defaults, but that it waits for no age and for no confirmation.
pub fn settings(root: &Path, name: &str) -> Settings {
    Settings::new(root, name).set("VERBOSE", "false")
}

/// From the start of the sidecar until it says that it watches, in milliseconds. By then it has read everything.
pub fn arming(root: &Path) -> f64 {
    let start = Instant::now();
    let sidecar = settings(root, &unique_name()).start();
    let elapsed = ms(start.elapsed());
    let (_, log) = sidecar.end();
    let log = log.join("\n");
    assert!(
        !log.contains("inotify is refused"),
        "raise the limit: {log}"
    );
    // The kernel tears the watches of an ended sidecar down in the background; the next round is not to pay for it.
    std::thread::sleep(Duration::from_millis(50));
    elapsed
}

/// The time that a shell takes for `script`, in which `$0` is the directory, in milliseconds.
pub fn shell(script: &str, root: &Path) -> f64 {
    let start = Instant::now();
    let mut command = Command::new("sh");
    let status = command
        .args(["-c", script])
        .arg(root)
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success(), "{script}");
    ms(start.elapsed())
}

pub const HASH_SUM: &str = r#"find "$0" -type f -exec cat {} + | sha256sum"#;
pub const READ: &str = r#"find "$0" -type f -exec cat {} + > /dev/null"#;
