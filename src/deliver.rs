//! Delivery: the guard's verdict, and a signal that never hits a recycled id.

use crate::config::Config;
use crate::log::{Level, Log};
use crate::process::{Proc, Process, Scanned, Status};
use crate::reload::{Attempt, Instant, Order, Waiting};
use crate::signal::{DefaultAction, Signal};
use crate::sys;
use rustix::io::{self, Errno};
use rustix::process::{
    Pid, PidfdFlags, geteuid, getpid, kill_process, pidfd_open, pidfd_send_signal,
};

/// So many processes are remembered as having been told of the content that is being delivered. Only needed while another one
/// cannot be told; beyond that number some may be told twice.
const TOLD_MAX: usize = 32;

/// What would come of sending the signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The process is prepared, or means to be ended.
    Send,
    /// The process ignores it: harmless, and useless.
    SendIgnored,
    /// It would end or stop the process.
    Hold,
}

/// Decides from a process's status; `blocked_in_a_thread` is asked only where that decides. Pure but for that question.
pub fn verdict(
    signal: Signal,
    status: &Status,
    blocked_in_a_thread: impl FnOnce() -> bool,
) -> Verdict {
    let mask = mask(signal);
    let number = i32::from(signal.number());
    // Whoever configures one of these wants the process to end or stop.
    let is_meant = [
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGKILL,
        libc::SIGABRT,
        libc::SIGSTOP,
    ]
    .contains(&number);
    let is_harmless = matches!(
        signal.default_action(),
        DefaultAction::Ignore | DefaultAction::Continue
    );
    if status.ignored & mask != 0 {
        Verdict::SendIgnored
    } else if is_meant
        || is_harmless
        || (status.caught | status.blocked) & mask != 0
        || blocked_in_a_thread()
    {
        Verdict::Send
    } else {
        Verdict::Hold
    }
}

fn mask(signal: Signal) -> u64 {
    1 << (signal.number() - 1)
}

/// The last process that could not be signalled, for the log.
#[derive(Clone, Copy, Debug)]
struct Obstacle {
    process: Process,
    uid: Option<u32>,
    errno: Option<Errno>,
}

/// Attempts to deliver, and what is remembered between two of them.
#[derive(Debug)]
pub struct Delivery {
    told: [Option<(Pid, Instant)>; TOLD_MAX],
    told_count: usize,
    generation: u32,
    obstacle: Option<Obstacle>,
    scanned: Scanned,
}

impl Delivery {
    /// Nobody has been told of anything.
    pub const fn new() -> Self {
        Self {
            told: [None; TOLD_MAX],
            told_count: 0,
            generation: 0,
            obstacle: None,
            scanned: Scanned {
                others: 0,
                selected: 0,
                no_pid_file: false,
            },
        }
    }

    /// Signals every process that the order concerns and that is ready. `changed_at` is when the change began, for the log.
    pub fn attempt(
        &mut self,
        order: Order,
        config: &Config<'_>,
        proc: &Proc,
        changed_at: Instant,
        log: &mut Log,
    ) -> Attempt {
        if order.generation != self.generation {
            self.generation = order.generation;
            self.told_count = 0;
        }
        let mut attempt = Attempt {
            signalled: 0,
            waiting: None,
        };
        let scanned = proc.select(&config.matcher, config.select, &mut |process| {
            if self.told[..self.told_count].contains(&Some((process.pid, process.start))) {
                return;
            }
            if !order.concerns(process.start) {
                {
                    let line = log.line(Level::Debug);
                    line.say("started after the change, needs no signal");
                    name_process(line, process);
                    line.send();
                };
                return;
            }
            match self.tell(process, config, proc, log) {
                Ok(()) => {
                    attempt.signalled += 1;
                    {
                        let line = log.line(Level::Info);
                        line.say("signal sent")
                            .key("signal", config.signal.name().as_bytes());
                        name_process(line, process);
                        line.key_number("after_ms", sys::now().ms_since(changed_at));
                        line.send();
                    };
                    if let Some(slot) = self.told.get_mut(self.told_count) {
                        *slot = Some((process.pid, process.start));
                        self.told_count += 1;
                    }
                }
                Err(waiting) => {
                    attempt.waiting.get_or_insert(waiting);
                }
            }
        });
        match scanned {
            Ok(scanned) => {
                self.scanned = scanned;
                if scanned.no_pid_file {
                    attempt.waiting.get_or_insert((Waiting::PidFile, None));
                } else if scanned.selected == 0 {
                    attempt.waiting.get_or_insert((Waiting::NoProcess, None));
                }
            }
            Err(errno) => {
                log.line(Level::Debug)
                    .say("cannot read /proc: ")
                    .errno(errno)
                    .send();
                attempt.waiting.get_or_insert((Waiting::Failed, None));
            }
        }
        attempt
    }

