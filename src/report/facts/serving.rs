//! The HTTP endpoint, seen from both ends.

use crate::base::encode::{Name, Printable, Quoted};
use crate::report::Fact;
use crate::report::line::{Level, Line};
use core::fmt::{self, Write};
use rustix::io::Errno;

/// Events at LISTEN_ADDR.
#[derive(Clone, Copy, Debug)]
pub enum Serving<'f> {
    /// The address cannot be listened on.
    CannotListen {
        /// `LISTEN_ADDR`.
        address: &'f [u8],
        /// Why.
        errno: Errno,
    },
    /// A connection cannot be accepted.
    CannotAccept(Errno),
    /// A line of the answer that `health` got.
    Answered(&'f [u8]),
    /// `health` got no answer.
    NoAnswer(Errno),
}

/// Returns the way out if an address cannot be listened on; bind(2).
fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::ADDRINUSE => "something in this Pod has the port; give another",
        Errno::ADDRNOTAVAIL => "this Pod has no such address; give the port alone, as in :9533",
        Errno::ACCESS => "give a port over 1023",
        Errno::MFILE | Errno::NFILE => "raise the limit of open files",
        _ => "is the port free and the address this Pod's?",
    }
}

impl Fact for Serving<'_> {
    fn level(&self) -> Option<Level> {
        Some(match self {
            Self::Answered(_) => Level::Info,
            Self::CannotAccept(_) => Level::Warn,
            Self::CannotListen { .. } | Self::NoAnswer(_) => Level::Error,
        })
    }

    fn describe(&self, line: &mut Line) -> fmt::Result {
        match *self {
            Self::CannotListen { address, errno } => write!(
                line,
                "cannot listen on LISTEN_ADDR {}: {}; {}",
                Quoted(address),
                Name(errno),
                advice(errno)
            ),
            Self::CannotAccept(errno) => write!(
                line,
                "cannot accept a connection at LISTEN_ADDR: {}; trying again every second",
                Name(errno)
            ),
            Self::Answered(text) => write!(line, "{}", Printable(text)),
            Self::NoAnswer(errno) => write!(
                line,
                "no answer at LISTEN_ADDR: {}; is the sidecar running with the same LISTEN_ADDR?",
                Name(errno)
            ),
        }
    }
}
