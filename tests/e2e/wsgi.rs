//! A WSGI application for gunicorn and uwsgi, with requests that take as long as a test wants, as other applications have, too.

use crate::pod::Pod;
use crate::support::process::eventually;
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;

pub const PORT: u16 = 8080;
const BACKEND: u16 = 8081;

/// Writes the program with the object `wsgi:application`. Returns its path.
pub fn program(pod: &Pod) -> PathBuf {
    pod.write("wsgi.py", include_str!("wsgi.py"))
}

/// Sets up the environment that the program needs.
pub fn prepare(command: &mut Command, pod: &Pod) {
    command
        .current_dir(pod.path(""))
        .env("HOME", pod.path(""))
        .env("BACKEND", BACKEND.to_string())
        // The volume is writable here, unlike in a Pod, and Python would write its bytecode into it.
        .env("PYTHONDONTWRITEBYTECODE", "1");
}

/// The port of the backend of slow requests.
pub struct Backend(TcpListener);

/// A request that keeps a worker busy.
pub struct Slow {
    client: BufReader<TcpStream>,
    backend: TcpStream,
}

impl Backend {
    pub fn new(pod: &Pod) -> Self {
        let listener = pod.listen(BACKEND);
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    /// Sends a request and waits until a worker has it. Returns what asserts that the answer still comes, for [`Application::hold`].
    ///
    /// [`Application::hold`]: crate::app::Application::hold
    pub fn hold(pod: &Pod) -> Box<dyn FnOnce()> {
        let slow = Self::new(pod).slow_request(pod);
        Box::new(|| slow.expect_answer())
    }

    /// Sends a request and waits until a worker has it.
    #[track_caller]
    pub fn slow_request(&self, pod: &Pod) -> Slow {
        let client = pod.request(PORT, "/slow").expect("it listens");
        let mut backend = None;
        eventually("asked by a worker", || {
            backend = self.0.accept().ok();
            backend.is_some()
        });
        let (backend, _) = backend.unwrap();
        Slow { client, backend }
    }
}

impl Slow {
    /// Lets the worker answer. Returns what the client gets, which is nothing if the worker is gone.
    pub fn finish(mut self) -> String {
        // The worker may be gone.
        let _ = self.backend.write_all(b"at last");
        drop(self.backend);
        let mut answer = String::new();
        let _ = self.client.read_to_string(&mut answer);
        answer
    }

    #[track_caller]
    pub fn expect_answer(self) {
        let answer = self.finish();
        assert!(
            answer.contains(" 200 OK\r\n") && answer.ends_with("\r\n\r\nat last"),
            "{answer:?}"
        );
    }
}
