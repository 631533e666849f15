//! Compares a process with the settings.

use super::cmdline::{Search, has_name, whole_arguments};
use super::procfs::Proc;
use super::stat::Process;
use crate::base::file;
use crate::config::{MAX_CMDLINE, Matcher};
use rustix::fd::AsFd;
use rustix::fs::OFlags;
use rustix::io;

impl Proc {
    /// Returns true if a process has the name and command line that the settings ask for. A copy of the sidecar never has.
    pub fn matches(&self, process: &Process, matcher: &Matcher<'_>) -> bool {
        if !process.is_alive || process.comm == *self.own_comm() {
            return false;
        }
        // Reading the command line takes time, so try without it first.
        matcher.cmdline.is_none() && has_any_name(process, matcher, b"")
            || self.cmdline_matches(process, matcher).unwrap_or(false)
    }

    /// Reads the command line in parts: a JVM's is longer than any buffer worth its memory.
    fn cmdline_matches(&self, process: &Process, matcher: &Matcher<'_>) -> io::Result<bool> {
        let file = self.open(process.pid, b"cmdline", OFlags::empty())?;
        let mut buffer = [0; 2 * MAX_CMDLINE];
        let mut length = file::fill(file.as_fd(), &mut buffer)?;
        if !has_any_name(process, matcher, whole_arguments(&buffer, length)) {
            return Ok(false);
        }
        let Some(text) = matcher.cmdline else {
            return Ok(true);
        };
        let mut search = Search::new(text);
        while length > 0 {
            if search.finds(&buffer[..length]) {
                return Ok(true);
            }
            length = file::fill(file.as_fd(), &mut buffer)?;
        }
        Ok(false)
    }
}

/// Returns true if the process has one of the names, or if none is asked for.
fn has_any_name(process: &Process, matcher: &Matcher<'_>, cmdline: &[u8]) -> bool {
    let comm = process.comm.as_bytes();
    matcher
        .names
        .is_none_or(|names| names.iter().any(|name| has_name(name, comm, cmdline)))
}
