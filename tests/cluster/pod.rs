//! A Pod with a sidecar.

use crate::namespace::Namespace;
use crate::support::process::Talker;
use serde_json::{Value, json};
use std::process::{Output, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

/// The name of the sidecar's container in every manifest.
pub const SIDECAR: &str = "config-reloader";

/// Enough for a machine that starts many Pods at once, and for a cautious minimum age.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// The pause between two requests to sync a Pod. One may not be enough: the kubelet's cache of ConfigMaps may lag behind.
const SYNC_INTERVAL: Duration = Duration::from_secs(2);

pub struct Pod<'n> {
    pub namespace: &'n Namespace,
    pub name: String,
    /// The name of the application's container.
    pub app: String,
}

/// The end of a Pod.
pub struct Ended {
    /// Time from the request to the end.
    pub after: Duration,
    /// `CONTAINER=EXIT_CODE` of every container.
    pub exits: String,
}

impl<'n> Pod<'n> {
    /// Waits until an existing Pod is ready.
    #[track_caller]
    pub fn ready(namespace: &'n Namespace, name: &str, app: &str) -> Self {
        let pod = Self {
            namespace,
            name: name.to_owned(),
            app: app.to_owned(),
        };
        pod.wait_for("condition=Ready");
        pod
    }

    /// Starts a Pod with the container `target`.
    #[track_caller]
    pub fn start(namespace: &'n Namespace, manifest: &Value) -> Self {
        namespace.apply(&manifest.to_string());
        let name = manifest["metadata"]["name"].as_str().unwrap();
        Self::ready(namespace, name, "target")
    }

    #[track_caller]
    pub fn wait_for(&self, condition: &str) {
        let wait = self
            .namespace
            .kubectl(&[
                "wait",
                &format!("--for={condition}"),
                &format!("--timeout={}s", PATIENCE.as_secs()),
                &format!("pod/{}", self.name),
            ])
            .output()
            .unwrap();
        assert!(wait.status.success(), "{wait:?}\n{}", self.describe());
    }

    /// Returns the Pod's state and logs, for messages.
    fn describe(&self) -> String {
        let outputs = [
            self.namespace
                .kubectl(&["describe", "pod", &self.name])
                .output(),
            self.namespace
                .kubectl(&[
                    "logs",
                    "--all-containers",
                    "--prefix",
                    "--tail=50",
                    &self.name,
                ])
                .output(),
        ];
        let text = |output: std::io::Result<Output>| {
            String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
        };
        outputs.map(text).join("\n")
    }

    /// Returns one of the Pod's fields.
    #[track_caller]
    pub fn field(&self, path: &str) -> String {
        self.namespace.run(&[
            "get",
            "pod",
            &self.name,
            &format!("--output=jsonpath={path}"),
        ])
    }

    /// Follows a container's log from its beginning.
    pub fn log(&self, container: &str) -> Talker {
        self.namespace
            .follow(&["logs", "--follow", &self.name, "--container", container])
    }

