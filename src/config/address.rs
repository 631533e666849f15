//! Parses `LISTEN_ADDR`.

use crate::base::sys::SocketAddress;
use crate::base::text::parse_number;
use core::net::{Ipv4Addr, Ipv6Addr};

/// Parses `v4:port`, `[v6]:port`, or `localhost:port` and `:port`, which mean the IPv4 loopback.
pub(super) fn parse(text: &[u8]) -> Option<SocketAddress> {
    let colon = text.iter().rposition(|byte| *byte == b':')?;
    let (host, port) = (text.get(..colon)?, text.get(colon + 1..)?);
    // The kernel would choose a port for 0, and nobody would know which.
    let port = u16::try_from(parse_number(port, 10)?)
        .ok()
        .filter(|port| *port > 0)?;
    match host {
        b"" | b"localhost" => Some(SocketAddress::v4(Ipv4Addr::LOCALHOST.octets(), port)),
        [b'[', host @ .., b']'] => {
            let address: Ipv6Addr = str::from_utf8(host).ok()?.parse().ok()?;
            Some(SocketAddress::v6(address.octets(), port))
        }
        _ => {
            let address: Ipv4Addr = str::from_utf8(host).ok()?.parse().ok()?;
            Some(SocketAddress::v4(address.octets(), port))
        }
    }
}
