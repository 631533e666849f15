//! Ten seconds of as many requests for the metrics as go through: no signal is late on their account, and nothing grows.

use crate::support::process::{Settings, Target};
use crate::support::volume::{Order, Volume};
use std::cell::Cell;
use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A second's requests at least.
const RATE: u64 = 10_000;

const SECONDS: u64 = 10;

/// No signal arrives later than this after the last step, however busy the processors are with the load itself.
const BUDGET: Duration = Duration::from_millis(50);

fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Updates the volume until `is_over`; how long each signal took from the last step to the handler, sorted.
fn delays(
    volume: &Volume,
    target: &mut Target,
    round: &Cell<u32>,
    mut is_over: impl FnMut(usize) -> bool,
) -> Vec<Duration> {
    let mut delays = Vec::new();
    while !is_over(delays.len()) {
        round.set(round.get() + 1);
        let content = format!("round {}", round.get());
        let mut last_step = Duration::ZERO;
        volume.update_with(&[("app.conf", &content)], |_| last_step = now());
        let (_, at, seen) = target.signalled_at();
        assert_eq!(seen, content);
        delays.push(Duration::from_nanos(at as u64).saturating_sub(last_step));
        // Often enough for a hundred in the time, and not what keeps the sidecar busy.
        std::thread::sleep(Duration::from_millis(50));
    }
    delays.sort();
    delays
}

#[test]
fn ten_thousand_requests_a_second_delay_no_signal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("volume");
    let volume = Volume::new(path, Order::SwapFirst, &[("app.conf", "start")]);
    let mut target = Target::start(&volume.path.join("app.conf"));
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut sidecar = Settings::new(&volume.path, &target.name)
        .set("RELOAD_MIN_INTERVAL", "0")
        .set("VERBOSE", "false")
        .set("LISTEN_ADDR", format!(":{port}"))
        .start();
    let process = format!("/proc/{}", sidecar.pid().as_raw_nonzero());
    let memory = || {
        let maps = fs::read_to_string(format!("{process}/smaps_rollup")).unwrap();
        let line = |name: &str| {
            maps.lines()
                .find(|line| line.starts_with(name))
                .unwrap()
                .to_owned()
        };
        (line("Anonymous:"), line("Rss:"))
    };
    let page = format!("http://127.0.0.1:{port}/metrics");
    let wrk = |seconds: u64| {
        let mut command = Command::new("wrk");
        command.args(["--threads", "1", "--connections", "8"]);
        command.args(["--duration", &format!("{seconds}s"), &page]);
        command.stdout(Stdio::piped());
        command
    };
    // What is touched once stays.
    assert!(wrk(1).output().unwrap().status.success());
    let round = Cell::new(0);
    let quiet = delays(&volume, &mut target, &round, |count| count == 50);
    sidecar.wait_at_rest();
    let before = memory();

    let mut load = wrk(SECONDS).spawn().unwrap();
    let started = Instant::now();
    let loaded = delays(&volume, &mut target, &round, |_| {
        load.try_wait().unwrap().is_some()
    });
    assert!(started.elapsed() >= Duration::from_secs(SECONDS));
    let output = load.wait_with_output().unwrap();
    assert!(output.status.success());
    let report = String::from_utf8(output.stdout).unwrap();
    sidecar.wait_at_rest();
    let (signals, log) = (loaded.len(), report.as_str());
    println!(
        "without load: {:?} in the middle, {:?} at most of {}; with it: {:?} and {:?} of {signals}; {} and {}\n{log}",
        quiet[quiet.len() / 2],
        quiet.last().unwrap(),
        quiet.len(),
        loaded[signals / 2],
        loaded.last().unwrap(),
        before.0,
        before.1,
    );
    let requests: u64 = log
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))
        .and_then(|(count, _)| count.parse().ok())
        .expect("wrk tells how many");
    assert!(requests >= RATE * SECONDS, "{requests} requests");
    assert!(
        !log.contains("Socket errors") && !log.contains("Non-2xx"),
        "{log}"
    );
    assert!(*loaded.last().unwrap() <= BUDGET, "{loaded:?}");
    assert_eq!(memory().0, before.0);
    let (_, lines) = sidecar.end();
    let sent = lines.iter().filter(|line| line.contains("signal sent"));
    assert_eq!(sent.count(), quiet.len() + signals, "one for each update");
}
