//! What is counted, as `/metrics` gives it in the Prometheus text format. Pure.

use crate::http::Page;
use crate::text::piece;
use crate::words;
use crate::words::Words;

/// Each metric, in the order of [`TABLE`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // The table says what they are.
pub enum Metric {
    BuildInfo,
    Reloads,
    ReloadsFailed,
    LastReloadSuccessful,
    LastReloadSuccessTime,
    Watches,
    WatchEvents,
    WatchErrors,
    Changes,
    Signals,
    Retries,
    PendingSince,
    GuardWaits,
    Confirmations,
    Unconfirmed,
    TargetExits,
    QueueOverflows,
    Polls,
    Roots,
    RootsMissing,
    Polling,
    LogLinesDropped,
}

const COUNT: usize = 22;

/// Without the prefix that all have: the name, which tells the type as well, and what is counted. As few texts as can be, because
/// each takes room for where it is.
#[rustfmt::skip]
static TABLE: [Words; 3] = [
    words!(
        "\
build_info Version.
reloads_total Reloads delivered or failed.
reloads_failed_total Reloads failed, counted again each minute while they do.
last_reload_successful 0 if the last reload failed, else 1.
last_reload_success_timestamp_seconds Unix time of the last delivery, else 0.
watches inotify watches set.
watch_events_total inotify events received.
watch_errors_total Times that inotify was refused or failed.
changes_total Changes of the content.
signals_total Signals sent.
"
    ),
    words!(
        "\
retries_total Further attempts at the same reload.
pending_since_timestamp_seconds Unix time of the change that is to be delivered, else 0.
guard_waits_total Reloads held back by RELOAD_GUARD.
confirmations_total Reloads after which files were opened.
unconfirmed_total Signals after which no file was opened.
target_exits_total Processes ended after the signal.
queue_overflows_total Overflows of inotify's queue.
polls_total Comparisons at intervals.
roots Paths of CONFIG_DIR.
"
    ),
    words!(
        "\
roots_missing Paths of CONFIG_DIR that cannot be read.
polling 1 if content is compared at intervals, else 0.
log_lines_dropped_total Log lines not taken by standard error.
"
    ),
];

/// The numbers.
#[derive(Debug)]
pub struct Metrics([u64; COUNT]);

impl Metrics {
    /// Nothing has happened, and nothing has failed.
    pub const fn new() -> Self {
        let mut numbers = [0; COUNT];
        numbers[Metric::BuildInfo as usize] = 1;
        numbers[Metric::LastReloadSuccessful as usize] = 1;
        Self(numbers)
    }

    /// That many more.
    pub const fn add(&mut self, metric: Metric, count: u64) {
        self.0[metric as usize] += count;
    }

    /// So many now.
    pub const fn set(&mut self, metric: Metric, number: u64) {
        self.0[metric as usize] = number;
    }

    /// Adds all of them to a page.
    pub fn render(&self, page: &mut Page) {
        let mut table = Page::new();
        unpack(&mut table);
        let mut rows = table.as_bytes();
        for (at, number) in self.0.iter().enumerate() {
            let row = piece(rows, b'\n', 0);
            rows = rows.get(row.len() + 1..).unwrap_or_default();
            let name = piece(row, b' ', 0);
            let kind: &[u8] = if name.ends_with(b"_total") {
                b" counter\nreloader_"
            } else {
                b" gauge\nreloader_"
            };
            page.push(b"# HELP reloader_");
            page.push(row);
            page.push(b"\n# TYPE reloader_");
            page.push(name);
            page.push(kind);
            page.push(name);
            if at == Metric::BuildInfo as usize {
                page.push(concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}").as_bytes());
            }
            page.push(b" ");
            page.push_number(*number, 0);
            page.push(b"\n");
        }
    }
}

fn unpack(table: &mut Page) {
    for words in &TABLE {
        words.unpack(table);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::pieces;

    #[test]
    fn every_metric_has_its_row() {
        for (metric, name) in [
            (Metric::BuildInfo, "build_info"),
            (Metric::Reloads, "reloads_total"),
            (Metric::ReloadsFailed, "reloads_failed_total"),
            (Metric::LastReloadSuccessful, "last_reload_successful"),
            (
                Metric::LastReloadSuccessTime,
                "last_reload_success_timestamp_seconds",
            ),
            (Metric::Watches, "watches"),
            (Metric::WatchEvents, "watch_events_total"),
            (Metric::WatchErrors, "watch_errors_total"),
            (Metric::Changes, "changes_total"),
            (Metric::Signals, "signals_total"),
            (Metric::Retries, "retries_total"),
            (Metric::PendingSince, "pending_since_timestamp_seconds"),
            (Metric::GuardWaits, "guard_waits_total"),
            (Metric::Confirmations, "confirmations_total"),
            (Metric::Unconfirmed, "unconfirmed_total"),
            (Metric::TargetExits, "target_exits_total"),
            (Metric::QueueOverflows, "queue_overflows_total"),
            (Metric::Polls, "polls_total"),
            (Metric::Roots, "roots"),
            (Metric::RootsMissing, "roots_missing"),
            (Metric::Polling, "polling"),
            (Metric::LogLinesDropped, "log_lines_dropped_total"),
        ] {
            let mut table = Page::new();
            unpack(&mut table);
            let row = pieces(table.as_bytes(), b'\n')
                .nth(metric as usize)
                .unwrap();
            assert_eq!(str::from_utf8(row).unwrap().split(' ').next(), Some(name));
        }
        // What comes after the last one is nothing.
        let mut table = Page::new();
        unpack(&mut table);
        assert_eq!(pieces(table.as_bytes(), b'\n').count(), COUNT + 1);
    }

    #[test]
    fn the_page_has_room_for_the_highest_numbers() {
        let mut page = Page::new();
        // As much as stands before it at most.
        page.push(&[b' '; 200]);
        Metrics([u64::MAX; COUNT]).render(&mut page);
        assert!(!page.is_cut());
    }

    #[test]
    fn a_metric_is_told_with_its_help_and_its_type() {
        let mut metrics = Metrics::new();
        metrics.add(Metric::Signals, 2);
        metrics.add(Metric::Signals, 1);
        metrics.set(Metric::Roots, 64);
        let mut page = Page::new();
        metrics.render(&mut page);
        let text = str::from_utf8(page.as_bytes()).unwrap();
        for lines in [
            "# HELP reloader_signals_total Signals sent.\n# TYPE reloader_signals_total counter\nreloader_signals_total 3\n",
            "# HELP reloader_roots Paths of CONFIG_DIR.\n# TYPE reloader_roots gauge\nreloader_roots 64\n",
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
