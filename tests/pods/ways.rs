//! The other ways to add the sidecar to a Pod.

use crate::apps::{App, PATIENCE, WORDS, add_row, answers_by, manifest};
use crate::pod::{self, Pod, SIDECAR, python, repository, run};
use crate::support::process::eventually;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const NGINX: App = App {
    client: "curl --silent localhost:8080",
    ready: None,
};

/// Writes the output of a command to a manifest and returns its path.
fn printed(name: &str, command: &mut Command) -> PathBuf {
    let path = repository().join(format!("target/pods/{name}.yaml"));
    fs::write(&path, run(command.current_dir(repository()))).unwrap();
    path
}

/// The sidecar is uid 0 with KILL, the application another user.
#[test]
fn the_component_adds_a_working_sidecar() {
    let kubectl = repository().join("target/pods/python/bin/kubectl");
    let mut build = Command::new(kubectl);
    build.args(["kustomize", "deploy/example"]);
    NGINX.reloads(
        &Pod::start(&printed("component", &mut build)),
        "nginx by component",
    );
}

#[test]
fn the_policy_adds_a_working_sidecar() {
    let mut inject = python();
    inject.args(["tests/pods/check.py", "print-injected"]);
    NGINX.reloads(
        &Pod::start(&printed("injected", &mut inject)),
        "nginx by policy",
    );
}

/// Runs `check` as the README suggests.
#[test]
fn check_in_a_pod_says_that_a_change_would_be_delivered() {
    let pod = Pod::start_adapted(&manifest("nginx"), |pod| {
        pod["metadata"]["name"] = "checked".into();
    });
    let mut report = pod.command("check");
    eventually("old enough", || {
        report = pod.command("check");
        report.status.success()
    });
    let report = String::from_utf8(report.stdout).unwrap();
    assert!(
        report.ends_with("\nA change would be delivered now.\n"),
        "{report}"
    );
}

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
    let mut sidecar = pod::log(&container(SIDECAR));
    sidecar.expect("watching");
    let answers = |word| {
        answers_by(
            &|| pod::output(&container("nginx"), "curl --silent localhost:8080"),
            word,
        );
    };
    answers("blue");
    for word in WORDS {
        write(word);
        sidecar.expect_within(PATIENCE, "signal sent");
        answers(word);
    }
    assert_eq!(pod::end(&container(SIDECAR)), "exited 0");
    let (_, log) = sidecar.finish();
    let signals = log
        .iter()
        .filter(|line| line.contains("signal sent"))
        .count();
    assert_eq!(signals, WORDS.len(), "{log:#?}");
    let updates = WORDS.len();
    add_row(
        "nginx by Compose",
        &format!("yes|{updates}|{signals}|{updates}|0 as the image has it|0 KILL|yes"),
    );
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
