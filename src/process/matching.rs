//! Compares a process with the settings.

use super::cmdline::{
    LAUNCHER_MAX, PROGRAM_MAX, Search, has_name, is_launched_by, whole_arguments, words,
};
use super::near::{NearMiss, near_miss};
use super::procfs::Proc;
use super::stat::Process;
use crate::base::file;
use crate::config::{CommaList, MAX_CMDLINE, Matcher};
use rustix::fd::AsFd;
use rustix::fs::OFlags;
use rustix::io;
use rustix::process::Pid;

impl Proc {
    /// Returns true if a process has the name and command line that the settings ask for.
    pub fn matches(&self, process: &Process, matcher: &Matcher<'_>) -> bool {
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

    /// Reads the beginning of a command line. Returns its length, 0 if it cannot be read.
    fn read_cmdline(&self, pid: Pid, buffer: &mut [u8]) -> usize {
        let file = self.open(pid, b"cmdline", OFlags::empty());
        let length = file.and_then(|file| file::fill(file.as_fd(), buffer));
        length.unwrap_or(0)
    }

    /// Returns true if the child's command line is part of its parent's, as that of a shell's or a supervisor's program is.
    pub(super) fn launches(&self, parent: Pid, child: Pid) -> bool {
        let (mut program, mut launcher) = ([0; PROGRAM_MAX], [0; LAUNCHER_MAX]);
        let length = self.read_cmdline(child, &mut program);
        let child = words(&mut program, length);
        let length = self.read_cmdline(parent, &mut launcher);
        let both = child.zip(words(&mut launcher, length));
        both.is_some_and(|(child, parent)| is_launched_by(child, parent))
    }

    /// Calls `visit` if a process that has none of the names nearly has one.
    pub fn near_miss(
        &self,
        process: &Process,
        names: CommaList<'_>,
        visit: &mut dyn FnMut(NearMiss<'_>),
    ) {
        let mut buffer = [0; LAUNCHER_MAX];
        let length = self.read_cmdline(process.pid, &mut buffer);
        let cmdline = buffer.get(..length).unwrap_or_default();
        let comm = process.comm.as_bytes();
        let mut found = names
            .iter()
            .filter_map(|name| near_miss(name, comm, cmdline));
        if let Some(found) = found.next() {
            visit(found);
        }
    }
}

/// Returns true if the process has one of the names, or if none is asked for.
fn has_any_name(process: &Process, matcher: &Matcher<'_>, cmdline: &[u8]) -> bool {
    let comm = process.comm.as_bytes();
    matcher
        .names
        .is_none_or(|names| names.iter().any(|name| has_name(name, comm, cmdline)))
}
