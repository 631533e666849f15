//! The sidecar itself: opens everything, then waits in one `poll` for whatever comes first.

use crate::config::{Config, PollInterval};
use crate::confirm::{Confirm, TARGETS_MAX};
use crate::deliver::{self, Delivery, Means, tell_news};
use crate::http::{CONNECTIONS_MAX, Http, State};
use crate::log::{Level, Log};
use crate::metrics::Metric;
use crate::mount;
use crate::process::{Proc, TICK_MS};
use crate::reload::{Action, Change, Event, Instant, Note, Reload, Timing, Waiting};
use crate::sandbox;
use crate::sys;
use crate::watch::{Changes, Watch};
use crate::words;
use crate::words::Words;
use core::mem::ManuallyDrop;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno};
use rustix::process::{Pid, getpid};

/// Asked to stop.
pub const EXIT_STOPPED: i32 = 0;
/// The operating system refused what the program cannot do without.
pub const EXIT_REFUSED: i32 = 1;
/// How often the content is compared where inotify does not tell, in milliseconds.
const POLL_MS: u64 = 5_000;

/// Runs until it is asked to stop. Returns the exit code.
// Not inlined: what `main` needs before this is not kept on the stack.
#[inline(never)]
pub fn run(config: &Config<'_>, log: &mut Log) -> i32 {
    match Sidecar::open(config) {
        // The kernel closes everything at the end of the program, which is near.
        Ok(sidecar) => ManuallyDrop::new(sidecar).run(log),
        Err((what, errno)) => {
            report_refusal(log, what, errno);
            EXIT_REFUSED
        }
    }
}

/// What cannot be done where [`Proc::own`] fails.
pub const OWN_ENTRY: Words = words!("read its own entry in /proc");

/// Reports what the program cannot do without.
pub fn report_refusal(log: &mut Log, what: Words, errno: Errno) {
    log.line(Level::Error)
        .say(words!("cannot "))
        .say(what)
        .say(words!(": "));
    log.errno(errno)
        .say(words!("; the program cannot do without it"))
        .send();
}

struct Sidecar<'c> {
    config: &'c Config<'c>,
    signals: OwnedFd,
    proc: Proc,
    watch: Watch,
    reload: Reload,
    delivery: Delivery,
    confirm: Confirm,
    changes: Changes,
    http: Http,
    /// Why the last attempt at the pending reload has failed.
    waiting: Option<Waiting>,
    last_look: Instant,
    /// There was no event left at this time.
    drained_at: Instant,
}

impl<'c> Sidecar<'c> {
    #[inline(never)]
    fn open(config: &'c Config<'c>) -> Result<Self, (Words, Errno)> {
        let signals =
            sys::signal_descriptor(&[libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGCONT])
                .map_err(|errno| (words!("receive signals by signalfd"), errno))?;
        let proc = Proc::own().map_err(|errno| (OWN_ENTRY, errno))?;
        let timing = Timing {
            settle_ms: config.settle_ms,
            settle_max_ms: config.settle_max_ms,
            min_interval_ms: config.min_interval_ms,
        };
        Ok(Self {
            config,
            signals,
            proc,
            watch: Watch::new(),
            reload: Reload::new(timing),
            delivery: Delivery::new(),
            confirm: Confirm::new(config),
            changes: Changes::new(),
            http: Http::new(),
            waiting: None,
            last_look: sys::now(),
            drained_at: sys::now(),
        })
    }

    /// Whether it was possible, if it is wanted.
    fn listen(&mut self, log: &mut Log) -> bool {
        let Some(listen) = self.config.listen else {
            return true;
        };
        let opened = self.http.open(&listen.address);
        if let Err(errno) = opened {
            let line = log
                .line(Level::Error)
                .say(words!("cannot listen on LISTEN_ADDR, "));
            line.quoted(listen.text).say(words!(": ")).errno(errno);
            line.say(words!(
                "; give a free port over 1023, and an address of this Pod"
            ))
            .send();
        }
        opened.is_ok()
    }

