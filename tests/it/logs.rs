//! The log: what one reload tells, the same in both formats, and all of it listed in the README.

use crate::support::events::{self, Event, rows};
use crate::support::process::{Settings, Target};
use crate::support::scene::{Config, Scene};
use crate::support::unique_name;
use crate::support::volume::{Order, Volume};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The program's source but for its tests and for the commands that do not log.
fn source() -> String {
    fn read(directory: &Path, into: &mut String) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                read(&path, into);
            } else if !["tests.rs", "check.rs", "command.rs"].contains(&name) {
                let text = fs::read_to_string(&path).unwrap();
                into.push_str(text.split("#[cfg(test)]").next().unwrap());
            }
        }
    }
    let mut source = String::new();
    read(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut source,
    );
    source
}

/// What stands in quotation marks.
fn literals(source: &str) -> Vec<&str> {
    let quoted = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    quoted
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .collect()
}

#[test]
fn every_event_that_the_readme_lists_is_in_the_program() {
    let source = source();
    let mut literals = literals(&source);
    // Of command.rs, and a number.
    literals.extend([
        "internal error; please report it with the lines before",
        "16",
        "262144",
    ]);
    assert!(rows().len() > 40, "{:#?}", rows());
    for row in rows() {
        for piece in &row.pieces {
            // One after the other, the program's words make it up.
            let mut reached = vec![false; piece.len() + 1];
            reached[0] = true;
            for at in 0..piece.len() {
                for literal in &literals {
                    if reached[at] && piece[at..].starts_with(literal) {
                        reached[at + literal.len()] = true;
                    }
                }
            }
            assert!(reached[piece.len()], "{piece:?} of {row:?}");
        }
    }
}

#[test]
fn the_readme_lists_every_key() {
    let source = source();
    let mut listed: Vec<&str> = rows()
        .iter()
        .flat_map(|row| &row.keys)
        .map(String::as_str)
        .collect();
    listed.sort_unstable();
    listed.dedup();
    let literals = literals(&source);
    for key in &listed {
        assert!(literals.contains(key), "{key}");
    }
    let squeezed: String = source.split_whitespace().collect();
    for call in [
        ".key(\"",
        ".key_number(\"",
        ".key_hex(\"",
        ".key_names(\"",
        "tell(line,\"",
    ] {
        for (at, _) in squeezed.match_indices(call) {
            let key = squeezed[at + call.len()..].split('"').next().unwrap();
            assert!(listed.contains(&key), "{key} is not in the README");
        }
    }
}

/// A sidecar's log of a change, of one that nobody is there for, and of a process that ends after the signal.
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
fn text_and_json_tell_the_same_events_with_the_same_keys() {
    let (text, _) = log("text");
    let (json, lines) = log("json");
    assert_eq!(text, json);
    for line in lines {
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        for (key, value) in object.as_object().unwrap() {
            let is_number = ["pid", "files", "directories", "after_ms"].contains(&key.as_str());
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
fn one_reload_tells_line_by_line_what_to_whom_when_and_what_came_of_it() {
    let mut config = Config::new();
    let mut target = Target::start(&config.file());
    let settings = config.settings(&target.name).set("RELOAD_CONFIRM", "warn");
    let mut sidecar = settings.start();
    let mut before = None;
    for _ in 0..2 {
        let content = config.change();
        let changed = sidecar.expect("content changed");
        assert_eq!(value(&changed, "names"), "app.conf");
        assert_ne!(value(&changed, "before"), value(&changed, "after"));
        let after = value(&changed, "after").to_owned();
        // It begins where the last one ended.
        assert!(
            before
                .replace(after)
                .is_none_or(|it| it == value(&changed, "before"))
        );
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
fn what_has_changed_is_named_and_of_what_is_gone_the_directory() {
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
fn of_a_volume_the_keys_that_changed_are_named() {
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
