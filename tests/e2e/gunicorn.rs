//! gunicorn reads its configuration file and its program again, with new workers; the old ones finish what they are at.

use crate::app::{
    App, Application, HOLD, Pod, is_ended_amid_its_start, is_spared_amid_its_start,
    survives_updates_while_it_starts,
};
use crate::named;
use crate::support::process::{Settings, Talker, eventually};
use crate::support::recipes::recipe;
use crate::wsgi::{self, Backend, PORT};
use std::path::Path;
use std::process::Command;

/// The ways to run it, which differ in what the process is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Gunicorn {
    /// `gunicorn`, whose name is the script's.
    Script,
    /// `python -m gunicorn`, whose name is python's.
    Module,
    /// The same two with setproctitle, which names the process `gunicorn: master [wsgi:application]`.
    TitledScript,
    TitledModule,
}

impl Application for Gunicorn {
    const NAME: &str = "gunicorn";

    fn set(&self, settings: Settings) -> Settings {
        let application = match self {
            Self::Script | Self::TitledScript | Self::TitledModule => Self::NAME,
            Self::Module => "python -m gunicorn",
        };
        recipe(application).set(settings)
    }

    fn command(&self, pod: &Pod) -> Command {
        wsgi::program(pod);
        let environment = match self {
            Self::Script | Self::Module => named("GUNICORN"),
            Self::TitledScript | Self::TitledModule => named("GUNICORN_WITH_SETPROCTITLE"),
        };
        let programs = Path::new(&environment).join("bin");
        let mut command = match self {
            Self::Script | Self::TitledScript => Command::new(programs.join("gunicorn")),
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
}

const WORKERS: usize = 2;

/// As its master logs it of a worker that was ended by the signal.
const KILLED: &str = "was sent SIGHUP";

fn each_update_is_one_reload_that_slow_requests_survive(gunicorn: Gunicorn) {
    let app = App::start(gunicorn);
    let backend = Backend::new(&app.pod);
    let mut sidecar = app.sidecar(app.settings());
    for text in ["two", "three", "four"] {
        let slow = backend.slow_request(&app);
        app.reload(&mut sidecar, text);
        // Only when the old workers are gone does the master do anything else.
        slow.expect_answer();
    }
    println!("gunicorn ({gunicorn:?}): 3 slow requests held over 3 reloads, 0 lost");
    expect_reloads(app, 3, sidecar);
}

#[test]
fn as_a_script() {
    each_update_is_one_reload_that_slow_requests_survive(Gunicorn::Script);
}

#[test]
fn under_python_m() {
    each_update_is_one_reload_that_slow_requests_survive(Gunicorn::Module);
}

#[test]
fn as_a_script_with_a_title_set() {
    each_update_is_one_reload_that_slow_requests_survive(Gunicorn::TitledScript);
}

#[test]
fn under_python_m_with_a_title_set() {
    each_update_is_one_reload_that_slow_requests_survive(Gunicorn::TitledModule);
}

#[test]
fn it_survives_updates_while_it_starts() {
    survives_updates_while_it_starts(|| Gunicorn::Script);
}

/// It is called `python` for the first part of its start.
#[test]
fn it_survives_updates_while_it_starts_and_changes_its_name() {
    survives_updates_while_it_starts(|| Gunicorn::TitledModule);
}

#[test]
fn amid_its_start_the_guard_spares_it() {
    is_spared_amid_its_start(Gunicorn::Script);
}

#[test]
fn amid_its_start_a_signal_without_guard_kills_it() {
    is_ended_amid_its_start(Gunicorn::Script, |settings| {
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
    let slow = backend.slow_request(&app);
    app.update("two");
    sidecar.expect("the process ended after the signal");
    sidecar.wait_at_rest();
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
fn the_guard_spares_workers_that_are_selected() {
    let mut app = App::start(Gunicorn::Script);
    let backend = Backend::new(&app.pod);
    let mut sidecar = app.sidecar(app.settings().set("PROCESS_SELECT", "all"));
    let slow = backend.slow_request(&app);
    app.update("two");
    // Until the old workers are gone.
    sidecar.expect("reload pending");
    slow.expect_answer();
    sidecar.expect("the pending reload is delivered");
    app.is_running();
    app.expect_logged(KILLED, 0);
}

/// Besides what the sidecar says: gunicorn was told so many times, and no worker was ended but by its master.
#[track_caller]
fn expect_reloads(mut app: App<Gunicorn>, count: usize, sidecar: Talker) {
    app.expect_reloads(count, sidecar);
    app.expect_logged("Handling signal: hup", count);
    app.expect_logged("Worker exiting", count * WORKERS);
    app.expect_logged("was sent SIG", 0);
    eventually("without the old workers", || app.workers().len() == WORKERS);
}
