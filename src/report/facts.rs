//! The facts that can be reported, by topic. Each defines its level, its message with its keys, and the metrics it changes.

pub mod confirming;
pub mod delivering;
pub mod lifecycle;
pub mod obstacle;
pub mod serving;
pub mod settings;
pub mod watching;

use super::line::Line;
use crate::base::comm::Comm;
use crate::base::signal::Signal;
use crate::base::time::Millis;
use core::fmt::{self, Display};
use rustix::process::Pid;

/// The process that a fact is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subject {
    /// Its id in the sidecar's PID namespace.
    pub pid: Pid,
    /// Its name.
    pub comm: Comm,
}

impl Line {
    /// Adds the keys `pid` and `process`.
    fn subject(&mut self, subject: Subject) -> &mut Self {
        self.key_number("pid", subject.pid.as_raw_nonzero().get() as u64)
            .key("process", subject.comm.as_bytes())
    }

    /// Adds the key `signal`.
    fn signal(&mut self, signal: Signal) -> &mut Self {
        self.key("signal", signal.name().as_bytes())
    }

    /// Adds the key `after_ms`.
    fn after(&mut self, span: Millis) -> &mut Self {
        self.key_number("after_ms", span.0)
    }
}

/// Advice that follows a message, or nothing.
#[derive(Clone, Copy, Debug)]
struct Optional<'a>(Option<&'a str>);

impl Display for Optional<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.unwrap_or_default())
    }
}
