//! squid reconfigures itself between requests; its tunnels stay open.

use crate::app::{App, Application, carries, three_updates};
use crate::http::read_head;
use crate::pod::Pod;
use crate::startup::survives_updates_while_it_starts;
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

pub struct Squid;

impl Application for Squid {
    const NAME: &str = "squid";

    fn command(&self, pod: &Pod) -> Command {
        let path = pod.path("");
        let path = path.display();
        let config = format!(
            "http_port 127.0.0.1:{PORT}
             http_access allow all
             cache deny all
             cache_effective_user proxy
             cache_log /dev/null
             access_log none
             netdb_filename none
             pinger_enable off
             coredump_dir {path}
             pid_filename {path}/pid
             include {path}/volume/*.conf"
        )
        // squid takes an indented line for the continuation of the one before.
        .replace("\n             ", "\n");
        let mut command = Command::new("squid");
        command
            .args(["--foreground", "-d", "1", "-f"])
            .arg(pod.write("squid.conf", config));
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        vec![("main.conf".to_owned(), format!("visible_hostname {text}\n"))]
    }

    /// Nobody listens at the requested address, so squid answers with an error page under its own name.
    fn answer(&self, pod: &Pod) -> Option<String> {
        let answer = pod.answer(PORT, "http://127.0.0.1:1/")?;
        let (_, via) = answer.split_once("\r\nVia: 1.1 ")?;
        Some(via.split_once(' ')?.0.to_owned())
    }

    fn hold(&self, pod: &Pod) -> Box<dyn FnOnce()> {
        let (mut client, mut server) = tunnel(pod, &pod.listen(BACKEND));
        Box::new(move || carries(&mut client, &mut server))
    }
}

/// Opens a connection through it. Returns its ends, of which the second is the backend's.
fn tunnel(pod: &Pod, backend: &TcpListener) -> (TcpStream, TcpStream) {
    let mut client = pod.connect(PORT).unwrap();
    write!(client, "CONNECT 127.0.0.1:{BACKEND} HTTP/1.0\r\n\r\n").unwrap();
    let (server, _) = backend.accept().unwrap();
    let mut client = BufReader::new(client);
    read_head(&mut client);
    (client.into_inner(), server)
}

const PORT: u16 = 3128;
const BACKEND: u16 = 8081;

#[test]
fn each_update_is_one_reload() {
    let squid = three_updates(Squid);
    expect_reloads(&squid, 3);
}

#[test]
fn tunnels_survive_several_reloads() {
    let mut squid = App::start(Squid);
    let sidecar = squid.sidecar(squid.settings());
    let backend = squid.pod.listen(BACKEND);
    let open: Vec<_> = ["two", "three", "four"]
        .iter()
        .map(|text| {
            let ends = tunnel(&squid.pod, &backend);
            squid.update(text);
            ends
        })
        .collect();
    println!("squid: {} tunnels held, 0 lost", open.len());
    for (mut client, mut server) in open {
        carries(&mut client, &mut server);
    }
    squid.expect_reloads(3, sidecar);
    expect_reloads(&squid, 3);
}

#[test]
fn it_survives_updates_while_it_starts() {
    survives_updates_while_it_starts(|| Squid);
}

#[track_caller]
fn expect_reloads(squid: &App<Squid>, count: usize) {
    squid.expect_logged("Reconfiguring Squid Cache", count);
    // Its worker was never restarted.
    squid.expect_logged("Starting Squid Cache", 1);
}
