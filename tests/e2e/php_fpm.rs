//! php-fpm waits for its workers to finish, then executes itself again.

use crate::app::{App, Application, three_updates};
use crate::pod::Pod;
use crate::startup::survives_updates_while_it_starts;
use crate::support::process::eventually;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// php-fpm, and for how long a reload waits for running requests.
pub struct PhpFpm {
    process_control_timeout: &'static str,
}

pub const PATIENT: PhpFpm = PhpFpm {
    process_control_timeout: "20s",
};

impl Application for PhpFpm {
    const NAME: &str = "php-fpm";

    fn command(&self, pod: &Pod) -> Command {
        let path = pod.path("");
        let path = path.display();
        pod.write("answer.php", "<?php echo getenv('CONFIG');");
        pod.write(
            "slow.php",
            format!(
                "<?php
                 touch('{path}/begun');
                 while (!file_exists('{path}/go')) {{ clearstatcache(); usleep(1000); }}
                 echo 'at last';"
            ),
        );
        let config = format!(
            "[global]
             error_log = /dev/stderr
             daemonize = no
             process_control_timeout = {}
             include = {path}/volume/*.conf",
            self.process_control_timeout
        );
        let config = pod.write("php-fpm.conf", config);
        // The name that it has in PHP's official images.
        symlink(program(), pod.path("php-fpm")).unwrap();
        let mut command = Command::new(pod.path("php-fpm"));
        command
            .arg("--allow-to-run-as-root")
            .arg("--fpm-config")
            .arg(config);
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        // Only root may write to the Pod's directory.
        let pool = format!(
            "[www]
             user = root
             group = root
             listen = 127.0.0.1:{PORT}
             pm = static
             pm.max_children = 2
             env[CONFIG] = {text}"
        );
        vec![("www.conf".to_owned(), pool)]
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        body(&pod.output(&mut request(pod, "answer.php")))
    }

    fn hold(&self, pod: &Pod) -> Box<dyn FnOnce()> {
        let slow = begin(pod);
        let go = pod.path("go");
        Box::new(move || {
            fs::write(&go, "").unwrap();
            assert_eq!(
                body(&slow.wait_with_output().unwrap()).as_deref(),
                Some("at last")
            );
            fs::remove_file(go).unwrap();
        })
    }
}

const PORT: u16 = 9000;

/// Finds the program, which Debian names after its version: `php-fpm8.2`.
fn program() -> PathBuf {
    let is_it = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("php-fpm"))
    };
    let files = fs::read_dir("/usr/sbin").unwrap();
    let mut paths = files.map(|file| file.unwrap().path());
    paths.find(is_it).expect("php-fpm")
}

/// A client that requests a script.
fn request(pod: &Pod, script: &str) -> Command {
    let mut command = Command::new("cgi-fcgi");
    command
        .args(["-bind", "-connect", &format!("127.0.0.1:{PORT}")])
        .env("REQUEST_METHOD", "GET")
        .env("SCRIPT_FILENAME", pod.path(script));
    command
}

/// The body of the answer, if there is one.
fn body(output: &Output) -> Option<String> {
    let answer = String::from_utf8_lossy(&output.stdout);
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some(body.to_owned())
}

/// Begins a request that is answered once the file `go` exists.
fn begin(pod: &Pod) -> Child {
    let mut command = request(pod, "slow.php");
    let child = pod.spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()));
    eventually("begun", || fs::remove_file(pod.path("begun")).is_ok());
    child
}

#[test]
fn each_update_is_one_reload_of_the_same_process() {
    let php_fpm = three_updates(PATIENT);
    expect_reloads(&php_fpm, 3);
}

#[test]
fn a_slow_request_survives_a_reload() {
    let mut php_fpm = App::start(PATIENT);
    let sidecar = php_fpm.sidecar(php_fpm.settings());
    let held = php_fpm.application.hold(&php_fpm.pod);
    php_fpm.replace("two");
    php_fpm.expect_logged("Reloading in progress", 1);
    held();
    php_fpm.answers("two");
    println!("php-fpm: 1 slow request held, 0 lost");
    php_fpm.expect_reloads(1, sidecar);
    expect_reloads(&php_fpm, 1);
}

#[test]
fn without_a_timeout_a_reload_drops_a_slow_request() {
    let mut php_fpm = App::start(PhpFpm {
        process_control_timeout: "0",
    });
    let sidecar = php_fpm.sidecar(php_fpm.settings());
    let slow = begin(&php_fpm.pod);
    php_fpm.update("two");
    assert_eq!(body(&slow.wait_with_output().unwrap()), None);
    println!("php-fpm, process_control_timeout = 0: 1 slow request lost");
    php_fpm.expect_reloads(1, sidecar);
}

#[test]
fn a_signal_to_every_process_drops_a_request() {
    let php_fpm = App::start(PATIENT);
    let settings = php_fpm
        .settings()
        .set("PROCESS_SELECT", "all")
        .set("PROCESS_MIN_AGE", "0");
    let mut sidecar = php_fpm.sidecar(settings);
    let slow = begin(&php_fpm.pod);
    php_fpm.replace("two");
    // The guard does not help: during a request a worker has handlers, but they exit, too.
    sidecar.expect("the process ended after the signal");
    assert_eq!(body(&slow.wait_with_output().unwrap()), None);
    php_fpm.answers("two");
    println!("php-fpm, all: 1 slow request lost");
}

#[test]
fn it_survives_updates_while_it_starts() {
    survives_updates_while_it_starts(|| PATIENT);
}

/// Asserts that it reloaded this many times, and no worker was killed.
#[track_caller]
fn expect_reloads(php_fpm: &App<PhpFpm>, count: usize) {
    php_fpm.expect_logged("Reloading in progress", count);
    php_fpm.expect_logged("ready to handle connections", count + 1);
    php_fpm.expect_logged("exited on signal", 0);
}
