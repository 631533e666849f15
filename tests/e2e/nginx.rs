//! nginx reloads its configuration, keeps its master and finishes the requests that it is serving.

use crate::app::{App, Application};
use crate::http::{large_file, read_head};
use crate::pod::{Pod, id_in_pod};
use crate::startup::survives_updates_while_it_starts;
use crate::support::process::{Talker, eventually};
use crate::support::volume::Order;
use std::io::{BufReader, Read, Write};
use std::process::Command;

/// nginx with one worker. Its locations are in the volume.
pub struct Nginx;

impl Application for Nginx {
    const NAME: &str = "nginx";

    fn command(&self, pod: &Pod) -> Command {
        let path = pod.path("");
        let path = path.display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {path}/{kind};"));
        // A worker of another user could not write its temporary files here.
        let config = format!(
            "daemon off; worker_processes 1; user root; pid {path}/pid; error_log stderr notice;
             events {{}}
             http {{
               access_log off; {}
               server {{
                 listen {PORT};
                 location /files/ {{ alias {path}/; }}
                 location /slow {{ proxy_pass http://127.0.0.1:{BACKEND}; }}
                 include {path}/volume/*.conf;
               }}
             }}",
            temporary.concat()
        );
        let config = pod.write("nginx.conf", config);
        let mut command = Command::new("nginx");
        command.args(["-e", "stderr", "-c"]).arg(config);
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        vec![("main.conf".to_owned(), location("/", text))]
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        pod.get(PORT, "/")
    }

    fn hold(&self, pod: &Pod) -> Box<dyn FnOnce()> {
        pod.write("large", large_file());
        let download = pod.download(PORT, "/files/large");
        Box::new(|| download.expect_whole())
    }
}

const PORT: u16 = 8080;
const BACKEND: u16 = 8081;

/// Returns the configuration of a location that answers with a text.
fn location(location: &str, text: &str) -> String {
    format!("location = {location} {{ return 200 {text}; }}")
}

#[test]
fn an_update_that_swaps_first_is_one_reload() {
    each_update_is_one_reload(Order::SwapFirst);
}

#[test]
fn an_update_that_links_first_is_one_reload() {
    each_update_is_one_reload(Order::LinksFirst);
}

fn each_update_is_one_reload(order: Order) {
    let nginx = App::start_on(Nginx, order);
    let sidecar = nginx.sidecar(nginx.settings());
    nginx.update("two");
    nginx.volume.update(&[
        ("main.conf", &location("/", "three")),
        ("new.conf", &location("/new", "new")),
    ]);
    eventually("serving the new file's location", || {
        nginx.pod.get(PORT, "/new").as_deref() == Some("new")
    });
    nginx.answers("three");
    nginx.update("four");
    eventually("without the removed file's location", || {
        nginx.pod.get(PORT, "/new").as_deref() != Some("new")
    });
    expect_reloads(nginx, 3, sidecar);
}

#[test]
fn a_download_survives_a_reload() {
    let nginx = App::start(Nginx);
    let sidecar = nginx.sidecar(nginx.settings());
    let old_worker = worker(&nginx);
    let held = nginx.application.hold(&nginx.pod);
    nginx.update("two");
    let exited = format!("worker process {old_worker} exited with code 0");
    // The old worker still serves the download.
    nginx.expect_logged(&exited, 0);
    held();
    nginx.expect_logged(&exited, 1);
    expect_reloads(nginx, 1, sidecar);
}

#[test]
fn slow_requests_survive_several_reloads() {
    let nginx = App::start(Nginx);
    let sidecar = nginx.sidecar(nginx.settings());
    let backend = nginx.pod.listen(BACKEND);
    let open: Vec<_> = ["two", "three", "four"]
        .iter()
        .map(|text| {
            let client = nginx.pod.request(PORT, "/slow").unwrap();
            let (mut server, _) = backend.accept().unwrap();
            read_head(&mut BufReader::new(&mut server));
            nginx.update(text);
            (client, server)
        })
        .collect();
    let held = open.len();
    for (mut client, mut server) in open {
        server.write_all(b"HTTP/1.0 200 OK\r\n\r\nat last").unwrap();
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nat last"), "{answer}");
    }
    println!("nginx: {held} slow requests held, 0 lost");
    expect_reloads(nginx, 3, sidecar);
}

#[test]
fn it_survives_updates_while_it_starts() {
    survives_updates_while_it_starts(|| Nginx);
}

/// Returns the id of the newest worker.
fn worker(nginx: &App<Nginx>) -> String {
    // The worker may answer before the master has logged its start.
    eventually("logged the start of a worker", || {
        nginx.count("start worker process ") > 0
    });
    let log = nginx.log();
    let (_, started) = log.rsplit_once("start worker process ").unwrap();
    started.lines().next().unwrap().to_owned()
}

/// Asserts that the sidecar signalled only the master, this many times, and that no worker was killed.
#[track_caller]
fn expect_reloads(mut nginx: App<Nginx>, count: usize, sidecar: Talker) {
    let sender = id_in_pod(sidecar.pid().as_raw_nonzero().get() as u32);
    let master = id_in_pod(nginx.main.id());
    nginx.expect_reloads(count, sidecar);
    let signalled =
        format!(" {master}#{master}: signal 1 (SIGHUP) received from {sender}, reconfiguring");
    nginx.expect_logged(&signalled, count);
    nginx.expect_logged("(SIGHUP)", count);
    nginx.expect_logged(": reconfiguring", count);
    nginx.expect_logged("exited on signal", 0);
}
