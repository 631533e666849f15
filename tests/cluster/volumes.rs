//! Every kind of volume: one edit is one signal, and the application then sees the new content.

use crate::namespace::Namespace;
use crate::pod::{Pod, SIDECAR, target};
use crate::report;
use crate::support::process::Talker;
use serde_json::{Map, Value, json};
use std::time::Instant;

/// A Pod and its application's log.
struct Watched<'n> {
    pod: Pod<'n>,
    target: Talker,
}

impl<'n> Watched<'n> {
    #[track_caller]
    fn start(namespace: &'n Namespace, manifest: &Value) -> Self {
        let pod = Pod::start(namespace, manifest);
        let mut target = pod.log("target");
        target.expect("ready");
        Self { pod, target }
    }

    /// Edits the volume's source and waits for a signal, with which the application sees `content`.
    #[track_caller]
    fn edit(&mut self, edit: impl FnOnce(), content: &str) {
        edit();
        let line = self.pod.expect(&mut self.target, "SIGHUP");
        assert!(line.ends_with(&format!(" {content}")), "{line}");
    }

    /// Deletes the Pod and checks that there was one signal per edit.
    #[track_caller]
    fn finish(self, edits: usize) {
        self.pod.expect_no_error();
        let ended = self.pod.delete();
        assert!(ended.exits.contains("config-reloader=0"), "{}", ended.exits);
        let (_, signals) = self.target.finish();
        let signals = signals.iter().filter(|line| line.starts_with("SIG"));
        let signals: Vec<_> = signals.collect();
        assert_eq!(signals.len(), edits, "{signals:#?}");
        let name = format!(
            "volume {}",
            self.pod.namespace.name.trim_start_matches("test-")
        );
        report::row(&name, &format!("{edits} edits, {} signals", signals.len()));
    }
}

fn config_map(name: &str) -> Value {
    json!({"configMap": {"name": name}})
}

#[track_caller]
fn edits_a_config_map(namespace: &Namespace, manifest: &Value) {
    namespace.config_map("config", &json!({"word": "blue"}));
    let mut watched = Watched::start(namespace, manifest);
    for word in ["green", "red"] {
        let edit = || namespace.config_map("config", &json!({"word": word}));
        watched.edit(edit, word);
    }
    watched.finish(2);
}

#[test]
fn edit_of_a_config_map_is_one_signal() {
    let manifest = target("config-map", "word", &config_map("config"));
    edits_a_config_map(&Namespace::new("config-map"), &manifest);
}

#[test]
fn edit_of_a_volume_with_an_fs_group_is_one_signal() {
    let volume = json!({"configMap": {"name": "config", "defaultMode": 0o440}});
    let mut manifest = target("fs-group", "word", &volume);
    manifest["spec"]["securityContext"]["fsGroup"] = 2000.into();
    edits_a_config_map(&Namespace::new("fs-group"), &manifest);
}

#[test]
fn edit_of_a_projected_volume_is_one_signal() {
    let sources = json!([
        {"configMap": {"name": "config", "items": [{"key": "word", "path": "below/word"}]}},
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]);
    let volume = json!({"projected": {"sources": sources}});
    edits_a_config_map(
        &Namespace::new("projected"),
        &target("projected", "below/word", &volume),
    );
}

#[test]
fn edit_of_a_secret_is_one_signal() {
    let namespace = Namespace::new("secret");
    let secret = |word: &str| {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "config"}, "stringData": {"word": word}
        });
        namespace.apply(&secret.to_string());
    };
    secret("blue");
    let volume = json!({"secret": {"secretName": "config"}});
    let mut watched = Watched::start(&namespace, &target("secret", "word", &volume));
    watched.edit(|| secret("green"), "green");
    watched.finish(1);
}

