//! Whom the signal goes to, and what happens while it cannot (P1 to P7).

use crate::support::process::{Settings, Talker, Target};
use crate::support::scene::Config;
use crate::support::{is_emulated, unique_name};
use rustix::process::Signal;
use std::fs;
use std::os::unix::process::CommandExt;

#[test]
fn every_signal_that_can_be_caught_is_delivered_by_name_and_number() {
    let mut config = Config::new();
    let mut target = Target::start(&config.file());
    for (setting, arrives) in [
        ("SIGHUP", "SIGHUP"),
        ("usr1", "SIGUSR1"),
        ("12", "SIGUSR2"),
        ("WINCH", "SIGWINCH"),
        ("SIGRTMIN", "SIG34"),
        ("SIGRTMIN+3", "SIG37"),
        ("rtmax-2", "SIG62"),
        ("64", "SIG64"),
    ] {
        // An emulator keeps some real-time signals to itself and moves the others.
        if arrives.trim_start_matches("SIG").parse::<u8>().is_ok() && is_emulated() {
            continue;
        }
        let sidecar = config
            .settings(&target.name)
            .set("RELOAD_SIGNAL", setting)
            .start();
        let content = config.change();
        assert_eq!(
            target.signalled(),
            (arrives.to_owned(), content),
            "{setting}"
        );
        drop(sidecar);
    }
}

#[test]
fn p1_a_name_matches_whole_and_never_in_part() {
    let mut config = Config::new();
    let name = unique_name();
    let mut longer = Target::start_as(&format!("{name}x"), &config.file(), &[]);
    let mut target = Target::start_as(&name, &config.file(), &[]);
    let _sidecar = config.settings(&name).start();
    let content = config.change();
    assert_eq!(target.signalled().1, content);
    // A second change: by now the other one would have had its signal for the first.
    let content = config.change();
    assert_eq!(target.signalled().1, content);
    assert_eq!(longer.count(), 0);
}

#[test]
fn p1_a_name_longer_than_the_kernel_keeps_matches_by_both_its_parts() {
    let mut config = Config::new();
    let name = format!("{}-blackbox-exporter", unique_name());
    assert!(name.len() > 15);
    let mut same_beginning = Target::start_as(&format!("{name}2"), &config.file(), &[]);
    let mut target = Target::start_as(&name, &config.file(), &[]);
    let _sidecar = config.settings(&name).start();
    for _ in 0..2 {
        let content = config.change();
        assert_eq!(target.signalled().1, content);
    }
    assert_eq!(same_beginning.count(), 0);
}

#[test]
fn p1_a_process_is_found_by_its_first_argument_alone() {
    let mut config = Config::new();
    let name = unique_name();
    let title = format!("{name}: master process /usr/bin/x");
    let mut target = Target::launch(&unique_name(), &config.file(), &[], |command| {
        command.arg0(title);
    });
    let _sidecar = config.settings(&name).start();
    let content = config.change();
    assert_eq!(target.signalled().1, content);
}

#[test]
fn p1_a_process_is_found_by_its_command_line() {
    let mut config = Config::new();
    let needle = unique_name();
    // Beyond the first piece that is read of a command line.
    let padding = "x".repeat(6000);
    let options = ["--note", &padding, "--note", &needle];
    let mut target = Target::start_as(&unique_name(), &config.file(), &options);
    let mut other = Target::start_as(&unique_name(), &config.file(), &["--note", &padding]);
    let _sidecar = Settings::new(config.directory.path(), "")
        .set("PROCESS_CMDLINE", format!("--note {needle}"))
        .set("PROCESS_MIN_AGE", "0")
        .set("RELOAD_MIN_INTERVAL", "0")
        .start();
    for _ in 0..2 {
        let content = config.change();
        assert_eq!(target.signalled().1, content);
    }
    assert_eq!(other.count(), 0);
}

#[test]
fn p1_a_process_is_found_by_its_pid_file() {
    let mut config = Config::new();
    let mut target = Target::start(&config.file());
    let pid_file = tempfile::NamedTempFile::new().unwrap();
    let mut sidecar = Settings::new(config.directory.path(), "")
        .set("PROCESS_PID_FILE", pid_file.path())
        .set("PROCESS_MIN_AGE", "0")
        .start();
    let content = config.change();
    sidecar.expect("PROCESS_PID_FILE has no process id in its first line, or cannot be read");
    fs::write(
        pid_file.path(),
        format!("{}\n", target.talker.pid().as_raw_nonzero()),
    )
    .unwrap();
    assert_eq!(target.signalled().1, content);
}

