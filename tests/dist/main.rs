//! The distributed files work without a network. `make test-dist` runs this in a network namespace with only a loopback, after
//! `make dist` and `make vendor`.

#[path = "../support/mod.rs"]
mod support;

mod load;
mod platforms;
mod runtimes;
mod source;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn dist() -> PathBuf {
    repository().join("target/dist")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the section about air-gapped installation.
fn section() -> String {
    support::docs::section("## Air-gapped")
}

/// Returns the only command of the section with this beginning.
fn command(beginning: &str) -> String {
    let section = section();
    let commands = section.lines().filter_map(|line| line.strip_prefix("$ "));
    let found: Vec<_> = commands
        .filter(|command| command.starts_with(beginning))
        .collect();
    let [command] = found[..] else {
        panic!("{beginning}: {found:?}")
    };
    command.to_owned()
}

/// Returns a command that runs a line of shell in a directory.
fn shell(line: &str, directory: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(directory);
    command
}

/// Runs a command that must succeed. Returns its output.
#[track_caller]
fn succeed(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{command:?}: {stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    stdout.into_owned()
}

#[test]
fn there_is_no_network() {
    let devices = read("/proc/net/dev");
    let names: Vec<&str> = devices
        .lines()
        .skip(2)
        .map(|line| line.split(':').next().unwrap().trim())
        .collect();
    assert_eq!(names, ["lo"]);
}

#[test]
fn every_command_of_the_section_is_tested() {
    let tested = [
        "sha256sum ",
        "ctr ",
        "docker ",
        "podman ",
        "skopeo ",
        "tar ",
        "make --directory config-reloader-sidecar-0.1.0 build",
        "make --directory config-reloader-sidecar-0.1.0 image-from-source",
    ];
    let shown = section();
    let shown = shown.lines().filter(|line| line.starts_with("$ ")).count();
    for beginning in tested {
        command(beginning);
    }
    assert_eq!(shown, tested.len());
}
