//! The other ways to get the sidecar into a Pod: they run, too.

use crate::apps::{App, manifest};
use crate::pod::{Pod, python, repository, run};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const NGINX: App = App {
    client: "curl --silent localhost:8080",
    ready: None,
};

/// What a command prints, as a manifest.
fn printed(name: &str, command: &mut Command) -> PathBuf {
    let path = repository().join(format!("target/pods/{name}.yaml"));
    fs::write(&path, run(command.current_dir(repository()))).unwrap();
    path
}

/// The sidecar is uid 0 with KILL, the application somebody else.
#[test]
fn by_the_component() {
    let kubectl = repository().join("target/pods/python/bin/kubectl");
    let mut build = Command::new(kubectl);
    build.args(["kustomize", "deploy/example"]);
    NGINX.reloads(
        &Pod::start(&printed("component", &mut build)),
        "nginx by component",
    );
}

#[test]
fn by_the_policy() {
    let mut inject = python();
    inject.args(["tests/pods/check.py", "print-injected"]);
    NGINX.reloads(
        &Pod::start(&printed("injected", &mut inject)),
        "nginx by policy",
    );
}

/// As the README tells whoever asks whether it is set up right.
#[test]
fn check_says_in_a_pod_that_a_change_would_be_delivered() {
    let pod = Pod::start_adapted(&manifest("nginx"), |pod| {
        pod["metadata"]["name"] = "checked".into();
    });
    let mut sidecar = pod.log(crate::pod::SIDECAR);
    sidecar.expect("watching");
    let report = pod.command("check");
    assert!(
        report.ends_with("\nA change would be delivered now.\n"),
        "{report}"
    );
}
