//! Who is measured: this program, the floor, and what a user would pick instead, each as its documentation advises for this job.

use crate::support::process::{Settings, Talker, spawn};
use crate::watcher::Watcher;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is to be watched, and who is to be signalled.
pub struct Job<'j> {
    pub root: &'j Path,
    pub name: &'j str,
    pub pid: i32,
    /// With everything below it. A volume needs no more than its own directory.
    pub is_tree: bool,
}

pub struct Contestant {
    pub name: &'static str,
    /// The programs that it consists of.
    pub programs: &'static [&'static str],
    /// For so long it does nothing though it has something to do.
    pub pause_ms: u64,
    /// Whether it can watch more than one directory.
    pub takes_trees: bool,
    start: fn(&Job) -> Talker,
}

/// The least that can do the job: `benches/floor.rs`.
pub const FLOOR: Contestant = Contestant {
    name: "floor",
    programs: &["floor"],
    pause_ms: 0,
    takes_trees: false,
    start: |job| {
        talk(
            Command::new(path("floor"))
                .arg(job.root)
                .arg(job.pid.to_string()),
        )
    },
};

/// With its defaults, but that it signals as often as there is an update, as the others do, and does not wait for an application
/// that has only just been started.
pub const SIDECAR: Contestant = Contestant {
    name: "sidecar",
    programs: &["sidecar"],
    pause_ms: 0,
    takes_trees: true,
    start: |job| sidecar(job.root, job.name),
};

pub const UNCONFIRMED: Contestant = Contestant {
    name: "sidecar, RELOAD_CONFIRM=off",
    start: |job| launch(settings(job.root, job.name).set("RELOAD_CONFIRM", "off")),
    ..SIDECAR
};

/// Runs a program and counts its instructions outside of the kernel: as many every time, whatever else the machine does.
pub const COUNTING: [&str; 3] = [
    "valgrind",
    "--tool=callgrind",
    "--callgrind-out-file=/dev/null",
];

/// Not in its sandbox, which would refuse what valgrind itself asks of the kernel.
pub const COUNTED: Contestant = Contestant {
    start: |job| {
        let settings = settings(job.root, job.name).set("SANDBOX", "false");
        launch(settings.through(&COUNTING))
    },
    ..SIDECAR
};

pub const COUNTED_FLOOR: Contestant = Contestant {
    start: |job| {
        let mut command = Command::new(COUNTING[0]);
        command.args(&COUNTING[1..]).arg(path("floor"));
        talk(command.arg(job.root).arg(job.pid.to_string()))
    },
    ..FLOOR
};

/// Each system call is written to the file at [`trace`].
pub const TRACED: Contestant = Contestant {
    start: |job| {
        let trace = trace(job.root);
        let strace = ["strace", "-qq", "-o", trace.to_str().unwrap()];
        launch(settings(job.root, job.name).through(&strace))
    },
    ..SIDECAR
};

/// Where the trace of what watches `root` is.
pub fn trace(root: &Path) -> PathBuf {
    root.with_extension("trace")
}

const INOTIFYWAIT_PKILL: Contestant = Contestant {
    name: "inotifywait, pkill",
    programs: &["sh", "inotifywait", "pkill"],
    pause_ms: 25,
    takes_trees: true,
    start: |job| {
        let name = job.name;
        shell(
            &format!(
                "{} | while read -r _; do pkill -HUP -x {name}; done",
                inotifywait(job)
            ),
            job,
        )
    },
};

const INOTIFYWAIT_KILL: Contestant = Contestant {
    name: "inotifywait, kill",
    programs: &["sh", "inotifywait"],
    pause_ms: 0,
    start: |job| {
        let pid = job.pid;
        shell(
            &format!(
                "{} | while read -r _; do kill -HUP {pid}; done",
                inotifywait(job)
            ),
            job,
        )
    },
    ..INOTIFYWAIT_PKILL
};

/// By somebody who knows how the kubelet writes a volume.
const INOTIFYWAIT_DATA: Contestant = Contestant {
    name: "inotifywait for ..data, kill",
    takes_trees: false,
    start: |job| {
        let pid = job.pid;
        let script = "inotifywait -m -q -e moved_to --include '/[.][.]data$' \"$0\" |";
        shell(
            &format!("{script} while read -r _; do kill -HUP {pid}; done"),
            job,
        )
    },
    ..INOTIFYWAIT_KILL
};

/// The loop that its manual page has for directories.
const ENTR: Contestant = Contestant {
    name: "entr",
    programs: &["sh", "sleep", "ls", "entr", "kill"],
    pause_ms: 250,
    takes_trees: true,
    start: |job| {
        let list = if job.is_tree {
            "find \"$0\" -type f"
        } else {
            "ls \"$0\"/*"
        };
        let pid = job.pid;
        shell(
            &format!("while sleep 0.1; do {list} | entr -n -d kill -HUP {pid}; done"),
            job,
        )
    },
};

