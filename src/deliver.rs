//! Delivery: a signal that never hits a recycled id, and why it may have to wait.

use crate::base::sys;
use crate::base::time::Instant;
use crate::base::words::Words;
use crate::config::{CommaList, Config};
use crate::confirm::Confirm;
use crate::fingerprint::Fingerprint;
use crate::process::guard::{Verdict, guard};
use crate::process::{Matcher, Proc, Process, Scanned, Status};
use crate::reload::{Attempt, Order, Waiting};
use crate::report::Report;
use crate::report::old_log::{Level, Log};
use crate::words;
use rustix::fd::OwnedFd;
use rustix::io::{self, Errno};
use rustix::process::{
    Pid, PidfdFlags, geteuid, getpid, kill_process, pidfd_open, pidfd_send_signal,
};

/// So many processes are remembered: those told of the content that is being delivered, so that none is told twice while
/// another one cannot be told, and those of the last time, so that they can be told first. Of more some may be told twice.
const KNOWN_MAX: usize = 16;

/// A process that ignores the signal is given so many times `PROCESS_MIN_AGE` to change that, and a change that long once: some
/// ignore what they have no handler for yet, or while they execute themselves again.
const STARTS_FOR: u64 = 5;

/// A process that was found before, or the room for one.
#[derive(Debug)]
struct Known {
    /// `None`: there is room.
    pid: Option<Pid>,
    /// The generation that it was told of last; 0 for none.
    told: u32,
    start: Instant,
    /// When it was last seen unprepared for the signal, or was started.
    unprepared: Instant,
    uid: u32,
    /// What the signal is sent by, if the kernel has that: opened before there is anything to deliver.
    pidfd: Option<OwnedFd>,
}

impl Known {
    const NONE: Self = Self {
        pid: None,
        told: 0,
        start: Instant::NEVER,
        unprepared: Instant::NEVER,
        uid: 0,
        pidfd: None,
    };
}

/// The first process that could not be signalled, for the log.
#[derive(Clone, Copy, Debug)]
struct Obstacle {
    process: Process,
    uid: u32,
}

/// What an attempt needs from the outside.
pub struct Means<'m, 'c> {
    /// Whom to signal, and how.
    pub config: &'m Config<'c>,
    /// Where processes are looked for.
    pub proc: &'m Proc,
    /// Where it is told what was done.
    pub report: &'m mut Report,
    /// Who is told of each signal.
    pub confirm: &'m mut Confirm,
    /// Said after the signal, which is not to wait for it.
    pub news: News<'m>,
}

impl Means<'_, '_> {
    /// Starts a line, after what is still to be said.
    fn line(&mut self, level: Level) -> &mut Log {
        tell_news(self.report, &mut self.news);
        self.report.old.line(level)
    }
}

/// The content before and after a change that is still to be told of, and the names of what has changed.
pub type News<'n> = Option<(Fingerprint, Fingerprint, &'n [u8])>;

/// Says what has changed, once.
pub fn tell_news(report: &mut Report, news: &mut News<'_>) {
    if let Some((before, after, names)) = news.take() {
        report
            .old
            .line(Level::Info)
            .say(words!("content changed"))
            .key("names", names)
            .key_hex("before", before.number())
            .key_hex("after", after.number())
            .send();
    }
}

/// Attempts to deliver, and what is remembered between two of them.
#[derive(Debug)]
pub struct Delivery {
    /// Where something has [`Failed`](Waiting::Failed) and there is none, `/proc` could not be read to its end.
    obstacle: Option<Obstacle>,
    /// Why.
    errno: Errno,
    scanned: Scanned,
    /// The last place is for whoever finds no other.
    known: [Known; KNOWN_MAX + 1],
}

impl Delivery {
    /// Nobody has been told of anything.
    pub const fn new() -> Self {
        Self {
            obstacle: None,
            errno: Errno::SRCH,
            scanned: Scanned {
                others: 0,
                selected: 0,
                no_pid_file: false,
            },
            known: [Known::NONE; KNOWN_MAX + 1],
        }
    }

