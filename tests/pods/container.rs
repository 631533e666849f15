//! Containers run by podman.

use crate::support::process::Talker;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The name of the sidecar's container.
pub const SIDECAR: &str = "config-reloader";

/// Follows the whole output of a container, without the delays of `podman logs`.
pub fn log(container: &str) -> Talker {
    let path = inspect(container, "{{.HostConfig.LogConfig.Path}}");
    let mut tail = Command::new("tail");
    tail.args(["--follow", "--lines=+1", "--sleep-interval=0.1"])
        .arg(format!("--pid={}", process(container)))
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut tail = tail.spawn().unwrap();
    let output = tail.stdout.take().unwrap();
    Talker::new(tail, output)
}

/// Runs a shell command in a container.
pub fn output(container: &str, client: &str) -> Output {
    Command::new("podman")
        .args(["exec", container, "sh", "-c", client])
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Returns the main process of a container.
#[track_caller]
pub fn process(container: &str) -> u32 {
    let state = inspect(
        container,
        "{{.State.Running}} {{.State.OOMKilled}} {{.State.Pid}}",
    );
    let pid = state.strip_prefix("true false ");
    pid.unwrap_or_else(|| panic!("{container}: {state}"))
        .parse()
        .unwrap()
}

/// Ends a container as a kubelet does. Returns its exit code.
#[track_caller]
pub fn end(container: &str) -> String {
    run(Command::new("podman").args(["stop", container]));
    inspect(container, "{{.State.Status}} {{.State.ExitCode}}")
}

#[track_caller]
fn inspect(container: &str, format: &str) -> String {
    let state = run(Command::new("podman").args(["inspect", "--format", format, container]));
    state.trim().to_owned()
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a command that must succeed. Returns its output.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
