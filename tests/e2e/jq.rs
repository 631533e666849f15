//! jq reads the JSON log, whatever bytes the names in it contain.

use crate::support::process::{Settings, Target};
use crate::support::unique_name;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Returns what jq prints for these lines. Fails if one of them is not JSON.
#[track_caller]
fn jq(filter: &[&str], lines: &str) -> String {
    let mut child = Command::new("jq")
        .arg("--raw-output")
        .args(filter)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(lines.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{filter:?}: {printed}{lines}");
    printed
}

#[test]
fn jq_reads_every_line_and_value() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("r\"o\\o\x01t\u{9b} \u{1f4c1}");
    fs::create_dir(&root).unwrap();
    let note = unique_name();
    let options = ["--comm", "n\"a =[e\u{9b}", "--note", &note];
    let mut target = Target::start_as(&unique_name(), Path::new("/dev/null"), &options);
    let mut sidecar = Settings::bare()
        .set("CONFIG_DIR", &root)
        .set("PROCESS_CMDLINE", &note)
        .set("PROCESS_MIN_AGE", "0")
        .set("RELOAD_CATCH_UP", "false")
        .set("VERBOSE", "true")
        .set("LOG_FORMAT", "json")
        .start();
    let names: [&[u8]; 3] = [
        b"a\"b\\c\nd\te",
        b"\x1b[31m\xff\xc3 {\"level\":\"error\"},\x7f",
        "\u{e9}\u{2028}\u{1f600}".as_bytes(),
    ];
    for name in names {
        fs::write(root.join(OsStr::from_bytes(name)), "1").unwrap();
        target.signalled();
        sidecar.expect("signal sent");
    }
    let (status, lines) = sidecar.end();
    assert_eq!(status.code(), Some(0));
    for line in &lines {
        let valid = r#"(.time | sub("\\.[0-9]{3}Z$"; "Z") | fromdate > 0) and .level and .message"#;
        jq(&["--exit-status", valid], line);
    }
    let log = lines.join("\n");
    let names = jq(
        &[r#"select(.message == "content changed").names | @base64"#],
        &log,
    );
    // Invalid UTF-8, control characters and line separators are escaped.
    let expected = [
        "a\"b\\c\nd\te",
        "\\x1b[31m\\xff\\xc3 {\"level\":\"error\"},\\x7f",
        "\u{e9}\\xe2\\x80\\xa8\u{1f600}",
    ];
    let expected = expected.map(|name| jq(&["--raw-input", "--slurp", "@base64"], name));
    assert_eq!(names, expected.concat());
    let process = ["--arg", "process", "n\"a =[e\\xc2\\x9b"];
    let to_it = r#"select(.process == $process and .signal == "SIGHUP") | .pid"#;
    let pids = jq(&[&process[..], &[to_it]].concat(), &log);
    let pid = target.talker.pid().as_raw_nonzero();
    assert_eq!(pids, format!("{pid}\n").repeat(3));
    // A name cannot pass for a key.
    assert_eq!(
        jq(
            &["-n", r#"[inputs | select(.level == "error")] | length"#],
            &log
        ),
        "0\n"
    );
}
