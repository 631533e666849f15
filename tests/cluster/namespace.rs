//! A namespace for one test, and kubectl in it.

use crate::support::process::Talker;
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A namespace that is deleted on drop.
pub struct Namespace {
    pub name: String,
}

impl Namespace {
    /// Creates a namespace without Pod security.
    #[track_caller]
    pub fn new(name: &str) -> Self {
        Self::that_enforces(name, "privileged")
    }

    /// Creates a namespace that enforces a Pod security level: `privileged`, `baseline` or `restricted`.
    #[track_caller]
    pub fn that_enforces(name: &str, level: &str) -> Self {
        let namespace = Self {
            name: format!("test-{name}"),
        };
        let delete = ["delete", "namespace", &namespace.name, "--ignore-not-found"];
        succeed(kubectl().args(delete));
        succeed(kubectl().args(["create", "namespace", &namespace.name]));
        let label = format!("pod-security.kubernetes.io/enforce={level}");
        namespace.run(&["label", "namespace", &namespace.name, &label]);
        let created = ["wait", "--for=create", "serviceaccount/default"];
        namespace.run(&created);
        namespace
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = kubectl();
        command.args(["--namespace", &self.name]).args(arguments);
        command
    }

    /// Runs kubectl, which must succeed; returns its output.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        succeed(&mut self.kubectl(arguments))
    }

    /// Starts a kubectl that runs until it is dropped.
    pub fn follow(&self, arguments: &[&str]) -> Talker {
        let mut command = self.kubectl(arguments);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        Talker::new(child, output)
    }

    #[track_caller]
    pub fn apply_file(&self, manifest: &Path) {
        self.run(&["apply", "--filename", manifest.to_str().unwrap()]);
    }

    /// Applies a manifest.
    #[track_caller]
    pub fn apply(&self, manifest: &str) {
        let output = self.try_apply(manifest);
        assert!(output.status.success(), "{manifest}: {output:?}");
    }

    /// Applies a manifest that the API server may refuse.
    pub fn try_apply(&self, manifest: &str) -> Output {
        // A client-side apply records the manifest in an annotation, which is too small for 1,500 keys.
        let server_side = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--filename",
            "-",
        ];
        Self::feed(&mut self.kubectl(&server_side), manifest)
    }

    /// Runs a command with this input.
    pub fn feed(command: &mut Command, input: &str) -> Output {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(input.as_bytes()).unwrap();
        drop(pipe);
        child.wait_with_output().unwrap()
    }

    /// Creates or edits a ConfigMap.
    #[track_caller]
    pub fn config_map(&self, name: &str, data: &Value) {
        let manifest = serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data
        });
        self.apply(&manifest.to_string());
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let delete = ["delete", "namespace", &self.name, "--wait=false"];
        let _ = kubectl().args(delete).output();
    }
}

pub fn kubectl() -> Command {
    Command::new(std::env::var("KUBECTL").expect("make cluster names it"))
}

/// Runs a command, which must succeed; returns its output.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
