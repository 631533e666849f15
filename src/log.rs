//! Log lines of bounded length, as text for people or as JSON, that never block and never end the program.
//!
//! One line is one `write` of at most [`LINE_MAX`] bytes. A line is a message followed by keys; the same line gives both forms:
//!
//! ```text
//! 2026-11-23T15:16:27.123Z info  signal sent signal=SIGHUP pid=7 process=nginx
//! {"time":"2026-11-23T15:16:27.123Z","level":"info","message":"signal sent","signal":"SIGHUP","pid":7,"process":"nginx"}
//! ```

use crate::sys;
use crate::text::{Text, Word};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// The longest line with its line feed. A pipe takes this much at once or not at all (`PIPE_BUF`, pipe(7)).
pub const LINE_MAX: usize = 4096;

/// Kept back for closing a line that was cut: `..."}` and the line feed, with room to spare.
const RESERVE: usize = 16;

/// How lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For people: time, level, message, `key=value`.
    Text,
    /// For log pipelines: one object a line.
    Json,
}

/// How much a line matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// What happened on the way; only with `VERBOSE`.
    Debug,
    /// What was done.
    Info,
    /// Something needs a look; the work goes on.
    Warn,
    /// Something was refused or went wrong.
    Error,
}

/// One line while it is put together. Pure: the time is an argument.
#[derive(Debug)]
pub struct Line {
    text: Text<LINE_MAX>,
    format: Format,
    /// Whether what was pushed last is inside a string, which must be closed before anything else.
    in_string: bool,
    /// No key was added yet.
    in_message: bool,
}

/// Where bytes from outside go, which decides how they are escaped.
#[derive(Clone, Copy)]
enum Quote {
    /// Inside a JSON string.
    Json,
    /// Inside a quoted value of a text line.
    Value,
    /// In the message of a text line.
    Message,
}

impl Line {
    /// Starts a line; `wall_ms` is the time in milliseconds since the epoch.
    pub fn new(format: Format, level: Level, wall_ms: u64) -> Self {
        let mut text = Text::with_reserve(RESERVE);
        let (before, after) = match format {
            Format::Text => ("", [" debug ", " info  ", " warn  ", " error "]),
            Format::Json => (
                "{\"time\":\"",
                [
                    "\",\"level\":\"debug\",\"message\":\"",
                    "\",\"level\":\"info\",\"message\":\"",
                    "\",\"level\":\"warn\",\"message\":\"",
                    "\",\"level\":\"error\",\"message\":\"",
                ],
            ),
        };
        text.push(before.as_bytes());
        push_time(&mut text, wall_ms);
        text.push(after[level as usize].as_bytes());
        Self {
            text,
            format,
            in_string: format == Format::Json,
            in_message: true,
        }
    }

    /// Adds the program's own words to the message.
    pub fn say(&mut self, words: &str) -> &mut Self {
        self.value(words.as_bytes())
    }

    /// Adds bytes from outside to the message: a path, a name.
    pub fn value(&mut self, bytes: &[u8]) -> &mut Self {
        let quote = match self.format {
            Format::Text => Quote::Message,
            Format::Json => Quote::Json,
        };
        push_escaped(&mut self.text, bytes, quote);
        self
    }

    /// Adds bytes from outside to the message, in quotation marks.
    pub fn quoted(&mut self, bytes: &[u8]) -> &mut Self {
        self.say("\"").value(bytes).say("\"")
    }

    /// Adds a number to the message.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.text.push_number(number, 0);
        self
    }

    /// Adds the name of a system call's error to the message.
    pub fn errno(&mut self, errno: Errno) -> &mut Self {
        match errno_name(errno) {
            Some(name) => self.say(name),
            None => self
                .say("errno ")
                .number(errno.raw_os_error().unsigned_abs().into()),
        }
    }

    /// Adds `key` with a text.
    pub fn key(&mut self, key: &str, value: &[u8]) -> &mut Self {
        let mut opened = self.opened(key);
        let quote = match self.format {
            Format::Json => Quote::Json,
            Format::Text if is_plain(value) => {
                self.push(opened.as_bytes(), false);
                self.push(value, false);
                return self;
            }
            Format::Text => Quote::Value,
        };
        opened.push(b"\"");
        self.push(opened.as_bytes(), true);
        push_escaped(&mut self.text, value, quote);
        self.push(b"\"", false);
        self
    }

    /// Adds `key` with a number.
    pub fn key_number(&mut self, key: &str, value: u64) -> &mut Self {
        let mut opened = self.opened(key);
        opened.push_number(value, 0);
        self.push(opened.as_bytes(), false);
        self
    }

    /// Closes the line; one that was too long ends in `...` and is still whole JSON.
    pub fn finish(&mut self) -> &[u8] {
        let cut = self.text.is_cut();
        self.text.release();
        if cut && (self.in_string || self.format == Format::Text) {
            self.text.push(b"...");
        }
        if self.in_string {
            self.text.push(b"\"");
        }
        self.text.push(match self.format {
            Format::Text => b"\n",
            Format::Json => b"}\n",
        });
        self.text.as_bytes()
    }

    /// What stands before the value of `key`.
    fn opened(&mut self, key: &str) -> Word {
        let mut opened = Word::new();
        match (self.format, self.in_message) {
            (Format::Text, _) => opened.push(b" "),
            (Format::Json, true) => opened.push(b"\",\""),
            (Format::Json, false) => opened.push(b",\""),
        }
        opened.push(key.as_bytes());
        opened.push(match self.format {
            Format::Text => b"=",
            Format::Json => b"\":",
        });
        self.in_message = false;
        opened
    }

    /// Adds a piece that must not be torn, and notes whether it leaves a string open.
    fn push(&mut self, piece: &[u8], in_string: bool) {
        self.text.push(piece);
        if !self.text.is_cut() {
            self.in_string = in_string;
        }
    }
}

