//! Settings: environment bytes in, a [`Config`] or every error out.
//!
//! Pure: no system call. Nothing is copied; a `Config` borrows from the environment, which lives as long as the program.

use crate::log::{Format, Line};
use crate::process::{Matcher, Select};
use crate::signal::{NotASignal, Signal};
use crate::text::{is_utf8, parse_number};

/// At most this many roots, so that what is known of each fits a machine word.
pub const MAX_ROOTS: usize = 64;
/// At most this many process names.
pub const MAX_NAMES: usize = 64;
/// The longest `PROCESS_CMDLINE` in bytes: what is kept of a command line while it is searched piece by piece.
pub const MAX_CMDLINE: usize = 1024;
/// Longest path with its final NUL and longest name in it, in bytes; limits.h, path_resolution(7).
const PATH_MAX: usize = 4096;
const NAME_MAX: usize = 255;
/// No duration is longer than this: a thousand hours.
const MAX_DURATION_MS: u64 = 1000 * 3_600_000;

/// A setting as `help` prints it.
#[derive(Debug)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// What holds when it is not set or empty.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// Whether it has an effect in this version.
    pub works: bool,
}

const fn setting(name: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting {
        name,
        default,
        meaning,
        works: true,
    }
}

/// A setting whose meaning is fixed and whose effect is still to come: it is checked, and a warning says that it does nothing.
const fn reserved(name: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting {
        works: false,
        ..setting(name, default, meaning)
    }
}

/// Every setting, in the order of [`Var`].
pub static SETTINGS: [Setting; 17] = [
    setting(
        "CONFIG_DIR",
        "required",
        "directories or files to watch, separated by commas",
    ),
    setting(
        "PROCESS_NAME",
        "",
        "name of the process to signal; several separated by commas",
    ),
    setting(
        "PROCESS_CMDLINE",
        "",
        "text that its command line must contain",
    ),
    setting(
        "PROCESS_PID_FILE",
        "",
        "file whose first line is its process id",
    ),
    setting("RELOAD_SIGNAL", "SIGHUP", "signal to send: name or number"),
    setting(
        "VERBOSE",
        "false",
        "print every inotify event and every decision",
    ),
    setting(
        "PROCESS_SELECT",
        "main",
        "main: matches without a matching ancestor; all: every match",
    ),
    setting(
        "PROCESS_MIN_AGE",
        "2s",
        "leave a younger process alone until it is this old",
    ),
    setting(
        "RELOAD_SETTLE",
        "100ms",
        "quiet time after the last event before deciding",
    ),
    setting(
        "RELOAD_SETTLE_MAX",
        "2s",
        "decide at the latest this long after the first event",
    ),
    setting(
        "RELOAD_MIN_INTERVAL",
        "1s",
        "least time between two signals",
    ),
    setting(
        "RELOAD_GUARD",
        "true",
        "never send a signal whose arrival would kill the process",
    ),
    reserved(
        "RELOAD_CATCH_UP",
        "true",
        "at start, signal a process older than the newest change",
    ),
    reserved(
        "RELOAD_CONFIRM",
        "warn",
        "after a signal, watch the files being re-read: warn, retry, off",
    ),
    setting(
        "CONFIG_POLL_INTERVAL",
        "automatic",
        "also compare the content at this interval; 0 never",
    ),
    setting("LOG_FORMAT", "text", "text or json"),
    reserved("LISTEN_ADDR", "off", "host:port for metrics and health"),
];

/// The place of each variable in [`SETTINGS`].
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
        self.0.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
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
    Every(u64),
}

/// All settings, valid.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)]
pub struct Config<'e> {
    /// `CONFIG_DIR`: 1 to [`MAX_ROOTS`] paths, relative ones from the working directory.
    pub roots: CommaList<'e>,
    /// `PROCESS_NAME`, `PROCESS_CMDLINE`, `PROCESS_PID_FILE`: at least one is set.
    pub matcher: Matcher<'e>,
    /// `PROCESS_SELECT`.
    pub select: Select,
    /// `PROCESS_MIN_AGE` in milliseconds.
    pub min_age_ms: u64,
    /// `RELOAD_SIGNAL`.
    pub signal: Signal,
    /// `RELOAD_SETTLE` in milliseconds, at most `settle_max_ms`.
    pub settle_ms: u64,
    /// `RELOAD_SETTLE_MAX` in milliseconds.
    pub settle_max_ms: u64,
    /// `RELOAD_MIN_INTERVAL` in milliseconds.
    pub min_interval_ms: u64,
    /// `RELOAD_GUARD`.
    pub guard: bool,
    /// `CONFIG_POLL_INTERVAL`.
    pub poll: PollInterval,
    /// `VERBOSE`.
    pub verbose: bool,
    /// `LOG_FORMAT`.
    pub log_format: Format,
    /// One bit for each setting of [`SETTINGS`] that was given a value and has no effect yet.
    pub without_effect: u32,
}

