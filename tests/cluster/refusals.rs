//! The mistakes that the policy refuses, and its words.

use crate::namespace::{Namespace, kubectl, succeed};
use crate::policy::{admit, pod};
use crate::support::process::eventually;
use serde_json::{Value, json};

#[track_caller]
fn expect_refused(namespace: &Namespace, pod: &Value, message: &str) {
    let refusal = admit(namespace, pod).expect_err(message);
    let (_, sentence) = refusal
        .split_once(" denied request: ")
        .unwrap_or_else(|| panic!("{refusal}"));
    assert_eq!(sentence.trim_end(), message);
}

/// Values that no setting accepts, and what is said to be right.
const WRONG: [(&str, &str, &str); 12] = [
    (
        "reload-signal",
        "HUPP",
        "a signal, as in HUP, SIGUSR1 or 10",
    ),
    (
        "process-name",
        "/usr/sbin/nginx",
        "the name alone, the part after the last slash, as in nginx",
    ),
    (
        "process-min-age",
        "10",
        "a number with ms, s, m or h, as in 10s",
    ),
    (
        "config-poll-interval",
        "often",
        "automatic, or a number with ms, s, m or h, as in 5s",
    ),
    ("reload-guard", "on", "true or false"),
    ("reload-confirm", "true", "warn, retry or off"),
    (
        "listen-addr",
        "9533",
        "an address with a port, as in :9533, or off",
    ),
    (
        "config-dir",
        "etc/nginx",
        "absolute paths, separated by commas, as in /etc/nginx/conf.d",
    ),
    (
        "process-pid-file",
        "nginx.pid",
        "an absolute path, as in /run/nginx.pid",
    ),
    ("process-select", "first", "main or all"),
    ("log-format", "yaml", "text or json"),
    (
        "config-hash-key",
        "secret",
        "it in the Secret config-reloader of the namespace, as config-hash-key, because everybody who may read a Pod reads its annotations",
    ),
];

/// Makes every mistake. Returns how many were named.
pub fn all(namespace: &Namespace) -> usize {
    let wrong = WRONG.map(|(name, value, right)| {
        let message =
            format!("the annotation config-reloader/{name}: \"{value}\" is wrong: give {right}");
        (pod(&json!({name: value})), message)
    });
    let no_process = "no annotation names the process to signal: add config-reloader/process-name with its name, as in \
                      config-reloader/process-name: nginx, or config-reloader/process-cmdline or config-reloader/process-pid-file";
    let unnamed = [Value::Null, "".into()]
        .map(|name| (pod(&json!({"process-name": name})), no_process.into()));
    let cases: Vec<(Value, String)> = [
        &wrong[..],
        &unnamed[..],
        &unmounted(),
        &ambiguous(),
        &on_windows(),
    ]
    .concat();
    for (pod, message) in &cases {
        expect_refused(namespace, pod, message);
    }
    let unknown = admit(namespace, &pod(&json!({"proces-name": "nginx"}))).unwrap_err();
    assert!(
        unknown.contains(
            "the annotation config-reloader/proces-name: \"nginx\" names no setting: the names are "
        ) && unknown.contains("process-name"),
        "{unknown}"
    );
    cases.len() + 1
}

/// Returns Pods in which there is nothing to watch, with the messages that say so.
fn unmounted() -> Vec<(Value, String)> {
    let mut cases: Vec<_> = [
        ("/etc/apache2", "/etc/apache2"),
        ("/etc/nginx,/etc", "/etc"),
        ("/etc/one.conf", "/etc/one.conf"),
    ]
    .map(|(value, path)| {
        let message = format!(
            "the annotation config-reloader/config-dir: \"{value}\" has {path}, where no container mounts a volume as a whole \
             (a mount with subPath never changes): give the mountPath of a volume, or a path below it"
        );
        (pod(&json!({"config-dir": value})), message)
    })
    .into();
    let mut nothing = pod(&json!({}));
    nothing["spec"]["containers"][0]["volumeMounts"] = json!([
        {"name": "config", "mountPath": "/etc/one.conf", "subPath": "one.conf"},
        {"name": "data", "mountPath": "/data"},
    ]);
    let message = "no container mounts a ConfigMap, Secret or projected volume as a whole, so there is nothing to watch (a mount with \
                   subPath never changes): mount one without subPath, or add config-reloader/config-dir with the mountPath of another volume";
    cases.push((nothing, message.into()));
    cases
}

/// Returns a Pod whose containers have different volumes at one path.
fn ambiguous() -> [(Value, String); 1] {
    let mut pod = pod(&json!({}));
    let second = json!({
        "name": "second", "image": "localhost/nginx:1", "volumeMounts": [{"name": "tls", "mountPath": "/etc/nginx"}]
    });
    pod["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .insert(0, second);
    let message = "containers mount different volumes at /etc/nginx, of which the sidecar can mount only one: give one of them another \
                   mountPath, or name other paths by the annotation config-reloader/config-dir";
    [(pod, message.into())]
}

/// Returns Pods for Windows: one by its node, and one that says so itself.
fn on_windows() -> [(Value, String); 2] {
    let message = "the label config-reloader/inject is on a Pod for Windows, where there are no signals: remove the label";
    let mut by_node = pod(&json!({}));
    by_node["spec"]["nodeSelector"] = json!({"kubernetes.io/os": "windows"});
    let mut itself = by_node.clone();
    itself["spec"]["os"] = json!({"name": "windows"});
    [(by_node, message.into()), (itself, message.into())]
}

/// Names every signal that the program knows. Returns how many there are.
pub fn none_of_a_signal(namespace: &Namespace) -> usize {
    let sidecar = std::env::var("SIDECAR").expect("make cluster names it");
    let list = succeed(std::process::Command::new(sidecar).arg("signals"));
    let names: Vec<&str> = list
        .split_whitespace()
        .filter(|word| word.starts_with("SIG"))
        .collect();
    assert!(names.len() > 30, "{list}");
    let pods: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let mut pod = pod(&json!({"reload-signal": name}));
            pod["metadata"]["name"] = format!("signal-{at}").into();
            pod
        })
        .collect();
    let all = json!({"apiVersion": "v1", "kind": "List", "items": pods});
    let mut create = namespace.kubectl(&[
        "create",
        "--dry-run=server",
        "--output=name",
        "--filename=-",
    ]);
    let output = Namespace::feed(&mut create, &all.to_string());
    assert!(output.status.success(), "{output:?}");
    names.len()
}

/// Without its other half, which older API servers do not know, the policy would let Pods run without a sidecar.
pub fn without_a_sidecar(namespace: &Namespace) {
    let binding = [
        "delete",
        "mutatingadmissionpolicybinding",
        "config-reloader",
    ];
    succeed(kubectl().args(binding));
    eventually("no sidecar is added", || {
        admit(namespace, &pod(&json!({}))).is_err()
    });
    expect_refused(
        namespace,
        &pod(&json!({})),
        "the label config-reloader/inject has had no effect, so no sidecar would run: is the MutatingAdmissionPolicy config-reloader \
         there, with its binding, and does this API server support it?",
    );
}
