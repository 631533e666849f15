//! One directory of the tree and how it is laid out.
//!
//! The visible entries of a volume laid out by the kubelet's AtomicWriter are links through `..data`. What is behind them is in the
//! fingerprint under their names; names that begin with two dots are the writer's own and change with every update.

use super::budget::Bound;
use super::open::{kind_of, open};
use super::resolve::{Base, resolve};
use super::visit::{Armed, Role, Visit, Volume};
use crate::base::file::NAME_MAX;
use crate::fingerprint::Key;
use core::ffi::CStr;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, FileType, OFlags};

/// The beginning of the targets of a volume's visible links.
const DATA: &[u8] = b"..data/";

/// A directory while its entries are read.
pub(super) struct Directory<'d> {
    pub(super) fd: &'d OwnedFd,
    pub(super) key: Key,
    pub(super) level: usize,
    /// The bound that its entries count towards.
    pub(super) bound: Bound,
    layout: Layout,
}

enum Layout {
    /// There is no link named `..data`.
    Plain,
    /// A volume whose `..data` leads to no directory that can be watched.
    Broken,
    /// A volume whose `..data` leads to the directory `data`.
    Volume { data: OwnedFd, known: Volume },
}

impl<'d> Directory<'d> {
    /// Finds out how the directory is laid out, which must be the one that was armed last.
    pub(super) fn new(
        fd: &'d OwnedFd,
        key: Key,
        level: usize,
        bound: Bound,
        visit: &mut dyn Visit,
    ) -> Self {
        Self {
            fd,
            key,
            level,
            bound,
            layout: layout(fd.as_fd(), visit),
        }
    }

    /// Returns the directory behind `..data` and what is known about the volume.
    pub(super) fn volume(&self) -> Option<(&OwnedFd, Volume)> {
        match &self.layout {
            Layout::Volume { data, known } => Some((data, *known)),
            Layout::Plain | Layout::Broken => None,
        }
    }

    /// Returns true if the visible names are known, so that the directory behind `..data` is listed in place of the volume.
    /// Listing the volume would have to wait for the last step of an update, the removal of an entry.
    pub(super) fn is_cached(&self) -> bool {
        self.volume().is_some_and(|(_, known)| known.is_cached)
    }

    /// Returns the directory to list.
    pub(super) fn listed(&self) -> &OwnedFd {
        match self.volume() {
            Some((data, known)) if known.is_cached => data,
            _ => self.fd,
        }
    }

    /// Returns true for names that are not part of the tree. A root is taken for a volume before its first update: what is being
    /// written there does not count before a link leads to it.
    pub(super) fn skips(&self, name: &CStr) -> bool {
        let is_volume = self.level == 0 || !matches!(self.layout, Layout::Plain);
        name == c"." || name == c".." || is_volume && name.to_bytes().starts_with(b"..")
    }

    /// Returns where a volume's visible entry leads: the directory behind `..data`, and the type the name has there.
    pub(super) fn behind(
        &self,
        name: &CStr,
        kind: FileType,
        visit: &mut dyn Visit,
    ) -> Option<(BorrowedFd<'_>, FileType)> {
        let (data, known) = self.volume()?;
        let kind = if known.is_cached {
            kind
        } else if kind == FileType::Symlink && leads_behind_data(self.fd.as_fd(), name) {
            kind_of(data.as_fd(), name, visit).ok()?
        } else {
            return None;
        };
        Some((data.as_fd(), kind))
    }
}

// Not inlined: keeps the link's target off the stack of the levels below.
#[inline(never)]
fn layout(fd: BorrowedFd<'_>, visit: &mut dyn Visit) -> Layout {
    let mut target = [0; NAME_MAX];
    let Ok(length) = fs::readlinkat_raw(fd, c"..data", &mut target) else {
        return Layout::Plain;
    };
    let known = visit.enter_volume();
    if let Some(data) = open_data(fd, &target[..length], visit) {
        return Layout::Volume { data, known };
    }
    visit.volume_broken(known.slot);
    Layout::Broken
}

/// Opens and arms the directory that a volume's `..data` leads to. All of the volume's links lead through it, so none of them needs
/// to be resolved by itself.
fn open_data(volume: BorrowedFd<'_>, target: &[u8], visit: &mut dyn Visit) -> Option<OwnedFd> {
    let found = resolve(visit, Base::Tree(volume), target).ok()?;
    let is_armed = found.kind == FileType::Directory
        && visit.arm(found.fd.as_fd(), Role::Tree) != Armed::Denied;
    is_armed.then(|| open(found.fd.as_fd(), c".", OFlags::DIRECTORY).ok())?
}

/// Returns true if a link leads to its own name behind `..data`.
// Not inlined, for the same reason.
#[inline(never)]
fn leads_behind_data(volume: BorrowedFd<'_>, name: &CStr) -> bool {
    let mut target = [0; DATA.len() + NAME_MAX + 1];
    let Ok(length) = fs::readlinkat_raw(volume, name, &mut target) else {
        return false;
    };
    target[..length].strip_prefix(DATA) == Some(name.to_bytes())
}
