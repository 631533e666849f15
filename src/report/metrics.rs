//! What is counted, in the Prometheus text exposition format. Pure.

use core::fmt::{self, Write};

/// The metrics by their names without the prefix `reloader_`. What each stands for is in [`Metrics::write`].
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Metrics {
    pub reloads_total: u64,
    pub reloads_failed_total: u64,
    pub last_reload_successful: bool,
    pub last_reload_success_timestamp_seconds: u64,
    pub watches: u64,
    pub watch_events_total: u64,
    pub watch_errors_total: u64,
    pub changes_total: u64,
    pub signals_total: u64,
    pub retries_total: u64,
    pub pending_since_timestamp_seconds: u64,
    pub guard_waits_total: u64,
    pub confirmations_total: u64,
    pub unconfirmed_total: u64,
    pub target_exits_total: u64,
    pub queue_overflows_total: u64,
    pub polls_total: u64,
    pub roots: u64,
    pub roots_missing: u64,
    pub polling: bool,
    pub log_lines_dropped_total: u64,
}

impl Metrics {
    /// Nothing has happened, and nothing has failed.
    pub const fn new() -> Self {
        Self {
            reloads_total: 0,
            reloads_failed_total: 0,
            last_reload_successful: true,
            last_reload_success_timestamp_seconds: 0,
            watches: 0,
            watch_events_total: 0,
            watch_errors_total: 0,
            changes_total: 0,
            signals_total: 0,
            retries_total: 0,
            pending_since_timestamp_seconds: 0,
            guard_waits_total: 0,
            confirmations_total: 0,
            unconfirmed_total: 0,
            target_exits_total: 0,
            queue_overflows_total: 0,
            polls_total: 0,
            roots: 0,
            roots_missing: 0,
            polling: false,
            log_lines_dropped_total: 0,
        }
    }

    /// The longest that each can be written.
    #[cfg(test)]
    pub const MAX: Self = Self {
        reloads_total: u64::MAX,
        reloads_failed_total: u64::MAX,
        last_reload_successful: true,
        last_reload_success_timestamp_seconds: u64::MAX,
        watches: u64::MAX,
        watch_events_total: u64::MAX,
        watch_errors_total: u64::MAX,
        changes_total: u64::MAX,
        signals_total: u64::MAX,
        retries_total: u64::MAX,
        pending_since_timestamp_seconds: u64::MAX,
        guard_waits_total: u64::MAX,
        confirmations_total: u64::MAX,
        unconfirmed_total: u64::MAX,
        target_exits_total: u64::MAX,
        queue_overflows_total: u64::MAX,
        polls_total: u64::MAX,
        roots: u64::MAX,
        roots_missing: u64::MAX,
        polling: true,
        log_lines_dropped_total: u64::MAX,
    };

    /// Writes all of them with their help and types.
    #[rustfmt::skip]
    pub fn write(&self, output: &mut dyn Write) -> fmt::Result {
        const VERSION: &str = concat!("build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
        let metrics: [(&str, &str, u64); 22] = [
            (VERSION, "Version of config-reloader-sidecar.", 1),
            ("reloads_total", "Reloads delivered or failed.", self.reloads_total),
            ("reloads_failed_total", "Reloads failed, counted again each minute while they do.", self.reloads_failed_total),
            ("last_reload_successful", "0 if the last reload failed, else 1.", self.last_reload_successful.into()),
            ("last_reload_success_timestamp_seconds", "Unix time of the last delivery, else 0.", self.last_reload_success_timestamp_seconds),
            ("watches", "inotify watches set.", self.watches),
            ("watch_events_total", "inotify events received.", self.watch_events_total),
            ("watch_errors_total", "Times that inotify was refused or failed.", self.watch_errors_total),
            ("changes_total", "Changes of the content.", self.changes_total),
            ("signals_total", "Signals sent.", self.signals_total),
            ("retries_total", "Further attempts at the same reload.", self.retries_total),
            ("pending_since_timestamp_seconds", "Unix time of the change that is to be delivered, else 0.", self.pending_since_timestamp_seconds),
            ("guard_waits_total", "Reloads held back by RELOAD_GUARD.", self.guard_waits_total),
            ("confirmations_total", "Reloads after which files were opened.", self.confirmations_total),
            ("unconfirmed_total", "Signals after which no file was opened.", self.unconfirmed_total),
            ("target_exits_total", "Processes that ended after the signal.", self.target_exits_total),
            ("queue_overflows_total", "Overflows of the inotify queue.", self.queue_overflows_total),
            ("polls_total", "Comparisons made at an interval.", self.polls_total),
            ("roots", "Paths in CONFIG_DIR.", self.roots),
            ("roots_missing", "Paths in CONFIG_DIR that cannot be read.", self.roots_missing),
            ("polling", "1 if content is compared at an interval, else 0.", self.polling.into()),
            ("log_lines_dropped_total", "Log lines that standard error did not take.", self.log_lines_dropped_total),
        ];
        for (series, help, value) in metrics {
            let name = series.split('{').next().unwrap_or(series);
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            write!(output, "# HELP reloader_{name} {help}\n# TYPE reloader_{name} {kind}\nreloader_{series} {value}\n")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    #[test]
    fn metrics_are_written_with_their_help_and_type() {
        let metrics = Metrics {
            signals_total: 3,
            roots: 64,
            ..Metrics::new()
        };
        let mut text = String::new();
        metrics.write(&mut text).unwrap();
        for lines in [
            "# HELP reloader_signals_total Signals sent.\n# TYPE reloader_signals_total counter\nreloader_signals_total 3\n",
            "# HELP reloader_roots Paths in CONFIG_DIR.\n# TYPE reloader_roots gauge\nreloader_roots 64\n",
            concat!(
                "# TYPE reloader_build_info gauge\nreloader_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"} 1\n"
            ),
            "reloader_last_reload_successful 1\n",
        ] {
            assert!(text.contains(lines), "{text}");
        }
    }
}
