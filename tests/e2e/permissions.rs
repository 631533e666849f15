//! The table in docs/security.md of who may signal whom, tested row by row in containers with users and capabilities as set by a kubelet.
//!
//! They are run by runc directly, because podman adds ambient capabilities, which Kubernetes does not.

use crate::support::docs::section;
use crate::support::process::{Talker, example};
use crate::support::volume::{Order, Volume, let_age};
use crate::support::{program, unique_name};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const CONFIG: &str = "/config";

#[test]
fn p7_signals_arrive_as_the_docs_say_and_otherwise_the_log_suggests_fixes() {
    let section = section("## Permissions");
    let rows: Vec<[&str; 3]> = section
        .lines()
        .skip_while(|line| !line.starts_with("| the application"))
        .skip(2)
        .map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|row| {
            let cells: Vec<&str> = row.split(" | ").collect();
            cells.try_into().expect("three cells")
        })
        .collect();
    let arrive = rows.iter().filter(|row| row[2] == "arrives").count();
    assert!(arrive > 0 && arrive < rows.len(), "{rows:?}");
    for [app, sidecar, outcome] in rows {
        println!("{app} | {sidecar} | {outcome}");
        check(&User::parse(app), &User::parse(sidecar), outcome);
    }
}

/// Starts the tests' own application, linked to this machine's libraries.
fn start_app(user: &User, volume: &Volume) -> (Container, Talker) {
    let target = example("target");
    let libraries = ["/lib", "/lib64", "/usr/lib"].map(|path| (Path::new(path), path));
    let mut mounts = vec![(volume.path.as_path(), CONFIG), (target.as_path(), "/app")];
    mounts.extend(libraries.iter().filter(|(path, _)| path.exists()));
    let (container, mut output) =
        Container::run(user, None, &mounts, &["/app", "/config/app.conf"]);
    output.expect("ready");
    (container, output)
}

fn check(app: &User, sidecar: &User, outcome: &str) {
    let directory = tempfile::tempdir().unwrap();
    crate::support::process::open_to_all(directory.path());
    let volume = Volume::new(
        directory.path().join("volume"),
        Order::SwapFirst,
        &[("app.conf", "one")],
    );
    let_age(&volume.path);
    let program = program();
    let shared = [
        (volume.path.as_path(), CONFIG),
        (program.as_path(), "/config-reloader-sidecar"),
    ];

    let (app_container, mut app_output) = start_app(app, &volume);
    let pod = Some(app_container.pid());
    let (sidecar_container, mut log) =
        Container::run(sidecar, pod, &shared, &["/config-reloader-sidecar"]);
    log.expect("watching");
    volume.update(&[("app.conf", "two")]);
    let (container, output) = Container::run(
        sidecar,
        pod,
        &shared,
        &["/config-reloader-sidecar", "check"],
    );
    let (status, checked) = output.finish();
    drop(container);
    let checked = checked.join("\n");
    match outcome {
        "arrives" => {
            assert!(app_output.expect("SIGHUP").ends_with(" two"));
            assert_eq!(status.code(), Some(0), "{checked}");
            assert!(checked.contains(WORKS), "{checked}");
        }
        "EPERM" => {
            let line = log.expect("reload pending");
            let both = format!(
                "EPERM: the sidecar runs as uid {}, the process as uid {}; {FIXES}",
                sidecar.uid, app.uid
            );
            assert!(line.contains(&both), "{line}");
            assert_eq!(status.code(), Some(1), "{checked}");
            assert!(checked.contains(FIXES), "{checked}");
            assert!(checked.contains(FAILS), "{checked}");
            // runc forwards the SIGURG that Go sends to itself.
            let seen = app_output.seen();
            assert!(!seen.iter().any(|line| line.contains("SIGHUP")), "{seen:?}");
        }
        other => panic!("unknown outcome {other:?}"),
    }
    sidecar_container.signal("TERM");
    let (status, lines) = log.finish();
    assert_eq!(status.code(), Some(0), "{lines:#?}");
}

const WORKS: &str = "A change would be delivered now.";
const FAILS: &str = "A change would NOT be delivered now: not permitted.";
const FIXES: &str =
    "run the sidecar with the process's uid (runAsUser), or as uid 0 with the capability KILL";

/// `uid 1001`, or `uid 0 with KILL`: every other capability is dropped.
struct User {
    uid: u32,
    capabilities: Vec<String>,
}

impl User {
    fn parse(text: &str) -> Self {
        let (uid, capability) = match text.split_once(" with ") {
            Some((uid, capability)) => (uid, Some(capability)),
            None => (text, None),
        };
        Self {
            uid: uid.strip_prefix("uid ").unwrap().parse().unwrap(),
            capabilities: capability
                .map(|name| format!("CAP_{name}"))
                .into_iter()
                .collect(),
        }
    }
}

/// A container run by runc. Dropping it kills and removes it.
struct Container {
    name: String,
    _bundle: tempfile::TempDir,
}

impl Container {
    /// Starts a container with read-only `mounts`, in the PID namespace of the process `pod`. Returns it and its output.
    fn run(
        user: &User,
        pod: Option<u64>,
        mounts: &[(&Path, &str)],
        arguments: &[&str],
    ) -> (Self, Talker) {
        let bundle = tempfile::tempdir().unwrap();
        // Its user has to be able to enter.
        crate::support::process::open_to_all(bundle.path());
        fs::create_dir(bundle.path().join("rootfs")).unwrap();
        let mut all_mounts =
            vec![json!({"destination": "/proc", "type": "proc", "source": "proc"})];
        all_mounts.extend(mounts.iter().map(|(source, destination)| {
            json!({"destination": destination, "type": "bind", "source": source, "options": ["rbind", "ro"]})
        }));
        let mut namespace = json!({"type": "pid"});
        if let Some(pid) = pod {
            namespace["path"] = format!("/proc/{pid}/ns/pid").into();
        }
        let specification = json!({
            "ociVersion": "1.0.2",
            "root": {"path": "rootfs"},
            "process": {
                "args": arguments,
                "cwd": "/",
                "env": [format!("CONFIG_DIR={CONFIG}"), "PROCESS_NAME=app", "PROCESS_MIN_AGE=0"],
                "user": {"uid": user.uid, "gid": user.uid},
                // Neither inheritable nor ambient, as under containerd and CRI-O.
                "capabilities": {
                    "bounding": user.capabilities,
                    "permitted": user.capabilities,
                    "effective": user.capabilities,
                },
                "noNewPrivileges": true,
            },
            "mounts": all_mounts,
            "linux": {"namespaces": [{"type": "mount"}, {"type": "ipc"}, {"type": "network"}, namespace]},
        });
        fs::write(bundle.path().join("config.json"), specification.to_string()).unwrap();
        let name = unique_name();
        let (reader, writer) = std::io::pipe().unwrap();
        let child = Command::new("runc")
            .args(["run", "--bundle"])
            .arg(bundle.path())
            .arg(&name)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap();
        let container = Self {
            name,
            _bundle: bundle,
        };
        (container, Talker::new(child, reader))
    }

    /// Its process id outside the container.
    fn pid(&self) -> u64 {
        let output = Command::new("runc")
            .args(["state", &self.name])
            .output()
            .unwrap();
        let state: Value = serde_json::from_slice(&output.stdout).unwrap();
        state["pid"].as_u64().unwrap()
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("runc")
            .args(["kill", &self.name, signal])
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = Command::new("runc")
            .args(["delete", "--force", &self.name])
            .output();
    }
}
