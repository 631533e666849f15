//! gunicorn starts new workers with its new configuration; the old ones finish their requests.

use crate::app::{App, Application, HOLD};
use crate::named;
use crate::pod::Pod;
use crate::startup::{
    is_killed_while_it_starts, is_protected_while_it_starts, survives_updates_while_it_starts,
};
use crate::support::process::{Settings, Talker, eventually};
use crate::support::recipes::recipe;
use crate::wsgi::{self, Backend, PORT};
use std::path::Path;
use std::process::Command;

/// The ways to run gunicorn, which give its process different names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gunicorn {
    /// `gunicorn`: named after the script.
    Script,
    /// `python -m gunicorn`: named after python.
    Module,
    /// The same with setproctitle, which renames the process to `gunicorn: master [wsgi:application]`.
    TitledModule,
}

impl Application for Gunicorn {
    const NAME: &str = "gunicorn";

    fn set(&self, settings: Settings) -> Settings {
        let application = match self {
            Self::Script | Self::TitledModule => Self::NAME,
            Self::Module => "python -m gunicorn",
        };
        recipe(application).set(settings)
    }

    fn command(&self, pod: &Pod) -> Command {
        wsgi::program(pod);
        let environment = match self {
            Self::Script | Self::Module => named("GUNICORN"),
            Self::TitledModule => named("GUNICORN_WITH_SETPROCTITLE"),
        };
        let programs = Path::new(&environment).join("bin");
        let mut command = match self {
            Self::Script => Command::new(programs.join("gunicorn")),
            Self::Module | Self::TitledModule => {
                let mut command = Command::new(programs.join("python"));
                command.args(["-m", "gunicorn"]);
                command
            }
        };
        wsgi::prepare(&mut command, pod);
        command
            .args(["--config", "volume/gunicorn.conf.py"])
            .args(["--bind", &format!("127.0.0.1:{PORT}")])
            .arg("wsgi:application");
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        let config = format!(
            "import os\n\
             if os.path.exists('{HOLD}'):\n    open('{HOLD}').read()\n\
             workers = {WORKERS}\n\
             raw_env = ['ANSWER={text}']\n"
        );
        vec![("gunicorn.conf.py".to_owned(), config)]
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        pod.get(PORT, "/")
    }

    fn hold(&self, pod: &Pod) -> Box<dyn FnOnce()> {
        Backend::hold(pod)
    }
}

const WORKERS: usize = 2;

/// Part of the line that the master logs about a worker killed by the signal.
const KILLED: &str = "was sent SIGHUP";

fn slow_requests_survive_each_reload(gunicorn: Gunicorn) {
    let app = App::start(gunicorn);
    let backend = Backend::new(&app.pod);
    let mut sidecar = app.sidecar(app.settings());
    for text in ["two", "three", "four"] {
        let slow = backend.slow_request(&app.pod);
        app.reload(&mut sidecar, text);
        // The master handles the next signal only once the old workers are gone.
        slow.expect_answer();
    }
    println!("gunicorn ({gunicorn:?}): 3 slow requests held over 3 reloads, 0 lost");
    expect_reloads(app, 3, sidecar);
}

#[test]
fn slow_requests_survive_each_reload_of_the_script() {
    slow_requests_survive_each_reload(Gunicorn::Script);
}

#[test]
fn slow_requests_survive_each_reload_under_python_m() {
    slow_requests_survive_each_reload(Gunicorn::Module);
}

#[test]
fn slow_requests_survive_each_reload_with_a_title_set() {
    slow_requests_survive_each_reload(Gunicorn::TitledModule);
}

#[test]
fn it_survives_updates_while_it_starts() {
    survives_updates_while_it_starts(|| Gunicorn::Script);
}

/// Its process is named `python` at first.
#[test]
fn it_survives_updates_while_it_starts_and_changes_its_name() {
    survives_updates_while_it_starts(|| Gunicorn::TitledModule);
}

#[test]
fn the_guard_protects_it_while_it_starts() {
    is_protected_while_it_starts(Gunicorn::Script);
}

#[test]
fn without_the_guard_a_signal_kills_it_while_it_starts() {
    is_killed_while_it_starts(Gunicorn::Script, |settings| {
        settings
            .set("RELOAD_GUARD", "false")
            .set("PROCESS_MIN_AGE", "0")
    });
}

#[test]
fn a_signal_to_every_process_kills_workers_and_drops_a_request() {
    let mut app = App::start(Gunicorn::Script);
    let backend = Backend::new(&app.pod);
    let settings = app
        .settings()
        .set("PROCESS_SELECT", "all")
        .set("PROCESS_MIN_AGE", "0")
        .set("RELOAD_GUARD", "false");
    let mut sidecar = app.sidecar(settings);
    let slow = backend.slow_request(&app.pod);
    app.update("two");
    sidecar.expect("the process ended after the signal");
    sidecar.wait_until_idle();
    assert_eq!(slow.finish(), "", "dropped");
    eventually("a worker killed", || app.count(KILLED) > 0);
    app.is_running();
    println!(
        "gunicorn: PROCESS_SELECT=all RELOAD_GUARD=false: 1 slow request lost, {} workers killed",
        app.count(KILLED)
    );
}

/// Its workers have no handler for the signal.
#[test]
fn the_guard_protects_workers_from_a_signal_to_every_process() {
    let mut app = App::start(Gunicorn::Script);
    let backend = Backend::new(&app.pod);
    let mut sidecar = app.sidecar(app.settings().set("PROCESS_SELECT", "all"));
    let slow = backend.slow_request(&app.pod);
    app.update("two");
    // The old workers have no handler, so it waits until they are gone.
    sidecar.expect("reload pending");
    slow.expect_answer();
    sidecar.expect("the pending reload is delivered");
    app.is_running();
    app.expect_logged(KILLED, 0);
}

/// Asserts that the sidecar and gunicorn agree on the number of reloads, and that only the master ended workers.
#[track_caller]
fn expect_reloads(mut app: App<Gunicorn>, count: usize, sidecar: Talker) {
    app.expect_reloads(count, sidecar);
    app.expect_logged("Handling signal: hup", count);
    app.expect_logged("Worker exiting", count * WORKERS);
    app.expect_logged("was sent SIG", 0);
    eventually("without the old workers", || app.workers().len() == WORKERS);
}
