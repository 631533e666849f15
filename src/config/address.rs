//! Parses `LISTEN_ADDR`. By hand: core's parsers of addresses take 1.6 KB more.

use crate::base::address::SocketAddress;
use crate::base::text::{parse_number, pieces};

/// Parses `v4:port`, `[v6]:port`, `localhost:port`, the IPv4 loopback, or `:port`, which is every address.
pub(super) fn parse(text: &[u8]) -> Option<SocketAddress> {
    let colon = text.iter().rposition(|byte| *byte == b':')?;
    let (host, port) = (text.get(..colon)?, text.get(colon + 1..)?);
    let port = u16::try_from(parse_number(port, 10)?).ok()?;
    // For 0 the kernel would choose a port, which no client could guess.
    if port == 0 {
        return None;
    }
    match host {
        b"" => Some(SocketAddress::v6([0; 16], port)),
        b"localhost" => Some(SocketAddress::v4([127, 0, 0, 1], port)),
        [b'[', host @ .., b']'] => Some(SocketAddress::v6(v6(host)?, port)),
        _ => Some(SocketAddress::v4(v4(host)?, port)),
    }
}

fn v4(text: &[u8]) -> Option<[u8; 4]> {
    let mut octets = [0; 4];
    let mut pieces = pieces(text, b'.');
    for octet in &mut octets {
        let digits = pieces.next()?;
        // Some programs take a leading zero for octal.
        if digits.len() > 3 || digits.len() > 1 && digits.first() == Some(&b'0') {
            return None;
        }
        *octet = parse_number(digits, 10)?.try_into().ok()?;
    }
    pieces.next().is_none().then_some(octets)
}

/// The 16-bit groups of an IPv6 address.
const GROUPS: usize = 8;

/// Parses an address as RFC 4291, section 2.2, writes it, without the form that ends like an IPv4 address.
fn v6(text: &[u8]) -> Option<[u8; 16]> {
    let gap = text.windows(2).position(|two| two == b"::");
    let (head, tail) = match gap {
        Some(gap) => (text.get(..gap)?, text.get(gap + 2..)?),
        None => (text, &b""[..]),
    };
    let (mut groups, head) = groups(head)?;
    let (last, tail) = self::groups(tail)?;
    // A gap stands for at least one group.
    let is_complete = match gap {
        Some(_) => head + tail < GROUPS,
        None => head == GROUPS,
    };
    if !is_complete {
        return None;
    }
    groups
        .get_mut(GROUPS - tail..)?
        .copy_from_slice(last.get(..tail)?);
    groups.as_flattened().try_into().ok()
}

/// Parses groups of hexadecimal digits separated by colons. Returns them in network order, and how many they are.
fn groups(text: &[u8]) -> Option<([[u8; 2]; GROUPS], usize)> {
    let mut groups = [[0; 2]; GROUPS];
    let mut count = 0;
    if !text.is_empty() {
        for digits in pieces(text, b':') {
            let number = parse_number(digits, 16).filter(|_| digits.len() <= 4)?;
            *groups.get_mut(count)? = (number as u16).to_be_bytes();
            count += 1;
        }
    }
    Some((groups, count))
}
