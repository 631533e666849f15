//! Unusual kinds of Pods, and Pod security.

use crate::apps;
use crate::namespace::Namespace;
use crate::pod::{Pod, SIDECAR, target};
use crate::report;
use serde_json::{Value, json};

#[track_caller]
fn start<'n>(namespace: &'n Namespace, manifest: &Value) -> Pod<'n> {
    namespace.config_map("config", &json!({"word": "blue"}));
    Pod::start(namespace, manifest)
}

fn manifest(name: &str) -> Value {
    target(name, "word", &json!({"configMap": {"name": "config"}}))
}

/// Starts a Pod and checks that one edit is one signal.
#[track_caller]
fn is_signalled_once(manifest: &Value) {
    let name = manifest["metadata"]["name"].as_str().unwrap();
    let namespace = Namespace::new(name);
    let pod = start(&namespace, manifest);
    let mut target = pod.log("target");
    target.expect("ready");
    namespace.config_map("config", &json!({"word": "green"}));
    assert!(pod.expect(&mut target, "SIGHUP").ends_with(" green"));
    assert!(pod.delete().exits.contains("config-reloader=0"));
    let (_, log) = target.finish();
    let signals = log.iter().filter(|line| line.starts_with("SIG")).count();
    assert_eq!(signals, 1, "{log:#?}");
    report::row(name, "1 edit, 1 signal");
}

/// Sees every process of the node, so the application is identified by an argument of its own.
#[test]
fn application_with_host_pid_is_signalled_once() {
    let mut manifest = manifest("host-pid");
    let spec = &mut manifest["spec"];
    spec["hostPID"] = true.into();
    spec["shareProcessNamespace"] = false.into();
    spec["containers"][0]["command"] = json!(["target", "/config/word", "--note", "host-pid-only"]);
    spec["initContainers"][0]["env"][1] =
        json!({"name": "PROCESS_CMDLINE", "value": "host-pid-only"});
    is_signalled_once(&manifest);
}

#[test]
fn application_in_a_user_namespace_is_signalled_once() {
    let mut manifest = manifest("user-namespace");
    manifest["spec"]["hostUsers"] = false.into();
    is_signalled_once(&manifest);
}

#[test]
fn application_in_the_host_network_is_signalled_once() {
    let mut manifest = manifest("host-network");
    manifest["spec"]["hostNetwork"] = true.into();
    is_signalled_once(&manifest);
}

#[test]
fn job_completes_with_a_sidecar_that_never_exits_by_itself() {
    let namespace = Namespace::new("job");
    namespace.config_map("config", &json!({"word": "blue"}));
    let mut pod = manifest("job");
    let spec = &mut pod["spec"];
    spec["restartPolicy"] = "Never".into();
    // Exits on its first signal.
    spec["containers"][0]["command"] = json!(["target", "/config/word", "--die", "1"]);
    let template = json!({"metadata": {"labels": {"job": "job"}}, "spec": spec});
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": {"template": template, "backoffLimit": 0}
    });
    namespace.apply(&job.to_string());
    namespace.run(&["wait", "--for=create", "pod", "--selector=job=job"]);
    let name = namespace.run(&[
        "get",
        "pod",
        "--selector=job=job",
        "--output=jsonpath={.items[0].metadata.name}",
    ]);
    let pod = Pod::ready(&namespace, &name, "target");
    let mut sidecar = pod.log(SIDECAR);
    namespace.config_map("config", &json!({"word": "green"}));
    pod.expect(&mut sidecar, "signal sent");
    namespace.run(&[
        "wait",
        "--for=condition=Complete",
        "job/job",
        "--timeout=60s",
    ]);
    let exit = pod.field("{.status.initContainerStatuses[0].state.terminated.exitCode}");
    assert_eq!(exit, "0");
    report::row("job", "complete after 1 signal, the sidecar exits with 0");
}

#[test]
fn all_pods_pass_baseline_and_all_but_sshd_restricted() {
    let restricted = Namespace::that_enforces("restricted", "restricted");
    let baseline = Namespace::that_enforces("baseline", "baseline");
    let passes = |namespace: &Namespace, name: &str| {
        let manifest = apps::manifest(name);
        let apply = [
            "apply",
            "--dry-run=server",
            "--filename",
            manifest.to_str().unwrap(),
        ];
        namespace.kubectl(&apply).output().unwrap().status.success()
    };
    let names = apps::names();
    for name in &names {
        assert!(passes(&baseline, name), "{name}");
        assert_eq!(passes(&restricted, name), name != "sshd", "{name}");
    }
    report::row(
        "pod security",
        &format!(
            "{0} of {0} pass baseline, {1} restricted",
            names.len(),
            names.len() - 1
        ),
    );
}
