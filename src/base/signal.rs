//! Signals by name and number: one constant table, after signal(7).
//!
//! Pure: no system call. Numbers come from `libc`, so that they are right on every architecture.

use crate::base::text::{Word, is_same_word, parse_number};
use core::fmt::{self, Display};

/// A signal that can be sent: 1 to 31, or 34 to 64. (32 and 33 belong to the C library's threads.)
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signal(u8);

/// The kernel's action on a signal that the process neither catches, blocks nor ignores; signal(7), "Standard signals".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DefaultAction {
    /// The process ends.
    Terminate,
    /// The process ends and a core file is written.
    Core,
    /// Nothing happens.
    Ignore,
    /// The process stops.
    Stop,
    /// The process continues if it was stopped.
    Continue,
}

/// Why a text is not a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotASignal {
    /// No signal has this number, or the C library keeps it to itself.
    OutOfRange,
    /// No signal has this name.
    Unknown {
        /// The signal with the most similar name.
        nearest: Signal,
    },
}

/// A row of the table.
struct Named {
    /// The name without `SIG`.
    name: &'static str,
    number: u8,
    action: DefaultAction,
}

const fn named(name: &'static str, number: i32, action: DefaultAction) -> Named {
    Named {
        name,
        number: number as u8,
        action,
    }
}

use DefaultAction::{Continue, Core, Ignore, Stop, Terminate};

/// In the order of x86's numbers. The first name of a number is printed, those after it are aliases.
static TABLE: [Named; 37] = [
    named("HUP", libc::SIGHUP, Terminate),
    named("INT", libc::SIGINT, Terminate),
    named("QUIT", libc::SIGQUIT, Core),
    named("ILL", libc::SIGILL, Core),
    named("TRAP", libc::SIGTRAP, Core),
    named("ABRT", libc::SIGABRT, Core),
    named("BUS", libc::SIGBUS, Core),
    named("FPE", libc::SIGFPE, Core),
    named("KILL", libc::SIGKILL, Terminate),
    named("USR1", libc::SIGUSR1, Terminate),
    named("SEGV", libc::SIGSEGV, Core),
    named("USR2", libc::SIGUSR2, Terminate),
    named("PIPE", libc::SIGPIPE, Terminate),
    named("ALRM", libc::SIGALRM, Terminate),
    named("TERM", libc::SIGTERM, Terminate),
    named("STKFLT", libc::SIGSTKFLT, Terminate),
    named("CHLD", libc::SIGCHLD, Ignore),
    named("CONT", libc::SIGCONT, Continue),
    named("STOP", libc::SIGSTOP, Stop),
    named("TSTP", libc::SIGTSTP, Stop),
    named("TTIN", libc::SIGTTIN, Stop),
    named("TTOU", libc::SIGTTOU, Stop),
    named("URG", libc::SIGURG, Ignore),
    named("XCPU", libc::SIGXCPU, Core),
    named("XFSZ", libc::SIGXFSZ, Core),
    named("VTALRM", libc::SIGVTALRM, Terminate),
    named("PROF", libc::SIGPROF, Terminate),
    named("WINCH", libc::SIGWINCH, Ignore),
    named("IO", libc::SIGIO, Terminate),
    named("PWR", libc::SIGPWR, Terminate),
    named("SYS", libc::SIGSYS, Core),
    named("IOT", libc::SIGABRT, Core),
    named("CLD", libc::SIGCHLD, Ignore),
    named("POLL", libc::SIGIO, Terminate),
    named("UNUSED", libc::SIGSYS, Core),
    named("RTMIN", Signal::RTMIN as i32, Terminate),
    named("RTMAX", Signal::RTMAX as i32, Terminate),
];

impl Display for Signal {
    /// Writes the full name: `SIGHUP`, `SIGRTMIN+3`, `SIGRTMAX-2`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number) = *self;
        match TABLE.iter().find(|named| named.number == number) {
            Some(named) => write!(formatter, "SIG{}", named.name),
            // Like `kill -l`, which counts the upper half from the end.
            None if number - Self::RTMIN <= 15 => {
                write!(formatter, "SIGRTMIN+{}", u64::from(number - Self::RTMIN))
            }
            None => write!(formatter, "SIGRTMAX-{}", u64::from(Self::RTMAX - number)),
        }
    }
}

impl Signal {
    /// The default of `RELOAD_SIGNAL`.
    pub const HUP: Self = Self(libc::SIGHUP as u8);
    /// The first real-time signal as glibc, `kill -l` and systemd count; musl keeps one more to itself.
    const RTMIN: u8 = 34;
    /// The last signal of the kernel on every architecture that this program is built for.
    const RTMAX: u8 = 64;

