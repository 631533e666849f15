//! Finds out which processes belong to other containers and Pods.

use super::place::{Place, Pod, pod_in};
use super::procfs::Proc;
use super::role::Role;
use crate::base::file::{Lines, is_shortage};
use core::mem::MaybeUninit;
use rustix::fd::AsFd;
use rustix::fs::{self, OFlags};
use rustix::io;
use rustix::process::Pid;

/// The machine's own PID namespace: `PROC_PID_INIT_INO` in the kernel's proc_ns.h.
const MACHINE: &[u8] = b"pid:[4026531836]";

impl Proc {
    /// Returns the sidecar's own place.
    ///
    /// # Errors
    /// File descriptors or memory run short.
    pub(super) fn place(&self) -> io::Result<Place> {
        let own = self.own_pid();
        let mut link = [MaybeUninit::uninit(); 32];
        let mut path = Self::path(own, b"ns/pid");
        let link = fs::readlinkat_raw(self.directory(), path.as_c_str(), &mut link);
        Ok(Place {
            depth: self.depth(own)?,
            is_machine: link.is_ok_and(|(link, _)| link == MACHINE),
            pod: self.pod(own)?,
        })
    }

    /// Returns how many PID namespaces a process is in; 0 if it has ended.
    fn depth(&self, pid: Pid) -> io::Result<u32> {
        match self.status(pid) {
            Err(errno) if is_shortage(errno) => Err(errno),
            status => Ok(status.unwrap_or_default().namespaces),
        }
    }

    /// Returns [`Role::OtherContainer`] for a process in a PID namespace below the sidecar's, and [`Role::OtherPod`] if the
    /// sidecar is in the machine's and the process's control group names another Pod.
    ///
    /// # Errors
    /// File descriptors or memory run short.
    pub(super) fn elsewhere(&self, pid: Pid, own: &Place) -> io::Result<Option<Role>> {
        if own.depth > 0 && self.depth(pid)? > own.depth {
            return Ok(Some(Role::OtherContainer));
        }
        let is_other = |pod| own.pod != Some(pod);
        let is_other = own.is_machine && self.pod(pid)?.is_some_and(is_other);
        Ok(is_other.then_some(Role::OtherPod))
    }

    /// Returns the Pod that a process's control group names.
    fn pod(&self, pid: Pid) -> io::Result<Option<Pod>> {
        let file = match self.open(pid, b"cgroup", OFlags::empty()) {
            Err(errno) if is_shortage(errno) => return Err(errno),
            Err(_) => return Ok(None),
            Ok(file) => file,
        };
        let mut buffer = [0; 1024];
        let mut lines = Lines::new(file.as_fd(), &mut buffer);
        while let Some(line) = lines.next_line() {
            if let Some(pod) = pod_in(line) {
                return Ok(Some(pod));
            }
        }
        Ok(None)
    }
}
