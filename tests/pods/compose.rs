//! `deploy/compose.yaml`.

use crate::container::{self, SIDECAR, repository, run};
use crate::support::process::eventually;
use std::fs;
use std::path::Path;
use std::process::Command;

/// podman does not support `pid: service:nginx`, so that is replaced. The configuration is plain files, and the application is
/// process 1.
#[test]
fn the_compose_file_runs_a_working_sidecar() {
    let directory = repository().join("target/pods/compose");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(directory.join("nginx")).unwrap();
    fs::copy(
        repository().join("deploy/compose.yaml"),
        directory.join("compose.yaml"),
    )
    .unwrap();
    let differences = "services:\n  nginx: {network_mode: none}\n  config-reloader: {pid: 'container:composed_nginx_1'}\n";
    fs::write(directory.join("podman.yaml"), differences).unwrap();
    let write = |word: &str| {
        let config = format!("server {{ listen 8080; location / {{ return 200 {word}; }} }}");
        fs::write(directory.join("nginx/default.conf"), config).unwrap();
    };
    write("blue");
    let _composed = Composed::up(&directory);
    let container = |service: &str| format!("composed_{service}_1");
    let mut sidecar = container::log(&container(SIDECAR));
    sidecar.expect("watching");
    let answers = |word: &str| {
        eventually(word, || {
            let output = container::output(&container("nginx"), "curl --silent localhost:8080");
            String::from_utf8_lossy(&output.stdout).contains(word)
        });
    };
    answers("blue");
    let words = ["green", "red"];
    for word in words {
        write(word);
        sidecar.expect("signal sent");
        answers(word);
    }
    assert_eq!(container::end(&container(SIDECAR)), "exited 0");
    let (_, log) = sidecar.finish();
    let signals = log
        .iter()
        .filter(|line| line.contains("signal sent"))
        .count();
    assert_eq!(signals, words.len(), "{log:#?}");
}

/// The running services of a Compose file. Dropping it stops them.
struct Composed<'d>(&'d Path);

impl<'d> Composed<'d> {
    fn up(directory: &'d Path) -> Self {
        let composed = Self(directory);
        run(&mut composed.command("up --detach --no-build"));
        composed
    }

    fn command(&self, command: &str) -> Command {
        let program = repository().join("target/pods/python/bin/podman-compose");
        let mut compose = Command::new(program);
        compose
            .current_dir(self.0)
            .args(
                "--in-pod false --project-name composed --file compose.yaml --file podman.yaml"
                    .split(' '),
            )
            .args(command.split(' '));
        compose
    }
}

impl Drop for Composed<'_> {
    fn drop(&mut self) {
        let _ = self.command("down --timeout 1").output();
    }
}