    fn run(&mut self, log: &mut Log) -> i32 {
        if !self.listen(log) {
            return EXIT_REFUSED;
        }
        self.introduce(log);
        if self.config.sandbox {
            sandbox::enter(self.config, log);
        }
        mount::report_sub_paths(self.config.roots, log);
        let mut is_watching = self.start(log);
        loop {
            let had_waited = self.proc.waited_for_processor();
            let entered = sys::now();
            let waited = self.wait();
            // When there was something to do; a processor to do it may have come later.
            let late = self.proc.waited_for_processor().wrapping_sub(had_waited);
            let woke = sys::now().minus_nanoseconds(late);
            if let Err(errno) = waited {
                log.line(Level::Error)
                    .say(words!("cannot wait for events: poll: "))
                    .errno(errno)
                    .send();
                // Out of memory, perhaps: that it comes back at once is not to be expected.
                let second = Timespec {
                    tv_sec: 1,
                    tv_nsec: 0,
                };
                let _ = poll(&mut [], Some(&second));
            }
            let (mut demanded, mut resumed) = (false, false);
            while let Some(signal) = sys::next_signal(self.signals.as_fd()) {
                match signal {
                    libc::SIGUSR1 => demanded = true,
                    libc::SIGCONT => resumed = true,
                    _ => return self.stop(signal, log),
                }
            }
            if !is_watching {
                is_watching = self.start(log);
            }
            if demanded {
                log.tell(Level::Info, words!("asked by SIGUSR1 to signal now"));
                self.watch.arm_anew();
                self.handle(Event::Demanded, log);
            }
            // Events do not tell when they came: since there was none, and if the program has slept, since it woke.
            let has_slept = !resumed && woke.ms_since(entered) > 0;
            for _ in 0..2 {
                let mut since = core::mem::replace(&mut self.drained_at, sys::now());
                if has_slept {
                    since = since.max(woke);
                }
                let Some(change) = self.watch.drain(log) else {
                    break;
                };
                let why = match change {
                    Change::Gone => words!("a directory on the way is gone"),
                    Change::Writing => words!("a file is being written"),
                    Change::Finished => words!("something was changed"),
                    Change::Complete => words!("an update is complete"),
                };
                log.line(Level::Debug).say(why).send();
                self.handle(Event::Changed(change, since), log);
                if !self.watch.is_swapped() {
                    break;
                }
                // Ahead of the update's last step, which may have come meanwhile: there is nothing left then but to signal.
                self.look(log);
            }
            let now = sys::now();
            if self
                .reload
                .deadline()
                .is_some_and(|deadline| deadline <= now)
            {
                self.handle(Event::Woke, log);
            }
            let ready = waited.unwrap_or(PollFlags::empty());
            let mounts_changed = ready.contains(PollFlags::PRI);
            if mounts_changed {
                log.tell(Level::Debug, words!("the mount table has changed"));
            }
            let is_due = self.poll_at().is_some_and(|at| at <= now);
            log.metrics.add(Metric::Polls, is_due.into());
            if mounts_changed || is_due {
                self.watch.doubt();
                self.handle(Event::PollDue, log);
            }
            if self.confirm.due(self.config, now, log) {
                log.metrics.add(Metric::Retries, 1);
                self.handle(Event::Unconfirmed, log);
            }
            self.confirm.rest(self.reload.deadline().is_some());
            let is_resumed = self.http.deadline().is_some_and(|at| at <= now);
            if ready.intersects(PollFlags::RDNORM | PollFlags::HUP | PollFlags::ERR) || is_resumed {
                self.serve(log);
            }
        }
    }

    /// Takes the first look. Whether it was not broken off: nobody has to be told of what was there before, so nothing is lost
    /// then.
    fn start(&mut self, log: &mut Log) -> bool {
        if !self.look(log) {
            return false;
        }
        let look = *self.watch.last();
        // Everything is: that says nothing about the first change.
        self.watch.take_armed_new();
        self.changes.tell();
        self.delivery.acquaint(self.config, &self.proc);
        log.line(Level::Info)
            .say(words!("watching"))
            .key_number("files", look.files.into())
            .key_number("directories", look.directories.into())
            .send();
        let started = Event::Started {
            fingerprint: look.fingerprint,
            catch_up: self.config.catch_up.then(|| {
                // A process that started within the tick after it may have read what was there before.
                let age_ms = sys::wall_ms().saturating_sub(look.newest_ms + TICK_MS);
                sys::now().minus_ms(age_ms)
            }),
        };
        self.handle(started, log);
        true
    }

    fn introduce(&self, log: &mut Log) {
        let config = self.config;
        let line = log.line(Level::Info).say(words!("started"));
        line.key("version", env!("CARGO_PKG_VERSION").as_bytes())
            .key("config_dir", config.roots.as_bytes());
        deliver::name_matcher(line, config);
        if let Some(listen) = config.listen {
            line.key("listen_addr", listen.text);
        }
        config.signal.name_in(line).send();
        if getpid() == Pid::INIT {
            log.line(Level::Warn)
                .say(words!("this is process 1 of its namespace: "))
                .say(deliver::NOT_SHARED)
                .send();
        }
    }

