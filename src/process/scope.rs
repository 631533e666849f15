//! Finds out which processes belong to other containers and Pods.

use super::place::{Place, Pod, pod_in};
use super::procfs::Proc;
use super::role::Role;
use crate::base::file::Lines;
use core::mem::MaybeUninit;
use rustix::fd::AsFd;
use rustix::fs::{self, CWD, Mode, OFlags};
use rustix::io;
use rustix::process::{Pid, getpid};

/// The machine's own PID namespace: `PROC_PID_INIT_INO` in the kernel's proc_ns.h.
const MACHINE: &[u8] = b"pid:[4026531836]";

impl Proc {
    /// Returns the `/proc` mounted in the sidecar's container.
    ///
    /// # Errors
    /// `/proc` is not mounted, or belongs to another PID namespace.
    pub fn own() -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = fs::openat(CWD, c"/proc", flags, Mode::empty())?;
        Self::new(directory, getpid()).map(Self::locate)
    }

    /// Finds out where the sidecar runs.
    pub(super) fn locate(mut self) -> Self {
        let pid = self.own_pid();
        let mut link = [MaybeUninit::uninit(); 32];
        let mut path = Self::path(pid, b"ns/pid");
        let link = fs::readlinkat_raw(self.directory(), path.as_c_str(), &mut link);
        self.place = Place {
            depth: self.namespaces(pid),
            is_machine: link.is_ok_and(|(link, _)| link == MACHINE),
            pod: self.pod(pid),
        };
        self
    }

    fn namespaces(&self, pid: Pid) -> u32 {
        self.status(pid).unwrap_or_default().namespaces
    }

    /// Returns true if this is the machine's own `/proc`, with the processes of all Pods.
    pub(super) const fn is_machine(&self) -> bool {
        self.place.is_machine
    }

    /// Returns [`Role::OtherContainer`] for a process in a PID namespace below the sidecar's, and [`Role::OtherPod`] if the
    /// sidecar is in the machine's and the process's control group names another Pod.
    pub(super) fn elsewhere(&self, pid: Pid) -> Option<Role> {
        let own = &self.place;
        if self.namespaces(pid) > own.depth {
            return Some(Role::OtherContainer);
        }
        let is_other = |pod| own.pod != Some(pod);
        (own.is_machine && self.pod(pid).is_some_and(is_other)).then_some(Role::OtherPod)
    }

    /// Returns the Pod that a process's control group names.
    fn pod(&self, pid: Pid) -> Option<Pod> {
        let file = self.open(pid, b"cgroup", OFlags::empty()).ok()?;
        let mut buffer = [0; 1024];
        let mut lines = Lines::new(file.as_fd(), &mut buffer);
        while let Some(line) = lines.next_line() {
            if let Some(pod) = pod_in(line) {
                return Some(pod);
            }
        }
        None
    }
}
