//! Processes that are spoken to by their output: the sidecar and its targets.

use super::{DEADLINE, events, is_root, program, runner, unique_name};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A child process whose output is read line by line. It is killed when it is dropped.
pub struct Talker {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    /// A sidecar, whose lines are checked from the first event on: before that, others may have something to say.
    log: Option<bool>,
}

impl Talker {
    /// Takes over a child that was started with `output` piped.
    pub fn new(mut child: Child, output: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n') {
                let Ok(line) = line else { return };
                if sender
                    .send(String::from_utf8_lossy(&line).into_owned())
                    .is_err()
                {
                    return;
                }
            }
        });
        child.stdin = None;
        Self {
            child,
            lines,
            seen: Vec::new(),
            log: None,
        }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for a line that holds `part` and returns it whole.
    #[track_caller]
    pub fn expect(&mut self, part: &str) -> String {
        self.expect_within(DEADLINE, part)
    }

    /// The same where it may take longer than anything that a test does by itself.
    #[track_caller]
    pub fn expect_within(&mut self, patience: Duration, part: &str) -> String {
        let deadline = Instant::now() + patience;
        loop {
            match self.next(deadline) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(why) => panic!(
                    "no line with {part:?} ({why}); seen:\n{}",
                    self.seen.join("\n")
                ),
            }
        }
    }

    /// The next line, if there is one until `deadline`.
    pub fn next(&mut self, deadline: Instant) -> Result<String, RecvTimeoutError> {
        let line = self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))?;
        self.take(line.clone());
        Ok(line)
    }

    fn take(&mut self, line: String) {
        if let Some(has_started) = &mut self.log {
            *has_started |= line.contains("started") && line.contains("version");
            // Of the lines between them, valgrind's begin so.
            if *has_started && !line.starts_with(['=', '-']) {
                events::check(&line);
            }
        }
        self.seen.push(line);
    }

    /// Waits for the process's end; returns its status and everything that it has printed.
    #[track_caller]
    pub fn finish(mut self) -> (ExitStatus, Vec<String>) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.next(deadline) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("still running; seen:\n{}", self.seen.join("\n"))
                }
            }
        }
        (self.child.wait().unwrap(), std::mem::take(&mut self.seen))
    }

    /// The sidecar as process 1 of a PID namespace of its own, with a `/proc` of its own.
    pub fn in_pid_namespace(settings: Settings) -> Self {
        settings
            .through(&["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"])
            .launch()
    }

    /// Waits until the sidecar sleeps in `poll` without a deadline, which it does when nothing is settling and nothing is owed.
    /// Whatever was done to its files before is dealt with then: an event wakes it before the call that caused it returns.
    #[track_caller]
    pub fn wait_until_idle(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        // ppoll(descriptors, count, timeout, signals, size)
        while self
            .sleeps_in(libc::SYS_ppoll)
            .is_none_or(|arguments| arguments[2] != 0)
        {
            assert!(
                Instant::now() < deadline,
                "never at rest; seen:\n{}",
                self.seen().join("\n")
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The arguments of the system call in which it sleeps, if it is this one.
    pub fn sleeps_in(&self, number: i64) -> Option<Vec<u64>> {
        let process = format!("/proc/{}", self.pid().as_raw_nonzero());
        // In this order: one that has been woken and does not run yet still shows its call, but it does not sleep; proc(5).
        let stat = std::fs::read_to_string(format!("{process}/stat")).ok()?;
        let is_asleep = stat.rsplit(") ").next()?.starts_with('S');
        let call = std::fs::read_to_string(format!("{process}/syscall")).ok()?;
        let mut words = call.split_whitespace();
        let is_this = words.next()? == number.to_string();
        let number = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok();
        (is_asleep && is_this).then(|| words.filter_map(number).collect())
    }

    /// Asks it to end with SIGTERM; returns its status and everything that it has printed.
    #[track_caller]
    pub fn end(self) -> (ExitStatus, Vec<String>) {
        self.signal(Signal::TERM);
        self.finish()
    }

    /// Signals the process's only child.
    pub fn signal_child(&self, signal: Signal) {
        let [child] = children(self.pid())[..] else {
            panic!("not one child");
        };
        kill_process(child, signal).unwrap();
    }

    /// The name by which the kernel knows it.
    pub fn comm(&self) -> String {
        let comm =
            std::fs::read_to_string(format!("/proc/{}/comm", self.pid().as_raw_nonzero())).unwrap();
        comm.trim_end().to_owned()
    }

    /// Waits until it watches, ends it with SIGTERM and checks that it ended well.
    #[track_caller]
    pub fn start_and_stop(mut self, what: &str, value: &str) {
        self.expect("watching");
        let (status, lines) = self.end();
        assert_eq!(
            status.code(),
            Some(0),
            "{what}={value}: {}",
            lines.join("\n")
        );
    }

    /// Everything that was printed up to now.
    pub fn seen(&mut self) -> &[String] {
        while let Ok(line) = self.lines.try_recv() {
            self.take(line);
        }
        &self.seen
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process with a name of its own that tells of every signal; see `tests/target/main.rs`.
pub struct Target {
    pub talker: Talker,
    pub name: String,
    /// Holds the program under its name.
    _directory: tempfile::TempDir,
}

impl Target {
    /// Starts one that prints the file `config` on every signal, and waits until it is ready.
    pub fn start(config: &Path) -> Self {
        Self::start_as(&unique_name(), config, &[])
    }

    pub fn start_as(name: &str, config: &Path, options: &[&str]) -> Self {
        Self::launch(name, config, options, |_| {})
    }

    pub fn launch(
        name: &str,
        config: &Path,
        options: &[&str],
        adapt: impl FnOnce(&mut Command),
    ) -> Self {
        Self::launch_by(name, config, options, |command| {
            adapt(command);
            spawn(command)
        })
    }

    /// Starts it by a function that takes the child's place in the world into account.
    pub fn launch_by(
        name: &str,
        config: &Path,
        options: &[&str],
        spawn: impl FnOnce(&mut Command) -> Child,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join(name);
        std::fs::copy(example("target"), &program).unwrap();
        open_to_all(directory.path());
        let mut command = Command::new(&program);
        command
            .arg(config)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = spawn(&mut command);
        let output = child.stdout.take().unwrap();
        let mut talker = Talker::new(child, output);
        talker.expect("ready");
        let target = Self {
            talker,
            name: name.to_owned(),
            _directory: directory,
        };
        // The kernel tells start times in clock ticks of 10 ms: one that is younger may have started after what comes next.
        eventually("two clock ticks old", || target.age_ms() > 20);
        target
    }

    /// Waits for the next signal; returns its name and the configuration that the process saw then.
    #[track_caller]
    pub fn signalled(&mut self) -> (String, String) {
        let (name, _, content) = self.signalled_at();
        (name, content)
    }

    /// The same with the time at which the handler ran, in nanoseconds since boot.
    #[track_caller]
    pub fn signalled_at(&mut self) -> (String, i64, String) {
        let line = self.talker.expect("SIG");
        let mut words = line.splitn(3, ' ').map(str::to_owned);
        let mut word = || words.next().unwrap();
        (word(), word().parse().unwrap(), word())
    }

    /// Milliseconds since it was started, cut to a clock tick.
    pub fn age_ms(&self) -> u64 {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.talker.pid().as_raw_nonzero()))
                .unwrap();
        let ticks: u64 = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .nth(19)
            .unwrap()
            .parse()
            .unwrap();
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        (now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000).saturating_sub(ticks * 10)
    }

    /// The configuration that the process saw when the last signal came.
    pub fn last(&mut self) -> Option<&str> {
        let seen = self.talker.seen();
        let line = seen.iter().rfind(|line| line.starts_with("SIG"))?;
        line.splitn(3, ' ').nth(2)
    }

    /// Returns the number of signals received so far.
    pub fn count(&mut self) -> usize {
        self.talker
            .seen()
            .iter()
            .filter(|line| line.starts_with("SIG"))
            .count()
    }
}

/// The processes whose parent is the first thread of this one.
pub fn children(parent: Pid) -> Vec<Pid> {
    let pid = parent.as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let pids = children.split_whitespace();
    pids.map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap())
        .collect()
}

/// Lets other users look into a directory of a test's own.
pub fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A program that cargo builds beside the tests.
pub fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    if !path.ends_with("examples") {
        path.push("examples");
    }
    path.push(name);
    assert!(
        path.exists(),
        "{} is missing; cargo build --examples",
        path.display()
    );
    path
}