    /// Sleeps until something comes or is due. All that is ready is told in one: PRI if the mount table has changed, RDNORM if a
    /// request has come.
    fn wait(&self) -> io::Result<PollFlags> {
        let mut deadline = Instant::NEVER;
        for one in [
            self.reload.deadline(),
            self.poll_at(),
            self.confirm.deadline(),
            self.http.deadline(),
        ] {
            deadline = deadline.min(one.unwrap_or(Instant::NEVER));
        }
        let nanoseconds = deadline.nanoseconds_since(sys::now());
        let timeout = Timespec {
            tv_sec: (nanoseconds / 1_000_000_000) as _,
            tv_nsec: (nanoseconds % 1_000_000_000) as _,
        };
        let mut polled = Polled {
            descriptors: core::array::from_fn(|_| PollFd::new(&self.signals, PollFlags::IN)),
            count: 1,
        };
        if let Some(inotify) = self.watch.inotify() {
            polled.add(inotify, PollFlags::IN);
        }
        for fd in self.confirm.descriptors() {
            polled.add(fd, PollFlags::IN);
        }
        // Nothing else is polled for these two, so that they tell what has come.
        if let Some(mounts) = self.watch.mounts() {
            polled.add(mounts, PollFlags::PRI);
        }
        for fd in self.http.descriptors() {
            polled.add(fd, PollFlags::RDNORM);
        }
        let polled = &mut polled.descriptors[..polled.count];
        match poll(
            polled,
            (deadline != Instant::NEVER).then_some(timeout).as_ref(),
        ) {
            Ok(_) => {
                let all = polled.iter();
                Ok(all.fold(PollFlags::empty(), |all, one| all | one.revents()))
            }
            Err(Errno::INTR) => Ok(PollFlags::empty()),
            Err(errno) => Err(errno),
        }
    }

    fn poll_at(&self) -> Option<Instant> {
        let interval_ms = match self.config.poll {
            PollInterval::Every(ms) => Some(ms),
            PollInterval::Automatic if self.watch.is_blind() => Some(POLL_MS),
            PollInterval::Automatic | PollInterval::Never => None,
        };
        interval_ms.map(|ms| self.last_look.plus_ms(ms))
    }

    /// Feeds one event to the state machine and carries out what it asks for, until it asks to sleep.
    fn handle(&mut self, event: Event, log: &mut Log) {
        let mut event = event;
        loop {
            let (action, note) = self.reload.step(event, sys::now());
            let mut news = None;
            if let Some(note) = note {
                count(note, log);
            }
            match note {
                Some(Note::Changed { before, after }) => {
                    self.confirm.content_changed();
                    self.changes.tell();
                    self.waiting = None;
                    news = Some((before, after, self.changes.names()));
                    if !matches!(action, Action::Deliver(_)) {
                        tell_news(log, &mut news);
                    }
                }
                Some(note) => self.tell(note, log),
                None => {}
            }
            event = match action {
                Action::Sleep | Action::Exit { .. } => {
                    if let Some(deadline) = self.reload.deadline() {
                        log.line(Level::Debug)
                            .say(words!("waiting"))
                            .key_number("due_ms", deadline.ms_since(sys::now()))
                            .send();
                    }
                    return;
                }
                Action::Look => {
                    let mut disturbed = None;
                    if !self.watch.is_current() {
                        if !self.look(log) {
                            return;
                        }
                        self.drained_at = sys::now();
                        disturbed = self.watch.drain(log);
                    }
                    Event::Looked {
                        fingerprint: self.watch.last().fingerprint,
                        disturbed,
                        armed_new: self.watch.take_armed_new(),
                    }
                }
                Action::Deliver(order) => {
                    let since = self.reload.changed_since().unwrap_or(Instant::NEVER);
                    let mut means = Means {
                        config: self.config,
                        proc: &self.proc,
                        log: &mut *log,
                        confirm: &mut self.confirm,
                        news,
                    };
                    let attempt = self.delivery.attempt(order, since, &mut means);
                    let again = self.waiting.is_some() && self.reload.pending_since().is_some();
                    self.waiting = attempt.waiting;
                    log.metrics.add(Metric::Retries, again.into());
                    log.metrics.add(Metric::Signals, attempt.signalled.into());
                    if attempt.signalled > 0 && self.waiting.is_none() {
                        log.metrics.add(Metric::Reloads, 1);
                        log.metrics.set(Metric::LastReloadSuccessful, 1);
                        log.metrics
                            .set(Metric::LastReloadSuccessTime, sys::wall_ms() / 1000);
                    }
                    Event::Attempted(attempt)
                }
            };
        }
    }