    fn tell(
        &mut self,
        process: &Process,
        config: &Config<'_>,
        proc: &Proc,
        log: &mut Log,
    ) -> Result<(), (Waiting, Option<Instant>)> {
        let now = sys::now();
        let ready_at = process.start.plus_ms(config.min_age_ms);
        let mut obstacle = Obstacle {
            process: *process,
            uid: None,
            errno: None,
        };
        let waiting = if ready_at > now {
            (Waiting::TooYoung, Some(ready_at))
        } else if config.guard && guard(process, config.signal, proc, log) == Verdict::Hold {
            (Waiting::Guarded, None)
        } else {
            match send(process, config, proc) {
                Ok(()) => return Ok(()),
                // It has just ended: what comes in its place is found by the next attempt.
                Err(Errno::SRCH) => (Waiting::NoProcess, None),
                Err(Errno::PERM) => {
                    obstacle.uid = proc.status(process.pid).ok().map(|status| status.uid);
                    (Waiting::NotPermitted, None)
                }
                Err(errno) => {
                    obstacle.errno = Some(errno);
                    (Waiting::Failed, None)
                }
            }
        };
        self.obstacle = Some(obstacle);
        Err(waiting)
    }

    /// Says why a reload waits and what to do about it.
    pub fn explain(&self, line: &mut Log, reason: Waiting, config: &Config<'_>) {
        line.say("reload pending: ");
        let process = |line: &mut Log| {
            if let Some(obstacle) = &self.obstacle {
                name_process(line, &obstacle.process);
            }
        };
        match reason {
            Waiting::NoProcess => {
                line.say("no process matches");
                name_matcher(line, config);
                // The only process that can be seen is this one, or it is the first of its namespace.
                if self.scanned.others == 0 || getpid() == Pid::INIT {
                    line.key("hint", NOT_SHARED.as_bytes());
                }
            }
            Waiting::PidFile => {
                line.say("PROCESS_PID_FILE has no process id in its first line, or cannot be read");
                name_matcher(line, config);
            }
            Waiting::NotPermitted => {
                let own = geteuid().as_raw();
                line.say("EPERM: this runs as uid ").number(own.into());
                if let Some(uid) = self.obstacle.and_then(|obstacle| obstacle.uid) {
                    line.say(", the process as uid ").number(uid.into());
                }
                line.say("; run the sidecar with the process's uid (runAsUser), or as uid 0 with the capability KILL");
                process(line);
            }
            Waiting::TooYoung => {
                line.say("the process is younger than PROCESS_MIN_AGE");
                process(line);
            }
            Waiting::Guarded => {
                line.say("the process has no handler for the signal and would be ended or stopped by it; sent as soon as it has one");
                line.key("signal", config.signal.name().as_bytes());
                process(line);
            }
            Waiting::Failed => {
                line.say("the kernel refuses the signal");
                if let Some(errno) = self.obstacle.and_then(|obstacle| obstacle.errno) {
                    line.say(": ").errno(errno);
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

/// What to do where no other container's process can be seen.
pub const NOT_SHARED: &str = "other containers' processes cannot be seen from here; set shareProcessNamespace: true in the Pod";

fn name_process(line: &mut Log, process: &Process) {
    line.key_number("pid", process.pid.as_raw_nonzero().get() as u64)
        .key("process", process.comm.as_bytes());
}

/// Adds the settings by which the process is looked for.
pub fn name_matcher(line: &mut Log, config: &Config<'_>) {
    let matcher = &config.matcher;
    for (key, value) in [
        ("process_name", matcher.names.map(|names| names.as_bytes())),
        ("process_cmdline", matcher.cmdline),
        ("process_pid_file", matcher.pid_file),
    ] {
        if let Some(value) = value {
            line.key(key, value);
        }
    }
}

fn guard(process: &Process, signal: Signal, proc: &Proc, log: &mut Log) -> Verdict {
    // A process that has gone is found out by sending.
    let Ok(status) = proc.status(process.pid) else {
        return Verdict::Send;
    };
    let verdict = verdict(signal, &status, || {
        proc.is_blocked_in_a_thread(process.pid, mask(signal))
            .unwrap_or(false)
    });
    if verdict == Verdict::SendIgnored {
        {
            let line = log.line(Level::Warn);
            line.say("the process ignores the signal; it is sent, but nothing will happen");
            line.key("signal", signal.name().as_bytes());
            name_process(line, process);
            line.send();
        };
    }
    verdict
}

/// Sends to the very process that was found: the descriptor is opened first, and what it refers to is looked at again before
/// it is used; pidfd_open(2), pidfd_send_signal(2).
fn send(process: &Process, config: &Config<'_>, proc: &Proc) -> io::Result<()> {
    let signal = sys::to_rustix(config.signal);
    let pidfd = match pidfd_open(process.pid, PidfdFlags::empty()) {
        // Linux before 5.3, or a seccomp profile older than that, which answers EPERM.
        Err(Errno::NOSYS | Errno::PERM) => None,
        opened => Some(opened?),
    };
    let again = proc
        .process(process.pid)
        .filter(|again| again.start == process.start);
    if !again.is_some_and(|again| proc.matches(&again, &config.matcher)) {
        return Err(Errno::SRCH);
    }
    match pidfd.map(|pidfd| pidfd_send_signal(pidfd, signal)) {
        // Linux 5.1 and 5.2 have this call and not the other; no kernel has it the other way round, but a profile may.
        None | Some(Err(Errno::NOSYS)) => kill_process(process.pid, signal),
        Some(sent) => sent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(signal: &str, status: Status, blocked_in_a_thread: bool) -> Verdict {
        verdict(Signal::parse(signal.as_bytes()).unwrap(), &status, || {
            blocked_in_a_thread
        })
    }

    fn all(field: fn(&mut Status) -> &mut u64) -> Status {
        let mut status = Status::default();
        *field(&mut status) = u64::MAX;
        status
    }

    #[test]
    fn an_unprepared_process_is_spared_a_signal_that_would_end_or_stop_it() {
        for signal in ["HUP", "USR1", "USR2", "SEGV", "TSTP", "RTMIN+3"] {
            assert_eq!(
                judged(signal, Status::default(), false),
                Verdict::Hold,
                "{signal}"
            );
        }
    }

    #[test]
    fn a_prepared_process_gets_the_signal() {
        for signal in ["HUP", "USR1", "TSTP", "RTMAX"] {
            assert_eq!(
                judged(signal, all(|status| &mut status.caught), false),
                Verdict::Send,
                "{signal} caught"
            );
            assert_eq!(
                judged(signal, all(|status| &mut status.blocked), false),
                Verdict::Send,
                "{signal} blocked"
            );
            assert_eq!(
                judged(signal, Status::default(), true),
                Verdict::Send,
                "{signal} blocked in a thread"
            );
            assert_eq!(
                judged(signal, all(|status| &mut status.ignored), false),
                Verdict::SendIgnored,
                "{signal} ignored"
            );
        }
    }

    #[test]
    fn the_signals_that_are_meant_to_end_or_stop_are_sent() {
        for signal in ["TERM", "INT", "QUIT", "KILL", "ABRT", "STOP"] {
            assert_eq!(
                judged(signal, Status::default(), false),
                Verdict::Send,
                "{signal}"
            );
        }
    }

    #[test]
    fn signals_that_do_nothing_by_default_are_sent() {
        for signal in ["CHLD", "URG", "WINCH", "CONT"] {
            assert_eq!(
                judged(signal, Status::default(), false),
                Verdict::Send,
                "{signal}"
            );
        }
    }

    #[test]
    fn only_the_signal_in_question_counts() {
        let hup = Status {
            caught: 1,
            ..Status::default()
        };
        assert_eq!(judged("HUP", hup, false), Verdict::Send);
        assert_eq!(judged("INT", hup, false), Verdict::Send);
        assert_eq!(judged("USR1", hup, false), Verdict::Hold);
        let rtmax = Status {
            caught: 1 << 63,
            ..Status::default()
        };
        assert_eq!(judged("RTMAX", rtmax, false), Verdict::Send);
        assert_eq!(judged("RTMAX-1", rtmax, false), Verdict::Hold);
    }
}
