//! Settings: environment bytes in, a [`Config`] or every mistake out.
//!
//! Pure: no system call. Nothing is copied; a `Config` borrows from the environment, which lives as long as the program.

mod address;
mod problem;
mod table;
mod types;
mod value;

pub use problem::{Choices, MAX_CMDLINE, MAX_NAMES, MAX_ROOTS, Problem};
pub use table::{SETTINGS, Setting};
pub use types::{
    CommaList, Config, ConfirmMode, Listen, LogFormat, LogStream, Matcher, PollInterval, Scope,
    Select,
};

use table::REQUIRED;

/// The settings of an environment, right or wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parsed<'e> {
    config: Config<'e>,
    /// The variables' values; empty if unset.
    values: Values<'e>,
    /// The problem of each of them.
    problems: [Option<Problem>; SETTINGS.len()],
}

/// One value for each of [`SETTINGS`], in their order.
type Values<'e> = [&'e [u8]; SETTINGS.len()];

const CONFIG_HASH_KEY: usize = table::index("CONFIG_HASH_KEY");
const PROCESS_NAME: usize = table::index("PROCESS_NAME");
const PROCESS_CMDLINE: usize = table::index("PROCESS_CMDLINE");
const PROCESS_PID_FILE: usize = table::index("PROCESS_PID_FILE");
const RELOAD_SETTLE: usize = table::index("RELOAD_SETTLE");
const RELOAD_SETTLE_MAX: usize = table::index("RELOAD_SETTLE_MAX");

/// A mistake in the settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mistake<'e> {
    /// A variable's value cannot be used.
    Value {
        /// The variable.
        name: &'static str,
        /// Its value; empty if it is not set.
        value: &'e [u8],
        /// Why not.
        problem: Problem,
    },
    /// No variable says which process to signal.
    NoTarget,
}

impl<'e> Parsed<'e> {
    /// Parses entries of the form `NAME=value`. Of entries with the same name the first counts, as for getenv(3). Blanks
    /// around a value are ignored; an empty value counts as unset.
    // Not inlined: keeps all values off the stack of the main loop.
    #[inline(never)]
    pub fn of(environment: &mut dyn Iterator<Item = &'e [u8]>) -> Self {
        let mut parsed = Self {
            config: Config::blank(),
            values: values(environment),
            problems: [None; SETTINGS.len()],
        };
        for (at, setting) in SETTINGS.iter().enumerate() {
            parsed.problems[at] = apply(setting, parsed.values[at], &mut parsed.config).err();
        }
        parsed.check_settle();
        parsed
    }

    /// Returns the settings. Those that are wrong have their defaults.
    pub const fn config(&self) -> &Config<'e> {
        &self.config
    }

    /// Returns every mistake in the order of [`SETTINGS`].
    pub fn mistakes(&self) -> impl Iterator<Item = Mistake<'e>> {
        (0..=SETTINGS.len()).filter_map(|at| self.mistake(at))
    }

    /// Returns what is wrong with the setting at this place or, after the last one, with all of them together.
    fn mistake(&self, at: usize) -> Option<Mistake<'e>> {
        let Some(setting) = SETTINGS.get(at) else {
            return (!self.names_a_target()).then_some(Mistake::NoTarget);
        };
        Some(Mistake::Value {
            name: setting.name,
            value: match at {
                // A secret must not be in a message.
                CONFIG_HASH_KEY => b"...",
                _ => self.values[at],
            },
            problem: self.problems[at]?,
        })
    }

    /// Lets the default of `RELOAD_SETTLE` give way to a shorter `RELOAD_SETTLE_MAX`. A value that is longer is a mistake, unless one of
    /// the two is wrong anyway.
    fn check_settle(&mut self) {
        let config = &mut self.config;
        if config.settle <= config.settle_max {
            return;
        }
        config.settle = config.settle_max;
        if !self.values[RELOAD_SETTLE].is_empty() && self.problems[RELOAD_SETTLE_MAX].is_none() {
            self.problems[RELOAD_SETTLE].get_or_insert(Problem::LongerThanMax);
        }
    }

    /// Returns true if a variable says which process to signal, be its value right or wrong.
    fn names_a_target(&self) -> bool {
        [PROCESS_NAME, PROCESS_CMDLINE, PROCESS_PID_FILE]
            .iter()
            .any(|at| !self.values[*at].is_empty())
    }
}

/// Parses the settings of an environment as [`Parsed::of`] does.
///
/// # Errors
/// Every mistake at once.
#[allow(clippy::result_large_err)] // There is nowhere to put it but the stack.
pub fn parse<'e>(
    environment: &mut dyn Iterator<Item = &'e [u8]>,
) -> Result<Config<'e>, Parsed<'e>> {
    let parsed = Parsed::of(environment);
    if parsed.mistakes().next().is_some() {
        Err(parsed)
    } else {
        Ok(parsed.config)
    }
}

/// Returns the value of every variable, without the blanks around it.
fn values<'e>(environment: &mut dyn Iterator<Item = &'e [u8]>) -> Values<'e> {
    let mut values = [None; SETTINGS.len()];
    for entry in environment {
        let Some(equals) = entry.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (name, value) = entry.split_at(equals);
        for (setting, first) in SETTINGS.iter().zip(&mut values) {
            if setting.name.as_bytes() == name {
                first.get_or_insert(value[1..].trim_ascii());
            }
        }
    }
    values.map(Option::unwrap_or_default)
}

/// Puts the default of a setting into its field, then its value, if it is set and right.
fn apply<'e>(setting: &Setting, value: &'e [u8], config: &mut Config<'e>) -> Result<(), Problem> {
    let is_required = setting.default == REQUIRED;
    if !is_required && !setting.default.is_empty() {
        (setting.parse)(config, setting.default.as_bytes())?;
    }
    if !value.is_empty() {
        if !is_utf8(value) {
            return Err(Problem::NotUtf8);
        }
        (setting.parse)(config, value)
    } else if is_required {
        Err(Problem::Missing)
    } else {
        Ok(())
    }
}

/// Returns true if all of it is UTF-8. Log lines use chunks as well, which makes this smaller than `str::from_utf8`.
fn is_utf8(value: &[u8]) -> bool {
    value.utf8_chunks().all(|chunk| chunk.invalid().is_empty())
}

#[cfg(test)]
mod tests;