    fn serve(&mut self, log: &mut Log) {
        let state = State {
            config: self.config,
            watch: &self.watch,
            delivery: &self.delivery,
            is_polling: self.poll_at().is_some(),
            pending: (self.reload.pending_since()).map(|since| (since, self.waiting)),
            now: sys::now(),
        };
        self.http.serve(&state, log);
    }

    /// False where a signal to this program is waiting, which goes first.
    fn look(&mut self, log: &mut Log) -> bool {
        let signals = &self.signals;
        let interrupted = || {
            poll(
                &mut [PollFd::new(signals, PollFlags::IN)],
                Some(&sys::AT_ONCE),
            )
            .is_ok_and(|ready| ready > 0)
        };
        log.tell(Level::Debug, words!("reading everything"));
        let now = sys::now();
        let openings = self.confirm.before_look(now);
        let is_whole = self.watch.look(
            self.config.roots,
            now,
            openings,
            &mut self.changes,
            log,
            &interrupted,
        );
        let files = is_whole.then_some(self.watch.last().files);
        self.confirm.after_look(files);
        self.last_look = sys::now();
        // One that came at the end goes first, too: after SIGCONT nobody knows what was read when.
        let is_valid = is_whole && !interrupted();
        if !is_valid {
            self.watch.doubt();
        }
        is_valid
    }

    fn tell(&mut self, note: Note, log: &mut Log) {
        match note {
            // Said with its names when that is due.
            Note::Changed { .. } => {}
            Note::Unchanged => log.tell(Level::Debug, words!("the content is the same, no signal")),
            Note::Reverted => {
                self.changes.tell();
                log.tell(
                    Level::Info,
                    words!("the content is again what it was; the pending reload is cancelled"),
                );
            }
            Note::CaughtUp => log.tell(
                Level::Info,
                words!(
                    "the process had started before the newest change of what was there at start"
                ),
            ),
            Note::NotNeeded => log.tell(
                Level::Info,
                words!("no signal needed: the process started after the change"),
            ),
            Note::StillWaiting(reason) => {
                let line = log.line(Level::Warn).say(words!("reload pending: "));
                self.delivery.explain(line, reason, self.config);
                line.send();
            }
            Note::Arrived { after_ms } => log
                .line(Level::Info)
                .say(words!("the pending reload is delivered"))
                .key_number("after_ms", after_ms)
                .send(),
        }
    }

    fn stop(&mut self, signal: i32, log: &mut Log) -> i32 {
        if let (Action::Exit { undelivered: true }, _) =
            self.reload.step(Event::Stopped, sys::now())
        {
            log.tell(
                Level::Warn,
                words!("stopping while a reload is pending: the last change was not delivered"),
            );
        }
        log.line(Level::Info)
            .say(words!("stopped by "))
            .say(if signal == libc::SIGINT {
                words!("SIGINT")
            } else {
                words!("SIGTERM")
            })
            .send();
        EXIT_STOPPED
    }
}

/// What is polled.
struct Polled<'s> {
    descriptors: [PollFd<'s>; 5 + TARGETS_MAX + CONNECTIONS_MAX],
    count: usize,
}

impl<'s> Polled<'s> {
    fn add(&mut self, fd: BorrowedFd<'s>, flags: PollFlags) {
        if let Some(place) = self.descriptors.get_mut(self.count) {
            *place = PollFd::from_borrowed_fd(fd, flags);
            self.count += 1;
        }
    }
}

/// Counts what a note tells of.
fn count(note: Note, log: &mut Log) {
    let (metric, is_successful) = match note {
        Note::Changed { .. } => (Some(Metric::Changes), None),
        Note::StillWaiting(reason) => match reason {
            Waiting::Guarded => (Some(Metric::GuardWaits), None),
            // What passes by itself is no failure.
            Waiting::TooYoung | Waiting::Ignored => (None, None),
            Waiting::NoProcess | Waiting::PidFile | Waiting::NotPermitted | Waiting::Failed => {
                log.metrics.add(Metric::Reloads, 1);
                (Some(Metric::ReloadsFailed), Some(0))
            }
        },
        Note::Reverted | Note::NotNeeded => (None, Some(1)),
        Note::Unchanged | Note::CaughtUp | Note::Arrived { .. } => (None, None),
    };
    if let Some(metric) = metric {
        log.metrics.add(metric, 1);
    }
    if let Some(is_successful) = is_successful {
        log.metrics.set(Metric::LastReloadSuccessful, is_successful);
    }
}