/// What is wrong with a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Problem {
    Missing,
    NotUtf8,
    Nul,
    EmptyPiece,
    TooMany { limit: usize },
    PathTooLong,
    NameTooLong,
    Slash,
    TooLong { limit: usize },
    UnknownSignal { nearest: &'static [u8] },
    SignalOutOfRange,
    NotADuration,
    DurationTooLong,
    LongerThanMax,
    NotABoolean,
    NotOneOf { choices: &'static [&'static str] },
    NotAnAddress,
}

/// Everything that is wrong with the environment, at most one problem for each variable.
#[derive(Debug, PartialEq, Eq)]
pub struct Errors<'e> {
    values: [Option<&'e [u8]>; SETTINGS.len()],
    problems: [Option<Problem>; SETTINGS.len()],
    no_process: bool,
    /// The format in which to report: `LOG_FORMAT` if that one is right.
    pub log_format: Format,
}

/// Reads the settings from `environment`, entries of the form `NAME=value`; where a name stands twice, the first counts, as
/// for getenv(3). Blanks around a value are not part of it; an empty value is as good as none.
///
/// # Errors
/// All that is wrong, at once.
pub fn parse<'e>(environment: impl Iterator<Item = &'e [u8]>) -> Result<Config<'e>, Errors<'e>> {
    let mut reader = Reader {
        values: [None; SETTINGS.len()],
        problems: [None; SETTINGS.len()],
    };
    for entry in environment {
        let Some(equals) = entry.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (name, value) = (&entry[..equals], entry[equals + 1..].trim_ascii());
        if let Some(at) = SETTINGS.iter().position(|it| it.name.as_bytes() == name) {
            let slot = &mut reader.values[at];
            *slot = slot.or(Some(value));
        }
    }
    for (value, problem) in reader.values.iter_mut().zip(&mut reader.problems) {
        *value = value.filter(|value| !value.is_empty());
        if value.is_some_and(|value| !is_utf8(value)) {
            *problem = Some(Problem::NotUtf8);
        }
    }
    reader.config()
}

struct Reader<'e> {
    values: [Option<&'e [u8]>; SETTINGS.len()],
    problems: [Option<Problem>; SETTINGS.len()],
}

impl<'e> Reader<'e> {
    fn config(mut self) -> Result<Config<'e>, Errors<'e>> {
        if !self.is_set(Var::ConfigDir) {
            self.problems[Var::ConfigDir as usize] = Some(Problem::Missing);
        }
        let process = [Var::ProcessName, Var::ProcessCmdline, Var::ProcessPidFile];
        let no_process = !process.iter().any(|var| self.is_set(*var));
        let roots = self.bytes(Var::ConfigDir, paths).unwrap_or_default();
        let matcher = Matcher {
            names: self.bytes(Var::ProcessName, names).map(CommaList::new),
            cmdline: self.bytes(Var::ProcessCmdline, cmdline),
            pid_file: self.bytes(Var::ProcessPidFile, path),
        };
        let config = Config {
            roots: CommaList::new(roots),
            matcher,
            select: [Select::Main, Select::All]
                [self.choice(Var::ProcessSelect, &["main", "all"], 0)],
            min_age_ms: self.duration_ms(Var::ProcessMinAge, 2000),
            signal: self.signal(),
            settle_ms: self.duration_ms(Var::ReloadSettle, 100),
            settle_max_ms: self.duration_ms(Var::ReloadSettleMax, 2000),
            min_interval_ms: self.duration_ms(Var::ReloadMinInterval, 1000),
            guard: self.boolean(Var::ReloadGuard, true),
            poll: self.poll_interval(),
            verbose: self.boolean(Var::Verbose, false),
            log_format: [Format::Text, Format::Json]
                [self.choice(Var::LogFormat, &["text", "json"], 0)],
            without_effect: self.without_effect(),
        };
        self.boolean(Var::ReloadCatchUp, true);
        self.choice(Var::ReloadConfirm, &["warn", "retry", "off"], 0);
        self.bytes(Var::ListenAddr, address);
        if config.settle_ms > config.settle_max_ms && self.is_set(Var::ReloadSettle) {
            self.problems[Var::ReloadSettle as usize].get_or_insert(Problem::LongerThanMax);
        }
        if no_process || self.problems.iter().any(Option::is_some) {
            return Err(Errors {
                values: self.values,
                problems: self.problems,
                no_process,
                log_format: config.log_format,
            });
        }
        Ok(config)
    }

    fn is_set(&self, var: Var) -> bool {
        self.values[var as usize].is_some()
    }

