//! A request parser that is fed byte by byte and knows as much as two methods and three pages need; RFC 9110 and 9112. Pure.

use crate::base::text::{has, is_same_word, pieces};

/// The longest request line with its fields, in bytes. Only the current line is kept.
pub const HEAD_MAX: u16 = 8192;

/// The most bytes kept of a line: enough for every name and value that matters.
const LINE_MAX: usize = 128;

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
    /// A method of RFC 9110 or PATCH, other than GET and HEAD.
    NotAllowed,
    /// Another method.
    NotImplemented,
    /// Not HTTP.
    Malformed,
    /// HTTP of another major version than 1.
    OtherVersion,
    /// The first line exceeds the line limit.
    LongTarget,
    /// The head exceeds [`HEAD_MAX`].
    LongHead,
}

impl Asked {
    /// Returns true if it is unclear where the next request begins.
    const fn ends_connection(self) -> bool {
        match self {
            Self::Malformed | Self::OtherVersion | Self::LongTarget | Self::LongHead => true,
            Self::Metrics
            | Self::Health
            | Self::Readiness
            | Self::Unknown
            | Self::NotAllowed
            | Self::NotImplemented => false,
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
    /// The last byte was a carriage return.
    has_cr: bool,
    /// The value of the current field, parsed as a host.
    host: Host,
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
            has_cr: false,
            host: Host::Name,
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
        let follows_cr = core::mem::replace(&mut self.has_cr, byte == b'\r');
        match byte {
            b'\n' => {
                let asked = self.end_line();
                self.line_length = 0;
                self.host = Host::Name;
                asked
            }
            // Some programs take a carriage return alone for the end of a line, which attackers exploit.
            _ if follows_cr => Some(Asked::Malformed),
            b'\r' => None,
            b'\t' | b' '..=b'~' | 0x80.. => {
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
        self.host = self.host.then(byte);
    }

    /// Parses the current line. Returns the page if the line ends the head, or the error if it is wrong.
    fn end_line(&mut self) -> Option<Asked> {
        let whole = self.line.get(..usize::from(self.line_length));
        let line = whole.unwrap_or(&self.line);
        let Some(first) = self.first else {
            // Some clients send an empty line after a body.
            if line.is_empty() {
                return None;
            }
            if whole.is_none() {
                return Some(Asked::LongTarget);
            }
            return match RequestLine::parse(line) {
                Ok(first) => {
                    self.first = Some(first);
                    None
                }
                Err(asked) => Some(asked),
            };
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
            let is_second = core::mem::replace(&mut self.has_host, true);
            if is_second || self.host == Host::Invalid {
                return Some(Asked::Malformed);
            }
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

/// A field's value, read as a host and port: no blanks but around it, and only the characters of RFC 3986. It may be longer than the
/// part of the line that is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Host {
    /// The field's name, before the colon.
    Name,
    /// Nothing but blanks.
    Before,
    /// The last byte is part of it.
    Inside,
    /// A blank has ended it.
    After,
    /// It is none.
    Invalid,
}

impl Host {
    /// Returns the state after another byte.
    fn then(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Name, b':') | (Self::Before, b' ' | b'\t') => Self::Before,
            (Self::Name, _) => Self::Name,
            (Self::Inside | Self::After, b' ' | b'\t') => Self::After,
            (Self::Before | Self::Inside, _) if is_one_of(byte, b"-._~%!$&'()*+,;=:[]") => {
                Self::Inside
            }
            (Self::Before | Self::Inside | Self::After | Self::Invalid, _) => Self::Invalid,
        }
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

/// The methods that are known but not allowed.
const METHODS: &[u8] = b"POST PUT DELETE CONNECT OPTIONS TRACE PATCH";

impl RequestLine {
    /// Parses the line, or returns what is wrong with it.
    fn parse(line: &[u8]) -> Result<Self, Asked> {
        let (method, target, [major, minor]) = split(line).ok_or(Asked::Malformed)?;
        if major != b'1' {
            return Err(Asked::OtherVersion);
        }
        let is_head = method == b"HEAD";
        let asked = if is_head || method == b"GET" {
            page(target)
        } else if pieces(METHODS, b' ').any(|known| known == method) {
            Asked::NotAllowed
        } else {
            Asked::NotImplemented
        };
        Ok(Self {
            asked,
            is_head,
            is_old: minor == b'0',
        })
    }
}

/// Splits a request line into its method, its target, and the digits of its version.
fn split(line: &[u8]) -> Option<(&[u8], &[u8], [u8; 2])> {
    let mut words = pieces(line, b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let &[major, b'.', minor] = version.strip_prefix(b"HTTP/")? else {
        return None;
    };
    let is_well_formed = words.next().is_none()
        && is_token(method)
        && !target.is_empty()
        && target.iter().all(u8::is_ascii_graphic)
        && major.is_ascii_digit()
        && minor.is_ascii_digit();
    is_well_formed.then_some((method, target, [major, minor]))
}

/// Returns the page of a target, which is a path, or an absolute URI that begins with `http:`.
fn page(target: &[u8]) -> Asked {
    let path = match target.split_at_checked(7) {
        Some((scheme, rest)) if is_same_word(scheme, b"http://") => {
            let host = rest.iter().take_while(|byte| !matches!(byte, b'/' | b'?'));
            &rest[host.count()..]
        }
        _ => target,
    };
    let path = pieces(path, b'?').next();
    let page = PAGES.iter().find(|(page, _)| Some(*page) == path);
    page.map_or(Asked::Unknown, |(_, asked)| *asked)
}

/// Splits a field into its name and its value. Refuses blanks in and before the name: programs disagree on their meaning, which
/// attackers exploit.
fn parse_field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    is_token(name).then_some((name, value))
}

/// Returns true for a token, as methods and names of fields are; RFC 9110, section 5.6.2.
fn is_token(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(|byte| is_one_of(*byte, b"!#$%&'*+-.^_`|~"))
}

/// Returns true for letters, digits and `others`.
// Not inlined: it is called for two kinds of text.
#[inline(never)]
fn is_one_of(byte: u8, others: &[u8]) -> bool {
    byte.is_ascii_alphanumeric() || has(others, byte)
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
    fn s3_each_request_line_and_host_has_its_answer() {
        let long = "pod.".repeat(60);
        for (line, host, expected) in [
            ("POST /metrics HTTP/1.1", "a", Asked::NotAllowed),
            ("OPTIONS * HTTP/1.1", "a", Asked::NotAllowed),
            ("get /metrics HTTP/1.1", "a", Asked::NotImplemented),
            ("GETT /metrics HTTP/1.1", "a", Asked::NotImplemented),
            ("GET|HEAD /metrics HTTP/1.1", "a", Asked::NotImplemented),
            ("G\u{e4}T /metrics HTTP/1.1", "a", Asked::Malformed),
            ("G(T /metrics HTTP/1.1", "a", Asked::Malformed),
            ("GET /\u{e4} HTTP/1.1", "a", Asked::Malformed),
            // Versions.
            ("GET /metrics HTTP/1.2", "a", Asked::Metrics),
            ("GET /metrics HTTP/1.9", "a", Asked::Metrics),
            ("GET /metrics HTTP/0.9", "a", Asked::OtherVersion),
            ("GET /metrics HTTP/2.0", "a", Asked::OtherVersion),
            ("PRI * HTTP/2.0", "a", Asked::OtherVersion),
            ("GET /metrics HTTP/3.0", "a", Asked::OtherVersion),
            ("GET /metrics HTTP/1", "a", Asked::Malformed),
            ("GET /metrics HTTP/1.10", "a", Asked::Malformed),
            ("GET /metrics HTTP/a.b", "a", Asked::Malformed),
            ("GET /metrics http/1.1", "a", Asked::Malformed),
            // The absolute form.
            ("GET http://a/metrics HTTP/1.1", "a", Asked::Metrics),
            ("GET HTTP://a:80/healthz?x HTTP/1.1", "a", Asked::Health),
            ("GET http://a HTTP/1.1", "a", Asked::Unknown),
            ("GET http://a?/metrics HTTP/1.1", "a", Asked::Unknown),
            ("GET ftp://a/metrics HTTP/1.1", "a", Asked::Unknown),
            // Hosts.
            ("GET /readyz HTTP/1.1", "", Asked::Readiness),
            (
                "GET /readyz HTTP/1.1",
                "\t 10.0.0.1:9533 \t",
                Asked::Readiness,
            ),
            (
                "GET /readyz HTTP/1.1",
                "[fe80::1%25eth0]:9533",
                Asked::Readiness,
            ),
            ("GET /readyz HTTP/1.1", &long, Asked::Readiness),
            (
                "GET /readyz HTTP/1.1",
                &format!("{long} x"),
                Asked::Malformed,
            ),
            ("GET /readyz HTTP/1.1", "a b", Asked::Malformed),
            ("GET /readyz HTTP/1.1", "a\tb", Asked::Malformed),
            ("GET /readyz HTTP/1.1", "a/b", Asked::Malformed),
            ("GET /readyz HTTP/1.1", "a@b", Asked::Malformed),
            ("GET /readyz HTTP/1.1", "\u{e4}", Asked::Malformed),
            ("GET /readyz HTTP/1.1", "a\r\nHost: a", Asked::Malformed),
            ("GET /readyz HTTP/1.0", "a\r\nHost: a", Asked::Malformed),
        ] {
            let text = format!("{line}\r\nHost:{host}\r\n\r\n");
            assert_eq!(asked(&text), [expected], "{text:?}");
        }
    }

    #[test]
    fn s3_a_malformed_request_is_the_last() {
        for text in [
            "x\n",
            "GET\n",
            "GET /metrics\r\n",
            "GET  /metrics HTTP/1.1\r\n",
            "GET /metrics HTTP/1.1 \r\n",
            " GET /metrics HTTP/1.1\r\n",
            "\x16\x03\x01",
            "GET /metrics\0",
            // A carriage return without a line feed.
            "GET /metrics HTTP/1.1\rHost: a\r\n",
            "GET /metrics HTTP/1.1\r\nHost: a\rb\r\n",
            "GET /metrics HTTP/1.1\r\r\n",
            // Wrong fields.
            "GET /metrics HTTP/1.1\r\n\r\n",
            "GET /metrics HTTP/1.1\r\nHost: a\r\n folded\r\n",
            "GET /metrics HTTP/1.1\r\nHost : a\r\n",
            "GET /metrics HTTP/1.1\r\n: a\r\n",
            "GET /metrics HTTP/1.1\r\nHost\r\n",
            "GET /metrics HTTP/1.1\r\nH\u{e4}: a\r\n",
            "GET /metrics HTTP/1.1\r\nA@B: a\r\n",
            "GET /metrics HTTP/1.1\r\nA: \x7f",
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
        // "GET " and " HTTP/1.1" leave 115 bytes of 128.
        assert_eq!(asked(&head(114, 1)), [Asked::Unknown]);
        assert_eq!(asked(&head(115, 1)), [Asked::LongTarget]);
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
