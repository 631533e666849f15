//! Counters and gauges, in the Prometheus text exposition format. Pure.

use crate::base::text::Word;
use core::fmt::{self, Write};

/// The metrics, named without the prefix `reloader_`. `ROWS` describes each.
#[derive(Clone, Debug, Default)]
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
    pub roots_exceeding: u64,
    pub polling: bool,
    pub log_lines_dropped_total: u64,
}

impl Metrics {
    /// Returns the metrics at startup.
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
            roots_exceeding: 0,
            polling: false,
            log_lines_dropped_total: 0,
        }
    }

    /// The values that take the most space.
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
        roots_exceeding: u64::MAX,
        polling: true,
        log_lines_dropped_total: u64::MAX,
    };

    /// Writes all metrics with their help and types.
    pub fn write(&self, output: &mut dyn Write) -> fmt::Result {
        const VERSION: &str = concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
        write_row(
            output,
            "build_info",
            VERSION,
            "Version of config-reloader-sidecar.",
            1,
        )?;
        for row in &ROWS {
            write_row(output, row.name, "", row.help, (row.value)(self))?;
        }
        Ok(())
    }
}

/// Hashes of what the application can read, keyed with `CONFIG_HASH_KEY`. Only under the same key can they be compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfigHashes {
    /// The content last read.
    pub on_disk: u64,
    /// The content last delivered, if it is certain which that is.
    pub delivered: Option<u64>,
}

impl ConfigHashes {
    /// Writes them as metrics.
    pub fn write(self, output: &mut dyn Write) -> fmt::Result {
        write_hash(
            output,
            "config_on_disk_info",
            "Keyed hash of the content on disk.",
            self.on_disk,
        )?;
        self.delivered.map_or(Ok(()), |hash| {
            write_hash(
                output,
                "config_delivered_info",
                "Keyed hash of the content last delivered.",
                hash,
            )
        })
    }
}

// Not inlined: it is called twice.
#[inline(never)]
fn write_hash(output: &mut dyn Write, name: &str, help: &str, hash: u64) -> fmt::Result {
    let mut labels = Word::new();
    write!(labels, "{{hash=\"{hash}\"}}")?;
    write_row(output, name, labels.as_str(), help, 1)
}

fn write_row(
    output: &mut dyn Write,
    name: &str,
    labels: &str,
    help: &str,
    value: u64,
) -> fmt::Result {
    let kind = if name.ends_with("_total") {
        "counter"
    } else {
        "gauge"
    };
    write!(
        output,
        "# HELP reloader_{name} {help}\n# TYPE reloader_{name} {kind}\nreloader_{name}{labels} {value}\n"
    )
}

/// A metric as it is written.
struct Row {
    name: &'static str,
    help: &'static str,
    value: fn(&Metrics) -> u64,
}

#[rustfmt::skip]
static ROWS: [Row; 22] = [
    Row { name: "reloads_total", help: "Reloads delivered or failed.", value: |metrics| metrics.reloads_total },
    Row { name: "reloads_failed_total", help: "Reloads failed, counted again each minute while they do.", value: |metrics| metrics.reloads_failed_total },
    Row { name: "last_reload_successful", help: "0 if the last reload failed, else 1.", value: |metrics| metrics.last_reload_successful.into() },
    Row { name: "last_reload_success_timestamp_seconds", help: "Unix time of the last delivery, else 0.", value: |metrics| metrics.last_reload_success_timestamp_seconds },
    Row { name: "watches", help: "inotify watches set.", value: |metrics| metrics.watches },
    Row { name: "watch_events_total", help: "inotify events received.", value: |metrics| metrics.watch_events_total },
    Row { name: "watch_errors_total", help: "Times that inotify was refused or failed.", value: |metrics| metrics.watch_errors_total },
    Row { name: "changes_total", help: "Changes of the content.", value: |metrics| metrics.changes_total },
    Row { name: "signals_total", help: "Signals sent.", value: |metrics| metrics.signals_total },
    Row { name: "retries_total", help: "Further attempts at the same reload.", value: |metrics| metrics.retries_total },
    Row { name: "pending_since_timestamp_seconds", help: "Unix time of the change that is to be delivered, else 0.", value: |metrics| metrics.pending_since_timestamp_seconds },
    Row { name: "guard_waits_total", help: "Reloads held back by RELOAD_GUARD.", value: |metrics| metrics.guard_waits_total },
    Row { name: "confirmations_total", help: "Reloads after which files were opened.", value: |metrics| metrics.confirmations_total },
    Row { name: "unconfirmed_total", help: "Signals after which no file was opened.", value: |metrics| metrics.unconfirmed_total },
    Row { name: "target_exits_total", help: "Processes that ended after the signal.", value: |metrics| metrics.target_exits_total },
    Row { name: "queue_overflows_total", help: "Overflows of the inotify queue.", value: |metrics| metrics.queue_overflows_total },
    Row { name: "polls_total", help: "Comparisons made at an interval.", value: |metrics| metrics.polls_total },
    Row { name: "roots", help: "Paths in CONFIG_DIR.", value: |metrics| metrics.roots },
    Row { name: "roots_missing", help: "Paths in CONFIG_DIR that cannot be read.", value: |metrics| metrics.roots_missing },
    Row { name: "roots_exceeding", help: "Paths in CONFIG_DIR that exceed a bound.", value: |metrics| metrics.roots_exceeding },
    Row { name: "polling", help: "1 if content is compared at an interval, else 0.", value: |metrics| metrics.polling.into() },
    Row { name: "log_lines_dropped_total", help: "Log lines that the log stream did not take.", value: |metrics| metrics.log_lines_dropped_total },
];

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
