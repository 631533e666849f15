//! Log lines of any bytes: one line of UTF-8 without control characters. JSON parses and gives the bytes back, those that are
//! no text as `\xNN`; a value of a text line gives them back exactly. A line that is cut is still whole.
#![no_main]

use config_reloader_sidecar::log::{Format, LINE_MAX, Level, Log};
use config_reloader_sidecar_fuzz::{json, logged, text};
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
    Value(Vec<u8>),
    Quoted(Vec<u8>),
    Number(u64),
    Errno(u16),
    /// The same byte over and over: for lines that are too long.
    Long(u8, u16),
}

#[derive(Arbitrary, Debug)]
enum Value {
    Text(Vec<u8>),
    Number(u64),
    Long(u8, u16),
}

impl Input {
    fn compose(&self, log: &mut Log) {
        let line = log.line(Level::Info);
        for part in &self.message {
            match part {
                Part::Value(bytes) => line.value(bytes),
                Part::Quoted(bytes) => line.quoted(bytes),
                Part::Number(number) => line.number(*number),
                Part::Errno(number) => line.errno(errno(*number)),
                Part::Long(byte, length) => line.value(&long(*byte, *length)),
            };
        }
        for (at, value) in self.keys.iter().enumerate() {
            match value {
                Value::Text(bytes) => line.key(&key(at), bytes),
                Value::Number(number) => line.key_number(&key(at), *number),
                Value::Long(byte, length) => line.key(&key(at), &long(*byte, *length)),
            };
        }
        line.send();
    }

    /// The message, what is no text in it escaped; `keeps` tells which control characters stay as they are.
    fn message(&self, keeps: &str) -> String {
        let mut message = String::new();
        for part in &self.message {
            match part {
                Part::Value(bytes) => message += &printable(bytes, keeps),
                Part::Quoted(bytes) => _ = write!(message, "\"{}\"", printable(bytes, keeps)),
                Part::Number(number) => _ = write!(message, "{number}"),
                Part::Errno(number) => {
                    // Its name or its number.
                    let name = match errno(*number) {
                        Errno::ACCESS => "EACCES".to_owned(),
                        Errno::NOENT => "ENOENT".to_owned(),
                        other => format!("errno {}", other.raw_os_error()),
                    };
                    message += &name;
                }
                Part::Long(byte, length) => message += &printable(&long(*byte, *length), keeps),
            }
        }
        message
    }

    /// More than a line of it takes in either format: no byte is written as more than five.
    fn most(&self) -> usize {
        let message = self.message.iter().map(|part| match part {
            Part::Value(bytes) | Part::Quoted(bytes) => 4 + 5 * bytes.len(),
            Part::Number(_) | Part::Errno(_) => 20,
            Part::Long(_, length) => 5 * usize::from(*length),
        });
        let keys = self.keys.iter().map(|value| match value {
            Value::Text(bytes) => 20 + 5 * bytes.len(),
            Value::Number(_) => 40,
            Value::Long(_, length) => 20 + 5 * usize::from(*length),
        });
        100 + message.sum::<usize>() + keys.sum::<usize>()
    }
}

/// Keys that sort in their order.
fn key(at: usize) -> String {
    format!("of{at:08}")
}

fn long(byte: u8, length: u16) -> Vec<u8> {
    vec![byte; usize::from(length % 4096)]
}

/// Two that have a name here, and numbers that no error of the kernel's has.
fn errno(number: u16) -> Errno {
    match number % 4 {
        0 => Errno::ACCESS,
        1 => Errno::NOENT,
        _ => Errno::from_raw_os_error(200 + i32::from(number % 3000)),
    }
}

fn printable(bytes: &[u8], keeps: &str) -> String {
    let mut printable = String::new();
    let escape = |printable: &mut String, bytes: &[u8]| {
        for byte in bytes {
            _ = write!(printable, "\\x{byte:02x}");
        }
    };
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() && !keeps.contains(character) {
                escape(&mut printable, character.to_string().as_bytes());
            } else {
                printable.push(character);
            }
        }
        escape(&mut printable, chunk.invalid());
    }
    printable
}

/// The bytes of the value that `rest` begins with, and what comes after it.
fn value(rest: &str) -> (Vec<u8>, &str) {
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find(' ').unwrap_or(rest.len());
        return (rest.as_bytes()[..end].to_vec(), &rest[end..]);
    };
    let mut bytes = Vec::new();
    let mut characters = quoted.char_indices();
    loop {
        match characters.next().expect("a quoted value has an end") {
            (at, '"') => return (bytes, &quoted[at + 1..]),
            (_, '\\') => match characters.next().expect("something is escaped") {
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

fn one(input: &Input, format: Format) -> String {
    let mut lines = logged(format, false, |log| input.compose(log));
    assert_eq!(lines.len(), 1, "one line for one");
    lines.remove(0)
}

/// The value is that of the key, or where nothing follows a piece of it.
fn is_piece(whole: &str, found: &str, is_last: bool) -> bool {
    let cut = |found: &str| {
        found
            .strip_suffix("...")
            .is_some_and(|piece| whole.starts_with(piece))
    };
    found == whole || is_last && cut(found)
}

fn check_text(input: &Input, is_whole: bool) {
    let line = one(input, Format::Text);
    let said = text(&line);
    if !is_whole {
        assert!(line.len() < LINE_MAX);
        return;
    }
    let message = input.message("");
    let mut rest = said.strip_prefix(&*message).expect("the whole message");
    for (at, expected) in input.keys.iter().enumerate() {
        let (bytes, after) = value(
            rest.strip_prefix(&format!(" {}=", key(at)))
                .expect("the key"),
        );
        match expected {
            Value::Text(text) => assert_eq!(&bytes, text),
            Value::Number(number) => assert_eq!(bytes, number.to_string().as_bytes()),
            Value::Long(byte, length) => assert_eq!(bytes, long(*byte, *length)),
        }
        rest = after;
    }
    assert_eq!(rest, "");
}

fn check_json(input: &Input, is_whole: bool) {
    let line = one(input, Format::Json);
    let mut members = json(&line);
    let said = members.remove("message").expect("a message");
    let said = said.as_str().expect("a message is text");
    let is_last = members.is_empty() && !is_whole;
    assert!(is_piece(&input.message("\n\t"), said, is_last), "{line}");
    assert!(!is_whole || members.len() == input.keys.len(), "{line}");
    for (at, expected) in input.keys.iter().take(members.len()).enumerate() {
        let is_last = at + 1 == members.len() && !is_whole;
        let found = &members[&key(at)];
        let is_right = match expected {
            Value::Number(number) => found.as_u64() == Some(*number),
            Value::Text(bytes) => is_piece(
                &printable(bytes, "\n\t"),
                found.as_str().expect("text"),
                is_last,
            ),
            Value::Long(byte, length) => is_piece(
                &printable(&long(*byte, *length), "\n\t"),
                found.as_str().expect("text"),
                is_last,
            ),
        };
        assert!(is_right, "{line}");
    }
}

fuzz_target!(|input: Input| {
    let is_whole = input.most() < LINE_MAX;
    check_text(&input, is_whole);
    check_json(&input, is_whole);
});
