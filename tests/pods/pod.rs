//! A Pod run by podman, and the kernel's view of its processes.

use crate::cgroup::Cgroup;
use crate::manifest::{Manifest, PODS, documents, documents_of, of_kind, spec};
use crate::support::process::{Talker, open_to_all};
use crate::support::volume::{Order, Volume};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The name of the sidecar's container in every manifest.
pub const SIDECAR: &str = "config-reloader";

/// The process limit, which suffices for a JVM.
const POD_PIDS_LIMIT: u64 = 256;

/// The sidecar's process limit, which lets the runtime start a second process in its container.
const SIDECAR_PIDS_LIMIT: u64 = 16;

pub struct Pod {
    /// Podman's name for the Pod.
    name: String,
    /// The name of the application's container.
    pub app: String,
    pub manifest: Manifest,
    pub volume: Volume,
    data: BTreeMap<String, String>,
    _directory: tempfile::TempDir,
    played: PathBuf,
}

impl Pod {
    /// Starts the Pod of a manifest, after creating its volume.
    #[track_caller]
    pub fn start(manifest: &Path) -> Self {
        Self::start_adapted(manifest, |_| {})
    }

    /// Starts a Pod with a change to its manifest.
    #[track_caller]
    pub fn start_adapted(manifest: &Path, adapt: impl FnOnce(&mut Value)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        open_to_all(directory.path());
        let script = repository().join("tests/pods/podman.py");
        let mut transform = python();
        transform.arg(script).arg(manifest).arg(directory.path());
        let (original, mut documents) = (documents_of(manifest), documents(&mut transform));

        let holder = of_kind(&documents, &["ConfigMap", "Secret"]);
        let data = [&holder["data"], &holder["stringData"]];
        let data = data.into_iter().find_map(Value::as_object).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let data: BTreeMap<String, String> = data
            .iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect();
        let path = directory.path().join("config");
        let volume = Volume::new(path, Order::SwapFirst, &borrowed(&data));

        let played = directory.path().join("pod.json");
        documents.retain(|document| PODS.contains(&document["kind"].as_str().unwrap()));
        let playable = &mut documents[0];
        adapt(playable);
        fs::write(&played, playable.to_string()).unwrap();
        let suffix = if playable["kind"] == "Deployment" {
            "-pod-0"
        } else {
            ""
        };
        let spec = spec(of_kind(&original, &PODS)).clone();
        let pod = Self {
            name: text(&playable["metadata"]["name"]) + suffix,
            app: text(&spec["containers"][0]["name"]),
            manifest: Manifest { spec },
            volume,
            data,
            _directory: directory,
            played,
        };
        run(Command::new("timeout")
            .args([
                "60",
                "podman",
                "kube",
                "play",
                "--quiet",
                "--network",
                "none",
            ])
            .arg(&pod.played));
        pod.limit_processes();
        pod
    }

    /// Limits the number of processes like a kubelet's podPidsLimit, which podman does not support.
    fn limit_processes(&self) {
        let sidecar = Cgroup::of(self.process(SIDECAR), "pids");
        sidecar.set("pids.max", SIDECAR_PIDS_LIMIT);
        sidecar.parent().set("pids.max", POD_PIDS_LIMIT);
    }

    /// Updates the volume with `word` instead of `blue`, which every configuration contains.
    pub fn update(&self, word: &str) {
        let data = self
            .data
            .iter()
            .map(|(key, value)| (key.clone(), value.replace("blue", word)))
            .collect();
        self.volume.update(&borrowed(&data));
    }

    fn container(&self, container: &str) -> String {
        format!("{}-{container}", self.name)
    }

    /// Follows the output of a container.
    pub fn log(&self, container: &str) -> Talker {
        log(&self.container(container))
    }

    /// Runs a client in the application's container.
    pub fn output(&self, client: &str) -> Output {
        output(&self.container(&self.app), client)
    }

    /// Runs a second process of the sidecar's program in its container.
    pub fn command(&self, command: &str) -> Output {
        Command::new("podman")
            .args(["exec", &self.container(SIDECAR)])
            .args(["/config-reloader-sidecar", command])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    pub fn process(&self, container: &str) -> u32 {
        process(&self.container(container))
    }

    /// Asserts that user, capabilities, root and limits of a container are as its manifest says. Returns
    /// `UID CAPABILITIES, PEAK of LIMIT`.
    #[track_caller]
    pub fn expect_confined(&self, container: &str) -> String {
        let pid = self.process(container);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name));
            value.unwrap().trim().to_owned()
        };
        let uid = self.manifest.security(container, "runAsUser").to_string();
        assert_eq!(field("Uid:"), [&*uid; 4].join("\t"), "{container}");
        let capabilities = self.manifest.capabilities(container);
        let effective = if uid == "0" { capabilities } else { 0 };
        assert_eq!(field("CapEff:"), format!("{effective:016x}"), "{container}");
        assert_eq!(
            field("CapBnd:"),
            format!("{capabilities:016x}"),
            "{container}"
        );
        assert_eq!(field("NoNewPrivs:"), "1", "{container}");
        assert_eq!(field("Seccomp:"), "2", "{container}");
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
        let root = mounts.lines().find(|line| line.contains(" / / "));
        assert!(root.unwrap().contains(" / / ro,"), "{container}: {root:?}");

        let limit = self.manifest.memory(container, "limits");
        let memory = self.memory(container);
        assert_eq!(memory.number("memory.limit_in_bytes"), limit, "{container}");
        assert!(
            memory.read("memory.oom_control").contains("oom_kill 0\n"),
            "{container}"
        );
        let peak = memory.number("memory.max_usage_in_bytes");
        let pids = Cgroup::of(pid, "pids");
        if container == SIDECAR {
            assert_eq!(pids.number("pids.current"), 1);
        }
        for group in [&pids, &pids.parent()] {
            assert_eq!(group.read("pids.events"), "max 0\n", "{container}");
        }
        let names = self.manifest.security(container, "capabilities")["add"]
            .as_array()
            .map(|names| {
                names
                    .iter()
                    .map(|name| name.as_str().unwrap())
                    .collect::<Vec<_>>()
                    .join(" ")
            });
        format!(
            "{uid} {}, {:.1} of {} MiB",
            names.as_deref().unwrap_or("none"),
            peak as f64 / f64::from(1 << 20),
            limit >> 20
        )
    }

    pub fn memory(&self, container: &str) -> Cgroup {
        Cgroup::of(self.process(container), "memory")
    }

    /// Ends a container as a kubelet does. Returns its exit code.
    #[track_caller]
    pub fn end(&self, container: &str) -> String {
        end(&self.container(container))
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = Command::new("podman")
                .args(["logs", "--tail", "30", &self.container(&self.app)])
                .output();
            let log = log.map(|output| [output.stdout, output.stderr].concat());
            eprintln!("{}", String::from_utf8_lossy(&log.unwrap_or_default()));
        }
        let _ = Command::new("podman")
            .args(["kube", "down"])
            .arg(&self.played)
            .output();
    }
}

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
fn process(container: &str) -> u32 {
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

/// The Python with the packages that `make pods` installs.
pub fn python() -> Command {
    Command::new(std::env::var("PYTHON").expect("PYTHON is not set; run this by make pods"))
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn borrowed(data: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    data.iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
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
