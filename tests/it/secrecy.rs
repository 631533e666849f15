//! Logs and metrics say nothing about the content (S1), except under a key that the user chose (M2).

use crate::support::process::{Settings, Talker, Target, eventually};
use crate::support::volume::{Order, Volume};
use serde_json::{Map, Value};
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

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
    sidecar.wait_until_idle();
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

/// A sidecar on a volume of its own, which shows its hashes under `key`.
struct Replica {
    volume: Volume,
    address: String,
    target: Target,
    _sidecar: Talker,
    _directory: TempDir,
}

impl Replica {
    fn start(key: &str, content: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("volume");
        let volume = Volume::new(path, Order::SwapFirst, &[("app.conf", content)]);
        let target = Target::start(&volume.path.join("app.conf"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let settings = Settings::new(&volume.path, &target.name)
            .set("LISTEN_ADDR", &address)
            .set("RELOAD_MIN_INTERVAL", "0")
            .set("CONFIG_HASH_KEY", key);
        Self {
            _sidecar: settings.start(),
            volume,
            address,
            target,
            _directory: directory,
        }
    }

    /// Returns the hashes on disk and last delivered, as far as they are shown.
    fn hashes(&self) -> [Option<String>; 2] {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        ["on_disk", "delivered"].map(|state| {
            let start = format!("reloader_config_{state}_info{{hash=\"");
            let line = text.lines().find_map(|line| line.strip_prefix(&start))?;
            Some(line.strip_suffix("\"} 1").unwrap().to_owned())
        })
    }

    /// Waits until what is on disk is delivered, and returns its hash.
    fn delivered(&self) -> String {
        eventually("delivered", || {
            let [on_disk, delivered] = self.hashes();
            on_disk.is_some() && on_disk == delivered
        });
        let [hash, _] = self.hashes();
        hash.unwrap()
    }
}

const KEY: &str = "a key of the test";

#[test]
fn m2_the_same_content_has_the_same_hash_on_every_node() {
    let mut one = Replica::start(KEY, "first");
    let other = Replica::start(KEY, "second");
    let (first, second) = (one.delivered(), other.delivered());
    assert_ne!(first, second);
    // The paths and the times differ, and so does the way it got there.
    one.volume.update(&[("app.conf", "second")]);
    assert_eq!(one.target.signalled().1, "second");
    assert_eq!(one.delivered(), second);
    fs::set_permissions(
        one.volume.path.join("app.conf"),
        Permissions::from_mode(0o600),
    )
    .unwrap();
    assert_eq!(one.delivered(), second);
    assert_ne!(
        Replica::start("a key of another test", "second").delivered(),
        second
    );
    assert_eq!(Replica::start("off", "second").hashes(), [None, None]);
}

#[test]
fn m2_the_delivered_hash_stays_until_the_reload_is_delivered() {
    let mut replica = Replica::start(KEY, "first");
    let first = replica.delivered();
    // Nobody else has this name, so the reload stays pending.
    drop(std::mem::replace(
        &mut replica.target,
        Target::start(&replica.volume.path.join("app.conf")),
    ));
    replica.volume.update(&[("app.conf", "second")]);
    eventually("another hash on disk", || {
        let [on_disk, delivered] = replica.hashes();
        assert_eq!(delivered.as_ref(), Some(&first));
        on_disk != delivered
    });
}
