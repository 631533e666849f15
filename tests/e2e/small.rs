//! Small programs that read their configuration again, in C, Go and JavaScript.

use crate::app::Application;
use crate::pod::Pod;
use crate::sql::output;
use crate::wsgi::{self, Backend, PORT};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A program that prints its configuration.
pub enum Reload {
    /// `reload.c`, with how it takes signals.
    C(&'static str),
    /// `reload.go`.
    Go,
}

impl Application for Reload {
    const NAME: &str = "reload";

    fn command(&self, pod: &Pod) -> Command {
        let mut command = match self {
            Self::C(how) => {
                let mut command = Command::new(compiled_c());
                command.arg(how);
                command
            }
            Self::Go => Command::new(compiled_go()),
        };
        command.arg(pod.path("volume"));
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        answer_file(text)
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        let log = fs::read_to_string(pod.path("log")).ok()?;
        let mut latest = log.lines().rev();
        latest
            .find_map(|line| line.strip_prefix("answer "))
            .map(str::to_owned)
    }
}

/// `server.js`.
pub struct Node;

impl Application for Node {
    const NAME: &str = "node";

    fn command(&self, pod: &Pod) -> Command {
        let mut command = Command::new("node");
        command
            .arg(pod.write("server.js", include_str!("server.js")))
            .arg(PORT.to_string())
            .arg(pod.path("volume"));
        wsgi::prepare(&mut command, pod);
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        answer_file(text)
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        pod.get(PORT, "/")
    }

    fn hold(&self, pod: &Pod) -> Box<dyn FnOnce()> {
        Backend::hold(pod)
    }
}

fn answer_file(text: &str) -> Vec<(String, String)> {
    vec![("answer".to_owned(), text.to_owned())]
}

fn compiled_c() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    compiled(&PROGRAM, "reload.c", &["cc", "-Wall", "-Werror"])
}

fn compiled_go() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    compiled(&PROGRAM, "reload.go", &["go", "build"])
}

/// Compiles a source file to a program named `reload`, once.
fn compiled(once: &'static OnceLock<PathBuf>, source: &str, compiler: &[&str]) -> &'static Path {
    once.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(source);
        fs::create_dir_all(&directory).unwrap();
        let program = directory.join("reload");
        let sources = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e"));
        let mut command = Command::new(compiler[0]);
        command.args(&compiler[1..]).arg("-o").arg(&program);
        output(command.arg(sources.join(source)));
        program
    })
}
