//! The policy's two halves, as the API server evaluates them: what is added to a Pod, and what is refused.

use crate::namespace::{Namespace, kubectl, succeed};
use crate::pod::{PATIENCE, SIDECAR};
use crate::refusals;
use crate::report;
use serde_json::{Value, json};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/policy");

/// The policy, which is deleted on drop. There is one in a cluster, so tests that need it run one after the other.
pub struct Policy(
    #[allow(dead_code, reason = "held until the policy is deleted")] MutexGuard<'static, ()>,
);

impl Policy {
    /// Reserves the name of the policy, which somebody else installs.
    pub fn reserve() -> MutexGuard<'static, ()> {
        static INSTALLED: Mutex<()> = Mutex::new(());
        INSTALLED.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies the policy and waits until both halves are in effect.
    #[track_caller]
    pub fn apply() -> Self {
        let policy = Self(Self::reserve());
        succeed(kubectl().args(["apply", "--kustomize", POLICY]));
        wait_until_in_effect();
        policy
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        let delete = ["delete", "--ignore-not-found", "--kustomize", POLICY];
        let _ = kubectl().args(delete).output();
    }
}

/// Waits until a Pod without a process is refused, and one with a process gets its sidecar.
#[track_caller]
pub fn wait_until_in_effect() {
    // These Pods would not be let into every namespace.
    let namespace = &Namespace::new("policy-effect");
    let deadline = Instant::now() + PATIENCE;
    let refused = pod(&json!({"process-name": null}));
    while admit(namespace, &refused).is_ok() || admit(namespace, &pod(&json!({}))).is_err() {
        assert!(Instant::now() < deadline, "the policy has no effect");
        thread::sleep(Duration::from_millis(200));
    }
}

/// Returns a Pod that asks for a sidecar, with these settings. A setting that is null is left out.
pub fn pod(settings: &Value) -> Value {
    let mut annotations =
        json!({"another/annotation": "is ignored", "config-reloader/process-name": "nginx"});
    for (name, value) in settings.as_object().unwrap() {
        annotations[format!("config-reloader/{name}")] = value.clone();
    }
    annotations
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "injected", "labels": {"config-reloader/inject": "true"}, "annotations": annotations},
        "spec": {
            "containers": [{
                "name": "nginx", "image": "localhost/nginx:1",
                "volumeMounts": [
                    {"name": "config", "mountPath": "/etc/nginx"},
                    {"name": "config", "mountPath": "/etc/one.conf", "subPath": "one.conf"},
                    {"name": "tls", "mountPath": "/etc/nginx/tls/"},
                    {"name": "data", "mountPath": "/data"},
                ],
            }],
            "volumes": [
                {"name": "config", "configMap": {"name": "config"}},
                {"name": "tls", "secret": {"secretName": "tls"}},
                {"name": "data", "emptyDir": {}},
            ],
        }
    })
}

