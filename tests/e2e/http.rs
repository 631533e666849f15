//! An HTTP client that can stop in the middle of an answer, as no library's does.

use crate::pod::Pod;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;

impl Pod {
    /// Sends a request without reading the answer.
    pub fn request(&self, port: u16, location: &str) -> Option<BufReader<TcpStream>> {
        let mut stream = self.connect(port).ok()?;
        write!(stream, "GET {location} HTTP/1.0\r\n\r\n").ok()?;
        Some(BufReader::new(stream))
    }

    /// Returns the whole answer to a request.
    pub fn answer(&self, port: u16, location: &str) -> Option<String> {
        let mut answer = String::new();
        let mut stream = self.request(port, location)?;
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Returns the trimmed body of the answer to a request.
    pub fn get(&self, port: u16, location: &str) -> Option<String> {
        let answer = self.answer(port, location)?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some(body.trim().to_owned())
    }

    /// Begins a download of [`large_file`], and stops reading.
    #[track_caller]
    pub fn download(&self, port: u16, location: &str) -> Download {
        let mut stream = self.request(port, location).expect("a server");
        read_head(&mut stream);
        let mut received = vec![0; 1000];
        stream.read_exact(&mut received).unwrap();
        Download { stream, received }
    }
}

/// A download that the server has not finished sending.
pub struct Download {
    stream: BufReader<TcpStream>,
    received: Vec<u8>,
}

impl Download {
    /// Reads to the end, or until the connection breaks. Returns all that was received.
    pub fn finish(mut self) -> Vec<u8> {
        // The connection may be reset or closed.
        let _ = self.stream.read_to_end(&mut self.received);
        self.received
    }

    /// Reads to the end, and asserts that nothing of [`large_file`] is missing.
    #[track_caller]
    pub fn expect_whole(self) {
        assert!(self.finish() == large_file(), "cut");
    }
}

/// Too large for socket buffers: a server cannot finish sending it until the client reads.
pub fn large_file() -> &'static [u8] {
    static CONTENT: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..4_000_000_u32).flat_map(u32::to_le_bytes).collect());
    &CONTENT
}

/// Reads the head of a request or an answer.
#[track_caller]
pub fn read_head(stream: &mut impl BufRead) {
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        assert_ne!(stream.read_line(&mut line).unwrap(), 0, "cut");
    }
}
