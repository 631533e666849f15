//! Runs an application, its volume and the sidecar in a Pod of their own, as the tests of all applications do.
//!
//! To the processes in it, the Pod looks like one with `shareProcessNamespace`: they see only one another, none of them is
//! process 1, and they have their own loopback. So every test can use an application's real name and any port. Needs root.
#![allow(dead_code)]

use crate::support::DEADLINE;
use crate::support::kernel;
use crate::support::process::{Settings, Talker, children, eventually, open_to_all};
use crate::support::recipes::recipe;
use crate::support::volume::{Order, Volume, let_age};
use rustix::fs::{CWD, FileType, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The namespaces of a Pod, and a directory for its files. Dropping it kills what runs there.
pub struct Pod {
    directory: tempfile::TempDir,
    /// The parent of the Pod's process 1.
    pause: Child,
    init: Pid,
}

/// Process 1, which reaps orphans like the pause container. `/run` is empty as in a container, and `/dev/shm` is the Pod's own.
const INIT: &str = "trap '' CHLD; mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /dev/shm; ip link set lo up; echo ready; \
                    exec sleep infinity > /dev/null";

impl Pod {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Many servers drop root.
        open_to_all(directory.path());
        let mut pause = Command::new("unshare")
            .args(["--pid", "--net", "--mount-proc", "--fork", "--kill-child"])
            .args(["sh", "-ec", INIT])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Debian 12's unshare prints a spurious error when it ends.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(pause.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "cannot create a Pod; are we root?");
        let [init] = children(Pid::from_child(&pause))[..] else {
            panic!("unshare has one child");
        };
        Self {
            directory,
            pause,
            init,
        }
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file into the Pod's directory and returns its path.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Opens a file in the Pod's directory for appending.
    pub fn file(&self, name: impl AsRef<Path>) -> File {
        let mut options = File::options();
        options.create(true).append(true);
        options.open(self.path(name)).unwrap()
    }

    /// Runs `action` in the Pod. It may start processes, but no threads.
    pub fn inside<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        kernel::inside(self.init, action)
    }

    /// Starts a process in the Pod, as a child of the test.
    #[track_caller]
    pub fn spawn(&self, command: &mut Command) -> Child {
        self.inside(|| command.spawn())
            .unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Runs a client in the Pod until it exits.
    #[track_caller]
    pub fn output(&self, command: &mut Command) -> Output {
        self.inside(|| command.stdin(Stdio::null()).output())
            .unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Connects to a port in the Pod.
    pub fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let stream = self.inside(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(stream)
    }

    /// Listens on a port in the Pod.
    pub fn listen(&self, port: u16) -> TcpListener {
        self.inside(|| TcpListener::bind((Ipv4Addr::LOCALHOST, port)))
            .unwrap()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = kill_process(self.init, Signal::KILL);
        // Process 1 ends when all others have: until then they may write to the directory.
        let deadline = Instant::now() + DEADLINE;
        while matches!(self.pause.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        let _ = self.pause.kill();
        let _ = self.pause.wait();
    }
}

/// An application that reads its configuration from a volume, and answers clients with a text from it.
pub trait Application: Sync {
    /// Its name in the table of recipes.
    const NAME: &str;

    /// True if it reads its files again on the signal.
    const READS_AGAIN: bool = true;

    /// How many instances start at once. Each mostly waits until it is old enough to be signalled.
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

    fn launch(application: A, pod: Pod, volume: Volume) -> Self {
        let log = pod.file("log");
        let mut command = application.command(&pod);
        command
            // Some signal their whole process group.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        Self {
            main: pod.spawn(&mut command),
            application,
            volume,
            pod,
        }
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
        sidecar.wait_at_rest();
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

/// Returns a process's id inside its Pod.
pub fn id_in_pod(id: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let ids = status.lines().find(|line| line.starts_with("NSpid:"));
    let id = ids.and_then(|ids| ids.split_whitespace().last());
    id.expect("NSpid").parse().unwrap()
}

fn volume<A: Application>(application: &A, pod: &Pod, order: Order) -> Volume {
    let payload = application.payload(pod, "one");
    let volume = Volume::new(pod.path("volume"), order, &borrowed(&payload));
    let_age(&volume.path);
    volume
}

fn settings<A: Application>(application: &A, volume: &Volume) -> Settings {
    application.set(Settings::bare().set("CONFIG_DIR", &volume.path))
}

#[track_caller]
fn sidecar(pod: &Pod, settings: Settings) -> Talker {
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

/// Starts the application `ROUNDS` times (50 by default) and updates its configuration at a random moment of its first second.
/// Asserts that it always survives and ends up with the new configuration.
#[track_caller]
pub fn survives_updates_while_it_starts<A: Application>(new: impl Fn() -> A + Sync) {
    let rounds = std::env::var("ROUNDS").map_or(50, |rounds| rounds.parse().unwrap());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..A::STARTS_AT_ONCE.min(rounds) {
            scope.spawn(|| {
                loop {
                    let round = next.fetch_add(1, Ordering::Relaxed);
                    if round >= rounds {
                        return;
                    }
                    survives_an_update_while_it_starts(new(), round);
                }
            });
        }
    });
    println!(
        "{}: {rounds} rounds of start-up, {rounds} survived",
        A::NAME
    );
}

fn survives_an_update_while_it_starts<A: Application>(application: A, round: usize) {
    let fraction = RandomState::new().hash_one(round) as f64 / u64::MAX as f64;
    // Squared, so that a third of the rounds fall into the first tenth of the second, when the application is least prepared.
    let moment = Duration::from_secs_f64(fraction * fraction);
    let pod = Pod::new();
    let volume = volume(&application, &pod, Order::SwapFirst);
    let start = |app: App<A>| {
        let sidecar = app.sidecar(app.settings());
        (app, sidecar)
    };
    let update = |app: &App<A>| {
        thread::sleep(moment);
        app.replace("two");
    };
    let (mut app, mut sidecar) = match round % 3 {
        // The sidecar starts first, as a native sidecar does.
        0 => {
            let sidecar = sidecar(&pod, settings(&application, &volume));
            let app = App::launch(application, pod, volume);
            update(&app);
            (app, sidecar)
        }
        1 => {
            let (app, sidecar) = start(App::launch(application, pod, volume));
            update(&app);
            (app, sidecar)
        }
        // The sidecar starts after the update.
        _ => {
            let app = App::launch(application, pod, volume);
            update(&app);
            start(app)
        }
    };
    let signalled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        sidecar.expect("signal sent");
    }));
    assert!(signalled.is_ok(), "update at {moment:?}: {}", app.log());
    if A::READS_AGAIN {
        sidecar.expect("reload confirmed");
        app.answers("two");
    } else {
        app.answers_anything();
    }
    app.is_running();
    let (_, log) = sidecar.end();
    let sent = log.iter().filter(|line| line.contains("signal sent"));
    assert_eq!(sent.count(), 1, "update at {moment:?}: {log:#?}");
    let errors = log.iter().filter(|line| line.contains(" error "));
    assert_eq!(errors.count(), 0, "update at {moment:?}: {log:#?}");
}

/// Asserts that an application that is updated before it installs a handler is signalled only once it has one.
#[track_caller]
pub fn is_protected_while_it_starts<A: Application>(application: A) {
    let (mut app, hold) = App::start_held(application);
    let mut sidecar = app.sidecar(app.settings().set("RELOAD_CATCH_UP", "false"));
    app.replace("two");
    sidecar.expect("has no handler");
    app.is_running();
    drop(hold);
    sidecar.expect("signal sent");
    app.answers_anything();
    if A::READS_AGAIN {
        app.answers("two");
    }
    app.expect_reloads(1, sidecar);
}

/// Asserts that with these settings, an update before it installs a handler kills the application, and the sidecar reports that.
#[track_caller]
pub fn is_killed_while_it_starts<A: Application>(
    application: A,
    settings: impl FnOnce(Settings) -> Settings,
) {
    let (mut app, hold) = App::start_held(application);
    let mut sidecar = app.sidecar(settings(app.settings().set("RELOAD_CATCH_UP", "false")));
    app.replace("two");
    sidecar.expect("the process has ended after the signal");
    let status = app.main.wait().unwrap();
    println!("{}: signalled while it started: {status}", A::NAME);
    drop(hold);
}
