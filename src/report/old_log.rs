//! Log lines of bounded length, as text for people or as JSON, that never block and never end the program.
//!
//! One line is one `write` of at most [`LINE_MAX`] bytes. A line is a message followed by keys; the same line gives both forms:
//!
//! ```text
//! 2026-11-23T15:16:27.123Z info  signal sent signal=SIGHUP pid=7 process=nginx
//! {"time":"2026-11-23T15:16:27.123Z","level":"info","message":"signal sent","signal":"SIGHUP","pid":7,"process":"nginx"}
//! ```

use crate::base::file::PATH_MAX;
use crate::base::sys;
use crate::base::text::{Text, Word, hexadecimal};
use crate::base::words::Words;
pub use crate::report::old_encode::errno_text;
use crate::report::old_encode::{Quote, is_plain, push_escaped, push_time};
use crate::report::old_metrics::{Metric, Metrics};
use crate::words;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// The longest line with its line feed. A pipe takes this much at once or not at all (`PIPE_BUF`, pipe(7)).
pub const LINE_MAX: usize = 2048;

/// Never used: a line has the room of a path, so that there is one copy of the code for both.
const SPARE: usize = PATH_MAX - LINE_MAX;

/// Kept back for closing a line that was cut: `..."}` and the line feed, with room to spare.
const RESERVE: usize = 16;

/// How lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For people: time, level, message, `key=value`.
    Text,
    /// For log pipelines: one object a line.
    Json,
    /// For whoever has given a command: message and keys alone, on standard output.
    Plain,
}

/// How much a line matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
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

/// The log, and the one line that is being put together: [`line`](Self::line), then what it says, then [`send`](Self::send).
#[derive(Debug)]
pub struct Log {
    text: Text<PATH_MAX>,
    format: Format,
    verbose: bool,
    /// The line at hand is not wanted.
    muted: bool,
    /// Whether what was pushed last is inside a string, which must be closed before anything else.
    in_string: bool,
    /// No key was added yet.
    in_message: bool,
    /// Lines that standard error did not take.
    dropped: u64,
    /// What has happened so often that it is counted.
    pub metrics: Metrics,
    /// Of the last line that was written only a part was taken, as by a full disk: the next one begins with a line feed.
    torn: bool,
    /// Takes the lines in the place of standard error.
    #[cfg(fuzzing)]
    pub sink: Option<fn(&[u8])>,
}

impl Log {
    /// A log of text that drops debug lines.
    // Not inlined: a panic makes one as well.
    #[inline(never)]
    pub const fn new() -> Self {
        Self {
            text: Text::new(),
            format: Format::Text,
            verbose: false,
            muted: false,
            in_string: false,
            in_message: true,
            dropped: 0,
            metrics: Metrics::new(),
            torn: false,
            #[cfg(fuzzing)]
            sink: None,
        }
    }

    /// Lines are written in this format from now on, those for debugging only if it is verbose.
    pub const fn set(&mut self, format: Format, verbose: bool) {
        self.format = format;
        self.verbose = verbose;
    }

    /// Starts a line.
    pub fn line(&mut self, level: Level) -> &mut Self {
        self.muted = level == Level::Debug && !self.verbose;
        self.open(level, if self.muted { 0 } else { sys::wall_ms() })
    }

    /// Starts a line of a moment given in milliseconds since the epoch.
    pub(crate) fn open(&mut self, level: Level, wall_ms: u64) -> &mut Self {
        let is_json = self.format == Format::Json;
        self.text.clear(SPARE + RESERVE);
        self.in_string = is_json;
        if self.torn {
            self.text.push(b"\n");
        }
        self.in_message = true;
        if self.format == Format::Plain {
            if level >= Level::Warn {
                self.text.push(b"! ");
            }
            return self;
        }
        // Of one width, so that the messages stand below each other.
        let name: &[u8; 6] = [b"debug ", b"info  ", b"warn  ", b"error "][level as usize];
        if is_json {
            self.text.push(b"{\"time\":\"");
        }
        push_time(&mut self.text, wall_ms);
        if is_json {
            self.text.push(b"\",\"level\":\"");
            self.text.push(name.trim_ascii_end());
            self.text.push(b"\",\"message\":\"");
        } else {
            self.text.push(b" ");
            self.text.push(name);
        }
        self
    }

    /// Writes a line of the program's own words alone.
    // Not inlined: it is called in many places.
    #[inline(never)]
    pub fn tell(&mut self, level: Level, words: Words) {
        self.line(level).say(words).send();
    }

    /// Adds the program's own words to the message.
    pub fn say(&mut self, words: Words) -> &mut Self {
        if !self.muted {
            words.unpack(&mut self.text);
        }
        self
    }

    /// Adds bytes from outside to the message: a path, a name.
    pub fn value(&mut self, bytes: &[u8]) -> &mut Self {
        if !self.muted {
            let quote = match self.format {
                Format::Text | Format::Plain => Quote::Message,
                Format::Json => Quote::Json,
            };
            push_escaped(&mut self.text, bytes, quote);
        }
        self
    }

