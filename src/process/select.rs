//! Selects the processes to signal.

use super::pid_file::PidFile;
use super::place::Place;
use super::procfs::Proc;
use super::role::{Role, Roles, Source};
use super::stat::Process;
use crate::config::{Matcher, Scope, Select};
use rustix::io;
use rustix::process::Pid;

/// The result of a scan of `/proc`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scanned {
    /// The number of live processes, without the sidecar. 0 with a process file.
    pub others: u32,
    /// The number of processes that are meant.
    pub selected: u32,
    /// True if the process file cannot be read or does not begin with a process id.
    pub no_pid_file: bool,
    /// The process with the id in the process file, if it started after the file was written.
    pub stranger: Option<Process>,
}

impl Proc {
    /// Calls `visit` for every process that matches, with its role: those with [`Role::Main`] are to be signalled.
    ///
    /// # Errors
    /// `/proc` cannot be read, or file descriptors or memory run short.
    pub fn select(
        &self,
        matcher: &Matcher<'_>,
        select: Select,
        visit: &mut dyn FnMut(&Process, Role),
    ) -> io::Result<Scanned> {
        if let Some(path) = matcher.pid_file {
            return self.select_by_file(path, matcher, visit);
        }
        let source = Matches {
            proc: self,
            matcher,
            place: self.place()?,
        };
        let mut roles = match select {
            Select::Main => Some(Roles::new(&source)?),
            Select::All => None,
        };
        let mut scanned = Scanned::default();
        self.each(&mut |process| {
            scanned.others += 1;
            if !self.matches(process, matcher) {
                return Ok(());
            }
            let role = match &mut roles {
                Some(roles) => roles.of(process)?,
                None => source.elsewhere(process)?.unwrap_or(Role::Main),
            };
            scanned.selected += u32::from(role == Role::Main);
            visit(process, role);
            Ok(())
        })?;
        Ok(scanned)
    }

    /// Selects the process that a file names, whatever its role.
    fn select_by_file(
        &self,
        path: &[u8],
        matcher: &Matcher<'_>,
        visit: &mut dyn FnMut(&Process, Role),
    ) -> io::Result<Scanned> {
        let mut scanned = Scanned::default();
        let Some(file) = PidFile::read(path) else {
            scanned.no_pid_file = true;
            return Ok(scanned);
        };
        let process = self.find(file.pid)?;
        let Some(process) = process.filter(|process| self.matches(process, matcher)) else {
            return Ok(scanned);
        };
        if file.is_for(&process) {
            scanned.selected = 1;
            visit(&process, Role::Main);
        } else {
            scanned.stranger = Some(process);
        }
        Ok(scanned)
    }
}

/// The processes in `/proc`, seen through the settings.
struct Matches<'p> {
    proc: &'p Proc,
    matcher: &'p Matcher<'p>,
    /// The sidecar's own place.
    place: Place,
}

impl Source for Matches<'_> {
    fn each(&self, visit: &mut dyn FnMut(&Process) -> io::Result<()>) -> io::Result<()> {
        self.proc.each(visit)
    }

    fn find(&self, pid: Pid) -> Option<Process> {
        self.proc.find(pid).ok().flatten()
    }

    fn matches(&self, process: &Process) -> bool {
        self.proc.matches(process, self.matcher)
    }

    fn knows_launchers(&self) -> bool {
        self.matcher.cmdline.is_some()
    }

    fn launches(&self, parent: &Process, child: &Process) -> bool {
        self.proc.launches(parent.pid, child.pid)
    }

    fn elsewhere(&self, process: &Process) -> io::Result<Option<Role>> {
        match self.matcher.scope {
            Scope::Pod => self.proc.elsewhere(process.pid, &self.place),
            Scope::Node => Ok(None),
        }
    }

    fn has_adopter(&self) -> bool {
        !self.place.is_machine
    }
}
