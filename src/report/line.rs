//! One log line, as text for people or as JSON: a message followed by keys.
//!
//! ```text
//! 2026-11-23T15:16:27.123Z info  signal sent signal=SIGHUP pid=7 process=nginx
//! {"time":"2026-11-23T15:16:27.123Z","level":"info","message":"signal sent","signal":"SIGHUP","pid":7,"process":"nginx"}
//! ```
//!
//! The message is written with `write!`; keys are added after it. Whatever comes from outside is quoted and escaped, in the message by
//! [`Bytes`](crate::base::encode::Bytes), so that it cannot pass for another part of the line.

use crate::base::encode::{Quote, Timestamp, is_plain, write_escaped};
use crate::base::text::{Text, Word};
use core::fmt::{self, Write};

/// The longest line with its line feed, in bytes. A pipe takes this much at once or not at all (`PIPE_BUF`, pipe(7)).
pub const LINE_MAX: usize = 4096;

/// Kept free for closing a line that was cut: `..."}` and the line feed, with room to spare.
const RESERVE: usize = 16;

/// The format of lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For people: time, level, message, `key=value`.
    Text,
    /// For log pipelines: one object a line.
    Json,
    /// For a terminal: message and keys alone.
    Plain,
}

/// The importance of a line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// A step on the way; only with `VERBOSE`.
    Debug,
    /// Something was done.
    Info,
    /// Something needs attention; the work goes on.
    Warn,
    /// Something was refused or went wrong.
    Error,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A position in a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// Inside a string, which must be closed before anything else.
    InString,
    /// Between the items of the line.
    Between,
}

/// A line being composed. As [`Write`] it takes the message.
#[derive(Debug)]
pub struct Line {
    text: Text<LINE_MAX>,
    format: Format,
    /// The last thing added is inside a JSON string, which must be closed before anything else.
    in_string: bool,
    /// No key was added yet.
    in_message: bool,
}

impl Line {
    /// Returns an empty line, to be [begun](Self::begin).
    // Inlined, so that there is only one of its size on the stack.
    #[inline]
    pub const fn empty(format: Format) -> Self {
        Self {
            text: Text::new(),
            format,
            in_string: false,
            in_message: true,
        }
    }

    /// Returns a line for a person, without its message.
    #[inline]
    pub fn plain() -> Self {
        let mut line = Self::empty(Format::Plain);
        line.begin(Level::Info, 0);
        line
    }

    /// Begins the line anew, about a moment in milliseconds since the epoch.
    pub fn begin(&mut self, level: Level, wall_ms: u64) {
        (self.in_string, self.in_message) = (self.format == Format::Json, true);
        let (text, name) = (&mut self.text, level.name());
        text.clear(RESERVE);
        let time = Timestamp(wall_ms);
        // The beginning of a line always fits.
        let _ = match self.format {
            Format::Plain if level >= Level::Warn => text.write_str("! "),
            Format::Plain => Ok(()),
            // The level is padded, so that messages stand below each other.
            Format::Text => write!(text, "{time} {name:5} "),
            Format::Json => write!(
                text,
                "{{\"time\":\"{time}\",\"level\":\"{name}\",\"message\":\""
            ),
        };
    }

    /// Adds `key` with a text.
    pub fn key(&mut self, key: &str, value: &[u8]) -> &mut Self {
        let start = self.open_key(key);
        let quote = match self.format {
            Format::Json => Quote::Json,
            Format::Text | Format::Plain if is_plain(value) => {
                self.keep(start, Position::Between);
                self.text.push(value);
                return self;
            }
            Format::Text | Format::Plain => Quote::Value,
        };
        self.text.push(b"\"");
        self.keep(start, Position::InString);
        // Writing into a text cannot fail.
        let _ = write_escaped(&mut self.text, value, quote);
        let end = self.text.len();
        self.text.push(b"\"");
        self.keep(end, Position::Between);
        self
    }

    /// Adds `key` with the text of a value.
    pub fn key_display(&mut self, key: &str, value: &dyn fmt::Display) -> &mut Self {
        self.key(key, Word::of(value).as_bytes())
    }

    /// Adds `key` with a number.
    pub fn key_number(&mut self, key: &str, value: u64) -> &mut Self {
        let start = self.open_key(key);
        self.text.push_number(value, 0);
        self.keep(start, Position::Between);
        self
    }

    /// Closes the line. One that was too long ends in `...` and is still whole JSON.
    pub fn finish(&mut self) -> &[u8] {
        let is_cut = self.text.is_cut();
        self.text.release(0);
        if is_cut && (self.in_string || self.format != Format::Json) {
            self.text.push(b"...");
        }
        if self.in_string {
            self.text.push(b"\"");
        }
        self.text.push(match self.format {
            Format::Text | Format::Plain => b"\n",
            Format::Json => b"}\n",
        });
        self.text.as_bytes()
    }

    /// Adds everything up to the value of `key` and returns where that begins.
    fn open_key(&mut self, key: &str) -> usize {
        let start = self.text.len();
        let (before, after): (&[u8], &[u8]) = match (self.format, self.in_message) {
            (Format::Text | Format::Plain, _) => (b" ", b"="),
            (Format::Json, true) => (b"\",\"", b"\":"),
            (Format::Json, false) => (b",\"", b"\":"),
        };
        self.text.push(before);
        self.text.push(key.as_bytes());
        self.text.push(after);
        self.in_message = false;
        start
    }

    /// Keeps the text from `start` on if all of it fits, and removes it if not.
    fn keep(&mut self, start: usize, position: Position) {
        self.text.keep_whole(start);
        if !self.text.is_cut() {
            self.in_string = position == Position::InString;
        }
    }
}

impl Write for Line {
    fn write_str(&mut self, message: &str) -> fmt::Result {
        let quote = match self.format {
            Format::Text | Format::Plain => Quote::Message,
            Format::Json => Quote::Json,
        };
        write_escaped(&mut self.text, message.as_bytes(), quote)
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
