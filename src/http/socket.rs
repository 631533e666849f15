//! Opens the sockets of both ends.

use crate::base::address::SocketAddress;
use crate::base::sys::set_address;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{self, Errno};
use rustix::net::{AddressFamily, SocketFlags, SocketType, listen, socket_with, sockopt};

/// The listen(2) backlog.
const BACKLOG: i32 = 128;

/// Returns a socket that does not block, of the address's family; socket(2).
pub(super) fn stream_socket(address: &SocketAddress) -> io::Result<OwnedFd> {
    let family = if address.is_v6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(family, SocketType::STREAM, flags, None)
}

/// Returns a socket that listens at `address`; ip(7), ipv6(7). Every address is every IPv4 one on a kernel without IPv6.
pub(super) fn listener(address: &SocketAddress) -> io::Result<OwnedFd> {
    match listener_at(address) {
        Err(Errno::AFNOSUPPORT) => listener_at(&address.without_v6()),
        listener => listener,
    }
}

// Not inlined: it is called twice.
#[inline(never)]
fn listener_at(address: &SocketAddress) -> io::Result<OwnedFd> {
    let listener = stream_socket(address)?;
    // Binds even if connections of an earlier run linger.
    sockopt::set_socket_reuseaddr(&listener, true)?;
    if address.is_v6() {
        // Lets [::] stand for every IPv4 address as well.
        sockopt::set_ipv6_v6only(&listener, false)?;
    }
    set_address(libc::SYS_bind, listener.as_fd(), address)?;
    listen(&listener, BACKLOG)?;
    Ok(listener)
}
