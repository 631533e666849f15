//! The ways to add the sidecar to a Pod: the component and the policy, with the workloads of `deploy/example`.

use crate::apps::{App, finish};
use crate::held;
use crate::namespace::Namespace;
use crate::pod::{Pod, SIDECAR};
use crate::policy::Policy;
use crate::report;
use serde_json::json;
use std::path::{Path, PathBuf};

pub const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/example");

/// Returns the path of a manifest of the example.
pub fn manifest(name: &str) -> PathBuf {
    Path::new(EXAMPLE).join(format!("{name}.yaml"))
}

/// Returns the Pod with this label, once it is ready.
#[track_caller]
pub fn pod_of<'n>(namespace: &'n Namespace, label: &str, container: &str) -> Pod<'n> {
    let selector = format!("--selector={label}");
    namespace.run(&["wait", "--for=create", "--timeout=60s", "pod", &selector]);
    let path = "--output=jsonpath={.items[0].metadata.name}";
    let name = namespace.run(&["get", "pod", &selector, path]);
    Pod::ready(namespace, &name, container)
}

/// Edits the configuration of a server of the example.
#[track_caller]
pub fn follows_edits(namespace: &Namespace, name: &str, way: &str) {
    let pod = pod_of(namespace, &format!("app={name}"), name);
    let server = App {
        client: "curl --silent localhost:8080",
        ready: None,
        held: Some(held::request(8080)),
    };
    let (sidecar, held) = server.follows_edits(&pod, &manifest(name));
    assert_eq!(pod.metric("reloader_signals_total"), 2);
    let row = format!("{name} by {way}");
    finish(&pod, &row, sidecar, &format!("2 edits{held}"));
}

#[test]
fn component_adds_a_working_sidecar_to_each_workload_of_an_overlay() {
    let namespace = Namespace::new("component");
    namespace.run(&["apply", "--kustomize", EXAMPLE]);
    namespace.run(&["create", "job", "batch", "--from=cronjob/batch"]);
    follows_edits(&namespace, "nginx", "component");
    follows_edits(&namespace, "haproxy", "component");
    job_takes_a_new_limit(&namespace, "component");
}

#[test]
fn policy_adds_a_working_sidecar_that_passes_restricted() {
    let namespace = Namespace::that_enforces("policy", "restricted");
    let _policy = Policy::apply();
    for name in ["nginx", "haproxy", "batch"] {
        namespace.apply_file(&manifest(name));
    }
    namespace.run(&["create", "job", "batch", "--from=cronjob/batch"]);
    follows_edits(&namespace, "nginx", "policy");
    follows_edits(&namespace, "haproxy", "policy");
    job_takes_a_new_limit(&namespace, "policy");
}

/// Lowers the limit of a running job, which then completes.
#[track_caller]
fn job_takes_a_new_limit(namespace: &Namespace, way: &str) {
    let pod = pod_of(namespace, "job-name=batch", "batch");
    let mut job = pod.log("batch");
    job.expect("limit ");
    let mut sidecar = pod.log(SIDECAR);
    namespace.config_map("batch", &json!({"limit": "1"}));
    pod.expect(&mut sidecar, "signal sent");
    job.expect("limit 1");
    let complete = [
        "wait",
        "--for=condition=Complete",
        "job/batch",
        "--timeout=60s",
    ];
    namespace.run(&complete);
    report::row(&format!("cron job by {way}"), "1 edit, 1 signal, complete");
}
