//! sshd executes itself again under the same id; sessions stay open.

use crate::app::{App, Application, three_updates};
use crate::pod::Pod;
use crate::startup::survives_updates_while_it_starts;
use crate::support::process::Talker;
use crate::targets::{Expected, update_signals};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};

pub struct Sshd;

impl Application for Sshd {
    const NAME: &str = "sshd";

    fn command(&self, pod: &Pod) -> Command {
        for key in ["host", "id"]
            .into_iter()
            .filter(|key| !pod.path(key).exists())
        {
            let output = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(pod.path(key))
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        let path = pod.path("");
        let path = path.display();
        let config = format!(
            "ListenAddress 127.0.0.1:{PORT}
             HostKey {path}/host
             PidFile {path}/pid
             AuthorizedKeysFile {path}/id.pub
             StrictModes no
             PermitRootLogin yes
             UsePAM no
             Include {path}/volume/*.conf"
        );
        // A user beside root, of whose sessions one process is root's and one the user's.
        let users = fs::read_to_string("/etc/passwd").unwrap() + "kim:x:1000:1000::/:/bin/sh\n";
        let users = pod.write("passwd", users);
        let mounted = pod.output(
            Command::new("mount")
                .arg("--bind")
                .arg(users)
                .arg("/etc/passwd"),
        );
        assert!(mounted.status.success(), "{mounted:?}");
        // For privilege separation.
        pod.inside(|| fs::create_dir_all("/run/sshd")).unwrap();
        // It insists on an absolute path, to execute itself again.
        let mut command = Command::new("/usr/sbin/sshd");
        command
            .args(["-D", "-e", "-f"])
            .arg(pod.write("sshd_config", config));
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        let config = format!("VersionAddendum {text}\nSetEnv CONFIG={text}\n");
        vec![("main.conf".to_owned(), config)]
    }

    /// Read from its greeting: `SSH-2.0-OpenSSH_9.2p1 Debian-2 one`.
    fn answer(&self, pod: &Pod) -> Option<String> {
        let mut greeting = String::new();
        let mut stream = BufReader::new(pod.connect(PORT).ok()?);
        stream.read_line(&mut greeting).ok()?;
        Some(greeting.split_whitespace().last()?.to_owned())
    }

    fn hold(&self, pod: &Pod) -> Box<dyn FnOnce()> {
        let mut session = Session::open(pod, &["-T", "-l", "kim"]);
        session.says("before");
        Box::new(move || session.says("after"))
    }
}

const PORT: u16 = 2222;

/// An `ssh` command that connects to it, as root unless an option says otherwise.
fn ssh(pod: &Pod, options: &[&str]) -> Command {
    let mut command = Command::new("ssh");
    command
        .args(["-F", "none", "-p", &PORT.to_string(), "-i"])
        .arg(pod.path("id"))
        .args(["-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"])
        .args(["-o", "UserKnownHostsFile=/dev/null"])
        .args(options)
        .arg("127.0.0.1");
    command
}

/// A session with a shell.
struct Session {
    talker: Talker,
    input: ChildStdin,
}

impl Session {
    fn open(pod: &Pod, options: &[&str]) -> Self {
        let mut command = ssh(pod, options);
        command
            .arg("sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = pod.spawn(&mut command);
        let input = child.stdin.take().unwrap();
        let output = child.stdout.take().unwrap();
        let talker = Talker::new(child, output);
        Self { talker, input }
    }

    /// Asserts that the shell still works: it prints something that does not occur in its input.
    #[track_caller]
    fn says(&mut self, word: &str) {
        writeln!(self.input, "printf '%s-%s\\n' said {word}").unwrap();
        self.talker.expect(&format!("said-{word}"));
    }
}

#[test]
fn each_update_is_one_reload_of_the_same_process() {
    let sshd = three_updates(Sshd);
    expect_restarts(&sshd, 3);
    let output = sshd.pod.output(ssh(&sshd.pod, &[]).arg("echo $CONFIG"));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "four\n",
        "{output:?}"
    );
}

#[test]
fn sessions_survive_several_reloads() {
    let mut sshd = App::start(Sshd);
    let sidecar = sshd.sidecar(sshd.settings());
    let mut sessions = vec![
        Session::open(&sshd.pod, &["-T"]),
        Session::open(&sshd.pod, &["-tt"]),
    ];
    for text in ["two", "three", "four"] {
        for session in &mut sessions {
            session.says(text);
        }
        sshd.update(text);
        sessions.push(Session::open(&sshd.pod, &["-tt"]));
    }
    for session in &mut sessions {
        session.says("end");
    }
    sshd.expect_reloads(3, sidecar);
    println!("sshd: {} sessions held, 0 lost", sessions.len());
    expect_restarts(&sshd, 3);
}

/// As sshd's own restart, or a supervisor, leaves them: process 1 has adopted the session.
#[test]
fn p11_a_session_that_outlived_its_listener_is_spared() {
    let mut sshd = App::start(Sshd);
    let held = sshd.application.hold(&sshd.pod);
    sshd.restart();
    sshd.answers("one");
    let expected = Expected {
        setting: "PROCESS_NAME=sshd",
        signal: "SIGHUP",
        target: sshd.main.id() as i32,
    };
    update_signals(&mut sshd, &expected, "two", held);
    expect_restarts(&sshd, 1);
}

/// Opens a session, then signals every process named sshd.
fn session_before_a_signal_to_all(guard: &str) -> (App<Sshd>, Talker, Session) {
    let sshd = App::start(Sshd);
    let settings = sshd
        .settings()
        .set("PROCESS_SELECT", "all")
        .set("PROCESS_MIN_AGE", "0")
        .set("RELOAD_GUARD", guard);
    let sidecar = sshd.sidecar(settings);
    let mut session = Session::open(&sshd.pod, &["-T"]);
    session.says("one");
    sshd.update("two");
    (sshd, sidecar, session)
}

#[test]
fn a_signal_to_every_process_drops_a_session() {
    let (_sshd, mut sidecar, session) = session_before_a_signal_to_all("false");
    sidecar.expect("the process ended after the signal");
    let (status, lines) = session.talker.finish();
    // ssh(1) exits with 255 on its own errors.
    assert_eq!(
        (status.code(), lines),
        (Some(255), vec!["said-one".to_owned()])
    );
    println!("sshd, all and no guard: 1 session lost");
}

#[test]
fn the_guard_protects_a_session_from_a_signal_to_every_process() {
    let (_sshd, mut sidecar, mut session) = session_before_a_signal_to_all("true");
    sidecar.expect("which has no handler for it yet");
    session.says("two");
}

#[test]
fn it_survives_updates_while_it_starts() {
    survives_updates_while_it_starts(|| Sshd);
}

#[track_caller]
fn expect_restarts(sshd: &App<Sshd>, count: usize) {
    sshd.expect_logged("Received SIGHUP; restarting.", count);
}
