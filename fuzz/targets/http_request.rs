//! HTTP requests parsed byte by byte give the same answers as a plain parser of the whole.
#![no_main]

use config_reloader_sidecar::http::{Answer, Asked, HEAD_MAX, Request};
use libfuzzer_sys::fuzz_target;

/// The most bytes kept of a line, including its carriage return.
const LINE: usize = 64;

/// The plain parser. Returns the answer to the first request and the text after it, or `None` if the request is incomplete.
fn plain(text: &[u8]) -> Option<(Answer, &[u8])> {
    let (mut first, mut fields) = (None::<First>, Vec::new());
    let mut rest = text;
    loop {
        let read = text.len() - rest.len();
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = &rest[..end.unwrap_or(rest.len())];
        let refuse = |asked| {
            let answer = Answer {
                asked,
                head_only: first.is_some_and(|(_, is_head, _)| is_head),
                is_last: true,
            };
            Some((answer, &b""[..]))
        };
        if let Some(asked) = exceeded(line, read, end.is_some()) {
            return refuse(asked);
        }
        end?;
        rest = &rest[line.len() + 1..];
        let kept = &line[..line.len().min(LINE)];
        let kept = kept.strip_suffix(b"\r").unwrap_or(kept);
        let Some((asked, is_head, is_old)) = first else {
            if kept.is_empty() {
                continue;
            }
            if line.len() > LINE {
                return refuse(Asked::LongTarget);
            }
            match first_line(kept) {
                Some(line) => first = Some(line),
                None => return refuse(Asked::Malformed),
            }
            continue;
        };
        if kept.is_empty() {
            let has_host = fields.iter().any(|(name, _)| name == "host");
            if !has_host && !is_old {
                return refuse(Asked::Malformed);
            }
            let answer = Answer {
                asked,
                head_only: is_head,
                is_last: is_old || fields.iter().any(ends),
            };
            return Some((answer, rest));
        }
        match field(kept) {
            Some(field) => fields.push(field),
            None => return refuse(Asked::Malformed),
        }
    }
}

/// Returns why a line is refused, even if incomplete: `read` bytes precede it.
fn exceeded(line: &[u8], read: usize, has_end: bool) -> Option<Asked> {
    let head_max = usize::from(HEAD_MAX);
    let is_control = |byte: &u8| *byte < b' ' && !b"\r\t".contains(byte);
    let control = line.iter().position(is_control);
    if control.is_some_and(|at| read + at < head_max) {
        return Some(Asked::Malformed);
    }
    (read + line.len() + usize::from(has_end) > head_max).then_some(Asked::LongHead)
}

/// Parses a header field into name and value, both in lower case.
fn field(line: &[u8]) -> Option<(String, String)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    is_name.then(|| (text(name), text(value)))
}

/// The page requested, true for HEAD, and true for HTTP/1.0.
type First = (Asked, bool, bool);

fn ends((name, value): &(String, String)) -> bool {
    match name.as_str() {
        "connection" => value.contains("close"),
        "content-length" | "transfer-encoding" => true,
        _ => false,
    }
}

fn first_line(line: &[u8]) -> Option<First> {
    let words: Vec<_> = line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = words[..] else {
        return None;
    };
    let is_old = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => return None,
    };
    let path = target.split(|byte| *byte == b'?').next()?;
    let asked = match (method, path) {
        (b"GET" | b"HEAD", b"/metrics") => Asked::Metrics,
        (b"GET" | b"HEAD", b"/healthz") => Asked::Health,
        (b"GET" | b"HEAD", b"/readyz") => Asked::Readiness,
        (b"GET" | b"HEAD", _) => Asked::Unknown,
        _ => Asked::NotAllowed,
    };
    Some((asked, method == b"HEAD", is_old))
}

fuzz_target!(|data: &[u8]| {
    let mut request = Request::new();
    let mut rest = data;
    loop {
        let expected = plain(rest);
        let mut read = 0;
        let answer = rest.iter().find_map(|byte| {
            read += 1;
            request.push(*byte)
        });
        assert_eq!(answer, expected.map(|(answer, _)| answer));
        let Some((answer, after)) = expected else {
            return;
        };
        if answer.is_last {
            return;
        }
        assert_eq!(&rest[read..], after);
        rest = after;
    }
});
