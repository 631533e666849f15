//! Metrics and health by HTTP: the pages are true, and no client can block the sidecar (M1, S3).

use crate::support::kernel::{inside, refuse};
use crate::support::process::{Settings, Talker, Target, eventually, open_to_all};
use crate::support::scene::Config;
use crate::support::{DEADLINE, is_emulated};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_socket_linger;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// Returns a free port outside the kernel's range for outgoing connections.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + std::process::id() as u16 % 20_000;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 2000;
        let everywhere = (Ipv4Addr::UNSPECIFIED, port);
        let is_free = TcpListener::bind(everywhere).is_ok();
        if is_free && TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A sidecar that listens on the loopback, with one file to watch.
struct Listening {
    config: Config,
    sidecar: Talker,
    address: SocketAddr,
}

impl Listening {
    fn start(name: &str) -> Self {
        Self::start_with(name, |settings| settings)
    }

    fn start_with(name: &str, adapt: impl FnOnce(Settings) -> Settings) -> Self {
        Self::on(Config::new(), name, adapt)
    }

    fn on(config: Config, name: &str, adapt: impl FnOnce(Settings) -> Settings) -> Self {
        let port = free_port();
        let settings = config.settings(name).set("LISTEN_ADDR", format!(":{port}"));
        Self {
            sidecar: adapt(settings).start(),
            config,
            address: loopback(port),
        }
    }

    fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    fn get(&self, page: &str) -> Response {
        get(self.address, page)
    }

    fn metric(&self, name: &str) -> u64 {
        self.metrics()[&format!("reloader_{name}")]
    }

    fn metrics(&self) -> BTreeMap<String, u64> {
        let lines = self.get("/metrics").body;
        let lines = lines.lines().filter(|line| !line.starts_with('#'));
        let parts = lines.map(|line| line.rsplit_once(' ').unwrap());
        parts
            .map(|(name, number)| (name.to_owned(), number.parse().unwrap()))
            .collect()
    }

