//! `health`: asks the running sidecar whether it is ready.

use super::socket::stream_socket;
use crate::base::address::SocketAddress;
use crate::base::sys::set_address;
use crate::base::text::pieces;
use crate::report::Report;
use crate::report::facts::serving::Serving;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::io::{self, Errno};

/// The timeout of each step.
const TIMEOUT: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// Asks the sidecar that listens at `address` whether it is ready, and prints its answer. Returns true if it is.
///
/// Connecting to an address that stands for every interface reaches the loopback; ip(7).
pub fn health(address: &SocketAddress, report: &mut Report) -> bool {
    let mut answer = [0; 4096];
    // The loopback of IPv4 is there even where Pods have IPv6 alone, and a sidecar that listens on every address hears it.
    let length = match ask(&address.without_v6(), &mut answer) {
        Ok(length) => length,
        Err(errno) => {
            report.record(&Serving::NoAnswer(errno));
            return false;
        }
    };
    let answer = &answer[..length];
    let mut lines = pieces(answer.trim_ascii_end(), b'\n');
    // The body, after the first empty line, is for people.
    lines.find(|line| line.len() < 2);
    for line in lines {
        report.record(&Serving::Answered(line));
    }
    answer.starts_with(b"HTTP/1.1 200 ")
}

fn ask(address: &SocketAddress, answer: &mut [u8]) -> io::Result<usize> {
    let fd = stream_socket(address)?;
    let wait = |events| match poll(&mut [PollFd::new(&fd, events)], Some(&TIMEOUT)) {
        Ok(0) => Err(Errno::TIMEDOUT),
        other => other,
    };
    match set_address(libc::SYS_connect, fd.as_fd(), address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(errno) => return Err(errno),
    }
    wait(PollFlags::OUT)?;
    io::write(&fd, b"GET /readyz HTTP/1.0\r\n\r\n")?;
    let mut length = 0;
    while let Some(room) = answer.get_mut(length..).filter(|room| !room.is_empty()) {
        wait(PollFlags::IN)?;
        match io::read(&fd, room)? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}
