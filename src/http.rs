//! Metrics and health by HTTP/1.1: a listening socket and a few connections in the program's one poll.
//!
//! Nobody is waited for and nothing is kept for anybody: a request is read as its bytes come, its answer is one write, and a
//! client that does not take all of it at once is left. Where there is no room for another connection, the one goes that has been
//! silent longest, so that there need be no timers: whoever connects and says nothing costs nothing.

mod request;
mod state;

pub use request::{Answer, Asked, HEAD_MAX, Request};
pub use state::State;

use crate::base::file::PATH_MAX;
use crate::base::sys::{SocketAddress, set_address};
use crate::base::text::{Text, pieces};
use crate::base::time::{Instant, Millis};
use crate::base::words::Words;
use crate::report::Report;
use crate::report::old_log::{Level, Log};
use crate::words;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno};
use rustix::net::{
    AddressFamily, Shutdown, SocketFlags, SocketType, accept_with, listen, shutdown, socket_with,
    sockopt,
};

/// So many connections are open at once.
pub const CONNECTIONS_MAX: usize = 8;
/// So many may wait to be taken; the kernel keeps them.
const BACKLOG: i32 = 128;
/// Where no connection can be taken, the next is tried to be taken after this time, in milliseconds.
const PAUSE: Millis = Millis(1000);
/// `health` waits so long for each step.
const PATIENCE: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// A whole answer. Of a size that there is elsewhere, so that there is one copy of the code.
pub type Page = Text<PATH_MAX>;

/// One for each [`Asked`], and one more.
const STATUSES: Words = words!(
    "|200 OK|200 OK|200 OK|404 Not Found|405 Method Not Allowed\r\nAllow: GET, HEAD|400 Bad Request|414 URI Too Long|431 Request Header Fields Too Large|503 Service Unavailable"
);
const UNREADY: usize = Asked::LongHead as usize + 1;

/// What stands before the length of the body.
const FIELDS: &[u8] =
    b"\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length:       ";

/// One connection, or the room for one.
#[derive(Debug)]
struct Connection {
    fd: Option<OwnedFd>,
    request: Request,
    /// Everything was said: what still comes is thrown away. Closed only when the client has closed, because what it sends to
    /// a closed connection would make the kernel take back what was said.
    is_over: bool,
    /// When it was last heard of, in [`Http::turn`]s.
    heard: u64,
}

impl Connection {
    const NONE: Self = Self {
        fd: None,
        request: Request::new(),
        is_over: false,
        heard: 0,
    };
}

/// The listening socket with its connections.
#[derive(Debug)]
pub struct Http {
    /// `None` where there is no `LISTEN_ADDR`.
    listener: Option<OwnedFd>,
    connections: [Connection; CONNECTIONS_MAX],
    turn: u64,
    /// No connection could be taken: until then, none is tried to be taken.
    paused: Option<Instant>,
}

impl Http {
    /// Nobody is listened to.
    pub const fn new() -> Self {
        Self {
            listener: None,
            connections: [Connection::NONE; CONNECTIONS_MAX],
            turn: 0,
            paused: None,
        }
    }

    /// Listens there; ip(7), ipv6(7).
    ///
    /// # Errors
    /// Those of socket(2) and bind(2): EADDRINUSE, EADDRNOTAVAIL, EACCES, EAFNOSUPPORT.
    pub fn open(&mut self, address: &SocketAddress) -> io::Result<()> {
        let listener = socket(address, SocketFlags::NONBLOCK)?;
        // What is left of the last run's connections is in nobody's way.
        sockopt::set_socket_reuseaddr(&listener, true)?;
        if address.is_v6() {
            // [::] is every address of either family.
            sockopt::set_ipv6_v6only(&listener, false)?;
        }
        set_address(libc::SYS_bind, listener.as_fd(), address)?;
        listen(&listener, BACKLOG)?;
        self.listener = Some(listener);
        Ok(())
    }

