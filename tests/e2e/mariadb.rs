//! On SIGHUP, mariadbd reopens its logs and reloads its accounts from its tables, but does not read `my.cnf` again. The sidecar
//! reports that.

use crate::app::{App, Application, HOLD};
use crate::pod::Pod;
use crate::sql::{self, Session};
use crate::startup::{
    is_killed_while_it_starts, is_protected_while_it_starts, survives_updates_while_it_starts,
};
use crate::support::process::{Settings, eventually};
use crate::support::recipes::recipe;
use std::fs;
use std::process::Command;

struct Mariadb;

const SOCKET: &str = "socket";

fn client(pod: &Pod, user: &str) -> Command {
    let mut command = Command::new("mariadb");
    command
        .args([
            "--no-defaults",
            "--batch",
            "--skip-column-names",
            "--unbuffered",
        ])
        .args(["--user", user, "--socket"])
        .arg(pod.path(SOCKET));
    command
}

/// Returns the answer to one statement of `user`.
fn ask(pod: &Pod, user: &str, statement: &str) -> Option<String> {
    sql::query(pod, client(pod, user).args(["--execute", statement]))
}

/// Keeps the data small, as it is copied into every Pod.
const SIZES: [&str; 2] = ["--innodb-log-file-size=4M", "--innodb-buffer-pool-size=8M"];

impl Application for Mariadb {
    const NAME: &str = "mysqld, mariadbd";

    const READS_AGAIN: bool = false;

    /// It has next to no data to recover, so it is ready after some seconds at most.
    fn set(&self, settings: Settings) -> Settings {
        recipe(Self::NAME)
            .set(settings)
            .set("PROCESS_MIN_AGE", "10s")
    }

    fn command(&self, pod: &Pod) -> Command {
        fs::create_dir_all(pod.path(HOLD).parent().unwrap()).unwrap();
        let data = sql::cluster(pod, "mariadbd", |directory| {
            let mut install = sql::command("mariadb-install-db");
            install
                .args([
                    "--no-defaults",
                    "--skip-test-db",
                    "--auth-root-authentication-method=normal",
                ])
                .args(SIZES)
                .arg(format!("--datadir={}", directory.display()));
            sql::output(&mut install);
        });
        let mut command = sql::command("mariadbd");
        command
            .arg("--defaults-file".to_owned() + "=" + pod.path("volume/my.cnf").to_str().unwrap())
            .args(SIZES)
            .arg("--skip-networking")
            .args(["--general-log", "--general-log-file"])
            .arg(pod.path("general.log"))
            .arg("--datadir")
            .arg(data)
            .arg("--socket")
            .arg(pod.path(SOCKET))
            .arg("--pid-file")
            .arg(pod.path("pid"));
        command
    }

    fn payload(&self, pod: &Pod, text: &str) -> Vec<(String, String)> {
        let included = pod.path(HOLD);
        let config = format!(
            "[mariadbd]\nreport-host = {text}\n!includedir {}\n",
            included.parent().unwrap().display()
        );
        vec![("my.cnf".to_owned(), config)]
    }

    fn answer(&self, pod: &Pod) -> Option<String> {
        ask(pod, "root", "select @@report_host")
    }
}

#[test]
fn an_update_flushes_logs_and_accounts_but_the_file_is_reported_unread() {
    let mut app = App::start(Mariadb);
    let mut sidecar = app.sidecar(app.settings());
    let ask_root = |statement: &str| ask(&app.pod, "root", statement);
    ask_root("create database app; create table app.t (line text) engine = InnoDB").unwrap();
    let mut session = Session::new(&app.pod, &mut client(&app.pod, "root"));
    session.tell("begin");
    session.tell("insert into app.t values ('before')");
    let connection = session.ask("select connection_id()");

    for text in ["two", "three"] {
        // An account added to the table has no effect until accounts are reloaded.
        let account = format!(
            "insert into mysql.global_priv values ('localhost', '{text}', \
             '{{\"plugin\": \"mysql_native_password\", \"authentication_string\": \"\"}}')"
        );
        ask_root(&account).unwrap();
        assert_eq!(ask(&app.pod, text, "select 1"), None);
        // Rename the log as logrotate does.
        let log = app.pod.path("general.log");
        fs::rename(&log, app.pod.path(format!("general.log.{text}"))).unwrap();

        app.replace(text);
        sidecar.expect("signal sent");
        eventually("reloaded the accounts", || {
            ask(&app.pod, text, "select 1").as_deref() == Some("1")
        });
        eventually("reopened its log", || log.exists());
        assert_eq!(session.ask("select connection_id()"), connection);
        sidecar.expect("none of the watched files has been opened since");
        assert_eq!(
            app.answer().as_deref(),
            Some("one"),
            "my.cnf is not read again"
        );
    }

    session.tell("insert into app.t values ('after')");
    session.tell("commit");
    let lines = ask_root("select group_concat(line) from app.t");
    assert_eq!(lines.as_deref(), Some("before,after"));
    println!("mariadbd: 1 transaction held over 2 reloads, 0 lost");
    app.expect_reloads(2, sidecar);
}

/// One of its threads receives the signal in sigwait.
#[test]
fn it_survives_updates_while_it_starts() {
    survives_updates_while_it_starts(|| Mariadb);
}

/// It crashes on a signal that arrives just after it is ready to receive it.
#[test]
fn the_guard_protects_it_while_it_starts() {
    is_protected_while_it_starts(Mariadb);
}

#[test]
fn without_the_guard_a_signal_kills_it_while_it_starts() {
    is_killed_while_it_starts(Mariadb, |settings| {
        settings
            .set("RELOAD_GUARD", "false")
            .set("PROCESS_MIN_AGE", "0")
    });
}