    /// Runs a program in a container.
    pub fn exec(&self, container: &str, program: &[&str]) -> Output {
        let exec = ["exec", &self.name, "--container", container, "--"];
        let mut command = self.namespace.kubectl(&[&exec, program].concat());
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a client in the application's container.
    pub fn client(&self, script: &str) -> Output {
        self.exec(&self.app, &["sh", "-c", script])
    }

    /// Runs a command of the sidecar's program in the sidecar's container.
    pub fn command(&self, command: &str) -> Output {
        self.exec(SIDECAR, &["/config-reloader-sidecar", command])
    }

    /// Fetches the sidecar's metrics through the API server.
    #[track_caller]
    pub fn metrics(&self, port: u64) -> String {
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}:{port}/proxy/metrics",
            self.namespace.name, self.name
        );
        self.namespace.run(&["get", "--raw", &path])
    }

    /// Returns the value of a metric of the sidecar.
    #[track_caller]
    pub fn metric(&self, name: &str) -> u64 {
        let page = self.metrics(9533);
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .unwrap_or_else(|| panic!("no {name} in {page}"))
            .parse()
            .unwrap()
    }

    /// Checks that the sidecar has logged no error. Call it before the Pod is deleted: an application that ends within seconds of a
    /// signal looks as if the signal had killed it.
    #[track_caller]
    pub fn expect_no_error(&self) {
        let log = self.printed(SIDECAR);
        assert!(!log.contains(" error "), "{log}");
    }

    /// Makes the kubelet update the Pod's volumes at once, by annotating the Pod.
    #[track_caller]
    pub fn sync(&self) {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let annotation = format!("synced={}", now.as_nanos());
        self.namespace
            .run(&["annotate", "--overwrite", "pod", &self.name, &annotation]);
    }

    /// Syncs the Pod until a line that contains `part` is logged; returns the line.
    #[track_caller]
    pub fn expect(&self, talker: &mut Talker, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.sync();
            let next_sync = Instant::now() + SYNC_INTERVAL;
            loop {
                match talker.next(next_sync) {
                    Ok(line) if line.contains(part) => return line,
                    Ok(_) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => panic!(
                        "ended before {part:?}: {:#?}\n{}",
                        talker.seen(),
                        self.describe()
                    ),
                }
            }
            assert!(
                Instant::now() < deadline,
                "no line with {part:?}: {:#?}\n{}",
                talker.seen(),
                self.describe()
            );
        }
    }

    /// Returns a container's log so far, or nothing while the kubelet is down.
    pub fn printed(&self, container: &str) -> String {
        let logs = ["logs", &self.name, "--container", container];
        let output = self.namespace.kubectl(&logs).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Does the same as [`Pod::expect`] without following the log, so that the kubelet may be restarted meanwhile.
    #[track_caller]
    pub fn expect_printed(&self, container: &str, part: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.printed(container).contains(part) {
            assert!(
                Instant::now() < deadline,
                "no {part:?}: {}",
                self.describe()
            );
            self.sync();
            thread::sleep(SYNC_INTERVAL / 4);
        }
    }

    /// Deletes the Pod and waits until it is gone.
    #[track_caller]
    pub fn delete(&self) -> Ended {
        let watch = [
            "get",
            "pod",
            &self.name,
            "--watch",
            "--output-watch-events",
            "--output=json",
        ];
        let mut events = self.namespace.follow(&watch);
        events.expect("ADDED");
        let start = Instant::now();
        self.namespace.run(&["delete", "pod", &self.name]);
        let after = start.elapsed();
        let last: Value = serde_json::from_str(&events.expect("DELETED")).unwrap();
        let status = &last["object"]["status"];
        let containers =
            ["initContainerStatuses", "containerStatuses"].map(|list| status[list].as_array());
        let exit = |container: &Value| {
            format!(
                "{}={}",
                container["name"].as_str().unwrap(),
                container["state"]["terminated"]["exitCode"]
            )
        };
        let exits: Vec<_> = containers
            .into_iter()
            .flatten()
            .flatten()
            .map(exit)
            .collect();
        Ended {
            after,
            exits: exits.join(" "),
        }
    }
}

/// Returns the manifest of a Pod whose application logs each signal with the content of `/config/FILE`; see `tests/target`.
pub fn target(name: &str, file: &str, volume: &Value) -> Value {
    let mount = json!([{"name": "config", "mountPath": "/config", "readOnly": true}]);
    let mut volume = volume.clone();
    volume["name"] = "config".into();
    let confined = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"name": name}},
        "spec": {
            "shareProcessNamespace": true,
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 5,
            "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "initContainers": [{
                "name": SIDECAR, "image": image(), "restartPolicy": "Always", "volumeMounts": mount, "securityContext": confined,
                "env": [
                    {"name": "CONFIG_DIR", "value": "/config"},
                    {"name": "PROCESS_NAME", "value": "target"},
                    {"name": "LISTEN_ADDR", "value": ":9533"},
                ],
            }],
            "containers": [{
                "name": "target", "image": "localhost/target:1", "volumeMounts": mount, "securityContext": confined,
                "command": ["target", format!("/config/{file}")],
            }],
            "volumes": [volume],
        }
    })
}

/// Kills the process of that name, from the application's container; returns whether there was one. The Pod must share its process
/// namespace, and both containers their user.
pub fn kill(pod: &Pod, comm: &str) -> bool {
    let script = format!(
        "for process in /proc/[0-9]*; do read -r comm < $process/comm; \
         [ \"$comm\" = {comm} ] && echo killed && kill -KILL ${{process#/proc/}}; done"
    );
    // The exit status says nothing: the script may kill its own container.
    pod.client(&script).stdout == b"killed\n"
}

/// Returns the name of the sidecar's image.
pub fn image() -> String {
    concat!("config-reloader-sidecar:", env!("CARGO_PKG_VERSION")).to_owned()
}
