//! Answers: a status line, the fields, and a page of text; RFC 9110 and 9112.

use super::request::{Answer, Asked};
use crate::base::encode::HttpDate;
use crate::base::file::PATH_MAX;
use crate::base::text::{Paragraph, Text};
use core::fmt::{self, Write};

/// The body of an answer.
// Its size is used elsewhere as well, so that there is one copy of the code.
pub type Page = Text<PATH_MAX>;

/// The first line and the fields of an answer.
pub(super) type Head = Paragraph;

/// The answer of `/readyz`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// 200: changes are noticed and delivered.
    Ready,
    /// 503: something is in the way.
    Unready,
}

/// Provides the content of the pages.
pub trait Pages {
    /// Returns whether the sidecar is ready.
    fn readiness(&self) -> Readiness;
    /// Writes the problems that make it unready, or soon may, one a line.
    fn write_problems(&self, page: &mut Page) -> fmt::Result;
    /// Writes the metrics in the Prometheus text format.
    fn write_metrics(&self, page: &mut Page) -> fmt::Result;
}

/// Composes the answer to a request, `wall_ms` milliseconds after the epoch: head and body.
pub(super) fn compose(answer: Answer, pages: &dyn Pages, wall_ms: u64) -> (Head, Page) {
    let status = status(answer.asked, pages);
    let mut body = Page::new();
    // Writing into a text cannot fail.
    let _ = match answer.asked {
        Asked::Metrics => pages.write_metrics(&mut body),
        Asked::Readiness => {
            let _ = writeln!(body, "{status}");
            pages.write_problems(&mut body)
        }
        _ => writeln!(body, "{status}"),
    };
    let mut head = Head::new();
    let _ = write!(
        head,
        "HTTP/1.1 {status}\r\nDate: {}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n",
        HttpDate(wall_ms),
        body.len()
    );
    if answer.asked == Asked::NotAllowed {
        head.push(b"Allow: GET, HEAD\r\n");
    }
    head.push(if answer.is_last {
        b"Connection: close\r\n\r\n"
    } else {
        b"Connection: keep-alive\r\n\r\n"
    });
    (head, body)
}

fn status(asked: Asked, pages: &dyn Pages) -> &'static str {
    match asked {
        Asked::Readiness if pages.readiness() == Readiness::Unready => "503 Service Unavailable",
        Asked::Metrics | Asked::Health | Asked::Readiness => "200 OK",
        Asked::Unknown => "404 Not Found",
        Asked::NotAllowed => "405 Method Not Allowed",
        Asked::NotImplemented => "501 Not Implemented",
        Asked::OtherVersion => "505 HTTP Version Not Supported",
        Asked::Malformed => "400 Bad Request",
        Asked::LongTarget => "414 URI Too Long",
        Asked::LongHead => "431 Request Header Fields Too Large",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::metrics::Metrics;

    struct Nothing;

    impl Pages for Nothing {
        fn readiness(&self) -> Readiness {
            Readiness::Unready
        }

        fn write_problems(&self, page: &mut Page) -> fmt::Result {
            page.write_str("a problem\n")
        }

        fn write_metrics(&self, page: &mut Page) -> fmt::Result {
            Metrics::MAX.write(page)
        }
    }

    fn composed(asked: Asked, is_last: bool) -> (std::string::String, std::string::String) {
        let answer = Answer {
            asked,
            head_only: false,
            is_last,
        };
        let (head, body) = compose(answer, &Nothing, 784_111_777_000);
        assert!(!head.is_cut() && !body.is_cut());
        (head.as_str().into(), body.as_str().into())
    }

    #[test]
    fn an_answer_has_its_status_length_and_fields() {
        let (head, body) = composed(Asked::Readiness, true);
        assert_eq!(
            head,
            "HTTP/1.1 503 Service Unavailable\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: 34\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(body, "503 Service Unavailable\na problem\n");
        let (head, _) = composed(Asked::NotAllowed, false);
        assert!(
            head.ends_with("\r\nAllow: GET, HEAD\r\nConnection: keep-alive\r\n\r\n"),
            "{head}"
        );
    }

    #[test]
    fn the_page_has_room_for_the_highest_numbers() {
        let (_, body) = composed(Asked::Metrics, false);
        assert!(body.contains(&u64::MAX.to_string()));
    }
}
