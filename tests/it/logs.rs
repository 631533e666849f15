//! The log: what one reload tells, the same in both formats, and all of it listed in docs/observability.md.

use crate::support::docs::section;
use crate::support::events::{self, Event, rows};
use crate::support::process::{Settings, Target};
use crate::support::scene::{Config, Scene};
use crate::support::unique_name;
use crate::support::volume::{Order, Volume};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Returns the code that says every event of the running sidecar: the facts, the causes of a scan, and the count of dropped lines.
fn source() -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let facts = fs::read_dir(source.join("report/facts")).unwrap();
    let facts = facts.map(|entry| entry.unwrap().path());
    let others = ["report/facts.rs", "report/log.rs", "run.rs"].map(|name| source.join(name));
    let code = |path| {
        let text = fs::read_to_string(path).unwrap();
        text.split("#[cfg(test)]\nmod tests")
            .next()
            .unwrap()
            .to_owned()
    };
    facts.chain(others).map(code).collect()
}

/// Returns the constant parts of all string literals: what surrounds the placeholders of a format.
fn constants(source: &str) -> Vec<&str> {
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let literals = code.flat_map(|line| line.split('"').skip(1).step_by(2));
    let constants = literals.flat_map(|literal| literal.split(['{', '}']).step_by(2));
    constants.filter(|constant| !constant.is_empty()).collect()
}

/// Returns true if the text is made up of constants of the program and of numbers, which formats fill in.
fn is_composed(text: &str, constants: &[&str]) -> bool {
    let rest = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    text.is_empty()
        || rest != text && is_composed(rest, constants)
        || constants.iter().any(|constant| {
            text.strip_prefix(constant)
                .is_some_and(|rest| is_composed(rest, constants))
        })
}

#[test]
fn every_event_that_the_docs_list_is_in_the_program() {
    let source = source();
    let constants = constants(&source);
    assert!(rows().len() > 40, "{:#?}", rows());
    for row in rows() {
        for piece in &row.pieces {
            assert!(
                is_composed(piece, &constants),
                "the program does not say {piece:?}; correct this row of docs/observability.md: {row:?}"
            );
        }
    }
}

#[test]
fn the_lines_that_troubleshooting_explains_are_those_of_the_log() {
    let log = section("## Logs");
    let explained = section("## By log line");
    let rows = explained.lines().filter(|line| line.starts_with("| `"));
    let lines: Vec<&str> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
    assert!(lines.len() > 8, "{lines:?}");
    for line in lines {
        assert!(
            log.contains(line),
            "no message of docs/observability.md has {line:?}; correct docs/troubleshooting.md"
        );
    }
}

#[test]
fn the_docs_list_every_key() {
    // A key stands first in a call or a tuple: `.key("names", names)`, `("process_name", self.names)`.
    let squeezed: String = source().split_whitespace().collect();
    let first = squeezed.split("(\"").skip(1);
    let keys = first.filter_map(|rest| Some(rest.split_once("\",")?.0));
    let is_key = |text: &&str| text.chars().all(|it| it.is_ascii_lowercase() || it == '_');
    let said: BTreeSet<&str> = keys.filter(is_key).collect();
    let listed = rows().iter().flat_map(|row| &row.keys);
    let listed: BTreeSet<&str> = listed.map(String::as_str).collect();
    assert_eq!(
        said, listed,
        "left: the program's keys; right: those in docs/observability.md"
    );
}

/// A sidecar's log of a change, of one without a process, and of a process that ends after the signal.
fn log(format: &str) -> (Vec<Event>, Vec<String>) {
    let mut config = Config::new();
    let name = unique_name();
    let settings = config
        .settings(&name)
        .set("RELOAD_CONFIRM", "warn")
        .set("LOG_FORMAT", format);
    let mut sidecar = settings.set("VERBOSE", "false").start();
    config.change();
    sidecar.expect("no process matches");
    let mut target = Target::start_as(&name, &config.file(), &[]);
    sidecar.expect("no signal needed");
    let content = config.change();
    assert_eq!(target.signalled().1, content);
    sidecar.expect("reload confirmed");
    let (_, lines) = sidecar.end();
    let events = lines
        .iter()
        .map(|line| events::parse(line).unwrap())
        .collect();
    (events, lines)
}

#[test]
fn text_and_json_have_the_same_events_and_keys() {
    let (text, _) = log("text");
    let (json, lines) = log("json");
    assert_eq!(text, json);
    for line in lines {
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        for (key, value) in object.as_object().unwrap() {
            let is_number =
                ["pid", "files", "directories", "after_ms", "update"].contains(&key.as_str());
            assert_eq!(value.is_number(), is_number, "{line}");
            assert_eq!(value.is_string(), !is_number, "{line}");
        }
    }
}

