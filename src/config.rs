//! Settings: environment bytes in, a [`Config`] or every error out.
//!
//! Pure: no system call. Nothing is copied; a `Config` borrows from the environment, which lives as long as the program.

mod value;
mod values;

pub use values::Values;

use crate::base::signal::Signal;
use crate::base::sys::SocketAddress;
use crate::base::text::{piece, pieces};
use crate::base::time::Millis;
use crate::report::old_log::Format;

use crate::base::words::Words;
use crate::words;

/// At most this many roots, so that what is known of each fits a machine word.
pub const MAX_ROOTS: usize = 64;
/// At most this many process names.
pub const MAX_NAMES: usize = 64;
/// The longest `PROCESS_CMDLINE` in bytes: what is kept of a command line while it is searched piece by piece.
pub const MAX_CMDLINE: usize = 1024;
/// `automatic` among the durations.
const AUTOMATIC: u64 = u64::MAX;

/// What a value must be.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Paths, separated by commas.
    Paths,
    /// Process names, separated by commas.
    Names,
    /// Part of a command line.
    Cmdline,
    /// One path.
    Path,
    /// [`Listen`] or `off`.
    Address,
    /// The number of the choice, for `PROCESS_SELECT`; so are the next two for theirs.
    Select,
    Confirm,
    Format,
    /// 0 or 1.
    Boolean,
    /// Milliseconds.
    Duration,
    /// Milliseconds or [`AUTOMATIC`].
    Interval,
    /// The signal's number.
    Signal,
}

/// The number of settings.
pub const COUNT: usize = 18;

/// One table for the reader, three for the program: names and defaults in one text take no pointers.
macro_rules! settings {
    ($($kind:ident $name:literal $default:literal $meaning:expr;)+) => {
        const NAMES_AND_DEFAULTS: &str = concat!($($name, "|", $default, "|"),+);
        static MEANINGS: [Words; COUNT] = [$($meaning),+];
        static KINDS: [Kind; COUNT] = [$(Kind::$kind),+];
    };
}

// In the order of [`Var`]: what it must be; its name, its default and what it does.
settings! {
    Paths "CONFIG_DIR" "required" words!("directories or files to watch, separated by commas");
    Names "PROCESS_NAME" "" words!("name of the process to signal; several separated by commas");
    Cmdline "PROCESS_CMDLINE" "" words!("text that its command line must contain");
    Path "PROCESS_PID_FILE" "" words!("file whose first line is its process id");
    Signal "RELOAD_SIGNAL" "SIGHUP" words!("signal to send: name or number");
    Boolean "VERBOSE" "false" words!("print every inotify event and every decision");
    Select "PROCESS_SELECT" "main" words!("main: matches without a matching ancestor; all: every match");
    Duration "PROCESS_MIN_AGE" "2s" words!("leave a younger process alone until it is this old");
    Duration "RELOAD_SETTLE" "100ms" words!("quiet time after the last event before deciding");
    Duration "RELOAD_SETTLE_MAX" "2s" words!("decide at the latest this long after the first event");
    Duration "RELOAD_MIN_INTERVAL" "1s" words!("least time between two signals");
    Boolean "RELOAD_GUARD" "true" words!("never send a signal whose arrival would kill the process");
    Boolean "RELOAD_CATCH_UP" "true" words!("at start, signal a process older than the newest change");
    Confirm "RELOAD_CONFIRM" "warn" words!("after a signal, watch the files being read again");
    Interval "CONFIG_POLL_INTERVAL" "automatic" words!("also compare the content at this interval; 0 never");
    Format "LOG_FORMAT" "text" words!("text or json");
    Address "LISTEN_ADDR" "off" words!("host:port, or :port on the loopback, for metrics and health");
    Boolean "SANDBOX" "true" words!("after the start, give up what is not needed");
}

/// A setting as `help` prints it.
#[derive(Clone, Copy, Debug)]
pub struct Setting(usize);

impl Setting {
    /// Every setting, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..COUNT).map(Self)
    }

    fn part(at: usize) -> &'static [u8] {
        piece(NAMES_AND_DEFAULTS.as_bytes(), b'|', at)
    }

    /// The environment variable.
    pub fn name(self) -> &'static [u8] {
        Self::part(2 * self.0)
    }

    /// What holds when it is not set or empty.
    pub fn default(self) -> &'static [u8] {
        Self::part(2 * self.0 + 1)
    }

    /// For `help`.
    pub fn meaning(self) -> Words {
        MEANINGS[self.0]
    }
}

