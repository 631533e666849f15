//! nginx reloads its configuration from a volume, keeps its master and finishes what it is serving.

use crate::named;
use crate::support::process::{Settings, Talker, eventually};
use crate::support::volume::{Order, Volume};
use crate::support::{is_root, unique_name};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn an_update_that_swaps_before_it_links_is_one_reload() {
    each_update_is_one_reload(Order::SwapFirst);
}

#[test]
fn an_update_that_links_before_it_swaps_is_one_reload() {
    each_update_is_one_reload(Order::LinksFirst);
}

fn each_update_is_one_reload(order: Order) {
    let nginx = Nginx::start(order);
    let sidecar = nginx.sidecar();
    nginx.volume.update(&[("main.conf", &answer("/", "two"))]);
    eventually("answered as the first update says", || {
        nginx.get("/").as_deref() == Some("two")
    });
    nginx.volume.update(&[
        ("main.conf", &answer("/", "three")),
        ("new.conf", &answer("/new", "new")),
    ]);
    eventually("answered as the new file says", || {
        nginx.get("/new").as_deref() == Some("new")
    });
    eventually("answered as the second update says", || {
        nginx.get("/").as_deref() == Some("three")
    });
    nginx.expect_reloads(2, sidecar);
}

#[test]
fn a_download_that_a_reload_meets_comes_in_full() {
    // More than what fits into a socket, so that nginx is amid sending until the client goes on reading.
    let content: Vec<u8> = (0..4_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let nginx = Nginx::start(Order::SwapFirst);
    let sidecar = nginx.sidecar();
    fs::write(nginx.directory.path().join("large"), &content).unwrap();
    let old_worker = nginx.worker();
    let mut download = nginx.request("/files/large").expect("nginx listens");
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        download.read_line(&mut line).unwrap();
    }
    let mut received = vec![0; 1000];
    download.read_exact(&mut received).unwrap();

    nginx.volume.update(&[("main.conf", &answer("/", "two"))]);
    eventually("answered as the update says", || {
        nginx.get("/").as_deref() == Some("two")
    });
    let exited = format!("worker process {old_worker} exited with code 0");
    assert!(
        !nginx.log().contains(&exited),
        "the old worker still serves the download:\n{}",
        nginx.log()
    );

    download.read_to_end(&mut received).unwrap();
    assert!(
        received == content,
        "{} of {} bytes, or others",
        received.len(),
        content.len()
    );
    eventually("ended the old worker", || nginx.log().contains(&exited));
    nginx.expect_reloads(1, sidecar);
}

/// An address of the loopback's sixteen million that no other test listens on: it is made of what no other has, the process's
/// id, which has at most 22 bits.
fn own_address() -> SocketAddr {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) & 3;
    let host = 127 << 24 | std::process::id() << 2 | count;
    (Ipv4Addr::from_bits(host), 8080).into()
}

/// A configuration file for one location that answers with a text.
fn answer(location: &str, text: &str) -> String {
    format!("location = {location} {{ return 200 {text}; }}")
}

/// An nginx of its own name, in the foreground, with one worker. What its server does is in the volume's files.
struct Nginx {
    directory: tempfile::TempDir,
    address: SocketAddr,
    volume: Volume,
    name: String,
    master: Child,
}

impl Nginx {
    fn start(order: Order) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display();
        let volume = Volume::new(
            directory.path().join("volume"),
            order,
            &[("main.conf", &answer("/", "one"))],
        );
        let address = own_address();
        // A worker of root would be nobody, who may not read here.
        let user = if is_root() { "user root;" } else { "" };
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {path}/{kind};"));
        let config = format!(
            "daemon off; worker_processes 1; {user} pid {path}/pid; error_log {path}/error.log notice;
             events {{}}
             http {{
               access_log off; {}
               server {{
                 listen {address};
                 location /files/ {{ alias {path}/; }}
                 include {path}/volume/*.conf;
               }}
             }}",
            temporary.concat()
        );
        fs::write(directory.path().join("nginx.conf"), config).unwrap();
        // A link's own name is the process's: the sidecar of this test must not find the nginx of another.
        let name = unique_name();
        symlink(named("NGINX_PROGRAM"), directory.path().join(&name)).unwrap();
        let master = Command::new(directory.path().join(&name))
            .arg("-p")
            .arg(directory.path())
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self {
            directory,
            address,
            volume,
            name,
            master,
        };
        eventually("answered", || nginx.get("/").as_deref() == Some("one"));
        nginx
    }

    fn sidecar(&self) -> Talker {
        Settings::new(&self.volume.path, &self.name)
            .set("RELOAD_MIN_INTERVAL", "0")
            .start()
    }

    /// Sends a request; nothing of the answer is read yet.
    fn request(&self, location: &str) -> Option<BufReader<TcpStream>> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        write!(stream, "GET {location} HTTP/1.0\r\n\r\n").ok()?;
        Some(BufReader::new(stream))
    }

    /// The body of the answer.
    fn get(&self, location: &str) -> Option<String> {
        let mut answer = String::new();
        self.request(location)?.read_to_string(&mut answer).ok()?;
        answer
            .split_once("\r\n\r\n")
            .map(|(_, body)| body.to_owned())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("error.log")).unwrap()
    }

    fn worker(&self) -> String {
        let log = self.log();
        log.rsplit_once("start worker process ")
            .unwrap()
            .1
            .lines()
            .next()
            .unwrap()
            .to_owned()
    }

    /// Ends both and reads in both their logs that the master, which was never another, was told so many times, and no worker.
    #[track_caller]
    fn expect_reloads(mut self, count: usize, mut sidecar: Talker) {
        // A late signal would come before this is decided: whatever was going on is over by then.
        sidecar.seen();
        fs::set_permissions(
            self.volume.path.join("main.conf"),
            Permissions::from_mode(0o600),
        )
        .unwrap();
        sidecar.expect("the content is the same");
        let sender = sidecar.pid();
        sidecar.signal(Signal::TERM);
        let (status, sidecar_log) = sidecar.finish();
        assert_eq!(status.code(), Some(0));
        assert!(
            self.master.try_wait().unwrap().is_none(),
            "the master was ended"
        );
        self.end();
        let log = self.log();

        let master = self.master.id();
        let sent: Vec<_> = sidecar_log
            .iter()
            .filter(|line| line.contains("signal sent"))
            .collect();
        assert_eq!(sent.len(), count, "{sidecar_log:#?}");
        assert!(
            sent.iter()
                .all(|line| line.contains(&format!(" pid={master} "))),
            "{sent:#?}"
        );
        let received: Vec<_> = log
            .lines()
            .filter(|line| line.contains("(SIGHUP)"))
            .collect();
        assert_eq!(received.len(), count, "{log}");
        let line =
            format!(" {master}#{master}: signal 1 (SIGHUP) received from {sender}, reconfiguring");
        assert!(
            received.iter().all(|received| received.ends_with(&line)),
            "{received:#?}"
        );
        assert_eq!(
            log.lines()
                .filter(|line| line.ends_with(": reconfiguring"))
                .count(),
            count,
            "{log}"
        );
    }

    /// Asks the master to end, which ends its workers, and waits for it.
    fn end(&mut self) {
        if self.master.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = kill_process(Pid::from_child(&self.master), Signal::TERM);
            let _ = self.master.wait();
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.end();
    }
}