/// The value of a key in a line of text.
fn value<'l>(line: &'l str, key: &str) -> &'l str {
    let (_, rest) = line.split_once(&format!(" {key}=")).unwrap();
    rest.split(' ').next().unwrap()
}

#[test]
fn one_reload_is_logged_from_the_change_to_the_confirmation() {
    let mut config = Config::new();
    let mut target = Target::start(&config.file());
    let settings = config.settings(&target.name).set("RELOAD_CONFIRM", "warn");
    let mut sidecar = settings.start();
    for update in ["1", "2"] {
        let content = config.change();
        let changed = sidecar.expect("content changed");
        assert_eq!(value(&changed, "names"), "app.conf");
        assert_eq!(value(&changed, "update"), update);
        let sent = sidecar.expect("signal sent");
        let pid = target.talker.pid().as_raw_nonzero().to_string();
        assert_eq!(value(&sent, "signal"), "SIGHUP");
        assert_eq!(value(&sent, "pid"), pid);
        assert_eq!(value(&sent, "process"), target.name);
        let after_ms: u64 = value(&sent, "after_ms").parse().unwrap();
        assert!(
            (20..20_000).contains(&after_ms),
            "the quiet time at least: {sent}"
        );
        assert_eq!(target.signalled().1, content);
        let confirmed = sidecar.expect("reload confirmed");
        assert_eq!(value(&confirmed, "files"), "1");
    }
}

#[test]
fn changed_entries_are_named_and_the_directory_of_removed_ones() {
    let mut scene = Scene::new(|directory| {
        fs::create_dir_all(directory.join("a/b")).unwrap();
        fs::write(directory.join("a/b/deep"), "1").unwrap();
        fs::write(directory.join("a/b/other"), "1").unwrap();
        directory.to_owned()
    });
    let root = scene.directory.path().to_str().unwrap().to_owned();
    type Action = fn(&Scene);
    let actions: [(&str, Action); 7] = [
        ("deep", |scene| {
            fs::write(scene.path("a/b/deep"), "2").unwrap()
        }),
        ("new", |scene| fs::write(scene.path("a/new"), "1").unwrap()),
        ("there", |scene| {
            fs::rename(scene.path("a/new"), scene.path("a/there")).unwrap()
        }),
        ("b", |scene| {
            fs::remove_file(scene.path("a/b/deep")).unwrap()
        }),
        ("a", |scene| fs::remove_file(scene.path("a/there")).unwrap()),
        ("link", |scene| {
            std::os::unix::fs::symlink("a/b/other", scene.path("link")).unwrap()
        }),
        (&root, |scene| fs::remove_file(scene.path("link")).unwrap()),
    ];
    for (name, action) in actions {
        scene.changes(name, "start", action);
        let line = scene.sidecar.expect("content changed");
        assert_eq!(value(&line, "names"), name, "{line}");
    }
}

#[test]
fn the_changed_keys_of_a_volume_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let keys = [("app.conf", "1"), ("other.conf", "1"), ("same.conf", "1")];
    let path = directory.path().join("volume");
    let volume = Volume::new(path, Order::SwapFirst, &keys);
    let mut target = Target::start(&volume.path.join("app.conf"));
    let mut sidecar = Settings::new(&volume.path, &target.name).start();
    volume.update(&[
        ("app.conf", "2"),
        ("other.conf", "1"),
        ("same.conf", "1"),
        ("new.conf", "1"),
    ]);
    assert_eq!(target.signalled().1, "2");
    let line = sidecar.expect("content changed");
    let mut names: Vec<_> = value(&line, "names").split(',').collect();
    names.sort_unstable();
    assert_eq!(names, ["app.conf", "new.conf"]);
}

#[test]
fn names_of_any_bytes_stay_inside_their_values_in_both_formats() {
    let hostile = b"a\"b\\c\nd\x1b[31m\xff\xc3 e=f,\x7f";
    for format in ["text", "json"] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("r\"o\\o\x01t\u{9b}");
        fs::create_dir(&root).unwrap();
        let note = unique_name();
        let options = ["--comm", "n\"a\\m\te\u{9b}", "--note", &note];
        let mut target = Target::start_as(&unique_name(), Path::new("/dev/null"), &options);
        let settings = Settings::bare()
            .set("CONFIG_DIR", &root)
            .set("PROCESS_CMDLINE", &note);
        let mut sidecar = settings
            .set("PROCESS_MIN_AGE", "0")
            .set("RELOAD_CATCH_UP", "false")
            .set("VERBOSE", "true")
            .set("LOG_FORMAT", format)
            .start();
        fs::write(root.join(OsStr::from_bytes(hostile)), "1").unwrap();
        target.signalled();
        sidecar.expect("signal sent");
        for line in sidecar.end().1 {
            let event = events::parse(&line).unwrap();
            assert!(rows().iter().any(|row| row.is(&event)), "{line}");
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
}
