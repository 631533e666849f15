//! What can be wrong with the settings, and how it is said.

use super::{COUNT, SETTINGS};
use crate::log::{Format, Level, Log};
use crate::words;
use crate::words::Words;

/// What is wrong with a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Problem {
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
    pub(super) values: [Option<&'e [u8]>; COUNT],
    pub(super) problems: [Option<Problem>; COUNT],
    pub(super) no_process: bool,
    /// The format in which to report: `LOG_FORMAT` if that one is right.
    pub log_format: Format,
}

impl Errors<'_> {
    pub(super) const fn none() -> Self {
        Self {
            values: [None; COUNT],
            problems: [None; COUNT],
            no_process: false,
            log_format: Format::Text,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.no_process && self.problems.iter().all(Option::is_none)
    }

    /// Writes one line for each.
    pub fn report(&self, log: &mut Log) {
        for (at, problem) in self.problems.iter().enumerate() {
            if let Some(problem) = problem {
                let value = self.values[at].unwrap_or_default();
                explain(log.line(Level::Error), SETTINGS[at].name(), value, *problem);
                log.send();
            }
        }
        if self.no_process {
            log.line(Level::Error)
                .say(words!("none of PROCESS_NAME, PROCESS_CMDLINE and PROCESS_PID_FILE is set; say which process to signal, for example PROCESS_NAME=nginx"))
                .send();
        }
    }
}

pub(super) fn explain(line: &mut Log, name: &[u8], value: &[u8], problem: Problem) {
    line.value(name);
    if problem == Problem::Missing {
        line.say(words!(" is not set; give the directories or files to watch, separated by commas, for example CONFIG_DIR=/etc/nginx"));
        return;
    }
    // Enough to recognise it by; the advice after it must not be cut off.
    line.say(words!(" is "))
        .quoted(&value[..value.len().min(200)]);
    match problem {
        Problem::Missing => line,
        Problem::NotUtf8 => line.say(words!(", which is not UTF-8; give it as UTF-8 text")),
        Problem::Nul => line.say(words!(", which holds a NUL byte; a path cannot")),
        Problem::EmptyPiece => line.say(words!(", where nothing stands before or after a comma; remove that comma")),
        Problem::TooMany { limit } => line.say(words!(", which has too many parts; at most ")).number(limit as u64).say(words!(" work")),
        Problem::PathTooLong => line.say(words!("..., a path longer than the kernel takes; at most 4095 bytes work")),
        Problem::NameTooLong => line.say(words!("..., with a name in the path longer than the kernel takes; at most 255 bytes work")),
        Problem::Slash => line.say(words!(", which is a path; give the name alone, the part after the last slash")),
        Problem::TooLong { limit } => line.say(words!("..., which is too long; at most ")).number(limit as u64).say(words!(" bytes work")),
        Problem::UnknownSignal { nearest } => line.say(words!(", which is no signal; did you mean SIG")).value(nearest).say(words!("?")),
        Problem::SignalOutOfRange => {
            line.say(words!(", which is out of range; signals are 1 to 31 and 34 to 64, SIGRTMIN to SIGRTMIN+30"))
        }
        Problem::NotADuration => {
            line.say(words!(", which is no duration; give a number with ms, s, m or h, for example 500ms, or 0"))
        }
        Problem::DurationTooLong => line.say(words!(", which is too long; at most 1000h work")),
        Problem::LongerThanMax => line.say(words!(", which is longer than RELOAD_SETTLE_MAX; make that one longer as well")),
        Problem::NotABoolean => line.say(words!(", which is no boolean; give true or false")),
        Problem::NotOneOf { choices } => {
            line.say(words!("; give "));
            for (at, choice) in choices.iter().enumerate() {
                let between = if at == 0 { Words::NONE } else if at + 1 == choices.len() { words!(" or ") } else { words!(", ") };
                line.say(between).value(choice.as_bytes());
            }
            line
        }
        Problem::NotAnAddress => {
            line.say(words!(", which is no address with a port; give for example :9533 for the loopback, 0.0.0.0:9533 or [::]:9533 for every interface"))
        }
    };
}