#[test]
fn p2_children_of_the_same_name_are_left_alone() {
    let mut config = Config::new();
    let name = unique_name();
    let mut family = Target::start_as(&name, &config.file(), &["--children", "2"]);
    for _ in 0..2 {
        family.talker.expect("ready");
    }
    let mut sidecar = config.settings(&name).start();
    let content = config.change();
    assert_eq!(family.signalled().1, content);
    let sent = sidecar.expect("signal sent");
    assert!(
        sent.contains(&format!("pid={} ", family.talker.pid().as_raw_nonzero())),
        "{sent}"
    );
    drop(sidecar);
    // With `all` the three of them get it; parent and children print to the same pipe.
    let _sidecar = config.settings(&name).set("PROCESS_SELECT", "all").start();
    let content = config.change();
    for _ in 0..3 {
        assert_eq!(family.signalled().1, content);
    }
    assert_eq!(family.count(), 4);
}

#[test]
fn p2_several_independent_matches_are_all_told() {
    let mut config = Config::new();
    let name = unique_name();
    let mut first = Target::start_as(&name, &config.file(), &[]);
    let mut second = Target::start_as(&name, &config.file(), &[]);
    let _sidecar = config.settings(&name).start();
    let content = config.change();
    assert_eq!(first.signalled().1, content);
    assert_eq!(second.signalled().1, content);
}

#[test]
fn p2_the_sidecar_never_signals_itself_or_its_like() {
    let mut config = Config::new();
    let other = config.settings("nobody").start();
    // The name by which both go, and a text that is in both command lines.
    let own = other.comm();
    let mut sidecar = config.settings(&own).start();
    config.change();
    sidecar.expect("reload pending: no process matches");
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.finish().0.code(), Some(0));
    other.signal(Signal::TERM);
    assert_eq!(other.finish().0.code(), Some(0));
}

#[test]
fn p4_a_process_that_the_signal_would_end_is_spared_until_it_is_ready() {
    let mut config = Config::new();
    let name = unique_name();
    let hup = libc::SIGHUP.to_string();
    let target = Target::start_as(&name, &config.file(), &["--default", &hup]);
    let mut sidecar = config.settings(&name).start();
    let content = config.change();
    sidecar.expect("reload pending: the process has no handler for the signal");
    // A ready one takes its place; it started after the change, so that it needs another one.
    drop(target);
    let mut target = Target::start_as(&name, &config.file(), &[]);
    sidecar.expect("no signal needed: the process started after the change");
    assert_ne!(config.change(), content);
    assert_eq!(target.signalled().0, "SIGHUP");
}

#[test]
fn p4_the_guard_lets_a_signal_through_as_soon_as_there_is_a_handler() {
    let mut config = Config::new();
    let name = unique_name();
    let hup = libc::SIGHUP.to_string();
    // Its handler is set up when it gets another signal.
    let mut target = Target::start_as(&name, &config.file(), &["--late", &hup]);
    let mut sidecar = config.settings(&name).start();
    let content = config.change();
    sidecar.expect("reload pending: the process has no handler for the signal");
    target.talker.signal(Signal::USR2);
    assert_eq!(target.signalled().0, "SIGUSR2");
    assert_eq!(target.signalled(), ("SIGHUP".to_owned(), content));
    sidecar.expect("the pending reload is delivered");
}

#[test]
fn p4_without_the_guard_the_signal_is_sent_at_once() {
    let mut config = Config::new();
    let name = unique_name();
    let hup = libc::SIGHUP.to_string();
    let target = Target::start_as(&name, &config.file(), &["--default", &hup]);
    let _sidecar = config.settings(&name).set("RELOAD_GUARD", "false").start();
    config.change();
    let (status, _) = target.talker.finish();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(libc::SIGHUP)
    );
}

#[test]
fn p4_a_process_that_ignores_the_signal_gets_it_with_a_warning() {
    let mut config = Config::new();
    let name = unique_name();
    let hup = libc::SIGHUP.to_string();
    let _target = Target::start_as(&name, &config.file(), &["--ignore", &hup]);
    let mut sidecar = config.settings(&name).start();
    config.change();
    sidecar.expect("the process ignores the signal; it is sent, but nothing will happen");
    sidecar.expect("signal sent");
}

#[test]
fn p5_a_young_process_is_waited_for() {
    let mut config = Config::new();
    let mut target = Target::start(&config.file());
    let mut sidecar = config
        .settings(&target.name)
        .set("PROCESS_MIN_AGE", "1s")
        .start();
    let content = config.change();
    sidecar.expect("reload pending: the process is younger than PROCESS_MIN_AGE");
    assert_eq!(target.signalled().1, content);
    let age = Target::age_ms(&target);
    assert!(age >= 1000, "signalled at the age of {age} ms");
}

#[test]
fn p5_a_process_that_started_after_the_change_needs_no_signal() {
    let mut config = Config::new();
    let name = unique_name();
    let mut sidecar = config.settings(&name).start();
    config.change();
    sidecar.expect("reload pending: no process matches");
    let mut target = Target::start_as(&name, &config.file(), &[]);
    sidecar.expect("no signal needed: the process started after the change");
    let content = config.change();
    assert_eq!(target.signalled().1, content);
    assert_eq!(target.count(), 1);
}

