//! The settings as typed fields.

use crate::base::address::SocketAddress;
use crate::base::signal::Signal;
use crate::base::text::pieces;
use crate::base::time::Millis;

/// All settings, valid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config<'e> {
    /// `CONFIG_DIR`: 1 to [`MAX_ROOTS`](super::MAX_ROOTS) paths, relative ones from the working directory.
    pub roots: CommaList<'e>,
    /// `PROCESS_NAME`, `PROCESS_CMDLINE`, `PROCESS_PID_FILE` and `PROCESS_SCOPE`.
    pub matcher: Matcher<'e>,
    /// `PROCESS_SELECT`.
    pub select: Select,
    /// `PROCESS_MIN_AGE`.
    pub min_age: Millis,
    /// `RELOAD_SIGNAL`.
    pub signal: Signal,
    /// `RELOAD_SETTLE`, at most `settle_max`.
    pub settle: Millis,
    /// `RELOAD_SETTLE_MAX`.
    pub settle_max: Millis,
    /// `RELOAD_MIN_INTERVAL`.
    pub min_interval: Millis,
    /// `RELOAD_GUARD`.
    pub guard: bool,
    /// `RELOAD_CATCH_UP`.
    pub catch_up: bool,
    /// `RELOAD_CONFIRM`.
    pub confirm: ConfirmMode,
    /// `CONFIG_POLL_INTERVAL`.
    pub poll: PollInterval,
    /// `VERBOSE`.
    pub verbose: bool,
    /// `LOG_FORMAT`.
    pub log_format: LogFormat,
    /// `LOG_STREAM`.
    pub log_stream: LogStream,
    /// `SANDBOX`.
    pub sandbox: bool,
    /// `LISTEN_ADDR`; `None` if it is off.
    pub listen: Option<Listen<'e>>,
    /// `CONFIG_HASH_KEY`.
    pub hash_key: Option<&'e [u8]>,
}

impl Config<'_> {
    /// Returns a configuration of which no value is parsed yet. The defaults are in the table.
    pub(super) const fn blank() -> Self {
        Self {
            roots: CommaList::new(b""),
            matcher: Matcher {
                names: None,
                cmdline: None,
                pid_file: None,
                scope: Scope::Pod,
            },
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
            log_format: LogFormat::Text,
            log_stream: LogStream::Stderr,
            sandbox: false,
            listen: None,
            hash_key: None,
        }
    }
}

/// The criteria for the process to signal. It must meet all that are set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Matcher<'e> {
    /// `PROCESS_NAME`: its name is one of these.
    pub names: Option<CommaList<'e>>,
    /// `PROCESS_CMDLINE`: its command line, arguments joined by spaces, contains this.
    pub cmdline: Option<&'e [u8]>,
    /// `PROCESS_PID_FILE`: the first line of this file is its id.
    pub pid_file: Option<&'e [u8]>,
    /// `PROCESS_SCOPE`: it runs there.
    pub scope: Scope,
}

/// The processes that can be meant, of all that are visible.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Scope {
    /// Those outside other containers' PID namespaces and other Pods.
    #[default]
    Pod,
    /// All.
    Node,
}

/// Which of several matching processes are signalled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Select {
    /// Those without a matching ancestor: a master, not its workers.
    Main,
    /// All of them.
    All,
}

/// The response if no file is read again after a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfirmMode {
    /// A warning is logged.
    Warn,
    /// A warning is logged and the signal sent again.
    Retry,
    /// Nothing: the files are not watched for being opened.
    Off,
}

/// When the content is compared without an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PollInterval {
    /// Only where inotify does not work.
    Automatic,
    /// Not even there.
    Never,
    /// Always, at this interval.
    Every(Millis),
}

/// The format of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// `key=value`, for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The stream that log lines are written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogStream {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
}

/// The address at which HTTP is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listen<'e> {
    /// The setting's text, for messages.
    pub text: &'e [u8],
    /// The address it names.
    pub address: SocketAddress,
}

/// A list in one string: items separated by commas, with blanks around them ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CommaList<'e>(&'e [u8]);

impl<'e> CommaList<'e> {
    /// Returns the list that `text` spells.
    pub const fn new(text: &'e [u8]) -> Self {
        Self(text)
    }

    /// Returns the items in order.
    pub fn iter(self) -> impl Iterator<Item = &'e [u8]> {
        pieces(self.0, b',').map(<[u8]>::trim_ascii)
    }

    /// Returns the text of the whole list.
    pub const fn as_bytes(self) -> &'e [u8] {
        self.0
    }
}
