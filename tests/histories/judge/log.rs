//! The sidecar's log, parsed.

use super::MS;
use crate::messages::{CHANGED, REQUESTED, SENT};
use crate::trace::{Time, Trace};
use serde_json::Value;

const DAY_MS: Time = 86_400_000;

/// One line of the log.
pub struct Line {
    /// When it was written, on the clock of the steps, truncated to a millisecond.
    pub at: Time,
    pub level: String,
    pub message: String,
    /// All members but time and level.
    pub members: Value,
}

impl Line {
    fn parse(text: &str, trace: &Trace) -> Option<Self> {
        let mut members: Value = serde_json::from_str(text).ok()?;
        let time = members.as_object_mut()?.remove("time")?;
        let level = members.as_object_mut()?.remove("level")?;
        let begun_ms = trace.begun / MS;
        let since_ms = ms_of_day(time.as_str()?)? - trace.wall_ms[0] - begun_ms;
        // The log may pass midnight. Rounding can put its first line just before the beginning.
        let since_ms = (since_ms + 1000).rem_euclid(DAY_MS) - 1000;
        Some(Self {
            at: (begun_ms + since_ms) * MS,
            level: level.as_str()?.to_owned(),
            message: members["message"].as_str()?.to_owned(),
            members,
        })
    }
}

/// Reads `2026-11-23T15:16:27.123Z`.
fn ms_of_day(time: &str) -> Option<Time> {
    let number = |from: usize, to: usize| time.get(from..to)?.parse::<Time>().ok();
    let minutes = number(11, 13)? * 60 + number(14, 16)?;
    Some((minutes * 60 + number(17, 19)?) * 1000 + number(20, 23)?)
}

/// Parses the whole log.
///
/// # Errors
/// The first line that cannot be parsed.
pub fn parse(trace: &Trace) -> Result<Vec<Line>, String> {
    let lines = trace.log.iter();
    lines
        .map(|text| Line::parse(text, trace).ok_or_else(|| text.clone()))
        .collect()
}

/// One signal, as logged.
pub struct Sent {
    pub at: Time,
    pub pid: i32,
    /// When the latest change before it was logged.
    pub changed: Option<Time>,
    /// SIGUSR1 arrived since the previous signal.
    pub requested: bool,
    /// The preceding line logs a signal to another process: both were sent together.
    pub together: bool,
}

/// Collects the signals from the log.
pub fn sent(lines: &[Line]) -> Vec<Sent> {
    let (mut changed, mut requested, mut sent) = (None, false, Vec::<Sent>::new());
    let mut previous = "";
    for line in lines {
        match &*line.message {
            CHANGED => changed = Some(line.at),
            REQUESTED => requested = true,
            SENT => {
                let pid = line.members["pid"].as_i64().unwrap_or(0) as i32;
                sent.push(Sent {
                    at: line.at,
                    pid,
                    changed,
                    requested: std::mem::take(&mut requested),
                    together: previous == SENT && sent.last().is_some_and(|last| last.pid != pid),
                });
            }
            _ => {}
        }
        previous = &line.message;
    }
    sent
}
