//! What is counted, as `/metrics` gives it in the Prometheus text format. Pure.

use crate::base::text::piece;
use crate::base::words::Words;
use crate::http::Page;
use crate::words;

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
