//! BIND's named, which receives signals in sigwait(3), reloads its zones.

use crate::app::{App, Application, three_updates};
use crate::pod::Pod;
use crate::startup::survives_updates_while_it_starts;
use std::io::{Read, Write};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

pub struct Named;

impl Application for Named {
    const NAME: &str = "named";

    fn command(&self, pod: &Pod) -> Command {
        let mut command = Command::new("named");
        command.args(["-g", "-n", "1", "-c"]);
        command.arg(pod.path("volume/named.conf"));
        command
    }

    fn payload(&self, pod: &Pod, text: &str) -> Vec<(String, String)> {
        static SERIAL: AtomicU32 = AtomicU32::new(1);
        let path = pod.path("");
        let path = path.display();
        let config = format!(
            r#"options {{
                 directory "{path}";
                 pid-file none;
                 listen-on port {PORT} {{ 127.0.0.1; }};
                 listen-on-v6 {{ none; }};
                 recursion no;
               }};
               controls {{ }};
               zone "example" {{ type primary; file "volume/example.zone"; }};"#
        );
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let zone = format!(
            "$TTL 60\n\
             @ SOA localhost. root.localhost. {serial} 60 60 60 60\n\
             @ NS localhost.\n\
             @ TXT {text}\n"
        );
        vec![
            ("named.conf".to_owned(), config),
            ("example.zone".to_owned(), zone),
        ]
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        txt(pod)
    }
}

const PORT: u16 = 5300;

/// Asks a name server in the Pod for the text of `example`.
pub fn txt(pod: &Pod) -> Option<String> {
    let mut dig = Command::new("dig");
    dig.args([
        "@127.0.0.1",
        "-p",
        &PORT.to_string(),
        "+short",
        "+tries=1",
        "+timeout=5",
    ]);
    let output = pod.output(dig.args(["example", "TXT"]));
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(answer.strip_prefix('"')?.strip_suffix("\"\n")?.to_owned())
}

#[test]
fn each_update_is_one_reload() {
    let named = three_updates(Named);
    expect_reloads(&named, 3);
}

#[test]
fn a_connection_survives_several_reloads() {
    /// A query for `example TXT`, with its length as over TCP.
    const QUESTION: &[u8] = b"\0\x19\x12\x34\0\0\0\x01\0\0\0\0\0\0\x07example\0\0\x10\0\x01";
    let mut named = App::start(Named);
    let sidecar = named.sidecar(named.settings());
    let mut connection = named.pod.connect(PORT).unwrap();
    let mut ask = |text: &str| {
        connection.write_all(QUESTION).unwrap();
        let mut length = [0; 2];
        connection.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u16::from_be_bytes(length).into()];
        connection.read_exact(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.contains(text), "{answer:?}");
    };
    ask("one");
    for text in ["two", "three"] {
        named.update(text);
        ask(text);
    }
    println!("named: 1 connection held, 0 lost");
    named.expect_reloads(2, sidecar);
    expect_reloads(&named, 2);
}

#[test]
fn it_survives_updates_while_it_starts() {
    survives_updates_while_it_starts(|| Named);
}

#[track_caller]
fn expect_reloads(named: &App<Named>, count: usize) {
    named.expect_logged("received SIGHUP signal to reload zones", count);
}
