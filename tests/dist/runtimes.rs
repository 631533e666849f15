//! Container runtimes that share nothing with the machine's own.

use crate::support::process::{Talker, eventually};
use crate::{dist, shell, succeed};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// podman with its own store. Dropping it removes the store.
pub struct Podman {
    pub directory: tempfile::TempDir,
    settings: [(&'static str, std::path::PathBuf); 2],
}

impl Podman {
    pub fn new() -> Self {
        Self::with_volumes(&[])
    }

    /// Mounts these directories of the machine into every container: source and destination.
    pub fn with_volumes(volumes: &[(&str, &str)]) -> Self {
        let volumes = volumes
            .iter()
            .map(|(source, path)| format!("{source}:{path}:ro"));
        let volumes: Vec<String> = volumes.collect();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let storage = path.join("storage.conf");
        let text = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/graph\"\nrunroot = \"{0}/run\"\n",
            path.display()
        );
        fs::write(&storage, text).unwrap();
        let containers = path.join("containers.conf");
        // The default limits are too high if this machine is itself a container.
        let text = format!(
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\nvolumes = {volumes:?}
[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n"
        );
        fs::write(&containers, text).unwrap();
        Self {
            directory,
            settings: [
                ("CONTAINERS_STORAGE_CONF", storage),
                ("CONTAINERS_CONF", containers),
            ],
        }
    }

    pub fn command(&self, line: &str, directory: &Path) -> Command {
        let mut command = shell(line, directory);
        command.envs(self.settings.clone());
        command
    }

    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        succeed(&mut self.command(line, &dist()))
    }

    pub fn logs(&self, container: &str) -> Talker {
        let (reader, writer) = std::io::pipe().unwrap();
        let child = self
            .command(&format!("exec podman logs --follow {container}"), &dist())
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap();
        Talker::new(child, reader)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        for line in [
            "podman pod rm --force --all --time 0",
            "podman rmi --force --all",
        ] {
            let _ = self.command(line, &dist()).output();
        }
    }
}

/// A service. Dropping it kills it.
pub struct Daemon(Child);

impl Daemon {
    /// Starts a service and waits until `answers` succeeds.
    pub fn start(service: &mut Command, answers: &mut Command) -> Self {
        let log = tempfile::tempfile().unwrap();
        let child = service
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{service:?}: {error}"));
        let daemon = Self(child);
        eventually(&format!("an answer from {service:?}"), || {
            answers.output().unwrap().status.success()
        });
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.0),
            rustix::process::Signal::TERM,
        );
        let _ = self.0.wait();
    }
}

/// docker with its own daemon and containerd, isolated from the machine's.
pub struct Docker {
    address: String,
    _daemon: Daemon,
    _containerd: Containerd,
}

impl Docker {
    pub fn start(directory: &Path) -> Self {
        let containerd = Containerd::start(directory);
        let address = format!("unix://{}", directory.join("docker").display());
        let daemon = Daemon::start(
            Command::new("dockerd")
                .arg("--host")
                .arg(&address)
                .arg("--containerd")
                .arg(&containerd.address)
                .arg("--data-root")
                .arg(directory.join("data"))
                .arg("--exec-root")
                .arg(directory.join("exec"))
                .arg("--pidfile")
                .arg(directory.join("pid"))
                .args(
                    "--bridge none --iptables=false --ip6tables=false --storage-driver vfs"
                        .split(' '),
                ),
            Command::new("docker").args(["--host", &address, "info"]),
        );
        Self {
            address,
            _daemon: daemon,
            _containerd: containerd,
        }
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = shell(line, &dist());
        command.env("DOCKER_HOST", &self.address);
        command
    }

    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        succeed(&mut self.command(line))
    }

    /// Runs a command and reads its standard error.
    pub fn talk(&self, line: &str) -> Talker {
        let mut command = self.command(&format!("exec {line}"));
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = child.stderr.take().unwrap();
        Talker::new(child, output)
    }
}

pub struct Containerd {
    address: std::path::PathBuf,
    _daemon: Daemon,
}

impl Containerd {
    pub fn start(directory: &Path) -> Self {
        let address = directory.join("containerd");
        let settings = directory.join("containerd.toml");
        // Only images are needed, so containers cannot be run.
        fs::write(
            &settings,
            "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n",
        )
        .unwrap();
        let daemon = Daemon::start(
            Command::new("containerd")
                .arg("--config")
                .arg(&settings)
                .arg("--address")
                .arg(&address)
                .arg("--root")
                .arg(directory.join("containerd-root"))
                .arg("--state")
                .arg(directory.join("containerd-state")),
            Command::new("ctr")
                .arg("--address")
                .arg(&address)
                .arg("version"),
        );
        Self {
            address,
            _daemon: daemon,
        }
    }

    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        succeed(shell(line, &dist()).env("CONTAINERD_ADDRESS", &self.address))
    }
}
