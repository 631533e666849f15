//! The name of a process or thread.

use super::encode::Printable;
use core::fmt;

/// The longest name in bytes; the kernel truncates longer ones. `PR_SET_NAME` in prctl(2).
pub const COMM_MAX: usize = 15;

/// A process's name, which may hold any bytes but NUL; proc_pid_comm(5).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Comm {
    bytes: [u8; COMM_MAX],
    len: u8,
}

impl Comm {
    /// Returns the name as the kernel keeps it: truncated to [`COMM_MAX`] bytes.
    pub fn new(name: &[u8]) -> Self {
        let mut comm = Self::default();
        for (to, from) in comm.bytes.iter_mut().zip(name) {
            *to = *from;
            comm.len += 1;
        }
        comm
    }

    /// Returns the bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", Printable(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn a_name_is_truncated_to_15_bytes() {
        assert_eq!(Comm::new(b"").as_bytes(), b"");
        assert_eq!(Comm::new(b"123456789012345").as_bytes(), b"123456789012345");
        assert_eq!(
            Comm::new(b"1234567890123456"),
            Comm::new(b"123456789012345")
        );
    }

    #[test]
    fn a_name_that_is_not_utf_8_is_shown_in_hexadecimal() {
        assert_eq!(format!("{:?}", Comm::new(b"a\xff")), "a\\xff");
    }
}
