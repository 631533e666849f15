//! Starting, resting, stopping, and logging into whatever there is (L1 to L7).
#![allow(unsafe_code)]

use crate::support::kernel::with_own_mounts;
use crate::support::process::{Settings, Silent, Talker, Target, children, eventually};
use crate::support::scene::Config;
use crate::support::{events, is_emulated};
use rustix::fs::OFlags;
use rustix::mount::{MountFlags, mount};
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn config() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("app.conf"), "start").unwrap();
    directory
}

#[test]
fn l1_term_and_int_end_it_within_50_milliseconds_with_exit_code_0() {
    let config = config();
    for signal in [Signal::TERM, Signal::INT] {
        let end = || {
            let sidecar = Settings::new(config.path(), "nobody").start();
            let asked = Instant::now();
            sidecar.signal(signal);
            let (status, lines) = sidecar.finish();
            let took = asked.elapsed();
            assert_eq!(status.code(), Some(0));
            assert!(lines.last().unwrap().contains("stopped by SIG"));
            took
        };
        // The quickest of several: the machine may be busy with other tests.
        let quickest = (0..10).map(|_| end()).min().unwrap();
        let limit = Duration::from_millis(if is_emulated() { 500 } else { 50 });
        assert!(quickest < limit, "{quickest:?}");
    }
}

#[test]
#[ignore = "needs root"]
fn l1_term_and_int_end_it_as_process_1_too() {
    let config = config();
    let mut sidecar = Talker::in_pid_namespace(Settings::new(config.path(), "nobody"));
    sidecar.expect("watching");
    sidecar.signal_child(Signal::TERM);
    let (status, lines) = sidecar.finish();
    assert_eq!(status.code(), Some(0), "{lines:?}");
}

#[test]
fn l1_a_scan_of_a_huge_tree_is_interrupted() {
    let config = config();
    for directory in 0..100 {
        let path = config.path().join(directory.to_string());
        fs::create_dir(&path).unwrap();
        for file in 0..20 {
            let file = File::create(path.join(file.to_string())).unwrap();
            file.set_len(8 << 20).unwrap();
        }
    }
    // Sixteen gigabytes to read, which must not delay the end.
    let mut sidecar = Settings::new(config.path(), "nobody").launch();
    sidecar.expect("started");
    sidecar.signal(Signal::TERM);
    let (status, lines) = sidecar.finish();
    assert_eq!(status.code(), Some(0));
    assert!(
        !lines.iter().any(|line| line.contains("watching")),
        "{lines:?}"
    );
}

#[test]
fn l1_a_settling_change_is_logged_as_undelivered() {
    let config = config();
    let mut sidecar = Settings::new(config.path(), "nobody")
        .set("RELOAD_SETTLE", "1h")
        .set("RELOAD_SETTLE_MAX", "1h")
        .start();
    fs::write(config.path().join("app.conf"), "changed").unwrap();
    sidecar.expect("CLOSE_WRITE");
    sidecar.signal(Signal::TERM);
    let (status, lines) = sidecar.finish();
    assert_eq!(status.code(), Some(0));
    assert!(
        lines
            .iter()
            .any(|line| line.contains("the last change was not delivered")),
        "{lines:?}"
    );
}

#[test]
fn l1_no_signal_but_term_and_int_ends_or_stops_it() {
    if is_emulated() {
        return eprintln!("the emulator takes some signals for itself");
    }
    let mut config = Config::new();
    let mut target = Target::start(&config.file());
    let mut sidecar = config.settings(&target.name).start();
    let unblockable = [libc::SIGKILL, libc::SIGSTOP];
    for number in (1..=64).filter(|it| !unblockable.contains(it)) {
        if ![libc::SIGTERM, libc::SIGINT, libc::SIGUSR1].contains(&number) {
            // SAFETY: a number of a signal, which is only sent.
            let signal = unsafe { Signal::from_raw_unchecked(number) };
            sidecar.signal(signal);
            sidecar.signal(signal);
        }
    }
    let content = config.change();
    assert_eq!(target.signalled().1, content);
    sidecar.wait_until_idle();
    let seen = sidecar.seen();
    let explained = |line: &&String| line.contains("SIGUSR1 makes it signal now");
    assert_eq!(seen.iter().filter(explained).count(), 1, "{seen:?}");
    assert_eq!(sidecar.end().0.code(), Some(0));
}

#[test]
#[ignore = "needs root"]
fn l7_as_process_1_it_reaps_what_it_adopts() {
    let config = config();
    // The shell's children outlive it; what executes the sidecar has children already.
    let script =
        "for i in 1 2 3; do sh -c 'sleep 0.1 & sleep 0.2 & exec sleep 0.3' & done; exec \"$@\"";
    let settings = Settings::new(config.path(), "nobody").through(&["sh", "-c", script, "sh"]);
    let mut sidecar = Talker::in_pid_namespace(settings);
    sidecar.expect("watching");
    let own = children(sidecar.pid())[0];
    eventually("alone", || children(own).is_empty());
    sidecar.signal_child(Signal::TERM);
    assert_eq!(sidecar.finish().0.code(), Some(0));
}

