//! A client that stops in the middle, which no library's does: requests by HTTP to what runs in a Pod.

use crate::app::Pod;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;

impl Pod {
    /// Sends a request; nothing of the answer is read yet.
    pub fn request(&self, port: u16, location: &str) -> Option<BufReader<TcpStream>> {
        let mut stream = self.connect(port).ok()?;
        write!(stream, "GET {location} HTTP/1.0\r\n\r\n").ok()?;
        Some(BufReader::new(stream))
    }

    /// The whole answer to one.
    pub fn answer(&self, port: u16, location: &str) -> Option<String> {
        let mut answer = String::new();
        let mut stream = self.request(port, location)?;
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Its body, without white space around it.
    pub fn get(&self, port: u16, location: &str) -> Option<String> {
        let answer = self.answer(port, location)?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some(body.trim().to_owned())
    }

    /// Begins a download of what [`large_file`] is, and stops reading.
    #[track_caller]
    pub fn download(&self, port: u16, location: &str) -> Download {
        let mut stream = self.request(port, location).expect("a server");
        read_head(&mut stream);
        let mut received = vec![0; 1000];
        stream.read_exact(&mut received).unwrap();
        Download { stream, received }
    }
}

/// A download of which the server is amid sending.
pub struct Download {
    stream: BufReader<TcpStream>,
    received: Vec<u8>,
}

impl Download {
    /// Reads to the end, whichever that is. All that has come.
    pub fn finish(mut self) -> Vec<u8> {
        // A connection may be reset as well as closed.
        let _ = self.stream.read_to_end(&mut self.received);
        self.received
    }
}

/// More than what fits into sockets: a server is amid sending it until the client goes on reading.
pub fn large_file() -> &'static [u8] {
    static CONTENT: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..4_000_000_u32).flat_map(u32::to_le_bytes).collect());
    &CONTENT
}

/// Reads up to the body of a request or an answer.
#[track_caller]
pub fn read_head(stream: &mut impl BufRead) {
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        assert_ne!(stream.read_line(&mut line).unwrap(), 0, "cut");
    }
}