/// A program that was just written may for a moment be open in a child of another thread (ETXTBSY).
pub fn spawn(command: &mut Command) -> Child {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == std::io::ErrorKind::ExecutableFileBusy
                    && Instant::now() < deadline =>
            {
                thread::yield_now();
            }
            spawned => return spawned.unwrap_or_else(|error| panic!("{command:?}: {error}")),
        }
    }
}

/// The settings of a sidecar that is to be started: nothing is inherited.
pub struct Settings(Command);

impl Settings {
    /// Watches `config` and signals processes called `name`, without waiting for their age, verbosely. What is there at start
    /// counts as read: a test writes its files a moment before it starts the target, within the same clock tick perhaps. What
    /// comes of a signal is not waited for, so that the sidecar is at rest as soon as it was sent.
    pub fn new(config: impl AsRef<OsStr>, name: &str) -> Self {
        Self::bare()
            .set("CONFIG_DIR", config)
            .set("PROCESS_NAME", name)
            .set("PROCESS_MIN_AGE", "0")
            .set("RELOAD_CATCH_UP", "false")
            .set("RELOAD_CONFIRM", "off")
            .set("VERBOSE", "true")
    }

    /// No settings at all.
    pub fn bare() -> Self {
        let mut command = match runner() {
            Some(runner) => {
                let mut command = Command::new(runner);
                command.arg(program());
                command
            }
            None => Command::new(program()),
        };
        command
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Self(command)
    }

