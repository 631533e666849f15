//! Delivery: a signal that never hits a recycled id, and why it may have to wait.

use crate::config::{CommaList, Config};
use crate::confirm::Confirm;
use crate::fingerprint::Fingerprint;
use crate::guard::{Verdict, guard};
use crate::log::{Level, Log};
use crate::process::{Proc, Process, Scanned};
use crate::reload::{Attempt, Instant, Order, Waiting};
use crate::sys;
use crate::words;
use crate::words::Words;
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

/// A process that was found before.
#[derive(Debug)]
struct Known {
    pid: Pid,
    start: Instant,
    /// The generation that it was told of last; 0 for none.
    told: u32,
    /// When it was last seen unprepared for the signal, or was started.
    unprepared: Instant,
    /// What the signal is sent by, if the kernel has that: opened before there is anything to deliver.
    pidfd: Option<OwnedFd>,
}

/// The first process that could not be signalled, for the log.
#[derive(Clone, Copy, Debug)]
struct Obstacle {
    process: Process,
    waiting: Waiting,
    /// When it is worth another try, if that is known.
    ready_at: Option<Instant>,
    uid: Option<u32>,
    errno: Option<Errno>,
}

/// What an attempt needs from the outside.
pub struct Means<'m, 'c> {
    /// Whom to signal, and how.
    pub config: &'m Config<'c>,
    /// Where processes are looked for.
    pub proc: &'m Proc,
    /// Where it is told what was done.
    pub log: &'m mut Log,
    /// Who is told of each signal.
    pub confirm: &'m mut Confirm,
    /// Said after the signal, which is not to wait for it.
    pub news: News<'m>,
}

impl Means<'_, '_> {
    /// Starts a line, after what is still to be said.
    fn line(&mut self, level: Level) -> &mut Log {
        tell_news(self.log, &mut self.news);
        self.log.line(level)
    }
}

/// The content before and after a change that is still to be told of, and the names of what has changed.
pub type News<'n> = Option<(Fingerprint, Fingerprint, &'n [u8])>;

