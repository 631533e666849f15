//! Settings: every wrong one is named with what would be right, all in one start, and nothing else happens.

use crate::support::process::{Settings, Target};
use std::fs;

/// The messages of a start that must fail with exit code 2.
#[track_caller]
fn errors(settings: &[(&str, &str)]) -> Vec<String> {
    let sidecar = settings
        .iter()
        .fold(Settings::bare(), |sidecar, (name, value)| {
            sidecar.set(name, value)
        });
    let (code, stdout, stderr) = sidecar.output();
    assert_eq!(code, Some(2), "{stderr}");
    assert_eq!(stdout, "");
    stderr
        .lines()
        .map(|line| {
            line.split_once(" error ")
                .expect("an error line")
                .1
                .to_owned()
        })
        .collect()
}

#[track_caller]
fn error(name: &str, value: &str, expected: &str) {
    let mut settings = vec![("CONFIG_DIR", "/etc"), ("PROCESS_NAME", "nobody")];
    settings.retain(|(other, _)| *other != name);
    settings.push((name, value));
    assert_eq!(errors(&settings), [expected]);
}

const NO_CONFIG: &str = "CONFIG_DIR is not set; give the directories or files to watch, separated by commas, for example CONFIG_DIR=/etc/nginx";
const NO_PROCESS: &str = "none of PROCESS_NAME, PROCESS_CMDLINE and PROCESS_PID_FILE is set; say which process to signal, for example PROCESS_NAME=nginx";

#[test]
fn missing_and_empty_settings_are_named() {
    assert_eq!(errors(&[]), [NO_CONFIG, NO_PROCESS]);
    assert_eq!(
        errors(&[("CONFIG_DIR", ""), ("PROCESS_NAME", " ")]),
        [NO_CONFIG, NO_PROCESS]
    );
    assert_eq!(errors(&[("PROCESS_NAME", "nginx")]), [NO_CONFIG]);
    for process in ["PROCESS_PID_FILE", "PROCESS_CMDLINE", "PROCESS_NAME"] {
        assert_eq!(errors(&[(process, "x")]), [NO_CONFIG]);
    }
}

#[test]
fn every_error_is_reported_in_one_start_in_the_order_of_the_table() {
    let wrong = [
        ("LISTEN_ADDR", "here"),
        ("RELOAD_SETTLE", "soon"),
        ("VERBOSE", "maybe"),
        ("RELOAD_SIGNAL", "SIGHPU"),
        ("PROCESS_NAME", "a,,b"),
    ];
    assert_eq!(
        errors(&wrong),
        [
            NO_CONFIG,
            r#"PROCESS_NAME is "a,,b", which has nothing before or after a comma; remove that comma"#,
            r#"RELOAD_SIGNAL is "SIGHPU", which is not a signal; did you mean SIGHUP?"#,
            r#"VERBOSE is "maybe", which is not a boolean; give true or false"#,
            r#"RELOAD_SETTLE is "soon", which is not a duration; give a number with ms, s, m or h, for example 500ms, or 0"#,
            r#"LISTEN_ADDR is "here", which is not an address with a port; give for example :9533 for every address, or localhost:9533 for this Pod alone"#,
        ]
    );
}

#[test]
fn signals_are_checked() {
    for number in ["0", "32", "65", "99999999999999999999"] {
        error(
            "RELOAD_SIGNAL",
            number,
            &format!(
                r#"RELOAD_SIGNAL is "{number}", which is out of range; signals are 1 to 31 and 34 to 64, SIGRTMIN to SIGRTMIN+30"#
            ),
        );
    }
    error(
        "RELOAD_SIGNAL",
        "-1",
        r#"RELOAD_SIGNAL is "-1", which is not a signal; did you mean SIGIO?"#,
    );
}

