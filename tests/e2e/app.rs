//! Runs an application, its volume and the sidecar in a Pod of their own.

use crate::pod::{Pod, id_in_pod};
use crate::support::DEADLINE;
use crate::support::process::{Settings, Talker, children, eventually};
use crate::support::recipes::recipe;
use crate::support::volume::{Order, Volume, let_age};
use rustix::fs::{CWD, FileType, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// An application that reads its configuration from a volume, and answers clients with a text from it.
pub trait Application: Sync {
    /// Its name in the table of recipes.
    const NAME: &str;

    /// True if it reads its files again on the signal.
    const READS_AGAIN: bool = true;

    /// The number of instances started at once. Each mostly waits until it is old enough to be signalled.
    const STARTS_AT_ONCE: usize = 8;

    /// Adds the sidecar's settings for it, except `CONFIG_DIR`.
    fn set(&self, settings: Settings) -> Settings {
        recipe(Self::NAME).set(settings)
    }

    /// The command that runs it in the foreground. Its volume exists; its output goes to the file `log`.
    fn command(&self, pod: &Pod) -> Command;

    /// The volume's files with which it answers `text`.
    fn payload(&self, pod: &Pod, text: &str) -> Vec<(String, String)>;

    /// Asks it once; returns its answer, if there is one.
    fn answer(&self, pod: &Pod) -> Option<String>;

    /// Begins what a reload must not cut, if it has such a thing. Returns what completes it, and asserts that it was not cut.
    fn hold(&self, _: &Pod) -> Box<dyn FnOnce()> {
        Box::new(|| ())
    }
}

/// A file that some applications read before they install a handler for the signal, if it exists.
pub const HOLD: &str = "start.d/hold.cnf";

/// An application in its Pod.
pub struct App<A: Application> {
    pub application: A,
    /// Its main process.
    pub main: Child,
    pub volume: Volume,
    // Dropped last, as it waits for its processes.
    pub pod: Pod,
}

impl<A: Application> App<A> {
    /// Starts an application with the answer `one`, and waits until it answers.
    #[track_caller]
    pub fn start(application: A) -> Self {
        Self::start_on(application, Order::SwapFirst)
    }

    #[track_caller]
    pub fn start_on(application: A, order: Order) -> Self {
        let pod = Pod::new();
        let volume = volume(&application, &pod, order);
        let app = Self::launch(application, pod, volume);
        app.answers("one");
        app
    }

    /// Starts an application with the answer `one`, and blocks it while it reads [`HOLD`], until the returned file is closed.
    #[track_caller]
    pub fn start_held(application: A) -> (Self, File) {
        let pod = Pod::new();
        let hold = pod.write(HOLD, "");
        fs::remove_file(&hold).unwrap();
        mknodat(CWD, &hold, FileType::Fifo, 0o644.into(), 0).unwrap();
        let volume = volume(&application, &pod, Order::SwapFirst);
        let app = Self::launch(application, pod, volume);
        let mut writer = None;
        eventually("reading the file that blocks it", || {
            let mut options = File::options();
            // Fails until somebody reads.
            options.write(true).custom_flags(libc::O_NONBLOCK);
            writer = options.open(&hold).ok();
            writer.is_some()
        });
        // Nothing that starts later may block on it.
        fs::remove_file(&hold).unwrap();
        (app, writer.unwrap())
    }

    pub fn launch(application: A, pod: Pod, volume: Volume) -> Self {
        Self {
            main: start(&application, &pod),
            application,
            volume,
            pod,
        }
    }

    /// Ends its main process and starts another one.
    #[track_caller]
    pub fn restart(&mut self) {
        kill_process(Pid::from_child(&self.main), Signal::TERM).unwrap();
        self.main.wait().unwrap();
        self.main = start(&self.application, &self.pod);
    }

    /// The sidecar's settings for this application.
    pub fn settings(&self) -> Settings {
        settings(&self.application, &self.volume)
    }

    /// Starts a sidecar in the Pod, and waits until it watches the volume.
    #[track_caller]
    pub fn sidecar(&self, settings: Settings) -> Talker {
        sidecar(&self.pod, settings)
    }

    /// Replaces the configuration by one with the answer `text`, and waits until clients get it.
    #[track_caller]
    pub fn update(&self, text: &str) {
        self.replace(text);
        self.answers(text);
    }

    /// Updates the configuration, and waits until the sidecar confirms the reload.
    #[track_caller]
    pub fn reload(&self, sidecar: &mut Talker, text: &str) {
        self.update(text);
        sidecar.expect("reload confirmed");
    }

    /// Replaces the configuration.
    pub fn replace(&self, text: &str) {
        let payload = self.application.payload(&self.pod, text);
        self.volume.update(&borrowed(&payload));
    }

    /// Waits until clients get the answer `text`.
    #[track_caller]
    pub fn answers(&self, text: &str) {
        self.answers_as(text, |answer| answer == text);
    }

    /// Waits until clients get any answer.
    #[track_caller]
    pub fn answers_anything(&self) {
        self.answers_as("anything", |_| true);
    }

    #[track_caller]
    fn answers_as(&self, what: &str, is_expected: impl Fn(&str) -> bool) {
        let what = format!("answered {what}; {}", A::NAME);
        let deadline = Instant::now() + DEADLINE;
        while !self.answer().is_some_and(|answer| is_expected(&answer)) {
            assert!(Instant::now() < deadline, "never {what}:\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn answer(&self) -> Option<String> {
        self.application.answer(&self.pod)
    }

    /// Returns what it has printed.
    pub fn log(&self) -> String {
        let log = fs::read(self.pod.path("log")).unwrap();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Counts the lines of its output that contain `part`.
    pub fn count(&self, part: &str) -> usize {
        self.log()
            .lines()
            .filter(|line| line.contains(part))
            .count()
    }

    /// Waits until this many lines of its output contain `part`, and asserts that no more do.
    #[track_caller]
    pub fn expect_logged(&self, part: &str, count: usize) {
        let deadline = Instant::now() + DEADLINE;
        // It may log an action only after its effect is visible.
        while self.count(part) < count && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(self.count(part), count, "{part}:\n{}", self.log());
    }

    /// Asserts that the main process still runs.
    #[track_caller]
    pub fn is_running(&mut self) {
        let status = self.main.try_wait().unwrap();
        assert!(status.is_none(), "{}: {status:?}\n{}", A::NAME, self.log());
    }

    /// Returns the children of its main process.
    pub fn workers(&self) -> BTreeSet<i32> {
        let children = children(Pid::from_child(&self.main));
        children
            .iter()
            .map(|pid| pid.as_raw_nonzero().get())
            .collect()
    }

    /// Ends the sidecar once it is idle, and returns its log. Asserts that it signalled only the main process, this many times, and
    /// reported each time whether the files were read again.
    #[track_caller]
    pub fn expect_reloads(&mut self, reloads: usize, mut sidecar: Talker) -> Vec<String> {
        sidecar.wait_until_idle();
        let (status, log) = sidecar.end();
        assert_eq!(status.code(), Some(0));
        self.is_running();
        let lines = |part: &str| -> Vec<&String> {
            log.iter().filter(|line| line.contains(part)).collect()
        };
        let sent = lines("signal sent");
        let main = format!(" pid={} ", id_in_pod(self.main.id()));
        assert!(sent.iter().all(|line| line.contains(&main)), "{log:#?}");
        assert_eq!(sent.len(), reloads, "{log:#?}");
        let confirmed = lines("reload confirmed");
        let unread = lines("none of the watched files has been opened since");
        let expected = if A::READS_AGAIN {
            (reloads, 0)
        } else {
            (0, reloads)
        };
        assert_eq!((confirmed.len(), unread.len()), expected, "{log:#?}");
        assert!(lines(" error ").is_empty(), "{log:#?}");
        let outcomes =
            confirmed
                .iter()
                .chain(&unread)
                .map(|line| match line.split_once("files=") {
                    Some((_, outcome)) => format!("files={outcome}"),
                    None => "not read again".to_owned(),
                });
        let outcomes: Vec<String> = outcomes.collect();
        println!("{}: {reloads} reloads: {}", A::NAME, outcomes.join(", "));
        log
    }
}

impl<A: Application> Drop for App<A> {
    fn drop(&mut self) {
        let _ = self.main.kill();
        let _ = self.main.wait();
    }
}

fn start<A: Application>(application: &A, pod: &Pod) -> Child {
    let log = pod.file("log");
    let mut command = application.command(pod);
    command
        // Some signal their whole process group.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    pod.spawn(&mut command)
}

pub fn volume<A: Application>(application: &A, pod: &Pod, order: Order) -> Volume {
    let payload = application.payload(pod, "one");
    let volume = Volume::new(pod.path("volume"), order, &borrowed(&payload));
    let_age(&volume.path);
    volume
}

pub fn settings<A: Application>(application: &A, volume: &Volume) -> Settings {
    application.set(Settings::bare().set("CONFIG_DIR", &volume.path))
}

#[track_caller]
pub fn sidecar(pod: &Pod, settings: Settings) -> Talker {
    let mut sidecar = settings.launch_by(|command| pod.spawn(command));
    sidecar.expect("watching");
    sidecar
}

fn borrowed(payload: &[(String, String)]) -> Vec<(&str, &str)> {
    payload
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

/// Asserts that three updates are three reloads. Returns the running application.
#[track_caller]
pub fn three_updates<A: Application>(application: A) -> App<A> {
    let mut app = App::start(application);
    let sidecar = app.sidecar(app.settings());
    for text in ["two", "three", "four"] {
        app.update(text);
    }
    app.expect_reloads(3, sidecar);
    app
}

/// Asserts that after an update the application is signalled, keeps its configuration, and is reported for not reading it.
#[track_caller]
pub fn update_is_reported_unread<A: Application>(application: A) -> App<A> {
    let mut app = App::start(application);
    let mut sidecar = app.sidecar(app.settings());
    app.replace("two");
    sidecar.expect("none of the watched files has been opened since");
    app.answers("one");
    app.expect_reloads(1, sidecar);
    app
}

/// Asserts that a connection carries data both ways.
#[track_caller]
pub fn carries(client: &mut TcpStream, server: &mut TcpStream) {
    let send = |from: &mut TcpStream, to: &mut TcpStream| {
        let mut received = [0; 4];
        from.write_all(b"more").unwrap();
        to.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"more");
    };
    send(client, server);
    send(server, client);
}
