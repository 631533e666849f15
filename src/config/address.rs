//! The address to listen on.

use super::types::Listen;
use crate::base::sys::SocketAddress;
use core::net::SocketAddr;

/// Reads `v4:port`, `[v6]:port`, or `localhost:port` and `:port`, which are the IPv4 loopback's.
pub(super) fn listen(text: &[u8]) -> Option<Listen<'_>> {
    let address = str::from_utf8(text).ok()?;
    let (host, port) = address.rsplit_once(':')?;
    // The kernel would choose a port for 0, and nobody would know it.
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let address = match host {
        "" | "localhost" => SocketAddress::v4([127, 0, 0, 1], port),
        _ => match address.parse().ok()? {
            SocketAddr::V4(v4) => SocketAddress::v4(v4.ip().octets(), port),
            SocketAddr::V6(v6) if v6.scope_id() == 0 => SocketAddress::v6(v6.ip().octets(), port),
            SocketAddr::V6(_) => return None,
        },
    };
    Some(Listen { text, address })
}
