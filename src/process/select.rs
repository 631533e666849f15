//! Selects the processes to signal.

use super::pid_file::PidFile;
use super::procfs::Proc;
use super::stat::Process;
use crate::config::{Matcher, Select};
use rustix::io;

/// The longest chain of ancestors that is followed. Real ones have a few links; in a tree that changes while it is read, one
/// could go round in a circle.
const ANCESTORS_MAX: u32 = 1024;

/// The result of a scan of `/proc`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scanned {
    /// The number of live processes, without the sidecar. 0 with a process file.
    pub others: u32,
    /// The number of processes selected.
    pub selected: u32,
    /// True if the process file cannot be read or does not begin with a process id.
    pub no_pid_file: bool,
    /// The process with the id in the process file, if it started after the file was written.
    pub stranger: Option<Process>,
}

impl Proc {
    /// Calls `visit` for every process to signal.
    ///
    /// # Errors
    /// `/proc` cannot be read, or file descriptors or memory run short.
    pub fn select(
        &self,
        matcher: &Matcher<'_>,
        select: Select,
        visit: &mut dyn FnMut(&Process),
    ) -> io::Result<Scanned> {
        let mut scanned = Scanned::default();
        if let Some(path) = matcher.pid_file {
            let Some(file) = PidFile::read(path) else {
                scanned.no_pid_file = true;
                return Ok(scanned);
            };
            // The file names one process, so its ancestors do not matter.
            let process = self.find(file.pid)?;
            let Some(process) = process.filter(|process| self.matches(process, matcher)) else {
                return Ok(scanned);
            };
            if file.is_for(&process) {
                scanned.selected = 1;
                visit(&process);
            } else {
                scanned.stranger = Some(process);
            }
        } else {
            self.each(&mut |process| {
                scanned.others += 1;
                if self.is_selected(process, matcher, select) {
                    scanned.selected += 1;
                    visit(process);
                }
            })?;
        }
        Ok(scanned)
    }

    /// Returns true if a process matches and, with [`Select::Main`], none of its ancestors does.
    pub fn is_selected(&self, process: &Process, matcher: &Matcher<'_>, select: Select) -> bool {
        self.matches(process, matcher)
            && match select {
                Select::All => true,
                Select::Main => !self.has_matching_ancestor(process, matcher),
            }
    }

    fn has_matching_ancestor(&self, process: &Process, matcher: &Matcher<'_>) -> bool {
        let mut parent = process.parent;
        for _ in 0..ANCESTORS_MAX {
            let Some(Ok(ancestor)) = parent.map(|pid| self.read(pid)) else {
                return false;
            };
            if self.matches(&ancestor, matcher) {
                return true;
            }
            parent = ancestor.parent;
        }
        false
    }
}
