//! apache httpd restarts gracefully: its master stays, and what its children serve they finish.

use crate::app::{App, Application, Pod, survives_updates_while_it_starts, three_updates};
use crate::http::large_file;
use std::process::Command;

/// With the MPM of this name: `event` serves by threads, `prefork` by a process for each connection.
struct Apache(&'static str);

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
fn a_download_that_a_reload_meets_comes_in_full() {
    for mpm in ["event", "prefork"] {
        let mut apache = App::start(Apache(mpm));
        apache.pod.write("files/large", large_file());
        let sidecar = apache.sidecar(apache.settings());
        let downloads = ["two", "three"].map(|text| {
            let download = apache.pod.download(PORT, "/large");
            apache.update(text);
            download
        });
        for download in downloads {
            assert!(download.finish() == large_file(), "cut");
        }
        apache.expect_reloads(2, sidecar);
        expect_restarts(&apache, 2);
    }
}

/// What has come of a download under prefork that is met by a signal to these of its processes.
fn download_met_by(signal: &str, select: &str) -> Vec<u8> {
    let apache = App::start(Apache("prefork"));
    apache.pod.write("files/large", large_file());
    let settings = apache
        .settings()
        .set("RELOAD_SIGNAL", signal)
        .set("PROCESS_SELECT", select)
        .set("PROCESS_MIN_AGE", "0");
    let mut sidecar = apache.sidecar(settings);
    let download = apache.pod.download(PORT, "/large");
    // By then the sidecar has told all that it tells.
    apache.reload(&mut sidecar, "two");
    let received = download.finish();
    // The child that was downloaded from was told as well. On SIGHUP the master may end its children before they are told.
    if (signal, select) == ("SIGUSR1", "all") {
        sidecar.expect("the process ended after the signal");
    }
    received
}

#[test]
fn sighup_cuts_a_download_and_sigusr1_does_not() {
    for select in ["main", "all"] {
        assert!(download_met_by("SIGUSR1", select) == large_file(), "cut");
        let received = download_met_by("SIGHUP", select);
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

/// It was told so many times, and none of its children was killed.
#[track_caller]
fn expect_restarts(apache: &App<Apache>, count: usize) {
    apache.expect_logged("raceful restart", count);
    apache.expect_logged("resuming normal operations", count + 1);
    apache.expect_logged("exit signal", 0);
}
