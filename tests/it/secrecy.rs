//! Nothing that leaves the program says what the content is (S1).

use crate::support::process::{Settings, Target};
use serde_json::{Map, Value};
use std::fs;

/// Returns the log of one sidecar, from its start to its end, in which one file is changed to `content`.
fn log_of(content: &str) -> Vec<Map<String, Value>> {
    let config = tempfile::tempdir().unwrap();
    let file = config.path().join("password");
    fs::write(&file, "unset").unwrap();
    let mut target = Target::start(&file);
    let mut sidecar = Settings::new(config.path(), &target.name)
        .set("LOG_FORMAT", "json")
        .set("VERBOSE", "false")
        .set("RELOAD_CONFIRM", "off")
        .launch();
    sidecar.expect("\"watching\"");
    fs::write(&file, content).unwrap();
    assert_eq!(target.signalled().1, content);
    let (_, lines) = sidecar.end();
    lines
        .iter()
        .map(|line| without_circumstances(line))
        .collect()
}

/// Parses a line and removes what differs from run to run.
fn without_circumstances(line: &str) -> Map<String, Value> {
    let mut members: Map<String, Value> = serde_json::from_str(line).unwrap();
    for key in [
        "time",
        "pid",
        "process",
        "process_name",
        "config_dir",
        "after_ms",
    ] {
        members.remove(key);
    }
    members
}

#[test]
fn s1_the_log_does_not_depend_on_the_content() {
    let logs = ["hunter2", "hunter3"].map(log_of);
    assert_eq!(logs[0], logs[1]);
    let changed = logs[0]
        .iter()
        .find(|line| line["message"] == "content changed");
    let changed = changed.expect("the change in the log");
    assert_eq!(
        (&changed["update"], &changed["names"]),
        (&1.into(), &"password".into())
    );
}