    /// Returns every signal, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=Self::RTMAX).filter_map(|number| Self::from_number(number.into()))
    }

    /// Returns the signal with this number.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1..=31 | 34..=64 => Some(Self(number as u8)),
            _ => None,
        }
    }

    /// Returns its bit in the masks of `/proc/PID/status`; proc_pid_status(5).
    pub const fn mask(self) -> u64 {
        1 << (self.number() - 1)
    }

    /// Returns its number on this architecture.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Returns its default action. That of the real-time signals is to end the process.
    pub fn default_action(self) -> DefaultAction {
        TABLE
            .iter()
            .find(|named| named.number == self.0)
            .map_or(Terminate, |named| named.action)
    }

    /// Returns its full name.
    pub fn name(self) -> Word {
        Word::of(&self)
    }

    /// Returns true if sending the signal is meant to end or stop the process.
    pub fn is_meant_to_end(self) -> bool {
        matches!(
            self.number().into(),
            libc::SIGTERM
                | libc::SIGINT
                | libc::SIGQUIT
                | libc::SIGKILL
                | libc::SIGABRT
                | libc::SIGSTOP
        )
    }

    /// Parses `SIGHUP`, `HUP`, `hup`, `1`, `SIGRTMIN+3` or `rtmax-2`.
    pub fn parse(text: &[u8]) -> Result<Self, NotASignal> {
        let of_number = |number| Self::from_number(number).ok_or(NotASignal::OutOfRange);
        if let Some(number) = number(text) {
            return of_number(number);
        }
        let bare = match text.split_at_checked(3) {
            Some((sig, rest)) if is_same_word(sig, b"SIG") => rest,
            _ => text,
        };
        if let Some((base, offset)) = bare.split_at_checked(6)
            && let Some(offset) = number(offset)
        {
            // 31 is out of range on either side.
            let offset = offset.min(31);
            if is_same_word(base, b"RTMIN+") {
                return of_number(u32::from(Self::RTMIN) + offset);
            }
            if is_same_word(base, b"RTMAX-") {
                return of_number(u32::from(Self::RTMAX) - offset);
            }
        }
        let mut nearest = (u8::MAX, Self::HUP);
        for named in &TABLE {
            match distance(named.name, bare) {
                0 if named.name.len() == bare.len() => return Ok(Self(named.number)),
                distance if distance < nearest.0 => nearest = (distance, Self(named.number)),
                _ => {}
            }
        }
        Err(NotASignal::Unknown { nearest: nearest.1 })
    }
}

/// Parses digits. A number that does not fit becomes one that no signal has.
fn number(digits: &[u8]) -> Option<u32> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        parse_number(digits, 10)
            .and_then(|number| number.try_into().ok())
            .unwrap_or(u32::MAX)
    })
}

