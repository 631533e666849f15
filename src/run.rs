//! The sidecar itself: opens everything, then waits in one poll(2) for whatever comes first.
//!
//! Each turn of the loop takes what has come and feeds it to the state machine in [`reload`](crate::reload), which says what to do.

mod act;
mod ready;
mod requests;
mod sidecar;
mod status;

use crate::base::signal::Signal;
use crate::base::sys;
use crate::base::time::{Deadline, Instant, Millis, TICK};
use crate::config::{Config, PollInterval};
use crate::fingerprint::Fingerprint;
use crate::mount;
use crate::reload::{Action, Change, Event};
use crate::report::Report;
use crate::report::facts::lifecycle::{Counted, Lifecycle};
use crate::report::facts::serving::Serving;
use crate::report::facts::watching::Watching;
use crate::report::metrics::ConfigHashes;
use crate::sandbox;
use core::mem::ManuallyDrop;
use ready::{Ready, Waits};
use rustix::fd::AsFd;
use sidecar::Sidecar;
pub use sidecar::open_proc;
use status::{Pending, State};

/// The exit code after SIGTERM or SIGINT.
const EXIT_STOPPED: i32 = 0;
/// The exit code if the operating system refused something that the program cannot run without.
const EXIT_REFUSED: i32 = 1;
/// The most signals taken in one turn of the loop: queued real-time signals could go on for ever. SIGTERM comes before those.
const SIGNALS_MAX: usize = 64;
/// The interval at which the content is compared where inotify misses changes.
const AUTOMATIC_INTERVAL: Millis = Millis(5_000);

/// Runs until asked to stop. Returns the exit code.
// Not inlined: keeps what `main` needs before this off the stack.
#[inline(never)]
pub fn run(config: &Config<'_>, report: &mut Report) -> i32 {
    match Sidecar::open(config) {
        // The kernel closes everything at the end of the program, which is near.
        Ok(sidecar) => ManuallyDrop::new(sidecar).run(report),
        Err((what, errno)) => {
            report.record(&Lifecycle::Refused { what, errno });
            EXIT_REFUSED
        }
    }
}

/// The signals that came to the sidecar.
#[derive(Default)]
struct Signals {
    /// SIGTERM or SIGINT.
    stop: Option<Signal>,
    /// SIGUSR1.
    is_requested: bool,
    /// SIGHUP.
    is_hangup: bool,
    /// SIGCONT.
    is_resumed: bool,
}

impl Sidecar<'_> {
    fn run(&mut self, report: &mut Report) -> i32 {
        if let Err((address, errno)) = self.listen() {
            report.record(&Serving::CannotListen { address, errno });
            return EXIT_REFUSED;
        }
        self.introduce(report);
        if self.config.sandbox {
            sandbox::enter(self.config.signal, report);
        }
        for root in self.config.roots.iter() {
            mount::each_stale(root, &mut |mount| {
                report.record(&Watching::Stale {
                    path: mount.point,
                    is_sub_path: mount.is_sub_path(),
                });
            });
        }
        self.start(report);
        loop {
            let ready = self.wait(report);
            let signals = self.take_signals();
            if let Some(signal) = signals.stop {
                self.stop(signal, report);
                return EXIT_STOPPED;
            }
            if !self.is_watching {
                self.start(report);
            }
            if signals.is_requested {
                self.requests.add(sys::now(), self.config.min_interval);
            }
            if self.requests.take_due(sys::now()) {
                self.reload_on_request(report);
            }
            if signals.is_hangup && !core::mem::replace(&mut self.has_explained_hup, true) {
                report.record(&Lifecycle::HangupIgnored);
            }
            self.take_events(ready.slept_until.filter(|_| !signals.is_resumed), report);
            let now = sys::now();
            self.wake_if_due(now, report);
            self.compare_if_due(&ready, now, report);
            self.confirm_if_due(now, report);
            self.serve(&ready, now, report);
        }
    }

    /// Makes the first scan. If a signal interrupts it, it is made again later: until then there is no change to deliver.
    fn start(&mut self, report: &mut Report) {
        self.is_watching = self.scan(report);
        if !self.is_watching {
            return;
        }
        let found = *self.watch.last();
        // Every watch is new at startup, which must not affect the first change.
        self.watch.take_armed_new();
        self.changes.accept();
        self.delivery.prepare(self.config, &self.proc);
        report.record(&Lifecycle::Watching {
            files: found.files,
            directories: found.directories,
        });
        let catch_up = self.config.catch_up.then(|| {
            // Times are coarse: a process that seems to have started within a tick after the change may have started before it.
            act::instant_of(found.newest_ms + TICK.0)
        });
        let started = Event::Started {
            fingerprint: found.fingerprint,
            catch_up,
        };
        self.handle(started, report);
    }

    fn stop(&mut self, signal: Signal, report: &mut Report) {
        if let (Action::Exit { undelivered: true }, _) =
            self.reload.step(Event::Stopped, sys::now())
        {
            report.record(&Lifecycle::StoppedUndelivered);
        }
        report.record(&Lifecycle::Stopped(signal));
    }
}

// One turn of the loop.

