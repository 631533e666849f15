//! The table of settings.

use super::address::listen;
use super::problem::Problem;
use super::types::{Config, ConfirmMode, LogFormat, PollInterval, Select};
use super::value;
use crate::base::text::is_same_word;

/// A setting: what `help` prints, and how its value is read.
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// What holds when it is not set or empty.
    pub default: Default,
    /// What it does, for `help`.
    pub meaning: &'static str,
    /// Reads the value into its field.
    set: for<'e> fn(&mut Config<'e>, &'e [u8]) -> Result<(), Problem>,
}

/// What holds when a setting is not set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Default {
    /// The program does not start.
    Required,
    /// Nothing.
    None,
    /// This value.
    Value(&'static str),
}

impl Default {
    /// Returns it as `help` prints it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::None => "",
            Self::Value(value) => value,
        }
    }
}

impl Setting {
    /// Reads `value`, or the default if it is empty, into its field.
    pub(super) fn read<'e>(&self, config: &mut Config<'e>, value: &'e [u8]) -> Result<(), Problem> {
        if !value.is_empty() {
            return str::from_utf8(value)
                .map_err(|_| Problem::NotUtf8)
                .and_then(|_| (self.set)(config, value));
        }
        match self.default {
            Default::Required => Err(Problem::NotSet),
            Default::None => Ok(()),
            Default::Value(value) => (self.set)(config, value.as_bytes()),
        }
    }
}

impl core::fmt::Debug for Setting {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(self.name)
    }
}

impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Setting {}

/// Every setting, in the order in which `help` prints them.
pub static SETTINGS: [Setting; 18] = [
    Setting {
        name: "CONFIG_DIR",
        default: Default::Required,
        meaning: "directories or files to watch, separated by commas",
        set: |config, value| value::paths(value).map(|roots| config.roots = roots),
    },
    Setting {
        name: "PROCESS_NAME",
        default: Default::None,
        meaning: "name of the process to signal; several separated by commas",
        set: |config, value| value::names(value).map(|names| config.matcher.names = Some(names)),
    },
    Setting {
        name: "PROCESS_CMDLINE",
        default: Default::None,
        meaning: "text that its command line must contain",
        set: |config, value| value::cmdline(value).map(|text| config.matcher.cmdline = Some(text)),
    },
    Setting {
        name: "PROCESS_PID_FILE",
        default: Default::None,
        meaning: "file whose first line is its process id",
        set: |config, value| value::path(value).map(|path| config.matcher.pid_file = Some(path)),
    },
    Setting {
        name: "RELOAD_SIGNAL",
        default: Default::Value("SIGHUP"),
        meaning: "signal to send: name or number",
        set: |config, value| value::signal(value).map(|signal| config.signal = signal),
    },
    Setting {
        name: "VERBOSE",
        default: Default::Value("false"),
        meaning: "print every inotify event and every decision",
        set: |config, value| value::boolean(value).map(|verbose| config.verbose = verbose),
    },
    Setting {
        name: "PROCESS_SELECT",
        default: Default::Value("main"),
        meaning: "main: matches without a matching ancestor; all: every match",
        set: |config, value| {
            let choices = [("main", Select::Main), ("all", Select::All)];
            value::choice(value, &choices, "main or all").map(|select| config.select = select)
        },
    },
    Setting {
        name: "PROCESS_MIN_AGE",
        default: Default::Value("2s"),
        meaning: "leave a younger process alone until it is this old",
        set: |config, value| value::duration(value).map(|age| config.min_age = age),
    },
    Setting {
        name: "RELOAD_SETTLE",
        default: Default::Value("100ms"),
        meaning: "quiet time after the last event before deciding",
        set: |config, value| value::duration(value).map(|settle| config.settle = settle),
    },
    Setting {
        name: "RELOAD_SETTLE_MAX",
        default: Default::Value("2s"),
        meaning: "decide at the latest this long after the first event",
        set: |config, value| value::duration(value).map(|max| config.settle_max = max),
    },
    Setting {
        name: "RELOAD_MIN_INTERVAL",
        default: Default::Value("1s"),
        meaning: "least time between two signals",
        set: |config, value| value::duration(value).map(|least| config.min_interval = least),
    },
    Setting {
        name: "RELOAD_GUARD",
        default: Default::Value("true"),
        meaning: "never send a signal whose arrival would kill the process",
        set: |config, value| value::boolean(value).map(|guard| config.guard = guard),
    },
    Setting {
        name: "RELOAD_CATCH_UP",
        default: Default::Value("true"),
        meaning: "at start, signal a process older than the newest change",
        set: |config, value| value::boolean(value).map(|catch_up| config.catch_up = catch_up),
    },
    Setting {
        name: "RELOAD_CONFIRM",
        default: Default::Value("warn"),
        meaning: "after a signal, watch the files being read again",
        set: |config, value| {
            let choices = [
                ("warn", ConfirmMode::Warn),
                ("retry", ConfirmMode::Retry),
                ("off", ConfirmMode::Off),
            ];
            value::choice(value, &choices, "warn, retry or off").map(|mode| config.confirm = mode)
        },
    },
    Setting {
        name: "CONFIG_POLL_INTERVAL",
        default: Default::Value("automatic"),
        meaning: "also compare the content at this interval; 0 never",
        set: |config, value| {
            if is_same_word(value, b"automatic") {
                config.poll = PollInterval::Automatic;
                return Ok(());
            }
            value::duration(value).map(|interval| config.poll = PollInterval::of(interval))
        },
    },
    Setting {
        name: "LOG_FORMAT",
        default: Default::Value("text"),
        meaning: "text or json",
        set: |config, value| {
            let choices = [("text", LogFormat::Text), ("json", LogFormat::Json)];
            value::choice(value, &choices, "text or json").map(|format| config.log_format = format)
        },
    },
    Setting {
        name: "LISTEN_ADDR",
        default: Default::Value("off"),
        meaning: "host:port, or :port on the loopback, for metrics and health",
        set: |config, value| {
            config.listen = if is_same_word(value, b"off") {
                None
            } else {
                Some(listen(value).ok_or(Problem::NotAnAddress)?)
            };
            Ok(())
        },
    },
    Setting {
        name: "SANDBOX",
        default: Default::Value("true"),
        meaning: "after the start, give up what is not needed",
        set: |config, value| value::boolean(value).map(|sandbox| config.sandbox = sandbox),
    },
];
