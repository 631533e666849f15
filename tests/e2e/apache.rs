//! apache httpd restarts gracefully: its master stays, and its children finish their requests.

use crate::app::{App, Application, three_updates};
use crate::http::large_file;
use crate::pod::Pod;
use crate::startup::survives_updates_while_it_starts;
use std::process::Command;

/// apache with this MPM: `event` uses threads, `prefork` one process per connection.
pub struct Apache(pub &'static str);

impl Application for Apache {
    const NAME: &str = "apache httpd";

    fn command(&self, pod: &Pod) -> Command {
        let path = pod.path("");
        let path = path.display();
        let mpm = self.0;
        pod.write("files/index.html", "");
        let config = format!(
            "LoadModule mpm_{mpm}_module {MODULES}/mod_mpm_{mpm}.so
             LoadModule authz_core_module {MODULES}/mod_authz_core.so
             ServerName localhost
             Listen 127.0.0.1:{PORT}
             User www-data
             Group www-data
             PidFile {path}/pid
             DefaultRuntimeDir {path}
             ErrorLog /dev/stderr
             DocumentRoot {path}/files
             StartServers 2
             Include {path}/volume/*.conf"
        );
        let mut command = Command::new("apache2");
        command
            .args(["-DFOREGROUND", "-f"])
            .arg(pod.write("apache2.conf", config));
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        vec![(
            "main.conf".to_owned(),
            format!("ErrorDocument 404 \"{text}\""),
        )]
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        pod.get(PORT, "/missing")
    }

    fn hold(&self, pod: &Pod) -> Box<dyn FnOnce()> {
        pod.write("files/large", large_file());
        let download = pod.download(PORT, "/large");
        Box::new(|| download.expect_whole())
    }
}

const PORT: u16 = 8080;
const MODULES: &str = "/usr/lib/apache2/modules";

#[test]
fn each_update_is_one_graceful_restart() {
    for mpm in ["event", "prefork"] {
        let apache = three_updates(Apache(mpm));
        expect_restarts(&apache, 3);
    }
}

#[test]
fn a_download_survives_a_reload() {
    for mpm in ["event", "prefork"] {
        let mut apache = App::start(Apache(mpm));
        let sidecar = apache.sidecar(apache.settings());
        let downloads = ["two", "three"].map(|text| {
            let held = apache.application.hold(&apache.pod);
            apache.update(text);
            held
        });
        for held in downloads {
            held();
        }
        apache.expect_reloads(2, sidecar);
        expect_restarts(&apache, 2);
    }
}

/// Signals the selected processes during a download under prefork. Returns what was downloaded.
fn download_during(signal: &str, select: &str) -> Vec<u8> {
    let apache = App::start(Apache("prefork"));
    apache.pod.write("files/large", large_file());
    let settings = apache
        .settings()
        .set("RELOAD_SIGNAL", signal)
        .set("PROCESS_SELECT", select)
        .set("PROCESS_MIN_AGE", "0");
    let mut sidecar = apache.sidecar(settings);
    let download = apache.pod.download(PORT, "/large");
    // The sidecar has signalled everybody by then.
    apache.reload(&mut sidecar, "two");
    let received = download.finish();
    // The child that serves the download was signalled, too, unless on SIGHUP the master ended it first.
    if (signal, select) == ("SIGUSR1", "all") {
        sidecar.expect("the process ended after the signal");
    }
    received
}

#[test]
fn sighup_cuts_a_download_but_sigusr1_does_not() {
    for select in ["main", "all"] {
        assert!(download_during("SIGUSR1", select) == large_file(), "cut");
        let received = download_during("SIGHUP", select);
        let (count, of) = (received.len(), large_file().len());
        assert!(count < of, "SIGHUP to {select} is as good as SIGUSR1");
        println!(
            "apache httpd, prefork, SIGHUP to {select}: 1 download lost at {count} bytes of {of}"
        );
    }
}

#[test]
fn it_survives_updates_while_it_starts() {
    survives_updates_while_it_starts(|| Apache("event"));
    survives_updates_while_it_starts(|| Apache("prefork"));
}

/// Asserts that it restarted this many times, and no child was killed.
#[track_caller]
fn expect_restarts(apache: &App<Apache>, count: usize) {
    apache.expect_logged("raceful restart", count);
    apache.expect_logged("resuming normal operations", count + 1);
    apache.expect_logged("exit signal", 0);
}
