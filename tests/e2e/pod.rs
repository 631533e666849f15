//! A Pod made of namespaces.
//!
//! To the processes in it, it looks like one with `shareProcessNamespace`: they see only one another, none of them is
//! process 1, and they have their own loopback. So every test can use an application's real name and any port. Needs root.

use crate::support::DEADLINE;
use crate::support::kernel;
use crate::support::process::{children, open_to_all};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The namespaces of a Pod, and a directory for its files. Dropping it kills what runs there.
pub struct Pod {
    directory: tempfile::TempDir,
    /// The parent of the Pod's process 1.
    pause: Child,
    init: Pid,
}

/// Process 1, which reaps orphans like the pause container. `/run` is empty as in a container, and `/dev/shm` is the Pod's own.
const INIT: &str = "trap '' CHLD; mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /dev/shm; ip link set lo up; echo ready; \
                    exec sleep infinity > /dev/null";

impl Pod {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Many servers drop root.
        open_to_all(directory.path());
        let mut pause = Command::new("unshare")
            .args(["--pid", "--net", "--mount-proc", "--fork", "--kill-child"])
            .args(["sh", "-ec", INIT])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Debian 12's unshare prints a spurious error when it ends.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(pause.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "cannot create a Pod; are we root?");
        let [init] = children(Pid::from_child(&pause))[..] else {
            panic!("unshare has one child");
        };
        Self {
            directory,
            pause,
            init,
        }
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file into the Pod's directory and returns its path.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Opens a file in the Pod's directory for appending.
    pub fn file(&self, name: impl AsRef<Path>) -> File {
        let mut options = File::options();
        options.create(true).append(true);
        options.open(self.path(name)).unwrap()
    }

    /// Runs `action` in the Pod. It may start processes, but no threads.
    pub fn inside<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        kernel::inside(self.init, action)
    }

    /// Starts a process in the Pod, as a child of the test.
    #[track_caller]
    pub fn spawn(&self, command: &mut Command) -> Child {
        self.inside(|| command.spawn())
            .unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Runs a client in the Pod until it exits.
    #[track_caller]
    pub fn output(&self, command: &mut Command) -> Output {
        self.inside(|| command.stdin(Stdio::null()).output())
            .unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Returns the processes in the Pod, without its process 1.
    pub fn processes(&self) -> Vec<i32> {
        let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/pid")).ok();
        let of_pod = namespace(&self.init.as_raw_nonzero().to_string());
        let names = fs::read_dir("/proc")
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let in_pod = names.filter(|name| namespace(&name.to_string_lossy()) == of_pod);
        let pids = in_pod.filter_map(|name| name.to_str()?.parse().ok());
        pids.filter(|pid| *pid != self.init.as_raw_nonzero().get())
            .collect()
    }

    /// Connects to a port in the Pod.
    pub fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let stream = self.inside(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(stream)
    }

    /// Listens on a port in the Pod.
    pub fn listen(&self, port: u16) -> TcpListener {
        self.inside(|| TcpListener::bind((Ipv4Addr::LOCALHOST, port)))
            .unwrap()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = kill_process(self.init, Signal::KILL);
        // Process 1 ends when all others have: until then they may write to the directory.
        let deadline = Instant::now() + DEADLINE;
        while matches!(self.pause.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        let _ = self.pause.kill();
        let _ = self.pause.wait();
    }
}

/// Returns a process's id inside its Pod.
pub fn id_in_pod(id: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let ids = status.lines().find(|line| line.starts_with("NSpid:"));
    let id = ids.and_then(|ids| ids.split_whitespace().last());
    id.expect("NSpid").parse().unwrap()
}

/// Returns true if a process has a handler for SIGHUP, as far as the kernel knows.
pub fn catches_hangups(id: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    u64::from_str_radix(caught.unwrap().trim(), 16).unwrap() & 1 != 0
}
