//! The sidecar itself: opens everything, then waits in one `poll` for whatever comes first.

use crate::base::sys;
use crate::base::time::{Deadline, Instant, Millis, TICK};
use crate::base::words::Words;
use crate::config::{Config, PollInterval};
use crate::confirm::{Confirm, TARGETS_MAX};
use crate::deliver::{self, ContentChange, Context, Delivery};
use crate::http::{CONNECTIONS_MAX, Http, State};
use crate::mount;
use crate::process::Proc;
use crate::reload::{Action, Change, Event, Note, Reload, Timing, Waiting};
use crate::report::Report;
use crate::report::facts::delivering::Delivering;
use crate::report::facts::lifecycle::Lifecycle;
use crate::report::old_log::{Level, Log};
use crate::report::old_metrics::Metric;
use crate::sandbox;
use crate::watch::{Changes, Watch};
use crate::words;
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
const POLL: Millis = Millis(5_000);

/// Runs until it is asked to stop. Returns the exit code.
// Not inlined: what `main` needs before this is not kept on the stack.
#[inline(never)]
pub fn run(config: &Config<'_>, report: &mut Report) -> i32 {
    match Sidecar::open(config) {
        // The kernel closes everything at the end of the program, which is near.
        Ok(sidecar) => ManuallyDrop::new(sidecar).run(report),
        Err((what, errno)) => {
            report_refusal(report, what, errno);
            EXIT_REFUSED
        }
    }
}

/// What cannot be done where [`Proc::own`] fails.
pub const OWN_ENTRY: Words = words!("read its own entry in /proc");

/// Reports what the program cannot do without.
pub fn report_refusal(report: &mut Report, what: Words, errno: Errno) {
    report
        .old
        .line(Level::Error)
        .say(words!("cannot "))
        .say(what)
        .say(words!(": "));
    report
        .old
        .errno(errno)
        .say(words!("; the program cannot do without it"))
        .send();
}

