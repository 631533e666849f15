//! What is told of the present: numbers, and what stands in the way of being ready.

use super::Page;
use crate::base::sys;
use crate::base::time::{Instant, Millis};
use crate::config::Config;
use crate::deliver::Delivery;
use crate::reload::Waiting;
use crate::report::Report;
use crate::report::old_log::{Format, Level, Log};
use crate::report::old_metrics::{Metric, Metrics};
use crate::watch::Watch;
use crate::words;

/// A reload may be pending so long before the sidecar counts as not ready, in milliseconds.
const PENDING_MAX: Millis = Millis(60_000);

/// All that the pages tell of.
pub struct State<'s, 'c> {
    /// The settings.
    pub config: &'c Config<'c>,
    /// What is watched.
    pub watch: &'s Watch,
    /// What is in the way of a pending reload.
    pub delivery: &'s Delivery,
    /// The content is compared at intervals.
    pub is_polling: bool,
    /// When the change began that is not delivered yet, and why it is not, if an attempt has failed.
    pub pending: Option<(Instant, Option<Waiting>)>,
    /// The time.
    pub now: Instant,
}

impl State<'_, '_> {
    /// Every root is watched or compared at intervals, and no reload has been pending for too long.
    pub fn is_ready(&self) -> bool {
        !self.is_blind() && self.pending_ms().is_none_or(|ms| ms <= PENDING_MAX)
    }

    fn is_blind(&self) -> bool {
        !self.is_polling && self.watch.is_incomplete()
    }

    fn pending_ms(&self) -> Option<Millis> {
        let (since, waiting) = self.pending?;
        waiting.map(|_| self.now.since(since))
    }

    /// The numbers, brought up to date.
    pub fn metrics<'l>(&self, report: &'l mut Report) -> &'l Metrics {
        let pending_s = self.pending.map_or(0, |(since, _)| {
            (sys::wall_ms() - self.now.since(since).0) / 1000
        });
        let metrics = &mut report.old.metrics;
        metrics.set(Metric::PendingSince, pending_s);
        metrics.set(Metric::Watches, self.watch.watches() as u64);
        metrics.set(Metric::Polling, self.is_polling.into());
        &report.old.metrics
    }

    /// What stands in the way of being ready, or may do so.
    pub fn readiness(&self, page: &mut Page, report: &mut Report) {
        report.old.set(Format::Plain, false);
        let mut missing = self.watch.missing();
        for root in self.config.roots.iter() {
            if missing & 1 != 0 {
                let line = report.old.line(Level::Info).value(root);
                page.push(line.say(words!(" is missing or cannot be read")).finish());
            }
            missing >>= 1;
        }
        if self.is_blind() {
            let line = report.old.line(Level::Info);
            page.push(line.say(words!("inotify is refused or does not see everything, and CONFIG_POLL_INTERVAL is 0: changes may go unnoticed")).finish());
        }
        if let Some((since, Some(reason))) = self.pending {
            let line = report
                .old
                .line(Level::Info)
                .say(words!("a reload is pending for "));
            line.number(self.now.since(since).as_secs())
                .say(words!(" s: "));
            self.delivery.explain(line, reason, self.config);
            page.push(line.finish());
        }
        let format = match self.config.log_format {
            crate::config::LogFormat::Text => Format::Text,
            crate::config::LogFormat::Json => Format::Json,
        };
        report.old.set(format, self.config.verbose);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_that_has_been_pending_for_more_than_a_minute_is_in_the_way() {
        let mut environment = [&b"CONFIG_DIR=/a"[..], b"PROCESS_NAME=b"].into_iter();
        let config = crate::config::parse(&mut environment).map_err(Box::new);
        let config = config.unwrap();
        let since = Instant::from_nanoseconds(1_000_000_000_000);
        let is_ready = |pending, ms| {
            let state = State {
                config: &config,
                watch: &Watch::new(),
                delivery: &Delivery::new(),
                is_polling: false,
                pending,
                now: since.plus(Millis(ms)),
            };
            state.is_ready()
        };
        let failed = Some((since, Some(Waiting::NoProcess)));
        assert!(is_ready(None, 100_000));
        assert!(is_ready(failed, 60_000));
        assert!(!is_ready(failed, 60_001));
        // It waits for RELOAD_MIN_INTERVAL, as it was asked to.
        assert!(is_ready(Some((since, None)), 100_000));
    }
}