    /// Finds the processes that are there, so that the first change finds them known.
    pub fn acquaint(&mut self, config: &Config<'_>, proc: &Proc) {
        // A `/proc` that cannot be read is met again, and reported, when there is something to deliver.
        let _ = proc.select(&config.matcher, config.select, &mut |process| {
            let known = self.known(process, 0);
            known.pidfd = hold(process, &config.matcher, proc).unwrap_or_default();
        });
    }

    /// Signals every process that the order concerns and that is ready. `changed_at` is when the change began, for the log.
    // Not inlined: a look, which never overlaps with it, has the same stack to itself.
    #[inline(never)]
    pub fn attempt(
        &mut self,
        order: Order,
        changed_at: Instant,
        means: &mut Means<'_, '_>,
    ) -> Attempt {
        let (config, proc) = (means.config, means.proc);
        let mut attempt = Attempt {
            signalled: 0,
            waiting: None,
            ready_at: None,
        };
        // Those of the last time first: the application must not wait while all the others are looked at. They were selected
        // then; that they still match is looked at before they are signalled. If an id is another process's by now, what is
        // held says so. A process file may name another one by now.
        if config.matcher.pid_file.is_none() {
            for at in 0..KNOWN_MAX {
                let known = &mut self.known[at];
                let (Some(pid), Some(_)) = (known.pid, &known.pidfd) else {
                    continue;
                };
                let mut status = Status::default();
                if proc.status(pid, &mut status).is_err() || status.is_dead {
                    *known = Known::NONE;
                    continue;
                }
                let process = Process {
                    pid,
                    parent: None,
                    comm: status.comm,
                    start: known.start,
                    is_alive: true,
                };
                if proc.matches(&process, &config.matcher) {
                    self.offer(
                        &process,
                        Some(&status),
                        order,
                        changed_at,
                        means,
                        &mut attempt,
                    );
                }
            }
        }
        tell_news(means.report, &mut means.news);
        // Whoever was in the way then is met again now.
        attempt.waiting = None;
        let scanned = proc.select(&config.matcher, config.select, &mut |process| {
            self.offer(process, None, order, changed_at, means, &mut attempt);
        });
        if let Ok(scanned) = scanned {
            self.scanned = scanned;
        }
        if attempt.waiting.is_none() {
            attempt.waiting = match scanned {
                Err(errno) => {
                    self.obstacle = None;
                    self.errno = errno;
                    Some(Waiting::Failed)
                }
                Ok(scanned) if scanned.no_pid_file => Some(Waiting::PidFile),
                Ok(scanned) if scanned.selected == 0 && attempt.signalled == 0 => {
                    Some(Waiting::NoProcess)
                }
                Ok(_) => None,
            };
        }
        attempt
    }

    /// Signals one process, if the order concerns it and it has not been told. `status` is what was read of one that is held.
    fn offer(
        &mut self,
        process: &Process,
        status: Option<&Status>,
        order: Order,
        changed_at: Instant,
        means: &mut Means<'_, '_>,
        attempt: &mut Attempt,
    ) {
        let config = means.config;
        let known = self.known(process, order.generation);
        if known.told == order.generation {
            return;
        }
        if !order.concerns(process.start) {
            let line = means.line(Level::Debug);
            line.say(words!("started after the change, needs no signal"));
            process.name_in(line).send();
            return;
        }
        let is_first = attempt.signalled == 0;
        let mut errno = Errno::SRCH;
        let waiting = match known.tell(process, status, changed_at, is_first, means) {
            Ok(None) => {
                let now = sys::now();
                attempt.signalled += 1;
                known.told = order.generation;
                let pidfd = known.pidfd.take();
                means.confirm.signalled(process, pidfd, now);
                let line = means.line(Level::Info).say(words!("signal sent"));
                config.signal.name_in(line);
                process.name_in(line);
                line.key_number("after_ms", now.since(changed_at).0).send();
                known.pidfd = hold(process, &config.matcher, means.proc).unwrap_or_default();
                return;
            }
            Ok(Some(waiting)) => waiting,
            // It has just ended: what comes in its place is found by the next attempt.
            Err(Errno::SRCH | Errno::NOENT) => Waiting::NoProcess,
            Err(Errno::PERM) => Waiting::NotPermitted,
            Err(other) => {
                errno = other;
                Waiting::Failed
            }
        };
        let (uid, ready_at) = (known.uid, known.ready_at(config));
        if matches!(waiting, Waiting::Guarded | Waiting::Ignored) {
            known.unprepared = sys::now();
        }
        // Of several the first one counts, but one that has just ended leaves nothing to be told of.
        if matches!(attempt.waiting, None | Some(Waiting::NoProcess)) {
            attempt.waiting = Some(waiting);
            attempt.ready_at = (waiting == Waiting::TooYoung).then_some(ready_at);
            self.obstacle = Some(Obstacle {
                process: *process,
                uid,
            });
            self.errno = errno;
        }
    }

