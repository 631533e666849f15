//! Finds out when a sidecar is idle, and what it uses then.

use crate::messages::{NO_LONGER_PENDING, PENDING};
use crate::support::DEADLINE;
use crate::support::process::Talker;
use crate::trace::Usage;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Timeouts that are computed from a clock may come out a little short.
const ROUNDING_MS: u64 = 5;
/// Nothing that an idle sidecar waits for is due later than this, or than [`RETRY_MS`] with a reload pending.
const DUE_MS: u64 = 500;
const RETRY_MS: u64 = 6_000;
/// The sidecar holds a pidfd of each process that it has signalled, until it finds out that the process is gone.
const PIDFDS: usize = 16;

/// Waits until the sidecar has nothing to do and the target has read everything that it was signalled to read.
///
/// An event or a signal wakes a process before the call that caused it returns. So both are idle if both sleep and neither has
/// run in between. The target may wake the sidecar: closing a file that was removed while it was read is an event.
pub fn wait_until_idle(
    sidecar: &mut Talker,
    target: &Talker,
    poll_ms: Option<u64>,
) -> Result<(), String> {
    let deadline = Instant::now() + DEADLINE;
    let mut polls = Polls::default();
    while Instant::now() < deadline {
        let switches = [switches(sidecar), switches(target)];
        if polls.is_idle(sidecar, poll_ms)
            && target.sleeps_in(libc::SYS_recvfrom).is_some()
            && polls.is_idle(sidecar, poll_ms)
            && switches == [self::switches(sidecar), self::switches(target)]
        {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Err("the sidecar or the target never became idle".to_owned())
}

/// The time for which a sidecar has only compared at intervals.
#[derive(Default)]
struct Polls {
    switches: u64,
    /// Successive sleeps that lasted a whole interval.
    whole: u64,
}

impl Polls {
    /// Returns true if the sidecar sleeps until something happens. One that compares at intervals always has a timeout; it is
    /// idle if that was a whole interval for so long that anything else would have been due.
    fn is_idle(&mut self, sidecar: &mut Talker, poll_ms: Option<u64>) -> bool {
        let now = switches(sidecar);
        let Some(arguments) = sidecar.sleeps_in(libc::SYS_ppoll) else {
            return false;
        };
        let Some(poll_ms) = poll_ms else {
            return arguments[2] == 0;
        };
        let timeout_ms = timeout_ms(sidecar, arguments[2]);
        if now != self.switches && now == switches(sidecar) {
            self.switches = now;
            let is_whole = timeout_ms.is_some_and(|ms| ms + ROUNDING_MS >= poll_ms);
            self.whole = if is_whole { self.whole + 1 } else { 0 };
        }
        let due_ms = if is_pending(sidecar) {
            RETRY_MS
        } else {
            DUE_MS
        };
        self.whole * poll_ms >= due_ms + poll_ms
    }
}

/// Returns true if the last reload that was logged as pending still is.
fn is_pending(sidecar: &mut Talker) -> bool {
    let mut lines = sidecar.seen().iter().rev();
    let last = lines.find_map(|line| {
        let begins = line.contains(PENDING);
        let ends = NO_LONGER_PENDING.iter().any(|end| line.contains(end));
        (begins || ends).then_some(begins)
    });
    last == Some(true)
}

/// Reads the timespec that ppoll(2) was called with.
fn timeout_ms(process: &Talker, address: u64) -> Option<u64> {
    let mut bytes = [0; 16];
    let memory = File::open(proc(process, "mem")).ok()?;
    memory.read_exact_at(&mut bytes, address).ok()?;
    let number = |at: usize| Some(u64::from_le_bytes(bytes[at..at + 8].try_into().ok()?));
    Some(number(0)? * 1000 + number(8)? / 1_000_000)
}

/// Measures the sidecar between two comparisons.
pub fn usage(sidecar: &Talker) -> Usage {
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline {
        let before = switches(sidecar);
        let is_asleep = sidecar.sleeps_in(libc::SYS_ppoll).is_some();
        let usage = usage_now(sidecar);
        if is_asleep && before == switches(sidecar) {
            return usage;
        }
    }
    panic!("the sidecar never slept");
}

fn usage_now(sidecar: &Talker) -> Usage {
    let maps = fs::read_to_string(proc(sidecar, "smaps_rollup")).unwrap();
    let (pidfds, others): (Vec<_>, Vec<_>) = fs::read_dir(proc(sidecar, "fd"))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .partition(|target| target.to_string_lossy().contains("[pidfd]"));
    assert!(pidfds.len() <= PIDFDS, "{pidfds:?}");
    Usage {
        anonymous_kib: field(&maps, "Anonymous:").expect("smaps_rollup has it"),
        descriptors: others.len(),
    }
}

/// Returns how often a process has gone to sleep.
fn switches(process: &Talker) -> u64 {
    let status = fs::read_to_string(proc(process, "status")).unwrap_or_default();
    field(&status, "voluntary_ctxt_switches:").unwrap_or(0)
}

/// The number behind a name.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

pub fn proc(process: &Talker, name: &str) -> PathBuf {
    format!("/proc/{}/{name}", process.pid().as_raw_nonzero()).into()
}
