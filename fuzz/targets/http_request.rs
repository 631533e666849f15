//! HTTP requests parsed byte by byte are understood as httparse understands them as a whole, or refused.
#![no_main]

use config_reloader_sidecar::http::{Answer, Asked, HEAD_MAX, Request};
use httparse::{EMPTY_HEADER, Header, Status};
use libfuzzer_sys::fuzz_target;

/// The most bytes kept of a line.
const LINE: usize = 128;
/// The most fields in a head of the greatest length.
const FIELDS: usize = HEAD_MAX as usize / 3;

fn is_refusal(asked: Asked) -> bool {
    match asked {
        Asked::Malformed | Asked::OtherVersion | Asked::LongTarget | Asked::LongHead => true,
        Asked::Metrics
        | Asked::Health
        | Asked::Readiness
        | Asked::Unknown
        | Asked::NotAllowed
        | Asked::NotImplemented => false,
    }
}

/// Returns the answer to a request that httparse has understood.
fn expected(request: &httparse::Request<'_, '_>) -> Option<Answer> {
    let is_old = request.version? == 0;
    let hosts: Vec<_> = fields(request, "host").collect();
    let has_host = match hosts[..] {
        [] => is_old,
        [host] => is_host(host.value),
        _ => false,
    };
    let is_head = request.method? == "HEAD";
    let is_ascii = request.path?.bytes().all(|byte| byte.is_ascii_graphic());
    let asked = if has_host && is_ascii {
        asked(request)?
    } else {
        Asked::Malformed
    };
    let closes = |field: &Header<'_>| contains(&field.value.to_ascii_lowercase(), b"close");
    let is_last = is_old
        || is_refusal(asked)
        || fields(request, "connection").any(closes)
        || fields(request, "content-length").next().is_some()
        || fields(request, "transfer-encoding").next().is_some();
    Some(Answer {
        asked,
        head_only: is_head && is_ascii,
        is_last,
    })
}

fn fields<'r>(
    request: &'r httparse::Request<'_, '_>,
    name: &'static str,
) -> impl Iterator<Item = &'r Header<'r>> {
    let fields = request.headers.iter();
    fields.filter(move |field| field.name.eq_ignore_ascii_case(name))
}

fn is_host(value: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_graphic() && !b"\"#/<>?@\\^`{|}".contains(byte);
    value.trim_ascii().iter().all(is_allowed)
}

fn contains(value: &[u8], word: &[u8]) -> bool {
    value.windows(word.len()).any(|part| part == word)
}

fn asked(request: &httparse::Request<'_, '_>) -> Option<Asked> {
    Some(match request.method? {
        "GET" | "HEAD" => match path(request.path?) {
            "/metrics" => Asked::Metrics,
            "/healthz" => Asked::Health,
            "/readyz" => Asked::Readiness,
            _ => Asked::Unknown,
        },
        "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH" => Asked::NotAllowed,
        _ => Asked::NotImplemented,
    })
}

fn path(target: &str) -> &str {
    let path = match target.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("http://") => {
            let rest = &target[7..];
            rest.find(['/', '?']).map_or("", |at| &rest[at..])
        }
        _ => target,
    };
    path.split('?').next().unwrap_or_default()
}

/// Returns true if all of every line is kept, so that the program sees as much as httparse.
fn fits(head: &[u8]) -> bool {
    head.len() <= usize::from(HEAD_MAX)
        && head
            .split(|byte| *byte == b'\n')
            .all(|line| line.len() <= LINE)
}

fuzz_target!(|data: &[u8]| {
    let mut request = Request::new();
    let mut rest = data;
    loop {
        let mut headers = [EMPTY_HEADER; FIELDS];
        let mut whole = httparse::Request::new(&mut headers);
        let parsed = whole.parse(rest);
        let mut read = 0;
        let answer = rest.iter().find_map(|byte| {
            read += 1;
            request.push(*byte)
        });
        let Ok(Status::Complete(length)) = parsed else {
            // The version is the only thing that httparse does not understand at all.
            let is_understood = answer.is_some_and(|answer| !is_refusal(answer.asked));
            assert!(
                !is_understood || parsed == Err(httparse::Error::Version),
                "{answer:?}"
            );
            return;
        };
        let answer = answer.expect("an answer to a whole request");
        if !fits(&rest[..length]) {
            return;
        }
        assert_eq!(Some(answer), expected(&whole));
        if answer.is_last {
            return;
        }
        assert_eq!(read, length);
        rest = &rest[length..];
    }
});
