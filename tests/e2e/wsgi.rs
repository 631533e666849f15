//! What gunicorn and uwsgi share: a Python program that they serve, and requests to it that take as long as a test wants.

use crate::app::{App, Application, Pod};
use crate::support::process::eventually;
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;

pub const PORT: u16 = 8080;
const BACKEND: u16 = 8081;

/// Writes the program, whose object is `wsgi:application`. Where it is.
pub fn program(pod: &Pod) -> PathBuf {
    pod.write("wsgi.py", include_str!("wsgi.py"))
}

/// What the program needs, whatever serves it.
pub fn prepare(command: &mut Command, pod: &Pod) {
    command
        .current_dir(pod.path(""))
        .env("HOME", pod.path(""))
        .env("BACKEND", BACKEND.to_string())
        // A mounted volume is read-only. Here Python would leave what it has compiled beside the source.
        .env("PYTHONDONTWRITEBYTECODE", "1");
}

/// The backend of slow requests.
pub struct Backend(TcpListener);

/// A request that a worker is busy with.
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

    /// Sends a request and waits until a worker has it.
    #[track_caller]
    pub fn slow_request<A: Application>(&self, app: &App<A>) -> Slow {
        let client = app.pod.request(PORT, "/slow").expect("it listens");
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
    /// Lets the worker answer. What the client gets: nothing if the worker is gone.
    pub fn finish(mut self) -> String {
        // Nobody may be there to read it.
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
