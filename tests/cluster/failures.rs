//! The sidecar, the application and the kubelet are killed.

use crate::namespace::Namespace;
use crate::pod::{Pod, SIDECAR, kill, target};
use crate::report;
use crate::support::process::eventually;
use serde_json::json;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

fn edit(namespace: &Namespace, word: &str) {
    namespace.config_map("config", &json!({"word": word}));
}

#[track_caller]
fn start<'n>(namespace: &'n Namespace, name: &str) -> Pod<'n> {
    edit(namespace, "blue");
    let volume = json!({"configMap": {"name": "config"}});
    Pod::start(namespace, &target(name, "word", &volume))
}

/// The sidecar is killed before, during or after the update. Each Pod is killed once: after that the kubelet waits for longer and
/// longer before it restarts a container.
#[test]
fn sidecar_killed_amid_an_update_loses_nothing() {
    let namespace = Namespace::new("sidecar-killed");
    let pauses = [0, 200, 500, 1500];
    let mut signals = 0;
    for pause in pauses {
        let pod = start(&namespace, &format!("killed-after-{pause}"));
        let mut target = pod.log("target");
        target.expect("ready");
        edit(&namespace, "green");
        pod.sync();
        thread::sleep(Duration::from_millis(pause));
        assert!(kill(&pod, SIDECAR));
        let line = pod.expect(&mut target, "SIG");
        assert!(line.ends_with(" green"), "{line}");
        pod.delete();
        let (_, log) = target.finish();
        signals += log.iter().filter(|line| line.starts_with("SIG")).count();
    }
    let updates = pauses.len();
    // A restarted sidecar cannot know what its predecessor has signalled.
    assert!((updates..=2 * updates).contains(&signals), "{signals}");
    report::row(
        "sidecar killed",
        &format!("{updates} times amid {updates} edits, {signals} signals, nothing lost"),
    );
}

#[test]
fn restarted_application_is_signalled() {
    let namespace = Namespace::new("application-killed");
    let pod = start(&namespace, "app-killed");
    pod.log("target").expect("ready");
    assert!(kill(&pod, "target"));
    let restarts = || pod.field("{.status.containerStatuses[0].restartCount}");
    eventually("started again", || restarts() == "1");
    pod.wait_for("condition=Ready");
    let mut target = pod.log("target");
    target.expect("ready");
    edit(&namespace, "green");
    assert!(pod.expect(&mut target, "SIGHUP").ends_with(" green"));
    assert!(pod.delete().exits.contains("config-reloader=0"));
    let (_, log) = target.finish();
    let signals = log.iter().filter(|line| line.starts_with("SIG")).count();
    assert_eq!(signals, 1, "{log:#?}");
    report::row("application killed", "1 edit after it, 1 signal");
}

/// Only on a node that `make cluster` has started.
#[test]
fn alone_kubelet_killed_amid_an_update_loses_nothing() {
    let Ok(processes) = std::env::var("CLUSTER_NODE") else {
        report::row("kubelet killed", "skipped: not a node of our own");
        return;
    };
    let namespace = Namespace::new("kubelet-killed");
    let pod = start(&namespace, "kubelet-killed");
    pod.log("target").expect("ready");
    let pauses = [0, 100, 300, 700, 1500];
    for pause in pauses {
        let word = format!("word-{pause}");
        edit(&namespace, &word);
        pod.sync();
        thread::sleep(Duration::from_millis(pause));
        kill_kubelet(&processes);
        pod.expect_printed("target", &word);
    }
    let log = pod.printed("target");
    let signals = log.lines().filter(|line| line.starts_with("SIG")).count();
    let updates = pauses.len();
    assert_eq!(signals, updates, "{log}");
    report::row(
        "kubelet killed",
        &format!("{updates} times amid {updates} edits, {signals} signals"),
    );
}

#[track_caller]
fn kill_kubelet(processes: &str) {
    let processes = fs::read_to_string(processes).unwrap();
    let comm = |pid: &&str| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let kubelet = processes.lines().find(|pid| comm(pid) == "kubelet\n");
    let kill = Command::new("kill")
        .args(["-KILL", kubelet.expect("a kubelet")])
        .status();
    assert!(kill.unwrap().success());
}
