//! The commands that print, and wrong usage.

use crate::support::process::Settings;
use config_reloader_sidecar::base::signal::Signal;
use config_reloader_sidecar::command::COMMANDS;
use config_reloader_sidecar::config::SETTINGS;

#[test]
fn help_lists_every_command_and_every_setting_that_works() {
    for spelling in ["help", "-h", "--help"] {
        let (code, stdout, stderr) = Settings::bare().arguments(&[spelling]).output();
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        for command in &COMMANDS {
            let line = format!("  {:<10}{}\n", command.name, command.meaning);
            assert!(stdout.contains(&line), "{}", command.name);
        }
        for setting in &SETTINGS {
            let (name, default, meaning) = (setting.name, setting.default, setting.meaning);
            let line = format!("  {name:<22}{default:<11}{meaning}\n");
            assert!(stdout.contains(&line), "{name}");
        }
    }
}

#[test]
fn version_is_that_of_the_package() {
    for spelling in ["version", "-V", "--version"] {
        let expected = format!("config-reloader-sidecar {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(
            Settings::bare().arguments(&[spelling]).output(),
            (Some(0), expected, String::new())
        );
    }
}

#[test]
fn signals_lists_every_signal() {
    let (code, stdout, _) = Settings::bare().arguments(&["signals"]).output();
    assert_eq!(code, Some(0));
    assert_eq!(stdout.lines().count(), Signal::all().count());
    assert!(
        stdout.starts_with(" 1  SIGHUP        ends the process\n"),
        "{stdout}"
    );
    assert!(
        stdout.contains("34  SIGRTMIN      ends the process\n"),
        "{stdout}"
    );
}

#[test]
fn run_is_the_default_command() {
    let (code, _, stderr) = Settings::bare().arguments(&["run"]).output();
    assert_eq!(code, Some(2));
    assert!(stderr.contains("CONFIG_DIR is not set"));
}

#[test]
fn unknown_commands_and_extra_arguments_are_refused() {
    for (arguments, expected) in [
        (
            &["relaod"][..],
            r#"unknown command "relaod"; see config-reloader-sidecar help"#,
        ),
        (
            &["--config", "x"],
            r#"unexpected argument "x"; see config-reloader-sidecar help"#,
        ),
        (
            &["run", "now"],
            r#"unexpected argument "now"; see config-reloader-sidecar help"#,
        ),
        (
            &[""],
            r#"unknown command ""; see config-reloader-sidecar help"#,
        ),
    ] {
        let (code, stdout, stderr) = Settings::bare().arguments(arguments).output();
        assert_eq!((code, stdout.as_str()), (Some(2), ""));
        assert_eq!(
            stderr.split_once(" error ").unwrap().1,
            format!("{expected}\n")
        );
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let status = Settings::bare()
        .arguments(&["help"])
        .adapt(|command| {
            command.stdout(full);
        })
        .status();
    assert_eq!(status.code(), Some(1));
}
