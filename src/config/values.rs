//! What stands in the environment, and what is wrong with it.

use super::{COUNT, CommaList, KINDS, Kind, Setting, Var};
use crate::log::{Format, Level, Log};
use crate::process::Matcher;
use crate::signal::{NotASignal, Signal};
use crate::text::is_utf8;
use crate::words;
use crate::words::Words;

/// The values by their settings, without the blanks around them; `None` for one that is not set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Values<'e>([Option<&'e [u8]>; COUNT]);

impl<'e> Values<'e> {
    pub(super) fn of(environment: &mut dyn Iterator<Item = &'e [u8]>) -> Self {
        let mut values = [None; COUNT];
        for entry in environment {
            let Some(equals) = entry.iter().position(|byte| *byte == b'=') else {
                continue;
            };
            let (name, value) = entry.split_at(equals);
            if let Some(Setting(at)) = Setting::all().find(|it| it.name() == name) {
                values[at].get_or_insert(value[1..].trim_ascii());
            }
        }
        Self(values)
    }

    /// What was set, if anything was.
    pub(super) fn text(&self, var: Var) -> Option<&'e [u8]> {
        self.0[var as usize].filter(|value| !value.is_empty())
    }

    pub(super) fn matcher(&self) -> Matcher<'e> {
        Matcher {
            names: self.text(Var::ProcessName).map(CommaList::new),
            cmdline: self.text(Var::ProcessCmdline),
            pid_file: self.text(Var::ProcessPidFile),
        }
    }

    pub(super) fn log_format(&self) -> Format {
        if self.number(Var::LogFormat) == 0 {
            Format::Text
        } else {
            Format::Json
        }
    }

    /// The number that a setting stands for, 0 for one that is wrong.
    pub(super) fn number(&self, var: Var) -> u64 {
        self.read(Setting(var as usize)).unwrap_or(0)
    }

    pub(super) fn are_wrong(&self) -> bool {
        self.names_no_process() || Setting::all().any(|it| self.read(it).is_err())
    }

    pub(super) fn names_no_process(&self) -> bool {
        self.matcher() == Matcher::default()
    }

    /// The number that a setting stands for, or what is wrong with it.
    pub(super) fn read(&self, setting: Setting) -> Result<u64, Words> {
        let Setting(at) = setting;
        let value = self.0[at].unwrap_or_default();
        if value.is_empty() {
            if at == Var::ConfigDir as usize {
                return Err(words!(
                    " is not set; give the directories or files to watch, separated by commas, for example CONFIG_DIR=/etc/nginx"
                ));
            }
            // The defaults of lists and addresses stand for there being none.
            let number = KINDS[at].read(setting.default()).unwrap_or(0);
            return Ok(if at == Var::ReloadSettle as usize {
                // The default gives way; what was asked for does not.
                number.min(self.number(Var::ReloadSettleMax))
            } else {
                number
            });
        }
        let number = KINDS[at].read(value)?;
        if at == Var::ReloadSettle as usize
            && let Ok(max) = self.read(Setting(Var::ReloadSettleMax as usize))
            && number > max
        {
            return Err(words!(
                ", which is longer than RELOAD_SETTLE_MAX; make that one longer as well"
            ));
        }
        Ok(number)
    }
}

/// Everything that is wrong with the environment, at most one problem for each variable.
#[derive(Debug, PartialEq, Eq)]
pub struct Errors<'e>(pub(super) Values<'e>);

impl Errors<'_> {
    /// The format in which to report: `LOG_FORMAT` if that one is right.
    pub fn log_format(&self) -> Format {
        self.0.log_format()
    }

    /// Writes one line for each.
    pub fn report(&self, log: &mut Log) {
        for setting in Setting::all() {
            let Err(advice) = self.0.read(setting) else {
                continue;
            };
            let value = self.0.0[setting.0].unwrap_or_default();
            let line = log.line(Level::Error).value(setting.name());
            if !value.is_empty() {
                // Enough to recognise it by; the advice after it must not be cut off.
                line.say(words!(" is "))
                    .quoted(&value[..value.len().min(200)]);
            }
            line.say(advice);
            if matches!(KINDS[setting.0], Kind::Signal)
                && is_utf8(value)
                && let Err(NotASignal::Unknown { nearest }) = Signal::parse(value)
            {
                line.value(nearest).say(words!("?"));
            }
            line.send();
        }
        if self.0.names_no_process() {
            log.line(Level::Error)
                .say(words!("none of PROCESS_NAME, PROCESS_CMDLINE and PROCESS_PID_FILE is set; say which process to signal, for example PROCESS_NAME=nginx"))
                .send();
        }
    }
}
