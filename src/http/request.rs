//! Requests, byte by byte, as far as two methods and three pages need it; RFC 9112. Pure.

use crate::base::text::{piece, pieces, place};

/// The longest head of a request, in bytes: nothing is kept of it but the line at hand.
pub const HEAD_MAX: u16 = 8192;

/// As much is kept of a line.
const LINE_MAX: usize = 64;

/// What a request asks for, or what is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Asked {
    /// Nothing that is known yet.
    Nothing,
    /// `/metrics`
    Metrics,
    /// `/healthz`
    Health,
    /// `/readyz`
    Readiness,
    /// Another page.
    Unknown,
    /// Something else than GET or HEAD.
    NotAllowed,
    /// Not HTTP/1. From here on it is not known what follows.
    Malformed,
    /// The first line does not fit.
    LongTarget,
    /// More than [`HEAD_MAX`].
    LongHead,
}

/// How a request is to be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// With what.
    pub asked: Asked,
    /// Without it, for HEAD.
    pub head_only: bool,
    /// Nothing that follows is a request.
    pub is_last: bool,
}

/// A request of which some bytes have come.
#[derive(Debug)]
pub struct Request {
    line_length: u16,
    length: u16,
    asked: Asked,
    head_only: bool,
    is_last: bool,
    has_host: bool,
    /// The line at hand, as far as it fits.
    line: [u8; LINE_MAX],
}

impl Request {
    /// Nothing has come.
    pub const fn new() -> Self {
        Self {
            line: [0; LINE_MAX],
            line_length: 0,
            length: 0,
            asked: Asked::Nothing,
            head_only: false,
            is_last: false,
            has_host: false,
        }
    }

    /// Takes the next byte. The answer, where the request ends with it or is none; the next byte begins another one.
    pub fn push(&mut self, byte: u8) -> Option<Answer> {
        self.length += 1;
        let asked = if self.length > HEAD_MAX {
            Asked::LongHead
        } else if byte == b'\n' {
            let asked = self.end_of_line();
            self.line_length = 0;
            asked
        } else if byte < b' ' && byte != b'\r' && byte != b'\t' {
            Asked::Malformed
        } else {
            if let Some(place) = self.line.get_mut(usize::from(self.line_length)) {
                // Fields and their values are told in either case.
                let is_field = self.asked != Asked::Nothing;
                *place = if is_field {
                    byte.to_ascii_lowercase()
                } else {
                    byte
                };
            }
            self.line_length += 1;
            Asked::Nothing
        };
        if asked == Asked::Nothing {
            return None;
        }
        let answer = Answer {
            asked,
            head_only: self.head_only,
            is_last: self.is_last || asked >= Asked::Malformed,
        };
        *self = Self::new();
        Some(answer)
    }

    /// What is asked for, where the line is the last one or cannot be understood.
    fn end_of_line(&mut self) -> Asked {
        let kept = self.line.get(..usize::from(self.line_length));
        let line = kept.unwrap_or(&self.line);
        let line = match line {
            [before @ .., b'\r'] => before,
            _ => line,
        };
        if self.asked == Asked::Nothing {
            // Some clients send an empty line after what they have sent before.
            if line.is_empty() {
                return Asked::Nothing;
            }
            if kept.is_none() {
                return Asked::LongTarget;
            }
            let word = |at| piece(line, b' ', at);
            let method = place(word(0), b"GET|HEAD");
            let version = place(word(2), b"HTTP/1.1|HTTP/1.0");
            if version > 1 || pieces(line, b' ').count() > 3 {
                return Asked::Malformed;
            }
            let path = piece(word(1), b'?', 0);
            self.asked = match place(path, b"/metrics|/healthz|/readyz") {
                _ if method > 1 => Asked::NotAllowed,
                0 => Asked::Metrics,
                1 => Asked::Health,
                2 => Asked::Readiness,
                _ => Asked::Unknown,
            };
            self.head_only = method == 1;
            self.is_last = version == 1;
            // HTTP/1.0 knows no hosts.
            self.has_host = version == 1;
            return Asked::Nothing;
        }
        if line.is_empty() && self.has_host {
            return self.asked;
        }
        // Not a line that goes on with the one before, nor a name with blanks, which means different things to different
        // programs.
        let name = piece(line, b':', 0);
        // Without a colon, all of the line is a name.
        let Some([_, value @ ..]) = line.get(name.len()..) else {
            return Asked::Malformed;
        };
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return Asked::Malformed;
        }
        match place(name, b"host|connection|content-length|transfer-encoding") {
            0 => self.has_host = true,
            // Among other options or alone. Where it is a part of another word: to close is always allowed.
            1 => self.is_last |= value.windows(5).any(|word| word == b"close"),
            // What is in a body is not looked at.
            2 | 3 => self.is_last = true,
            _ => {}
        }
        Asked::Nothing
    }
}

impl Default for Request {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    /// All answers, in order, and then nothing more once one was the last.
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
    fn the_pages_are_asked_for_by_get_and_head() {
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
    fn s3_what_is_no_http_1_is_malformed_and_nothing_more_is_read() {
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
            // The fields.
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
        // Line feeds alone will do.
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
        // Nothing of one request is left for the next.
        let mixed = format!("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n{}", get(""));
        assert!(!answers(&mixed)[1].head_only);
        let without_host = format!("{}GET / HTTP/1.1\r\n\r\n", get(""));
        assert_eq!(asked(&without_host), [Asked::Health, Asked::Malformed]);
    }

    #[test]
    fn a_head_has_a_longest_line_and_a_longest_length() {
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
    fn what_prometheus_and_browsers_send_is_understood() {
        let text = "GET /metrics HTTP/1.1\r\nHost: 10.0.0.1:9533\r\nUser-Agent: Prometheus/3.1.0\r\nAccept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\nAccept-Encoding: gzip\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\nAuthorization: Bearer ";
        let text = format!("{text}{}\r\n\r\n", String::from("x").repeat(2000));
        assert_eq!(asked(&text.repeat(3)), [Asked::Metrics; 3]);
    }
}
