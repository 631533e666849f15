//! The component and the policy, which add the sidecar to a Pod.

use crate::apps::{App, finish};
use crate::held;
use crate::namespace::{Namespace, kubectl, succeed};
use crate::pod::{PATIENCE, Pod};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/example");
const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/policy.yaml");

/// The annotations that the policy needs.
const ANNOTATIONS: [&str; 3] = [
    "config-reloader/config-dir=/etc/nginx/conf.d",
    "config-reloader/process-name=nginx",
    "config-reloader/volume=config",
];

/// Edits the configuration of the example's Pod.
#[track_caller]
fn follows_edits(namespace: &Namespace, row: &str) {
    let selector = "--selector=app=nginx";
    namespace.run(&["wait", "--for=create", "pod", selector]);
    let name = namespace.run(&[
        "get",
        "pod",
        selector,
        "--output=jsonpath={.items[0].metadata.name}",
    ]);
    let pod = Pod::ready(namespace, &name, "nginx");
    let nginx = App {
        client: "curl --silent localhost:8080",
        ready: None,
        held: Some(held::request(8080)),
    };
    let (sidecar, held) = nginx.follows_edits(&pod, &Path::new(EXAMPLE).join("nginx.yaml"));
    finish(&pod, row, sidecar, &format!("2 edits{held}"));
}

#[test]
fn sidecar_added_by_the_component_works() {
    let namespace = Namespace::new("component");
    namespace.run(&["apply", "--kustomize", EXAMPLE]);
    follows_edits(&namespace, "nginx by component");
}

#[test]
fn sidecar_added_by_the_policy_works() {
    let namespace = Namespace::new("policy");
    let _policy = Policy::apply(&namespace);
    let example = fs::read_to_string(Path::new(EXAMPLE).join("nginx.yaml")).unwrap();
    let label = "      labels: {app: nginx}\n";
    assert!(example.contains(label));
    let annotations = ANNOTATIONS.join(", ").replace('=', ": ");
    let annotated = format!("{label}      annotations: {{{annotations}}}\n");
    namespace.apply(&example.replace(label, &annotated));
    follows_edits(&namespace, "nginx by policy");
}

/// The policy, which is deleted on drop.
struct Policy;

impl Policy {
    /// Applies the policy and waits until it is in effect.
    #[track_caller]
    fn apply(namespace: &Namespace) -> Self {
        succeed(kubectl().args(["apply", "--filename", POLICY]));
        let policy = Self;
        let annotations = ANNOTATIONS.map(|annotation| format!("--annotations={annotation}"));
        let mut run = vec![
            "run",
            "asks",
            "--image=nginx:1.28",
            "--dry-run=server",
            r#"--overrides={"spec": {"volumes": [{"name": "config", "emptyDir": {}}]}}"#,
            "--output=jsonpath={.spec.initContainers[*].name}",
        ];
        run.extend(annotations.iter().map(String::as_str));
        let deadline = Instant::now() + PATIENCE;
        while namespace.run(&run) != "config-reloader" {
            assert!(Instant::now() < deadline, "the policy adds nothing");
            thread::sleep(Duration::from_millis(200));
        }
        policy
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        let _ = kubectl().args(["delete", "--filename", POLICY]).output();
    }
}