#[test]
fn l3_an_idle_sidecar_makes_no_system_call() {
    let config = config();
    let mut sidecar = Settings::new(config.path(), "nobody").start();
    sidecar.wait_until_idle();
    let switches = || {
        let status =
            fs::read_to_string(format!("/proc/{}/status", sidecar.pid().as_raw_nonzero())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("voluntary_ctxt_switches"))
            .unwrap()
            .to_owned();
        let wchan = fs::read_to_string(format!("/proc/{}/syscall", sidecar.pid().as_raw_nonzero()))
            .unwrap_or_default();
        (line, wchan)
    };
    let before = switches();
    // The only wait for time in these tests: that nothing happens can be seen in no other way.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(switches(), before, "it woke up");
}

#[test]
fn l4_a_stack_of_64_kib_is_enough() {
    if is_emulated() {
        return eprintln!("the emulator's own stack is larger");
    }
    let mut config = Config::new();
    let mut target = Target::start(&config.file());
    let settings = config.settings(&target.name);
    let limited = ["sh", "-c", "ulimit -s 64; exec \"$@\"", "sh"];
    let sidecar = settings.through(&limited).start();
    let content = config.change();
    assert_eq!(target.signalled().1, content);
    assert_eq!(sidecar.end().0.code(), Some(0));
}

#[test]
fn l4_memory_and_descriptors_do_not_grow() {
    let config = config();
    let file = config.path().join("app.conf");
    let mut target = Target::start(&file);
    let sidecar = Settings::new(config.path(), &target.name)
        .set("RELOAD_SETTLE", "0")
        .set("RELOAD_MIN_INTERVAL", "0")
        .set("VERBOSE", "false")
        .start();
    // Stack and data; how much of its file is mapped is up to the kernel. Only what is the same at rest counts: in the midst of
    // a look there are descriptors open.
    let measure = || {
        let process = format!("/proc/{}", sidecar.pid().as_raw_nonzero());
        let maps = fs::read_to_string(format!("{process}/smaps_rollup")).unwrap();
        let memory = maps.lines().find(|line| line.starts_with("Anonymous:"));
        // An emulator's own memory is not this program's.
        let memory = memory.filter(|_| !is_emulated()).map(str::to_owned);
        let descriptors = fs::read_dir(format!("{process}/fd")).unwrap().count();
        (memory, descriptors)
    };
    let armed = measure().1;
    let mut change = |round: u32| {
        fs::write(&file, format!("round {round}")).unwrap();
        while target.signalled().1 != format!("round {round}") {}
        eventually("at rest", || measure().1 == armed);
    };
    (0..20).for_each(&mut change);
    let before = measure();
    (20..300).for_each(&mut change);
    assert_eq!(measure(), before);
}

#[test]
fn l5_a_full_standard_error_blocks_nothing_and_dropped_lines_are_counted() {
    let config = config();
    let file = config.path().join("app.conf");
    let mut target = Target::start(&file);
    let (reader, writer) = pipe();
    let mut sidecar = Settings::new(config.path(), &target.name)
        .set("RELOAD_SETTLE", "0")
        .set("RELOAD_MIN_INTERVAL", "0")
        .adapt(|command| {
            command.stderr(Stdio::from(writer));
        })
        .launch_silent();
    eventually("armed", || holds(&reader, "watching"));
    // Nobody reads: 64 KiB of pipe are full after some hundred changes, and the signals still come.
    for round in 0..400 {
        fs::write(&file, format!("round {round}")).unwrap();
        while target.signalled().1 != format!("round {round}") {}
    }
    let mut text = drain(&reader);
    fs::write(&file, "end").unwrap();
    while target.signalled().1 != "end" {}
    eventually("told", || {
        text.push_str(&drain(&reader));
        text.contains("signal sent")
            && text.contains("were dropped, because the log stream took no more dropped=")
    });
    assert!(
        text.lines().all(|line| line.starts_with("20")),
        "every line is whole"
    );
    assert!(sidecar.is_running());
}

/// Returns both ends of a new terminal.
fn terminal() -> (OwnedFd, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let program_end = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
    (screen, program_end)
}