#[test]
fn edit_of_a_label_in_a_downward_api_volume_is_one_signal() {
    let namespace = Namespace::new("downward-api");
    let item = json!({"path": "name", "fieldRef": {"fieldPath": "metadata.labels['name']"}});
    let volume = json!({"downwardAPI": {"items": [item]}});
    let mut watched = Watched::start(&namespace, &target("downward-api", "name", &volume));
    let label = || {
        namespace.run(&["label", "--overwrite", "pod", "downward-api", "name=green"]);
    };
    watched.edit(label, "green");
    watched.finish(1);
}

#[test]
fn optional_config_map_created_later_is_one_signal() {
    let namespace = Namespace::new("optional");
    let volume = json!({"configMap": {"name": "config", "optional": true}});
    let mut watched = Watched::start(&namespace, &target("optional", "word", &volume));
    let make = || namespace.config_map("config", &json!({"word": "green"}));
    watched.edit(make, "green");
    watched.finish(1);
}

#[test]
fn config_map_deleted_and_created_again_is_one_signal() {
    let namespace = Namespace::new("made-again");
    namespace.config_map("config", &json!({"word": "blue"}));
    let manifest = target("made-again", "word", &config_map("config"));
    let mut watched = Watched::start(&namespace, &manifest);
    let make_again = || {
        namespace.run(&["delete", "configmap", "config"]);
        namespace.config_map("config", &json!({"word": "green"}));
    };
    watched.edit(make_again, "green");
    watched.finish(1);
}

#[test]
fn immutable_config_map_is_never_signalled() {
    let namespace = Namespace::new("immutable");
    let immutable = |word: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config"}, "immutable": true, "data": {"word": word}
        })
        .to_string()
    };
    namespace.apply(&immutable("blue"));
    let manifest = target("immutable", "word", &config_map("config"));
    let watched = Watched::start(&namespace, &manifest);
    let refusal = namespace.try_apply(&immutable("green"));
    assert!(!refusal.status.success(), "{refusal:?}");
    watched.finish(0);
}

#[test]
fn edit_of_1500_keys_is_one_signal() {
    let namespace = Namespace::new("1500-keys");
    let keys = |first: usize, word: &str| {
        let keys = (first..first + 1500).map(|number| (format!("key-{number}"), "same".into()));
        let mut data: Map<String, Value> = keys.collect();
        data.insert("word".to_owned(), word.into());
        Value::Object(data)
    };
    namespace.config_map("config", &keys(0, "blue"));
    let manifest = target("1500-keys", "word", &config_map("config"));
    let mut watched = Watched::start(&namespace, &manifest);
    let start = Instant::now();
    // 100 keys are removed, 100 added.
    watched.edit(
        || namespace.config_map("config", &keys(100, "green")),
        "green",
    );
    report::row(
        "1500 keys",
        &format!(
            "{:.1} s from the edit to the signal",
            start.elapsed().as_secs_f64()
        ),
    );
    watched.finish(1);
}

#[test]
fn sub_path_mount_is_reported_and_never_changes() {
    let namespace = Namespace::new("sub-path");
    namespace.config_map("config", &json!({"word": "blue"}));
    let mut manifest = target("sub-path", "word", &config_map("config"));
    let spec = &mut manifest["spec"];
    let mount = json!({"name": "config", "mountPath": "/single/word", "subPath": "word"});
    for list in ["initContainers", "containers"] {
        let mounts = spec[list][0]["volumeMounts"].as_array_mut().unwrap();
        mounts.push(mount.clone());
    }
    spec["initContainers"][0]["env"][0]["value"] = "/config,/single/word".into();
    let mut watched = Watched::start(&namespace, &manifest);
    let mut sidecar = watched.pod.log(SIDECAR);
    sidecar.expect("subPath");
    let edit = || namespace.config_map("config", &json!({"word": "green"}));
    watched.edit(edit, "green");
    let single = watched.pod.client("cat /single/word");
    assert_eq!(String::from_utf8(single.stdout).unwrap(), "blue");
    watched.finish(1);
}
