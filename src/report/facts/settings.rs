//! Mistakes in the settings or on the command line.

use crate::base::encode::Quoted;
use crate::report::Fact;
use crate::report::line::{Level, Line};
use core::fmt::{self, Display, Write};

/// A mistake that ends the program at its start with exit code 2.
#[derive(Clone, Copy)]
pub enum Mistake<'f> {
    /// A variable has a value that cannot be used.
    Setting {
        /// The variable.
        name: &'static str,
        /// Its value; empty if it is not set.
        value: &'f [u8],
        /// The problem and its remedy, continuing the sentence.
        advice: &'f dyn Display,
    },
    /// No setting says which process to signal.
    NoTarget,
    /// An argument too many.
    UnexpectedArgument(&'f [u8]),
    /// No such command.
    UnknownCommand(&'f [u8]),
    /// The command needs a health endpoint.
    NoHealthEndpoint,
}

/// Returns enough of a value to recognise it by: the advice after it must not be cut off.
fn shortened(value: &[u8]) -> Quoted<'_> {
    Quoted(value.get(..200).unwrap_or(value))
}

impl Fact for Mistake<'_> {
    fn level(&self) -> Option<Level> {
        Some(Level::Error)
    }

    fn describe(&self, line: &mut Line) -> fmt::Result {
        match *self {
            Self::Setting {
                name,
                value: [],
                advice,
            } => write!(line, "{name}{advice}"),
            Self::Setting {
                name,
                value,
                advice,
            } => write!(line, "{name} is {}{advice}", shortened(value)),
            Self::NoTarget => line.write_str(
                "none of PROCESS_NAME, PROCESS_CMDLINE and PROCESS_PID_FILE is set; say which process to signal, for example PROCESS_NAME=nginx",
            ),
            Self::UnexpectedArgument(argument) => write!(
                line,
                "unexpected argument {}; see config-reloader-sidecar help",
                shortened(argument)
            ),
            Self::UnknownCommand(argument) => write!(
                line,
                "unknown command {}; see config-reloader-sidecar help",
                shortened(argument)
            ),
            Self::NoHealthEndpoint => line.write_str(
                "cannot check health: LISTEN_ADDR is not set, so the sidecar does not listen; set it in this container, for example to localhost:9533",
            ),
        }
    }
}
