//! Helpers for the fuzz targets: a log that collects its lines, files in memory, and a `/proc` with files to write.

use config_reloader_sidecar::process::{Proc, Process, parse_stat};
use config_reloader_sidecar::report::Report;
use config_reloader_sidecar::report::line::{Format, LINE_MAX, Level, Line};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::Pid;
use std::cell::RefCell;
use std::fs::{self, File};
use std::io::Seek;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

thread_local! {
    static LINES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Returns the lines of text that `run` logs, debug lines included.
pub fn logged(run: impl FnOnce(&mut Report)) -> Vec<String> {
    let mut report = Report::new();
    report.set(Format::Text, Level::Debug);
    report.log.sink = Some(|line| LINES.with_borrow_mut(|lines| lines.push(line.to_vec())));
    run(&mut report);
    LINES
        .take()
        .into_iter()
        .map(|line| checked(Format::Text, line))
        .collect()
}

/// Returns a line that `compose` fills, checked to be a line of text or a JSON object.
pub fn line(format: Format, compose: impl FnOnce(&mut Line)) -> String {
    let mut line = Line::empty(format);
    line.begin(Level::Info, 0);
    compose(&mut line);
    checked(format, line.finish().to_vec())
}

/// Checks a line and strips its line feed.
fn checked(format: Format, line: Vec<u8>) -> String {
    assert!(line.len() <= LINE_MAX, "{} bytes", line.len());
    let line = String::from_utf8(line).expect("a line is UTF-8");
    let line = line
        .strip_suffix('\n')
        .expect("a line ends with a line feed");
    assert!(!line.contains(char::is_control), "{line:?}");
    if format == Format::Json {
        json(line);
    }
    line.to_owned()
}

/// Parses a JSON line. Returns its members except time and level, sorted by key.
pub fn json(line: &str) -> serde_json::Map<String, serde_json::Value> {
    let parsed = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let serde_json::Value::Object(mut members) = parsed else {
        panic!("not an object: {line}")
    };
    assert!(members.remove("time").is_some(), "{line}");
    assert!(members.remove("level").is_some(), "{line}");
    assert!(members.contains_key("message"), "{line}");
    members
}

/// Returns what follows time and level in a line of text.
pub fn text(line: &str) -> &str {
    &line["1970-01-01T00:00:00.000Z info  ".len()..]
}

/// A file in memory.
pub struct Memory(File);

impl Memory {
    pub fn new() -> Self {
        Self(memfd_create("fuzz", MemfdFlags::CLOEXEC).unwrap().into())
    }

    /// Replaces the content and rewinds the file.
    pub fn write(&self, content: &[u8]) {
        self.0.set_len(0).unwrap();
        self.0.write_all_at(content, 0).unwrap();
        (&self.0).rewind().unwrap();
    }

    pub fn file(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.0.as_raw_fd())
    }
}

/// A `/proc` with two processes: the sidecar, and [`TARGET`], one file of which can be written.
pub struct Fixture {
    pub proc: Proc,
    file: File,
}

/// The target's process id.
pub const TARGET: i32 = 7;

/// Returns a line of `/proc/PID/stat`. Fields that the sidecar does not read are 0.
pub fn stat(pid: i32, comm: &[u8], parent: i32, start: u64) -> Vec<u8> {
    let mut stat = format!("{pid} (").into_bytes();
    stat.extend_from_slice(comm);
    let rest = format!(") S {parent} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 {start} 0 0\n");
    stat.extend_from_slice(rest.as_bytes());
    stat
}

/// Returns the target with this name.
pub fn process(comm: &[u8]) -> Process {
    parse_stat(target(), &stat(TARGET, comm, 1, 100)).expect("a well-formed line")
}

impl Fixture {
    pub fn new(file: &str) -> Self {
        let directory = directory();
        for (pid, comm) in [(1, "sidecar"), (TARGET, "app")] {
            fs::create_dir(directory.join(pid.to_string())).unwrap();
            let path = directory.join(format!("{pid}/stat"));
            fs::write(path, stat(pid, comm.as_bytes(), 0, 100)).unwrap();
        }
        let path = directory.join(format!("{TARGET}/{file}"));
        let file = File::create(path).unwrap();
        let root = File::open(directory).unwrap();
        Self {
            proc: Proc::new(root.into(), Pid::INIT).unwrap(),
            file,
        }
    }

    /// Replaces the content of the file.
    pub fn write(&self, content: &[u8]) {
        self.file.set_len(0).unwrap();
        self.file.write_all_at(content, 0).unwrap();
    }
}

/// Returns [`TARGET`] as a `Pid`.
pub fn target() -> Pid {
    Pid::from_raw(TARGET).unwrap_or(Pid::INIT)
}

/// Returns an empty directory, in memory if possible. It is removed when the fuzzer exits.
fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    extern "C" fn remove() {
        if let Some(directory) = DIRECTORY.get() {
            let _ = fs::remove_dir_all(directory);
        }
    }
    DIRECTORY.get_or_init(|| {
        // SAFETY: `remove` may be called at any time.
        unsafe { libc::atexit(remove) };
        let shared = tempfile::tempdir_in("/dev/shm");
        shared.or_else(|_| tempfile::tempdir()).unwrap().keep()
    })
}