    /// Adds bytes from outside to the message, in quotation marks.
    pub fn quoted(&mut self, bytes: &[u8]) -> &mut Self {
        self.value(b"\"").value(bytes).value(b"\"")
    }

    /// Adds a number to the message.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.text.push_number(number, 0);
        self
    }

    /// Writes words of the program's own on standard output, as they are.
    pub fn print(&mut self, words: Words) {
        self.text.clear(SPARE);
        words.unpack(&mut self.text);
        self.dropped += u64::from(!write_all(self.text.as_bytes()));
    }

    /// Adds blanks up to this column.
    pub fn column(&mut self, column: usize) -> &mut Self {
        self.text.pad(column);
        self
    }

    /// Whether every line was taken.
    pub const fn is_intact(&self) -> bool {
        self.dropped == 0
    }

    /// Adds the name of a system call's error to the message.
    pub fn errno(&mut self, errno: Errno) -> &mut Self {
        self.value(errno_text(errno).as_bytes())
    }

    /// Adds `key` with a text.
    pub fn key(&mut self, key: &str, value: &[u8]) -> &mut Self {
        if self.muted {
            return self;
        }
        let start = self.open_key(key);
        let quote = match self.format {
            Format::Json => Quote::Json,
            Format::Text | Format::Plain if is_plain(value) => {
                self.keep(start, false);
                self.text.push(value);
                return self;
            }
            Format::Text | Format::Plain => Quote::Value,
        };
        self.text.push(b"\"");
        self.keep(start, true);
        push_escaped(&mut self.text, value, quote);
        let end = self.text.len();
        self.text.push(b"\"");
        self.keep(end, false);
        self
    }

    /// Adds `key` with a number.
    pub fn key_number(&mut self, key: &str, value: u64) -> &mut Self {
        let start = self.open_key(key);
        self.text.push_number(value, 0);
        self.keep(start, false);
        self
    }

    /// Adds `key` with a number in 16 hexadecimal digits, as a text.
    pub fn key_hex(&mut self, key: &str, value: u64) -> &mut Self {
        self.key(key, &hexadecimal(value))
    }

    /// Adds `key` with the names of the bits that are set: `names` separated by `|`, of the bits with these numbers.
    pub fn key_names(&mut self, key: &str, bits: u32, numbers: &[u8], names: Words) -> &mut Self {
        // Of most events nobody wants to read.
        if self.muted {
            return self;
        }
        let mut text = Word::new();
        for (at, number) in numbers.iter().enumerate() {
            if bits >> number & 1 != 0 {
                if !text.is_empty() {
                    text.push(b",");
                }
                text.push(names.piece(at).as_bytes());
            }
        }
        self.key(key, text.as_bytes())
    }

    /// Writes the line, or counts it as dropped: this never blocks and never fails.
    pub fn send(&mut self) {
        if self.muted {
            return;
        }
        if !self.write() {
            self.dropped += 1;
            self.metrics.add(Metric::LogLinesDropped, 1);
        } else if self.dropped > 0 {
            self.line(Level::Warn).say(words!(
                "lines before this were dropped, because standard error took no more"
            ));
            self.key_number("dropped", self.dropped);
            if self.write() {
                self.dropped = 0;
            }
        }
    }

    /// Closes the line; one that was too long ends in `...` and is still whole JSON.
    pub(crate) fn finish(&mut self) -> &[u8] {
        let cut = self.text.is_cut();
        self.text.release(SPARE);
        if cut && (self.in_string || self.format != Format::Json) {
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

    /// Whether the whole line was taken.
    fn write(&mut self) -> bool {
        #[cfg(fuzzing)]
        if let Some(sink) = self.sink {
            sink(self.finish());
            return true;
        }
        if self.format == Format::Plain {
            return write_all(self.finish());
        }
        let line = self.finish();
        let stderr = sys::stderr();
        // A pipe is ready when it takes a whole line, a socket long before it is full: after this the write does not block.
        let mut ready = [PollFd::new(&stderr, PollFlags::OUT)];
        let is_ready = matches!(poll(&mut ready, Some(&sys::AT_ONCE)), Ok(1))
            && ready[0].revents().contains(PollFlags::OUT);
        if !is_ready {
            return false;
        }
        let written = rustix::io::write(stderr, line);
        let is_whole = written == Ok(line.len());
        self.torn = written.is_ok() && !is_whole || written.is_err() && self.torn;
        is_whole
    }

    /// Adds what stands before the value of `key`. Where that begins.
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

    /// Takes back what was added from `start` on if it does not fit as a whole; else notes whether it leaves a string open.
    fn keep(&mut self, start: usize, in_string: bool) {
        self.text.keep_whole(start);
        if !self.text.is_cut() {
            self.in_string = in_string;
        }
    }
}

/// To standard output, as long as it takes. Whether that took it.
fn write_all(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match rustix::io::write(sys::stdout(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}