#[test]
fn l5_a_terminal_that_nobody_reads_or_that_is_stopped_blocks_nothing() {
    for keys in [&b""[..], b"\x13"] {
        let config = config();
        let file = config.path().join("app.conf");
        let mut target = Target::start(&file);
        let (screen, program_end) = terminal();
        let mut sidecar = Settings::new(config.path(), &target.name)
            .set("RELOAD_SETTLE", "0")
            .set("RELOAD_MIN_INTERVAL", "0")
            .adapt(|command| {
                command.stderr(Stdio::from(program_end));
            })
            .launch_silent();
        wait_armed(&sidecar);
        rustix::io::write(&screen, keys).unwrap();
        for round in 0..100 {
            fs::write(&file, format!("round {round}")).unwrap();
            while target.signalled().1 != format!("round {round}") {}
        }
        // Control-Q lets the output flow again.
        rustix::io::write(&screen, b"\x11").unwrap();
        let mut text = drain(&screen);
        fs::write(&file, "flows").unwrap();
        while target.signalled().1 != "flows" {}
        eventually("told", || {
            text.push_str(&drain(&screen));
            text.contains("were dropped, because the log stream took no more dropped=")
        });
        rustix::io::write(&screen, b"\x13").unwrap();
        for round in 0..100 {
            fs::write(&file, format!("again {round}")).unwrap();
            while target.signalled().1 != format!("again {round}") {}
        }
        let took = sidecar.end();
        let limit = Duration::from_millis(if is_emulated() { 500 } else { 50 });
        assert!(took < limit, "{took:?}");
    }
}

#[test]
fn the_log_is_on_standard_output_with_log_stream_stdout() {
    let config = config();
    let (reader, writer) = pipe();
    let mut sidecar = Settings::new(config.path(), "nobody")
        .set("LOG_STREAM", "stdout")
        .adapt(|command| {
            command.stdout(Stdio::from(writer));
        })
        .launch();
    eventually("armed", || holds(&reader, "watching"));
    assert_eq!(sidecar.seen(), [""; 0]);
}

/// Closed in the children of other tests, which would keep it open otherwise.
fn pipe() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap()
}

/// Returns true if the pipe holds `part`. Nothing is taken out: tee(2) copies the content.
fn holds(reader: &OwnedFd, part: &str) -> bool {
    let (copy, writer) = pipe();
    if rustix::pipe::tee(reader, &writer, 65536, rustix::pipe::SpliceFlags::NONBLOCK).is_err() {
        return false;
    }
    drop(writer);
    let mut text = String::new();
    File::from(copy).read_to_string(&mut text).unwrap();
    text.contains(part)
}