/// Returns the Levenshtein distance without regard to case, over at most the first 15 bytes of `typed`.
fn distance(name: &str, typed: &[u8]) -> u8 {
    const WIDTH: usize = 16;
    let typed = &typed[..typed.len().min(WIDTH - 1)];
    let mut row: [u8; WIDTH] = core::array::from_fn(|column| column as u8);
    for letter in name.as_bytes() {
        let mut diagonal = row[0];
        row[0] += 1;
        let mut left = row[0];
        for (above, byte) in row[1..].iter_mut().zip(typed) {
            let substituted = diagonal + u8::from(!letter.eq_ignore_ascii_case(byte));
            diagonal = *above;
            left = substituted.min(diagonal + 1).min(left + 1);
            *above = left;
        }
    }
    row[typed.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::process::Command;
    use std::string::{String, ToString};

    #[test]
    fn every_name_that_is_printed_parses_back_in_every_spelling() {
        for signal in Signal::all() {
            let full = signal.to_string();
            let bare = full.strip_prefix("SIG").unwrap();
            for spelling in [
                full.clone(),
                bare.to_string(),
                full.to_lowercase(),
                bare.to_lowercase(),
                signal.number().to_string(),
            ] {
                assert_eq!(Signal::parse(spelling.as_bytes()), Ok(signal), "{spelling}");
            }
        }
    }

    #[test]
    fn names_and_numbers_are_those_of_kill() {
        let listed = Command::new("bash")
            .args(["-c", "kill -l"])
            .output()
            .expect("bash has kill -l");
        let listed = String::from_utf8(listed.stdout).unwrap();
        let words: std::vec::Vec<&str> = listed.split_whitespace().collect();
        let mut seen = 0;
        for pair in words.chunks(2) {
            let number: u8 = pair[0].trim_end_matches(')').parse().unwrap();
            let signal = Signal::parse(pair[1].as_bytes())
                .unwrap_or_else(|error| panic!("{}: {error:?}", pair[1]));
            assert_eq!(signal.number(), number, "{}", pair[1]);
            assert_eq!(signal.to_string(), pair[1]);
            seen += 1;
        }
        assert_eq!(
            seen,
            Signal::all().count(),
            "kill -l and this table list the same signals"
        );
    }

    #[test]
    fn names_and_numbers_are_those_of_libc() {
        let constants = [
            ("HUP", libc::SIGHUP),
            ("INT", libc::SIGINT),
            ("QUIT", libc::SIGQUIT),
            ("ILL", libc::SIGILL),
            ("TRAP", libc::SIGTRAP),
            ("ABRT", libc::SIGABRT),
            ("IOT", libc::SIGIOT),
            ("BUS", libc::SIGBUS),
            ("FPE", libc::SIGFPE),
            ("KILL", libc::SIGKILL),
            ("USR1", libc::SIGUSR1),
            ("SEGV", libc::SIGSEGV),
            ("USR2", libc::SIGUSR2),
            ("PIPE", libc::SIGPIPE),
            ("ALRM", libc::SIGALRM),
            ("TERM", libc::SIGTERM),
            ("STKFLT", libc::SIGSTKFLT),
            ("CHLD", libc::SIGCHLD),
            ("CLD", libc::SIGCHLD),
            ("CONT", libc::SIGCONT),
            ("STOP", libc::SIGSTOP),
            ("TSTP", libc::SIGTSTP),
            ("TTIN", libc::SIGTTIN),
            ("TTOU", libc::SIGTTOU),
            ("URG", libc::SIGURG),
            ("XCPU", libc::SIGXCPU),
            ("XFSZ", libc::SIGXFSZ),
            ("VTALRM", libc::SIGVTALRM),
            ("PROF", libc::SIGPROF),
            ("WINCH", libc::SIGWINCH),
            ("IO", libc::SIGIO),
            ("POLL", libc::SIGPOLL),
            ("PWR", libc::SIGPWR),
            ("SYS", libc::SIGSYS),
            ("UNUSED", libc::SIGSYS),
            ("RTMAX", libc::SIGRTMAX()),
        ];
        for (name, number) in constants {
            assert_eq!(
                i32::from(Signal::parse(name.as_bytes()).unwrap().number()),
                number,
                "{name}"
            );
        }
        let named: std::vec::Vec<_> = constants.iter().map(|(name, _)| *name).collect();
        for entry in &TABLE {
            let name = entry.name;
            assert!(
                name == "RTMIN" || named.contains(&name),
                "{name} is not compared with libc"
            );
        }
        for offset in 0..=30 {
            assert_eq!(
                Signal::parse(format!("SIGRTMIN+{offset}").as_bytes())
                    .unwrap()
                    .number(),
                34 + offset
            );
            assert_eq!(
                Signal::parse(format!("rtmax-{offset}").as_bytes())
                    .unwrap()
                    .number(),
                64 - offset
            );
        }
    }

    #[test]
    fn a_number_that_is_no_signal_is_out_of_range() {
        for text in [
            "0",
            "32",
            "33",
            "65",
            "4294967297",
            "99999999999999999999",
            "SIGRTMIN+31",
            "RTMAX-31",
            "RTMIN+99999999999",
        ] {
            assert_eq!(
                Signal::parse(text.as_bytes()),
                Err(NotASignal::OutOfRange),
                "{text}"
            );
        }
    }

    #[test]
    fn an_unknown_name_gets_the_nearest_real_one() {
        for (typed, nearest) in [
            ("SIGHPU", "HUP"),
            ("HUPP", "HUP"),
            ("SIGURS1", "USR1"),
            ("sigterm1", "TERM"),
            ("SIGRTMIM+1", "RTMIN"),
            ("WINHC", "WINCH"),
            ("reload-the-configuration-now", "CONT"),
            ("SIG", "IO"),
            ("-1", "IO"),
            ("1x", "IO"),
            ("", "IO"),
            ("RTMIN+", "RTMIN"),
            ("RTMAX-x", "RTMAX"),
        ] {
            match Signal::parse(typed.as_bytes()) {
                Err(NotASignal::Unknown { nearest: offered }) => {
                    assert_eq!(offered.to_string(), format!("SIG{nearest}"), "{typed}");
                }
                other => panic!("{typed}: {other:?}"),
            }
        }
    }

    #[test]
    fn default_actions_are_those_of_signal_7() {
        for (name, action) in [
            ("HUP", Terminate),
            ("QUIT", Core),
            ("CHLD", Ignore),
            ("STOP", Stop),
            ("CONT", Continue),
            ("RTMIN+5", Terminate),
        ] {
            assert_eq!(
                Signal::parse(name.as_bytes()).unwrap().default_action(),
                action,
                "{name}"
            );
        }
    }
}
