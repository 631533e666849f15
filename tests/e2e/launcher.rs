//! The ways in which an application is started by something else.

use crate::app::Application;
use crate::pod::Pod;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// An application behind a launcher, which gets its command and returns its own.
pub struct Launched<A> {
    pub application: A,
    pub launcher: fn(&Pod, &Command) -> Command,
}

impl<A: Application> Application for Launched<A> {
    const NAME: &str = A::NAME;

    fn command(&self, pod: &Pod) -> Command {
        let inner = self.application.command(pod);
        let mut command = (self.launcher)(pod, &inner);
        for (name, value) in inner.get_envs() {
            command.env(name, value.expect("only set"));
        }
        if let Some(directory) = inner.get_current_dir() {
            command.current_dir(directory);
        }
        command
    }

    fn payload(&self, pod: &Pod, text: &str) -> Vec<(String, String)> {
        self.application.payload(pod, text)
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        self.application.answer(pod)
    }

    fn hold(&self, pod: &Pod) -> Box<dyn FnOnce()> {
        self.application.hold(pod)
    }
}

/// The words of a command.
fn words(command: &Command) -> impl Iterator<Item = &OsStr> {
    std::iter::once(command.get_program()).chain(command.get_args())
}

/// A command as a shell reads it. The tests' words need no quotes.
fn text(command: &Command) -> String {
    let words: Vec<_> = words(command).map(|word| word.to_str().unwrap()).collect();
    words.join(" ")
}

/// `sh -c`, which stays because it has more to do.
pub fn shell(_: &Pod, inner: &Command) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(text(inner) + "; :");
    command
}

/// `sh -c` with a variable in place of the arguments.
pub fn shell_with_a_variable(_: &Pod, inner: &Command) -> Command {
    let program = inner.get_program().to_str().unwrap();
    let arguments: Vec<_> = words(inner).skip(1).collect();
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{program} $ARGUMENTS; :"))
        .env("ARGUMENTS", arguments.join(OsStr::new(" ")));
    command
}

/// `bash -c` with a pipeline.
pub fn pipeline(_: &Pod, inner: &Command) -> Command {
    let mut command = Command::new("bash");
    command.arg("-c").arg(text(inner) + " | cat");
    command
}

/// A script whose last step is to become the application.
pub fn script_with_exec(pod: &Pod, inner: &Command) -> Command {
    Command::new(script(pod, "start.sh", &format!("exec {}", text(inner))))
}

/// A script that waits for the application.
pub fn script_without_exec(pod: &Pod, inner: &Command) -> Command {
    Command::new(script(pod, "start.sh", &format!("{}\n:", text(inner))))
}

/// A script that has a handler of its own, and the application's command line in its own.
pub fn script_with_handler(pod: &Pod, inner: &Command) -> Command {
    let lines =
        "trap 'echo start.sh was signalled' HUP USR1 USR2\n\"$@\" &\nuntil wait; do :; done";
    let mut command = Command::new(script(pod, "start.sh", lines));
    command.args(words(inner));
    command
}

/// Without capabilities, as in a hardened container: then the sidecar may see in which call it waits.
pub fn without_capabilities(_: &Pod, inner: &Command) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set=-all", "--"])
        .args(words(inner));
    command
}

pub fn tini(_: &Pod, inner: &Command) -> Command {
    let mut command = Command::new("tini");
    // It is not process 1 in a shared namespace, and so adopts nothing by itself.
    command.args(["-s", "--"]).args(words(inner));
    command
}

pub fn dumb_init(_: &Pod, inner: &Command) -> Command {
    let mut command = Command::new("dumb-init");
    command.args(words(inner));
    command
}

pub fn s6(pod: &Pod, inner: &Command) -> Command {
    supervisor(pod, inner, "s6-svscan")
}

pub fn runit(pod: &Pod, inner: &Command) -> Command {
    supervisor(pod, inner, "runsvdir")
}

/// A supervisor of a directory of services.
fn supervisor(pod: &Pod, inner: &Command, program: &str) -> Command {
    script(pod, "services/app/run", &format!("exec {}", text(inner)));
    let mut command = Command::new(program);
    command.arg(pod.path("services"));
    command
}

/// `npm start`: see `server.js`.
pub fn npm(_: &Pod, inner: &Command) -> Command {
    let mut command = Command::new(inner.get_program());
    let program = inner.get_args().next().expect("a program");
    command.arg(program).arg("start").arg(text(inner) + "; :");
    command
}

/// Writes a shell script and returns its path.
fn script(pod: &Pod, name: &str, lines: &str) -> PathBuf {
    let path = pod.write(name, format!("#!/bin/sh\n{lines}\n"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}
