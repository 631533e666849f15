//! Decides which of the processes that match are meant. Pure: what is to be known of a process comes from a [`Source`].

use super::stat::Process;
use rustix::io;
use rustix::process::Pid;

/// The part that a matching process plays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It is meant.
    Main,
    /// An ancestor matches, which is meant in its place.
    Worker,
    /// It has started a child that matches, and whose command line is part of its own.
    Launcher,
    /// Process 1 has adopted it, while another match still has its parent.
    Adopted,
    /// It runs in a container of its own.
    OtherContainer,
    /// It belongs to another Pod.
    OtherPod,
}

/// Access to the processes.
pub(super) trait Source {
    /// Calls `visit` for every process.
    fn each(&self, visit: &mut dyn FnMut(&Process) -> io::Result<()>) -> io::Result<()>;

    /// Returns the process with this id.
    fn find(&self, pid: Pid) -> Option<Process>;

    /// Returns true if a process has what the settings ask for.
    fn matches(&self, process: &Process) -> bool;

    /// Returns true if a match may be the launcher of the program that is meant.
    fn knows_launchers(&self) -> bool;

    /// Returns true if the child's command line is part of its parent's.
    fn launches(&self, parent: &Process, child: &Process) -> bool;

    /// Returns [`Role::OtherContainer`] or [`Role::OtherPod`] if the process runs elsewhere.
    fn elsewhere(&self, process: &Process) -> io::Result<Option<Role>>;

    /// Returns true if process 1 adopts what its parent leaves behind, and starts nothing that could be meant.
    fn has_adopter(&self) -> bool;
}

/// The most launchers known at once. Any more count as programs.
const LAUNCHERS_MAX: usize = 32;
/// The size of the table of processes whose ancestors have been looked at.
const KNOWN_MAX: usize = 256;
/// The longest chain of ancestors that is followed. Real ones have a few links; in a tree that changes while it is read, one
/// could go round in a circle.
const ANCESTORS_MAX: usize = 1024;
/// The most of them entered in that table, so that a chain is followed once, however many matches are below it.
const PATH_MAX: usize = 32;

/// The roles of all processes during one scan of `/proc`.
pub(super) struct Roles<'s, S> {
    source: &'s S,
    launchers: [Option<Pid>; LAUNCHERS_MAX],
    /// Processes by their ids, negative if they or one of their ancestors match. Each has one place.
    known: [i32; KNOWN_MAX],
    /// There is a main process that process 1 has not adopted; `None` until somebody asks.
    has_parented: Option<bool>,
}

impl<'s, S: Source> Roles<'s, S> {
    /// Returns the roles. Looks for launchers first.
    ///
    /// # Errors
    /// Those of [`Source::each`], here and below.
    pub(super) fn new(source: &'s S) -> io::Result<Self> {
        let mut roles = Self {
            source,
            launchers: [None; LAUNCHERS_MAX],
            known: [0; KNOWN_MAX],
            has_parented: None,
        };
        if source.knows_launchers() {
            source.each(&mut |child| {
                roles.learn_launcher(child);
                Ok(())
            })?;
        }
        Ok(roles)
    }

    fn learn_launcher(&mut self, child: &Process) {
        let parent = child.parent.and_then(|pid| self.source.find(pid));
        let is_launcher = |parent: &Process| {
            self.source.matches(child)
                && self.source.matches(parent)
                && self.source.launches(parent, child)
        };
        if let Some(parent) = parent.filter(is_launcher)
            && !self.launchers.contains(&Some(parent.pid))
            && let Some(free) = self.launchers.iter_mut().find(|slot| slot.is_none())
        {
            *free = Some(parent.pid);
        }
    }

    /// Returns the role of a process that matches.
    pub(super) fn of(&mut self, process: &Process) -> io::Result<Role> {
        if let Some(elsewhere) = self.source.elsewhere(process)? {
            return Ok(elsewhere);
        }
        if self.launchers.contains(&Some(process.pid)) {
            return Ok(Role::Launcher);
        }
        if self.has_matching_ancestor(process) {
            return Ok(Role::Worker);
        }
        let is_adopted = self.source.has_adopter() && process.parent == Some(Pid::INIT);
        if is_adopted && self.has_parented()? {
            return Ok(Role::Adopted);
        }
        Ok(Role::Main)
    }

    /// Returns true if there is a main process that process 1 has not adopted.
    fn has_parented(&mut self) -> io::Result<bool> {
        if let Some(has_parented) = self.has_parented {
            return Ok(has_parented);
        }
        let source = self.source;
        let mut found = false;
        source.each(&mut |process| {
            if process.parent != Some(Pid::INIT) && !found && source.matches(process) {
                found = self.of(process)? == Role::Main;
            }
            Ok(())
        })?;
        self.has_parented = Some(found);
        Ok(found)
    }

    fn has_matching_ancestor(&mut self, process: &Process) -> bool {
        let mut path = [None; PATH_MAX];
        let mut next = process.parent;
        let mut is_below = false;
        for at in 0..ANCESTORS_MAX {
            let Some(pid) = next else { break };
            let known = self.known[place(pid)];
            if known.abs() == number(pid) {
                is_below = known < 0;
                break;
            }
            if let Some(slot) = path.get_mut(at) {
                *slot = Some(pid);
            }
            let Some(ancestor) = self.source.find(pid) else {
                break;
            };
            if self.source.matches(&ancestor) && !self.launchers.contains(&Some(pid)) {
                is_below = true;
                break;
            }
            next = ancestor.parent;
        }
        for pid in path.into_iter().flatten() {
            let number = number(pid);
            self.known[place(pid)] = if is_below { -number } else { number };
        }
        is_below
    }
}

const fn number(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}

const fn place(pid: Pid) -> usize {
    number(pid) as usize % KNOWN_MAX
}

#[cfg(test)]
#[path = "role_tests.rs"]
mod tests;