    #[must_use]
    pub fn set(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.0.args(arguments);
        self
    }

    #[must_use]
    pub fn adapt(mut self, adapt: impl FnOnce(&mut Command)) -> Self {
        adapt(&mut self.0);
        self
    }

    /// As an ordinary user: root reads everything.
    #[must_use]
    pub fn unprivileged(self) -> Self {
        use std::os::unix::process::CommandExt;
        if !is_root() {
            return self;
        }
        self.adapt(|command| {
            command.uid(65534).gid(65534);
        })
    }

    /// The same by means of another program, which is given it as its last arguments.
    #[must_use]
    pub fn through(self, program: &[&str]) -> Self {
        let inner = self.0;
        let mut command = Command::new(program[0]);
        command
            .args(&program[1..])
            .arg(inner.get_program())
            .args(inner.get_args());
        let environment = inner
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        command.env_clear().envs(environment);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Self(command)
    }

    /// Starts it and waits until everything is armed.
    #[track_caller]
    pub fn start(self) -> Talker {
        let mut sidecar = self.launch();
        sidecar.expect("watching");
        sidecar
    }

    pub fn launch(self) -> Talker {
        self.launch_by(spawn)
    }

    /// Starts it by a function that takes the child's place in the world into account.
    pub fn launch_by(mut self, spawn: impl FnOnce(&mut Command) -> Child) -> Talker {
        let mut child = spawn(&mut self.0);
        let output = child.stderr.take().expect("standard error is piped");
        let mut sidecar = Talker::new(child, output);
        sidecar.log = Some(false);
        sidecar
    }

    /// Starts it with a standard error that is not this one's to read.
    pub fn launch_silent(mut self) -> Silent {
        Silent(spawn(&mut self.0))
    }

    /// Runs it to its end.
    pub fn status(mut self) -> ExitStatus {
        self.0.status().unwrap()
    }

    /// Runs it to its end: exit code, standard output, standard error.
    pub fn output(mut self) -> (Option<i32>, String, String) {
        let output = self.0.stdout(Stdio::piped()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }
}

/// A sidecar that cannot be heard. It is killed when it is dropped.
pub struct Silent(Child);

impl Silent {
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Asks it to end; returns how long that took.
    #[track_caller]
    pub fn end(&mut self) -> Duration {
        let asked = Instant::now();
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        eventually("ended", || !self.is_running());
        asked.elapsed()
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks again and again until it holds.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "never {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
