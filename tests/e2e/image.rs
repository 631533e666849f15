//! The container image that `make image` builds from the program under test.

use crate::named;
use crate::support::process::{Talker, example};
use crate::support::volume::{Order, Volume, let_age};
use crate::support::{program, unique_name};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[test]
fn the_image_holds_the_program_and_nothing_else() {
    let image = Image::build();
    let unpacked = image.unpack();
    let layers = unpacked.manifest["Layers"].as_array().unwrap();
    let files: String = layers
        .iter()
        .map(|layer| unpacked.tar(&["-tf", layer.as_str().unwrap()]))
        .collect();
    assert_eq!(files, "config-reloader-sidecar\n");
    unpacked.tar(&["-xf", layers.last().unwrap().as_str().unwrap()]);
    let file = unpacked.directory.path().join("config-reloader-sidecar");
    assert!(
        fs::read(file).unwrap() == fs::read(program()).unwrap(),
        "another program than {}",
        program().display()
    );
}

#[test]
fn the_image_has_labels_and_no_user() {
    let image = Image::build();
    let unpacked = image.unpack();
    let description = unpacked.json(unpacked.manifest["Config"].as_str().unwrap());
    let config = &description["config"];
    assert_eq!(config["Entrypoint"], json!(["/config-reloader-sidecar"]));
    assert_eq!(config.get("Cmd").unwrap_or(&Value::Null), &Value::Null);
    assert_eq!(
        config
            .get("User")
            .and_then(Value::as_str)
            .unwrap_or_default(),
        ""
    );
    for (label, value) in [
        ("title", env!("CARGO_PKG_NAME")),
        ("description", env!("CARGO_PKG_DESCRIPTION")),
        ("licenses", env!("CARGO_PKG_LICENSE")),
        ("version", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(
            config["Labels"][format!("org.opencontainers.image.{label}")],
            value,
            "{label}"
        );
    }
    let architecture = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    assert_eq!(
        (&description["os"], &description["architecture"]),
        (&json!("linux"), &json!(architecture))
    );
}

#[test]
fn a_container_signals_an_app_of_another_user() {
    let image = Image::build();
    let directory = tempfile::tempdir().unwrap();
    let volume = Volume::new(
        directory.path().join("volume"),
        Order::SwapFirst,
        &[("app.conf", "one")],
    );
    let_age(&volume.path);
    let config = (volume.path.as_path(), "/config");

    // The tests' own app, linked to this machine's libraries, runs as another user.
    let target = example("target");
    let libraries = ["/lib", "/lib64"].map(|path| (Path::new(path), path));
    let mut mounts = vec![config, (target.parent().unwrap(), "/app")];
    mounts.extend(libraries.iter().filter(|(path, _)| path.exists()));
    let options = "--user 1001 --entrypoint /app/target";
    let (app, mut app_output) = Container::run(&image, options, &mounts, &["/config/app.conf"]);
    app_output.expect("ready");

    let options = format!(
        "--pid container:{} --cap-add KILL -e CONFIG_DIR=/config -e PROCESS_NAME=target",
        app.name
    );
    let (sidecar, mut sidecar_output) = Container::run(&image, &options, &[config], &[]);
    sidecar_output.expect("watching");
    volume.update(&[("app.conf", "two")]);
    let line = app_output.expect("SIG");
    let words: Vec<_> = line.split(' ').collect();
    assert_eq!((words[0], words[2]), ("SIGHUP", "two"));

    image.tool(&["kill", "--signal", "TERM", &sidecar.name]);
    let (status, lines) = sidecar_output.finish();
    assert_eq!(status.code(), Some(0), "{lines:#?}");
    let sent = lines.iter().filter(|line| line.contains("signal sent"));
    assert_eq!(sent.count(), 1, "{lines:#?}");
}

#[test]
fn a_container_needs_no_other_files() {
    let image = Image::build();
    let (_container, output) = Container::run(&image, "", &[], &["version"]);
    let (status, lines) = output.finish();
    assert_eq!(
        (status.code(), lines),
        (
            Some(0),
            vec![format!(
                "config-reloader-sidecar {}",
                env!("CARGO_PKG_VERSION")
            )]
        )
    );
}

/// An image with a unique name. Dropping it removes it.
pub(crate) struct Image {
    pub(crate) tool: String,
    name: String,
    /// Builds one image at a time: images share layers, and removing one can break another that is being built.
    _one_at_a_time: MutexGuard<'static, ()>,
}

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

impl Image {
    pub(crate) fn build() -> Self {
        let image = Self {
            tool: named("IMAGE_TOOL"),
            name: format!("config-reloader-sidecar:{}", unique_name()),
            _one_at_a_time: ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner),
        };
        succeed(
            Command::new("make")
                .args(["-C", env!("CARGO_MANIFEST_DIR"), "image"])
                .args([
                    format!("IMAGE={}", image.name),
                    format!("IMAGE_TOOL={}", image.tool),
                ]),
        );
        image
    }

    fn tool(&self, arguments: &[&str]) {
        succeed(image_tool(&self.tool).args(arguments));
    }

    /// Unpacks the image, which all tools save in the format of `docker load`.
    fn unpack(&self) -> Unpacked {
        let directory = tempfile::tempdir().unwrap();
        let archive = directory.path().join("archive");
        let archive = archive.to_str().unwrap();
        if self.tool == "buildah" {
            self.tool(&[
                "push",
                &self.name,
                &format!("docker-archive:{archive}:{}", self.name),
            ]);
        } else {
            self.tool(&["save", "--output", archive, &self.name]);
        }
        let mut unpacked = Unpacked {
            directory,
            manifest: Value::Null,
        };
        unpacked.tar(&["-xf", "archive"]);
        unpacked.manifest = unpacked.json("manifest.json")[0].take();
        unpacked
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = image_tool(&self.tool).args(["rmi", &self.name]).output();
    }
}

