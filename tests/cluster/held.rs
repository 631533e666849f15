//! Connections that are open while a configuration is edited.

use crate::pod::Pod;
use crate::support::process::Talker;
use std::io::Write;
use std::process::{ChildStdin, Stdio};

/// A client in the application's container with an open connection. It prints `held` once the connection is open. After reading a
/// line from its input, it uses the same connection again and prints `alive`.
pub struct Held {
    client: Talker,
    input: ChildStdin,
}

impl Held {
    #[track_caller]
    pub fn open(pod: &Pod, script: &str) -> Self {
        let exec = [
            "exec",
            "--stdin",
            &pod.name,
            "--container",
            &pod.app,
            "--",
            "bash",
            "-c",
            script,
        ];
        let mut command = pod.namespace.kubectl(&exec);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut client = Talker::new(child, output);
        client.expect("held");
        Self { client, input }
    }

    /// Returns a note for the report.
    #[track_caller]
    pub fn expect_alive(mut self) -> &'static str {
        self.input.write_all(b"go on\n").unwrap();
        self.client.expect("alive");
        ", held connection alive"
    }
}

/// Sends one half of a request before, the other half after.
pub fn request(port: u16) -> String {
    format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET / HTTP/1.1\\r\\nHost: held\\r\\n' >&3; echo held; \
         read line; printf 'Connection: close\\r\\n\\r\\n' >&3; grep -q ^HTTP/1 <&3 && echo alive"
    )
}

/// Runs a database client that executes one statement before and one after.
pub fn session(client: &str, first: &str, second: &str) -> String {
    format!("{{ echo \"{first}\"; read line; echo \"{second}\"; }} | {client}")
}