    /// Its place: its own, a free one, that of somebody told of something older than this generation, or the last one.
    fn known(&mut self, process: &Process, generation: u32) -> &mut Known {
        let pid = Some(process.pid);
        let mut place = KNOWN_MAX;
        let mut place_rank = 3;
        for (at, known) in self.known.iter().enumerate() {
            let rank = if known.pid == pid && known.start == process.start {
                0
            } else if known.pid.is_none() {
                1
            } else if known.told != generation {
                2
            } else {
                3
            };
            if rank < place_rank {
                (place, place_rank) = (at, rank);
            }
        }
        let known = &mut self.known[place];
        if place_rank > 0 {
            *known = Known {
                pid,
                start: process.start,
                unprepared: process.start,
                ..Known::NONE
            };
        }
        known
    }

    /// Says why a reload waits and what to do about it.
    pub fn explain(&self, line: &mut Log, reason: Waiting, config: &Config<'_>) {
        line.say(match reason {
            Waiting::NoProcess => words!("no process matches"),
            Waiting::PidFile => NO_PID_FILE,
            Waiting::NotPermitted => words!("EPERM: this runs as uid "),
            Waiting::TooYoung => {
                words!("the process is younger than PROCESS_MIN_AGE, or was unprepared until now")
            }
            Waiting::Guarded => words!("the process has no handler for the signal and would be ended or stopped by it; sent as soon as it has one"),
            Waiting::Ignored => words!("the process ignores the signal, perhaps until it is ready"),
            Waiting::Failed if self.obstacle.is_none() => words!("cannot read /proc: "),
            Waiting::Failed => words!("the kernel refuses the signal: "),
        });
        match reason {
            Waiting::NoProcess | Waiting::PidFile => {
                let hint = if reason == Waiting::PidFile {
                    None
                } else if getpid() == Pid::INIT {
                    Some(NOT_SHARED)
                } else if self.scanned.others == 0 && config.matcher.pid_file.is_none() {
                    // Every namespace has a process 1.
                    Some(HIDDEN)
                } else {
                    None
                };
                if let Some(hint) = hint {
                    line.say(words!("; ")).say(hint);
                }
                return name_matcher(line, config);
            }
            Waiting::NotPermitted => {
                line.number(geteuid().as_raw().into());
                if let Some(obstacle) = &self.obstacle {
                    line.say(words!(", the process as uid "))
                        .number(obstacle.uid.into());
                }
                line.say(words!("; ")).say(NOT_PERMITTED);
            }
            Waiting::Guarded | Waiting::Ignored => {
                config.signal.name_in(line);
            }
            Waiting::Failed => {
                line.errno(self.errno);
            }
            Waiting::TooYoung => {}
        }
        if let Some(obstacle) = &self.obstacle {
            obstacle.process.name_in(line);
        }
    }
}

impl Default for Delivery {
    fn default() -> Self {
        Self::new()
    }
}

impl Known {
    /// One that has only now set up its handler is no readier than one that has only now been started.
    fn ready_at(&self, config: &Config<'_>) -> Instant {
        self.unprepared.plus(config.min_age)
    }

