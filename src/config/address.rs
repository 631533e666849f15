//! The address to listen on.
//!
//! The core library's own parser would add 3 KiB, as much as the rest of `config`'s values together.

use super::types::Listen;
use crate::base::sys::SocketAddress;
use crate::base::text::{parse_number, pieces};

/// Reads `v4:port`, `[v6]:port`, or `localhost:port` and `:port`, which are the IPv4 loopback's.
pub(super) fn listen(text: &[u8]) -> Option<Listen<'_>> {
    let colon = text.iter().rposition(|byte| *byte == b':')?;
    let (host, port) = (&text[..colon], &text[colon + 1..]);
    // The kernel would choose a port for 0, and nobody would know it.
    let port = parse_number(port, 10).filter(|port| (1..=65535).contains(port))? as u16;
    let address = match host {
        b"" | b"localhost" => SocketAddress::v4([127, 0, 0, 1], port),
        [b'[', inner @ .., b']'] => SocketAddress::v6(v6(inner)?, port),
        _ => SocketAddress::v4(v4(host)?, port),
    };
    Some(Listen { text, address })
}

/// Reads four decimal numbers. A leading zero is refused, because some programs take it for octal.
fn v4(text: &[u8]) -> Option<[u8; 4]> {
    let mut octets = [0; 4];
    let mut count = 0;
    for piece in pieces(text, b'.') {
        let number = parse_number(piece, 10).filter(|number| *number <= 255)?;
        if piece.len() > 1 && piece[0] == b'0' {
            return None;
        }
        *octets.get_mut(count)? = number as u8;
        count += 1;
    }
    (count == octets.len()).then_some(octets)
}

/// Reads groups of hexadecimal digits with at most one `::` among them; RFC 4291, section 2.2, without the form that ends like an
/// IPv4 address.
fn v6(text: &[u8]) -> Option<[u8; 16]> {
    let mut groups = [[0; 2]; 8];
    if let Some(gap) = text.windows(2).position(|two| two == b"::") {
        let before = v6_groups(&text[..gap], &mut groups)?;
        let mut after = [[0; 2]; 8];
        let count = v6_groups(&text[gap + 2..], &mut after)?;
        // The gap stands for at least one group.
        let start = (8 - before).checked_sub(count).filter(|gap| *gap > 0)? + before;
        groups[start..].copy_from_slice(&after[..count]);
    } else if v6_groups(text, &mut groups)? < groups.len() {
        return None;
    }
    groups.as_flattened().try_into().ok()
}

/// Reads groups from the first on, and returns how many there are.
fn v6_groups(text: &[u8], groups: &mut [[u8; 2]; 8]) -> Option<usize> {
    if text.is_empty() {
        return Some(0);
    }
    let mut count = 0;
    for piece in pieces(text, b':') {
        if piece.len() > 4 {
            return None;
        }
        *groups.get_mut(count)? = (parse_number(piece, 16)? as u16).to_be_bytes();
        count += 1;
    }
    Some(count)
}
