//! Every setting with its default and meaning.

use super::problem::Problem;
use super::types::Config;
use super::value::{
    boolean, cmdline, confirm, duration, hash_key, interval, listen, log_format, log_stream, names,
    path, paths, scope, select, signal,
};

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// The value that holds if it is unset or empty. Empty for none, [`REQUIRED`] if there has to be one.
    pub default: &'static str,
    /// Its description in `help`.
    pub meaning: &'static str,
    /// Parses a value into its field.
    pub(super) parse: for<'e> fn(&mut Config<'e>, &'e [u8]) -> Result<(), Problem>,
}

/// Stands for the default of a setting that has none.
pub(super) const REQUIRED: &str = "required";

/// The settings in the order in which they are explained and reported.
pub static SETTINGS: [Setting; 21] = [
    Setting {
        name: "CONFIG_DIR",
        default: REQUIRED,
        meaning: "directories or files to watch, separated by commas",
        parse: |config, value| paths(value).map(|it| config.roots = it),
    },
    Setting {
        name: "PROCESS_NAME",
        default: "",
        meaning: "name of the process to signal; several separated by commas",
        parse: |config, value| names(value).map(|it| config.matcher.names = Some(it)),
    },
    Setting {
        name: "PROCESS_CMDLINE",
        default: "",
        meaning: "text that its command line must contain",
        parse: |config, value| cmdline(value).map(|it| config.matcher.cmdline = Some(it)),
    },
    Setting {
        name: "PROCESS_PID_FILE",
        default: "",
        meaning: "file whose first line is its process id",
        parse: |config, value| path(value).map(|it| config.matcher.pid_file = Some(it)),
    },
    Setting {
        name: "RELOAD_SIGNAL",
        default: "SIGHUP",
        meaning: "signal to send: name or number",
        parse: |config, value| signal(value).map(|it| config.signal = it),
    },
    Setting {
        name: "VERBOSE",
        default: "false",
        meaning: "print every inotify event and every decision",
        parse: |config, value| boolean(value).map(|it| config.verbose = it),
    },
    Setting {
        name: "PROCESS_SELECT",
        default: "main",
        meaning: "main: matches without a matching ancestor; all: every match",
        parse: |config, value| select(value).map(|it| config.select = it),
    },
    Setting {
        name: "PROCESS_SCOPE",
        default: "pod",
        meaning: "pod: not in other containers or Pods that can be seen; node: everywhere",
        parse: |config, value| scope(value).map(|it| config.matcher.scope = it),
    },
    Setting {
        name: "PROCESS_MIN_AGE",
        default: "2s",
        meaning: "leave a younger process alone until it is this old",
        parse: |config, value| duration(value).map(|it| config.min_age = it),
    },
    Setting {
        name: "RELOAD_SETTLE",
        default: "100ms",
        meaning: "quiet time after the last event before deciding",
        parse: |config, value| duration(value).map(|it| config.settle = it),
    },
    Setting {
        name: "RELOAD_SETTLE_MAX",
        default: "2s",
        meaning: "decide at the latest this long after the first event",
        parse: |config, value| duration(value).map(|it| config.settle_max = it),
    },
    Setting {
        name: "RELOAD_MIN_INTERVAL",
        default: "1s",
        meaning: "least time between two signals",
        parse: |config, value| duration(value).map(|it| config.min_interval = it),
    },
    Setting {
        name: "RELOAD_GUARD",
        default: "true",
        meaning: "never send a signal whose arrival would kill the process",
        parse: |config, value| boolean(value).map(|it| config.guard = it),
    },
    Setting {
        name: "RELOAD_CATCH_UP",
        default: "true",
        meaning: "at start, signal a process older than the newest change",
        parse: |config, value| boolean(value).map(|it| config.catch_up = it),
    },
    Setting {
        name: "RELOAD_CONFIRM",
        default: "warn",
        meaning: "after a signal, watch the files being read again",
        parse: |config, value| confirm(value).map(|it| config.confirm = it),
    },
    Setting {
        name: "CONFIG_POLL_INTERVAL",
        default: "automatic",
        meaning: "also compare the content at this interval; 0 never",
        parse: |config, value| interval(value).map(|it| config.poll = it),
    },
    Setting {
        name: "LOG_FORMAT",
        default: "text",
        meaning: "text or json",
        parse: |config, value| log_format(value).map(|it| config.log_format = it),
    },
    Setting {
        name: "LOG_STREAM",
        default: "stderr",
        meaning: "stderr or stdout",
        parse: |config, value| log_stream(value).map(|it| config.log_stream = it),
    },
    Setting {
        name: "LISTEN_ADDR",
        default: "off",
        meaning: "host:port, or :port for every address, for metrics and health",
        parse: |config, value| listen(value).map(|it| config.listen = it),
    },
    Setting {
        name: "CONFIG_HASH_KEY",
        default: "off",
        meaning: "secret text: show the content's hash under this key as a metric",
        parse: |config, value| hash_key(value).map(|it| config.hash_key = it),
    },
    Setting {
        name: "SANDBOX",
        default: "true",
        meaning: "after the start, give up what is not needed",
        parse: |config, value| boolean(value).map(|it| config.sandbox = it),
    },
];

/// Returns where a setting stands in [`SETTINGS`]. A name that does not exist does not compile, where the result is a constant.
pub(super) const fn index(name: &str) -> usize {
    let mut at = 0;
    while !is_equal(SETTINGS[at].name.as_bytes(), name.as_bytes()) {
        at += 1;
    }
    at
}

/// Compares bytes at compile time, where `==` cannot be used.
const fn is_equal(a: &[u8], b: &[u8]) -> bool {
    match (a, b) {
        ([], []) => true,
        ([first, a @ ..], [other, b @ ..]) => *first == *other && is_equal(a, b),
        _ => false,
    }
}