const WATCHEXEC: Contestant = Contestant {
    name: "watchexec",
    programs: &["watchexec", "kill"],
    pause_ms: 150,
    takes_trees: true,
    start: |job| {
        let mut command = Command::new(path("watchexec"));
        command
            .args(["--postpone", "--shell=none", "--watch"])
            .arg(job.root);
        talk(command.args(["--", "kill", "-HUP", &job.pid.to_string()]))
    },
};

const WATCHDOG: Contestant = Contestant {
    name: "watchdog (Python)",
    programs: &["python"],
    pause_ms: 50,
    takes_trees: true,
    start: |job| {
        let mut command = Command::new(path("python"));
        command
            .arg("benches/watchdog_loop.py")
            .arg(job.root)
            .arg(job.pid.to_string());
        talk(command.args(job.is_tree.then_some("--recursive")))
    },
};

pub const ALTERNATIVES: [Contestant; 6] = [
    INOTIFYWAIT_PKILL,
    INOTIFYWAIT_KILL,
    INOTIFYWAIT_DATA,
    ENTR,
    WATCHEXEC,
    WATCHDOG,
];

impl Contestant {
    pub fn start(&self, job: &Job) -> Watcher {
        Watcher((self.start)(job))
    }

    /// The first program of it that is not there.
    pub fn missing(&self) -> Option<&'static str> {
        self.programs
            .iter()
            .copied()
            .find(|program| !path(program).is_file())
    }

    pub fn paths(&self) -> Vec<PathBuf> {
        self.programs.iter().map(|program| path(program)).collect()
    }

    /// All that the programs read to run: themselves and their libraries, which is what an image would have to hold.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        let mut files: BTreeSet<PathBuf> = self
            .paths()
            .iter()
            .flat_map(|program| with_libraries(program))
            .collect();
        if self.programs.contains(&"python") {
            let modules = "import os, signal, sys, watchdog.observers, watchdog.events\n\
                for module in list(sys.modules.values()): print(getattr(module, '__file__', None) or '')";
            let output = Command::new(path("python"))
                .args(["-c", modules])
                .output()
                .unwrap();
            let output = String::from_utf8(output.stdout).unwrap();
            let modules = output.lines().filter(|line| !line.is_empty());
            files.extend(modules.flat_map(|module| with_libraries(Path::new(module))));
        }
        files
    }
}

/// The file and those of the libraries that it is linked with.
fn with_libraries(file: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(file).output();
    let output = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let libraries = output.unwrap_or_default();
    let words = libraries
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    let libraries = words.map(|word| PathBuf::from(word.trim_end_matches(':')));
    libraries
        .chain([file.to_owned()])
        .filter_map(|file| fs::canonicalize(file).ok())
        .collect()
}

fn settings(root: &Path, name: &str) -> Settings {
    Settings::bare()
        .set("CONFIG_DIR", root)
        .set("PROCESS_NAME", name)
        .set("RELOAD_MIN_INTERVAL", "0")
        .set("PROCESS_MIN_AGE", "0")
        .set("RELOAD_CATCH_UP", "false")
}

fn sidecar(root: &Path, name: &str) -> Talker {
    launch(settings(root, name))
}

/// Starts it in a process group of its own.
pub fn launch(settings: Settings) -> Talker {
    let own_group = |command: &mut Command| {
        command.process_group(0);
    };
    settings.adapt(own_group).launch()
}

fn inotifywait(job: &Job) -> &'static str {
    if job.is_tree {
        "inotifywait -m -r -e create,modify,delete,move \"$0\""
    } else {
        "inotifywait -m -q -e create,modify,delete,move \"$0\""
    }
}

/// Runs a script in which `$0` is the directory.
fn shell(script: &str, job: &Job) -> Talker {
    talk(Command::new("sh").args(["-c", script]).arg(job.root))
}

/// Where a program is: this project's own, what `benches/install` has put below `target/bench`, or what the system has.
fn path(program: &str) -> PathBuf {
    let own = crate::support::program();
    match program {
        "sidecar" => own,
        "floor" => own.with_file_name(program),
        _ => {
            let installed =
                ["target/bench/tools/bin", "target/bench/python/bin"].map(PathBuf::from);
            let system = std::env::var_os("PATH").unwrap_or_default();
            let mut directories = installed
                .into_iter()
                .chain(std::env::split_paths(OsStr::new(&system)));
            let found = directories.find(|directory| directory.join(program).is_file());
            found.unwrap_or_default().join(program)
        }
    }
}

/// Starts a program in a process group of its own; what it says is read.
fn talk(command: &mut Command) -> Talker {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = spawn(command.process_group(0));
    let output = child.stderr.take().unwrap();
    Talker::new(child, output)
}
