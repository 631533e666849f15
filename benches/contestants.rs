//! Who is measured: this program, the floor, and what a user would pick instead, each as its documentation advises.

use crate::rig::Watcher;
use crate::support::process::{Settings, Talker, Target, spawn};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub struct Contestant {
    pub name: &'static str,
    start: fn(&Path, &Target) -> Talker,
}

impl Contestant {
    /// Starts it on a volume, for an application.
    pub fn start(&self, root: &Path, target: &Target) -> Watcher {
        Watcher((self.start)(root, target))
    }
}

/// The sidecar with its defaults, but that it signals as often as there is an update: the others know no pause.
pub const SIDECAR: Contestant = Contestant {
    name: "sidecar",
    start: |root, target| launch(sidecar(root, target)),
};

pub const SIDECAR_UNCONFIRMED: Contestant = Contestant {
    name: "sidecar, RELOAD_CONFIRM=off",
    start: |root, target| launch(sidecar(root, target).set("RELOAD_CONFIRM", "off")),
};

pub const FLOOR: Contestant = Contestant {
    name: "floor",
    start: |root, target| {
        let mut command = Command::new(floor());
        command.arg(root).arg(pid(target));
        talk(command)
    },
};

fn sidecar(root: &Path, target: &Target) -> Settings {
    Settings::bare()
        .set("CONFIG_DIR", root)
        .set("PROCESS_NAME", &target.name)
        .set("RELOAD_MIN_INTERVAL", "0")
        // The measurements start with an application that has just been started.
        .set("PROCESS_MIN_AGE", "0")
        .set("RELOAD_CATCH_UP", "false")
}

fn launch(settings: Settings) -> Talker {
    let own_group = |command: &mut Command| {
        command.process_group(0);
    };
    settings.adapt(own_group).launch()
}

/// Beside the sidecar, built with the same flags.
fn floor() -> PathBuf {
    crate::support::program().with_file_name("floor")
}

fn pid(target: &Target) -> String {
    target.talker.pid().as_raw_nonzero().to_string()
}

/// Starts a program in a process group of its own; what it says is read.
fn talk(mut command: Command) -> Talker {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = spawn(command.process_group(0));
    let output = child.stderr.take().unwrap();
    Talker::new(child, output)
}