/// Whether a value can stand in a text line without quotation marks.
fn is_plain(value: &[u8]) -> bool {
    !value.is_empty()
        && value
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !b"\"=\\".contains(byte))
}

/// Adds bytes from outside so that no terminal and no parser takes them for something else: control characters (C0, DEL and
/// C1) and bytes that are not UTF-8 become `\xNN`, in JSON with the backslash doubled.
fn push_escaped<const N: usize>(text: &mut Text<N>, bytes: &[u8], quote: Quote) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            let mut utf8 = [0; 4];
            let utf8 = character.encode_utf8(&mut utf8).as_bytes();
            match (character, quote) {
                ('"', Quote::Json | Quote::Value) => text.push(b"\\\""),
                ('\\', Quote::Json | Quote::Value) => text.push(b"\\\\"),
                ('\n', Quote::Json | Quote::Value) => text.push(b"\\n"),
                ('\t', Quote::Json | Quote::Value) => text.push(b"\\t"),
                _ if character.is_control() => {
                    for byte in utf8 {
                        push_byte(text, *byte, quote);
                    }
                }
                _ => text.push(utf8),
            }
        }
        for byte in chunk.invalid() {
            push_byte(text, *byte, quote);
        }
    }
}

fn push_byte<const N: usize>(text: &mut Text<N>, byte: u8, quote: Quote) {
    let mut escape = Word::new();
    escape.push(match quote {
        Quote::Json => b"\\\\x",
        Quote::Value | Quote::Message => b"\\x",
    });
    escape.push_hex(byte.into(), 2);
    text.push(escape.as_bytes());
}

/// Adds a time as RFC 3339 writes it, in UTC with milliseconds.
fn push_time<const N: usize>(text: &mut Text<N>, wall_ms: u64) {
    const DAY_S: u64 = 86_400;
    let seconds = wall_ms / 1000;
    // Years that begin in March put the leap day last; an era of 400 of them has 146,097 days. The epoch, 1970-01-01, is
    // day 719,468 of that calendar.
    let day = seconds / DAY_S + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let second = seconds % DAY_S;
    for (number, width, after) in [
        (year, 4, b"-"),
        (month, 2, b"-"),
        (day_of_month, 2, b"T"),
        (second / 3600, 2, b":"),
        (second / 60 % 60, 2, b":"),
        (second % 60, 2, b"."),
        (wall_ms % 1000, 3, b"Z"),
    ] {
        text.push_number(number, width);
        text.push(after);
    }
}

/// The names of the errors that the program can meet; the rest is printed as a number.
fn errno_name(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::ACCESS => "EACCES",
        Errno::AGAIN => "EAGAIN",
        Errno::BADF => "EBADF",
        Errno::FBIG => "EFBIG",
        Errno::INVAL => "EINVAL",
        Errno::IO => "EIO",
        Errno::ISDIR => "EISDIR",
        Errno::LOOP => "ELOOP",
        Errno::MFILE => "EMFILE",
        Errno::NAMETOOLONG => "ENAMETOOLONG",
        Errno::NFILE => "ENFILE",
        Errno::NODEV => "ENODEV",
        Errno::NOENT => "ENOENT",
        Errno::NOMEM => "ENOMEM",
        Errno::NOSPC => "ENOSPC",
        Errno::NOSYS => "ENOSYS",
        Errno::NOTCONN => "ENOTCONN",
        Errno::NOTDIR => "ENOTDIR",
        Errno::NXIO => "ENXIO",
        Errno::PERM => "EPERM",
        Errno::PIPE => "EPIPE",
        Errno::SRCH => "ESRCH",
        Errno::STALE => "ESTALE",
        _ => return None,
    })
}

/// Writes lines to standard error.
#[derive(Debug)]
pub struct Log {
    format: Format,
    verbose: bool,
    dropped: u64,
}

impl Log {
    /// A log that drops debug lines unless it is verbose.
    pub const fn new(format: Format, verbose: bool) -> Self {
        Self {
            format,
            verbose,
            dropped: 0,
        }
    }