#[test]
fn p6_a_change_taken_back_before_it_could_be_delivered_is_cancelled() {
    let mut config = Config::new();
    let name = unique_name();
    let mut sidecar = config.settings(&name).start();
    config.change();
    sidecar.expect("reload pending: no process matches");
    fs::write(config.file(), "start").unwrap();
    sidecar.expect("the content is again what it was; the pending reload is cancelled");
    let mut target = Target::start_as(&name, &config.file(), &[]);
    let content = config.change();
    assert_eq!(target.signalled().1, content);
    assert_eq!(target.count(), 1);
}

#[test]
fn p6_of_several_processes_in_the_way_the_first_is_named() {
    let mut config = Config::new();
    let name = unique_name();
    let hup = libc::SIGHUP.to_string();
    let start = || Target::start_as(&name, &config.file(), &["--default", &hup]);
    let (one, other) = (start(), start());
    let mut sidecar = config.settings(&name).start();
    config.change();
    let line = sidecar.expect("reload pending: the process has no handler for the signal");
    let pid = |target: &Target| target.talker.pid().as_raw_nonzero();
    let first = pid(&one).min(pid(&other));
    assert!(line.contains(&format!("pid={first} ")), "{line}");
}

#[test]
fn p6_the_reason_is_said_once() {
    let mut config = Config::new();
    let mut sidecar = config.settings(&unique_name()).start();
    config.change();
    sidecar.expect("reload pending: no process matches");
    config.change();
    sidecar.expect("content changed");
    sidecar.signal(Signal::TERM);
    let (_, lines) = sidecar.finish();
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains("reload pending"))
            .count(),
        1
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains("the last change was not delivered"))
    );
}

#[test]
#[ignore = "needs root"]
fn p7_without_permission_both_users_and_both_ways_out_are_named() {
    let mut config = Config::new();
    let mut target = Target::launch(&unique_name(), &config.file(), &[], |command| {
        command.uid(1001).gid(1001);
    });
    let mut sidecar = config.settings(&target.name).adapt(|command| {
        command.uid(65532).gid(65532);
    });
    fs::set_permissions(
        config.directory.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let mut sidecar = std::mem::replace(&mut sidecar, Settings::bare()).start();
    let content = config.change();
    let line = sidecar.expect("reload pending: EPERM");
    assert!(
        line.contains("EPERM: this runs as uid 65532, the process as uid 1001; run the sidecar with the process's uid (runAsUser), or as uid 0 with the capability KILL"),
        "{line}"
    );
    drop(sidecar);
    // One way out.
    let sidecar = config.settings(&target.name).adapt(|command| {
        command.uid(1001).gid(1001);
    });
    let _sidecar = sidecar.start();
    assert_ne!(config.change(), content);
    assert_eq!(target.signalled().0, "SIGHUP");
}

#[test]
#[ignore = "needs root"]
fn p7_a_namespace_of_its_own_says_that_it_is_not_shared() {
    let mut config = Config::new();
    let mut sidecar = Talker::in_pid_namespace(config.settings("nobody"));
    sidecar.expect("this is process 1 of its namespace");
    sidecar.expect("watching");
    config.change();
    let line = sidecar.expect("reload pending: no process matches");
    assert!(
        line.contains("set shareProcessNamespace: true in the Pod"),
        "{line}"
    );
}

#[test]
fn usr1_signals_now_whether_or_not_something_changed() {
    let config = Config::new();
    let mut target = Target::start(&config.file());
    let mut sidecar = config
        .settings(&target.name)
        .set("RELOAD_MIN_INTERVAL", "1h")
        .start();
    for _ in 0..3 {
        sidecar.signal(Signal::USR1);
        sidecar.expect("asked by SIGUSR1");
        assert_eq!(
            target.signalled(),
            ("SIGHUP".to_owned(), "start".to_owned())
        );
    }
}

#[test]
fn a_target_that_dies_and_comes_back_is_found_again() {
    let mut config = Config::new();
    let name = unique_name();
    let mut sidecar = config.settings(&name).start();
    for _ in 0..3 {
        let mut target = Target::start_as(&name, &config.file(), &[]);
        let content = config.change();
        assert_eq!(target.signalled().1, content);
        sidecar.expect("signal sent");
    }
}

#[test]
fn p4_a_process_that_ignores_the_signal_while_it_starts_gets_it_when_it_is_ready() {
    let mut config = Config::new();
    let name = unique_name();
    let mut target = Target::start_as(&name, &config.file(), &["--ignore", "1", "--late", "1"]);
    let mut sidecar = config.settings(&name).set("PROCESS_MIN_AGE", "1s").start();
    let content = config.change();
    sidecar.expect("the process ignores the signal, perhaps until it is ready");
    target.talker.signal(rustix::process::Signal::USR2);
    assert_eq!(target.signalled().0, "SIGUSR2");
    assert_eq!(target.signalled(), ("SIGHUP".to_owned(), content));
}