/// Says what has changed, once.
pub fn tell_news(log: &mut Log, news: &mut News<'_>) {
    if let Some((before, after, names)) = news.take() {
        log.line(Level::Info)
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
    known: [Option<Known>; KNOWN_MAX],
    obstacle: Option<Obstacle>,
    scanned: Scanned,
    /// Why `/proc` could not be read to its end.
    unread: Option<Errno>,
}

impl Delivery {
    /// Nobody has been told of anything.
    pub const fn new() -> Self {
        Self {
            known: [const { None }; KNOWN_MAX],
            obstacle: None,
            scanned: Scanned {
                others: 0,
                selected: 0,
                no_pid_file: false,
            },
            unread: None,
        }
    }

    /// Finds the processes that are there, so that the first change finds them known.
    pub fn acquaint(&mut self, config: &Config<'_>, proc: &Proc) {
        // A `/proc` that cannot be read is met again, and reported, when there is something to deliver.
        let _ = proc.select(&config.matcher, config.select, &mut |process| {
            self.remember(process, 0, process.start);
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
        };
        // Those of the last time first: the application must not wait while all the others are looked at. They were selected
        // then, and are the same processes; that they still match is looked at before they are signalled. A process file
        // may name another one by now.
        for at in 0..KNOWN_MAX {
            let Some(known) = &self.known[at] else {
                continue;
            };
            if config.matcher.pid_file.is_some() {
                continue;
            }
            match proc.live(known.pid).filter(|it| it.start == known.start) {
                Some(process) => {
                    self.offer(&process, order, changed_at, means, &mut attempt);
                }
                None => self.known[at] = None,
            }
        }
        tell_news(means.log, &mut means.news);
        // Whoever was in the way then is met again now.
        attempt.waiting = None;
        self.unread = None;
        let scanned = proc.select(&config.matcher, config.select, &mut |process| {
            self.offer(process, order, changed_at, means, &mut attempt);
        });
        match scanned {
            Ok(scanned) => {
                self.scanned = scanned;
                if scanned.no_pid_file {
                    attempt.waiting.get_or_insert((Waiting::PidFile, None));
                } else if scanned.selected == 0 && attempt.signalled == 0 {
                    attempt.waiting.get_or_insert((Waiting::NoProcess, None));
                }
            }
            Err(errno) => {
                self.unread = Some(errno);
                attempt.waiting.get_or_insert((Waiting::Failed, None));
            }
        }
        attempt
    }

    /// Signals one process, if the order concerns it and it has not been told.
    fn offer(
        &mut self,
        process: &Process,
        order: Order,
        changed_at: Instant,
        means: &mut Means<'_, '_>,
        attempt: &mut Attempt,
    ) {
        let is_this = |known: &Known| known.pid == process.pid && known.start == process.start;
        let mut known = self.known.iter_mut().flatten();
        let mut known = known.find(|known| is_this(known));
        let (told, unprepared) =
            (known.as_ref()).map_or((0, process.start), |known| (known.told, known.unprepared));
        if told == order.generation {
            return;
        }
        let is_first = attempt.signalled == 0;
        if !order.concerns(process.start) {
            let line = means.line(Level::Debug);
            line.say(words!("started after the change, needs no signal"));
            process.name_in(line).send();
            return;
        }
        // It was opened before the process was looked at, and that was the same one as when it was opened.
        let held = known.as_mut().and_then(|known| known.pidfd.take());
        match Self::tell(process, held, unprepared, changed_at, is_first, means) {
            Ok(pidfd) => {
                let (now, signal) = (sys::now(), means.config.signal);
                attempt.signalled += 1;
                self.remember(process, order.generation, unprepared);
                means.confirm.signalled(process, pidfd, now);
                let line = means.line(Level::Info).say(words!("signal sent"));
                signal.name_in(line);
                process.name_in(line);
                line.key_number("after_ms", now.ms_since(changed_at)).send();
            }
            // Of several the first one counts, but one that has just ended leaves nothing to be told of.
            Err(obstacle) => {
                if matches!(obstacle.waiting, Waiting::Guarded | Waiting::Ignored) {
                    self.remember(process, told, sys::now());
                }
                if attempt
                    .waiting
                    .is_none_or(|(reason, _)| reason == Waiting::NoProcess)
                {
                    attempt.waiting = Some((obstacle.waiting, obstacle.ready_at));
                    self.obstacle = Some(obstacle);
                }
            }
        }
    }

    /// Takes the place of the process itself, or a free one, or one of somebody told of something older.
    fn remember(&mut self, process: &Process, told: u32, unprepared: Instant) {
        let rank = |slot: &Option<Known>| match slot {
            Some(known) if known.pid == process.pid && known.start == process.start => 0,
            None => 1,
            Some(known) if known.told != told => 2,
            Some(_) => 3,
        };
        if let Some(slot) = self
            .known
            .iter_mut()
            .min_by_key(|slot| rank(slot))
            .filter(|slot| rank(slot) < 3)
        {
            *slot = Some(Known {
                pid: process.pid,
                start: process.start,
                told,
                unprepared,
                pidfd: pidfd_open(process.pid, PidfdFlags::empty()).ok(),
            });
        }
    }

    fn tell(
        process: &Process,
        held: Option<OwnedFd>,
        unprepared: Instant,
        changed_at: Instant,
        is_first: bool,
        means: &mut Means<'_, '_>,
    ) -> Result<Option<OwnedFd>, Obstacle> {
        let (config, proc) = (means.config, means.proc);
        let now = sys::now();
        // One that has only now set up its handler is no readier than one that has only now been started.
        let ready_at = unprepared.plus_ms(config.min_age_ms);
        let mut obstacle = Obstacle {
            process: *process,
            waiting: Waiting::Failed,
            ready_at: None,
            uid: None,
            errno: None,
        };
        let verdict = if config.guard {
            guard(process, config.signal, proc)
        } else {
            Verdict::Send
        };
        let patience = process.start.plus_ms(STARTS_FOR * config.min_age_ms);
        let patience = patience.max(changed_at.plus_ms(config.min_age_ms));
        obstacle.waiting = if verdict == Verdict::Hold {
            Waiting::Guarded
        } else if verdict == Verdict::SendIgnored && patience > now {
            Waiting::Ignored
        } else if ready_at > now {
            obstacle.ready_at = Some(ready_at);
            Waiting::TooYoung
        } else {
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
            match send(process, held, config, proc) {
                Ok(pidfd) => return Ok(pidfd),
                // It has just ended: what comes in its place is found by the next attempt.
                Err(Errno::SRCH) => Waiting::NoProcess,
                Err(Errno::PERM) => {
                    obstacle.uid = proc.status(process.pid).ok().map(|status| status.uid);
                    Waiting::NotPermitted
                }
                Err(errno) => {
                    obstacle.errno = Some(errno);
                    Waiting::Failed
                }
            }
        };
        Err(obstacle)
    }

    /// Says why a reload waits and what to do about it.
    pub fn explain(&self, line: &mut Log, reason: Waiting, config: &Config<'_>) {
        let process = |line: &mut Log| {
            if let Some(obstacle) = &self.obstacle {
                obstacle.process.name_in(line);
            }
        };
        match reason {
            Waiting::NoProcess => {
                line.say(words!("no process matches"));
                if getpid() == Pid::INIT {
                    line.say(words!("; ")).say(NOT_SHARED);
                } else if self.scanned.others == 0 && config.matcher.pid_file.is_none() {
                    // Every namespace has a process 1.
                    line.say(words!("; ")).say(HIDDEN);
                }
                name_matcher(line, config);
            }
            Waiting::PidFile => {
                line.say(NO_PID_FILE);
                name_matcher(line, config);
            }
            Waiting::NotPermitted => {
                let own = geteuid().as_raw();
                line.say(words!("EPERM: this runs as uid "))
                    .number(own.into());
                if let Some(uid) = self.obstacle.and_then(|obstacle| obstacle.uid) {
                    line.say(words!(", the process as uid ")).number(uid.into());
                }
                line.say(words!("; ")).say(NOT_PERMITTED);
                process(line);
            }
            Waiting::TooYoung => {
                line.say(words!(
                    "the process is younger than PROCESS_MIN_AGE, or was unprepared until now"
                ));
                process(line);
            }
            Waiting::Guarded => {
                line.say(words!("the process has no handler for the signal and would be ended or stopped by it; sent as soon as it has one"));
                config.signal.name_in(line);
                process(line);
            }
            Waiting::Ignored => {
                line.say(words!(
                    "the process ignores the signal, perhaps until it is ready"
                ));
                config.signal.name_in(line);
                process(line);
            }
            Waiting::Failed if self.unread.is_some() => {
                line.say(words!("cannot read /proc"));
                if let Some(errno) = self.unread {
                    line.say(words!(": ")).errno(errno);
                }
            }
            Waiting::Failed => {
                line.say(words!("the kernel refuses the signal"));
                if let Some(errno) = self.obstacle.and_then(|obstacle| obstacle.errno) {
                    line.say(words!(": ")).errno(errno);
                }
                process(line);
            }
        }
    }
}

impl Default for Delivery {
    fn default() -> Self {
        Self::new()
    }
}

/// Signals once what there is to be signalled, and says why not where that is so. Whether everybody was.
pub fn signal_now(config: &Config<'_>, proc: &Proc, log: &mut Log) -> bool {
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
        log: &mut *log,
        confirm: &mut confirm,
        news: None,
    };
    let mut delivery = Delivery::new();
    let attempt = delivery.attempt(order, now, &mut means);
    if let Some((reason, _)) = attempt.waiting {
        let line = log.line(Level::Error);
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
    for (key, value) in [
        ("process_name", matcher.names.map(CommaList::as_bytes)),
        ("process_cmdline", matcher.cmdline),
        ("process_pid_file", matcher.pid_file),
    ] {
        if let Some(value) = value {
            line.key(key, value);
        }
    }
}

/// Sends to the very process that was found: the descriptor is opened first, and what it refers to is looked at again before
/// it is used; pidfd_open(2), pidfd_send_signal(2). One that was `held` since before that look has been, and its process has
/// only to go by its name still. Returns the descriptor, if the kernel has such.
fn send(
    process: &Process,
    held: Option<OwnedFd>,
    config: &Config<'_>,
    proc: &Proc,
) -> io::Result<Option<OwnedFd>> {
    let signal = sys::to_rustix(config.signal);
    let (pidfd, again) = if held.is_some() {
        (held, Some(*process))
    } else {
        let opened = match pidfd_open(process.pid, PidfdFlags::empty()) {
            // Linux before 5.3, or a seccomp profile older than that, which answers EPERM.
            Err(Errno::NOSYS | Errno::PERM) => None,
            opened => Some(opened?),
        };
        (opened, proc.process(process.pid))
    };
    let again = again.filter(|again| again.start == process.start);
    if !again.is_some_and(|again| proc.matches(&again, &config.matcher)) {
        return Err(Errno::SRCH);
    }
    let sent = pidfd.as_ref().map(|pidfd| pidfd_send_signal(pidfd, signal));
    match sent {
        // Linux 5.1 and 5.2 have this call and not the other; no kernel has it the other way round, but a profile may.
        None | Some(Err(Errno::NOSYS)) => kill_process(process.pid, signal)?,
        Some(sent) => sent?,
    }
    Ok(pidfd)
}
