//! Whether the PodMonitor's port leads to the metrics of every sidecar.

use crate::apps;
use crate::namespace::Namespace;
use crate::pod::Pod;
use crate::policy::Policy;
use crate::report;
use crate::ways;
use serde_json::Value;
use std::fs;

const POD_MONITOR: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/deploy/monitoring/podmonitor.yaml"
);

/// Fetches the metrics from the one port that Prometheus finds: it looks at the containers and the init containers of a Pod.
#[track_caller]
fn expect_scraped(pod: &Pod, name: &str) {
    let spec: Value = serde_json::from_str(&pod.field("{.spec}")).unwrap();
    let containers = ["containers", "initContainers"].map(|list| spec[list].as_array());
    let ports = containers
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|container| container["ports"].as_array())
        .flatten();
    let found: Vec<&Value> = ports.filter(|port| port["name"] == name).collect();
    assert_eq!(found.len(), 1, "{}: {spec}", pod.name);
    let port = found[0]["containerPort"].as_u64().unwrap();
    assert!(pod.metric_at(port, "reloader_roots") > 0);
}

#[test]
fn pod_monitor_finds_the_sidecars_of_examples_component_and_policy() {
    let monitor = fs::read_to_string(POD_MONITOR).unwrap();
    let (_, port) = monitor.split_once("    - port: ").unwrap();
    let port = port.lines().next().unwrap();
    let [by_hand, component, policy] = ["by-hand", "by-component", "by-policy"]
        .map(|name| Namespace::new(&format!("scraped-{name}")));
    let _policy = Policy::apply();
    by_hand.apply_file(&apps::manifest("nginx"));
    component.run(&["apply", "--kustomize", ways::EXAMPLE]);
    policy.apply_file(&ways::manifest("nginx"));
    let pods = [
        Pod::ready(&by_hand, "nginx", "nginx"),
        ways::pod_of(&component, "app=nginx", "nginx"),
        ways::pod_of(&component, "app=haproxy", "haproxy"),
        ways::pod_of(&policy, "app=nginx", "nginx"),
    ];
    for pod in &pods {
        expect_scraped(pod, port);
    }
    report::row(
        "pod monitor",
        &format!("finds {} of {0} sidecars", pods.len()),
    );
}
