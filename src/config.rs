//! Settings: environment bytes in, a [`Config`] or every mistake out.
//!
//! Pure: no system call. Nothing is copied: a `Config` borrows from the environment, which lives as long as the program.

mod address;
mod problem;
mod table;
mod types;
mod value;

pub use problem::Problem;
pub use table::{Default, SETTINGS, Setting};
pub use types::{
    CommaList, Config, ConfirmMode, Listen, LogFormat, MAX_CMDLINE, MAX_NAMES, MAX_ROOTS, Matcher,
    PollInterval, Select,
};

use crate::base::time::Millis;

/// The values of all settings as they stand in the environment, without the blanks around them; empty for one that is not set.
#[derive(Debug)]
pub struct Values<'e>([&'e [u8]; SETTINGS.len()]);

/// Something that must be corrected before the program can start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mistake<'e> {
    /// The value of a setting cannot be used.
    Value(&'static Setting, &'e [u8], Problem),
    /// No setting says which process to signal.
    NoTarget,
}

impl<'e> Values<'e> {
    /// Takes the settings from `environment`, entries of the form `NAME=value`. If a name stands twice, the first counts, as for
    /// getenv(3).
    pub fn of(environment: &mut dyn Iterator<Item = &'e [u8]>) -> Self {
        let mut values = [None; SETTINGS.len()];
        for entry in environment {
            let Some(equals) = entry.iter().position(|byte| *byte == b'=') else {
                continue;
            };
            let (name, value) = entry.split_at(equals);
            let setting = SETTINGS.iter().position(|it| it.name.as_bytes() == name);
            if let Some(slot) = setting.and_then(|at| values.get_mut(at)) {
                slot.get_or_insert(value[1..].trim_ascii());
            }
        }
        Self(values.map(Option::unwrap_or_default))
    }

    /// Returns `LOG_FORMAT` and `VERBOSE`, in which mistakes are reported too, if these two are right themselves.
    pub fn for_mistakes(&self) -> (LogFormat, bool) {
        let config = self.read(&mut |_| {});
        (config.log_format, config.verbose)
    }

    /// Returns the settings, unless there is a mistake. Calls `report` for each one.
    pub fn config(&self, report: &mut dyn FnMut(Mistake<'e>)) -> Option<Config<'e>> {
        let mut is_right = true;
        let config = self.read(&mut |mistake| {
            is_right = false;
            report(mistake);
        });
        is_right.then_some(config)
    }

    fn read(&self, report: &mut dyn FnMut(Mistake<'e>)) -> Config<'e> {
        let mut config = Config::UNSET;
        for (setting, value) in self.each() {
            if let Err(problem) = setting.read(&mut config, value) {
                report(Mistake::Value(setting, value, problem));
            }
        }
        self.limit_settle(&mut config, report);
        let target = ["PROCESS_NAME", "PROCESS_CMDLINE", "PROCESS_PID_FILE"];
        if target.iter().all(|name| self.get(name).is_empty()) {
            report(Mistake::NoTarget);
        }
        config
    }

    /// The default of RELOAD_SETTLE gives way to a shorter RELOAD_SETTLE_MAX; a value that was asked for does not.
    fn limit_settle(&self, config: &mut Config<'e>, report: &mut dyn FnMut(Mistake<'e>)) {
        if config.settle <= config.settle_max {
            return;
        }
        config.settle = config.settle_max;
        for (setting, value) in self.each() {
            if setting.name == "RELOAD_SETTLE" && !value.is_empty() {
                report(Mistake::Value(setting, value, Problem::LongerThanMax));
            }
        }
    }

    fn each(&self) -> impl Iterator<Item = (&'static Setting, &'e [u8])> {
        SETTINGS.iter().zip(self.0)
    }

    fn get(&self, name: &str) -> &'e [u8] {
        let value = self.each().find(|(setting, _)| setting.name == name);
        value.map(|(_, value)| value).unwrap_or_default()
    }
}

impl Config<'_> {
    /// A configuration in which nothing was read yet: a value that is wrong stays like this, and makes no other one wrong.
    const UNSET: Self = Self {
        settle_max: Millis(u64::MAX),
        ..Self::NOTHING
    };
}

#[cfg(test)]
mod tests;
