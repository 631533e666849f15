//! Lines as they are written, whatever goes into them.

use super::*;
use crate::base::encode::Bytes;
use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;

const NOON_MS: u64 = 1_795_435_200_123;

/// A line of level info, composed by `compose`.
fn line(format: Format, compose: impl FnOnce(&mut Line)) -> String {
    let mut line = Line::new(format, Level::Info, NOON_MS);
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
        format!("2026-11-23T12:00:00.123Z info  cannot watch /etc/a b\\xff: ENOENT {keys}")
    );
    assert_eq!(
        line(Format::Plain, compose),
        format!("cannot watch /etc/a b\\xff: ENOENT {keys}")
    );
    assert_eq!(
        line(Format::Json, compose),
        "{\"time\":\"2026-11-23T12:00:00.123Z\",\"level\":\"info\",\"message\":\"cannot watch /etc/a b\\\\xff: ENOENT\",\"pid\":7,\"process\":\"my \\\"app\\\"\",\"signal\":\"SIGHUP\",\"empty\":\"\"}\n"
    );
    let mut warning = Line::new(Format::Plain, Level::Warn, NOON_MS);
    warning.write_str("careful").unwrap();
    assert_eq!(warning.finish(), b"! careful\n");
}

/// A value as a reader of the JSON sees it: bytes that are not UTF-8, and control characters, as `\xNN`.
fn shown(value: &[u8]) -> String {
    let mut shown = String::new();
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() && !matches!(character, '\n' | '\t') {
                let mut utf8 = [0; 4];
                for byte in character.encode_utf8(&mut utf8).bytes() {
                    write!(shown, "\\x{byte:02x}").unwrap();
                }
            } else {
                shown.push(character);
            }
        }
        for byte in chunk.invalid() {
            write!(shown, "\\x{byte:02x}").unwrap();
        }
    }
    shown
}

proptest! {
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
        }
        let parsed: serde_json::Value = serde_json::from_str(&line(Format::Json, compose)).unwrap();
        if shown(&message).len() + shown(&value).len() < 1000 {
            prop_assert_eq!(parsed["message"].as_str().unwrap(), shown(&message));
            prop_assert_eq!(parsed["key"].as_str().unwrap(), shown(&value));
            prop_assert_eq!(&parsed["count"], 1_234_567);
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
