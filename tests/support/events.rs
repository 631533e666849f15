//! The events of the log as docs/observability.md lists them: every line of every sidecar that the tests start has to be one of them.

use super::docs::section;
use std::sync::OnceLock;

/// A line, without its time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    pub level: String,
    pub message: String,
    /// The names of the keys, as they follow each other.
    pub keys: Vec<String>,
}

/// A row of its table.
#[derive(Debug)]
pub struct Row {
    pub level: String,
    /// The constant parts between the placeholders.
    pub pieces: Vec<String>,
    pub keys: Vec<String>,
}

/// Words that stand for something else.
const PLACEHOLDERS: [&str; 8] = [
    "SETTING", "PATH", "ERROR", "KIND", "NUMBER", "WHAT", "SIGNAL", "REASON",
];

/// All rows.
pub fn rows() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let section = section("## Logs");
        let (_, table) = section.split_once("|---|---|---|\n").unwrap();
        table.lines().map_while(row).collect()
    })
}

fn row(line: &str) -> Option<Row> {
    let mut cells = line.strip_prefix("| ")?.split('|').map(str::trim);
    let level = cells.next()?.to_owned();
    let mut message = cells.next()?.to_owned();
    while let Some((before, rest)) = message.split_once('[') {
        let (_, after) = rest.split_once(']').expect("brackets are closed");
        message = format!("{before}*{after}");
    }
    let is_word =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    for word in PLACEHOLDERS {
        while let Some(at) = message.match_indices(word).map(|(at, _)| at).find(|at| {
            let bytes = message.as_bytes();
            !is_word(at.checked_sub(1).and_then(|at| bytes.get(at)))
                && !is_word(bytes.get(at + word.len()))
        }) {
            message.replace_range(at..at + word.len(), "*");
        }
    }
    let keys = cells.next()?.split_whitespace();
    Some(Row {
        level,
        pieces: message.split('*').map(str::to_owned).collect(),
        keys: keys.map(|key| key.trim_matches('`').to_owned()).collect(),
    })
}

impl Row {
    /// Returns true if the row describes the event: its keys are among the row's, in order.
    pub fn is(&self, event: &Event) -> bool {
        let mut keys = self.keys.iter();
        self.level == event.level
            && self.says(&event.message)
            && event.keys.iter().all(|key| keys.any(|it| it == key))
    }

    fn says(&self, message: &str) -> bool {
        let (first, others) = self.pieces.split_first().unwrap();
        let Some(mut rest) = message.strip_prefix(first.as_str()) else {
            return false;
        };
        let Some((last, between)) = others.split_last() else {
            return rest.is_empty();
        };
        for piece in between {
            let Some((_, after)) = rest.split_once(piece.as_str()) else {
                return false;
            };
            rest = after;
        }
        rest.ends_with(last.as_str())
    }
}

/// Takes a line apart, whichever format it has. `None`: it is none of the log's.
pub fn parse(line: &str) -> Option<Event> {
    if line.starts_with('{') {
        let object: serde_json::Map<_, _> = serde_json::from_str(line).ok()?;
        let text = |key: &str| Some(object.get(key)?.as_str()?.to_owned());
        // The object does not keep the order of its keys: the line does.
        let mut keys: Vec<_> = object
            .keys()
            .filter(|key| !["time", "level", "message"].contains(&key.as_str()))
            .cloned()
            .collect();
        keys.sort_by_key(|key| line.find(&format!(",\"{key}\":")));
        return Some(Event {
            level: text("level")?,
            message: text("message")?,
            keys,
        });
    }
    let (time, rest) = line.split_once("Z ")?;
    let is_time = time.len() == "2026-11-23T12:00:41.371".len()
        && time.starts_with(|it: char| it.is_ascii_digit());
    let (level, rest) = rest.split_at_checked(6).filter(|_| is_time)?;
    // The message ends where nothing but keys follows.
    let mut blanks = rest.match_indices(' ').map(|(at, _)| at);
    let (end, keys) = blanks
        .find_map(|at| Some((at, keys(&rest[at..])?)))
        .unwrap_or((rest.len(), Vec::new()));
    Some(Event {
        level: level.trim_end().to_owned(),
        message: rest[..end].to_owned(),
        keys,
    })
}

/// The names of ` key=value` again and again; `None` if it is something else.
fn keys(mut text: &str) -> Option<Vec<String>> {
    let mut keys = Vec::new();
    while !text.is_empty() {
        let (key, value) = text.strip_prefix(' ')?.split_once('=')?;
        let is_key = |it: char| it.is_ascii_lowercase() || it == '_';
        if key.is_empty() || !key.chars().all(is_key) {
            return None;
        }
        keys.push(key.to_owned());
        text = match value.strip_prefix('"') {
            Some(quoted) => {
                let mut escaped = false;
                let end = quoted.find(|it| {
                    let is_end = it == '"' && !escaped;
                    escaped = it == '\\' && !escaped;
                    is_end
                })?;
                &quoted[end + 1..]
            }
            None => &value[value.find(' ').unwrap_or(value.len())..],
        };
    }
    Some(keys)
}

/// A line of a running sidecar is a listed event, unless it was too long.
#[track_caller]
pub fn check(line: &str) {
    if line.trim_end_matches(['"', '}']).ends_with("...") && line.len() > 1900 {
        return;
    }
    let event = parse(line).unwrap_or_else(|| panic!("no line of the log: {line}"));
    assert!(
        rows().iter().any(|row| row.is(&event)),
        "docs/observability.md does not list {event:?}"
    );
}
