//! The sidecar's own sandbox inside that of a container runtime.

use crate::image::{Container, Image, succeed};
use crate::support::process::{Talker, Target, open_to_all};
use crate::support::volume::{Order, Volume, let_age};
use crate::support::{program, unique_name};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// The sidecar's user, the application's user, and the capabilities that the sidecar keeps.
const USERS: [(u32, u32, &str); 2] = [(0, 1001, "KILL"), (65532, 65532, "none")];

/// A volume, and an application outside the sidecar's container.
struct Pod {
    volume: Volume,
    target: Target,
    _directory: tempfile::TempDir,
}

impl Pod {
    fn new(user: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        open_to_all(directory.path());
        let path = directory.path().join("volume");
        let volume = Volume::new(path, Order::SwapFirst, &[("app.conf", "one")]);
        let_age(&volume.path);
        let file = volume.path.join("app.conf");
        let target = Target::launch(&unique_name(), &file, &[], |command| {
            command.uid(user).gid(user);
        });
        Self {
            volume,
            target,
            _directory: directory,
        }
    }

    /// Asserts that the sidecar logs its restrictions, and still delivers a signal.
    #[track_caller]
    fn expect_signal(&mut self, sidecar: &mut Talker, kept: &str) {
        let line = sidecar.expect(" sandboxed");
        let expected = format!("info  sandboxed no_new_privs=on capabilities={kept} seccomp=on");
        assert!(line.ends_with(&expected), "{line}");
        sidecar.expect("watching");
        self.volume.update(&[("app.conf", "two")]);
        assert_eq!(self.target.signalled().1, "two");
        sidecar.expect("signal sent");
    }
}

#[test]
fn works_in_a_container_with_a_profile() {
    let image = Image::build();
    for (user, apps_user, kept) in USERS {
        let mut pod = Pod::new(apps_user);
        let added = if user == 0 { "--cap-add KILL" } else { "" };
        let options = format!(
            "--pid host --user {user} {added} -e CONFIG_DIR=/config -e PROCESS_NAME={}",
            pod.target.name
        );
        let mounts = [(pod.volume.path.clone(), "/config")];
        let mounts = mounts.each_ref().map(|(path, at)| (path.as_path(), *at));
        let (sidecar, mut output) = Container::run(&image, &options, &mounts, &[]);
        pod.expect_signal(&mut output, kept);
        let inspected = succeed(Command::new(&image.tool).args([
            "inspect",
            "--format",
            "{{.State.Pid}}",
            &sidecar.name,
        ]));
        // The container's filter and the sidecar's.
        let status = fs::read_to_string(format!("/proc/{}/status", inspected.trim())).unwrap();
        assert!(status.contains("\nSeccomp_filters:\t2\n"), "{status}");
    }
}

/// The default profile of podman, CRI-O and buildah, from which docker's and containerd's differs by a few calls.
const PROFILE: &str = "/usr/share/containers/seccomp.json";

#[test]
fn works_under_runc_with_and_without_a_profile() {
    for profile in [None, Some(runtime_profile())] {
        for (user, apps_user, kept) in USERS {
            let mut pod = Pod::new(apps_user);
            let (container, mut output) = Runc::run(&pod, user, profile.as_ref());
            pod.expect_signal(&mut output, kept);
            succeed(container.runc().args(["kill", &container.name, "TERM"]));
            let (status, lines) = output.finish();
            assert_eq!(status.code(), Some(0), "{lines:#?}");
        }
    }
}

/// Translates podman's profile into a runtime's: the rules for this machine and a container with few capabilities.
fn runtime_profile() -> Value {
    let profile: Value = serde_json::from_slice(&fs::read(PROFILE).unwrap()).unwrap();
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let concerns = |rule: &&Value| {
        let list = |side: &str, what: &str| rule[side][what].as_array().cloned();
        let is_ours = |arches: Vec<Value>| arches.contains(&json!(arch));
        list("includes", "caps").is_none()
            && list("includes", "arches").is_none_or(is_ours)
            && !list("excludes", "arches").is_some_and(is_ours)
    };
    let rules = profile["syscalls"].as_array().unwrap();
    let rules: Vec<Value> = (rules.iter().filter(concerns))
        .map(|rule| {
            let mut plain = json!({"names": rule["names"], "action": rule["action"]});
            for optional in ["args", "errnoRet"] {
                if !rule[optional].is_null() {
                    plain[optional] = rule[optional].clone();
                }
            }
            plain
        })
        .collect();
    json!({
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile["defaultErrnoRet"],
        "syscalls": rules,
    })
}

/// A container run by runc, which sees this machine's processes. Dropping it kills and removes it.
struct Runc {
    bundle: tempfile::TempDir,
    name: String,
}

impl Runc {
    fn run(pod: &Pod, user: u32, profile: Option<&Value>) -> (Self, Talker) {
        let container = Self {
            bundle: tempfile::tempdir().unwrap(),
            name: unique_name(),
        };
        let bundle = container.bundle.path();
        open_to_all(bundle);
        fs::create_dir(bundle.join("rootfs")).unwrap();
        fs::copy(program(), bundle.join("rootfs/sidecar")).unwrap();
        succeed(container.runc().args(["spec", "--bundle"]).arg(bundle));
        container.describe(pod, user, profile);
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = container.runc();
        command
            .args(["run", "--bundle"])
            .arg(bundle)
            .arg(&container.name);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(writer);
        let output = Talker::new(command.spawn().unwrap(), reader);
        (container, output)
    }

    /// Adapts the specification that runc generates.
    fn describe(&self, pod: &Pod, user: u32, profile: Option<&Value>) {
        let path = self.bundle.path().join("config.json");
        let mut spec: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let process = &mut spec["process"];
        process["terminal"] = json!(false);
        process["user"] = json!({"uid": user, "gid": user});
        process["args"] = json!(["/sidecar"]);
        process["env"] = json!([
            "CONFIG_DIR=/config",
            format!("PROCESS_NAME={}", pod.target.name)
        ]);
        // No ambient capabilities, as under a kubelet.
        let capabilities = json!(["CAP_KILL"]);
        process["capabilities"] =
            json!({"bounding": capabilities, "effective": capabilities, "permitted": capabilities});
        let mount = json!({
            "destination": "/config",
            "type": "bind",
            "source": pod.volume.path,
            "options": ["rbind", "ro"],
        });
        spec["mounts"].as_array_mut().unwrap().push(mount);
        let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "pid");
        if let Some(profile) = profile {
            spec["linux"]["seccomp"] = profile.clone();
        }
        fs::write(path, spec.to_string()).unwrap();
    }

    /// Returns a runc command that keeps its state in the bundle.
    fn runc(&self) -> Command {
        let mut command = Command::new("runc");
        command.arg("--root").arg(self.bundle.path().join("state"));
        command
    }
}

impl Drop for Runc {
    fn drop(&mut self) {
        let _ = self.runc().args(["delete", "--force", &self.name]).output();
    }
}
