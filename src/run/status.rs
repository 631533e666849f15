//! The HTTP pages' view of the running sidecar.

use crate::base::encode::Bytes;
use crate::base::time::{Instant, Millis};
use crate::config::Config;
use crate::deliver;
use crate::http::{Http, Page, Pages, Readiness};
use crate::report::Report;
use crate::report::facts::obstacle::Obstacle;
use crate::report::facts::serving::Serving;
use crate::report::line::Line;
use crate::report::metrics::{ConfigHashes, Metrics};
use core::fmt::{self, Write};

/// The longest time that a reload may be pending before the sidecar counts as not ready.
const PENDING_MAX: Millis = Millis(60_000);

/// The state and the metrics, as the pages show them.
pub(super) struct Status<'s, 'c> {
    pub(super) state: State<'c>,
    pub(super) metrics: &'s Metrics,
}

/// The part of it that does not change during a scan.
#[derive(Clone, Copy)]
pub(super) struct State<'c> {
    pub(super) config: &'c Config<'c>,
    /// The hashes of the content, if `CONFIG_HASH_KEY` is set.
    pub(super) config_hashes: Option<ConfigHashes>,
    /// The first scan is complete.
    pub(super) is_watching: bool,
    /// One bit for each root that is missing or cannot be read.
    pub(super) missing_roots: u64,
    /// One bit for each root that exceeds a bound.
    pub(super) exceeding_roots: u64,
    /// Why changes may go unnoticed.
    pub(super) blind: Option<&'static str>,
    /// A change that is not delivered, and since when.
    pub(super) pending: Option<Pending>,
    pub(super) now: Instant,
}

/// A change that could not be delivered.
#[derive(Clone, Copy)]
pub(super) struct Pending {
    /// When the change began.
    pub(super) since: Instant,
    /// The obstacle; `None` while it only waits for `RELOAD_MIN_INTERVAL`.
    pub(super) obstacle: Option<Obstacle>,
}

impl State<'_> {
    /// Serves HTTP clients.
    // Not inlined: it is called from the loop and from scans.
    #[inline(never)]
    pub(super) fn serve(self, http: &mut Http, report: &mut Report) {
        let metrics = &report.metrics;
        let status = Status {
            state: self,
            metrics,
        };
        if let Err(errno) = http.serve(&status, self.now) {
            report.record(&Serving::CannotAccept(errno));
        }
    }
}

impl Pages for Status<'_, '_> {
    fn readiness(&self) -> Readiness {
        let is_late = self.state.pending.is_some_and(|pending| {
            pending.obstacle.is_some() && self.state.now.since(pending.since) > PENDING_MAX
        });
        let state = &self.state;
        let has_gaps = (state.missing_roots | state.exceeding_roots) != 0;
        if state.blind.is_some() || has_gaps || is_late || !state.is_watching {
            Readiness::Unready
        } else {
            Readiness::Ready
        }
    }

    fn write_problems(&self, page: &mut Page) -> fmt::Result {
        if !self.state.is_watching {
            page.write_str("the first scan is not complete\n")?;
        }
        for (at, root) in self.state.config.roots.iter().enumerate() {
            if self.state.missing_roots >> at & 1 != 0 {
                let mut line = Line::plain();
                write!(line, "{} is missing or cannot be read", Bytes(root))?;
                page.push(line.finish());
            }
            if self.state.exceeding_roots >> at & 1 != 0 {
                let mut line = Line::plain();
                write!(
                    line,
                    "{} holds more than can be watched; the log says what is left out",
                    Bytes(root)
                )?;
                page.push(line.finish());
            }
        }
        if let Some(reason) = self.state.blind {
            page.write_str(reason)?;
            page.write_str(": changes may go unnoticed\n")?;
        }
        if let Some(pending) = self.state.pending
            && let Some(obstacle) = pending.obstacle
        {
            let mut line = Line::plain();
            let seconds = self.state.now.since(pending.since).as_secs();
            write!(line, "a reload has been pending for {seconds} s: ")?;
            obstacle.describe(&deliver::wanted(self.state.config), &mut line)?;
            page.push(line.finish());
        }
        Ok(())
    }

    fn write_metrics(&self, page: &mut Page) -> fmt::Result {
        self.metrics.write(page)?;
        self.state
            .config_hashes
            .map_or(Ok(()), |hashes| hashes.write(page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use std::boxed::Box;

    #[test]
    fn a_reload_that_could_not_be_delivered_for_a_minute_makes_it_unready() {
        let mut environment = [&b"CONFIG_DIR=/a,/b"[..], b"PROCESS_NAME=b"].into_iter();
        let config = parse(&mut environment).map_err(Box::new).unwrap();
        let since = Instant::from_nanoseconds(1_000_000_000_000);
        let status = |obstacle, ms| {
            Status {
                state: State {
                    config: &config,
                    config_hashes: None,
                    is_watching: true,
                    missing_roots: 0,
                    exceeding_roots: 0,
                    blind: None,
                    pending: Some(Pending { since, obstacle }),
                    now: since.plus(Millis(ms)),
                },
                metrics: &Metrics::new(),
            }
            .readiness()
        };
        let obstacle = Obstacle::NoProcess { hint: None };
        assert_eq!(status(Some(obstacle), 60_000), Readiness::Ready);
        assert_eq!(status(Some(obstacle), 60_001), Readiness::Unready);
        // It waits for RELOAD_MIN_INTERVAL, as it was asked to.
        assert_eq!(status(None, 100_000), Readiness::Ready);
    }
}
