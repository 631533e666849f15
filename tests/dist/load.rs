//! Container runtimes load the archives, and podman runs a Pod from one of them.

use crate::runtimes::{Containerd, Daemon, Docker, Podman};
use crate::support::process::{Target, example, open_to_all};
use crate::support::unique_name;
use crate::support::volume::{Order, Volume, let_age};
use crate::{command, dist, shell, succeed};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

const IMAGE: &str = concat!(
    "docker.io/library/",
    env!("CARGO_PKG_NAME"),
    ":",
    env!("CARGO_PKG_VERSION")
);

#[test]
fn containerd_imports_an_archive_under_the_name_that_the_kubelet_uses() {
    let directory = tempfile::tempdir().unwrap();
    let containerd = Containerd::start(directory.path());
    containerd.run(&command("ctr "));
    let images = containerd.run("ctr --namespace k8s.io images list --quiet");
    assert_eq!(images.trim(), IMAGE);
}

#[test]
fn docker_loads_an_archive_and_the_sandbox_works() {
    let directory = tempfile::tempdir().unwrap();
    let docker = Docker::start(directory.path());
    docker.run(&command("docker "));
    let images = docker.run("docker images --format '{{.Repository}}:{{.Tag}}'");
    let image = IMAGE.trim_start_matches("docker.io/library/");
    assert_eq!(images.trim(), image);
    for (user, apps_user, capabilities, kept) in [
        (0, 1001, "--cap-drop ALL --cap-add KILL", "KILL"),
        (65532, 65532, "--cap-drop ALL", "none"),
    ] {
        let path = directory.path().join(format!("volume-{user}"));
        let volume = Volume::new(path, Order::SwapFirst, &[("app.conf", "one")]);
        let_age(&volume.path);
        open_to_all(directory.path());
        let file = volume.path.join("app.conf");
        let mut target = Target::launch(&unique_name(), &file, &[], |command| {
            command.uid(apps_user).gid(apps_user);
        });
        let name = target.name.clone();
        let config = volume.path.display();
        // Docker applies its own seccomp profile by default.
        let mut sidecar = docker.talk(&format!(
            "docker run --name {name} --user {user} {capabilities} --read-only --network none --pid host \
             --volume {config}:/config:ro --env CONFIG_DIR=/config --env PROCESS_NAME={name} {image}"
        ));
        let line = sidecar.expect(" sandboxed");
        let holds = format!("sandboxed no_new_privs=on capabilities={kept} seccomp=on");
        assert!(line.ends_with(&holds), "{line}");
        sidecar.expect("watching");
        let pid = docker.run(&format!(
            "docker inspect --format '{{{{.State.Pid}}}}' {name}"
        ));
        let status = crate::read(format!("/proc/{}/status", pid.trim()));
        assert!(status.contains("\nSeccomp_filters:\t2\n"), "{status}");
        volume.update(&[("app.conf", "two")]);
        assert_eq!(target.signalled().1, "two");
        sidecar.expect("signal sent");
        docker.run(&format!("docker stop {name}"));
        let (status, _) = sidecar.finish();
        assert_eq!(status.code(), Some(0), "the exit code of the sidecar");
        assert_eq!(target.count(), 1);
    }
}

#[test]
fn a_registry_accepts_the_images_of_all_platforms() {
    let directory = tempfile::tempdir().unwrap();
    let settings = directory.path().join("registry.yml");
    let storage = directory.path().join("storage");
    fs::write(
        &settings,
        format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:5000'}}\n",
            storage.display()
        ),
    )
    .unwrap();
    // The loopback of a new network namespace is down.
    succeed(Command::new("ip").args(["link", "set", "lo", "up"]));
    let inspect = "skopeo inspect --raw --tls-verify=false docker://localhost:5000/config-reloader-sidecar:0.1.0";
    let _registry = Daemon::start(
        Command::new("docker-registry").arg("serve").arg(&settings),
        Command::new("sh").args(["-c", "! skopeo list-tags --tls-verify=false docker://localhost:5000/none 2>&1 | grep refused"]),
    );
    succeed(&mut shell(&command("skopeo "), &dist()));
    let list: serde_json::Value =
        serde_json::from_str(&succeed(&mut shell(inspect, &dist()))).unwrap();
    let platforms: Vec<_> = list["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["platform"]["architecture"].as_str().unwrap())
        .collect();
    assert_eq!(
        platforms,
        ["amd64", "arm64", "arm", "riscv64", "ppc64le", "s390x"]
    );
}

#[test]
fn podman_loads_an_archive_and_runs_a_pod_from_it() {
    let podman = Podman::new();
    podman.run(&command("podman "));
    let volume = Volume::new(
        podman.directory.path().join("volume"),
        Order::SwapFirst,
        &[("app.conf", "one")],
    );
    let_age(&volume.path);
    let name = unique_name();
    let pod = podman.directory.path().join("pod.yaml");
    fs::write(&pod, manifest(&name, &volume.path)).unwrap();
    podman.run(&format!(
        "timeout 60 podman kube play --network none {}",
        pod.display()
    ));
    let mut app = podman.logs(&format!("{name}-app"));
    app.expect("ready");
    let mut sidecar = podman.logs(&format!("{name}-config-reloader"));
    sidecar.expect("watching");
    volume.update(&[("app.conf", "two")]);
    let line = app.expect("SIGHUP");
    assert!(line.ends_with(" two"), "{line}");
    sidecar.expect("signal sent");
    podman.run(&format!("podman kube down {}", pod.display()));
}

/// The application is the tests' own, mounted into the same image with this machine's libraries, as there is no other image.
fn manifest(name: &str, config: &Path) -> String {
    let target = example("target");
    let config = config.display();
    let (mut mounts, mut volumes) = (Vec::new(), Vec::new());
    for name in ["lib", "lib64"] {
        let path = format!("/{name}");
        if Path::new(&path).exists() {
            mounts.push(format!(
                "        - {{name: {name}, mountPath: {path}, readOnly: true}}\n"
            ));
            volumes.push(format!(
                "    - {{name: {name}, hostPath: {{path: {path}}}}}\n"
            ));
        }
    }
    let (mounts, volumes) = (mounts.concat(), volumes.concat());
    format!(
        "apiVersion: v1
kind: Pod
metadata:
  name: {name}
spec:
  shareProcessNamespace: true
  containers:
    - name: app
      image: {IMAGE}
      imagePullPolicy: Never
      command: [/app/target, /config/app.conf]
      securityContext:
        runAsUser: 1001
        readOnlyRootFilesystem: true
        capabilities: {{drop: [ALL]}}
      volumeMounts:
        - {{name: app, mountPath: /app, readOnly: true}}
        - {{name: config, mountPath: /config, readOnly: true}}
{mounts}    - name: config-reloader
      image: {IMAGE}
      imagePullPolicy: Never
      env:
        - {{name: CONFIG_DIR, value: /config}}
        - {{name: PROCESS_NAME, value: target}}
      securityContext:
        runAsUser: 0
        readOnlyRootFilesystem: true
        allowPrivilegeEscalation: false
        capabilities: {{drop: [ALL], add: [KILL]}}
      volumeMounts:
        - {{name: config, mountPath: /config, readOnly: true}}
  volumes:
    - {{name: app, hostPath: {{path: {app}}}}}
    - {{name: config, hostPath: {{path: {config}}}}}
{volumes}",
        app = target.parent().unwrap().display(),
    )
}