    /// The value of `var` if it is set and passes `check`; a problem is noted.
    fn bytes(&mut self, var: Var, check: fn(&[u8]) -> Result<(), Problem>) -> Option<&'e [u8]> {
        let at = var as usize;
        if self.problems[at].is_none()
            && let Some(value) = self.values[at]
        {
            self.problems[at] = check(value).err();
        }
        self.values[at].filter(|_| self.problems[at].is_none())
    }

    /// The number that `parse` makes of the value of `var`, or `default` where it is not set or wrong; a problem is noted.
    fn number(
        &mut self,
        var: Var,
        default: u64,
        parse: &dyn Fn(&[u8]) -> Result<u64, Problem>,
    ) -> u64 {
        let at = var as usize;
        let (None, Some(value)) = (self.problems[at], self.values[at]) else {
            return default;
        };
        parse(value).unwrap_or_else(|problem| {
            self.problems[at] = Some(problem);
            default
        })
    }

    fn duration_ms(&mut self, var: Var, default: u64) -> u64 {
        self.number(var, default, &duration_ms)
    }

    fn boolean(&mut self, var: Var, default: bool) -> bool {
        const WORDS: [&str; 6] = ["false", "0", "no", "true", "1", "yes"];
        let at = self.number(var, if default { 3 } else { 0 }, &|value| {
            position(value, &WORDS).ok_or(Problem::NotABoolean)
        });
        at >= 3
    }

    fn choice(&mut self, var: Var, choices: &'static [&'static str], default: u64) -> usize {
        self.number(var, default, &|value| {
            position(value, choices).ok_or(Problem::NotOneOf { choices })
        }) as usize
    }

    fn signal(&mut self) -> Signal {
        let number =
            self.number(
                Var::ReloadSignal,
                Signal::HUP.number().into(),
                &|value| match Signal::parse(value) {
                    Ok(signal) => Ok(signal.number().into()),
                    Err(NotASignal::OutOfRange) => Err(Problem::SignalOutOfRange),
                    Err(NotASignal::Unknown { nearest }) => Err(Problem::UnknownSignal { nearest }),
                },
            );
        Signal::from_number(number as u32).unwrap_or(Signal::HUP)
    }

    fn poll_interval(&mut self) -> PollInterval {
        let automatic = u64::MAX;
        let ms = self.number(Var::ConfigPollInterval, automatic, &|value| match position(
            value,
            &["automatic"],
        ) {
            Some(_) => Ok(automatic),
            None => duration_ms(value),
        });
        match ms {
            0 => PollInterval::Never,
            ms if ms == automatic => PollInterval::Automatic,
            ms => PollInterval::Every(ms),
        }
    }

    fn without_effect(&self) -> u32 {
        let idle = SETTINGS
            .iter()
            .zip(&self.values)
            .map(|(setting, value)| !setting.works && value.is_some());
        idle.enumerate()
            .fold(0, |bits, (at, idle)| bits | u32::from(idle) << at)
    }
}

/// The place among `words` of the one that `value` is, letters of either case alike.
fn position(value: &[u8], words: &[&str]) -> Option<u64> {
    words
        .iter()
        .position(|word| value.eq_ignore_ascii_case(word.as_bytes()))
        .map(|at| at as u64)
}

fn paths(value: &[u8]) -> Result<(), Problem> {
    list(value, MAX_ROOTS)?;
    CommaList::new(value).iter().try_for_each(path)
}

fn path(value: &[u8]) -> Result<(), Problem> {
    if value.contains(&0) {
        return Err(Problem::Nul);
    }
    if value.len() >= PATH_MAX {
        return Err(Problem::PathTooLong);
    }
    if value
        .split(|byte| *byte == b'/')
        .any(|name| name.len() > NAME_MAX)
    {
        return Err(Problem::NameTooLong);
    }
    Ok(())
}

fn names(value: &[u8]) -> Result<(), Problem> {
    if value.contains(&b'/') {
        return Err(Problem::Slash);
    }
    list(value, MAX_NAMES)
}

fn list(value: &[u8], limit: usize) -> Result<(), Problem> {
    let list = CommaList::new(value);
    if list.iter().any(<[u8]>::is_empty) {
        return Err(Problem::EmptyPiece);
    }
    if list.iter().count() > limit {
        return Err(Problem::TooMany { limit });
    }
    Ok(())
}

fn cmdline(value: &[u8]) -> Result<(), Problem> {
    if value.len() > MAX_CMDLINE {
        return Err(Problem::TooLong { limit: MAX_CMDLINE });
    }
    Ok(())
}