/// Returns the Pod as the API server would store it, or its refusal.
pub fn admit(namespace: &Namespace, pod: &Value) -> Result<Value, String> {
    let mut name = namespace.kubectl(&[
        "create",
        "--dry-run=server",
        "--output=json",
        "--filename=-",
    ]);
    let output = Namespace::feed(&mut name, &pod.to_string());
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

/// Returns the sidecar that a Pod gets.
#[track_caller]
fn sidecar(namespace: &Namespace, pod: &Value) -> Value {
    let admitted = admit(namespace, pod).unwrap_or_else(|error| panic!("{error}"));
    let sidecar = admitted["spec"]["initContainers"][0].clone();
    assert_eq!(sidecar["name"], SIDECAR);
    assert_eq!(sidecar["restartPolicy"], "Always");
    sidecar
}

/// Returns the value of a sidecar's variable.
fn variable(sidecar: &Value, name: &str) -> Option<String> {
    let variables = sidecar["env"].as_array().unwrap();
    let found = variables.iter().find(|each| each["name"] == name)?;
    Some(found["value"].as_str().unwrap().to_owned())
}

/// Returns the paths of a sidecar's mounts, without that of the account's token, which every container gets.
fn mounts(sidecar: &Value) -> Vec<&str> {
    let mounts = sidecar["volumeMounts"].as_array().into_iter().flatten();
    let paths = mounts.map(|mount| {
        assert_eq!(mount["readOnly"], true);
        mount["mountPath"].as_str().unwrap()
    });
    paths
        .filter(|path| !path.starts_with("/var/run/secrets/"))
        .collect()
}

#[test]
fn policy_adds_what_a_pod_needs_and_refuses_what_cannot_work() {
    let namespace = Namespace::new("policy-rules");
    let _policy = Policy::apply();
    finds_mounts(&namespace);
    takes_settings(&namespace);
    takes_the_user(&namespace);
    keeps_the_pod(&namespace);
    takes_parameters(&namespace);
    let refused = refusals::all(&namespace);
    let accepted = refusals::none_of_a_signal(&namespace);
    refusals::without_a_sidecar(&namespace);
    report::row(
        "policy",
        &format!("{refused} mistakes named, {accepted} signals accepted"),
    );
}

fn finds_mounts(namespace: &Namespace) {
    let found = |pod: &Value, directories: &str, paths: &[&str]| {
        let sidecar = sidecar(namespace, pod);
        assert_eq!(
            variable(&sidecar, "CONFIG_DIR").as_deref(),
            Some(directories)
        );
        assert_eq!(mounts(&sidecar), paths);
    };
    // Whole, and neither by subPath nor of a kind that holds no configuration.
    found(
        &pod(&json!({})),
        "/etc/nginx,/etc/nginx/tls/",
        &["/etc/nginx", "/etc/nginx/tls/"],
    );
    // By name: a path below a mount, the innermost mount, and any kind of volume.
    let named = json!({"config-dir": "/etc/nginx/conf.d, /data/site, /etc/nginx/tls"});
    found(
        &pod(&named),
        "/etc/nginx/conf.d,/data/site,/etc/nginx/tls",
        &["/etc/nginx", "/data", "/etc/nginx/tls/"],
    );
    let twice = json!({"config-dir": "/data/a,/data/b"});
    found(&pod(&twice), "/data/a,/data/b", &["/data"]);
    // A projected volume, but none that holds a token only.
    let mut projected = pod(&json!({}));
    projected["spec"]["volumes"][0] =
        json!({"name": "config", "projected": {"sources": [{"secret": {"name": "tls"}}]}});
    projected["spec"]["volumes"][1] = json!({"name": "tls", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}});
    found(&projected, "/etc/nginx", &["/etc/nginx"]);
    // A directory of a volume that is not written by the kubelet may be mounted alone.
    let mut sub = pod(&json!({"config-dir": "/data"}));
    sub["spec"]["containers"][0]["volumeMounts"][3]["subPath"] = "site".into();
    found(&sub, "/data", &["/data"]);
    assert_eq!(
        sidecar(namespace, &sub)["volumeMounts"][0]["subPath"],
        "site"
    );
    // Of two containers that mount one volume, the first counts.
    let mut two = pod(&json!({}));
    let second = json!({"name": "second", "image": "localhost/nginx:1", "volumeMounts": [{"name": "config", "mountPath": "/other"}]});
    two["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .push(second);
    found(
        &two,
        "/etc/nginx,/etc/nginx/tls/",
        &["/etc/nginx", "/etc/nginx/tls/"],
    );
}

fn takes_settings(namespace: &Namespace) {
    let given = sidecar(
        namespace,
        &pod(&json!({"reload-signal": "USR1", "process-min-age": "10s", "verbose": " "})),
    );
    assert_eq!(variable(&given, "RELOAD_SIGNAL").as_deref(), Some("USR1"));
    assert_eq!(variable(&given, "PROCESS_MIN_AGE").as_deref(), Some("10s"));
    assert_eq!(variable(&given, "VERBOSE"), None);
    let key = given["env"]
        .as_array()
        .unwrap()
        .iter()
        .find(|each| each["name"] == "CONFIG_HASH_KEY");
    let from = json!({"secretKeyRef": {"name": "config-reloader", "key": "config-hash-key", "optional": true}});
    assert_eq!(key.unwrap()["valueFrom"], from);
    let port = |name: &str, number: u16| json!([{"name": name, "containerPort": number, "protocol": "TCP"}]);
    assert_eq!(variable(&given, "LISTEN_ADDR").as_deref(), Some(":9533"));
    assert_eq!(given["ports"], port("reload-metrics", 9533));
    let moved = sidecar(namespace, &pod(&json!({"listen-addr": "[::]:99"})));
    assert_eq!(variable(&moved, "LISTEN_ADDR").as_deref(), Some("[::]:99"));
    assert_eq!(moved["ports"], port("reload-metrics", 99));
    let off = sidecar(namespace, &pod(&json!({"listen-addr": "off"})));
    assert_eq!(off["ports"], Value::Null);
    let mut host = pod(&json!({}));
    host["spec"]["hostNetwork"] = true.into();
    assert_eq!(variable(&sidecar(namespace, &host), "LISTEN_ADDR"), None);
    let cmdline = json!({"process-name": null, "process-cmdline": "org.logstash.Logstash"});
    let cmdline = sidecar(namespace, &pod(&cmdline));
    assert_eq!(
        variable(&cmdline, "PROCESS_CMDLINE").as_deref(),
        Some("org.logstash.Logstash")
    );
    assert_eq!(variable(&cmdline, "PROCESS_NAME"), None);
}

fn takes_the_user(namespace: &Namespace) {
    let runs_as = |pod: &Value, user: u32, group: u32| {
        let security = sidecar(namespace, pod)["securityContext"].clone();
        assert_eq!(
            (&security["runAsUser"], &security["runAsGroup"]),
            (&json!(user), &json!(group))
        );
        assert_eq!(security["runAsNonRoot"], user != 0);
        let added = if user == 0 {
            json!(["KILL"])
        } else {
            Value::Null
        };
        assert_eq!(security["capabilities"], {
            let mut capabilities = json!({"drop": ["ALL"]});
            if user == 0 {
                capabilities["add"] = added;
            }
            capabilities
        });
    };
    let mut pod = pod(&json!({}));
    runs_as(&pod, 0, 0);
    pod["spec"]["securityContext"] = json!({"runAsUser": 101, "runAsGroup": 102});
    runs_as(&pod, 101, 102);
    pod["spec"]["containers"][0]["securityContext"] = json!({"runAsUser": 103});
    runs_as(&pod, 103, 102);
    // Of another container, which has no part in it.
    let other =
        json!({"name": "other", "image": "localhost/nginx:1", "securityContext": {"runAsUser": 7}});
    pod["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .insert(0, other);
    runs_as(&pod, 103, 102);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "tls", "mountPath": "/tls"}]);
    runs_as(&pod, 0, 0);
}

