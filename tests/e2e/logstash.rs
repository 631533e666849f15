//! Logstash cannot be had as a package: what stands in for it (`Logstash.java`) is called as it is, and runs on a real JVM. So
//! these tests show that the recipe finds such a process and that a JVM survives being told, and not what Logstash makes of it.

use crate::app::{
    App, Application, HOLD, Pod, is_ended_amid_its_start, survives_updates_while_it_starts,
};
use crate::sql::output;
use crate::support::process::{Settings, Talker};
use crate::support::recipes::recipe;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

struct Logstash;

const PORT: u16 = 9600;

/// Where the compiled program is.
fn classes() -> &'static Path {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("logstash");
        let mut javac = Command::new("javac");
        // It says that sun.misc.Signal, which JRuby uses as well, is no public class.
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

    /// More would make one another slow.
    const STARTS_AT_ONCE: usize = 8;

    /// Logstash takes the better part of a minute until it takes the signal, and what stands in for it a second, or some where many of
    /// them start at once.
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

/// A JVM has a handler for the signal from its first moments, and ends on it: nothing but the age tells that it is too soon.
#[test]
fn amid_its_start_a_signal_ends_a_jvm_that_counts_as_old_enough() {
    is_ended_amid_its_start(Logstash, |settings| settings.set("PROCESS_MIN_AGE", "2s"));
}

/// Besides what the sidecar says: it was told so many times.
#[track_caller]
fn expect_reloads(mut app: App<Logstash>, count: usize, sidecar: Talker) {
    app.expect_reloads(count, sidecar);
    app.expect_logged("SIGHUP received.", count);
    app.expect_logged("Pipelines running", count);
}