    /// Signals it, or says why not.
    fn tell(
        &mut self,
        process: &Process,
        status: Option<&Status>,
        changed_at: Instant,
        is_first: bool,
        means: &mut Means<'_, '_>,
    ) -> io::Result<Option<Waiting>> {
        let (config, proc) = (means.config, means.proc);
        let mut read = Status::default();
        let status = if let Some(status) = status {
            status
        } else {
            proc.status(process.pid, &mut read)?;
            &read
        };
        self.uid = status.uid;
        let now = sys::now();
        let verdict = if config.guard {
            guard(process.pid, config.signal, status, proc)
        } else {
            Verdict::Send
        };
        let patience = process.start.plus(config.min_age.times(STARTS_FOR));
        let patience = patience.max(changed_at.plus(config.min_age));
        if verdict == Verdict::Hold {
            return Ok(Some(Waiting::Guarded));
        }
        if verdict == Verdict::SendIgnored && patience > now {
            return Ok(Some(Waiting::Ignored));
        }
        if self.ready_at(config) > now {
            return Ok(Some(Waiting::TooYoung));
        }
        if verdict == Verdict::SendIgnored {
            let line = means.line(Level::Warn);
            line.say(words!(
                "the process ignores the signal; it is sent, but nothing will happen"
            ));
            config.signal.name_in(line);
            process.name_in(line).send();
        }
        if is_first {
            means.confirm.before_signal();
        }
        if self.pidfd.is_none() {
            self.pidfd = hold(process, &config.matcher, proc)?;
        }
        let signal = sys::to_rustix(config.signal);
        let sent = (self.pidfd.as_ref()).map(|pidfd| pidfd_send_signal(pidfd, signal));
        match sent {
            // Linux 5.1 and 5.2 have this call and not the other; no kernel has it the other way round, but a profile may.
            None | Some(Err(Errno::NOSYS)) => kill_process(process.pid, signal)?,
            Some(sent) => sent?,
        }
        Ok(None)
    }
}

/// Signals once what there is to be signalled, and says why not where that is so. Whether everybody was.
pub fn signal_now(config: &Config<'_>, proc: &Proc, report: &mut Report) -> bool {
    let now = sys::now();
    let order = Order {
        started_before: now,
        started_between: None,
        generation: 1,
    };
    let mut confirm = Confirm::new(config);
    let mut means = Means {
        config,
        proc,
        report: &mut *report,
        confirm: &mut confirm,
        news: None,
    };
    let mut delivery = Delivery::new();
    let attempt = delivery.attempt(order, now, &mut means);
    if let Some(reason) = attempt.waiting {
        let line = report.old.line(Level::Error);
        delivery.explain(line, reason, config);
        line.send();
    }
    attempt.waiting.is_none()
}

/// What is in the way where only one's own processes can be seen.
pub const HIDDEN: Words = words!("/proc hides the processes of other users (hidepid)");

/// What is wrong with a process file.
pub const NO_PID_FILE: Words =
    words!("PROCESS_PID_FILE has no process id in its first line, or cannot be read");

/// What to do where the process is another user's.
pub const NOT_PERMITTED: Words = words!(
    "run the sidecar with the process's uid (runAsUser), or as uid 0 with the capability KILL"
);

/// What to do where no other container's process can be seen.
pub const NOT_SHARED: Words = words!(
    "other containers' processes cannot be seen from here; set shareProcessNamespace: true in the Pod"
);

/// Adds the settings by which the process is looked for.
pub fn name_matcher(line: &mut Log, config: &Config<'_>) {
    let matcher = &config.matcher;
    let mut name = |key: &str, value: Option<&[u8]>| {
        if let Some(value) = value {
            line.key(key, value);
        }
    };
    name("process_name", matcher.names.map(CommaList::as_bytes));
    name("process_cmdline", matcher.cmdline);
    name("process_pid_file", matcher.pid_file);
}

/// Opens what the signal is sent by: the descriptor first, then the process is looked at again, so that it is the very one that
/// was found; pidfd_open(2), pidfd_send_signal(2). `None` where the kernel has no such descriptors.
fn hold(process: &Process, matcher: &Matcher<'_>, proc: &Proc) -> io::Result<Option<OwnedFd>> {
    let pidfd = match pidfd_open(process.pid, PidfdFlags::empty()) {
        // Linux before 5.3, or a seccomp profile older than that, which answers EPERM.
        Err(Errno::NOSYS | Errno::PERM) => None,
        opened => Some(opened?),
    };
    let again = proc.read(process.pid)?;
    if again.start == process.start && proc.matches(&again, matcher) {
        Ok(pidfd)
    } else {
        Err(Errno::SRCH)
    }
}
