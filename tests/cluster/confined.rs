//! A container's confinement as the kernel reports it, compared with its manifest.

use crate::pod::{Pod, SIDECAR};
use serde_json::{Value, json};

/// Checks the user, the capabilities and the sandbox of the sidecar and of the application.
#[track_caller]
pub fn expect_as_in_manifest(pod: &Pod) {
    let spec: Value = serde_json::from_str(&pod.field("{.spec}")).unwrap();
    // The sidecar's image has nothing but the sidecar: its status is read from the application's container.
    let of_sidecar = "for process in /proc/[0-9]*; do read -r comm < $process/comm; \
                      [ $comm = config-reloader ] && cat $process/status; done; :";
    for (container, list, script) in [
        (SIDECAR, "initContainers", of_sidecar),
        (&*pod.app, "containers", "cat /proc/self/status"),
    ] {
        let status = String::from_utf8(pod.client(script).stdout).unwrap();
        let containers = spec[list].as_array().unwrap();
        let manifest = containers
            .iter()
            .find(|each| each["name"] == container)
            .unwrap();
        expect_status(
            container,
            &status,
            &manifest["securityContext"],
            &spec["securityContext"],
        );
    }
}

#[track_caller]
fn expect_status(container: &str, status: &str, own: &Value, pod: &Value) {
    let field = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name));
        value
            .unwrap_or_else(|| panic!("{container}: no {name} in {status}"))
            .trim()
    };
    let uid = [&own["runAsUser"], &pod["runAsUser"]]
        .into_iter()
        .find_map(Value::as_u64)
        .unwrap();
    assert_eq!(
        field("Uid:").split('\t').next(),
        Some(&*uid.to_string()),
        "{container}"
    );
    assert_eq!(own["capabilities"]["drop"], json!(["ALL"]), "{container}");
    let added = own["capabilities"]["add"].as_array().into_iter().flatten();
    let bounding: u64 = added
        .map(|name| 1 << capability(name.as_str().unwrap()))
        .sum();
    let effective = if uid == 0 { bounding } else { 0 };
    assert_eq!(field("CapEff:"), format!("{effective:016x}"), "{container}");
    assert_eq!(field("CapBnd:"), format!("{bounding:016x}"), "{container}");
    assert_eq!(field("NoNewPrivs:"), "1", "{container}");
    assert_eq!(field("Seccomp:"), "2", "{container}");
}

/// Returns the number of a capability that the manifests name; see capability.h.
fn capability(name: &str) -> u32 {
    match name {
        "CHOWN" => 0,
        "KILL" => 5,
        "SETGID" => 6,
        "SETUID" => 7,
        "SYS_CHROOT" => 18,
        _ => panic!("which number has {name}?"),
    }
}
