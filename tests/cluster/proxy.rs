//! Requests to the API server through one `kubectl proxy`, which is cheaper than one kubectl per request.

use crate::namespace::kubectl;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

/// A `kubectl proxy` that is killed on drop.
pub struct Proxy {
    child: Child,
    port: u16,
}

impl Proxy {
    pub fn start() -> Self {
        let mut command = kubectl();
        command.args(["proxy", "--port=0"]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let output = child.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().unwrap();
        Self {
            port: port.parse().expect("a port"),
            child,
        }
    }

    /// Sends a request with an optional merge patch; returns the status and the body of the response.
    pub fn request(&self, method: &str, path: &str, patch: Option<&Value>) -> (u16, String) {
        let body = patch.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/merge-patch+json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).unwrap();
        (status.parse().unwrap(), body.to_owned())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
