//! What stands in the environment, and what is wrong with it.

use super::value::listen;
use super::{AUTOMATIC, COUNT, CommaList, Config, KINDS, Kind, PollInterval, Setting, Var};
use crate::base::signal::{NotASignal, Signal};
use crate::base::text::is_utf8;
use crate::base::time::Millis;
use crate::base::words::Words;
use crate::config::{ConfirmMode, Matcher, Select};
use crate::report::Report;
use crate::report::old_log::{Format, Level, Log};
use crate::words;

/// The values by their settings, without the blanks around them; `None` for one that is not set.
#[derive(Debug, PartialEq, Eq)]
pub struct Values<'e>([Option<&'e [u8]>; COUNT]);

impl<'e> Values<'e> {
    /// Takes them from `environment`, entries of the form `NAME=value`; where a name stands twice, the first counts, as for
    /// getenv(3). Blanks around a value are not part of it; an empty value is as good as none.
    #[inline(never)]
    pub fn of(environment: &mut dyn Iterator<Item = &'e [u8]>) -> Self {
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

    /// The settings, if none is wrong.
    #[inline(never)]
    pub fn config(&self) -> Config<'e> {
        // One after the other, so that none has to wait for the others: in one expression that is what they do.
        let mut config = Config {
            roots: CommaList::default(),
            matcher: Matcher::default(),
            select: Select::Main,
            min_age: Millis::ZERO,
            signal: Signal::HUP,
            settle: Millis::ZERO,
            settle_max: Millis::ZERO,
            min_interval: Millis::ZERO,
            guard: false,
            catch_up: false,
            confirm: ConfirmMode::Off,
            poll: PollInterval::Never,
            verbose: false,
            log_format: Format::Text,
            sandbox: false,
            listen: None,
        };
        config.roots = CommaList::new(self.text(Var::ConfigDir).unwrap_or_default());
        config.matcher.names = self.text(Var::ProcessName).map(CommaList::new);
        config.matcher.cmdline = self.text(Var::ProcessCmdline);
        config.matcher.pid_file = self.text(Var::ProcessPidFile);
        if self.is_on(Var::ProcessSelect) {
            config.select = Select::All;
        }
        config.min_age = Millis(self.number(Var::ProcessMinAge));
        if let Some(signal) = Signal::from_number(self.number(Var::ReloadSignal) as u32) {
            config.signal = signal;
        }
        config.settle = Millis(self.number(Var::ReloadSettle));
        config.settle_max = Millis(self.number(Var::ReloadSettleMax));
        config.min_interval = Millis(self.number(Var::ReloadMinInterval));
        config.guard = self.is_on(Var::ReloadGuard);
        config.catch_up = self.is_on(Var::ReloadCatchUp);
        config.confirm = match self.number(Var::ReloadConfirm) {
            0 => ConfirmMode::Warn,
            1 => ConfirmMode::Retry,
            _ => ConfirmMode::Off,
        };
        config.poll = match self.number(Var::ConfigPollInterval) {
            0 => PollInterval::Never,
            AUTOMATIC => PollInterval::Automatic,
            ms => PollInterval::Every(Millis(ms)),
        };
        config.verbose = self.verbose();
        config.log_format = self.log_format();
        config.sandbox = self.is_on(Var::Sandbox);
        config.listen = self.text(Var::ListenAddr).and_then(listen);
        config
    }

    fn is_on(&self, var: Var) -> bool {
        self.number(var) != 0
    }

    /// `VERBOSE`.
    pub fn verbose(&self) -> bool {
        self.is_on(Var::Verbose)
    }

    /// `LOG_FORMAT`, in which what is wrong is reported as well if that one is right.
    pub fn log_format(&self) -> Format {
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

    /// Whether there is anything to [`report`](Self::report).
    pub fn are_wrong(&self) -> bool {
        self.names_no_process() || Setting::all().any(|it| self.read(it).is_err())
    }

    pub(super) fn names_no_process(&self) -> bool {
        let ways = [Var::ProcessName, Var::ProcessCmdline, Var::ProcessPidFile];
        ways.into_iter().all(|var| self.text(var).is_none())
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

    /// Writes one line for each setting that is wrong. Whether there was any.
    #[inline(never)]
    pub fn report(&self, report: &mut Report) -> bool {
        let mut are_wrong = false;
        for setting in Setting::all() {
            let Err(advice) = self.read(setting) else {
                continue;
            };
            are_wrong = true;
            let value = self.0[setting.0].unwrap_or_default();
            let line = report.old.line(Level::Error).value(setting.name());
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
        if self.names_no_process() {
            report.old.line(Level::Error)
                .say(words!("none of PROCESS_NAME, PROCESS_CMDLINE and PROCESS_PID_FILE is set; say which process to signal, for example PROCESS_NAME=nginx"))
                .send();
            are_wrong = true;
        }
        are_wrong
    }
}
