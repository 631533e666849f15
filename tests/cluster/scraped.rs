//! The PodMonitor's port leads to the metrics of every sidecar.

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

/// Returns the metrics at the one port that Prometheus finds: it looks at the containers and the init containers of a Pod.
#[track_caller]
fn scraped(pod: &Pod, name: &str) -> String {
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
    pod.metrics(found[0]["containerPort"].as_u64().unwrap())
}

#[test]
fn pod_monitor_finds_the_sidecars_of_examples_component_and_policy() {
    let monitor = fs::read_to_string(POD_MONITOR).unwrap();
    let (_, port) = monitor.split_once("    - port: ").unwrap();
    let port = port.lines().next().unwrap();
    let [by_hand, component, policy] = ["by-hand", "by-component", "by-policy"]
        .map(|name| Namespace::new(&format!("scraped-{name}")));
    let keyed = &policy;
    keyed.run(&[
        "create",
        "secret",
        "generic",
        "config-reloader",
        "--from-literal=config-hash-key=of-sixteen-bytes",
    ]);
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
        let metrics = scraped(pod, port);
        assert!(metrics.contains("reloader_build_info{"), "{metrics}");
        // Hashes are there where the namespace has a key.
        let has_key = pod.namespace.name == keyed.name;
        let hashes = metrics.contains("reloader_config_delivered_info{");
        assert_eq!(hashes, has_key, "{metrics}");
    }
    report::row(
        "pod monitor",
        &format!("finds {} of {0} sidecars", pods.len()),
    );
}