#[test]
fn durations_are_checked() {
    for name in [
        "PROCESS_MIN_AGE",
        "RELOAD_SETTLE",
        "RELOAD_SETTLE_MAX",
        "RELOAD_MIN_INTERVAL",
        "CONFIG_POLL_INTERVAL",
    ] {
        for value in ["1", "s", "-1s", "1.5s", "1 s", "1d", "1S"] {
            error(
                name,
                value,
                &format!(
                    r#"{name} is "{value}", which is not a duration; give a number with ms, s, m or h, for example 500ms, or 0"#
                ),
            );
        }
        for value in ["1001h", "99999999999999999999s", "18446744073709551615h"] {
            error(
                name,
                value,
                &format!(r#"{name} is "{value}", which is too long; the most is 1000h"#),
            );
        }
    }
    error(
        "RELOAD_SETTLE",
        "3s",
        r#"RELOAD_SETTLE is "3s", which is longer than RELOAD_SETTLE_MAX; make that one longer as well"#,
    );
}

#[test]
fn booleans_and_choices_are_checked() {
    for name in ["VERBOSE", "RELOAD_GUARD", "RELOAD_CATCH_UP"] {
        error(
            name,
            "on",
            &format!(r#"{name} is "on", which is not a boolean; give true or false"#),
        );
    }
    error(
        "PROCESS_SELECT",
        "first",
        r#"PROCESS_SELECT is "first"; give main or all"#,
    );
    error(
        "RELOAD_CONFIRM",
        "true",
        r#"RELOAD_CONFIRM is "true"; give warn, retry or off"#,
    );
    error(
        "LOG_FORMAT",
        "xml",
        r#"LOG_FORMAT is "xml"; give text or json"#,
    );
}

#[test]
fn addresses_are_checked() {
    for value in [
        "9533",
        ":",
        ":0",
        ":65536",
        ":http",
        "::1:80",
        "[1.2.3.4]:80",
        "1.2.3:80",
        "256.1.1.1:80",
        "example.org:80",
    ] {
        error(
            "LISTEN_ADDR",
            value,
            &format!(
                r#"LISTEN_ADDR is "{value}", which is not an address with a port; give for example :9533 for every address, or localhost:9533 for this Pod alone"#
            ),
        );
    }
}

#[test]
fn lists_and_paths_are_checked() {
    error(
        "CONFIG_DIR",
        "/a,",
        r#"CONFIG_DIR is "/a,", which has nothing before or after a comma; remove that comma"#,
    );
    error(
        "PROCESS_NAME",
        "/usr/sbin/nginx",
        r#"PROCESS_NAME is "/usr/sbin/nginx", which is a path; give the name alone, the part after the last slash"#,
    );
    let many = vec!["/abcd"; 65].join(",");
    error(
        "CONFIG_DIR",
        &many,
        &format!(
            r#"CONFIG_DIR is "{}", which has too many items; the most is 64"#,
            &many[..200]
        ),
    );
    let long = format!("/{}", "d/".repeat(2048));
    let shown = &long[..200];
    error(
        "CONFIG_DIR",
        &long,
        &format!(
            r#"CONFIG_DIR is "{shown}"..., which is too long; the most in a path is 4095 bytes"#
        ),
    );
    let long = format!("/{}", "n".repeat(256));
    let shown = &long[..200];
    error(
        "PROCESS_PID_FILE",
        &long,
        &format!(
            r#"PROCESS_PID_FILE is "{shown}"..., which has a name that is too long; the most in a path is 255 bytes a name"#
        ),
    );
    let long = "x".repeat(1025);
    error(
        "PROCESS_CMDLINE",
        &long,
        &format!(
            r#"PROCESS_CMDLINE is "{}"..., which is too long; the most is 1024 bytes"#,
            &long[..200]
        ),
    );
}

#[test]
fn values_that_are_not_utf8_are_shown_escaped() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let (code, _, stderr) = Settings::bare()
        .set("CONFIG_DIR", OsStr::from_bytes(b"/etc/\xff\x1b[31m"))
        .set("PROCESS_NAME", "nobody")
        .output();
    assert_eq!(code, Some(2));
    let message = stderr.split_once(" error ").unwrap().1;
    assert_eq!(
        message,
        "CONFIG_DIR is \"/etc/\\xff\\x1b[31m\", which is not UTF-8; give it as UTF-8 text\n"
    );
}

#[test]
fn errors_are_json_with_log_format_json() {
    let (code, _, stderr) = Settings::bare()
        .set("LOG_FORMAT", "JSON")
        .set("CONFIG_DIR", "/a,\",")
        .output();
    assert_eq!(code, Some(2));
    let lines: Vec<serde_json::Value> = stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["level"], "error");
    assert_eq!(
        lines[0]["message"],
        r#"CONFIG_DIR is "/a,\",", which has nothing before or after a comma; remove that comma"#
    );
}

#[test]
fn a_wrong_setting_sends_no_signal() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("app.conf");
    fs::write(&config, "a").unwrap();
    let mut target = Target::start(&config);
    let (code, _, _) = Settings::new(directory.path(), &target.name)
        .set("RELOAD_SETTLE", "x")
        .output();
    assert_eq!(code, Some(2));
    // An earlier signal would arrive before this one.
    target.talker.signal(rustix::process::Signal::USR2);
    assert_eq!(target.signalled().0, "SIGUSR2");
}

#[test]
fn every_valid_value_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let right = [
        (
            "RELOAD_SIGNAL",
            &["SIGHUP", "hup", "1", "SIGRTMIN+3", "rtmax-1", "64"][..],
        ),
        ("PROCESS_SELECT", &["main", "ALL"]),
        (
            "PROCESS_MIN_AGE",
            &["0", "0ms", "250ms", "2s", "1m", "1000h"],
        ),
        ("RELOAD_SETTLE", &["0", "2s"]),
        ("VERBOSE", &["TRUE", "yes", "1", "False", "no", "0"]),
        ("CONFIG_POLL_INTERVAL", &["automatic", "0", "10s"]),
        ("LOG_FORMAT", &["text", "Json"]),
        ("LOG_STREAM", &["stderr", "StdErr"]),
        ("RELOAD_CONFIRM", &["warn", "retry", "off"]),
        ("LISTEN_ADDR", &["off", "Off"]),
        ("PROCESS_NAME", &["a , b", "name with spaces"]),
        ("CONFIG_DIR", &["/etc , /tmp/none", "relative"]),
    ];
    for (name, values) in right {
        for value in values {
            let sidecar = Settings::new(directory.path(), "nobody")
                .set(name, value)
                .launch();
            sidecar.start_and_stop(name, value);
        }
    }
}
