//! What can be wrong with a value, and what would be right.

use core::fmt::{self, Display};

/// What is wrong with a value. Its text continues `NAME is "value"`, or `NAME` for one that is not set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// It is required.
    NotSet,
    /// It is not UTF-8.
    NotUtf8,
    /// It is none of the words that are allowed; what to give instead.
    NotAChoice(&'static str),
    /// It is neither true nor false.
    NotABoolean,
    /// It is no duration.
    NotADuration,
    /// The duration is too long.
    TooLong,
    /// RELOAD_SETTLE is longer than RELOAD_SETTLE_MAX.
    LongerThanMax,
    /// No signal has this number.
    SignalOutOfRange,
    /// No signal has this name; the nearest that one has.
    UnknownSignal(&'static str),
    /// A path holds a NUL byte.
    NulInPath,
    /// A path is longer than the kernel takes.
    LongPath,
    /// A name in a path is longer than the kernel takes.
    LongName,
    /// A process name is a path.
    NameIsAPath,
    /// A list has an empty piece.
    EmptyPiece,
    /// A list has too many pieces.
    TooManyPieces,
    /// PROCESS_CMDLINE is too long.
    LongCmdline,
    /// It is no address.
    NotAnAddress,
}

impl Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotSet => " is not set; give the directories or files to watch, separated by commas, for example CONFIG_DIR=/etc/nginx",
            Self::NotUtf8 => ", which is not UTF-8; give it as UTF-8 text",
            Self::NotAChoice(words) => return write!(formatter, "; give {words}"),
            Self::NotABoolean => ", which is no boolean; give true or false",
            Self::NotADuration => ", which is no duration; give a number with ms, s, m or h, for example 500ms, or 0",
            Self::TooLong => ", which is too long; at most 1000h work",
            Self::LongerThanMax => ", which is longer than RELOAD_SETTLE_MAX; make that one longer as well",
            Self::SignalOutOfRange => ", which is out of range; signals are 1 to 31 and 34 to 64, SIGRTMIN to SIGRTMIN+30",
            Self::UnknownSignal(nearest) => {
                return write!(formatter, ", which is no signal; did you mean SIG{nearest}?");
            }
            Self::NulInPath => ", which holds a NUL byte; a path cannot",
            Self::LongPath => "..., a path longer than the kernel takes; at most 4095 bytes work",
            Self::LongName => "..., with a name in the path longer than the kernel takes; at most 255 bytes work",
            Self::NameIsAPath => ", which is a path; give the name alone, the part after the last slash",
            Self::EmptyPiece => ", where nothing stands before or after a comma; remove that comma",
            Self::TooManyPieces => ", which has too many parts; at most 64 work",
            Self::LongCmdline => "..., which is too long; at most 1024 bytes work",
            Self::NotAnAddress => ", which is no address with a port; give for example :9533 for the loopback, 0.0.0.0:9533 or [::]:9533 for every interface",
        })
    }
}
