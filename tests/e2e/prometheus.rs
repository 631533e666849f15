//! prometheus reloads its configuration, and keeps answering and scraping.

use crate::app::{App, Application};
use crate::pod::Pod;
use crate::startup::survives_updates_while_it_starts;
use crate::support::process::{Talker, eventually};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

pub struct Prometheus;

const PORT: u16 = 9090;

/// The sidecar's port, in the same Pod.
const SIDECAR_PORT: u16 = 9533;

impl Application for Prometheus {
    const NAME: &str = "prometheus";

    /// More would slow each other down.
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
        let config = format!(
            "global:\n  scrape_interval: 100ms\n  scrape_timeout: 100ms\n  external_labels:\n    answer: {text}\n\
             scrape_configs:\n- job_name: sidecar\n  static_configs:\n  - targets: ['127.0.0.1:{SIDECAR_PORT}']\n"
        );
        vec![("prometheus.yml".to_owned(), config)]
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        let ready = pod.get(PORT, "/-/ready")?;
        let running = pod.get(PORT, "/api/v1/status/config")?;
        ready.contains("is Ready").then(|| answer_in(&running))?
    }
}

/// Extracts the answer from its running configuration.
fn answer_in(running: &str) -> Option<String> {
    let running: serde_json::Value = serde_json::from_str(running).ok()?;
    let config = running["data"]["yaml"].as_str()?;
    let line = config.lines().find(|line| line.contains("answer: "))?;
    Some(line.trim().trim_start_matches("answer: ").to_owned())
}

#[test]
fn a_connection_survives_each_reload() {
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
fn it_scrapes_the_sidecar() {
    let app = App::start(Prometheus);
    let settings = app
        .settings()
        .set("LISTEN_ADDR", format!(":{SIDECAR_PORT}"));
    let mut sidecar = app.sidecar(settings);
    for text in ["two", "three", "four"] {
        app.reload(&mut sidecar, text);
    }
    for (query, expected) in [
        ("up{job=\"sidecar\"}", "1"),
        ("reloader_reloads_total", "3"),
        ("reloader_signals_total", "3"),
        ("reloader_confirmations_total", "3"),
        ("reloader_last_reload_successful", "1"),
        ("reloader_build_info{version!=\"\"}", "1"),
    ] {
        eventually(&format!("{query} {expected}"), || {
            value(&app.pod, query).as_deref() == Some(expected)
        });
    }
    let metadata = app.pod.get(PORT, "/api/v1/metadata").unwrap();
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let types = metadata["data"].as_object().unwrap().iter();
    let types = types.filter(|(name, _)| name.starts_with("reloader_"));
    let types: Vec<_> = types
        .map(|(name, of)| (name.as_str(), of[0]["type"].as_str().unwrap()))
        .collect();
    assert_eq!(types.len(), 23);
    for (name, kind) in types {
        let expected = if name.ends_with("_total") {
            "counter"
        } else {
            "gauge"
        };
        assert_eq!(kind, expected, "{name}");
    }

    // Its own linter finds nothing to criticise.
    let page = app.pod.get(SIDECAR_PORT, "/metrics").unwrap();
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    promtool.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().unwrap();
    let mut input = promtool.stdin.take().unwrap();
    writeln!(input, "{page}").unwrap();
    drop(input);
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
    expect_reloads(app, 3, sidecar);
}

/// Returns the result of a query for one number.
fn value(pod: &Pod, query: &str) -> Option<String> {
    let answer = pod.get(PORT, &format!("/api/v1/query?query={query}"))?;
    let answer: serde_json::Value = serde_json::from_str(&answer).ok()?;
    let value = answer["data"]["result"][0]["value"][1].as_str()?;
    Some(value.to_owned())
}

#[test]
fn it_survives_updates_while_it_starts() {
    survives_updates_while_it_starts(|| Prometheus);
}

/// Asks over a connection that stays open.
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

/// Asserts that the sidecar and prometheus agree on the number of reloads.
#[track_caller]
fn expect_reloads(mut app: App<Prometheus>, count: usize, sidecar: Talker) {
    app.expect_reloads(count, sidecar);
    app.expect_logged("Completed loading of configuration file", 1 + count);
}
