//! The memory that the manifests request is enough.

use crate::cgroup::Cgroup;
use crate::container::{self, SIDECAR, repository, run};
use crate::support::process::open_to_all;
use crate::support::volume::{Order, Volume};
use std::fs;
use std::process::Command;

const UPDATES: usize = 10_000;

/// A server that has nothing to do.
const APPLICATION: &str =
    "import signal\nsignal.signal(signal.SIGHUP, lambda *_: None)\nwhile True: signal.pause()\n";

#[test]
fn ten_thousand_updates_fit_the_memory_request() {
    let directory = tempfile::tempdir().unwrap();
    open_to_all(directory.path());
    let volume = Volume::new(
        directory.path().join("config"),
        Order::SwapFirst,
        &[("app.conf", "blue")],
    );
    let mount = format!("{}:/config:ro", directory.path().display());
    let image =
        run(Command::new("podman").args(["images", "--quiet", "docker.io/library/nginx:1.28"]));
    let application = Container::start("updated", &[image.trim(), "python3", "-c", APPLICATION]);
    let shared = format!("container:{}", application.0);
    let reloader = Container::start(
        SIDECAR,
        &[
            "--pid",
            &shared,
            "--volume",
            &mount,
            "--env=CONFIG_DIR=/config/config",
            "--env=PROCESS_NAME=python3",
            "--env=RELOAD_MIN_INTERVAL=0",
            "config-reloader-sidecar:0.1.0",
        ],
    );
    let mut sidecar = container::log(&reloader.0);
    sidecar.expect("watching");
    // Only once it runs, because the runtime needs more to start it.
    let request = memory_request();
    let memory = Cgroup::of(container::process(&reloader.0), "memory");
    let started = memory.number("memory.max_usage_in_bytes");
    memory.set("memory.limit_in_bytes", request);
    memory.set("memory.max_usage_in_bytes", 0);
    for update in 0..UPDATES {
        volume.update(&[("app.conf", &update.to_string())]);
        sidecar.expect("signal sent");
    }
    let peak = memory.number("memory.max_usage_in_bytes");
    assert!(memory.read("memory.oom_control").contains("oom_kill 0\n"));
    assert_eq!(container::end(&reloader.0), "exited 0");
    let (_, log) = sidecar.finish();
    let sent = log.iter().filter(|line| line.contains("signal sent"));
    assert_eq!(sent.count(), UPDATES);
    let kib = |bytes: u64| bytes >> 10;
    println!(
        "{UPDATES} updates: {} of {} KiB at most, {} KiB while the runtime starts it",
        kib(peak),
        kib(request),
        kib(started)
    );
}

/// Returns what the example for nginx requests for the sidecar, in bytes.
fn memory_request() -> u64 {
    let manifest = fs::read_to_string(repository().join("deploy/pods/nginx.yaml")).unwrap();
    let (_, sidecar) = manifest.split_once("name: config-reloader\n").unwrap();
    let (_, requests) = sidecar.split_once("requests: {").unwrap();
    let (_, memory) = requests.split_once("memory: ").unwrap();
    let (mebibytes, _) = memory.split_once("Mi").unwrap();
    mebibytes.parse::<u64>().unwrap() << 20
}

/// A running container. Dropping it removes it.
struct Container(String);

impl Container {
    #[track_caller]
    fn start(name: &str, arguments: &[&str]) -> Self {
        let container = Self(format!("memory-{name}"));
        run(Command::new("podman")
            .args(["run", "--detach", "--network=none", "--name", &container.0])
            .args(arguments));
        container
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = Command::new("podman")
            .args(["rm", "--force", "--time=1", &self.0])
            .output();
    }
}
