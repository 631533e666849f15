//! kubectl commands that people use on a Pod.

use crate::namespace::Namespace;
use crate::pod::{Pod, target};
use crate::report;
use crate::support::process::eventually;
use serde_json::json;
use std::time::Duration;

#[track_caller]
fn start<'n>(namespace: &'n Namespace, name: &str) -> Pod<'n> {
    namespace.config_map("config", &json!({"word": "blue"}));
    let volume = json!({"configMap": {"name": "config"}});
    Pod::start(namespace, &target(name, "word", &volume))
}

/// Runs `check` until a change would be delivered; returns its output.
#[track_caller]
fn check(pod: &Pod) -> String {
    let mut check = pod.command("check");
    eventually("old enough to be signalled", || {
        check = pod.command("check");
        check.status.success()
    });
    String::from_utf8(check.stdout).unwrap()
}

#[test]
fn check_signal_and_health_work_in_a_pod() {
    let namespace = Namespace::new("commands");
    let pod = start(&namespace, "commands");
    let mut target = pod.log("target");
    target.expect("ready");
    let check = check(&pod);
    assert!(
        check.ends_with("\nA change would be delivered now.\n"),
        "{check}"
    );
    let health = pod.command("health");
    assert!(health.status.success(), "{health:?}");
    let signal = pod.command("signal");
    assert!(signal.status.success(), "{signal:?}");
    assert!(target.expect("SIGHUP").ends_with(" blue"));
    report::row("commands", "check, health and signal exit with 0, 1 signal");
}

#[test]
fn debug_container_leaves_the_sidecar_alone() {
    let namespace = Namespace::new("debug");
    let pod = start(&namespace, "debug");
    let mut target = pod.log("target");
    target.expect("ready");
    let debug = [
        "debug",
        "debug",
        "--image=localhost/target:1",
        "--container=debugger",
        "--profile=restricted",
        "--",
        "sh",
        "-c",
        "grep --no-messages config-reloader /proc/[0-9]*/comm",
    ];
    namespace.run(&debug);
    let ended = "jsonpath={.status.ephemeralContainerStatuses[0].state.terminated.exitCode}=0";
    pod.wait_for(ended);
    let seen = namespace.run(&["logs", "debug", "--container=debugger"]);
    assert!(seen.contains("/comm:config-reloader"), "{seen}");
    namespace.config_map("config", &json!({"word": "green"}));
    assert!(pod.expect(&mut target, "SIGHUP").ends_with(" green"));
    assert!(pod.delete().exits.contains("config-reloader=0"));
    let (_, log) = target.finish();
    let signals = log.iter().filter(|line| line.starts_with("SIG")).count();
    assert_eq!(signals, 1, "{log:#?}");
    report::row("debug", "the debugger sees the sidecar; 1 edit, 1 signal");
}

/// Measures time, so it runs alone. The fastest of three counts: a kubelet that is busy takes seconds by itself.
#[test]
fn alone_deleted_pod_is_gone_within_two_seconds() {
    let namespace = Namespace::new("deleted");
    let mut fastest = Duration::MAX;
    for name in ["first", "second", "third"] {
        let pod = start(&namespace, name);
        check(&pod);
        let ended = pod.delete();
        assert!(ended.exits.contains("config-reloader=0"), "{}", ended.exits);
        fastest = fastest.min(ended.after);
    }
    assert!(fastest < Duration::from_secs(2), "{fastest:?}");
    let seconds = fastest.as_secs_f64();
    report::row(
        "deletion",
        &format!("{seconds:.2} s, the fastest of 3; the sidecars exit with 0"),
    );
}