    /// Whether debug lines are written: for work that is done only for them.
    pub const fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Writes one line, or counts it as dropped: this never blocks and never fails.
    ///
    /// Not generic: there are many callers, and none shall hold a whole line in its own frame.
    pub fn write(&mut self, level: Level, compose: &dyn Fn(&mut Line)) {
        if level == Level::Debug && !self.verbose {
            return;
        }
        if self.dropped > 0
            && self.send(Level::Warn, &|line| {
                line.say("standard error took no more for a while; lines were dropped")
                    .key_number("dropped", self.dropped);
            })
        {
            self.dropped = 0;
        }
        if !self.send(level, compose) {
            self.dropped += 1;
        }
    }

    /// Whether the whole line was taken.
    fn send(&self, level: Level, compose: &dyn Fn(&mut Line)) -> bool {
        let mut line = Line::new(self.format, level, sys::wall_ms());
        compose(&mut line);
        let line = line.finish();
        let stderr = sys::stderr();
        // A pipe is ready when it takes a whole line, a socket long before it is full: after this the write does not block.
        let mut ready = [PollFd::new(&stderr, PollFlags::OUT)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        matches!(poll(&mut ready, Some(&at_once)), Ok(1))
            && ready[0].revents().contains(PollFlags::OUT)
            && rustix::io::write(stderr, line) == Ok(line.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    const NOON_MS: u64 = 1_795_435_200_123;

    fn line(format: Format, compose: impl FnOnce(&mut Line)) -> String {
        let mut line = Line::new(format, Level::Info, NOON_MS);
        compose(&mut line);
        String::from_utf8(line.finish().to_vec()).expect("a line is UTF-8 whatever went in")
    }

    fn time(wall_ms: u64) -> String {
        let mut text = Text::<32>::new();
        push_time(&mut text, wall_ms);
        String::from_utf8(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn times_are_rfc_3339_in_utc() {
        for (wall_ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (NOON_MS, "2026-11-23T12:00:00.123Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(time(wall_ms), expected);
        }
    }

    #[test]
    fn both_formats_carry_the_same_message_and_keys() {
        let compose = |line: &mut Line| {
            line.say("cannot watch ")
                .value(b"/etc/a b")
                .say(": ")
                .errno(Errno::NOENT);
            line.key_number("pid", 7)
                .key("process", b"my \"app\"")
                .key("signal", b"SIGHUP")
                .key("empty", b"");
        };
        assert_eq!(
            line(Format::Text, compose),
            "2026-11-23T12:00:00.123Z info  cannot watch /etc/a b: ENOENT pid=7 process=\"my \\\"app\\\"\" signal=SIGHUP empty=\"\"\n"
        );
        assert_eq!(
            line(Format::Json, compose),
            "{\"time\":\"2026-11-23T12:00:00.123Z\",\"level\":\"info\",\"message\":\"cannot watch /etc/a b: ENOENT\",\"pid\":7,\"process\":\"my \\\"app\\\"\",\"signal\":\"SIGHUP\",\"empty\":\"\"}\n"
        );
    }

    #[test]
    fn whatever_bytes_come_in_a_line_stays_one_line_and_json_stays_json() {
        let hostile: Vec<u8> = (0..=255).chain("é\u{9b}31m\u{2028}".bytes()).collect();
        for format in [Format::Text, Format::Json] {
            let written = line(format, |line| {
                line.quoted(&hostile).key("key", &hostile);
            });
            assert_eq!(written.matches('\n').count(), 1);
            assert!(
                !written.trim_end().chars().any(char::is_control),
                "{written}"
            );
            if format == Format::Json {
                let parsed: serde_json::Value = serde_json::from_str(&written).unwrap();
                assert!(
                    parsed["key"].as_str().unwrap().contains("\\x00"),
                    "{written}"
                );
                assert!(parsed["key"].as_str().unwrap().contains("é"), "{written}");
            }
        }
    }

    #[test]
    fn an_unknown_error_is_a_number() {
        let written = line(Format::Text, |line| {
            line.errno(Errno::from_raw_os_error(4000));
        });
        assert!(written.ends_with("errno 4000\n"), "{written}");
    }

    #[test]
    fn a_line_too_long_is_cut_and_still_whole() {
        // Lengths around the limit put the cut into the message, between keys and into a value.
        for length in (3800..4300).chain([20_000]) {
            let long = "x\u{7}".repeat(length).into_bytes();
            for format in [Format::Text, Format::Json] {
                for in_key in [false, true] {
                    let mut written = Line::new(format, Level::Warn, NOON_MS);
                    if in_key {
                        written
                            .say("cut")
                            .key("before", &b"y".repeat(length % 4096))
                            .key("long", &long);
                    } else {
                        written.value(&b"y".repeat(length));
                    }
                    written.key_number("count", 1_234_567).key("after", b"z z");
                    let written = written.finish();
                    assert!(written.len() <= LINE_MAX);
                    assert_eq!(written.last(), Some(&b'\n'));
                    if format == Format::Json {
                        let text = std::str::from_utf8(written).unwrap();
                        let parsed: Result<serde_json::Value, _> = serde_json::from_str(text);
                        assert!(
                            parsed.is_ok(),
                            "{}: {text}",
                            parsed.unwrap_err().to_string()
                        );
                    }
                }
            }
        }
    }
}
