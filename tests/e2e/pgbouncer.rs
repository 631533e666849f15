//! pgbouncer reads its configuration again; its clients stay connected and transactions continue.

use crate::app::{App, Application};
use crate::pod::Pod;
use crate::postgresql::{self, ADMIN};
use crate::sql::{self, Session};
use crate::startup::survives_updates_while_it_starts;
use crate::support::process::{Talker, eventually};
use std::process::{Child, Command};
use std::sync::Mutex;

/// pgbouncer in front of a postgresql that listens on several addresses. The configuration selects one.
#[derive(Default)]
struct Pgbouncer {
    server: Mutex<Option<Server>>,
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const PORT: u16 = 6432;

/// The server's address that stands for a text.
const ADDRESSES: [(&str, &str); 4] = [
    ("one", "127.0.0.1"),
    ("two", "127.0.0.2"),
    ("three", "127.0.0.3"),
    ("four", "127.0.0.4"),
];

/// A statement that returns that address.
const ADDRESS: &str = "select host(inet_server_addr())";

fn address(text: &str) -> &'static str {
    ADDRESSES.iter().find(|(name, _)| *name == text).unwrap().1
}

impl Application for Pgbouncer {
    const NAME: &str = "pgbouncer";

    fn command(&self, pod: &Pod) -> Command {
        let server = pod.spawn(postgresql::server(pod).stderr(pod.file("postgresql.log")));
        *self.server.lock().unwrap() = Some(Server(server));
        eventually("answered by postgresql", || {
            postgresql::ask(pod, postgresql::PORT, "select 1").is_some()
        });
        let mut command = sql::command("pgbouncer");
        command.arg(pod.path("volume/pgbouncer.ini"));
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        let config = format!(
            "[databases]\npostgres = host={} user={ADMIN}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {PORT}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\n",
            address(text)
        );
        vec![("pgbouncer.ini".to_owned(), config)]
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        let address = postgresql::ask(pod, PORT, ADDRESS)?;
        let (text, _) = ADDRESSES.iter().find(|(_, other)| *other == address)?;
        Some((*text).to_owned())
    }
}

#[test]
fn clients_and_transactions_survive_each_reload() {
    let app = App::start(Pgbouncer::default());
    let mut sidecar = app.sidecar(app.settings());
    let mut session = Session::new(&app.pod, &mut postgresql::client("127.0.0.1", PORT));
    let mut now = "one";
    for text in ["two", "three", "four"] {
        session.tell("begin");
        let transaction = session.ask("select pg_backend_pid(), pg_current_xact_id()");
        app.reload(&mut sidecar, text);
        assert_eq!(session.ask(ADDRESS), address(now));
        assert_eq!(
            session.ask("select pg_backend_pid(), pg_current_xact_id()"),
            transaction
        );
        session.tell("commit");
        assert_eq!(session.ask(ADDRESS), address(text));
        now = text;
    }
    println!("pgbouncer: 1 client and 3 transactions held over 3 reloads, 0 lost");
    expect_reloads(app, 3, sidecar);
}

#[test]
fn it_survives_updates_while_it_starts() {
    survives_updates_while_it_starts(Pgbouncer::default);
}

/// Asserts that the sidecar and pgbouncer agree on the number of reloads.
#[track_caller]
fn expect_reloads(mut app: App<Pgbouncer>, count: usize, sidecar: Talker) {
    app.expect_reloads(count, sidecar);
    app.expect_logged("got SIGHUP", count);
}