/// The place of each variable among the settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Var {
    ConfigDir,
    ProcessName,
    ProcessCmdline,
    ProcessPidFile,
    ReloadSignal,
    Verbose,
    ProcessSelect,
    ProcessMinAge,
    ReloadSettle,
    ReloadSettleMax,
    ReloadMinInterval,
    ReloadGuard,
    ReloadCatchUp,
    ReloadConfirm,
    ConfigPollInterval,
    LogFormat,
    ListenAddr,
    Sandbox,
}

/// A checked list in one string; the pieces are separated by commas and stand without the blanks around them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CommaList<'e>(&'e [u8]);

impl<'e> CommaList<'e> {
    /// A list of what stands between the commas of `text`.
    pub const fn new(text: &'e [u8]) -> Self {
        Self(text)
    }

    /// Its pieces, in order.
    pub fn iter(self) -> impl Iterator<Item = &'e [u8]> {
        pieces(self.0, b',').map(<[u8]>::trim_ascii)
    }

    /// The text that it was made of.
    pub const fn as_bytes(self) -> &'e [u8] {
        self.0
    }
}

/// When the content is compared without an event having come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PollInterval {
    /// Where inotify does not work.
    Automatic,
    /// Not even there.
    Never,
    /// Always, at this interval in milliseconds.
    Every(Millis),
}

/// What the application's process must satisfy; if several are given, all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Matcher<'e> {
    /// `PROCESS_NAME`: the names it may have.
    pub names: Option<CommaList<'e>>,
    /// `PROCESS_CMDLINE`: text that its command line, with arguments joined by spaces, contains.
    pub cmdline: Option<&'e [u8]>,
    /// `PROCESS_PID_FILE`: a file whose first line is its id.
    pub pid_file: Option<&'e [u8]>,
}

/// Which of several matching processes are signalled: `PROCESS_SELECT`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Select {
    /// Those without a matching ancestor: a master, not its workers.
    Main,
    /// All of them.
    All,
}

/// What happens if no file is read after a signal: `RELOAD_CONFIRM`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfirmMode {
    /// Log a warning.
    Warn,
    /// Log a warning and signal again.
    Retry,
    /// Nothing: the files are not watched.
    Off,
}

/// Where to listen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listen<'e> {
    /// As it was given, for messages.
    pub text: &'e [u8],
    /// As it is meant.
    pub address: SocketAddress,
}

/// All settings, valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config<'e> {
    /// `CONFIG_DIR`: 1 to [`MAX_ROOTS`] paths, relative ones from the working directory.
    pub roots: CommaList<'e>,
    /// `PROCESS_NAME`, `PROCESS_CMDLINE`, `PROCESS_PID_FILE`: at least one is set.
    pub matcher: Matcher<'e>,
    /// `PROCESS_SELECT`.
    pub select: Select,
    /// `PROCESS_MIN_AGE` in milliseconds.
    pub min_age: Millis,
    /// `RELOAD_SIGNAL`.
    pub signal: Signal,
    /// `RELOAD_SETTLE` in milliseconds, at most `settle_max`.
    pub settle: Millis,
    /// `RELOAD_SETTLE_MAX` in milliseconds.
    pub settle_max: Millis,
    /// `RELOAD_MIN_INTERVAL` in milliseconds.
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
    pub log_format: Format,
    /// `SANDBOX`.
    pub sandbox: bool,
    /// `LISTEN_ADDR`, if it is on.
    pub listen: Option<Listen<'e>>,
}

/// Reads the settings from `environment`, as [`Values::of`] does.
///
/// # Errors
/// All that is wrong, at once.
#[allow(clippy::result_large_err)] // There is nowhere to put it but the stack.
pub fn parse<'e>(
    environment: &mut dyn Iterator<Item = &'e [u8]>,
) -> Result<Config<'e>, Values<'e>> {
    let values = Values::of(environment);
    if values.are_wrong() {
        Err(values)
    } else {
        Ok(values.config())
    }
}

// WIP #[cfg(test)]
// WIP mod tests;
