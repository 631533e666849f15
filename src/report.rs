//! The log and the metrics. Both come from one list of [`facts`].
//!
//! The code that makes a decision reports it as a fact, and formats nothing:
//!
//! ```text
//! report.record(&Delivering::Sent { signal, subject, after })
//!   -> 2026-11-23T15:16:27.123Z info  signal sent signal=SIGHUP pid=7 process=nginx after_ms=3
//!   -> reloader_signals_total 1
//! ```

pub mod facts;
pub mod line;
pub mod log;
pub mod metrics;
pub mod print;

use crate::base::sys;
use core::fmt;
use line::{Format, Level, Line};
use log::Log;
use metrics::Metrics;

/// Something worth a log line, a metric, or both.
pub trait Fact {
    /// Returns the level to log it at; `None` if it is only counted.
    fn level(&self) -> Option<Level>;
    /// Writes the message and adds its keys.
    fn describe(&self, line: &mut Line) -> fmt::Result;
    /// Updates the metrics.
    fn count(&self, _metrics: &mut Metrics) {}
}

/// The log and the metrics.
#[derive(Debug)]
pub struct Report {
    /// Writes the log lines.
    pub log: Log,
    /// The counts so far.
    pub metrics: Metrics,
}

impl Report {
    /// Returns a report that writes text to standard error and drops debug lines.
    pub const fn new() -> Self {
        Self {
            log: Log::new(),
            metrics: Metrics::new(),
        }
    }

    /// Sets the format of the lines from now on, and the lowest level to log.
    pub const fn set(&mut self, format: Format, min_level: Level) {
        self.log.format = format;
        self.log.min_level = min_level;
    }

    /// Counts a fact, and logs it unless its level is too low.
    pub fn record(&mut self, fact: &dyn Fact) {
        fact.count(&mut self.metrics);
        let Some(level) = fact.level().filter(|level| *level >= self.log.min_level) else {
            return;
        };
        let mut line = Line::empty(self.log.format);
        line.begin(level, sys::wall_ms());
        // Writing into a line cannot fail: what does not fit is cut.
        let _ = fact.describe(&mut line);
        if !self.log.send(&mut line) {
            self.metrics.log_lines_dropped_total += 1;
        }
    }
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}
