//! Trees that are made to keep the sidecar busy: whatever they hold, everything else has its turn (W12, L1).

use crate::http::{free_port, get, loopback};
use crate::support::is_emulated;
use crate::support::process::{Settings, Talker, Target, eventually};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use rustix::process::Signal;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The longest time that anything waits.
fn limit() -> Duration {
    Duration::from_millis(if is_emulated() { 500 } else { 50 })
}

/// Ends the thread that it is given to.
struct Running<'f>(&'f AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Returns how long a process or thread has waited for a processor; zero where the kernel does not say.
fn waited_for_processor(process: &str) -> Duration {
    let statistics = fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap_or_default();
    let waited = statistics.split_whitespace().nth(1);
    Duration::from_nanos(waited.map_or(0, |waited| waited.parse().unwrap()))
}

/// A sidecar on two roots: one with a file that its target reads, and a hostile one.
struct Hostile {
    directory: tempfile::TempDir,
    target: Target,
    sidecar: Talker,
    address: SocketAddr,
}

impl Hostile {
    /// Makes the hostile root, and starts the sidecar. Does not wait until it has read everything.
    fn start(make: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["good", "bad"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        let file = directory.path().join("good/app.conf");
        fs::write(&file, "start").unwrap();
        make(&directory.path().join("bad"));
        let target = Target::start(&file);
        let port = free_port();
        let roots = format!("{0}/bad,{0}/good", directory.path().display());
        let sidecar = Settings::new(roots, &target.name)
            .set("RELOAD_SETTLE", "20ms")
            .set("RELOAD_MIN_INTERVAL", "0")
            .set("LISTEN_ADDR", format!(":{port}"))
            .launch();
        Self {
            directory,
            target,
            sidecar,
            address: loopback(port),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The longest time that `/healthz` takes while everything is read once more.
    fn longest_answer(&mut self) -> Duration {
        self.sidecar.signal(Signal::USR1);
        self.sidecar.expect("reading everything");
        let is_reading = AtomicBool::new(true);
        let processes = [
            self.sidecar.pid().as_raw_nonzero().to_string(),
            "thread-self".to_owned(),
        ];
        // The machine is to blame for the time that both waited for a processor.
        let waited = || {
            processes
                .iter()
                .map(|it| waited_for_processor(it))
                .sum::<Duration>()
        };
        thread::scope(|scope| {
            let reading = Running(&is_reading);
            let longest = scope.spawn(|| {
                let mut longest = Duration::ZERO;
                while is_reading.load(Ordering::Relaxed) {
                    let (asked, had_waited) = (Instant::now(), waited());
                    assert_eq!(get(self.address, "/healthz").status, "200 OK");
                    let took = asked.elapsed();
                    longest = longest.max(took.saturating_sub(waited().saturating_sub(had_waited)));
                }
                longest
            });
            self.sidecar.expect("signal sent");
            drop(reading);
            longest.join().unwrap()
        })
    }

    /// A change of the good file arrives.
    #[track_caller]
    fn tells(&mut self, content: &str) {
        fs::write(self.path("good/app.conf"), content).unwrap();
        let target = &mut self.target;
        eventually("told", || target.last() == Some(content));
    }

    /// Asks it to stop while it reads everything, and returns the time until its end.
    fn stop(self) -> Duration {
        let Self { mut sidecar, .. } = self;
        sidecar.signal(Signal::USR1);
        sidecar.expect("reading everything");
        let asked = Instant::now();
        sidecar.signal(Signal::TERM);
        let (status, log) = sidecar.finish();
        let took = asked.elapsed();
        assert_eq!(status.code(), Some(0), "{log:#?}");
        took
    }
}

/// The best of at most three: the machine may be busy with other tests.
fn best(mut measure: impl FnMut() -> Duration) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        best = best.min(measure());
        if best < limit() {
            break;
        }
    }
    best
}

/// Everything is served in time on a root that `make` fills, and a change beside it arrives. Returns the log up to then.
#[track_caller]
fn survives(name: &str, make: impl Fn(&Path)) -> Vec<String> {
    let mut hostile = Hostile::start(&make);
    hostile.sidecar.expect("watching");
    let answer = best(|| hostile.longest_answer());
    assert!(answer < limit(), "{name}: /healthz took {answer:?}");
    hostile.tells("beside it");
    let log = hostile.sidecar.seen().to_vec();
    let mut first = Some(hostile);
    let end = best(|| {
        let again = || {
            let mut hostile = Hostile::start(&make);
            hostile.sidecar.expect("watching");
            hostile
        };
        first.take().unwrap_or_else(again).stop()
    });
    assert!(end < limit(), "{name}: the end took {end:?}");
    eprintln!("{name}: /healthz {answer:?}, TERM {end:?}");
    log
}

#[track_caller]
fn says(log: &[String], part: &str) -> usize {
    log.iter().filter(|line| line.contains(part)).count()
}

/// A dozen directories with a hundred links each to all of them, and one real file that comes last.
fn mesh(root: &Path) {
    for one in 0..12 {
        let directory = root.join(format!("d{one}"));
        fs::create_dir(&directory).unwrap();
        for link in 0..12 * 12 {
            let target = format!("../d{}", link % 12);
            symlink(target, directory.join(format!("l{link}"))).unwrap();
        }
        fs::write(directory.join("zz.conf"), "real").unwrap();
    }
}

#[test]
fn w12_directories_full_of_links_to_each_other_leave_time_for_everything_else() {
    let log = survives("mesh of links", mesh);
    assert_eq!(says(&log, "steps through links"), 1, "{log:#?}");
}

#[test]
fn w12_a_root_that_exceeds_a_bound_is_named_and_unready_and_its_real_files_are_watched() {
    let mut hostile = Hostile::start(mesh);
    hostile.sidecar.expect("65536 steps through links");
    hostile.sidecar.expect("watching");
    let readiness = get(hostile.address, "/readyz");
    assert_eq!(readiness.status, "503 Service Unavailable");
    let expected = format!(
        "503 Service Unavailable\n{} holds more than can be watched; the log says what is left out\n",
        hostile.path("bad").display()
    );
    assert_eq!(readiness.body, expected);
    let metrics = get(hostile.address, "/metrics").body;
    assert!(
        metrics.contains("\nreloader_roots_exceeding 1\n"),
        "{metrics}"
    );
    for directory in [0, 11] {
        fs::write(hostile.path(&format!("bad/d{directory}/zz.conf")), "new").unwrap();
        hostile.sidecar.expect("signal sent");
    }
    // It is ready again without them.
    for directory in 0..12 {
        fs::remove_dir_all(hostile.path(&format!("bad/d{directory}"))).unwrap();
    }
    let address = hostile.address;
    eventually("ready", || get(address, "/readyz").status == "200 OK");
}

#[test]
fn w12_many_links_to_one_large_file_are_read_up_to_a_bound() {
    let log = survives("links to one file", |root| {
        let file = File::create(root.join("sparse")).unwrap();
        file.set_len(8 << 20).unwrap();
        for link in 0..1500 {
            symlink("sparse", root.join(format!("l{link}"))).unwrap();
        }
    });
    assert_eq!(says(&log, "more than 1073741824 bytes"), 1, "{log:#?}");
}

#[test]
fn w12_long_chains_of_links_are_followed_up_to_a_bound() {
    survives("chains of links", |root| {
        for chain in 0..200 {
            for link in 0..39 {
                let target = format!("././././././c{chain}-{}", link + 1);
                symlink(target, root.join(format!("c{chain}-{link}"))).unwrap();
            }
            fs::write(root.join(format!("c{chain}-39")), "end").unwrap();
        }
    });
}

#[test]
fn w12_sixteen_levels_of_links_are_walked_up_to_a_bound() {
    survives("16 levels of links", |root| {
        for level in 0..16 {
            let directory = root.join(format!("l{level}"));
            fs::create_dir(&directory).unwrap();
            for link in 0..4 {
                let target = format!("../l{}", level + 1);
                symlink(target, directory.join(format!("to{link}"))).unwrap();
            }
        }
        fs::create_dir(root.join("l16")).unwrap();
    });
}

#[test]
fn w12_many_real_entries_leave_time_for_everything_else() {
    survives("10,000 files", |root| {
        for directory in 0..100 {
            let path = root.join(directory.to_string());
            fs::create_dir(&path).unwrap();
            for file in 0..100 {
                fs::write(path.join(file.to_string()), "content").unwrap();
            }
        }
    });
}

#[test]
fn w12_a_link_to_proc_is_not_entered() {
    let mut hostile = Hostile::start(|root| {
        symlink("/proc", root.join("proc")).unwrap();
        symlink("/proc/self/mounts", root.join("mtab")).unwrap();
        symlink("/sys", root.join("sys")).unwrap();
    });
    hostile.sidecar.expect("watching files=1 directories=2");
    hostile.tells("beside it");
    assert!(hostile.stop() < Duration::from_secs(1));
}

#[test]
fn w12_a_directory_that_is_exchanged_all_the_time_does_not_hold_up_anything() {
    let directory = tempfile::tempdir().unwrap();
    let way = directory.path();
    fs::create_dir_all(way.join("a/b")).unwrap();
    fs::write(way.join("a/b/file"), "").unwrap();
    let is_running = AtomicBool::new(true);
    thread::scope(|scope| {
        let running = Running(&is_running);
        scope.spawn(|| {
            // Always new directories, so that none of them is ever armed.
            while is_running.load(Ordering::Relaxed) {
                let other = way.join("other");
                fs::create_dir_all(other.join("b")).unwrap();
                let _ = fs::write(other.join("b/file"), "");
                renameat_with(
                    CWD,
                    other.as_path(),
                    CWD,
                    way.join("a"),
                    RenameFlags::EXCHANGE,
                )
                .unwrap();
                fs::remove_dir_all(&other).unwrap();
            }
        });
        survives("a directory exchanged", |root| {
            for link in 0..500 {
                symlink(way.join("a/b/file"), root.join(format!("l{link}"))).unwrap();
            }
        });
        drop(running);
    });
}

#[test]
fn w4_a_fifo_in_a_files_place_is_never_opened() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let is_running = AtomicBool::new(true);
    thread::scope(|scope| {
        let running = Running(&is_running);
        let opened = scope.spawn(|| {
            // Opening it for writing fails while nobody has it open for reading.
            let mut opened = 0;
            while is_running.load(Ordering::Relaxed) {
                let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK;
                opened += u32::from(rustix::fs::open(&fifo, flags, Mode::empty()).is_ok());
            }
            opened
        });
        let mut hostile = Hostile::start(|root| fs::write(root.join("file"), "").unwrap());
        hostile.sidecar.expect("watching");
        let (file, other) = (hostile.path("bad/file"), hostile.path("bad/other"));
        fs::hard_link(&fifo, &other).unwrap();
        for round in 0..300 {
            renameat_with(CWD, &file, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            if round % 100 == 0 {
                hostile.tells(&round.to_string());
            }
        }
        drop(running);
        assert_eq!(opened.join().unwrap(), 0);
    });
}
