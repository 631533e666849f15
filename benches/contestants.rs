//! The contestants: the floor, this program, and its alternatives, each used as its documentation advises.

use crate::support::process::{Settings, Talker, spawn};
use crate::watcher::Watcher;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The path to watch, and the process to signal.
pub struct Job<'j> {
    pub root: &'j Path,
    pub name: &'j str,
    pub pid: i32,
    pub depth: Depth,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The root alone, which is enough for a volume.
    Directory,
    /// The root and everything below it.
    Tree,
}

pub struct Contestant {
    pub name: &'static str,
    pub programs: &'static [&'static str],
    /// The longest time it may sleep although it has work to do.
    pub pause: Duration,
    pub can_watch_trees: bool,
    start: fn(&Job) -> Talker,
}

/// The least program that could do the job: `benches/floor.rs`.
pub const FLOOR: Contestant = Contestant {
    name: "floor",
    programs: &["floor"],
    pause: Duration::ZERO,
    can_watch_trees: false,
    start: |job| talk(Command::new(path("floor")).arg(job.root).arg(pid(job))),
};

/// This program with its defaults, except that it signals every update, as the others do, and does not wait for an application
/// that has just started.
pub const SIDECAR: Contestant = Contestant {
    name: "sidecar",
    programs: &["sidecar"],
    pause: Duration::ZERO,
    can_watch_trees: true,
    start: |job| launch(settings(job)),
};

pub const UNCONFIRMED: Contestant = Contestant {
    name: "sidecar, RELOAD_CONFIRM=off",
    start: |job| launch(settings(job).set("RELOAD_CONFIRM", "off")),
    ..SIDECAR
};

/// Runs a program and counts its instructions in user space: the same number every time.
pub const COUNT: [&str; 3] = [
    "valgrind",
    "--tool=callgrind",
    "--callgrind-out-file=/dev/null",
];

/// Without the sandbox, which refuses valgrind's own system calls.
pub const COUNTED: Contestant = Contestant {
    start: |job| launch(settings(job).set("SANDBOX", "false").through(&COUNT)),
    ..SIDECAR
};

pub const COUNTED_FLOOR: Contestant = Contestant {
    start: |job| {
        let mut command = Command::new(COUNT[0]);
        command.args(&COUNT[1..]).arg(path("floor"));
        talk(command.arg(job.root).arg(pid(job)))
    },
    ..FLOOR
};

/// Writes its system calls to the file at [`trace`].
pub const TRACED: Contestant = Contestant {
    start: |job| {
        let trace = trace(job.root);
        let strace = ["strace", "-qq", "-o", trace.to_str().unwrap()];
        launch(settings(job).through(&strace))
    },
    ..SIDECAR
};

/// Returns the path of the trace of what watches `root`.
pub fn trace(root: &Path) -> PathBuf {
    root.with_extension("trace")
}

pub const ALTERNATIVES: [Contestant; 6] = [
    INOTIFYWAIT_PKILL,
    INOTIFYWAIT_KILL,
    INOTIFYWAIT_DATA,
    ENTR,
    WATCHEXEC,
    WATCHDOG,
];

const INOTIFYWAIT_PKILL: Contestant = Contestant {
    name: "inotifywait, pkill",
    programs: &["sh", "inotifywait", "pkill"],
    pause: Duration::from_millis(25),
    can_watch_trees: true,
    start: |job| inotifywait(CHANGES, "pkill -HUP -x \"$2\"", job),
};

const INOTIFYWAIT_KILL: Contestant = Contestant {
    name: "inotifywait, kill",
    programs: &["sh", "inotifywait"],
    pause: Duration::ZERO,
    start: |job| inotifywait(CHANGES, "kill -HUP $1", job),
    ..INOTIFYWAIT_PKILL
};

/// As written by somebody who knows how the kubelet updates a volume.
const INOTIFYWAIT_DATA: Contestant = Contestant {
    name: "inotifywait for ..data, kill",
    can_watch_trees: false,
    start: |job| {
        let swap = "-e moved_to --include '/[.][.]data$'";
        inotifywait(swap, "kill -HUP $1", job)
    },
    ..INOTIFYWAIT_KILL
};

/// The loop for directories in its manual page.
const ENTR: Contestant = Contestant {
    name: "entr",
    programs: &["sh", "sleep", "ls", "entr", "kill"],
    pause: Duration::from_millis(250),
    can_watch_trees: true,
    start: |job| {
        let list = match job.depth {
            Depth::Directory => "ls \"$0\"/*",
            Depth::Tree => "find \"$0\" -type f",
        };
        let script = format!("while sleep 0.1; do {list} | entr -n -d kill -HUP $1; done");
        shell(&script, job)
    },
};

