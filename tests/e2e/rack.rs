//! puma in cluster mode and unicorn: masters that load the application anew and let old workers finish.

use crate::app::{App, Application};
use crate::pod::Pod;
use crate::support::process::Settings;
use crate::wsgi::{self, Backend, PORT};
use std::process::Command;

/// A server of Rack applications.
pub enum Rack {
    /// By `ruby`, as Bundler does, so that only its title names it.
    Puma,
    /// As a script.
    Unicorn,
}

impl Application for Rack {
    const NAME: &str = "rack";

    fn set(&self, settings: Settings) -> Settings {
        match self {
            Self::Puma => settings
                .set("PROCESS_CMDLINE", "(tcp://")
                .set("RELOAD_SIGNAL", "SIGUSR2"),
            Self::Unicorn => settings.set("PROCESS_NAME", "unicorn"),
        }
    }

    fn command(&self, pod: &Pod) -> Command {
        pod.write("config.ru", include_str!("config.ru"));
        let address = format!("127.0.0.1:{PORT}");
        let mut command = match self {
            Self::Puma => {
                let mut command = Command::new("ruby");
                command.args(["/usr/bin/puma", "--workers", "2", "--threads", "1:1"]);
                command.args(["--bind", &format!("tcp://{address}")]);
                command
            }
            Self::Unicorn => {
                let mut command = Command::new("unicorn");
                let config = pod.write("unicorn.rb", "worker_processes 2\ntimeout 60\n");
                command.arg("--config-file").arg(config);
                command.args(["--listen", &address]);
                command
            }
        };
        wsgi::prepare(&mut command, pod);
        command.arg("config.ru");
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        vec![("answer".to_owned(), text.to_owned())]
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        pod.get(PORT, "/")
    }

    fn hold(&self, pod: &Pod) -> Box<dyn FnOnce()> {
        Backend::hold(pod)
    }
}

/// Asserts that each update is one reload.
fn three_reloads(rack: Rack) -> App<Rack> {
    let mut app = App::start(rack);
    let mut sidecar = app.sidecar(app.settings());
    for text in ["two", "three", "four"] {
        // A worker that is still starting would answer before the signal.
        app.reload(&mut sidecar, text);
    }
    app.expect_reloads(3, sidecar);
    app
}

/// It executes itself again, and is `ruby3.1` then and no longer `ruby`.
#[test]
fn puma_remains_the_target_when_it_executes_itself_again() {
    let puma = three_reloads(Rack::Puma);
    puma.expect_logged("* Restarting...", 3);
}

#[test]
fn unicorn_reloads_once_for_each_update() {
    let unicorn = three_reloads(Rack::Unicorn);
    unicorn.expect_logged("done reloading config_file", 3);
}