fn keeps_the_pod(namespace: &Namespace) {
    let admitted = |pod: &Value| admit(namespace, pod).unwrap();
    let mut pod = pod(&json!({}));
    assert_eq!(admitted(&pod)["spec"]["shareProcessNamespace"], true);
    // An init container of its own comes second.
    pod["spec"]["initContainers"] = json!([{"name": "first", "image": "localhost/nginx:1"}]);
    let both = admitted(&pod)["spec"]["initContainers"].clone();
    assert_eq!(
        (&both[0]["name"], &both[1]["name"]),
        (&json!(SIDECAR), &json!("first"))
    );
    // A Pod that has its sidecar already gets no second one.
    let again = admit(
        namespace,
        &json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": pod["metadata"],
            "spec": admitted(&pod)["spec"],
        }),
    )
    .unwrap();
    assert_eq!(again["spec"]["initContainers"].as_array().unwrap().len(), 2);
    pod["spec"]["hostPID"] = true.into();
    let host = admitted(&pod);
    assert_eq!(host["spec"]["shareProcessNamespace"], Value::Null);
    assert_eq!(host["spec"]["initContainers"][0]["name"], SIDECAR);
    pod["metadata"]["labels"] = json!({"config-reloader/inject": "false"});
    assert_eq!(
        admitted(&pod)["spec"]["initContainers"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

/// Image, resources and settings for all Pods are the cluster's to choose.
fn takes_parameters(namespace: &Namespace) {
    let patch = |data: &Value| {
        let patch = json!({"data": data}).to_string();
        succeed(kubectl().args([
            "--namespace=config-reloader",
            "patch",
            "configmap",
            "config-reloader",
            "--type=merge",
            "--patch",
            &patch,
        ]));
    };
    patch(
        &json!({"image": "mirror.example/reloader:1", "memory-limit": "24Mi", "setting.log-format": "json"}),
    );
    let deadline = Instant::now() + PATIENCE;
    let mut sidecar = sidecar(namespace, &pod(&json!({})));
    while sidecar["image"] != "mirror.example/reloader:1" {
        assert!(Instant::now() < deadline, "{sidecar}");
        sidecar = self::sidecar(namespace, &pod(&json!({})));
    }
    assert_eq!(sidecar["resources"]["limits"], json!({"memory": "24Mi"}));
    assert_eq!(variable(&sidecar, "LOG_FORMAT").as_deref(), Some("json"));
    let own = self::sidecar(namespace, &pod(&json!({"log-format": "text"})));
    assert_eq!(variable(&own, "LOG_FORMAT").as_deref(), Some("text"));
    patch(&json!({"setting.log-format": null, "image": crate::pod::image()}));
}
