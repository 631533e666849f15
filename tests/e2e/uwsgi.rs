//! uwsgi waits for its workers to finish their requests, and executes itself again under the same id.

use crate::app::{App, Application};
use crate::pod::{Pod, catches_hangups};
use crate::startup::survives_updates_while_it_starts;
use crate::support::process::{Talker, eventually};
use crate::wsgi::{self, Backend, PORT};
use std::process::Command;

pub struct Uwsgi;

impl Application for Uwsgi {
    const NAME: &str = "uwsgi";

    fn command(&self, pod: &Pod) -> Command {
        wsgi::program(pod);
        let mut command = Command::new("uwsgi-core");
        wsgi::prepare(&mut command, pod);
        command.args(["--plugins", "python3", "--ini", "volume/uwsgi.ini"]);
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        let config = format!(
            "[uwsgi]\nmaster = true\nprocesses = 1\nneed-app = true\nhttp-socket = 127.0.0.1:{PORT}\n\
             wsgi-file = wsgi.py\nenv = ANSWER={text}\n"
        );
        vec![("uwsgi.ini".to_owned(), config)]
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        pod.get(PORT, "/")
    }

    fn hold(&self, pod: &Pod) -> Box<dyn FnOnce()> {
        Backend::hold(pod)
    }
}

#[test]
fn each_update_is_one_reload() {
    let app = App::start(Uwsgi);
    let mut sidecar = app.sidecar(app.settings());
    for text in ["two", "three", "four"] {
        app.reload(&mut sidecar, text);
        // While it starts, the master ignores the signal, a moment longer than until its worker answers.
        eventually("ready for the signal", || catches_hangups(app.main.id()));
    }
    expect_reloads(app, 3, sidecar);
}

#[test]
fn a_slow_request_survives_a_reload() {
    let app = App::start(Uwsgi);
    let backend = Backend::new(&app.pod);
    let sidecar = app.sidecar(app.settings());
    let slow = backend.slow_request(&app.pod);
    app.replace("two");
    app.expect_logged("gracefully killing workers", 1);
    slow.expect_answer();
    app.answers("two");
    println!("uwsgi: 1 slow request held, 0 lost");
    expect_reloads(app, 1, sidecar);
}

#[test]
fn it_survives_updates_while_it_starts() {
    survives_updates_while_it_starts(|| Uwsgi);
}

/// Asserts that the sidecar and uwsgi agree on the number of reloads, and that only the master ended workers.
#[track_caller]
fn expect_reloads(mut app: App<Uwsgi>, count: usize, sidecar: Talker) {
    app.expect_reloads(count, sidecar);
    app.expect_logged("binary reloading uWSGI", count);
    // The master logs this about a worker that died on its own.
    app.expect_logged("DAMN", 0);
}
