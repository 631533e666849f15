//! A made-up `/proc` for tests.

use super::{Proc, Process, Role, Scanned, Status};
use crate::config::{CommaList, Matcher, Select};
use rustix::io;
use rustix::process::Pid;
use std::format;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::string::ToString;
use std::vec::Vec;
use tempfile::TempDir;

/// The sidecar's id in every fixture.
pub const OWN: i32 = 1000;

/// A process in the fixture.
#[derive(Clone, Copy)]
pub struct Sample<'s> {
    pub pid: i32,
    pub parent: i32,
    pub comm: &'s [u8],
    pub cmdline: &'s [u8],
    pub state: &'s str,
    pub flags: u64,
    pub threads: u32,
}

pub const NGINX: Sample = Sample {
    pid: 10,
    parent: 1,
    comm: b"nginx",
    cmdline: b"nginx\0",
    state: "S",
    flags: 0,
    threads: 1,
};

/// Returns a `stat` line as the kernel writes it, up to field 24.
pub fn stat_line(
    pid: &str,
    comm: &[u8],
    state: &str,
    parent: &str,
    flags: &str,
    threads: &str,
    start: &str,
) -> Vec<u8> {
    let after = format!(
        ") {state} {parent} 1 1 0 -1 {flags} 9 9 9 9 7 7 7 7 20 0 {threads} 0 {start} 3133440 418\n"
    );
    [format!("{pid} (").as_bytes(), comm, after.as_bytes()].concat()
}

/// A directory laid out like `/proc`, in which the sidecar is process 1000 and called `reloader`.
pub struct Tree {
    directory: TempDir,
}

impl Tree {
    pub fn of(samples: &[Sample]) -> Self {
        let tree = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        tree.add(&Sample {
            pid: OWN,
            parent: 0,
            comm: b"reloader",
            cmdline: b"/reloader\0",
            ..NGINX
        });
        for sample in samples {
            tree.add(sample);
        }
        tree
    }

    fn add(&self, sample: &Sample) {
        let (pid, parent) = (sample.pid.to_string(), sample.parent.to_string());
        let flags = sample.flags.to_string();
        fs::create_dir(self.path(&pid)).unwrap();
        let threads = sample.threads.to_string();
        let stat = stat_line(
            &pid,
            sample.comm,
            sample.state,
            &parent,
            &flags,
            &threads,
            "100",
        );
        self.write(&format!("{pid}/stat"), stat);
        self.write(&format!("{pid}/cmdline"), sample.cmdline);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file and makes the directory for it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn proc(&self) -> Proc {
        open(self.directory.path(), OWN).unwrap()
    }

    pub fn read(&self, pid: i32) -> Process {
        self.proc().read(Pid::from_raw(pid).unwrap()).unwrap()
    }

    pub fn status(&self, pid: i32) -> Status {
        self.proc().status(Pid::from_raw(pid).unwrap()).unwrap()
    }

    /// Returns the ids of the selected processes in ascending order.
    pub fn select(&self, matcher: &Matcher, select: Select) -> (Vec<i32>, Scanned) {
        let mut selected = Vec::new();
        let scanned = self.proc().select(matcher, select, &mut |process, role| {
            if role == Role::Main {
                selected.push(process.pid.as_raw_nonzero().get());
            }
        });
        selected.sort_unstable();
        (selected, scanned.unwrap())
    }

    pub fn main(&self, matcher: &Matcher) -> Vec<i32> {
        self.select(matcher, Select::Main).0
    }

    /// Returns the roles of the processes that match, by their ids.
    pub fn roles(&self, matcher: &Matcher) -> Vec<(i32, Role)> {
        let mut roles = Vec::new();
        let visit = &mut |process: &Process, role| {
            roles.push((process.pid.as_raw_nonzero().get(), role));
        };
        self.proc().select(matcher, Select::Main, visit).unwrap();
        roles.sort_unstable_by_key(|(pid, _)| *pid);
        roles
    }

    /// Lets processes run the same file.
    pub fn run_same_file(&self, pids: &[i32]) {
        self.write("program", "");
        for pid in pids {
            self.link(&format!("{pid}/exe"), "../program");
        }
    }

    /// Makes a symbolic link and the directory for it.
    pub fn link(&self, name: &str, target: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    pub fn all(&self, matcher: &Matcher) -> Vec<i32> {
        self.select(matcher, Select::All).0
    }
}

/// Opens a directory as a `/proc` in which the sidecar has this id.
pub fn open(directory: &Path, own: i32) -> io::Result<Proc> {
    let directory = fs::File::open(directory).unwrap();
    Proc::new(directory.into(), Pid::from_raw(own).unwrap())
}

pub fn names(names: &str) -> Matcher<'_> {
    Matcher {
        names: Some(CommaList::new(names.as_bytes())),
        ..Matcher::default()
    }
}

pub fn cmdline(text: &str) -> Matcher<'_> {
    Matcher {
        cmdline: Some(text.as_bytes()),
        ..Matcher::default()
    }
}