    /// What to poll: when something can be read of one of them, requests are to be [served](Self::serve).
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let connections = self.connections.iter().map(|connection| &connection.fd);
        let listener = self.paused.is_none().then_some(&self.listener);
        connections.chain(listener).flatten().map(AsFd::as_fd)
    }

    /// When to [serve](Self::serve) at the latest.
    pub const fn deadline(&self) -> Option<Instant> {
        self.paused
    }

    /// Answers one request at most, so that everything else has its turn before the next. The connections have theirs one after
    /// the other, and the listening socket among them: who was taken is not left unheard for the sake of who comes.
    #[inline(never)]
    pub fn serve(&mut self, state: &State<'_, '_>, report: &mut Report) {
        for _ in 0..=CONNECTIONS_MAX {
            self.turn += 1;
            let at = self.turn as usize % (CONNECTIONS_MAX + 1);
            let Some(connection) = self.connections.get_mut(at) else {
                self.accept(state, report);
                continue;
            };
            if !connection.read(self.turn, state, report) {
                connection.begin(None, 0);
            }
            if connection.heard == self.turn {
                return;
            }
        }
    }

    fn accept(&mut self, state: &State<'_, '_>, report: &mut Report) {
        let Some(listener) = &self.listener else {
            return;
        };
        match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(fd) => {
                self.paused = None;
                let most_silent = self.connections.iter_mut().min_by_key(|it| it.heard);
                if let Some(connection) = most_silent {
                    connection.begin(Some(fd), self.turn);
                }
            }
            // There is none, or it went away while it waited.
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => self.paused = None,
            Err(errno) => {
                if self.paused.is_none() {
                    report
                        .old
                        .line(Level::Warn)
                        .say(words!("cannot take a connection at LISTEN_ADDR: "))
                        .errno(errno)
                        .say(words!("; trying again every second"))
                        .send();
                }
                self.paused = Some(state.now.plus(PAUSE));
            }
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Connection {
    /// Another one takes the place.
    #[inline(never)]
    fn begin(&mut self, fd: Option<OwnedFd>, turn: u64) {
        *self = Self::NONE;
        self.fd = fd;
        self.heard = turn;
    }

    /// Reads on to the end of one request at most, and answers it. Whether the connection stays.
    #[inline(never)]
    fn read(&mut self, turn: u64, state: &State<'_, '_>, report: &mut Report) -> bool {
        // Short, so that not many requests fit, which would keep the program from anything else.
        let mut buffer = [0; 192];
        loop {
            let Some(fd) = &self.fd else { return true };
            let bytes = match io::read(fd, &mut buffer) {
                Ok(0) => return false,
                Ok(length) => buffer.get(..length).unwrap_or_default(),
                Err(errno) => return matches!(errno, Errno::AGAIN | Errno::INTR),
            };
            self.heard = turn;
            let mut has_answered = self.is_over;
            for byte in bytes {
                if self.is_over {
                    return true;
                }
                if let Some(answer) = self.request.push(*byte) {
                    if !self.answer(answer, state, report) {
                        return false;
                    }
                    has_answered = true;
                }
            }
            if has_answered {
                return true;
            }
        }
    }

    /// Whether the client has taken all of it.
    #[inline(never)]
    fn answer(&mut self, answer: Answer, state: &State<'_, '_>, report: &mut Report) -> bool {
        let at = match answer.asked {
            Asked::Readiness if !state.is_ready() => UNREADY,
            asked => asked as usize,
        };
        let status = STATUSES.piece(at);
        let status = status.as_bytes();
        let mut page = Page::new();
        page.push(b"HTTP/1.1 ");
        page.push(status);
        page.push(FIELDS);
        let length_end = page.as_bytes().len();
        if answer.is_last {
            page.push(b"\r\nConnection: close");
        }
        page.push(b"\r\n\r\n");
        let head = page.as_bytes().len();
        if answer.asked == Asked::Metrics {
            state.metrics(report).render(&mut page);
        } else {
            page.push(status);
            page.push(b"\n");
        }
        if answer.asked == Asked::Readiness {
            state.readiness(&mut page, report);
        }
        page.put_number_before(length_end, (page.as_bytes().len() - head) as u64);
        let bytes = page.as_bytes();
        let end = if answer.head_only { head } else { bytes.len() };
        let bytes = bytes.get(..end).unwrap_or_default();
        // SIGPIPE is blocked.
        let Some(fd) = &self.fd else { return false };
        if io::write(fd, bytes) != Ok(bytes.len()) {
            return false;
        }
        self.is_over = answer.is_last;
        !self.is_over || shutdown(fd, Shutdown::Write).is_ok()
    }
}

/// Asks the sidecar that listens at `address` whether it is ready, and prints what it says. Whether it is.
///
/// An address that stands for every interface is the loopback's to who connects; ip(7).
pub fn health(address: &SocketAddress, report: &mut Report) -> bool {
    let mut answer = [0; 4096];
    match ask(address, &mut answer) {
        Ok(length) => {
            let mut lines = pieces(answer[..length].trim_ascii_end(), b'\n');
            // What comes after the first empty line is for people.
            lines.find(|line| line.len() < 2);
            for line in lines {
                report.old.line(Level::Info).value(line).send();
            }
            answer.starts_with(b"HTTP/1.1 200 ")
        }
        Err(errno) => {
            report
                .old
                .line(Level::Error)
                .say(words!("no answer at LISTEN_ADDR: "))
                .errno(errno)
                .say(words!("; does the sidecar run, with the same LISTEN_ADDR?"))
                .send();
            false
        }
    }
}

fn ask(address: &SocketAddress, answer: &mut [u8]) -> io::Result<usize> {
    let fd = socket(address, SocketFlags::NONBLOCK)?;
    let wait = |for_what| match poll(&mut [PollFd::new(&fd, for_what)], Some(&PATIENCE)) {
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
    while let Some(room) = answer.get_mut(length..) {
        wait(PollFlags::IN)?;
        match io::read(&fd, room)? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

fn socket(address: &SocketAddress, flags: SocketFlags) -> io::Result<OwnedFd> {
    let family = if address.is_v6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    socket_with(
        family,
        SocketType::STREAM,
        flags | SocketFlags::CLOEXEC,
        None,
    )
}
