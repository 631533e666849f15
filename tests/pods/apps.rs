//! In each application's Pod, three updates are three reloads.

use crate::pod::{Pod, SIDECAR, repository};
use crate::support::process::Talker;
use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a slow machine that starts several Pods, and for a recipe with a minimum age of a minute.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// The words that replace `blue`, one per update.
pub const WORDS: [&str; 3] = ["green", "red", "white"];

/// An application that answers its clients with a word from its configuration.
pub struct App {
    /// The shell command of a client in the application's container, which prints the word.
    pub client: &'static str,
    /// The application's log line when it is ready for the next signal, if that is after it answers.
    pub ready: Option<&'static str>,
}

/// Waits until a client gets the answer `word`.
#[track_caller]
fn answers(pod: &Pod, client: &str, word: &str) {
    answers_by(&|| pod.output(client), word);
}

/// Waits until the output of a client contains `word`.
#[track_caller]
pub fn answers_by(client: &dyn Fn() -> Output, word: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = client();
        let answer = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if answer.contains(word) {
            return;
        }
        assert!(
            !answer.contains("container state improper"),
            "the container has exited"
        );
        assert!(Instant::now() < deadline, "never {word}: {answer}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Returns the path of an application's manifest.
pub fn manifest(name: &str) -> PathBuf {
    repository().join(format!("deploy/pods/{name}.yaml"))
}

impl App {
    /// Asserts that three updates are three reloads.
    #[track_caller]
    pub fn reloads(&self, pod: &Pod, row: &str) {
        let mut sidecar = pod.log(SIDECAR);
        let mut application = pod.log(&pod.app);
        let mut is_ready = || {
            if let Some(ready) = self.ready {
                application.expect_within(PATIENCE, ready);
            }
        };
        sidecar.expect_within(PATIENCE, "watching");
        answers(pod, self.client, "blue");
        is_ready();
        for word in WORDS {
            pod.update(word);
            sidecar.expect_within(PATIENCE, "signal sent");
            answers(pod, self.client, word);
            is_ready();
        }
        finish(pod, row, sidecar, WORDS.len());
    }
}

/// Asserts that the sidecar sent one signal per reload without errors, and that both containers run as their manifest says.
#[track_caller]
fn finish(pod: &Pod, row: &str, sidecar: Talker, reloads: usize) {
    let application = pod.expect_confined(&pod.app);
    let confined = pod.expect_confined(SIDECAR);
    if pod.manifest.setting(SIDECAR, "LISTEN_ADDR").is_some() {
        let health = pod.command("health");
        assert!(health.status.success(), "{health:?}");
        let output = pod.output("curl --silent http://localhost:9533/metrics");
        let metrics = String::from_utf8(output.stdout).unwrap();
        let sent = format!("\nreloader_signals_total {}\n", WORDS.len());
        assert!(metrics.contains(&sent), "{metrics}");
    }
    assert_eq!(pod.end(SIDECAR), "exited 0");
    let (_, log) = sidecar.finish();
    let count = |part: &str| log.iter().filter(|line| line.contains(part)).count();
    let signals = count("signal sent");
    assert_eq!(signals, WORDS.len(), "{log:#?}");
    assert_eq!(count(" error "), 0, "{log:#?}");
    assert_eq!(count("undelivered"), 0, "{log:#?}");
    add_row(
        row,
        &format!(
            "yes|{}|{signals}|{reloads}|{application}|{confined}|yes",
            WORDS.len()
        ),
    );
}

/// Adds a row to the table that `make pods` prints in the end.
pub fn add_row(name: &str, rest: &str) {
    let table = repository().join("target/pods/table");
    fs::create_dir_all(&table).unwrap();
    fs::write(
        table.join(name.replace(' ', "-")),
        format!("{name}|{rest}\n"),
    )
    .unwrap();
}

macro_rules! applications {
    ($($test:ident: $name:literal, $client:literal $(, $ready:literal)?;)*) => {
        $(
            #[test]
            fn $test() {
                let ready = [$($ready)?].first().copied();
                App { client: $client, ready }.reloads(&Pod::start(&manifest($name)), $name);
            }
        )*
    };
}

applications! {
    nginx: "nginx", "curl --silent localhost:8080";
    apache: "apache", "curl --silent localhost:8080/missing";
    sshd: "sshd", "ssh-keyscan -p 2222 127.0.0.1";
    gunicorn: "gunicorn", "curl --silent localhost:8080";
    // Its first worker answers before the master handles signals again.
    uwsgi: "uwsgi", "curl --silent localhost:8080", "spawned uWSGI worker 2";
    postgresql: "postgresql", "psql --username postgres --command 'show log_line_prefix'";
    pgbouncer: "pgbouncer", "PGPASSWORD=change-me psql --host 127.0.0.1 --port 6432 --username admin --command 'show databases' pgbouncer";
    logstash: "logstash", "curl --silent localhost:9600/_node/pipelines";
    prometheus: "prometheus", "curl --silent localhost:9090/api/v1/status/config";
    haproxy: "haproxy", "curl --silent localhost:8080";
    named: "named", "dig @127.0.0.1 -p 5353 +short +tries=1 +timeout=5 example TXT";
    php_fpm: "php-fpm", "SCRIPT_NAME=/answer.php SCRIPT_FILENAME=/srv/answer.php REQUEST_METHOD=GET cgi-fcgi -bind -connect 127.0.0.1:9000";
    squid: "squid", "curl --silent --include --proxy localhost:3128 http://127.0.0.1:1/";
}

/// On the signal it does not read its file, but reloads its accounts: one that was added to the table works from then on.
#[test]
fn mariadb() {
    let name = "mariadb";
    let pod = Pod::start(&manifest(name));
    let mut sidecar = pod.log(SIDECAR);
    sidecar.expect_within(PATIENCE, "watching");
    answers(&pod, &client("root"), "blue");
    for word in WORDS {
        let account = format!(
            "insert into mysql.global_priv values ('localhost', '{word}', '{{\"plugin\": \"mysql_native_password\", \
             \"authentication_string\": \"\"}}')"
        );
        let insert = format!(
            "mariadb --no-defaults --user root --execute \"{}\"",
            account.replace('"', "\\\"")
        );
        let output = pod.output(&insert);
        assert!(output.status.success(), "{output:?}");
        assert!(
            !pod.output(&client(word)).status.success(),
            "{word}: not loaded before the signal"
        );
        pod.update(word);
        sidecar.expect_within(PATIENCE, "signal sent");
        answers(&pod, &client(word), "blue");
    }
    finish(&pod, name, sidecar, WORDS.len());

    fn client(user: &str) -> String {
        format!("mariadb --no-defaults --user {user} --execute 'select @@report_host'")
    }
}
