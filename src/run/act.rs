//! Does what the state machine asks for: scans, deliveries and reports.

use super::sidecar::Sidecar;
use super::status::State;
use crate::base::sys;
use crate::base::time::{Instant, Millis};
use crate::deliver::{self, ContentChange, Context};
use crate::reload::{Action, Change, Event, Note, Order, Scan};
use crate::report::Report;
use crate::report::facts::delivering::Delivering;
use crate::report::facts::lifecycle::{Counted, Lifecycle};
use crate::report::facts::obstacle::Obstacle;
use crate::report::facts::watching::Watching;
use crate::watch::{Changes, ScanContext};
use rustix::io::Errno;

/// A change of the content that is still to be reported.
struct Unreported;

/// The pause between two turns of HTTP clients during a scan.
const SERVE_PAUSE: Millis = Millis(5);

impl Sidecar<'_> {
    /// Feeds one event to the state machine and does what it asks for, until it asks to sleep.
    pub(super) fn handle(&mut self, event: Event, report: &mut Report) {
        let mut event = event;
        loop {
            let (action, note) = self.reload.step(event, sys::now());
            let change = self.take_note(note, report);
            event = match action {
                Action::Deliver(order) => self.deliver(order, change, report),
                Action::Scan => {
                    self.record_change(change, report);
                    let Some(scan) = self.scan_if_needed(report) else {
                        return;
                    };
                    Event::Scanned(scan)
                }
                Action::Sleep | Action::Exit { .. } => {
                    self.record_change(change, report);
                    if let Some(deadline) = self.reload.deadline() {
                        report.record(&Lifecycle::Sleeping {
                            due: deadline.since(sys::now()),
                        });
                    }
                    return;
                }
            };
        }
    }

    /// Reports a note. Returns a change of the content unreported, because the application must not wait for the log: if a
    /// delivery is due, the change is reported after the first signal.
    fn take_note(&mut self, note: Option<Note>, report: &mut Report) -> Option<Unreported> {
        match note? {
            Note::Changed => {
                self.confirm.content_changed();
                self.changes.accept();
                self.waiting = None;
                Some(Unreported)
            }
            note => {
                self.record(note, report);
                None
            }
        }
    }

    fn record_change(&mut self, change: Option<Unreported>, report: &mut Report) {
        if let Some(change) = with_names(change, &mut self.changes) {
            change.record(report);
        }
    }

    /// Scans unless nothing has happened since the last scan. Returns `None` if a signal interrupted it.
    fn scan_if_needed(&mut self, report: &mut Report) -> Option<Scan> {
        let mut disturbed = None;
        if !self.watch.is_current() {
            if !self.scan(report) {
                return None;
            }
            self.drained_at = sys::now();
            disturbed = self.watch.drain(report);
            // Only removals are left of an update whose content was read.
            if self.watch.is_current() && matches!(disturbed, Some(Change::Complete | Change::Gone))
            {
                disturbed = None;
            }
        }
        Some(Scan {
            fingerprint: self.watch.last().fingerprint,
            missing: self.watch.last().problems.missing_roots,
            disturbed,
            newly_watched: self
                .watch
                .take_armed_new()
                .then(|| instant_of(self.watch.last().newest_ms)),
        })
    }

    /// Scans the roots. Returns false if a signal to the sidecar interrupted it, which must be handled first.
    pub(super) fn scan(&mut self, report: &mut Report) -> bool {
        report.record(&Watching::Scanning);
        let now = sys::now();
        let state = self.state(now);
        let (http, mut served) = (&mut self.http, now);
        let mut meanwhile = |report: &mut Report| {
            let now = sys::now();
            if now.since(served) >= SERVE_PAUSE {
                served = now;
                State { now, ..state }.serve(http, report);
            }
            sys::is_interrupted()
        };
        let openings = self.confirm.before_scan(now);
        let scanned = self.watch.scan(ScanContext {
            roots: self.config.roots,
            secret: self.secret,
            now,
            openings,
            changes: &mut self.changes,
            report,
            meanwhile: &mut meanwhile,
        });
        let is_whole = scanned.is_ok();
        let last = self.watch.last();
        let files = (is_whole && !last.is_deferred).then_some(last.files);
        self.confirm.after_scan(files);
        self.last_scan = sys::now();
        // A signal that came at the end counts too: after SIGCONT it is unclear when the content was read.
        let is_valid = is_whole && !sys::is_interrupted();
        if !is_valid {
            self.watch.invalidate();
        }
        is_valid
    }

    fn deliver(&mut self, order: Order, change: Option<Unreported>, report: &mut Report) -> Event {
        let since = self.reload.changed_since().unwrap_or(Instant::NEVER);
        let mut context = Context {
            config: self.config,
            proc: &self.proc,
            report: &mut *report,
            confirm: &mut self.confirm,
            change: with_names(change, &mut self.changes),
        };
        let attempt = self.delivery.attempt(order, since, &mut context);
        if self.waiting.is_some() && self.reload.pending_since().is_some() {
            report.record(&Counted::Retried);
        }
        self.waiting = attempt.waiting;
        if attempt.signalled > 0 && self.waiting.is_none() {
            let at = sys::wall_ms() / 1000;
            report.record(&Delivering::Delivered { at });
        }
        Event::Attempted(attempt)
    }

    fn record(&mut self, note: Note, report: &mut Report) {
        if note == Note::Reverted {
            self.changes.accept();
        }
        let wanted = deliver::wanted(self.config);
        report.record(&match note {
            // Reported by `record_change`, with the names of the changed entries.
            Note::Changed => return,
            Note::Unchanged => Delivering::Unchanged,
            Note::Reverted => Delivering::Reverted,
            Note::CaughtUp => Delivering::CaughtUp,
            Note::NotNeeded => Delivering::NotNeeded,
            Note::Arrived(after) => Delivering::Arrived(after),
            Note::StillWaiting(_) => match self.delivery.obstacle() {
                // A signal broke the attempt off; what it asks for comes first.
                None | Some(Obstacle::NoProc(Errno::INTR)) => return,
                Some(obstacle) => Delivering::Pending(obstacle, &wanted),
            },
        });
    }
}

/// Returns when a time of the wall clock was.
pub(super) fn instant_of(wall_ms: u64) -> Instant {
    sys::now().minus(Millis(sys::wall_ms().saturating_sub(wall_ms)))
}

/// Adds the names of the changed entries.
fn with_names(change: Option<Unreported>, changes: &mut Changes) -> Option<ContentChange<'_>> {
    change.map(|Unreported| ContentChange {
        names: changes.names(),
    })
}
