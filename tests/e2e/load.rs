//! Ten seconds of 10,000 requests for the metrics per second delay no signal, and no memory is leaked. The floor program, measured
//! on the same machine at the same time, sets the limit.
//!
//! `make e2e` runs this test alone, in its own PID namespace as in a Pod, and at high priority, so that scheduling does not distort
//! the comparison.

use crate::sample::Sample;
use crate::support::process::{Settings, Talker, Target, eventually, spawn};
use crate::support::program;
use crate::support::volume::{Order, Volume};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Requests per second.
const RATE: u64 = 10_000;
const CONNECTIONS: u64 = 5;
const SECONDS: u64 = 10;
/// The longest delay of the sidecar, as a multiple of the floor's.
const BUDGET: f64 = 2.0;

fn now() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// A volume, the application that reads it, and the program that signals the application.
struct Watched {
    watcher: Talker,
    target: Target,
    volume: Volume,
    round: u32,
    /// From each update's last step to the signal handler, in microseconds.
    delays: Vec<f64>,
    _directory: tempfile::TempDir,
}

impl Watched {
    fn new(medium: &Path, start: impl FnOnce(&Path, &Target) -> Talker) -> Self {
        let directory = tempfile::tempdir_in(medium).unwrap();
        let path = directory.path().join("volume");
        let volume = Volume::new(path, Order::SwapFirst, &[("app.conf", "start")]);
        let target = Target::start(&volume.path.join("app.conf"));
        Self {
            watcher: start(&volume.path, &target),
            target,
            volume,
            round: 0,
            delays: Vec::new(),
            _directory: directory,
        }
    }

    fn update(&mut self) {
        self.round += 1;
        let content = format!("round {}", self.round);
        let mut last_step = 0;
        (self.volume).update_with(&[("app.conf", &content)], |_| last_step = now());
        let (_, handled, seen) = self.target.signalled_at();
        assert_eq!(seen, content);
        self.delays.push((handled - last_step) as f64 / 1e3);
    }
}

/// Updates both volumes in alternating order until `is_over` returns true. Returns the delays of each.
fn update(
    sidecar: &mut Watched,
    floor: &mut Watched,
    mut is_over: impl FnMut(u64) -> bool,
) -> [Sample; 2] {
    for round in 0.. {
        if is_over(round) {
            break;
        }
        let mut pair = [&mut *sidecar, &mut *floor];
        if round % 2 == 1 {
            pair.reverse();
        }
        for watched in pair {
            // Irregular, so as not to run in step with the load, and long enough for the last update to settle.
            sleep(Duration::from_micros(4000 + round * 1618 % 8000));
            watched.update();
        }
    }
    [sidecar, floor].map(|watched| Sample::of(std::mem::take(&mut watched.delays)))
}

fn start_floor(root: &Path, target: &Target) -> Talker {
    let mut command = Command::new(program().with_file_name("floor"));
    command
        .arg(root)
        .arg(target.talker.pid().as_raw_nonzero().to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = spawn(&mut command);
    let output = child.stderr.take().unwrap();
    let floor = Talker::new(child, output);
    eventually("watching", || floor.sleeps_in(libc::SYS_read).is_some());
    floor
}

fn load(port: u16, seconds: u64) -> Child {
    let mut command = Command::new("h2load");
    command
        .args(["--h1", "--clients", &CONNECTIONS.to_string()])
        // A little more, to make up for the ramp at both ends.
        .args(["--rps", &(RATE * 102 / 100 / CONNECTIONS).to_string()])
        .args(["--duration", &seconds.to_string()])
        .arg(format!("http://127.0.0.1:{port}/metrics"))
        .stdout(Stdio::piped());
    spawn(&mut command)
}

/// Returns the number of requests. Asserts that none failed.
fn finish(load: Child) -> u64 {
    let output = load.wait_with_output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let (_, requests) = report.split_once("requests: ").expect(&report);
    let counts = requests.lines().next().unwrap().split(", ");
    // 100 total, 100 started, 100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout
    let count = |what| {
        let mut words = counts.clone().filter_map(|count| count.split_once(' '));
        let (count, _) = words.find(|(_, name)| *name == what).expect(&report);
        count.parse::<u64>().unwrap()
    };
    for what in ["failed", "errored", "timeout"] {
        assert_eq!(count(what), 0, "{report}");
    }
    assert_eq!(count("succeeded"), count("done"), "{report}");
    count("done")
}

fn print(what: &str, [sidecar, floor]: &[Sample; 2]) {
    print!("{what}, {} updates, us:", sidecar.count());
    for share in [0.5, 0.9, 0.99, 1.0] {
        let (one, other) = (sidecar.at(share), floor.at(share));
        let ratio = one / other;
        print!(" p{} {one:.0}/{other:.0} = {ratio:.2};", share * 100.0);
    }
    println!();
}

/// Measures once, and returns true if the signals are in time.
fn are_in_time(medium: &Path) -> bool {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut sidecar = Watched::new(medium, |root, target| {
        Settings::new(root, &target.name)
            .set("RELOAD_MIN_INTERVAL", "0")
            .set("RELOAD_CONFIRM", "warn")
            .set("VERBOSE", "false")
            .set("LISTEN_ADDR", format!(":{port}"))
            .start()
    });
    let mut floor = Watched::new(medium, start_floor);
    let process = format!("/proc/{}", sidecar.watcher.pid().as_raw_nonzero());
    let memory = || {
        let maps = fs::read_to_string(format!("{process}/smaps_rollup")).unwrap();
        let line = maps.lines().find(|line| line.starts_with("Anonymous:"));
        line.unwrap().to_owned()
    };
    // The first requests touch memory that stays in use.
    finish(load(port, 1));
    let quiet = update(&mut sidecar, &mut floor, |rounds| rounds == 100);
    sidecar.watcher.wait_until_idle();
    let before = memory();

    let mut load = load(port, SECONDS);
    let loaded = update(&mut sidecar, &mut floor, |_| {
        load.try_wait().unwrap().is_some()
    });
    let requests = finish(load);
    println!("{}: {requests} requests", medium.display());
    print("without load", &quiet);
    print("under load", &loaded);
    sidecar.watcher.wait_until_idle();
    assert_eq!(memory(), before);
    assert!(requests >= RATE * SECONDS, "{requests} requests");
    let (_, lines) = sidecar.watcher.end();
    let sent = lines.iter().filter(|line| line.contains("signal sent"));
    let updates = quiet[0].count() + loaded[0].count();
    assert_eq!(sent.count(), updates, "one signal per update");
    let [sidecar, floor] = loaded;
    [(0.5, 0.5), (0.9, 0.9), (0.99, 1.0)]
        .iter()
        .all(|&(share, of_floor)| {
            let (one, other) = (sidecar.at(share), floor.at(of_floor));
            let is_in_time = one <= BUDGET * other;
            if !is_in_time {
                println!(
                    "late: quantile {share} is {one} us, the floor's quantile {of_floor} is {other} us"
                );
            }
            is_in_time
        })
}

#[test]
fn ten_thousand_requests_a_second_delay_no_signal() {
    // The media of Secrets and of ConfigMaps.
    for medium in [Path::new("/dev/shm"), &std::env::temp_dir()] {
        // Other load on the machine can only add delays, so one measurement of three has to pass.
        assert!((0..3).any(|_| are_in_time(medium)), "late three times");
    }
}