struct Unpacked {
    directory: tempfile::TempDir,
    manifest: Value,
}

impl Unpacked {
    fn tar(&self, arguments: &[&str]) -> String {
        succeed(
            Command::new("tar")
                .args(arguments)
                .current_dir(&self.directory),
        )
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&fs::read(self.directory.path().join(path)).unwrap()).unwrap()
    }
}

/// A running container, confined like a hardened Pod. Dropping it kills and removes it.
pub(crate) struct Container {
    tool: String,
    pub(crate) name: String,
}

impl Container {
    /// Starts a container with space-separated `options` and read-only `mounts`. Returns it and its output.
    pub(crate) fn run(
        image: &Image,
        options: &str,
        mounts: &[(&Path, &str)],
        arguments: &[&str],
    ) -> (Self, Talker) {
        let container = Self {
            tool: image.tool.clone(),
            name: unique_name(),
        };
        let mut command = image_tool(&image.tool);
        command.args(["run", "--name", &container.name]);
        command.args("--network none --read-only --cap-drop ALL".split(' '));
        // The tools' default limits are too high if this machine is itself a container.
        command.args("--ulimit nofile=1024:1024 --ulimit nproc=1024:1024".split(' '));
        for (path, target) in mounts {
            command.args(["--volume", &format!("{}:{target}:ro", path.display())]);
        }
        command
            .args(options.split_whitespace())
            .arg(&image.name)
            .args(arguments);
        let (reader, writer) = std::io::pipe().unwrap();
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer);
        let talker = Talker::new(command.spawn().unwrap(), reader);
        (container, talker)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Kill it first, because podman waits for ten seconds before it removes a running container.
        for action in [&["kill"][..], &["rm", "--force"]] {
            let _ = image_tool(&self.tool).args(action).arg(&self.name).output();
        }
    }
}

/// Returns a command of `tool`. podman runs its containers by runc, as these tests are written for: it prefers crun, where that is
/// installed.
fn image_tool(tool: &str) -> Command {
    let mut command = Command::new(tool);
    if tool == "podman" {
        command.args(["--runtime", "runc"]);
    }
    command
}

/// Runs a command that must succeed. Returns its output.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
