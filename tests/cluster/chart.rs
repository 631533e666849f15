//! The Helm chart, from its templates to what it leaves behind.

use crate::namespace::{Namespace, kubectl, succeed};
use crate::pod::SIDECAR;
use crate::policy::{POLICY, Policy, wait_until_in_effect};
use crate::report;
use crate::ways;
use serde_json::{Value, json};
use std::process::Command;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/chart");
const MONITORING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/monitoring");

const WITH_MONITORING: &str = "--set=monitoring.podMonitor.enabled=true,monitoring.rules.enabled=true,monitoring.dashboard.enabled=true";

fn helm(namespace: &Namespace, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var("HELM").expect("make cluster names it"));
    command
        .args(["--namespace", &namespace.name])
        .args(arguments);
    command
}

/// The kinds of the Prometheus operator, where the cluster has none. Deleted on drop.
struct Operator(Vec<String>);

impl Operator {
    fn stand_in(namespace: &Namespace) -> Self {
        let kinds = [
            ("podmonitors", "PodMonitor"),
            ("prometheusrules", "PrometheusRule"),
        ];
        let missing = kinds.iter().filter_map(|(plural, kind)| {
            let name = format!("{plural}.monitoring.coreos.com");
            let definition = json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name},
                "spec": {
                    "group": "monitoring.coreos.com", "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
                    "versions": [{
                        "name": "v1", "served": true, "storage": true,
                        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                    }],
                }
            });
            let mut create = namespace.kubectl(&["create", "--filename=-"]);
            let created = Namespace::feed(&mut create, &definition.to_string()).status.success();
            namespace.run(&["wait", "--for=condition=Established", "crd", &name]);
            created.then_some(name)
        });
        Self(missing.collect())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        for name in &self.0 {
            let _ = kubectl().args(["delete", "crd", name]).output();
        }
    }
}

/// Parses resources in YAML, with nothing of their metadata but the name, and without the namespaces that differ on purpose.
#[track_caller]
fn parsed(yaml: &str) -> Vec<Value> {
    let mut create = kubectl();
    create.args([
        "create",
        "--dry-run=client",
        "--output=json",
        "--filename=-",
    ]);
    let output = Namespace::feed(&mut create, yaml);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    // One object after the other, or a list.
    let objects = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let mut found: Vec<Value> = objects
        .flat_map(|object| match object.unwrap() {
            Value::Object(list) if list["kind"] == "List" => {
                list["items"].as_array().unwrap().clone()
            }
            object => vec![object],
        })
        .filter(|object| object["kind"] != "Namespace")
        .collect();
    for object in &mut found {
        object["metadata"] = json!({"name": object["metadata"]["name"]});
        if object["kind"] == "MutatingAdmissionPolicyBinding" {
            object["spec"]["paramRef"]["namespace"] = Value::Null;
        }
    }
    found.sort_by_key(|object| format!("{}/{}", object["kind"], object["metadata"]["name"]));
    found
}

#[test]
fn chart_installs_what_kustomize_does() {
    let namespace = Namespace::new("chart-template");
    let _operator = Operator::stand_in(&namespace);
    let rendered = succeed(&mut helm(
        &namespace,
        &["template", "reloader", CHART, WITH_MONITORING],
    ));
    let mut apply = namespace.kubectl(&["apply", "--dry-run=server", "--filename=-"]);
    let applied = Namespace::feed(&mut apply, &rendered);
    assert!(applied.status.success(), "{applied:?}");
    let [policy, monitoring] =
        [POLICY, MONITORING].map(|path| succeed(kubectl().args(["kustomize", path])));
    let by_kustomize = parsed(&format!("{policy}\n---\n{monitoring}"));
    let by_helm = parsed(&rendered);
    assert_eq!(by_helm.len(), by_kustomize.len());
    for (helm, kustomize) in by_helm.iter().zip(&by_kustomize) {
        assert!(
            helm == kustomize,
            "helm: {helm:#}\nkustomize: {kustomize:#}"
        );
    }
    let lint = helm(&namespace, &["lint", "--strict", CHART])
        .output()
        .unwrap();
    assert!(lint.status.success(), "{lint:?}");
    let old = succeed(&mut helm(
        &namespace,
        &["template", "reloader", CHART, "--kube-version=1.35"],
    ));
    assert_eq!(
        old.matches("apiVersion: admissionregistration.k8s.io/v1beta1\n")
            .count(),
        2
    );
    report::row(
        "chart",
        &format!("{} resources, the same as by kustomize", by_helm.len()),
    );
}

