//! The problems that a value can have.

use crate::base::file::{NAME_MAX, PATH_MAX};
use crate::base::signal::Signal;
use core::fmt::{self, Display};

/// The most directories or files in `CONFIG_DIR`: one bit of a machine word for each.
pub const MAX_ROOTS: u8 = 64;
/// The most names in `PROCESS_NAME`.
pub const MAX_NAMES: u8 = 64;
/// The longest `PROCESS_CMDLINE` in bytes: as much of a command line is buffered while it is searched.
pub const MAX_CMDLINE: usize = 1024;
/// The longest duration in hours.
pub(super) const MAX_HOURS: u64 = 1000;

/// The shortest `CONFIG_HASH_KEY` in bytes: a shorter one could be guessed, and then the content from its hash.
pub(super) const MIN_KEY: usize = 16;

/// The settings that are one of a few words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choices {
    /// `PROCESS_SELECT`.
    Select,
    /// `PROCESS_SCOPE`.
    Scope,
    /// `RELOAD_CONFIRM`.
    Confirm,
    /// `LOG_FORMAT`.
    Format,
    /// `LOG_STREAM`.
    Stream,
}

/// Why a value cannot be used. Its text continues a sentence that begins with the variable and the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// `CONFIG_DIR` has no value.
    Missing,
    /// It is not valid UTF-8.
    NotUtf8,
    /// It is none of the choices.
    NotAChoice(Choices),
    /// It is neither true nor false.
    NotABoolean,
    /// It is not a number with a unit.
    NotADuration,
    /// It is longer than [`MAX_HOURS`].
    DurationTooLong,
    /// `RELOAD_SETTLE` is longer than `RELOAD_SETTLE_MAX`.
    LongerThanMax,
    /// No signal has this number.
    SignalOutOfRange,
    /// No signal has this name.
    NotASignal {
        /// The signal with the most similar name.
        nearest: Signal,
    },
    /// It is not an address with a port.
    NotAnAddress,
    /// A comma has nothing before or after it.
    EmptyItem,
    /// It has more than this many items.
    TooManyItems(u8),
    /// It is a path where a name is expected.
    NotAName,
    /// It has a NUL byte in it.
    NulByte,
    /// A path is longer than [`PATH_MAX`].
    PathTooLong,
    /// A component of a path is longer than [`NAME_MAX`].
    ComponentTooLong,
    /// It is longer than [`MAX_CMDLINE`].
    CmdlineTooLong,
    /// It is shorter than [`MIN_KEY`].
    KeyTooShort,
}

impl Display for Problem {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Missing => text.write_str(" is not set; give the directories or files to watch, separated by commas, for example CONFIG_DIR=/etc/nginx"),
            Self::NotUtf8 => text.write_str(", which is not UTF-8; give it as UTF-8 text"),
            Self::NotAChoice(choices) => text.write_str(match choices {
                Choices::Select => "; give main or all",
                Choices::Scope => "; give pod or node",
                Choices::Confirm => "; give warn, retry or off",
                Choices::Format => "; give text or json",
                Choices::Stream => "; give stderr or stdout",
            }),
            Self::NotABoolean => text.write_str(", which is not a boolean; give true or false"),
            Self::NotADuration => text.write_str(", which is not a duration; give a number with ms, s, m or h, for example 500ms, or 0"),
            Self::DurationTooLong => write!(text, ", which is too long; the most is {MAX_HOURS}h"),
            Self::LongerThanMax => text.write_str(", which is longer than RELOAD_SETTLE_MAX; make that one longer as well"),
            Self::SignalOutOfRange => text.write_str(", which is out of range; signals are 1 to 31 and 34 to 64, SIGRTMIN to SIGRTMIN+30"),
            Self::NotASignal { nearest } => write!(text, ", which is not a signal; did you mean {nearest}?"),
            Self::NotAnAddress => text.write_str(", which is not an address with a port; give for example :9533 for every address, or localhost:9533 for this Pod alone"),
            Self::EmptyItem => text.write_str(", which has nothing before or after a comma; remove that comma"),
            Self::TooManyItems(most) => write!(text, ", which has too many items; the most is {}", u64::from(most)),
            Self::NotAName => text.write_str(", which is a path; give the name alone, the part after the last slash"),
            Self::NulByte => text.write_str(", which has a NUL byte in it; a path cannot"),
            Self::PathTooLong => write!(text, "..., which is too long; the most in a path is {} bytes", PATH_MAX - 1),
            Self::ComponentTooLong => write!(text, "..., which has a name that is too long; the most in a path is {NAME_MAX} bytes a name"),
            Self::KeyTooShort => write!(text, ", which is too short; give a random text of {MIN_KEY} bytes at least"),
            Self::CmdlineTooLong => write!(text, "..., which is too long; the most is {MAX_CMDLINE} bytes"),
        }
    }
}
