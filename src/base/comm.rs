//! Names of processes as the kernel keeps them.

use core::fmt;

/// The kernel cuts names to this many bytes; `PR_SET_NAME` in prctl(2).
pub const COMM_MAX: usize = 15;

/// A process's `comm`: any bytes but NUL; proc_pid_comm(5).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Comm {
    bytes: [u8; COMM_MAX],
    len: u8,
}

impl Comm {
    /// The name as the kernel would keep it, cut to [`COMM_MAX`] bytes.
    pub fn new(name: &[u8]) -> Self {
        let mut comm = Self::default();
        for (to, from) in comm.bytes.iter_mut().zip(name) {
            *to = *from;
            comm.len += 1;
        }
        comm
    }

    /// Returns the name's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&super::encode::Bytes(self.as_bytes()), formatter)
    }
}