#[test]
fn chart_refuses_values_that_cannot_work() {
    let namespace = Namespace::new("chart-values");
    for (value, message) in [
        (
            "imagee=nginx:1",
            "additional properties 'imagee' not allowed",
        ),
        ("image=reloader", "'reloader' does not match pattern"),
        (
            "resources.memoryLimit=much",
            "'much' does not match pattern",
        ),
        ("settings.LISTEN_ADDR=off", "LISTEN_ADDR"),
    ] {
        let output = helm(&namespace, &["template", "reloader", CHART, "--set", value])
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && error.contains(message),
            "{value}: {error}"
        );
    }
}

#[test]
fn chart_is_installed_upgraded_and_uninstalled() {
    let namespace = Namespace::new("chart");
    let _reserved = Policy::reserve();
    succeed(&mut helm(
        &namespace,
        &["install", "reloader", CHART, "--wait"],
    ));
    let uninstall = Uninstall(&namespace);
    wait_until_in_effect();
    namespace.apply_file(&ways::manifest("nginx"));
    ways::follows_edits(&namespace, "nginx", "chart");
    let values = "--set=settings.log-format=json,settings.verbose=true";
    succeed(&mut helm(
        &namespace,
        &["upgrade", "reloader", CHART, values, "--wait"],
    ));
    crate::support::process::eventually("the upgrade is in effect", || {
        let run = [
            "run",
            "asks",
            "--image=localhost/target:1",
            "--dry-run=server",
            "--output=json",
            "--labels=config-reloader/inject=true",
            "--annotations=config-reloader/process-name=nginx",
            r#"--overrides={"spec": {"volumes": [{"name": "config", "configMap": {"name": "nginx"}}], "containers": [
                {"name": "asks", "image": "localhost/target:1", "volumeMounts": [{"name": "config", "mountPath": "/config"}]}]}}"#,
        ];
        let pod: Value = serde_json::from_str(&namespace.run(&run)).unwrap();
        let sidecar = &pod["spec"]["initContainers"][0];
        assert_eq!(sidecar["name"], SIDECAR);
        let has = |name: &str, value: &str| {
            sidecar["env"]
                .as_array()
                .unwrap()
                .contains(&json!({"name": name, "value": value}))
        };
        has("LOG_FORMAT", "json") && has("VERBOSE", "true") && has("LISTEN_ADDR", ":9533")
    });
    drop(uninstall);
    let kinds = "mutatingadmissionpolicies,mutatingadmissionpolicybindings,validatingadmissionpolicies,validatingadmissionpolicybindings,configmaps";
    let left = namespace.run(&[
        "get",
        kinds,
        "--selector=app.kubernetes.io/instance=reloader",
        "--output=name",
    ]);
    assert_eq!(left, "");
    report::row("chart on a cluster", "installed, upgraded and uninstalled");
}

/// Uninstalls the chart on drop.
struct Uninstall<'n>(&'n Namespace);

impl Drop for Uninstall<'_> {
    fn drop(&mut self) {
        let uninstall = helm(self.0, &["uninstall", "reloader", "--wait"]).output();
        if !std::thread::panicking() {
            let output = uninstall.unwrap();
            assert!(output.status.success(), "{output:?}");
        }
    }
}
