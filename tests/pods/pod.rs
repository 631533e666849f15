//! A Pod run by podman, and the kernel's view of its processes.

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
const POD_PIDS_LIMIT: &str = "256";

/// Memory for the runtime to start a second process in the sidecar's container.
const SIDECAR_PIDS_LIMIT: &str = "16";

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

/// A manifest in `deploy/`, as requested.
pub struct Manifest {
    spec: Value,
}

impl Manifest {
    /// Returns an environment variable of a container.
    pub fn setting(&self, container: &str, name: &str) -> Option<&str> {
        let mut variables = self.container(container)["env"].as_array()?.iter();
        let variable = variables.find(|variable| variable["name"] == name)?;
        variable["value"].as_str()
    }

    fn container(&self, name: &str) -> &Value {
        let lists = [&self.spec["initContainers"], &self.spec["containers"]];
        let mut containers = lists.into_iter().filter_map(Value::as_array).flatten();
        containers
            .find(|container| container["name"] == name)
            .unwrap_or_else(|| panic!("no container {name}"))
    }

    /// Returns a field of the container's security context, or else of the Pod's.
    fn security(&self, container: &str, field: &str) -> &Value {
        let own = &self.container(container)["securityContext"][field];
        if own.is_null() {
            &self.spec["securityContext"][field]
        } else {
            own
        }
    }

    /// Returns the memory in its `requests` or `limits`, in bytes.
    pub fn memory(&self, container: &str, of: &str) -> u64 {
        let memory = &self.container(container)["resources"][of]["memory"];
        let memory = memory.as_str().expect("an amount");
        let (number, unit) = memory.split_at(memory.len() - 2);
        let unit = match unit {
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            _ => panic!("{memory}"),
        };
        number.parse::<u64>().unwrap() * unit
    }

    /// Returns the mask of its capabilities, as in `/proc/PID/status`.
    fn capabilities(&self, container: &str) -> u64 {
        let capabilities = self.security(container, "capabilities");
        assert_eq!(capabilities["drop"], serde_json::json!(["ALL"]));
        let added = capabilities["add"].as_array().into_iter().flatten();
        added
            .map(|name| 1 << capability(name.as_str().unwrap()))
            .sum()
    }
}

/// Returns the number of a capability that the manifests use; capability.h.
fn capability(name: &str) -> u32 {
    match name {
        "CHOWN" => 0,
        "KILL" => 5,
        "SETGID" => 6,
        "SETUID" => 7,
        "SYS_CHROOT" => 18,
        _ => panic!("unknown capability {name}"),
    }
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
        fs::write(sidecar.0.join("pids.max"), SIDECAR_PIDS_LIMIT).unwrap();
        let pod = sidecar.0.parent().unwrap();
        fs::write(pod.join("pids.max"), POD_PIDS_LIMIT).unwrap();
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

/// A control group, version 1.
pub struct Cgroup(PathBuf);

impl Cgroup {
    fn of(pid: u32, controller: &str) -> Self {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let group = groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let is_it = fields.next()?.split(',').any(|name| name == controller);
            is_it.then(|| fields.next()).flatten()
        });
        let group = group.expect("control groups version 1");
        Self(
            Path::new("/sys/fs/cgroup")
                .join(controller)
                .join(&group[1..]),
        )
    }

    pub fn set(&self, file: &str, value: u64) {
        fs::write(self.0.join(file), value.to_string()).unwrap();
    }

    fn parent(&self) -> Self {
        Self(self.0.parent().unwrap().to_owned())
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap()
    }

    pub fn number(&self, file: &str) -> u64 {
        self.read(file).trim().parse().unwrap()
    }
}

const PODS: [&str; 2] = ["Pod", "Deployment"];

#[track_caller]
fn of_kind<'d>(documents: &'d [Value], kinds: &[&str]) -> &'d Value {
    let is_it = |document: &&Value| kinds.contains(&document["kind"].as_str().unwrap());
    documents
        .iter()
        .find(is_it)
        .expect("a document of this kind")
}

/// Returns the Pod's specification.
fn spec(document: &Value) -> &Value {
    if document["kind"] == "Deployment" {
        &document["spec"]["template"]["spec"]
    } else {
        &document["spec"]
    }
}

/// Returns the documents of a manifest, unchanged.
fn documents_of(manifest: &Path) -> Vec<Value> {
    let script =
        "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    documents(python().args(["-c", script]).arg(manifest))
}

fn documents(script: &mut Command) -> Vec<Value> {
    serde_json::from_str(&run(script)).unwrap()
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
