//! The settings as the program uses them.

use crate::base::signal::Signal;
use crate::base::sys::SocketAddress;
use crate::base::text::pieces;
use crate::base::time::Millis;

/// The most roots: a bit for each fits a machine word.
pub const MAX_ROOTS: usize = 64;
/// The most process names.
pub const MAX_NAMES: usize = 64;
/// The longest `PROCESS_CMDLINE` in bytes: this much of a command line is kept while it is searched piece by piece.
pub const MAX_CMDLINE: usize = 1024;

/// All settings, valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config<'e> {
    /// `CONFIG_DIR`: 1 to [`MAX_ROOTS`] paths, relative ones from the working directory.
    pub roots: CommaList<'e>,
    /// `PROCESS_NAME`, `PROCESS_CMDLINE`, `PROCESS_PID_FILE`: at least one is set.
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
    /// `SANDBOX`.
    pub sandbox: bool,
    /// `LISTEN_ADDR`, if it is on.
    pub listen: Option<Listen<'e>>,
}

impl Config<'_> {
    pub(super) const NOTHING: Self = Self {
        roots: CommaList(b""),
        matcher: Matcher {
            names: None,
            cmdline: None,
            pid_file: None,
        },
        select: Select::Main,
        min_age: Millis::ZERO,
        signal: Signal::HUP,
        settle: Millis::ZERO,
        settle_max: Millis::ZERO,
        min_interval: Millis::ZERO,
        guard: true,
        catch_up: true,
        confirm: ConfirmMode::Warn,
        poll: PollInterval::Automatic,
        verbose: false,
        log_format: LogFormat::Text,
        sandbox: true,
        listen: None,
    };
}

/// What the application's process must satisfy; where several are set, all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Matcher<'e> {
    /// One of these is its name.
    pub names: Option<CommaList<'e>>,
    /// Its command line, arguments joined by spaces, contains this.
    pub cmdline: Option<&'e [u8]>,
    /// The first line of this file is its id.
    pub pid_file: Option<&'e [u8]>,
}

/// Which of several matches are signalled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Select {
    /// Those that have no matching ancestor: a master, not its workers.
    Main,
    /// All of them.
    All,
}

/// What to do about a signal after which no file is read again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfirmMode {
    /// Report it.
    Warn,
    /// Report it and signal again.
    Retry,
    /// Do not watch for it.
    Off,
}

/// When the content is compared without an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PollInterval {
    /// Where inotify does not work.
    Automatic,
    /// Not even there.
    Never,
    /// Always, at this interval.
    Every(Millis),
}

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For log pipelines.
    Json,
}

/// Where to listen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listen<'e> {
    /// The value as it was set, for messages.
    pub text: &'e [u8],
    /// The address that it stands for.
    pub address: SocketAddress,
}

/// A checked list in one string: the pieces between the commas, without the blanks around them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CommaList<'e>(&'e [u8]);

impl<'e> CommaList<'e> {
    /// Returns the list of what stands between the commas of `text`.
    pub const fn new(text: &'e [u8]) -> Self {
        Self(text)
    }

    /// Returns its pieces, in order.
    pub fn iter(self) -> impl Iterator<Item = &'e [u8]> {
        pieces(self.0, b',').map(<[u8]>::trim_ascii)
    }

    /// Returns the text that it was made of.
    pub const fn as_bytes(self) -> &'e [u8] {
        self.0
    }
}
