//! Log lines of any bytes: each is one line of UTF-8 without control characters, and what the log truncates is still well formed.
//! JSON parses, with bytes that are not UTF-8 as `\xNN`. The values of a text line can be decoded exactly.
#![no_main]

use config_reloader_sidecar::base::encode::{Bytes, Name, Quoted};
use config_reloader_sidecar::report::line::{Format, LINE_MAX, Line};
use config_reloader_sidecar_fuzz::{json, line, text};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use rustix::io::Errno;
use std::fmt::Write;

#[derive(Arbitrary, Debug)]
struct Input {
    message: Vec<Part>,
    keys: Vec<Value>,
}

#[derive(Arbitrary, Debug)]
enum Part {
    Value(Text),
    Quoted(Text),
    Number(u64),
    Errno(u16),
}

#[derive(Arbitrary, Debug)]
enum Value {
    Text(Text),
    Number(u64),
}

#[derive(Arbitrary, Debug)]
enum Text {
    Any(Vec<u8>),
    /// One byte repeated, for lines that are too long.
    Repeated(u8, u16),
}

impl Text {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Any(bytes) => bytes.clone(),
            Self::Repeated(byte, length) => vec![*byte; usize::from(length % 4096)],
        }
    }
}

impl Input {
    fn compose(&self, line: &mut Line) {
        for part in &self.message {
            _ = match part {
                Part::Value(text) => write!(line, "{}", Bytes(&text.bytes())),
                Part::Quoted(text) => write!(line, "{}", Quoted(&text.bytes())),
                Part::Number(number) => write!(line, "{number}"),
                Part::Errno(number) => write!(line, "{}", Name(errno(*number))),
            };
        }
        for (at, value) in self.keys.iter().enumerate() {
            match value {
                Value::Text(text) => line.key(&key(at), &text.bytes()),
                Value::Number(number) => line.key_number(&key(at), *number),
            };
        }
    }

    /// The message, in which values are quoted unless they are plain.
    fn message(&self) -> String {
        let mut message = String::new();
        for part in &self.message {
            _ = match part {
                Part::Value(text) if is_plain(&text.bytes()) => {
                    write!(message, "{}", escaped(&text.bytes(), ""))
                }
                Part::Value(text) | Part::Quoted(text) => {
                    write!(message, "\"{}\"", quoted(&text.bytes()))
                }
                Part::Number(number) => write!(message, "{number}"),
                Part::Errno(number) => match errno(*number) {
                    Errno::ACCESS => write!(message, "EACCES"),
                    Errno::NOENT => write!(message, "ENOENT"),
                    other => write!(message, "errno {}", other.raw_os_error()),
                },
            };
        }
        message
    }

    /// Returns true if no escaping can make the line too long: a byte takes six at most.
    fn fits(&self) -> bool {
        let message = self.message.iter().map(|part| match part {
            Part::Value(text) | Part::Quoted(text) => 4 + 6 * text.bytes().len(),
            Part::Number(_) | Part::Errno(_) => 20,
        });
        let keys = self.keys.iter().map(|value| match value {
            Value::Text(text) => 20 + 5 * text.bytes().len(),
            Value::Number(_) => 40,
        });
        100 + message.chain(keys).sum::<usize>() < LINE_MAX
    }
}

/// Names for keys that sort in their order.
fn key(at: usize) -> String {
    format!("key{at:08}")
}

/// Two errors with names, and numbers that the kernel does not use.
fn errno(number: u16) -> Errno {
    match number % 4 {
        0 => Errno::ACCESS,
        1 => Errno::NOENT,
        _ => Errno::from_raw_os_error(200 + i32::from(number % 3000)),
    }
}

fn is_plain(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !b"\"=\\".contains(byte))
}

/// Returns what stands between quotation marks for `bytes`.
fn quoted(bytes: &[u8]) -> String {
    let parts = bytes.split_inclusive(|byte| b"\n\t\"\\".contains(byte));
    let quote = |part: &[u8]| match part.split_last() {
        Some((b'\n', start)) => escaped(start, "") + "\\n",
        Some((b'\t', start)) => escaped(start, "") + "\\t",
        Some((last @ (b'"' | b'\\'), start)) => {
            escaped(start, "") + "\\" + &char::from(*last).to_string()
        }
        _ => escaped(part, ""),
    };
    parts.map(quote).collect()
}