const WATCHEXEC: Contestant = Contestant {
    name: "watchexec",
    programs: &["watchexec", "kill"],
    pause: Duration::from_millis(150),
    can_watch_trees: true,
    start: |job| {
        let mut command = Command::new(path("watchexec"));
        command.args(["--postpone", "--shell=none", "--watch"]);
        command
            .arg(job.root)
            .args(["--", "kill", "-HUP", &pid(job)]);
        talk(&mut command)
    },
};

const WATCHDOG: Contestant = Contestant {
    name: "watchdog (Python)",
    programs: &["python"],
    pause: Duration::from_millis(50),
    can_watch_trees: true,
    start: |job| {
        let mut command = Command::new(path("python"));
        command.arg("benches/watchdog_loop.py");
        command.arg(job.root).arg(pid(job));
        talk(command.args((job.depth == Depth::Tree).then_some("--recursive")))
    },
};

impl Contestant {
    pub fn start(&self, job: &Job) -> Watcher {
        Watcher((self.start)(job))
    }

    /// Returns the first of its programs that is not installed.
    pub fn missing(&self) -> Option<&'static str> {
        let mut programs = self.programs.iter().copied();
        programs.find(|program| !path(program).is_file())
    }

    pub fn paths(&self) -> Vec<PathBuf> {
        self.programs.iter().map(|program| path(program)).collect()
    }

    /// Returns the files that its image would have to hold: the programs with their libraries and modules.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        let mut files = self.paths();
        if self.programs.contains(&"python") {
            files.extend(python_modules());
        }
        files.iter().flat_map(|file| with_libraries(file)).collect()
    }
}

/// Lists the files of the modules that the loop in Python imports.
fn python_modules() -> Vec<PathBuf> {
    let script = "import os, signal, sys, watchdog.observers, watchdog.events\n\
        for module in list(sys.modules.values()): print(getattr(module, '__file__', None) or '')";
    let output = Command::new(path("python")).args(["-c", script]).output();
    let output = String::from_utf8(output.unwrap().stdout).unwrap();
    let modules = output.lines().filter(|line| !line.is_empty());
    modules.map(PathBuf::from).collect()
}

/// Returns the real paths of a file and of the libraries that it is linked with.
fn with_libraries(file: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(file).output();
    let output = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let output = output.unwrap_or_default();
    let words = output
        .split_whitespace()
        .map(|word| word.trim_end_matches(':'));
    let libraries = words.filter(|word| word.starts_with('/')).map(Path::new);
    libraries
        .chain([file])
        .filter_map(|file| fs::canonicalize(file).ok())
        .collect()
}

fn settings(job: &Job) -> Settings {
    Settings::bare()
        .set("CONFIG_DIR", job.root)
        .set("PROCESS_NAME", job.name)
        .set("RELOAD_MIN_INTERVAL", "0")
        .set("PROCESS_MIN_AGE", "0")
        .set("RELOAD_CATCH_UP", "false")
}

/// Starts a sidecar in a process group of its own.
pub fn launch(settings: Settings) -> Talker {
    let own_group = |command: &mut Command| {
        command.process_group(0);
    };
    settings.adapt(own_group).launch()
}

/// Starts a program in a process group of its own, and reads what it writes to stderr.
fn talk(command: &mut Command) -> Talker {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::piped()).process_group(0);
    let mut child = spawn(command);
    let output = child.stderr.take().unwrap();
    Talker::new(child, output)
}

const CHANGES: &str = "-e create,modify,delete,move";

/// Starts a loop that acts on every line of inotifywait.
fn inotifywait(options: &str, action: &str, job: &Job) -> Talker {
    let recursive = if job.depth == Depth::Tree { "-r" } else { "-q" };
    let watch = format!("inotifywait -m {recursive} {options} \"$0\"");
    shell(
        &format!("{watch} | while read -r _; do {action}; done"),
        job,
    )
}

/// Runs a script in which `$0` is the directory, `$1` the process id and `$2` the process name.
fn shell(script: &str, job: &Job) -> Talker {
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(job.root);
    talk(command.args([&pid(job), job.name]))
}

fn pid(job: &Job) -> String {
    job.pid.to_string()
}

/// Returns the path of a program: this project's own, one that `benches/install` put below `target/bench`, or the system's.
fn path(program: &str) -> PathBuf {
    let own = crate::support::program();
    match program {
        "sidecar" => own,
        "floor" => own.with_file_name(program),
        _ => {
            let installed = ["target/bench/tools/bin", "target/bench/python/bin"];
            let system = env::var_os("PATH").unwrap_or_default();
            let directories = installed.into_iter().map(PathBuf::from);
            let mut paths = directories
                .chain(env::split_paths(&system))
                .map(|directory| directory.join(program));
            paths.find(|path| path.is_file()).unwrap_or(program.into())
        }
    }
}
