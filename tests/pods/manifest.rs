//! Manifests, and what they request.

use crate::pod::{python, run};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A manifest in `deploy/`, as requested.
pub struct Manifest {
    pub spec: Value,
}

impl Manifest {
    /// Returns an environment variable of a container.
    pub fn setting(&self, container: &str, name: &str) -> Option<&str> {
        let mut variables = self.container(container)["env"].as_array()?.iter();
        let variable = variables.find(|variable| variable["name"] == name)?;
        variable["value"].as_str()
    }

    fn container(&self, name: &str) -> &Value {
        let lists = [&self.spec["initContainers"], &self.spec["containers"]];
        let mut containers = lists.into_iter().filter_map(Value::as_array).flatten();
        containers
            .find(|container| container["name"] == name)
            .unwrap_or_else(|| panic!("no container {name}"))
    }

    /// Returns a field of the container's security context, or else of the Pod's.
    pub fn security(&self, container: &str, field: &str) -> &Value {
        let own = &self.container(container)["securityContext"][field];
        if own.is_null() {
            &self.spec["securityContext"][field]
        } else {
            own
        }
    }

    /// Returns the memory in its `requests` or `limits`, in bytes.
    pub fn memory(&self, container: &str, of: &str) -> u64 {
        let memory = &self.container(container)["resources"][of]["memory"];
        let memory = memory.as_str().expect("an amount");
        let (number, unit) = memory.split_at(memory.len() - 2);
        let unit = match unit {
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            _ => panic!("{memory}"),
        };
        number.parse::<u64>().unwrap() * unit
    }

    /// Returns the mask of its capabilities, as in `/proc/PID/status`.
    pub fn capabilities(&self, container: &str) -> u64 {
        let capabilities = self.security(container, "capabilities");
        assert_eq!(capabilities["drop"], serde_json::json!(["ALL"]));
        let added = capabilities["add"].as_array().into_iter().flatten();
        added
            .map(|name| 1 << capability(name.as_str().unwrap()))
            .sum()
    }
}

/// Returns the number of a capability that the manifests use; capability.h.
fn capability(name: &str) -> u32 {
    match name {
        "CHOWN" => 0,
        "KILL" => 5,
        "SETGID" => 6,
        "SETUID" => 7,
        "SYS_CHROOT" => 18,
        _ => panic!("unknown capability {name}"),
    }
}

/// The kinds of documents that define a Pod.
pub const PODS: [&str; 2] = ["Pod", "Deployment"];

#[track_caller]
pub fn of_kind<'d>(documents: &'d [Value], kinds: &[&str]) -> &'d Value {
    let is_it = |document: &&Value| kinds.contains(&document["kind"].as_str().unwrap());
    documents
        .iter()
        .find(is_it)
        .expect("a document of this kind")
}

/// Returns the Pod's specification.
pub fn spec(document: &Value) -> &Value {
    if document["kind"] == "Deployment" {
        &document["spec"]["template"]["spec"]
    } else {
        &document["spec"]
    }
}

/// Returns the documents of a manifest, unchanged.
pub fn documents_of(manifest: &Path) -> Vec<Value> {
    let script =
        "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    documents(python().args(["-c", script]).arg(manifest))
}

pub fn documents(script: &mut Command) -> Vec<Value> {
    serde_json::from_str(&run(script)).unwrap()
}
