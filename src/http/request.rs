//! A request parser that is fed byte by byte and knows as much as two methods and three pages need; RFC 9112. Pure.

use crate::base::text::pieces;

/// The longest request line with its fields, in bytes. Only the current line is kept.
pub const HEAD_MAX: u16 = 8192;

/// The most bytes kept of a line: enough for every name and value that matters.
const LINE_MAX: usize = 64;

/// The page that a request asks for, or what is wrong with the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// `/metrics`
    Metrics,
    /// `/healthz`
    Health,
    /// `/readyz`
    Readiness,
    /// Another page.
    Unknown,
    /// A method other than GET and HEAD.
    NotAllowed,
    /// Not HTTP/1.
    Malformed,
    /// The first line exceeds the line limit.
    LongTarget,
    /// The head exceeds [`HEAD_MAX`].
    LongHead,
}

impl Asked {
    /// Returns true if it is unclear where the next request begins.
    const fn ends_connection(self) -> bool {
        match self {
            Self::Malformed | Self::LongTarget | Self::LongHead => true,
            Self::Metrics | Self::Health | Self::Readiness | Self::Unknown | Self::NotAllowed => {
                false
            }
        }
    }
}

/// The answer to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The page or the error to send.
    pub asked: Asked,
    /// Send no body: the method is HEAD.
    pub head_only: bool,
    /// No other request follows on this connection.
    pub is_last: bool,
}

/// A request whose head has come in part.
#[derive(Debug)]
pub struct Request {
    /// The number of bytes received.
    length: u16,
    /// The current line, as far as it fits.
    line: [u8; LINE_MAX],
    /// The length of the current line, which may be more than fits.
    line_length: u16,
    /// The first line, once it is complete.
    first: Option<RequestLine>,
    has_host: bool,
    /// A field says that no other request follows, or that there is a body, which is not read.
    is_last: bool,
}

impl Request {
    /// Returns a request of which nothing has come.
    pub const fn new() -> Self {
        Self {
            length: 0,
            line: [0; LINE_MAX],
            line_length: 0,
            first: None,
            has_host: false,
            is_last: false,
        }
    }

    /// Takes the next byte. Returns the answer if the request ends with it or is found to be wrong; the byte after that begins
    /// another request.
    pub fn push(&mut self, byte: u8) -> Option<Answer> {
        let asked = self.take(byte)?;
        let is_old = self.first.is_some_and(|first| first.is_old);
        let answer = Answer {
            asked,
            head_only: self.first.is_some_and(|first| first.is_head),
            is_last: self.is_last || is_old || asked.ends_connection(),
        };
        *self = Self::new();
        Some(answer)
    }

    fn take(&mut self, byte: u8) -> Option<Asked> {
        self.length += 1;
        if self.length > HEAD_MAX {
            return Some(Asked::LongHead);
        }
        match byte {
            b'\n' => {
                let asked = self.end_line();
                self.line_length = 0;
                asked
            }
            b'\r' | b'\t' | b' '.. => {
                self.keep(byte);
                None
            }
            _ => Some(Asked::Malformed),
        }
    }

    fn keep(&mut self, byte: u8) {
        if let Some(slot) = self.line.get_mut(usize::from(self.line_length)) {
            // Case matters in the first line only.
            *slot = if self.first.is_some() {
                byte.to_ascii_lowercase()
            } else {
                byte
            };
        }
        self.line_length += 1;
    }

    /// Parses the current line. Returns the page if the line ends the head, or the error if it is wrong.
    fn end_line(&mut self) -> Option<Asked> {
        let whole = self.line.get(..usize::from(self.line_length));
        let line = whole.unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(first) = self.first else {
            // Some clients send an empty line after a body.
            if line.is_empty() {
                return None;
            }
            if whole.is_none() {
                return Some(Asked::LongTarget);
            }
            self.first = RequestLine::parse(line);
            return self.first.is_none().then_some(Asked::Malformed);
        };
        if line.is_empty() {
            let is_complete = self.has_host || first.is_old;
            return Some(if is_complete {
                first.asked
            } else {
                Asked::Malformed
            });
        }
        let Some((name, value)) = parse_field(line) else {
            return Some(Asked::Malformed);
        };
        if name == b"host" {
            self.has_host = true;
        } else if name == b"connection" {
            // One option of several, perhaps. It may be part of another word, but closing is always allowed.
            self.is_last |= value.windows(5).any(|word| word == b"close");
        } else if name == b"content-length" || name == b"transfer-encoding" {
            self.is_last = true;
        }
        None
    }
}

