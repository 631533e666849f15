use super::*;
use std::string::String;
use std::vec::Vec;

const NOON: Millis = Millis(1_795_435_200_123);

fn line(format: Format, compose: impl FnOnce(&mut Log)) -> String {
    let mut log = Log::new();
    log.set(format, false);
    compose(log.open(Level::Info, NOON));
    String::from_utf8(log.finish().to_vec()).expect("a line is UTF-8 whatever went in")
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
        (NOON, "2026-11-23T12:00:00.123Z"),
        (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
    ] {
        assert_eq!(time(wall_ms), expected);
    }
}

#[test]
fn both_formats_carry_the_same_message_and_keys() {
    let compose = |line: &mut Log| {
        line.say(words!("cannot watch "))
            .value(b"/etc/a b")
            .say(words!(": "))
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
                let mut log = Log::new();
                log.set(format, false);
                let written = log.open(Level::Warn, NOON);
                if in_key {
                    written
                        .say(words!("cut"))
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
                    assert!(parsed.is_ok(), "{}: {text}", parsed.unwrap_err());
                }
            }
        }
    }
}
