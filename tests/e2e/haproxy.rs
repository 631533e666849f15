//! haproxy with a master (`-W`) starts new workers and lets the old ones finish. Without one, it does not reload.

use crate::app::{App, Application, carries, three_updates, update_is_reported_unread};
use crate::pod::Pod;
use crate::startup::survives_updates_while_it_starts;
use crate::support::process::{Settings, eventually};
use crate::support::recipes::recipe;
use std::net::{TcpListener, TcpStream};
use std::process::Command;

pub struct Haproxy;

impl Application for Haproxy {
    const NAME: &str = "haproxy -W";

    fn command(&self, pod: &Pod) -> Command {
        let mut command = Command::new("haproxy");
        command.args(["-W", "-db", "-f"]).arg(pod.path("volume"));
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        vec![("main.cfg".to_owned(), config(text))]
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        pod.get(PORT, "/")
    }

    fn hold(&self, pod: &Pod) -> Box<dyn FnOnce()> {
        let (mut client, mut server) = tunnel(pod, &pod.listen(BACKEND));
        Box::new(move || carries(&mut client, &mut server))
    }
}

const PORT: u16 = 8080;
const TUNNEL: u16 = 8081;
const BACKEND: u16 = 8082;

fn config(text: &str) -> String {
    format!(
        "defaults
           timeout connect 1m
           timeout client 1m
           timeout server 1m
         frontend web
           mode http
           bind 127.0.0.1:{PORT}
           http-request return status 200 content-type text/plain string {text}
         listen tunnel
           mode tcp
           bind 127.0.0.1:{TUNNEL}
           server backend 127.0.0.1:{BACKEND}\n"
    )
}

/// Opens a connection through it. Returns its ends, of which the second is the backend's.
fn tunnel(pod: &Pod, backend: &TcpListener) -> (TcpStream, TcpStream) {
    let client = pod.connect(TUNNEL).unwrap();
    let (server, _) = backend.accept().unwrap();
    (client, server)
}

/// haproxy without a master, and the signal to send.
struct Alone(&'static str);

impl Application for Alone {
    const NAME: &str = "haproxy without -W";
    const READS_AGAIN: bool = false;

    fn set(&self, settings: Settings) -> Settings {
        recipe(Haproxy::NAME)
            .set(settings)
            .set("RELOAD_SIGNAL", self.0)
    }

    fn command(&self, pod: &Pod) -> Command {
        let mut command = Command::new("haproxy");
        command.args(["-db", "-f"]).arg(pod.path("volume"));
        command
    }

    fn payload(&self, pod: &Pod, text: &str) -> Vec<(String, String)> {
        Haproxy.payload(pod, text)
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        Haproxy.answer(pod)
    }
}

#[test]
fn each_update_is_one_reload_by_the_master() {
    let haproxy = three_updates(Haproxy);
    expect_workers(&haproxy, 4);
}

#[test]
fn connections_survive_several_reloads() {
    let mut haproxy = App::start(Haproxy);
    let sidecar = haproxy.sidecar(haproxy.settings());
    let backend = haproxy.pod.listen(BACKEND);
    let mut open: Vec<_> = ["two", "three", "four"]
        .iter()
        .map(|text| {
            let ends = tunnel(&haproxy.pod, &backend);
            haproxy.update(text);
            ends
        })
        .collect();
    for (client, server) in &mut open {
        carries(client, server);
    }
    println!("haproxy -W: {} connections held, 0 lost", open.len());
    haproxy.expect_reloads(3, sidecar);
    assert_eq!(
        haproxy.workers().len(),
        4,
        "one worker per connection, and the newest"
    );
    drop(open);
    eventually("ended the old workers", || haproxy.workers().len() == 1);
    expect_workers(&haproxy, 4);
}

#[test]
fn without_a_master_it_is_reported_for_not_reloading() {
    // It ignores SIGUSR2, and prints its status on SIGHUP.
    for signal in ["SIGUSR2", "SIGHUP"] {
        update_is_reported_unread(Alone(signal));
    }
}

#[test]
fn it_survives_updates_while_it_starts() {
    survives_updates_while_it_starts(|| Haproxy);
}

/// Asserts that this many workers were started, and none was killed.
#[track_caller]
fn expect_workers(haproxy: &App<Haproxy>, count: usize) {
    haproxy.expect_logged("New worker", count);
    haproxy.expect_logged("ended with code", 0);
    haproxy.expect_logged("signal", 0);
}
