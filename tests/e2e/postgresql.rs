//! postgresql reads its configuration and included files again; sessions and transactions continue.

use crate::app::{App, Application};
use crate::pod::Pod;
use crate::sql::{self, Session};
use crate::startup::survives_updates_while_it_starts;
use crate::support::process::Talker;
use std::io::Write;
use std::process::Command;

pub struct Postgresql;

/// A server with its data and sockets in the Pod's directory, listening on the whole loopback network.
pub fn server(pod: &Pod) -> Command {
    let data = sql::cluster(pod, "postgres", |directory| {
        let mut initdb = sql::command("initdb");
        initdb
            .args(["--auth=trust", "--no-sync", "--no-locale", "--username"])
            .args([ADMIN, "--pgdata"])
            .arg(directory);
        sql::output(&mut initdb);
    });
    let mut command = sql::command("postgres");
    command.arg("-D").arg(data).args([
        "-c",
        "listen_addresses=*",
        "-c",
        "unix_socket_directories=",
        "-c",
        "fsync=off",
    ]);
    command
}

pub const ADMIN: &str = "admin";

/// A client of the server at `host` and `port`.
pub fn client(host: &str, port: u16) -> Command {
    let mut command = Command::new("psql");
    command
        .args([
            "--no-psqlrc",
            "--no-align",
            "--tuples-only",
            "--quiet",
            "--username",
            ADMIN,
        ])
        .args(["--host", host, "--port", &port.to_string()])
        .arg("postgres");
    command
}

pub const PORT: u16 = 5432;

/// Returns the answer to one statement.
pub fn ask(pod: &Pod, port: u16, statement: &str) -> Option<String> {
    sql::query(
        pod,
        client("127.0.0.1", port).args(["--command", statement]),
    )
}

impl Application for Postgresql {
    const NAME: &str = "postgresql";

    fn command(&self, pod: &Pod) -> Command {
        let server = server(pod);
        // The `postgresql.conf` that initdb wrote includes the volume.
        let volume = pod.path("volume");
        let mut config = pod.file("data/postgresql.conf");
        writeln!(config, "include_dir = '{}'", volume.display()).unwrap();
        server
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        vec![("app.conf".to_owned(), format!("app.answer = '{text}'\n"))]
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        ask(pod, PORT, "show app.answer")
    }

    fn hold(&self, pod: &Pod) -> Box<dyn FnOnce()> {
        let mut session = Session::new(pod, &mut client("127.0.0.1", PORT));
        let before = session.ask("select pg_backend_pid()");
        Box::new(move || assert_eq!(session.ask("select pg_backend_pid()"), before))
    }
}

#[test]
fn a_transaction_survives_each_reload() {
    let app = App::start(Postgresql);
    let mut sidecar = app.sidecar(app.settings());
    ask(&app.pod, PORT, "create table t (line text)").unwrap();
    let mut session = Session::new(&app.pod, &mut client("127.0.0.1", PORT));
    session.tell("begin");
    session.tell("insert into t values ('before')");
    let transaction = session.ask("select pg_backend_pid(), pg_current_xact_id()");
    for text in ["two", "three", "four"] {
        app.reload(&mut sidecar, text);
        assert_eq!(
            session.ask("select pg_backend_pid(), pg_current_xact_id()"),
            transaction
        );
        assert_eq!(session.ask("show app.answer"), text);
    }
    session.tell("insert into t values ('after')");
    session.tell("commit");
    let lines = "select string_agg(line, ',') from t";
    assert_eq!(session.ask(lines), "before,after");
    assert_eq!(ask(&app.pod, PORT, lines).unwrap(), "before,after");
    println!("postgresql: 1 transaction held over 3 reloads, 0 lost");
    expect_reloads(app, 3, sidecar);
}

#[test]
fn it_survives_updates_while_it_starts() {
    survives_updates_while_it_starts(|| Postgresql);
}

/// Asserts that the sidecar and the server agree on the number of reloads, and that each changed a parameter.
#[track_caller]
fn expect_reloads(mut app: App<Postgresql>, count: usize, sidecar: Talker) {
    app.expect_reloads(count, sidecar);
    app.expect_logged("received SIGHUP, reloading configuration files", count);
    app.expect_logged("parameter \"app.answer\" changed", count);
    app.expect_logged("was terminated by signal", 0);
}