impl Default for Request {
    fn default() -> Self {
        Self::new()
    }
}

/// The first line of a request.
#[derive(Clone, Copy, Debug)]
struct RequestLine {
    asked: Asked,
    is_head: bool,
    /// HTTP/1.0, which has no hosts and one request for each connection.
    is_old: bool,
}

static PAGES: [(&[u8], Asked); 3] = [
    (b"/metrics", Asked::Metrics),
    (b"/healthz", Asked::Health),
    (b"/readyz", Asked::Readiness),
];

impl RequestLine {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut words = pieces(line, b' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let (is_head, is_old) = (method == b"HEAD", version == b"HTTP/1.0");
        if words.next().is_some() || !is_old && version != b"HTTP/1.1" {
            return None;
        }
        let path = pieces(target, b'?').next();
        let page = PAGES.iter().find(|(page, _)| Some(*page) == path);
        let asked = match page {
            _ if !is_head && method != b"GET" => Asked::NotAllowed,
            Some((_, asked)) => *asked,
            None => Asked::Unknown,
        };
        Some(Self {
            asked,
            is_head,
            is_old,
        })
    }
}

/// Splits a field into its name and its value. Refuses blanks in and before the name: programs disagree on their meaning, which
/// attackers exploit.
fn parse_field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    is_name.then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    /// Returns all answers in order, up to the last one.
    fn answers(text: &str) -> Vec<Answer> {
        let mut request = Request::new();
        let mut answers: Vec<Answer> = Vec::new();
        for byte in text.bytes() {
            if answers.last().is_some_and(|answer| answer.is_last) {
                break;
            }
            answers.extend(request.push(byte));
        }
        answers
    }

    fn asked(text: &str) -> Vec<Asked> {
        answers(text).iter().map(|answer| answer.asked).collect()
    }

    #[test]
    fn get_and_head_ask_for_the_pages() {
        for (target, expected) in [
            ("/metrics", Asked::Metrics),
            ("/healthz", Asked::Health),
            ("/readyz", Asked::Readiness),
            ("/metrics?name[]=x", Asked::Metrics),
            ("/metrics?a?b", Asked::Metrics),
            ("/", Asked::Unknown),
            ("/metric", Asked::Unknown),
            ("/metrics/", Asked::Unknown),
            ("/Metrics", Asked::Unknown),
            ("*", Asked::Unknown),
            ("?", Asked::Unknown),
            ("/metrics|/healthz", Asked::Unknown),
        ] {
            for (method, head_only) in [("GET", false), ("HEAD", true)] {
                let answer = Answer {
                    asked: expected,
                    head_only,
                    is_last: false,
                };
                let text = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n");
                assert_eq!(answers(&text), [answer], "{text}");
            }
        }
    }

    #[test]
    fn other_methods_are_not_allowed() {
        for method in [
            "POST", "PUT", "get", "OPTIONS", "GETT", "GET|HEAD", "\u{e4}",
        ] {
            let text = format!("{method} /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(asked(&text), [Asked::NotAllowed], "{method}");
        }
    }

    #[test]
    fn s3_anything_but_http_1_is_malformed_and_the_last_request() {
        for text in [
            "x\n",
            "GET\n",
            "GET /metrics\r\n",
            "GET /metrics HTTP/2.0\r\n",
            "GET /metrics http/1.1\r\n",
            "GET  /metrics HTTP/1.1\r\n",
            "GET /metrics HTTP/1.1 \r\n",
            " GET /metrics HTTP/1.1\r\n",
            "\x16\x03\x01",
            "GET /metrics\0",
            // Wrong fields.
            "GET /metrics HTTP/1.1\r\n\r\n",
            "GET /metrics HTTP/1.1\r\nHost: a\r\n folded\r\n",
            "GET /metrics HTTP/1.1\r\nHost : a\r\n",
            "GET /metrics HTTP/1.1\r\n: a\r\n",
            "GET /metrics HTTP/1.1\r\nHost\r\n",
            "GET /metrics HTTP/1.1\r\nH\u{e4}: a\r\n",
        ] {
            let answers = answers(text);
            assert_eq!(answers.len(), 1, "{text:?}");
            assert_eq!(answers[0].asked, Asked::Malformed, "{text:?}");
            assert!(answers[0].is_last);
        }
    }

    #[test]
    fn requests_follow_each_other_until_one_is_the_last() {
        let get = |fields: &str| format!("GET /healthz HTTP/1.1\r\nhost:a\r\n{fields}\r\n");
        assert_eq!(asked(&get("").repeat(3)).len(), 3);
        assert_eq!(asked(&format!("\r\n\n{0}\r\n{0}", get(""))).len(), 2);
        // Line feeds alone do as well.
        assert_eq!(asked(&get("").repeat(2).replace('\r', "")).len(), 2);
        for last in [
            "Connection: close\r\n",
            "CONNECTION:\tClose \r\n",
            "Connection: TE,close\r\n",
            "Connection: close , keep-alive\r\n",
            "Connection: a:close\r\n",
            "Content-Length: 0\r\n",
            "Transfer-Encoding: chunked\r\n",
        ] {
            assert_eq!(asked(&get(last).repeat(2)).len(), 1, "{last}");
        }
        for not_last in [
            "Connection: keep-alive\r\n",
            "X-Connection: close\r\n",
            "Connection: clos, e\r\n",
            "Accept: */*\r\nUser-Agent: close\r\n",
        ] {
            assert_eq!(asked(&get(not_last).repeat(2)).len(), 2, "{not_last}");
        }
        let old = "GET /healthz HTTP/1.0\r\n\r\n";
        assert_eq!(asked(&old.repeat(2)), [Asked::Health]);
        // The next request starts afresh.
        let mixed = format!("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n{}", get(""));
        assert!(!answers(&mixed)[1].head_only);
        let without_host = format!("{}GET / HTTP/1.1\r\n\r\n", get(""));
        assert_eq!(asked(&without_host), [Asked::Health, Asked::Malformed]);
    }

    #[test]
    fn the_first_line_and_the_head_are_limited() {
        let head = |target: usize, field: usize| {
            let (target, field) = ("t".repeat(target), "f".repeat(field));
            format!("GET /{target} HTTP/1.1\r\nHost: {field}\r\n\r\n")
        };
        // "GET " and " HTTP/1.1\r" leave 50 bytes of 64.
        assert_eq!(asked(&head(49, 1)), [Asked::Unknown]);
        assert_eq!(asked(&head(50, 1)), [Asked::LongTarget]);
        let rest = head(0, 0).len();
        let most = usize::from(HEAD_MAX) - rest;
        assert_eq!(asked(&head(0, most)), [Asked::Unknown]);
        assert_eq!(asked(&head(0, most + 1)), [Asked::LongHead]);
        assert_eq!(asked(&"\n".repeat(9000)), [Asked::LongHead]);
        let many = "a: b\r\n".repeat(2000);
        assert_eq!(
            asked(&format!("GET / HTTP/1.1\r\n{many}")),
            [Asked::LongHead]
        );
    }

    #[test]
    fn requests_of_prometheus_with_many_fields_are_understood() {
        let text = "GET /metrics HTTP/1.1\r\nHost: 10.0.0.1:9533\r\nUser-Agent: Prometheus/3.1.0\r\nAccept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\nAccept-Encoding: gzip\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\nAuthorization: Bearer ";
        let text = format!("{text}{}\r\n\r\n", String::from("x").repeat(2000));
        assert_eq!(asked(&text.repeat(3)), [Asked::Metrics; 3]);
    }
}
