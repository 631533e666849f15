//! A stand-in for Logstash, which Debian does not package: `Logstash.java` has its command line and runs on a real JVM. These tests
//! show that the recipe finds such a process and that a JVM survives the signal, not how Logstash itself reloads.

use crate::app::{App, Application, HOLD};
use crate::http::read_head;
use crate::pod::Pod;
use crate::sql::output;
use crate::startup::{is_killed_while_it_starts, survives_updates_while_it_starts};
use crate::support::process::{Settings, Talker};
use crate::support::recipes::recipe;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub struct Logstash;

const PORT: u16 = 9600;

/// Returns the directory of the compiled stand-in.
fn classes() -> &'static Path {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("logstash");
        let mut javac = Command::new("javac");
        // javac warns that sun.misc.Signal, which JRuby uses as well, is not public.
        javac.args(["-nowarn", "-d"]).arg(&directory);
        output(javac.arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/e2e/Logstash.java"
        )));
        directory
    })
}

impl Application for Logstash {
    const NAME: &str = "logstash";

    /// More JVMs would slow each other down.
    const STARTS_AT_ONCE: usize = 8;

    /// Logstash handles the signal after almost a minute, the stand-in after some seconds at most.
    fn set(&self, settings: Settings) -> Settings {
        recipe(Self::NAME)
            .set(settings)
            .set("PROCESS_MIN_AGE", "10s")
    }

    fn command(&self, pod: &Pod) -> Command {
        let mut command = Command::new("java");
        command
            .args([
                "-Xms64m",
                "-Xmx64m",
                "-Djruby.regexp.interruptible=true",
                "-cp",
            ])
            .arg(classes())
            .args(["org.logstash.Logstash", "--path.config"])
            .arg(pod.path("volume"))
            .args(["--api.http.port", &PORT.to_string()])
            .env("HOLD", pod.path(HOLD));
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        let pipeline =
            |kind: &str, plugin: &str| (format!("{kind}.conf"), format!("{kind} {{ {plugin} }}\n"));
        vec![
            pipeline("input", "generator {}"),
            pipeline("output", &format!("http {{ url => '{text}' }}")),
        ]
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        let pipelines = pod.get(PORT, "/_node/pipelines")?;
        let (_, output) = pipelines.split_once("url => '")?;
        Some(output.split_once('\'')?.0.to_owned())
    }

    /// Keeps a connection open between two requests.
    fn hold(&self, pod: &Pod) -> Box<dyn FnOnce()> {
        let mut stream = BufReader::new(pod.connect(PORT).unwrap());
        let mut ask = move || {
            write!(stream.get_mut(), "GET / HTTP/1.1\r\nHost: logstash\r\n\r\n").unwrap();
            read_head(&mut stream);
        };
        ask();
        Box::new(ask)
    }
}

#[test]
fn each_update_is_one_reload() {
    let app = App::start(Logstash);
    let mut sidecar = app.sidecar(app.settings());
    for text in ["two", "three", "four"] {
        app.reload(&mut sidecar, text);
    }
    expect_reloads(app, 3, sidecar);
}

#[test]
fn it_survives_updates_while_it_starts() {
    survives_updates_while_it_starts(|| Logstash);
}

/// A JVM's own handler, installed at once, exits. So only the minimum age protects it.
#[test]
fn a_jvm_is_killed_if_the_minimum_age_is_too_short() {
    is_killed_while_it_starts(Logstash, |settings| settings.set("PROCESS_MIN_AGE", "2s"));
}

/// Asserts that the sidecar and the stand-in agree on the number of reloads.
#[track_caller]
fn expect_reloads(mut app: App<Logstash>, count: usize, sidecar: Talker) {
    app.expect_reloads(count, sidecar);
    app.expect_logged("SIGHUP received.", count);
    app.expect_logged("Pipelines running", count);
}
