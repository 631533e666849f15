//! Whom the signal goes to, and what happens while it cannot (P1 to P7).

use crate::support::kernel::{At, PidNamespace, can_hold_up, hold_up, refuse, with_own_mounts};
use crate::support::process::{Settings, Talker, Target, children, eventually, open_to_all};
use crate::support::scene::Config;
use crate::support::{is_emulated, is_root, unique_name};
use rustix::mount::mount_bind;
use rustix::process::{Signal, kill_process};
use std::fs;
use std::os::unix::process::CommandExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

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
fn p1_a_name_matches_only_as_a_whole() {
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
fn p1_a_name_longer_than_comm_matches_by_comm_and_arguments() {
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
    // With `all`, all three are signalled; parent and children print to the same pipe.
    let _sidecar = config.settings(&name).set("PROCESS_SELECT", "all").start();
    let content = config.change();
    for _ in 0..3 {
        assert_eq!(family.signalled().1, content);
    }
    assert_eq!(family.count(), 4);
}

#[test]
fn p2_several_independent_matches_are_all_signalled() {
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
fn p4_a_process_without_a_handler_is_signalled_once_it_has_one() {
    let mut config = Config::new();
    let name = unique_name();
    let hup = libc::SIGHUP.to_string();
    let target = Target::start_as(&name, &config.file(), &["--default", &hup]);
    let mut sidecar = config.settings(&name).start();
    let content = config.change();
    sidecar.expect("would end or stop the process, which has no handler");
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
    sidecar.expect("would end or stop the process, which has no handler");
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
fn p4_a_process_that_ignores_the_signal_is_signalled_with_a_warning() {
    let mut config = Config::new();
    let name = unique_name();
    let hup = libc::SIGHUP.to_string();
    let _target = Target::start_as(&name, &config.file(), &["--ignore", &hup]);
    let mut sidecar = config.settings(&name).start();
    config.change();
    sidecar.expect("signal sent");
    sidecar.expect("the process ignores the signal, so it has no effect");
}

/// Starts a process with one thread, which waits for SIGHUP in sigwait(3). As root it is another user's.
fn start_waiting(config: &Config) -> Target {
    open_to_all(config.directory.path());
    let hup = libc::SIGHUP.to_string();
    let options = ["--await", &hup];
    let target = Target::launch(&unique_name(), &config.file(), &options, |command| {
        if is_root() {
            command.uid(65534).gid(65534);
        }
    });
    let wchan = format!("/proc/{}/wchan", target.talker.pid().as_raw_nonzero());
    let sleeps_in = || fs::read_to_string(&wchan).unwrap();
    eventually("waiting", || sleeps_in().starts_with("do_sigtimedwait"));
    target
}

#[test]
fn p4_a_process_that_waits_in_sigwait_is_signalled() {
    let mut config = Config::new();
    let mut target = start_waiting(&config);
    let _sidecar = config.settings(&target.name).unprivileged().start();
    for _ in 0..2 {
        let content = config.change();
        assert_eq!(target.signalled().1, content);
    }
}

#[test]
#[ignore = "needs root"]
fn p4_where_sigwait_cannot_be_seen_the_signal_is_held_and_the_way_out_named() {
    let mut config = Config::new();
    let mut target = start_waiting(&config);
    // The kernel shows where a process sleeps to its own user alone.
    let mut sidecar = config.settings(&target.name).start();
    config.change();
    let line = sidecar.expect("would end or stop the process");
    assert!(
        line.contains("if it waits in sigwait") && line.contains("set RELOAD_GUARD=false"),
        "{line}"
    );
    drop(sidecar);
    let settings = config.settings(&target.name).set("RELOAD_GUARD", "false");
    let _sidecar = settings.start();
    let content = config.change();
    assert_eq!(target.signalled().1, content);
}

#[test]
#[ignore = "needs root"]
fn p4_a_process_whose_signals_are_not_shown_is_signalled_once_it_is_old_enough() {
    with_own_mounts(|| {
        let mut config = Config::new();
        let mut target = Target::start(&config.file());
        let path = format!("/proc/{}/status", target.talker.pid().as_raw_nonzero());
        let status = fs::read_to_string(&path).unwrap();
        // As gVisor shows it.
        let is_shown = |line: &&str| !line.starts_with("Sig") && !line.starts_with("ShdPnd");
        let shown: Vec<&str> = status.lines().filter(is_shown).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), shown.join("\n")).unwrap();
        mount_bind(file.path(), &path).unwrap();
        let settings = config.settings(&target.name).set("PROCESS_MIN_AGE", "1s");
        let mut sidecar = settings.start();
        for _ in 0..2 {
            let content = config.change();
            assert_eq!(target.signalled().1, content);
            sidecar.expect("signal sent");
        }
        assert!(target.age_ms() >= 1000);
        let said = "the kernel does not show whether the process handles the signal";
        let (_, lines) = sidecar.end();
        assert_eq!(lines.iter().filter(|line| line.contains(said)).count(), 1);
    });
}

#[test]
fn p5_a_young_process_is_signalled_once_it_is_old_enough() {
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
fn p6_a_change_undone_while_pending_is_cancelled() {
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
fn p6_the_first_of_several_obstacles_is_named() {
    let mut config = Config::new();
    let name = unique_name();
    let hup = libc::SIGHUP.to_string();
    let start = || Target::start_as(&name, &config.file(), &["--default", &hup]);
    let (one, other) = (start(), start());
    let mut sidecar = config.settings(&name).start();
    config.change();
    let line = sidecar.expect("would end or stop the process, which has no handler");
    let pid = |target: &Target| target.talker.pid().as_raw_nonzero();
    let first = pid(&one).min(pid(&other));
    assert!(line.contains(&format!("pid={first} ")), "{line}");
}

#[test]
fn p6_the_reason_is_logged_once() {
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
fn p7_a_missing_permission_names_both_uids_and_both_remedies() {
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
        line.contains("EPERM: the sidecar runs as uid 65532, the process as uid 1001; run the sidecar with the process's uid (runAsUser), or as uid 0 with the capability KILL"),
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
fn p7_a_signal_refused_by_a_security_module_names_it() {
    if is_emulated() {
        return eprintln!("the emulator makes other calls");
    }
    let mut config = Config::new();
    let target = Target::start(&config.file());
    let settings = config.settings(&target.name);
    let settings =
        settings.adapt(|command| refuse(command, libc::SYS_pidfd_send_signal, None, libc::EACCES));
    let mut sidecar = settings.start();
    config.change();
    sidecar.expect("the kernel refuses the signal: EACCES; permit it in the AppArmor profiles or the SELinux policy");
}

#[test]
fn p9_a_process_that_was_signalled_stays_a_target_whatever_it_calls_itself() {
    let mut config = Config::new();
    let name = unique_name();
    let mut target = Target::start_as(&name, &config.file(), &["--rename", "other"]);
    let mut sidecar = config.settings(&name).start();
    for _ in 0..3 {
        let content = config.change();
        assert_eq!(target.signalled().1, content);
        sidecar.expect("signal sent");
    }
    // A namesake that comes later is matched anew.
    let mut second = Target::start_as(&name, &config.file(), &[]);
    let content = config.change();
    assert_eq!(target.signalled().1, content);
    assert_eq!(second.signalled().1, content);
    // When it ends, its id is worth nothing.
    drop(target);
    let content = config.change();
    assert_eq!(second.signalled().1, content);
}

#[test]
fn p12_a_process_that_started_after_the_pid_file_was_written_is_a_stranger() {
    let mut config = Config::new();
    let mut target = Target::start(&config.file());
    let pid_file = tempfile::NamedTempFile::new().unwrap();
    fs::write(pid_file.path(), target.talker.pid().to_string()).unwrap();
    let an_hour_ago = SystemTime::now() - Duration::from_hours(1);
    pid_file.as_file().set_modified(an_hour_ago).unwrap();
    let settings = Settings::new(config.directory.path(), "")
        .set("PROCESS_PID_FILE", pid_file.path())
        .set("PROCESS_MIN_AGE", "0");
    let mut sidecar = settings.start();
    let content = config.change();
    let line = sidecar.expect("reload pending: PROCESS_PID_FILE is older than the process");
    let pid = format!(" pid={} ", target.talker.pid());
    assert!(line.contains(&pid), "{line}");
    assert_eq!(target.count(), 0);
    // The application writes it anew.
    pid_file.as_file().set_modified(SystemTime::now()).unwrap();
    assert_eq!(target.signalled().1, content);
}

#[test]
fn p13_while_one_of_many_waits_each_other_is_signalled_once() {
    let mut config = Config::new();
    let name = unique_name();
    let mut family = Target::start_as(&name, &config.file(), &["--children", "40"]);
    for _ in 0..40 {
        family.talker.expect("ready");
    }
    let hup = libc::SIGHUP.to_string();
    let options = ["--default", &hup, "--late", &hup];
    let mut late = Target::start_as(&name, &config.file(), &options);
    let settings = config.settings(&name).set("PROCESS_SELECT", "all");
    let mut sidecar = settings.start();
    for round in 0..2 {
        let content = config.change();
        for _ in 0..41 {
            assert_eq!(family.signalled().1, content);
        }
        if round == 0 {
            sidecar.expect("would end or stop the process");
            // The attempts go on.
            for _ in 0..4 {
                sidecar.expect("waiting");
            }
            late.talker.signal(Signal::USR2);
            assert_eq!(late.signalled().0, "SIGUSR2");
        }
        assert_eq!(late.signalled(), ("SIGHUP".to_owned(), content));
        sidecar.wait_until_idle();
    }
    assert_eq!((family.count(), late.count()), (82, 3));
}

#[test]
#[ignore = "needs root"]
fn p7_a_namespace_that_is_not_shared_is_logged() {
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
fn l1_usr1_signals_at_once_even_if_nothing_changed() {
    let mut config = Config::new();
    let mut target = Target::start(&config.file());
    let mut sidecar = config
        .settings(&target.name)
        .set("RELOAD_MIN_INTERVAL", "1h")
        .start();
    let content = config.change();
    assert_eq!(target.signalled().1, content);
    sidecar.signal(Signal::USR1);
    sidecar.expect("SIGUSR1 received");
    assert_eq!(target.signalled(), ("SIGHUP".to_owned(), content));
}

#[test]
fn l1_a_flood_of_usr1_is_merged_by_the_minimum_interval() {
    let config = Config::new();
    let mut target = Target::start(&config.file());
    let settings = config.settings(&target.name);
    let mut sidecar = settings.set("RELOAD_MIN_INTERVAL", "300ms").start();
    let (pid, has_ended) = (sidecar.pid(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // For ten seconds at most.
            for _ in 0..20_000 {
                if has_ended.load(Ordering::Relaxed) {
                    return;
                }
                kill_process(pid, Signal::USR1).unwrap();
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        let began = target.signalled_at().1;
        let last = (0..3).map(|_| target.signalled_at().1).last().unwrap();
        // On a busy machine the first handler may have been late.
        assert!(last - began > 700_000_000, "{} ns", last - began);
        has_ended.store(true, Ordering::Relaxed);
    });
    // It is no busier with a flood than its application.
    let received = |line: &&String| line.contains("SIGUSR1 received");
    assert!(sidecar.seen().iter().filter(received).count() < 10);
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
fn p4_a_process_that_ignores_the_signal_during_startup_gets_it_when_ready() {
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

/// System calls that fail, and how.
const WITHOUT_PIDFDS: [&[(i64, i32)]; 4] = [
    // Linux before 5.1.
    &[
        (libc::SYS_pidfd_open, libc::ENOSYS),
        (libc::SYS_pidfd_send_signal, libc::ENOSYS),
    ],
    // Linux 5.1 and 5.2.
    &[(libc::SYS_pidfd_open, libc::ENOSYS)],
    // A profile that knows one of them.
    &[(libc::SYS_pidfd_send_signal, libc::ENOSYS)],
    // A container runtime's profile that is older than the calls.
    &[
        (libc::SYS_pidfd_open, libc::EPERM),
        (libc::SYS_pidfd_send_signal, libc::EPERM),
    ],
];

#[test]
fn p3_without_pidfds_the_signal_is_sent_by_kill() {
    if is_emulated() {
        return eprintln!("the emulator may need the calls for itself");
    }
    for refused in WITHOUT_PIDFDS {
        let mut config = Config::new();
        let mut target = Target::start(&config.file());
        let settings = config.settings(&target.name).set("RELOAD_CONFIRM", "warn");
        let settings = settings.adapt(|command| {
            for (call, errno) in refused {
                refuse(command, *call, None, *errno);
            }
        });
        let mut sidecar = settings.start();
        for _ in 0..2 {
            let content = config.change();
            assert_eq!(target.signalled().1, content, "{refused:?}");
            sidecar.expect("signal sent");
        }
        let (status, log) = sidecar.end();
        assert_eq!(status.code(), Some(0), "{refused:?} {log:?}");
        assert_eq!(target.count(), 2, "{refused:?}");
    }
}

/// An id that no process has that the tests start in a namespace.
const ID: u32 = 5_000;

fn can_choose_ids() -> bool {
    let it_can = !is_emulated() && fs::exists("/proc/sys/kernel/ns_last_pid").unwrap();
    if !it_can {
        eprintln!("needs a kernel with CONFIG_CHECKPOINT_RESTORE");
    }
    it_can
}

#[test]
#[ignore = "needs root"]
fn p3_a_process_with_a_recycled_id_is_not_signalled() {
    if !can_choose_ids() {
        return;
    }
    let namespace = PidNamespace::new();
    let mut config = Config::new();
    let start = |name: &str, config: &Config| {
        Target::launch_by(name, &config.file(), &["--stay", "1"], |command| {
            namespace.spawn_as(ID, command)
        })
    };
    let name = unique_name();
    let mut target = start(&name, &config);
    let settings = config.settings(&name);
    let mut sidecar = settings.launch_by(|command| namespace.spawn(command));
    sidecar.expect("watching");
    let content = config.change();
    assert_eq!(target.signalled().1, content);
    sidecar.expect(&format!("signal sent signal=SIGHUP pid={ID} "));
    // Another program.
    drop(target);
    let mut other = start(&unique_name(), &config);
    config.change();
    sidecar.expect("reload pending: no process matches");
    assert_eq!(other.count(), 0);
    drop(other);
    // The same one, restarted between that change and the next: it was not signalled yet.
    let mut target = start(&name, &config);
    sidecar.expect("no signal needed: the process started after the change");
    let content = config.change();
    assert_eq!(target.signalled().1, content);
    sidecar.wait_until_idle();
    assert_eq!(target.count(), 1);
}

#[test]
#[ignore = "needs root"]
fn p3_a_worker_with_a_recycled_master_id_is_still_a_worker() {
    if !can_choose_ids() {
        return;
    }
    let namespace = PidNamespace::new();
    let mut config = Config::new();
    let name = unique_name();
    let start = |config: &Config, id, children: &str| {
        let options = ["--stay", "1", "--children", children];
        Target::launch_by(&name, &config.file(), &options, |command| {
            namespace.spawn_as(id, command)
        })
    };
    let mut master = start(&config, ID + 1, "0");
    let settings = config.settings(&name);
    let mut sidecar = settings.launch_by(|command| namespace.spawn(command));
    sidecar.expect("watching");
    let content = config.change();
    assert_eq!(master.signalled().1, content);
    sidecar.expect(&format!("signal sent signal=SIGHUP pid={} ", ID + 1));
    sidecar.wait_until_idle();
    drop(master);
    let mut master = start(&config, ID, "1");
    master.talker.expect("ready");
    let [worker] = children(master.talker.pid())[..] else {
        panic!("one worker");
    };
    let status = format!("/proc/{}/status", worker.as_raw_nonzero());
    let number = format!("\t{}\n", ID + 1);
    assert!(fs::read_to_string(status).unwrap().contains(&number));
    let content = config.change();
    assert_eq!(master.signalled().1, content);
    sidecar.expect(&format!("signal sent signal=SIGHUP pid={ID} "));
    sidecar.wait_until_idle();
    assert_eq!(master.count(), 1, "and of the worker nothing");
}

#[test]
fn l1_an_attempt_is_broken_off_when_the_sidecar_is_stopped() {
    if !can_hold_up() {
        return;
    }
    let mut config = Config::new();
    let name = unique_name();
    let mut sidecar = config.settings(&name).start();
    sidecar.wait_until_idle();
    // It is not held yet, so that it takes a scan of /proc to find it.
    let mut target = Target::start_as(&name, &config.file(), &[]);
    let (pid, change) = (sidecar.pid(), || {
        config.change();
    });
    let stop = || kill_process(pid, Signal::TERM).unwrap();
    // The third directory that is read, after two reads of the root, is /proc.
    let read = (libc::SYS_getdents64, At::Entry);
    hold_up(pid, &[read, read, read], change, stop);
    let (status, lines) = sidecar.finish();
    assert_eq!(status.code(), Some(0));
    let said = |part: &str| lines.iter().any(|line| line.contains(part));
    assert!(said("content changed") && said("the last change was not delivered"));
    assert!(!said("signal sent") && !said("reload pending"), "{lines:?}");
    assert_eq!(target.count(), 0);
}

#[test]
fn p3_a_process_that_executes_another_program_before_the_signal_is_not_signalled() {
    if !can_hold_up() {
        return;
    }
    let mut config = Config::new();
    let (name, later) = (unique_name(), unique_name());
    // Its first argument says nothing of either.
    let options = ["--title", "x", "--comm", &name, "--become", &later];
    let mut sidecar = config.settings(&name).start();
    sidecar.wait_until_idle();
    // Of one that is known the descriptor is open already.
    let mut target = Target::start_as(&unique_name(), &config.file(), &options);
    let change = || {
        config.change();
    };
    let become_another = || {
        target.talker.signal(Signal::USR2);
        assert_eq!(target.signalled().0, "SIGUSR2");
    };
    hold_up(
        sidecar.pid(),
        &[(libc::SYS_pidfd_open, At::Entry)],
        change,
        become_another,
    );
    sidecar.expect("reload pending: no process matches");
    assert_eq!(target.count(), 1);
}

#[test]
#[ignore = "needs root"]
fn p3_an_id_recycled_before_the_signal_is_not_signalled() {
    if !can_choose_ids() || !can_hold_up() {
        return;
    }
    let (open, send) = (libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal);
    let mut rounds = vec![(true, send, At::Entry)];
    for with_pidfds in [true, false] {
        rounds.extend([
            (with_pidfds, open, At::Entry),
            (with_pidfds, open, At::Exit),
        ]);
    }
    for (with_pidfds, call, at) in rounds {
        for is_restarted in [true, false] {
            let what = format!("{with_pidfds} {call} {at:?} {is_restarted}");
            let namespace = PidNamespace::new();
            let mut config = Config::new();
            let file = config.file();
            let start = |name: &str| {
                Target::launch_by(name, &file, &["--stay", "1"], |command| {
                    namespace.spawn_as(ID, command)
                })
            };
            let name = unique_name();
            // Of one that is known the descriptor is open already.
            let is_known = call == send;
            let known = is_known.then(|| start(&name));
            let settings = config.settings(&name).adapt(|command| {
                if !with_pidfds {
                    refuse(command, open, None, libc::ENOSYS);
                }
            });
            let mut sidecar = settings.launch_by(|command| namespace.spawn(command));
            sidecar.expect("watching");
            sidecar.wait_until_idle();
            let target = known.unwrap_or_else(|| start(&name));
            // The new one has the old one's name, and differs by its start alone; or it is another program.
            let mut new = None;
            let change = || {
                config.change();
            };
            hold_up(sidecar.pid(), &[(call, at)], change, || {
                drop(target);
                let name = if is_restarted {
                    name.clone()
                } else {
                    unique_name()
                };
                new = Some(start(&name));
            });
            let mut new = new.unwrap();
            if is_restarted {
                sidecar.expect("no signal needed: the process started after the change");
            } else {
                sidecar.expect("reload pending: no process matches");
            }
            let (_, log) = sidecar.end();
            let log = log.join("\n");
            assert!(!log.contains("signal sent"), "{what}\n{log}");
            assert_eq!(new.count(), 0, "{what}");
        }
    }
}

/// Returns the timeout of the sidecar's poll in milliseconds; `None` while it is awake or has no timeout.
fn sleep_ms(sidecar: &Talker) -> Option<u64> {
    use std::os::unix::fs::FileExt;
    let sleep = || {
        // ppoll(descriptors, count, timeout, signals, size); the timeout is a timespec.
        let address = sidecar.sleeps_in(libc::SYS_ppoll)?[2];
        let memory = format!("/proc/{}/mem", sidecar.pid().as_raw_nonzero());
        let mut timespec = [0; 16];
        let memory = fs::File::open(memory).unwrap();
        memory.read_exact_at(&mut timespec, address).ok()?;
        let number = |at: usize| u64::from_ne_bytes(timespec[at..at + 8].try_into().unwrap());
        Some((address, number(0) * 1_000 + number(8) / 1_000_000))
    };
    // The same before and after: it was asleep in between.
    let slept = sleep()?;
    (sleep()? == slept).then_some(slept.1)
}

#[test]
fn p6_the_pauses_between_attempts_grow() {
    if is_emulated() {
        return eprintln!("the emulator sleeps in its own way");
    }
    let mut config = Config::new();
    let name = unique_name();
    let hup = libc::SIGHUP.to_string();
    let mut target = Target::start_as(&name, &config.file(), &["--late", &hup]);
    let mut sidecar = config.settings(&name).start();
    let content = config.change();
    sidecar.expect("would end or stop the process, which has no handler");
    let mut pauses = Vec::new();
    eventually("a pause of three seconds", || {
        if let Some(pause) = sleep_ms(&sidecar)
            && pauses.last() != Some(&pause)
        {
            pauses.push(pause);
        }
        pauses.last().is_some_and(|last| *last > 3_000)
    });
    // 100, 200, 400, 800, 1600, 3200, and what passed before the call; on a busy machine one may have been missed.
    assert!(pauses.len() <= 6, "{pauses:?}");
    let grows = |pair: &[u64]| pair[1] > pair[0] + pair[0] / 2;
    assert!(pauses.windows(2).all(grows), "{pauses:?}");
    target.talker.signal(Signal::USR2);
    assert_eq!(target.signalled().0, "SIGUSR2");
    assert_eq!(target.signalled(), ("SIGHUP".to_owned(), content));
    sidecar.wait_until_idle();
    let (_, log) = sidecar.end();
    let said = |part: &str| log.iter().filter(|line| line.contains(part)).count();
    assert_eq!(said("reload pending"), 1, "{log:#?}");
    assert_eq!(said("signal sent"), 1, "{log:#?}");
}

#[test]
fn p6_a_crash_looping_process_gets_no_needless_signal() {
    let mut config = Config::new();
    let name = unique_name();
    let sidecar = config.settings(&name).start();
    for round in 0..40 {
        let mut target = Target::start_as(&name, &config.file(), &[]);
        if round % 3 == 0 {
            config.change();
        }
        // While it lives, and while there is none.
        eventually("50 ms old", || target.age_ms() >= 50);
        let talker = &mut target.talker;
        let mut seen: Vec<String> = talker.seen().to_vec();
        seen.retain(|line| line.starts_with("SIG"));
        let contents = seen.iter().map(|line| line.splitn(3, ' ').nth(2));
        let mut contents: Vec<_> = contents.collect();
        contents.dedup();
        assert_eq!(contents.len(), seen.len(), "told twice: {seen:?}");
        drop(target);
        if round % 3 == 1 {
            config.change();
        }
    }
    let mut target = Target::start_as(&name, &config.file(), &[]);
    let content = config.change();
    while target.signalled().1 != content {}
    let mut sidecar = sidecar;
    sidecar.wait_until_idle();
    let (_, log) = sidecar.end();
    // For one change the same reason is said once.
    let changes = log.split(|line| line.contains("content changed"));
    for lines in changes {
        let reasons = lines.iter().filter_map(|line| {
            let (_, reason) = line.split_once("reload pending: ")?;
            reason.split(" pid=").next()
        });
        let mut reasons: Vec<_> = reasons.collect();
        reasons.sort_unstable();
        let count = reasons.len();
        reasons.dedup();
        assert_eq!(reasons.len(), count, "{lines:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn p7_a_reload_without_permission_arrives_once_the_sidecar_runs_as_the_right_user() {
    let mut config = Config::new();
    open_to_all(config.directory.path());
    let name = unique_name();
    let mut target = Target::launch(&name, &config.file(), &[], |command| {
        command.uid(1001).gid(1001);
    });
    let mut sidecar = config.settings(&name).unprivileged().start();
    let content = config.change();
    sidecar.expect("reload pending: EPERM");
    let (_, log) = sidecar.end();
    let log = log.join("\n");
    assert!(log.contains("the last change was not delivered"), "{log}");
    let right = config.settings(&name).set("RELOAD_CATCH_UP", "true");
    let right = right.adapt(|command| {
        command.uid(1001).gid(1001);
    });
    let mut sidecar = right.start();
    assert_eq!(target.signalled().1, content);
    sidecar.wait_until_idle();
    assert_eq!(target.count(), 1);
}

#[test]
#[ignore = "needs root"]
fn p7_an_application_restarted_as_the_sidecars_user_gets_the_next_change() {
    let mut config = Config::new();
    open_to_all(config.directory.path());
    let name = unique_name();
    let start = |config: &Config, uid| {
        Target::launch(&name, &config.file(), &[], |command| {
            command.uid(uid).gid(uid);
        })
    };
    let mut wrong = start(&config, 1001);
    let mut sidecar = config.settings(&name).unprivileged().start();
    config.change();
    sidecar.expect("reload pending: EPERM");
    assert_eq!(wrong.count(), 0);
    drop(wrong);
    let mut right = start(&config, 65534);
    sidecar.expect("no signal needed: the process started after the change");
    let content = config.change();
    assert_eq!(right.signalled().1, content);
    sidecar.wait_until_idle();
    assert_eq!(right.count(), 1);
}