fn drain(reader: &OwnedFd) -> String {
    rustix::fs::fcntl_setfl(reader, rustix::fs::OFlags::NONBLOCK).unwrap();
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 65536];
    while let Ok(count @ 1..) = rustix::io::read(reader, &mut buffer) {
        bytes.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn l5_a_closed_log_pipe_does_not_end_the_sidecar() {
    let config = config();
    let file = config.path().join("app.conf");
    let mut target = Target::start(&file);
    let (reader, writer) = pipe();
    let settings = Settings::new(config.path(), &target.name).set("RELOAD_MIN_INTERVAL", "0");
    let mut sidecar = settings
        .adapt(|command| {
            command.stderr(Stdio::from(writer));
        })
        .launch_silent();
    eventually("armed", || holds(&reader, "watching"));
    drop(reader);
    for content in ["one", "two"] {
        fs::write(&file, content).unwrap();
        assert_eq!(target.signalled().1, content);
    }
    assert!(sidecar.is_running());
}

#[test]
fn l5_standard_error_on_a_full_disk_is_survived() {
    let config = config();
    let file = config.path().join("app.conf");
    let mut target = Target::start(&file);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let settings = Settings::new(config.path(), &target.name);
    let sidecar = settings
        .adapt(|command| {
            command.stderr(Stdio::from(full));
        })
        .launch_silent();
    wait_armed(&sidecar);
    fs::write(&file, "new").unwrap();
    assert_eq!(target.signalled().1, "new");
}

#[test]
#[ignore = "needs root"]
fn l5_a_log_on_a_full_disk_continues_once_there_is_room() {
    with_own_mounts(|| {
        let (config, disk) = (config(), tempfile::tempdir().unwrap());
        let options = Some(c"size=64k");
        mount("tmpfs", disk.path(), "tmpfs", MountFlags::empty(), options).unwrap();
        let file = config.path().join("app.conf");
        let (log, ballast) = (disk.path().join("log"), disk.path().join("ballast"));
        let mut target = Target::start(&file);
        let sidecar = Settings::new(config.path(), &target.name)
            .set("RELOAD_SETTLE", "0")
            .set("RELOAD_MIN_INTERVAL", "0")
            .adapt(|command| {
                let log = File::options().create(true).append(true).open(&log);
                command.stderr(Stdio::from(log.unwrap()));
            })
            .launch_silent();
        wait_armed(&sidecar);
        let mut change = |content: &str| {
            fs::write(&file, content).unwrap();
            while target.signalled().1 != content {}
        };
        change("there is room");
        let mut full = File::create(&ballast).unwrap();
        while full.write_all(&[0; 512]).is_ok() {}
        // The rest of the last page is soon used up as well.
        for round in 0..50 {
            change(&format!("there is none {round}"));
        }
        fs::remove_file(&ballast).unwrap();
        drop(full);
        change("there is room again");
        let said = "were dropped, because the log stream took no more dropped=";
        eventually("said", || fs::read_to_string(&log).unwrap().contains(said));
        let text = fs::read_to_string(&log).unwrap();
        let torn: Vec<_> = text
            .lines()
            .filter(|line| events::parse(line).is_none())
            .collect();
        // The line that was being written when there was no more room; none follows it on the same line.
        assert!(torn.len() <= 1, "{torn:#?}");
        let year = &text[..5];
        assert!(
            text.lines()
                .all(|line| line.rfind(year).is_none_or(|at| at == 0)),
            "{text}"
        );
    });
}

/// Asleep with a watch set: for a sidecar that cannot be heard.
fn wait_armed(sidecar: &Silent) {
    let process = format!("/proc/{}", sidecar.id());
    eventually("armed", || {
        let stat = fs::read_to_string(format!("{process}/stat")).unwrap();
        let asleep = stat
            .rsplit(')')
            .next()
            .unwrap()
            .trim_start()
            .starts_with('S');
        let watches = fs::read_dir(format!("{process}/fdinfo"))
            .unwrap()
            .flatten()
            .any(|info| {
                fs::read_to_string(info.path()).is_ok_and(|info| info.contains("inotify wd:"))
            });
        asleep && watches
    });
}

#[test]
fn l2_closed_standard_descriptors_at_start_are_survived() {
    let config = config();
    let file = config.path().join("app.conf");
    for closed in [vec![0], vec![1], vec![2], vec![0, 1, 2]] {
        let mut target = Target::start(&file);
        let settings = Settings::new(config.path(), &target.name);
        let sidecar = settings
            .adapt(|command| close_at_start(command, closed.clone()))
            .launch_silent();
        wait_armed(&sidecar);
        let content = format!("without {closed:?}");
        fs::write(&file, &content).unwrap();
        assert_eq!(target.signalled().1, content);
        for fd in &closed {
            let link = fs::read_link(format!("/proc/{}/fd/{fd}", sidecar.id())).unwrap();
            assert_eq!(link.to_str(), Some("/"), "a placeholder keeps the number");
        }
    }
}

fn close_at_start(command: &mut std::process::Command, descriptors: Vec<i32>) {
    let close = move || {
        for fd in &descriptors {
            // SAFETY: in the child, just before it becomes another program; nothing there uses them any more.
            unsafe { libc::close(*fd) };
        }
        Ok(())
    };
    // SAFETY: the closure calls nothing but close, which is async-signal-safe.
    unsafe { command.pre_exec(close) };
}

#[test]
fn l5_a_line_is_one_write_of_at_most_pipe_buf() {
    let config = config();
    let file = config.path().join("\u{7}".repeat(255));
    let (reader, writer) = rustix::net::socketpair(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::SEQPACKET,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    let settings = Settings::new(config.path(), "nobody");
    let _sidecar = settings
        .adapt(|command| {
            command.stderr(Stdio::from(writer));
        })
        .launch_silent();
    let mut changed = false;
    // Each write arrives as a packet of its own.
    loop {
        let mut packet = vec![0; 70_000];
        let length = rustix::io::read(&reader, &mut packet).unwrap();
        let text = std::str::from_utf8(&packet[..length]).unwrap();
        assert!(
            length <= 4096 && text.ends_with('\n') && text.matches('\n').count() == 1,
            "{text}"
        );
        if text.contains(" watching ") && !changed {
            fs::write(&file, "x").unwrap();
            changed = true;
        }
        if text.contains("content changed") {
            break;
        }
    }
    assert!(reader.as_raw_fd() > 2);
}

#[test]
fn the_log_is_json_with_log_format_json() {
    let config = config();
    let file = config.path().join("app.conf");
    let mut target = Target::start(&file);
    let mut sidecar = Settings::new(config.path(), &target.name)
        .set("LOG_FORMAT", "json")
        .launch();
    sidecar.expect("\"watching\"");
    fs::write(&file, "new").unwrap();
    target.signalled();
    let line: serde_json::Value = serde_json::from_str(&sidecar.expect("signal sent")).unwrap();
    assert_eq!(line["signal"], "SIGHUP");
    assert_eq!(line["pid"], target.talker.pid().as_raw_nonzero().get());
    assert_eq!(line["process"], target.name);
    for line in sidecar.seen() {
        let _: serde_json::Value = serde_json::from_str(line).unwrap();
    }
}
