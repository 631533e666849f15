//! The context of an attempt.

use crate::config::Config;
use crate::confirm::Confirm;
use crate::process::Proc;
use crate::report::facts::delivering::Delivering;
use crate::report::{Fact, Report};

/// The objects that an attempt works with.
pub struct Context<'m, 'c> {
    /// The settings.
    pub config: &'m Config<'c>,
    /// The `/proc` in which to find them.
    pub proc: &'m Proc,
    /// Receives the facts.
    pub report: &'m mut Report,
    /// Watches the effect of each signal.
    pub confirm: &'m mut Confirm,
    /// The change that is being delivered, until it is logged.
    pub change: Option<ContentChange<'m>>,
}

impl Context<'_, '_> {
    /// Logs the change, unless that was done.
    pub(super) fn record_change(&mut self) {
        if let Some(change) = self.change.take() {
            change.record(self.report);
        }
    }

    /// Reports a fact, after the change that led to it.
    pub(super) fn record(&mut self, fact: &dyn Fact) {
        self.record_change();
        self.report.record(fact);
    }
}

/// A change of the content.
#[derive(Clone, Copy, Debug)]
pub struct ContentChange<'n> {
    /// The names of the changed entries, separated by commas.
    pub names: &'n [u8],
}

impl ContentChange<'_> {
    /// Reports the change.
    pub fn record(&self, report: &mut Report) {
        let update = report.metrics.changes_total + 1;
        report.record(&Delivering::Changed {
            update,
            names: self.names,
        });
    }
}