fn duration_ms(value: &[u8]) -> Result<u64, Problem> {
    let digits = value
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (number, unit) = value.split_at(digits);
    let unit_ms = match unit {
        b"ms" => 1,
        b"s" => 1000,
        b"m" => 60_000,
        b"h" => 3_600_000,
        b"" if number.iter().all(|digit| *digit == b'0') => 0,
        _ => return Err(Problem::NotADuration),
    };
    if digits == 0 {
        return Err(Problem::NotADuration);
    }
    parse_number(number, 10)
        .and_then(|number| number.checked_mul(unit_ms))
        .filter(|ms| *ms <= MAX_DURATION_MS)
        .ok_or(Problem::DurationTooLong)
}

/// `host:port`, `[v6]:port` or `:port`, the host an address or `localhost`.
fn address(value: &[u8]) -> Result<(), Problem> {
    let colon = value
        .iter()
        .rposition(|byte| *byte == b':')
        .ok_or(Problem::NotAnAddress)?;
    let (host, port) = (&value[..colon], &value[colon + 1..]);
    let is_v4 = host.split(|byte| *byte == b'.').count() == 4
        && host
            .split(|byte| *byte == b'.')
            .all(|part| parse_number(part, 10).is_some_and(|part| part < 256));
    let is_v6 = match host {
        [b'[', v6 @ .., b']'] => {
            v6.contains(&b':')
                && v6
                    .iter()
                    .all(|byte| byte.is_ascii_hexdigit() || *byte == b':' || *byte == b'.')
        }
        _ => false,
    };
    match parse_number(port, 10) {
        Some(1..=65535) if host.is_empty() || host == b"localhost" || is_v4 || is_v6 => Ok(()),
        _ => Err(Problem::NotAnAddress),
    }
}

impl Errors<'_> {
    /// One writer for each error: it puts what is wrong and what would be right into a line.
    pub fn each(&self, mut report: impl FnMut(&dyn Fn(&mut Line))) {
        for (at, problem) in self.problems.iter().enumerate() {
            if let Some(problem) = problem {
                let value = self.values[at].unwrap_or_default();
                report(&|line| explain(line, SETTINGS[at].name, value, *problem));
            }
        }
        if self.no_process {
            report(&|line| {
                line.say("none of PROCESS_NAME, PROCESS_CMDLINE and PROCESS_PID_FILE is set; say which process to signal, for example PROCESS_NAME=nginx");
            });
        }
    }
}

fn explain(line: &mut Line, name: &str, value: &[u8], problem: Problem) {
    line.say(name);
    if problem == Problem::Missing {
        line.say(" is not set; give the directories or files to watch, separated by commas, for example CONFIG_DIR=/etc/nginx");
        return;
    }
    // Enough to recognise it by; the advice after it must not be cut off.
    line.say(" is ").quoted(&value[..value.len().min(200)]);
    match problem {
        Problem::Missing => line,
        Problem::NotUtf8 => line.say(", which is not UTF-8; give it as UTF-8 text"),
        Problem::Nul => line.say(", which holds a NUL byte; a path cannot"),
        Problem::EmptyPiece => line.say(", where nothing stands before or after a comma; remove that comma"),
        Problem::TooMany { limit } => line.say(", which has too many parts; at most ").number(limit as u64).say(" work"),
        Problem::PathTooLong => line.say("..., a path longer than the kernel takes; at most 4095 bytes work"),
        Problem::NameTooLong => line.say("..., with a name in the path longer than the kernel takes; at most 255 bytes work"),
        Problem::Slash => line.say(", which is a path; give the name alone, the part after the last slash"),
        Problem::TooLong { limit } => line.say("..., which is too long; at most ").number(limit as u64).say(" bytes work"),
        Problem::UnknownSignal { nearest } => line.say(", which is no signal; did you mean SIG").value(nearest).say("?"),
        Problem::SignalOutOfRange => {
            line.say(", which is out of range; signals are 1 to 31 and 34 to 64, SIGRTMIN to SIGRTMIN+30")
        }
        Problem::NotADuration => {
            line.say(", which is no duration; give a number with ms, s, m or h, for example 500ms, or 0")
        }
        Problem::DurationTooLong => line.say(", which is too long; at most 1000h work"),
        Problem::LongerThanMax => line.say(", which is longer than RELOAD_SETTLE_MAX; make that one longer as well"),
        Problem::NotABoolean => line.say(", which is no boolean; give true or false"),
        Problem::NotOneOf { choices } => {
            line.say("; give ");
            for (at, choice) in choices.iter().enumerate() {
                let between = if at == 0 { "" } else if at + 1 == choices.len() { " or " } else { ", " };
                line.say(between).say(choice);
            }
            line
        }
        Problem::NotAnAddress => {
            line.say(", which is no address; give host:port or :port, for example 127.0.0.1:9533 or [::1]:9533")
        }
    };
}