    /// Its memory and its descriptors.
    fn measure(&self) -> (Option<String>, usize) {
        let process = format!("/proc/{}", self.sidecar.pid().as_raw_nonzero());
        let maps = fs::read_to_string(format!("{process}/smaps_rollup")).unwrap();
        let memory = maps.lines().find(|line| line.starts_with("Anonymous:"));
        let memory = memory.filter(|_| !is_emulated()).map(str::to_owned);
        let descriptors = fs::read_dir(format!("{process}/fd")).unwrap().count();
        (memory, descriptors)
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

pub fn get(address: SocketAddr, page: &str) -> Response {
    exchange(
        &mut connect(address),
        &format!("GET {page} HTTP/1.1\r\nHost: a\r\n\r\n"),
    )
}

/// An answer, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    pub status: String,
    fields: BTreeMap<String, String>,
    pub body: String,
}

/// Sends a request and reads its whole answer.
fn exchange(stream: &mut TcpStream, request: &str) -> Response {
    stream.write_all(request.as_bytes()).unwrap();
    read_response(stream, request.starts_with("HEAD"))
}

fn read_response(stream: &mut TcpStream, head_only: bool) -> Response {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        let read = stream.read_exact(&mut byte);
        assert!(read.is_ok(), "{}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().lines();
    let status = lines.next().unwrap().strip_prefix("HTTP/1.1 ").unwrap();
    let status = status.to_owned();
    let fields: BTreeMap<_, _> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let length = if head_only {
        0
    } else {
        fields["Content-Length"].parse().unwrap()
    };
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    Response {
        status,
        fields,
        body: String::from_utf8(body).unwrap(),
    }
}

/// The other end has said everything: what is read is its end.
#[track_caller]
fn expect_end(stream: &mut TcpStream) {
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

/// The other end is gone, in one way or the other.
fn is_gone(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let outcome = stream.read(&mut [0]);
    outcome.map_or_else(
        |error| error.kind() != std::io::ErrorKind::WouldBlock,
        |read| read == 0,
    )
}

#[test]
fn s3_each_request_has_its_status() {
    let listening = Listening::start("nobody-http");
    let long = "x".repeat(9000);
    for (request, status, is_last) in [
        ("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK", false),
        ("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK", false),
        ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK", false),
        ("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK", false),
        ("GET /metrics HTTP/1.0\r\n\r\n", "200 OK", true),
        (
            "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "200 OK",
            true,
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "404 Not Found", false),
        (
            "DELETE /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
            "405 Method Not Allowed",
            false,
        ),
        (
            "REPORT /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
            "501 Not Implemented",
            false,
        ),
        (
            "GET http://a:80/healthz HTTP/1.1\r\nHost: a:80\r\n\r\n",
            "200 OK",
            false,
        ),
        ("GET /healthz HTTP/1.2\r\nHost: a\r\n\r\n", "200 OK", false),
        (
            "GET /healthz HTTP/3.0\r\nHost: a\r\n\r\n",
            "505 HTTP Version Not Supported",
            true,
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "400 Bad Request",
            true,
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n",
            "400 Bad Request",
            true,
        ),
        (
            "GET /healthz HTTP/1.1\rHost: a\r\n\r\n",
            "400 Bad Request",
            true,
        ),
        (
            "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "405 Method Not Allowed",
            true,
        ),
        ("GET /metrics HTTP/1.1\r\n\r\n", "400 Bad Request", true),
        ("hello\r\n", "400 Bad Request", true),
        // The start of TLS.
        ("\x16\x03\x01\x02", "400 Bad Request", true),
        (
            &format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
            "431 Request Header Fields Too Large",
            true,
        ),
        (
            &format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &long[..200]),
            "414 URI Too Long",
            true,
        ),
        (
            &format!("GET /metrics HTTP/1.1\r\nHost: a\r\nCookie: {long}\r\n\r\n"),
            "431 Request Header Fields Too Large",
            true,
        ),
    ] {
        let mut stream = listening.connect();
        let response = exchange(&mut stream, request);
        assert_eq!(response.status, status, "{request}");
        assert_eq!(
            response.fields["Content-Type"],
            "text/plain; version=0.0.4; charset=utf-8"
        );
        let connection = if is_last { "close" } else { "keep-alive" };
        assert_eq!(response.fields["Connection"], connection, "{request}");
        assert_eq!(
            response.fields.get("Allow").map(String::as_str),
            (status.starts_with("405")).then_some("GET, HEAD")
        );
        if is_last {
            expect_end(&mut stream);
        } else {
            let next = exchange(&mut stream, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(next.body, "200 OK\n", "{request}");
        }
    }
}

#[test]
fn s3_an_answer_says_when_it_was_given() {
    let listening = Listening::start("nobody-http");
    let now = || {
        let format = "+%a, %d %b %Y %H:%M:%S GMT";
        let mut date = Command::new("date");
        date.args(["-u", format]).env("LC_ALL", "C");
        let output = date.output().unwrap().stdout;
        String::from_utf8(output).unwrap().trim_end().to_owned()
    };
    eventually("the same second before and after", || {
        let before = now();
        let answer = listening.get("/healthz");
        let is_same = before == now();
        assert!(!is_same || answer.fields["Date"] == before, "{answer:?}");
        is_same
    });
}

#[test]
fn head_has_the_content_length_of_get() {
    let listening = Listening::start("nobody-http");
    let mut stream = listening.connect();
    let get = exchange(&mut stream, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = exchange(&mut stream, "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    let without_date = |mut response: Response| {
        response.fields.remove("Date").expect("a date");
        response.fields
    };
    assert_eq!(without_date(get.clone()), without_date(head));
    assert_eq!(get.body.len().to_string(), get.fields["Content-Length"]);
}

#[test]
fn requests_may_be_pipelined_and_come_byte_by_byte() {
    let listening = Listening::start("nobody-http");
    let pages = [
        ("/healthz", "200 OK"),
        ("/none", "404 Not Found"),
        ("/metrics", "200 OK"),
        ("/readyz", "200 OK"),
    ];
    let request = |page: &str| format!("GET {page} HTTP/1.1\r\nHost: a\r\n\r\n");
    let requests: String = pages.iter().map(|(page, _)| request(page)).collect();
    let mut stream = listening.connect();
    let mut slow = listening.connect();
    for _ in 0..50 {
        stream.write_all(requests.as_bytes()).unwrap();
        for (page, status) in pages {
            assert_eq!(read_response(&mut stream, false).status, status, "{page}");
        }
    }
    slow.set_nodelay(true).unwrap();
    for (at, byte) in requests.bytes().enumerate() {
        slow.write_all(&[byte]).unwrap();
        // Somebody else has answers all the while.
        if at % 10 == 0 {
            let response = exchange(&mut stream, &request("/healthz"));
            assert_eq!(response.body, "200 OK\n");
        }
    }
    for (page, status) in pages {
        assert_eq!(read_response(&mut slow, false).status, status, "{page}");
    }
}

#[test]
fn a_client_that_reads_no_answers_does_not_block_the_sidecar() {
    let mut listening = Listening::start("nobody-http");
    let mut stream = listening.connect();
    stream.set_nonblocking(true).unwrap();
    // Never reads: when there is no room for another answer, the connection is given up.
    let request = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    eventually("given up", || {
        stream
            .write_all(request.as_bytes())
            .is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
    });
    assert_eq!(listening.get("/healthz").status, "200 OK");
    listening.sidecar.wait_until_idle();
}

#[test]
fn clients_that_disconnect_leave_no_descriptor_behind() {
    let mut listening = Listening::start("nobody-http");
    let before = listening.measure().1;
    for round in 0..20 {
        // In the middle of a request, with and without an answer that is not read, by an end and by a reset.
        for text in [
            "",
            "GET /met",
            "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
            "hello\r\nand more",
        ] {
            let mut stream = listening.connect();
            stream.write_all(text.as_bytes()).unwrap();
            match round % 3 {
                0 => set_socket_linger(&stream, Some(Duration::ZERO)).unwrap(),
                1 => stream.shutdown(Shutdown::Write).unwrap(),
                _ => {}
            }
        }
    }
    assert_eq!(listening.get("/healthz").status, "200 OK");
    eventually("closed", || listening.measure().1 == before);
    listening.sidecar.wait_until_idle();
}

#[test]
fn input_after_the_final_response_is_ignored() {
    let mut listening = Listening::start("nobody-http");
    for _ in 0..20 {
        let mut stream = listening.connect();
        stream.write_all(b"hello\r\n").unwrap();
        // The answer is there, and its end as well: to bytes for a connection that is closed, the kernel would answer with a
        // reset, which discards them.
        eventually("at its end", || {
            let mut polled = [PollFd::new(&stream, PollFlags::RDHUP)];
            poll(&mut polled, Some(&Timespec::default())).unwrap() == 1
        });
        for _ in 0..100 {
            stream.write_all(&[b'x'; 1000]).unwrap();
        }
        listening.sidecar.wait_until_idle();
        assert_eq!(read_response(&mut stream, false).status, "400 Bad Request");
        expect_end(&mut stream);
    }
}

#[test]
fn a_half_closed_connection_still_gets_its_answer() {
    let listening = Listening::start("nobody-http");
    let mut stream = listening.connect();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_response(&mut stream, false).body, "200 OK\n");
    expect_end(&mut stream);
}

#[test]
fn a_thousand_idle_connections_do_not_block_a_request() {
    let config = Config::new();
    let mut target = Target::start(&config.file());
    let mut listening = Listening::on(config, &target.name, |settings| settings);
    let descriptors_before = listening.measure().1;
    for _ in 0..10 {
        assert_eq!(listening.get("/metrics").status, "200 OK");
    }
    // Delivers once, so that the stack has grown as far as it does.
    let content = listening.config.change();
    assert_eq!(target.signalled().1, content);
    listening.sidecar.wait_until_idle();
    let memory_before = listening.measure().0;
    let mut idle: Vec<TcpStream> = Vec::new();
    for at in 0..1000 {
        let mut stream = listening.connect();
        // Some have begun.
        if at % 2 == 0 {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHo").unwrap();
        }
        idle.push(stream);
    }
    // Whoever asks is answered, and goes on being answered although new ones come.
    let mut active = listening.connect();
    for _ in 0..20 {
        idle.push(listening.connect());
        let response = exchange(&mut active, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(response.status, "200 OK");
    }
    let content = listening.config.change();
    assert_eq!(target.signalled().1, content);
    // L3: at rest with all of them.
    listening.sidecar.wait_until_idle();
    let (memory, descriptors) = listening.measure();
    assert_eq!(memory, memory_before);
    assert!(descriptors <= descriptors_before + 8, "{descriptors}");
    eventually("left", || {
        idle.iter().filter(|it| !is_gone(it)).count() <= 7
    });
    drop((idle, active));
    eventually("closed", || listening.measure().1 == descriptors_before);
}

#[test]
fn l2_accept_is_retried_every_second_after_an_error() {
    if is_emulated() {
        eprintln!("system calls are refused to the emulator, not to the program");
        return;
    }
    let mut listening = Listening::start_with("nobody-http", |settings| {
        settings.adapt(|command| refuse(command, libc::SYS_accept4, None, libc::EMFILE))
    });
    let _waiting = listening.connect();
    listening
        .sidecar
        .expect("cannot accept a connection at LISTEN_ADDR: EMFILE; trying again every second");
    // It sleeps with a deadline.
    eventually("asleep", || {
        (listening.sidecar.sleeps_in(libc::SYS_ppoll)).is_some_and(|arguments| arguments[2] != 0)
    });
    assert_eq!(
        listening
            .sidecar
            .seen()
            .iter()
            .filter(|line| line.contains("cannot accept"))
            .count(),
        1
    );
}

#[test]
fn the_listener_uses_the_configured_address() {
    let port = free_port();
    let v4: SocketAddr = loopback(port);
    let v6: SocketAddr = (Ipv6Addr::LOCALHOST, port).into();
    let other: SocketAddr = (Ipv4Addr::new(127, 0, 0, 2), port).into();
    let config = Config::new();
    for (value, heard, unheard) in [
        (format!(":{port}"), &[v4, v6, other][..], &[][..]),
        (format!("localhost:{port}"), &[v4], &[v6, other]),
        (format!("127.0.0.2:{port}"), &[other], &[v4, v6]),
        (format!("0.0.0.0:{port}"), &[v4, other], &[v6]),
        (format!("[::1]:{port}"), &[v6], &[v4, other]),
        (format!("[::]:{port}"), &[v4, v6, other], &[]),
    ] {
        let settings = config.settings("nobody-http").set("LISTEN_ADDR", &value);
        let mut sidecar = settings.launch();
        sidecar.expect(&format!("listen_addr={value}"));
        sidecar.expect("watching");
        for address in heard {
            assert_eq!(get(*address, "/healthz").status, "200 OK", "{value}");
        }
        for address in unheard {
            assert!(TcpStream::connect(address).is_err(), "{value}: {address}");
        }
        let (status, _) = sidecar.end();
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn every_address_is_every_ipv4_one_on_a_kernel_without_ipv6() {
    let port = free_port();
    let config = Config::new();
    let settings = |value: &str| {
        let settings = config.settings("nobody-http");
        let v6 = Some(libc::AF_INET6 as u64);
        let without_v6 = settings.set("LISTEN_ADDR", format!("{value}:{port}"));
        without_v6.adapt(move |command| refuse(command, libc::SYS_socket, v6, libc::EAFNOSUPPORT))
    };
    for value in ["", "[::]"] {
        let sidecar = settings(value).start();
        assert_eq!(get(loopback(port), "/healthz").status, "200 OK");
        let (code, stdout, _) = settings(value).arguments(&["health"]).output();
        assert_eq!((code, &*stdout), (Some(0), "200 OK\n"));
        assert_eq!(sidecar.end().0.code(), Some(0));
    }
    let (code, _, stderr) = settings("[::1]").output();
    assert_eq!(code, Some(1));
    assert!(stderr.contains("EAFNOSUPPORT"), "{stderr}");
}

#[test]
#[ignore = "needs root"]
fn every_address_includes_ipv6_in_a_pod_that_has_nothing_else() {
    let config = Config::new();
    // Beside the loopback, the network namespace has one address.
    let v6_only = "ip link set lo up && ip address add fd00::2/128 dev lo nodad && exec \"$@\"";
    let settings = config.settings("nobody-http").set("LISTEN_ADDR", ":9533");
    let mut sidecar = settings
        .through(&["unshare", "--net", "sh", "-c", v6_only, "sh"])
        .launch();
    sidecar.expect("watching");
    let settings = config.settings("nobody-http").set("LISTEN_ADDR", ":9533");
    inside(sidecar.pid(), || {
        let answer = get("[fd00::2]:9533".parse().unwrap(), "/readyz");
        assert_eq!(answer.status, "200 OK");
        let (code, stdout, _) = settings.arguments(&["health"]).output();
        assert_eq!((code, &*stdout), (Some(0), "200 OK\n"));
    });
}

#[test]
fn a_port_in_use_or_a_foreign_address_is_an_error_at_startup() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let in_use = listener.local_addr().unwrap().to_string();
    let elsewhere = format!("192.0.2.1:{}", free_port());
    let config = Config::new();
    for (value, problem) in [
        (
            in_use,
            "EADDRINUSE; something in this Pod has the port; give another",
        ),
        (
            elsewhere,
            "EADDRNOTAVAIL; this Pod has no such address; give the port alone, as in :9533",
        ),
    ] {
        let settings = config.settings("nobody-http").set("LISTEN_ADDR", &value);
        let (code, stdout, stderr) = settings.output();
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        let expected = format!(r#"cannot listen on LISTEN_ADDR "{value}": {problem}"#);
        assert_eq!(stderr.trim_end().split_once(" error ").unwrap().1, expected);
    }
}

#[test]
fn health_asks_the_running_sidecar() {
    let listening = Listening::start_with("nobody-http", |settings| {
        settings.set("CONFIG_POLL_INTERVAL", "0")
    });
    let port = listening.address.port();
    let health = |address: &str| {
        let settings = listening.config.settings("nobody-http");
        let settings = settings.set("LISTEN_ADDR", address);
        settings.arguments(&["health"]).output()
    };
    for host in ["", "127.0.0.1", "0.0.0.0", "[::1]", "localhost"] {
        let expected = (Some(0), "200 OK\n".to_owned(), String::new());
        assert_eq!(health(&format!("{host}:{port}")), expected, "{host}");
    }
    let nobody = free_port();
    let (code, stdout, _) = health(&format!(":{nobody}"));
    assert_eq!(code, Some(1));
    assert_eq!(
        stdout,
        "! no answer at LISTEN_ADDR: ECONNREFUSED; is the sidecar running with the same LISTEN_ADDR?\n"
    );
    let (code, stdout, stderr) = health("off");
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("LISTEN_ADDR is not set"), "{stderr}");
}

#[test]
fn health_times_out() {
    // The kernel accepts the connection, but no answer ever comes.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let config = Config::new();
    let settings = config.settings("nobody-http");
    let settings = settings.set("LISTEN_ADDR", silent.local_addr().unwrap().to_string());
    let (code, stdout, _) = settings.arguments(&["health"]).output();
    assert_eq!(code, Some(1));
    assert!(stdout.contains("ETIMEDOUT"), "{stdout}");
}

#[test]
fn a_sidecar_that_cannot_notice_changes_is_not_ready() {
    if is_emulated() {
        eprintln!("system calls are refused to the emulator, not to the program");
        return;
    }
    let start = |interval: &str| {
        Listening::start_with("nobody-http", |settings| {
            settings
                .set("CONFIG_POLL_INTERVAL", interval)
                .adapt(|command| refuse(command, libc::SYS_inotify_init1, None, libc::EMFILE))
        })
    };
    let never = start("0");
    let response = never.get("/readyz");
    assert_eq!(response.status, "503 Service Unavailable");
    assert_eq!(
        response.body,
        "503 Service Unavailable\ninotify is refused or does not see everything, and CONFIG_POLL_INTERVAL is 0: changes may go unnoticed\n"
    );
    assert_eq!(never.get("/healthz").status, "200 OK");
    assert!(never.metric("watch_errors_total") > 0);
    assert_eq!(never.metric("watches"), 0);
    assert_eq!(never.metric("polling"), 0);
    let settings = never.config.settings("nobody-http");
    let settings = settings.set("LISTEN_ADDR", never.address.to_string());
    let (code, stdout, _) = settings.arguments(&["health"]).output();
    assert_eq!((code, stdout), (Some(1), response.body));

    let polling = start("20ms");
    assert_eq!(polling.get("/readyz").status, "200 OK");
    assert_eq!(polling.metric("polling"), 1);
    eventually("compared", || polling.metric("polls_total") > 2);
}

#[test]
fn w6_a_sidecar_is_not_ready_while_a_root_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let mut listening = Listening::start_with("nobody-http", |settings| {
        let roots = format!("{},/etc/hostname", missing.display());
        settings.set("CONFIG_DIR", roots)
    });
    let response = listening.get("/readyz");
    let expected = format!(
        "503 Service Unavailable\n{} is missing or cannot be read\n",
        missing.display()
    );
    assert_eq!(
        (response.status.as_str(), response.body),
        ("503 Service Unavailable", expected)
    );
    assert_eq!(listening.metric("roots"), 2);
    assert_eq!(listening.metric("roots_missing"), 1);
    fs::create_dir(&missing).unwrap();
    listening.sidecar.expect("is there again");
    assert_eq!(listening.get("/readyz").status, "200 OK");
    assert_eq!(listening.metric("roots_missing"), 0);
}

#[test]
fn m1_the_metrics_count_what_happens() {
    let started = seconds();
    let config = Config::new();
    let mut target = Target::start(&config.file());
    let mut listening = Listening::on(config, &target.name, |settings| {
        settings.set("RELOAD_CONFIRM", "warn")
    });
    let mut expected: BTreeMap<String, u64> = listening.metrics();
    let version = format!(
        "reloader_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    for (name, number) in &expected {
        let value = match name.as_str() {
            name if name == version => 1,
            "reloader_last_reload_successful" | "reloader_roots" => 1,
            // The directory and what is above it.
            "reloader_watches" => *number,
            _ => 0,
        };
        assert_eq!(*number, value, "{name}");
    }
    assert_eq!(expected.len(), 23);
    for _ in 0..3 {
        let content = listening.config.change();
        assert_eq!(target.signalled().1, content);
        listening.sidecar.expect("reload confirmed");
    }
    let mut count = |name: &str, number| expected.insert(format!("reloader_{name}"), number);
    for name in [
        "changes_total",
        "signals_total",
        "reloads_total",
        "confirmations_total",
    ] {
        count(name, 3);
    }
    let metrics = listening.metrics();
    let time = metrics["reloader_last_reload_success_timestamp_seconds"];
    assert!((started..=seconds()).contains(&time), "{time}");
    count("last_reload_success_timestamp_seconds", time);
    // Each event of these writes is one of the file.
    let events = metrics["reloader_watch_events_total"];
    let lines = listening.sidecar.seen().iter();
    assert_eq!(
        lines.filter(|line| line.contains("debug event")).count() as u64,
        events
    );
    count("watch_events_total", events);
    assert_eq!(metrics, expected);
}

#[test]
fn m1_the_metrics_count_a_failed_reload_and_its_recovery() {
    let name = crate::support::unique_name();
    // A change that was there when the program went to sleep counts from when it last saw that there was none.
    let before = seconds();
    let mut listening = Listening::start(&name);
    listening.config.change();
    listening
        .sidecar
        .expect("reload pending: no process matches");
    eventually("tried again", || listening.metric("retries_total") > 0);
    let since = listening.metric("pending_since_timestamp_seconds");
    assert!((before..=seconds()).contains(&since), "{since}");
    assert_eq!(listening.metric("last_reload_successful"), 0);
    assert_eq!(listening.metric("reloads_total"), 1);
    assert_eq!(listening.metric("reloads_failed_total"), 1);
    let response = listening.get("/readyz");
    assert_eq!(response.status, "200 OK", "less than a minute");
    let reason = format!(" s: no process matches process_name={name}\n");
    assert!(
        response
            .body
            .starts_with("200 OK\na reload has been pending for "),
        "{}",
        response.body
    );
    assert!(response.body.ends_with(&reason), "{}", response.body);
    let target = Target::start_as(&name, &listening.config.file(), &[]);
    listening.sidecar.expect("no signal needed");
    assert_eq!(listening.metric("last_reload_successful"), 1);
    assert_eq!(listening.metric("pending_since_timestamp_seconds"), 0);
    assert_eq!(listening.metric("reloads_total"), 1);
    assert_eq!(listening.get("/readyz").body, "200 OK\n");
    drop(target);
}

#[test]
fn the_metrics_count_a_process_that_ends_after_the_signal() {
    let config = Config::new();
    let target = Target::start(&config.file());
    let mut listening = Listening::on(config, &target.name, |settings| {
        settings.set("RELOAD_CONFIRM", "warn")
    });
    listening.config.change();
    listening.sidecar.expect("signal sent");
    drop(target);
    listening.sidecar.expect("the process ended");
    assert_eq!(listening.metric("target_exits_total"), 1);
    assert_eq!(listening.metric("reloads_failed_total"), 1);
    assert_eq!(listening.metric("last_reload_successful"), 0);
}

fn seconds() -> u64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs()
}

#[test]
fn w11_a_sidecar_that_may_not_list_a_directory_is_not_ready() {
    let config = Config::new();
    open_to_all(config.directory.path());
    let private = config.directory.path().join("private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, Permissions::from_mode(0o300)).unwrap();
    let port = free_port();
    let settings = config.settings("nobody-http").unprivileged();
    let _sidecar = settings.set("LISTEN_ADDR", format!(":{port}")).start();
    let health = config
        .settings("nobody-http")
        .set("LISTEN_ADDR", format!(":{port}"));
    let (code, stdout, _) = health.arguments(&["health"]).output();
    assert_eq!(code, Some(1));
    assert!(
        stdout.contains("a directory may not be listed: changes may go unnoticed\n"),
        "{stdout}"
    );
    fs::set_permissions(&private, Permissions::from_mode(0o700)).unwrap();
}
