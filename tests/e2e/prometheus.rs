//! prometheus reads its configuration again and goes on answering and scraping.

use crate::app::{App, Application, Pod, survives_updates_while_it_starts};
use crate::support::process::Talker;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;

struct Prometheus;

const PORT: u16 = 9090;

impl Application for Prometheus {
    const NAME: &str = "prometheus";

    /// More would make one another slow.
    const STARTS_AT_ONCE: usize = 8;

    fn command(&self, pod: &Pod) -> Command {
        let mut command = Command::new("prometheus");
        command
            .arg(format!(
                "--config.file={}",
                pod.path("volume/prometheus.yml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                pod.path("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{PORT}"));
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        let config = format!("global:\n  external_labels:\n    answer: {text}\n");
        vec![("prometheus.yml".to_owned(), config)]
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        let ready = pod.get(PORT, "/-/ready")?;
        let running = pod.get(PORT, "/api/v1/status/config")?;
        ready.contains("is Ready").then(|| answer_in(&running))?
    }
}

/// What stands for the answer in the configuration that it runs.
fn answer_in(running: &str) -> Option<String> {
    let running: serde_json::Value = serde_json::from_str(running).ok()?;
    let config = running["data"]["yaml"].as_str()?;
    let line = config.lines().find(|line| line.contains("answer: "))?;
    Some(line.trim().trim_start_matches("answer: ").to_owned())
}

#[test]
fn each_update_is_one_reload_that_a_connection_survives() {
    let app = App::start(Prometheus);
    let mut sidecar = app.sidecar(app.settings());
    let mut connection = BufReader::new(app.pod.connect(PORT).unwrap());
    assert_eq!(ask(&mut connection).as_deref(), Some("one"));
    for text in ["two", "three", "four"] {
        app.reload(&mut sidecar, text);
        assert_eq!(ask(&mut connection).as_deref(), Some(text));
    }
    println!("prometheus: 1 connection held over 3 reloads, 0 lost");
    expect_reloads(app, 3, sidecar);
}

#[test]
fn it_survives_updates_while_it_starts() {
    survives_updates_while_it_starts(|| Prometheus);
}

/// Asks by way of a connection that stays open.
fn ask(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let request = "GET /api/v1/status/config HTTP/1.1\r\nHost: localhost\r\n\r\n";
    connection.get_mut().write_all(request.as_bytes()).ok()?;
    let mut length = None;
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        connection.read_line(&mut line).ok()?;
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().ok();
        }
    }
    let mut body = vec![0; length?];
    connection.read_exact(&mut body).ok()?;
    answer_in(&String::from_utf8(body).ok()?)
}

/// Besides what the sidecar says: prometheus has loaded its configuration so many times more.
#[track_caller]
fn expect_reloads(mut app: App<Prometheus>, count: usize, sidecar: Talker) {
    app.expect_reloads(count, sidecar);
    assert_eq!(
        app.count("Completed loading of configuration file"),
        1 + count,
        "{}",
        app.log()
    );
}
