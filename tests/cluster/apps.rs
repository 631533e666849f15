//! The Pods of `deploy/pods`, applied unchanged.

use crate::confined;
use crate::held::{self, Held};
use crate::namespace::Namespace;
use crate::pod::{PATIENCE, Pod, SIDECAR};
use crate::report;
use crate::support::process::Talker;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// The words that replace `blue`, which is in every configuration.
const WORDS: [&str; 2] = ["green", "red"];

/// The time after which the kubelet kills what has not ended: the default, which no manifest changes.
const GRACE_PERIOD: Duration = Duration::from_secs(30);

/// Returns the path of an application's manifest.
pub fn manifest(name: &str) -> PathBuf {
    directory().join(format!("{name}.yaml"))
}

fn directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/pods"))
}

/// Returns the names of all applications.
pub fn names() -> Vec<String> {
    let files = fs::read_dir(directory()).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// Edits the ConfigMap or Secret that is the first document of a manifest.
#[track_caller]
fn edit(namespace: &Namespace, manifest: &Path, word: &str) {
    let documents = fs::read_to_string(manifest).unwrap();
    let (configuration, _) = documents.split_once("\n---\n").unwrap();
    namespace.apply(&configuration.replace("blue", word));
}

/// Waits until the client's output contains `part`.
#[track_caller]
fn answers(pod: &Pod, client: &str, part: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = pod.client(client);
        let answer = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if answer.contains(part) {
            return;
        }
        assert!(Instant::now() < deadline, "never {part}: {answer}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// The means to talk to one application.
pub struct App {
    /// A client to run in the application's container. Its output contains the current word.
    pub client: &'static str,
    /// A log line that means the application is ready for the next signal, if it answers clients before that.
    pub ready: Option<&'static str>,
    /// A client whose connection stays open across all edits; see [`Held`].
    pub held: Option<String>,
}

impl App {
    /// Starts the application's Pod and edits its configuration.
    #[track_caller]
    fn reloads(&self, name: &str) {
        let namespace = Namespace::new(name);
        let start = Instant::now();
        namespace.apply_file(&manifest(name));
        let pod = Pod::ready(&namespace, name, name);
        let ready_after = start.elapsed();
        let (sidecar, held) = self.follows_edits(&pod, &manifest(name));
        expect_metrics(&pod);
        finish(&pod, name, sidecar, &figures(ready_after, held));
    }

    /// Edits the configuration, and waits each time for the signal and for an answer from the new configuration. Returns the
    /// sidecar's log and a note on the held connection for the report.
    #[track_caller]
    pub fn follows_edits(&self, pod: &Pod, manifest: &Path) -> (Talker, &'static str) {
        let mut sidecar = pod.log(SIDECAR);
        let mut application = pod.log(&pod.app);
        let mut wait_ready = || {
            if let Some(ready) = self.ready {
                application.expect_within(PATIENCE, ready);
            }
        };
        answers(pod, self.client, "blue");
        let held = self.held.as_ref().map(|script| Held::open(pod, script));
        wait_ready();
        for word in WORDS {
            edit(pod.namespace, manifest, word);
            pod.expect(&mut sidecar, "signal sent");
            answers(pod, self.client, word);
            wait_ready();
        }
        (sidecar, held.map_or("", Held::expect_alive))
    }
}

/// Returns the figures of a Pod for the report.
fn figures(ready_after: Duration, held: &str) -> String {
    format!(
        "ready after {:.1} s, {} edits{held}",
        ready_after.as_secs_f64(),
        WORDS.len()
    )
}

#[track_caller]
fn expect_metrics(pod: &Pod) {
    assert_eq!(pod.metric("reloader_signals_total"), WORDS.len() as u64);
    assert_eq!(pod.metric("reloader_last_reload_successful"), 1);
}

/// Deletes the Pod and checks that there was one signal per edit, no error and no restart.
#[track_caller]
pub fn finish(pod: &Pod, row: &str, sidecar: Talker, figures: &str) {
    let restarts = pod.field(
        "{.status.initContainerStatuses[*].restartCount}{.status.containerStatuses[*].restartCount}",
    );
    assert_eq!(restarts, "00", "restarts");
    pod.expect_no_error();
    confined::expect_as_in_manifest(pod);
    let ended = pod.delete();
    assert!(ended.exits.contains("config-reloader=0"), "{}", ended.exits);
    assert!(ended.after < GRACE_PERIOD, "killed: {}", ended.exits);
    let (_, log) = sidecar.finish();
    let count = |part: &str| log.iter().filter(|line| line.contains(part)).count();
    let signals = count("signal sent");
    assert_eq!(signals, WORDS.len(), "{log:#?}");
    assert_eq!(count("undelivered"), 0, "{log:#?}");
    let after = ended.after.as_secs_f64();
    report::row(
        row,
        &format!(
            "{figures}, {signals} signals, deleted in {after:.1} s: {}",
            ended.exits
        ),
    );
}

macro_rules! applications {
    ($($test:ident: $name:literal, $client:literal, ready: $ready:expr, held: $held:expr;)*) => {
        $(
            #[test]
            fn $test() {
                App { client: $client, ready: $ready, held: $held }.reloads($name);
            }
        )*
    };
}

applications! {
    nginx: "nginx", "curl --silent localhost:8080", ready: None, held: Some(held::request(8080));
    apache: "apache", "curl --silent localhost:8080/missing", ready: None, held: Some(held::request(8080));
    sshd: "sshd", "ssh-keyscan -p 2222 127.0.0.1", ready: None, held: Some(
        "exec 3<>/dev/tcp/127.0.0.1/2222; read banner <&3; echo held; \
         read line; printf 'SSH-2.0-held\\r\\n' >&3; head -c 100 <&3 | grep -aq 25519 && echo alive"
            .to_owned()
    );
    gunicorn: "gunicorn", "curl --silent localhost:8080", ready: None, held: Some(held::request(8080));
    // Its first worker answers before the master handles signals again.
    uwsgi: "uwsgi", "curl --silent localhost:8080", ready: Some("spawned uWSGI worker 2"), held: None;
    postgresql: "postgresql", "psql --username postgres --command 'show log_line_prefix'", ready: None, held: Some(
        held::session("psql --username postgres", "select 'held';", "select 'alive';")
    );
    pgbouncer: "pgbouncer", "PGPASSWORD=change-me psql --host 127.0.0.1 --port 6432 --username admin --command 'show databases' pgbouncer",
        ready: None, held: Some(held::session(
            "PGPASSWORD=change-me psql --host 127.0.0.1 --port 6432 --username admin pgbouncer | \
             while read -r line; do case $line in *admin*) echo held ;; *PgBouncer*) echo alive ;; esac; done",
            "show users;", "show version;"
        ));
    logstash: "logstash", "curl --silent localhost:9600/_node/pipelines", ready: None, held: None;
    prometheus: "prometheus", "curl --silent localhost:9090/api/v1/status/config", ready: None, held: Some(held::request(9090));
    haproxy: "haproxy", "curl --silent localhost:8080", ready: None, held: Some(held::request(8080));
    named: "named", "dig @127.0.0.1 -p 5353 +short +tries=1 +timeout=5 example TXT", ready: None, held: None;
    php_fpm: "php-fpm", "SCRIPT_NAME=/answer.php SCRIPT_FILENAME=/srv/answer.php REQUEST_METHOD=GET cgi-fcgi -bind -connect 127.0.0.1:9000",
        ready: None, held: None;
    squid: "squid", "curl --silent --include --proxy localhost:3128 http://127.0.0.1:1/", ready: None, held: Some(held::request(3128));
}

/// MariaDB does not read its configuration again. On the signal it reads its accounts, so an account that was inserted by hand
/// works from then on.
#[test]
fn mariadb() {
    let name = "mariadb";
    let namespace = Namespace::new(name);
    let start = Instant::now();
    namespace.apply_file(&manifest(name));
    let pod = Pod::ready(&namespace, name, name);
    let ready_after = start.elapsed();
    let mut sidecar = pod.log(SIDECAR);
    answers(&pod, &client("root", "select @@report_host"), "blue");
    let session = held::session(
        "mariadb --no-defaults --user root --unbuffered",
        "select 'held';",
        "select 'alive';",
    );
    let held = Held::open(&pod, &session);
    for word in WORDS {
        let account = format!(
            "insert into mysql.global_priv values ('localhost', '{word}', '{{\\\"plugin\\\": \\\"mysql_native_password\\\", \
             \\\"authentication_string\\\": \\\"\\\"}}')"
        );
        let insert = pod.client(&client("root", &account));
        assert!(insert.status.success(), "{insert:?}");
        let connect = client(word, "select @@report_host");
        assert!(!pod.client(&connect).status.success(), "{word}: not yet");
        edit(&namespace, &manifest(name), word);
        pod.expect(&mut sidecar, "signal sent");
        answers(&pod, &connect, "blue");
    }
    expect_metrics(&pod);
    let figures = figures(ready_after, held.expect_alive());
    finish(&pod, name, sidecar, &figures);

    fn client(user: &str, statement: &str) -> String {
        format!("mariadb --no-defaults --user {user} --execute \"{statement}\"")
    }
}
