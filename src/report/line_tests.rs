//! Lines as they are written, whatever goes into them.

use super::*;
use crate::base::encode::Bytes;
use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;

const NOON_MS: u64 = 1_795_435_200_123;

/// A line of level info, composed by `compose`.
fn line(format: Format, compose: impl FnOnce(&mut Line)) -> String {
    let mut line = Line::empty(format);
    line.begin(Level::Info, NOON_MS);
    compose(&mut line);
    String::from_utf8(line.finish().to_vec()).expect("a line is UTF-8 whatever went in")
}

#[test]
fn every_format_carries_the_same_message_and_keys() {
    let compose = |line: &mut Line| {
        write!(line, "cannot watch {}: ENOENT", Bytes(b"/etc/a b\xff")).unwrap();
        line.key_number("pid", 7)
            .key("process", b"my \"app\"")
            .key("signal", b"SIGHUP")
            .key("empty", b"");
    };
    let keys = "pid=7 process=\"my \\\"app\\\"\" signal=SIGHUP empty=\"\"\n";
    assert_eq!(
        line(Format::Text, compose),
        format!("2026-11-23T12:00:00.123Z info  cannot watch \"/etc/a b\\xff\": ENOENT {keys}")
    );
    assert_eq!(
        line(Format::Plain, compose),
        format!("cannot watch \"/etc/a b\\xff\": ENOENT {keys}")
    );
    assert_eq!(
        line(Format::Json, compose),
        "{\"time\":\"2026-11-23T12:00:00.123Z\",\"level\":\"info\",\"message\":\"cannot watch \\\"/etc/a b\\\\xff\\\": ENOENT\",\"pid\":7,\"process\":\"my \\\"app\\\"\",\"signal\":\"SIGHUP\",\"empty\":\"\"}\n"
    );
    let mut warning = Line::empty(Format::Plain);
    warning.begin(Level::Warn, NOON_MS);
    warning.write_str("careful").unwrap();
    assert_eq!(warning.finish(), b"! careful\n");
}

/// A reader of text lines: takes a value that is quoted or ends at a blank from `rest`.
fn read_value(rest: &mut &str) -> Vec<u8> {
    let Some(quoted) = rest.strip_prefix('"') else {
        let (value, after) = rest.split_at(rest.find([' ', ':']).unwrap_or(rest.len()));
        *rest = after;
        return value.into();
    };
    let mut value = Vec::new();
    let mut characters = quoted.char_indices();
    loop {
        match characters.next().expect("a closing quotation mark") {
            (at, '"') => {
                *rest = &quoted[at + 1..];
                return value;
            }
            (_, '\\') => match characters.next().expect("an escaped character") {
                (_, 'n') => value.push(b'\n'),
                (_, 't') => value.push(b'\t'),
                (at, 'x') => {
                    value.push(u8::from_str_radix(&quoted[at + 1..at + 3], 16).unwrap());
                    characters.nth(1);
                }
                (_, other) => value.push(other as u8),
            },
            (_, other) => value.extend(String::from(other).bytes()),
        }
    }
}

/// Bytes that try to pass for something else, among any others.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let tricks = [
        " pid=1", "\"", "\\", "\n", "\u{202e}", "\u{2028}", "=", "\\x41", ": ",
    ];
    let trick = prop::sample::select(tricks.to_vec()).prop_map(|trick| trick.as_bytes().to_vec());
    let any = prop::collection::vec(any::<u8>(), 0..20);
    prop::collection::vec(prop_oneof![trick, any], 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn l5_every_line_reads_back_as_it_was_meant(path in hostile(), value in hostile()) {
        let compose = |line: &mut Line| {
            write!(line, "cannot watch {}: ENOENT", Bytes(&path)).unwrap();
            line.key("key", &value).key_number("count", 1_234_567);
        };
        let text = line(Format::Text, compose);
        let unseen = ['\u{202e}', '\u{2028}'];
        prop_assert!(!text.trim_end_matches('\n').contains(|it: char| it.is_control() || unseen.contains(&it)));
        let parsed: serde_json::Value = serde_json::from_str(&line(Format::Json, compose)).unwrap();
        let message = parsed["message"].as_str().unwrap().to_owned();
        let mut rest = text.strip_prefix("2026-11-23T12:00:00.123Z info  ").unwrap();
        prop_assert!(rest.starts_with(&message), "{}", text);
        rest = rest.strip_prefix("cannot watch ").unwrap();
        prop_assert_eq!(read_value(&mut rest), &*path);
        rest = rest.strip_prefix(": ENOENT key=").unwrap();
        prop_assert_eq!(read_value(&mut rest), &*value);
        prop_assert_eq!(rest, " count=1234567\n");
        prop_assert_eq!(parsed.as_object().unwrap().len(), 5);
        if value.is_ascii() && !value.iter().any(u8::is_ascii_control) {
            prop_assert_eq!(parsed["key"].as_str().unwrap().as_bytes(), &*value);
        }
    }

    #[test]
    fn any_bytes_stay_one_line_without_control_characters(
        message in prop::collection::vec(any::<u8>(), 0..6000),
        value in prop::collection::vec(any::<u8>(), 0..6000),
    ) {
        let compose = |line: &mut Line| {
            write!(line, "{}", Bytes(&message)).unwrap();
            line.key("key", &value).key_number("count", 1_234_567).key("after", b"z z");
        };
        for format in [Format::Text, Format::Json, Format::Plain] {
            let written = line(format, compose);
            prop_assert!(written.len() <= LINE_MAX);
            prop_assert!(written.ends_with('\n'));
            prop_assert!(!written[..written.len() - 1].chars().any(char::is_control));
            if format == Format::Json {
                serde_json::from_str::<serde_json::Value>(&written).unwrap();
            }
        }
    }
}

#[test]
fn a_line_that_is_too_long_is_cut_and_still_whole() {
    // Lengths around the limit put the cut into the message, between keys and into a value.
    for length in 3900..4200 {
        for message in [length, 10] {
            let compose = |line: &mut Line| {
                write!(line, "{}", Bytes(&b"y".repeat(message))).unwrap();
                line.key("long", &b"x\x07".repeat(length))
                    .key("after", b"z z");
            };
            let text = line(Format::Text, compose);
            let is_cut = text.ends_with("...\n") || text.ends_with("...\"\n");
            assert!(text.len() <= LINE_MAX && is_cut, "{length}: {text}");
            let json = line(Format::Json, compose);
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(&json);
            assert!(parsed.is_ok(), "{}: {json}", parsed.unwrap_err());
        }
    }
    let all: Vec<u8> = (0..=255).collect();
    assert!(
        line(Format::Text, |line| write!(line, "{}", Bytes(&all))
            .unwrap())
        .len()
            < LINE_MAX
    );
}