struct Sidecar<'c> {
    config: &'c Config<'c>,
    signals: OwnedFd,
    proc: Proc,
    watch: Watch,
    reload: Reload,
    delivery: Delivery<'c>,
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
            settle: config.settle,
            settle_max: config.settle_max,
            min_interval: config.min_interval,
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
    fn listen(&mut self, report: &mut Report) -> bool {
        let Some(listen) = self.config.listen else {
            return true;
        };
        let opened = self.http.open(&listen.address);
        if let Err(errno) = opened {
            let line = report
                .old
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

    fn run(&mut self, report: &mut Report) -> i32 {
        if !self.listen(report) {
            return EXIT_REFUSED;
        }
        self.introduce(report);
        if self.config.sandbox {
            sandbox::enter(self.config, report);
        }
        mount::report_sub_paths(self.config.roots, report);
        let mut is_watching = self.start(report);
        loop {
            let had_waited = self.proc.waited_for_processor();
            let entered = sys::now();
            let waited = self.wait();
            // When there was something to do; a processor to do it may have come later.
            let late = self.proc.waited_for_processor().wrapping_sub(had_waited);
            let woke = sys::now().minus_nanoseconds(late);
            if let Err(errno) = waited {
                report
                    .old
                    .line(Level::Error)
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
                    _ => return self.stop(signal, report),
                }
            }
            if !is_watching {
                is_watching = self.start(report);
            }
            if demanded {
                report
                    .old
                    .tell(Level::Info, words!("asked by SIGUSR1 to signal now"));
                self.watch.arm_anew();
                self.handle(Event::Demanded, report);
            }
            // Events do not tell when they came: since there was none, and if the program has slept, since it woke.
            let has_slept = !resumed && woke.since(entered) > Millis::ZERO;
            for _ in 0..2 {
                let mut since = core::mem::replace(&mut self.drained_at, sys::now());
                if has_slept {
                    since = since.max(woke);
                }
                let Some(change) = self.watch.drain(report) else {
                    break;
                };
                let why = match change {
                    Change::Gone => words!("a directory on the way is gone"),
                    Change::Writing => words!("a file is being written"),
                    Change::Finished => words!("something was changed"),
                    Change::Complete => words!("an update is complete"),
                };
                report.old.line(Level::Debug).say(why).send();
                self.handle(Event::Changed(change, since), report);
                if !self.watch.is_swapped() {
                    break;
                }
                // Ahead of the update's last step, which may have come meanwhile: there is nothing left then but to signal.
                self.look(report);
            }
            let now = sys::now();
            if self
                .reload
                .deadline()
                .is_some_and(|deadline| deadline <= now)
            {
                self.handle(Event::Woke, report);
            }
            let ready = waited.unwrap_or(PollFlags::empty());
            let mounts_changed = ready.contains(PollFlags::PRI);
            if mounts_changed {
                report
                    .old
                    .tell(Level::Debug, words!("the mount table has changed"));
            }
            let is_due = self.poll_at().is_some_and(|at| at <= now);
            report.old.metrics.add(Metric::Polls, is_due.into());
            if mounts_changed || is_due {
                self.watch.doubt();
                self.handle(Event::PollDue, report);
            }
            if self.confirm.conclude(now, report) {
                report.old.metrics.add(Metric::Retries, 1);
                self.handle(Event::Unconfirmed, report);
            }
            if self.reload.deadline().is_none() {
                self.confirm.disarm_if_idle();
            }
            let is_resumed = self.http.deadline().is_some_and(|at| at <= now);
            if ready.intersects(PollFlags::RDNORM | PollFlags::HUP | PollFlags::ERR) || is_resumed {
                self.serve(report);
            }
        }
    }

    /// Takes the first look. Whether it was not broken off: nobody has to be told of what was there before, so nothing is lost
    /// then.
    fn start(&mut self, report: &mut Report) -> bool {
        if !self.look(report) {
            return false;
        }
        let look = *self.watch.last();
        // Everything is: that says nothing about the first change.
        self.watch.take_armed_new();
        self.changes.tell();
        self.delivery.prepare(self.config, &self.proc);
        report
            .old
            .line(Level::Info)
            .say(words!("watching"))
            .key_number("files", look.files.into())
            .key_number("directories", look.directories.into())
            .send();
        let started = Event::Started {
            fingerprint: look.fingerprint,
            catch_up: self.config.catch_up.then(|| {
                // A process that started within the tick after it may have read what was there before.
                let age_ms = sys::wall_ms().saturating_sub(look.newest_ms + TICK.0);
                sys::now().minus(Millis(age_ms))
            }),
        };
        self.handle(started, report);
        true
    }

    fn introduce(&self, report: &mut Report) {
        let config = self.config;
        report.tell(&Lifecycle::Started {
            config_dir: config.roots.as_bytes(),
            wanted: deliver::wanted(config),
            listen_addr: config.listen.map(|listen| listen.text),
            signal: config.signal,
        });
        if getpid() == Pid::INIT {
            report.tell(&Lifecycle::IsProcessOne);
        }
    }

    /// Sleeps until something comes or is due. All that is ready is told in one: PRI if the mount table has changed, RDNORM if a
    /// request has come.
    fn wait(&self) -> io::Result<PollFlags> {
        let timeout = Deadline::NONE
            .or_earlier(self.reload.deadline())
            .or_earlier(self.poll_at())
            .or_earlier(self.confirm.deadline())
            .or_earlier(self.http.deadline())
            .timeout(sys::now());
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
        match poll(polled, timeout.as_ref()) {
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
            PollInterval::Automatic if self.watch.is_blind() => Some(POLL),
            PollInterval::Automatic | PollInterval::Never => None,
        };
        interval_ms.map(|ms| self.last_look.plus(ms))
    }

    /// Feeds one event to the state machine and carries out what it asks for, until it asks to sleep.
    fn handle(&mut self, event: Event, report: &mut Report) {
        let mut event = event;
        loop {
            let (action, note) = self.reload.step(event, sys::now());
            let mut change = None;
            if let Some(note) = note {
                count(note, report);
            }
            match note {
                Some(Note::Changed { before, after }) => {
                    self.confirm.content_changed();
                    self.changes.tell();
                    self.waiting = None;
                    let content = ContentChange {
                        before,
                        after,
                        names: self.changes.names(),
                    };
                    // A delivery says it after the signal.
                    if matches!(action, Action::Deliver(_)) {
                        change = Some(content);
                    } else {
                        content.tell(report);
                    }
                }
                Some(note) => self.tell(note, report),
                None => {}
            }
            event = match action {
                Action::Sleep | Action::Exit { .. } => {
                    if let Some(deadline) = self.reload.deadline() {
                        report
                            .old
                            .line(Level::Debug)
                            .say(words!("waiting"))
                            .key_number("due_ms", deadline.since(sys::now()).0)
                            .send();
                    }
                    return;
                }
                Action::Look => {
                    let mut disturbed = None;
                    if !self.watch.is_current() {
                        if !self.look(report) {
                            return;
                        }
                        self.drained_at = sys::now();
                        disturbed = self.watch.drain(report);
                    }
                    Event::Looked {
                        fingerprint: self.watch.last().fingerprint,
                        disturbed,
                        armed_new: self.watch.take_armed_new(),
                    }
                }
                Action::Deliver(order) => {
                    let since = self.reload.changed_since().unwrap_or(Instant::NEVER);
                    let mut context = Context {
                        config: self.config,
                        proc: &self.proc,
                        report: &mut *report,
                        confirm: &mut self.confirm,
                        change,
                    };
                    let attempt = self.delivery.attempt(order, since, &mut context);
                    let again = self.waiting.is_some() && self.reload.pending_since().is_some();
                    self.waiting = attempt.waiting;
                    report.old.metrics.add(Metric::Retries, again.into());
                    report
                        .old
                        .metrics
                        .add(Metric::Signals, attempt.signalled.into());
                    if attempt.signalled > 0 && self.waiting.is_none() {
                        report.old.metrics.add(Metric::Reloads, 1);
                        report.old.metrics.set(Metric::LastReloadSuccessful, 1);
                        report
                            .old
                            .metrics
                            .set(Metric::LastReloadSuccessTime, sys::wall_ms() / 1000);
                    }
                    Event::Attempted(attempt)
                }
            };
        }
    }

    fn serve(&mut self, report: &mut Report) {
        let state = State {
            config: self.config,
            watch: &self.watch,
            delivery: &self.delivery,
            is_polling: self.poll_at().is_some(),
            pending: (self.reload.pending_since()).map(|since| (since, self.waiting)),
            now: sys::now(),
        };
        self.http.serve(&state, report);
    }

    /// False where a signal to this program is waiting, which goes first.
    fn look(&mut self, report: &mut Report) -> bool {
        let signals = &self.signals;
        let interrupted = || {
            poll(
                &mut [PollFd::new(signals, PollFlags::IN)],
                Some(&sys::AT_ONCE),
            )
            .is_ok_and(|ready| ready > 0)
        };
        report.old.tell(Level::Debug, words!("reading everything"));
        let now = sys::now();
        let openings = self.confirm.before_scan(now);
        let is_whole = self.watch.look(
            self.config.roots,
            now,
            openings,
            &mut self.changes,
            report,
            &interrupted,
        );
        let files = is_whole.then_some(self.watch.last().files);
        self.confirm.after_scan(files);
        self.last_look = sys::now();
        // One that came at the end goes first, too: after SIGCONT nobody knows what was read when.
        let is_valid = is_whole && !interrupted();
        if !is_valid {
            self.watch.doubt();
        }
        is_valid
    }

    fn tell(&mut self, note: Note, report: &mut Report) {
        match note {
            // Said with its names when that is due.
            Note::Changed { .. } => {}
            Note::Unchanged => report
                .old
                .tell(Level::Debug, words!("the content is the same, no signal")),
            Note::Reverted => {
                self.changes.tell();
                report.old.tell(
                    Level::Info,
                    words!("the content is again what it was; the pending reload is cancelled"),
                );
            }
            Note::CaughtUp => report.tell(&Delivering::CaughtUp),
            Note::NotNeeded => report.old.tell(
                Level::Info,
                words!("no signal needed: the process started after the change"),
            ),
            Note::StillWaiting(_) => {
                if let Some(obstacle) = self.delivery.obstacle() {
                    report.tell(&Delivering::Pending(obstacle));
                }
            }
            Note::Arrived { after_ms } => report
                .old
                .line(Level::Info)
                .say(words!("the pending reload is delivered"))
                .key_number("after_ms", after_ms)
                .send(),
        }
    }

    fn stop(&mut self, signal: i32, report: &mut Report) -> i32 {
        if let (Action::Exit { undelivered: true }, _) =
            self.reload.step(Event::Stopped, sys::now())
        {
            report.old.tell(
                Level::Warn,
                words!("stopping while a reload is pending: the last change was not delivered"),
            );
        }
        report
            .old
            .line(Level::Info)
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
fn count(note: Note, report: &mut Report) {
    let (metric, is_successful) = match note {
        Note::Changed { .. } => (Some(Metric::Changes), None),
        Note::StillWaiting(reason) => match reason {
            Waiting::Guarded => (Some(Metric::GuardWaits), None),
            // What passes by itself is no failure.
            Waiting::TooYoung | Waiting::Ignored => (None, None),
            Waiting::NoProcess | Waiting::PidFile | Waiting::NotPermitted | Waiting::Failed => {
                report.old.metrics.add(Metric::Reloads, 1);
                (Some(Metric::ReloadsFailed), Some(0))
            }
        },
        Note::Reverted | Note::NotNeeded => (None, Some(1)),
        Note::Unchanged | Note::CaughtUp | Note::Arrived { .. } => (None, None),
    };
    if let Some(metric) = metric {
        report.old.metrics.add(metric, 1);
    }
    if let Some(is_successful) = is_successful {
        report
            .old
            .metrics
            .set(Metric::LastReloadSuccessful, is_successful);
    }
}