/// Returns true for what a reader does not see, or sees in another place than it is.
fn is_unseen(character: char) -> bool {
    const UNSEEN: [(u32, u32); 8] = [
        (0x61c, 0x61c),
        (0x200b, 0x200f),
        (0x2028, 0x202e),
        (0x2060, 0x206f),
        (0xfeff, 0xfeff),
        (0xfff9, 0xfffb),
        (0xe0000, 0xe007f),
        (0x7f, 0x9f),
    ];
    let code = character as u32;
    code < 0x20
        || UNSEEN
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&code))
}

fn escaped(bytes: &[u8], kept: &str) -> String {
    let mut text = String::new();
    let escape = |text: &mut String, bytes: &[u8]| {
        for byte in bytes {
            _ = write!(text, "\\x{byte:02x}");
        }
    };
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_unseen(character) && !kept.contains(character) {
                escape(&mut text, character.to_string().as_bytes());
            } else {
                text.push(character);
            }
        }
        escape(&mut text, chunk.invalid());
    }
    text
}

/// Decodes the value at the beginning of `rest`. Returns its bytes and what follows.
fn decode(rest: &str) -> (Vec<u8>, &str) {
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find(' ').unwrap_or(rest.len());
        return (rest.as_bytes()[..end].to_vec(), &rest[end..]);
    };
    let mut bytes = Vec::new();
    let mut characters = quoted.char_indices();
    loop {
        match characters.next().expect("a closing quote") {
            (at, '"') => return (bytes, &quoted[at + 1..]),
            (_, '\\') => match characters.next().expect("an escaped character") {
                (_, 'n') => bytes.push(b'\n'),
                (_, 't') => bytes.push(b'\t'),
                (at, 'x') => {
                    bytes.push(u8::from_str_radix(&quoted[at + 1..at + 3], 16).unwrap());
                    characters.nth(1);
                }
                (_, other @ ('"' | '\\')) => bytes.push(other as u8),
                (_, other) => panic!("unknown escape {other:?}"),
            },
            (_, other) => bytes.extend(other.to_string().bytes()),
        }
    }
}

/// Returns true if `found` is the whole text, or the last value of the line and truncated.
fn is_prefix(whole: &str, found: &str, is_last: bool) -> bool {
    let is_truncated = || {
        found
            .strip_suffix("...")
            .is_some_and(|start| whole.starts_with(start))
    };
    found == whole || is_last && is_truncated()
}

fn check_text(input: &Input) {
    let line = line(Format::Text, |line| input.compose(line));
    if !input.fits() {
        return;
    }
    let message = input.message();
    let mut rest = text(&line).strip_prefix(&*message).expect("the message");
    for (at, expected) in input.keys.iter().enumerate() {
        let start = format!(" {}=", key(at));
        let (bytes, after) = decode(rest.strip_prefix(&start).expect("the key"));
        match expected {
            Value::Text(text) => assert_eq!(bytes, text.bytes()),
            Value::Number(number) => assert_eq!(bytes, number.to_string().as_bytes()),
        }
        rest = after;
    }
    assert_eq!(rest, "");
}

fn check_json(input: &Input) {
    const KEPT: &str = "\n\t";
    let line = line(Format::Json, |line| input.compose(line));
    let mut members = json(&line);
    let message = members.remove("message");
    let message = message
        .as_ref()
        .and_then(|it| it.as_str())
        .expect("a message");
    let fits = input.fits();
    assert!(!fits || members.len() == input.keys.len(), "{line}");
    let is_last = !fits && members.is_empty();
    assert!(is_prefix(&input.message(), message, is_last), "{line}");
    for (at, expected) in input.keys.iter().take(members.len()).enumerate() {
        let is_last = !fits && at + 1 == members.len();
        let found = &members[&key(at)];
        let is_right = match expected {
            Value::Number(number) => found.as_u64() == Some(*number),
            Value::Text(text) => {
                let found = found.as_str().expect("text");
                is_prefix(&escaped(&text.bytes(), KEPT), found, is_last)
            }
        };
        assert!(is_right, "{line}");
    }
}

fuzz_target!(|input: Input| {
    check_text(&input);
    check_json(&input);
});