impl<'c> Sidecar<'c> {
    /// Sleeps until something comes or is due.
    fn wait(&self, report: &mut Report) -> Ready {
        let deadline = Deadline::NONE
            .or_earlier(self.reload.deadline())
            .or_earlier(self.requests.deadline())
            .or_earlier(self.compare_at())
            .or_earlier(self.watch.deferred_until())
            .or_earlier(self.confirm.deadline())
            .or_earlier(self.http.deadline());
        let mut waits = Waits::new(&self.signals);
        waits.for_events(self.watch.inotify());
        waits.for_events(self.confirm.descriptors());
        waits.for_mounts(self.watch.mounts());
        waits.for_http(self.http.descriptors());
        waits.wait(deadline, &self.proc, report)
    }

    fn take_signals(&self) -> Signals {
        let mut signals = Signals::default();
        let next = || sys::next_signal(self.signals.as_fd());
        for number in core::iter::from_fn(next).take(SIGNALS_MAX) {
            match number {
                libc::SIGTERM | libc::SIGINT => {
                    signals.stop = Signal::from_number(number.unsigned_abs());
                }
                libc::SIGUSR1 => signals.is_requested = true,
                libc::SIGCONT => signals.is_resumed = true,
                libc::SIGHUP => signals.is_hangup = true,
                _ => {}
            }
        }
        signals
    }

    fn reload_on_request(&mut self, report: &mut Report) {
        report.record(&Lifecycle::Requested);
        self.watch.rearm();
        self.handle(Event::Requested, report);
    }

    /// Takes inotify's events. They carry no time, so they count from when the queue was last empty or, if the program has slept
    /// since, from when it woke.
    fn take_events(&mut self, slept_until: Option<Instant>, report: &mut Report) {
        // The second round is for an update that is visible but not complete: it is scanned ahead of its last step, so that only
        // the signal is left to do then.
        for _ in 0..2 {
            let drained_at = core::mem::replace(&mut self.drained_at, sys::now());
            let since = slept_until.map_or(drained_at, |woke| drained_at.max(woke));
            let Some(change) = self.watch.drain(report) else {
                return;
            };
            report.record(&Watching::Batch(match change {
                Change::Gone => "a directory on the way is gone",
                Change::Writing => "a file is being written",
                Change::Finished => "something was changed",
                Change::Complete => "an update is complete",
            }));
            self.handle(Event::Changed(change, since), report);
            if !self.watch.is_swapped() {
                return;
            }
            self.scan(report);
        }
    }

    fn wake_if_due(&mut self, now: Instant, report: &mut Report) {
        if is_due(self.reload.deadline(), now) {
            self.handle(Event::Woke, report);
        }
    }

    /// Compares the content without an event: at an interval, or because something was mounted or unmounted.
    fn compare_if_due(&mut self, ready: &Ready, now: Instant, report: &mut Report) {
        if ready.mounts {
            report.record(&Watching::MountsChanged);
        }
        let is_due = is_due(self.compare_at(), now);
        if is_due {
            report.record(&Counted::Polled);
        }
        if ready.mounts || is_due || self::is_due(self.watch.deferred_until(), now) {
            self.watch.invalidate();
            self.handle(Event::PollDue, report);
        }
    }

    fn compare_at(&self) -> Option<Instant> {
        let interval = match self.config.poll {
            PollInterval::Every(interval) => Some(interval),
            PollInterval::Automatic => self.watch.is_blind().then_some(AUTOMATIC_INTERVAL),
            PollInterval::Never => None,
        };
        interval.map(|interval| self.last_scan.plus(interval))
    }

    fn confirm_if_due(&mut self, now: Instant, report: &mut Report) {
        if self.confirm.conclude(now, report) {
            report.record(&Counted::Retried);
            self.handle(Event::Unconfirmed, report);
        }
        if self.reload.deadline().is_none() {
            self.confirm.disarm_if_idle();
        }
    }

    /// Returns the hashes that may leave the program: those keyed with `CONFIG_HASH_KEY`.
    fn config_hashes(&self) -> Option<ConfigHashes> {
        self.config.hash_key.filter(|_| self.is_watching)?;
        Some(ConfigHashes {
            on_disk: self.watch.last().fingerprint.number(),
            delivered: self.reload.delivered().map(Fingerprint::number),
        })
    }

    fn serve(&mut self, ready: &Ready, now: Instant, report: &mut Report) {
        if !ready.http && !is_due(self.http.deadline(), now) {
            return;
        }
        let pending = self.reload.pending_since();
        report.record(&Counted::State {
            watches: self.watch.watches() as u64,
            polling: self.compare_at().is_some(),
            pending_since: pending.map_or(0, |since| {
                Millis(sys::wall_ms().saturating_sub(now.since(since).0)).as_secs()
            }),
        });
        let state = self.state(now);
        state.serve(&mut self.http, report);
    }

    /// Returns what the HTTP pages show.
    fn state(&self, now: Instant) -> State<'c> {
        State {
            config: self.config,
            config_hashes: self.config_hashes(),
            is_watching: self.is_watching,
            missing_roots: self.watch.missing(),
            exceeding_roots: self.watch.exceeding(),
            blind: self.watch.obstacle(self.compare_at().is_some()),
            pending: self.reload.pending_since().map(|since| Pending {
                since,
                obstacle: self.waiting.and(self.delivery.obstacle().copied()),
            }),
            now,
        }
    }
}

fn is_due(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|at| at <= now)
}
