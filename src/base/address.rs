//! Socket addresses. Pure.

/// A socket's address as the kernel takes it: `struct sockaddr_in6`, or `struct sockaddr_in` and zeros; ip(7), ipv6(7).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketAddress {
    family: u16,
    port: [u8; 2],
    v4: [u8; 4],
    v6: [u8; 16],
    scope: u32,
}

impl SocketAddress {
    /// Returns an IPv4 address with a port.
    pub const fn v4(v4: [u8; 4], port: u16) -> Self {
        Self {
            family: libc::AF_INET as u16,
            port: port.to_be_bytes(),
            v4,
            v6: [0; 16],
            scope: 0,
        }
    }

    /// Returns an IPv6 address with a port.
    pub const fn v6(v6: [u8; 16], port: u16) -> Self {
        Self {
            family: libc::AF_INET6 as u16,
            v6,
            ..Self::v4([0; 4], port)
        }
    }

    /// Returns the address for where there is no IPv6: `0.0.0.0` in place of `[::]`, any other as it is.
    #[must_use]
    pub fn without_v6(&self) -> Self {
        let family = if self.v6 == [0; 16] {
            libc::AF_INET as u16
        } else {
            self.family
        };
        Self { family, ..*self }
    }

    /// Returns true if it is an IPv6 address.
    pub const fn is_v6(&self) -> bool {
        self.family == libc::AF_INET6 as u16
    }
}
