//! Metrics and health by HTTP/1.1: a listening socket and a few connections in the program's one poll(2).
//!
//! Nothing waits for a client: a request is parsed as its bytes come, its answer is one write, and a client that does not take all
//! of it at once is dropped. If there is no room for another connection, the one that has been silent longest goes. So
//! connections need no timers, and a client that connects and says nothing costs nothing.

mod client;
mod request;
mod response;
mod socket;

pub use client::health;
pub use request::{Answer, Asked, HEAD_MAX, Request};
pub use response::{Page, Pages, Readiness};

use crate::base::address::SocketAddress;
use crate::base::sys;
use crate::base::time::{Instant, Millis};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno, IoSlice};
use rustix::net::{Shutdown, SocketFlags, accept_with, shutdown};

/// The most connections open at once.
pub const CONNECTIONS_MAX: usize = 8;
/// The pause before the next accept(2) after one has failed.
const PAUSE: Millis = Millis(1000);

/// The listening socket with its connections.
#[derive(Debug)]
pub struct Http {
    /// `None` without `LISTEN_ADDR`.
    listener: Option<OwnedFd>,
    connections: [Connection; CONNECTIONS_MAX],
    /// Counts the turns of connections and listener.
    turn: u64,
    /// When to try accept(2) again after it has failed.
    paused: Option<Instant>,
}

impl Http {
    /// Returns a server that does not listen.
    pub const fn new() -> Self {
        Self {
            listener: None,
            connections: [Connection::NONE; CONNECTIONS_MAX],
            turn: 0,
            paused: None,
        }
    }

    /// Listens at `address`.
    ///
    /// # Errors
    /// Those of socket(2) and bind(2): EADDRINUSE, EADDRNOTAVAIL, EACCES, EAFNOSUPPORT.
    pub fn open(&mut self, address: &SocketAddress) -> io::Result<()> {
        self.listener = Some(socket::listener(address)?);
        Ok(())
    }

    /// Returns the descriptors to poll; when one is readable, call [`serve`](Self::serve).
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let connections = self.connections.iter().map(|connection| &connection.fd);
        let listener = self.paused.is_none().then_some(&self.listener);
        connections.chain(listener).flatten().map(AsFd::as_fd)
    }

    /// Returns when to call [`serve`](Self::serve) at the latest.
    pub const fn deadline(&self) -> Option<Instant> {
        self.paused
    }

    /// Answers at most one request of a client that stays connected, so that everything else has its turn before the next.
    /// Connections and the listener take turns, so that new clients do not starve those already connected.
    ///
    /// # Errors
    /// Those of accept(2), when it begins to fail.
    pub fn serve(&mut self, pages: &dyn Pages, now: Instant) -> io::Result<()> {
        for _ in 0..=CONNECTIONS_MAX {
            self.turn += 1;
            let at = self.turn as usize % (CONNECTIONS_MAX + 1);
            let Some(connection) = self.connections.get_mut(at) else {
                self.accept(now)?;
                continue;
            };
            if connection.read(self.turn, pages) == Next::Close {
                connection.begin(None, 0);
            }
            if connection.heard == self.turn {
                break;
            }
        }
        Ok(())
    }

    fn accept(&mut self, now: Instant) -> io::Result<()> {
        let Some(listener) = &self.listener else {
            return Ok(());
        };
        match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(fd) => {
                self.paused = None;
                let most_silent = self.connections.iter_mut().min_by_key(|it| it.heard);
                if let Some(connection) = most_silent {
                    connection.begin(Some(fd), self.turn);
                }
                Ok(())
            }
            // None is waiting, or it went away while it waited.
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {
                self.paused = None;
                Ok(())
            }
            Err(errno) => match self.paused.replace(now.plus(PAUSE)) {
                None => Err(errno),
                Some(_) => Ok(()),
            },
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

/// A connection, or the room for one.
#[derive(Debug)]
struct Connection {
    fd: Option<OwnedFd>,
    request: Request,
    /// The final answer is sent, and further input is ignored. Only the client closes the connection then: the kernel answers
    /// input to a closed one with a reset, which makes the client's side discard the answer.
    is_over: bool,
    /// The turn in which it last sent something.
    heard: u64,
}

/// The fate of a connection after reading from it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Keep,
    Close,
}

impl Connection {
    const NONE: Self = Self {
        fd: None,
        request: Request::new(),
        is_over: false,
        heard: 0,
    };

    /// Gives the slot to another connection.
    #[inline(never)]
    fn begin(&mut self, fd: Option<OwnedFd>, turn: u64) {
        *self = Self::NONE;
        self.fd = fd;
        self.heard = turn;
    }

    /// Reads up to the end of one request, and answers it.
    fn read(&mut self, turn: u64, pages: &dyn Pages) -> Next {
        // Short, so that few requests fit: many would keep the program from everything else.
        let mut buffer = [0; 192];
        loop {
            let Some(fd) = &self.fd else {
                return Next::Keep;
            };
            let bytes = match io::read(fd, &mut buffer) {
                Ok(0) => return Next::Close,
                Ok(length) => buffer.get(..length).unwrap_or_default(),
                Err(Errno::AGAIN | Errno::INTR) => return Next::Keep,
                Err(_) => return Next::Close,
            };
            self.heard = turn;
            let mut has_answered = self.is_over;
            for byte in bytes {
                if self.is_over {
                    return Next::Keep;
                }
                if let Some(answer) = self.request.push(*byte) {
                    if self.answer(answer, pages) == Next::Close {
                        return Next::Close;
                    }
                    has_answered = true;
                }
            }
            if has_answered {
                return Next::Keep;
            }
        }
    }

    /// Sends the answer. A client that does not take all of it at once is dropped.
    // Not inlined: keeps the page off the stack of the program's loop.
    #[inline(never)]
    fn answer(&mut self, answer: Answer, pages: &dyn Pages) -> Next {
        let (head, body) = response::compose(answer, pages, sys::wall_ms());
        let body = if answer.head_only {
            b""
        } else {
            body.as_bytes()
        };
        let Some(fd) = &self.fd else {
            return Next::Close;
        };
        // SIGPIPE is blocked.
        let written = io::writev(fd, &[IoSlice::new(head.as_bytes()), IoSlice::new(body)]);
        if written != Ok(head.len() + body.len()) {
            return Next::Close;
        }
        self.is_over = answer.is_last;
        if self.is_over && shutdown(fd, Shutdown::Write).is_err() {
            return Next::Close;
        }
        Next::Keep
    }
}
