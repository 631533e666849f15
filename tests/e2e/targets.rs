//! docs/targets.md: of each program, however it is started, the main process alone is signalled.

use crate::apache::Apache;
use crate::app::{App, Application};
use crate::gunicorn::Gunicorn;
use crate::haproxy::Haproxy;
use crate::launcher::{self, Launched};
use crate::logstash::Logstash;
use crate::named::Named;
use crate::nginx::Nginx;
use crate::php_fpm;
use crate::pod::Pod;
use crate::postgresql::Postgresql;
use crate::prometheus::Prometheus;
use crate::rack::Rack;
use crate::small::{Node, Reload};
use crate::squid::Squid;
use crate::sshd::Sshd;
use crate::support::DEADLINE;
use crate::support::process::Settings;
use crate::uwsgi::Uwsgi;
use crate::witness::Witness;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// A program, and whom the sidecar signals of it.
struct Row {
    /// The program, and how it is started.
    program: &'static str,
    /// The settings, of which each alone suffices.
    settings: &'static [&'static str],
    signal: &'static str,
    /// The command line of the process that is signalled. `…` stands for any text.
    signalled: &'static str,
    /// Command lines of those that are not. The same one again means children that look alike.
    spared: &'static [&'static str],
}

/// Makes the table, and a test of each row.
macro_rules! targets {
    ($($test:ident: $application:expr, $row:expr;)*) => {
        static ROWS: &[Row] = &[$($row),*];
        $(#[test] fn $test() { check(&$row, $application) })*
    };
}

targets! {
    nginx: Nginx, Row {
        program: "nginx",
        settings: &["PROCESS_NAME=nginx", "PROCESS_CMDLINE=nginx: master"],
        signal: "SIGHUP",
        signalled: "nginx: master process …",
        spared: &["nginx: worker process"],
    };
    nginx_behind_tini: Launched { application: Nginx, launcher: launcher::tini }, Row {
        program: "nginx behind `tini --`",
        settings: &["PROCESS_NAME=nginx", "PROCESS_CMDLINE=nginx: master"],
        signal: "SIGHUP",
        signalled: "nginx: master process …",
        spared: &["tini -s -- nginx …", "nginx: worker process"],
    };
    apache: Apache("prefork"), Row {
        program: "apache httpd",
        settings: &["PROCESS_NAME=apache2", "PROCESS_CMDLINE=apache2 -DFOREGROUND"],
        signal: "SIGUSR1",
        signalled: "apache2 …",
        spared: &["apache2 …"],
    };
    gunicorn: Gunicorn::Script, Row {
        program: "gunicorn",
        settings: &["PROCESS_NAME=gunicorn", "PROCESS_CMDLINE=/gunicorn"],
        signal: "SIGHUP",
        signalled: "…/python… …/gunicorn …",
        spared: &["…/python… …/gunicorn …"],
    };
    gunicorn_with_a_title: Gunicorn::TitledModule, Row {
        program: "gunicorn with setproctitle",
        settings: &["PROCESS_NAME=gunicorn", "PROCESS_CMDLINE=gunicorn: master"],
        signal: "SIGHUP",
        signalled: "gunicorn: master …",
        spared: &["gunicorn: worker …"],
    };
    gunicorn_behind_a_shell: Launched { application: Gunicorn::Script, launcher: launcher::shell }, Row {
        program: "gunicorn behind `sh -c '…; …'`",
        settings: &["PROCESS_NAME=gunicorn"],
        signal: "SIGHUP",
        signalled: "…/python… …/gunicorn …",
        spared: &["sh -c …/gunicorn …", "…/python… …/gunicorn …"],
    };
    uwsgi: Uwsgi, Row {
        program: "uwsgi",
        settings: &["PROCESS_NAME=uwsgi-core", "PROCESS_CMDLINE=uwsgi-core"],
        signal: "SIGHUP",
        signalled: "uwsgi-core …",
        spared: &["uwsgi-core …"],
    };
    postgresql: Postgresql, Row {
        program: "postgresql",
        settings: &["PROCESS_NAME=postgres", "PROCESS_CMDLINE=postgres -D"],
        signal: "SIGHUP",
        signalled: "…postgres -D …",
        spared: &["postgres: checkpointer", "postgres: walwriter"],
    };
    haproxy: Haproxy, Row {
        program: "haproxy -W",
        settings: &["PROCESS_NAME=haproxy", "PROCESS_CMDLINE=haproxy -W"],
        signal: "SIGUSR2",
        signalled: "haproxy …",
        spared: &["haproxy …"],
    };
    squid: Squid, Row {
        program: "squid",
        settings: &["PROCESS_NAME=squid", "PROCESS_CMDLINE=squid --foreground"],
        signal: "SIGHUP",
        signalled: "squid --foreground …",
        spared: &["(squid-1) …"],
    };
    named: Named, Row {
        program: "named",
        settings: &["PROCESS_NAME=named", "PROCESS_CMDLINE=named -g"],
        signal: "SIGHUP",
        signalled: "named …",
        spared: &[],
    };
    prometheus: Prometheus, Row {
        program: "prometheus",
        settings: &["PROCESS_NAME=prometheus", "PROCESS_CMDLINE=prometheus --config.file"],
        signal: "SIGHUP",
        signalled: "prometheus …",
        spared: &[],
    };
    puma: Rack::Puma, Row {
        program: "puma in cluster mode",
        settings: &["PROCESS_NAME=puma", "PROCESS_CMDLINE=(tcp://"],
        signal: "SIGUSR2",
        signalled: "puma … (tcp://…) […]",
        spared: &["puma: cluster worker …"],
    };
    unicorn: Rack::Unicorn, Row {
        program: "unicorn",
        settings: &["PROCESS_NAME=unicorn", "PROCESS_CMDLINE=unicorn master"],
        signal: "SIGHUP",
        signalled: "unicorn master …",
        spared: &["unicorn worker[…"],
    };
    php_fpm: php_fpm::PATIENT, Row {
        program: "php-fpm",
        settings: &["PROCESS_NAME=php-fpm", "PROCESS_CMDLINE=php-fpm: master"],
        signal: "SIGUSR2",
        signalled: "php-fpm: master process …",
        spared: &["php-fpm: pool …"],
    };
    sshd: Sshd, Row {
        program: "sshd",
        settings: &["PROCESS_NAME=sshd", "PROCESS_CMDLINE=[listener]"],
        signal: "SIGHUP",
        signalled: "sshd: …/sshd … [listener] …",
        spared: &["sshd: kim [priv]", "sshd: kim@notty"],
    };
    java_behind_a_script_with_exec: Launched { application: Logstash, launcher: launcher::script_with_exec }, Row {
        program: "Java behind a script with `exec`",
        settings: &["PROCESS_NAME=java", "PROCESS_CMDLINE=org.logstash.Logstash"],
        signal: "SIGHUP",
        signalled: "java … org.logstash.Logstash …",
        spared: &[],
    };
    java_behind_a_script_without_exec: Launched { application: Logstash, launcher: launcher::script_without_exec }, Row {
        program: "Java behind a script without `exec`",
        settings: &["PROCESS_NAME=java", "PROCESS_CMDLINE=org.logstash.Logstash"],
        signal: "SIGHUP",
        signalled: "java … org.logstash.Logstash …",
        spared: &["/bin/sh …/start.sh"],
    };
    java_behind_a_shell: Launched { application: Logstash, launcher: launcher::shell }, Row {
        program: "Java behind `sh -c '…; …'`",
        settings: &["PROCESS_NAME=java", "PROCESS_CMDLINE=org.logstash.Logstash"],
        signal: "SIGHUP",
        signalled: "java … org.logstash.Logstash …",
        spared: &["sh -c java … org.logstash.Logstash …"],
    };
    node: Node, Row {
        program: "node",
        settings: &["PROCESS_NAME=node", "PROCESS_CMDLINE=server.js"],
        signal: "SIGHUP",
        signalled: "node …/server.js …",
        spared: &[],
    };
    node_behind_npm_start: Launched { application: Node, launcher: launcher::npm }, Row {
        program: "node behind `npm start`",
        settings: &["PROCESS_NAME=node", "PROCESS_CMDLINE=server.js"],
        signal: "SIGHUP",
        signalled: "node …/server.js …",
        spared: &["npm start", "sh -c node …/server.js …"],
    };
    tini: Launched { application: Reload::C("handler"), launcher: launcher::tini }, Row {
        program: "a program behind `tini --`",
        settings: &["PROCESS_NAME=reload", "PROCESS_CMDLINE=reload handler"],
        signal: "SIGHUP",
        signalled: "…/reload handler …",
        spared: &["tini -s -- …/reload handler …"],
    };
    dumb_init: Launched { application: Reload::C("handler"), launcher: launcher::dumb_init }, Row {
        program: "a program behind `dumb-init`",
        settings: &["PROCESS_NAME=reload", "PROCESS_CMDLINE=reload handler"],
        signal: "SIGHUP",
        signalled: "…/reload handler …",
        spared: &["dumb-init …/reload handler …"],
    };
    s6: Launched { application: Reload::C("handler"), launcher: launcher::s6 }, Row {
        program: "a program behind `s6-svscan`",
        settings: &["PROCESS_NAME=reload", "PROCESS_CMDLINE=reload handler"],
        signal: "SIGHUP",
        signalled: "…/reload handler …",
        spared: &["s6-svscan …", "s6-supervise …"],
    };
    runit: Launched { application: Reload::C("handler"), launcher: launcher::runit }, Row {
        program: "a program behind `runsvdir`",
        settings: &["PROCESS_NAME=reload", "PROCESS_CMDLINE=reload handler"],
        signal: "SIGHUP",
        signalled: "…/reload handler …",
        spared: &["runsvdir …", "runsv …"],
    };
    shell_with_a_variable: Launched { application: Reload::C("handler"), launcher: launcher::shell_with_a_variable }, Row {
        program: "a program behind `sh -c '… $ARGUMENTS; …'`",
        settings: &["PROCESS_NAME=reload"],
        signal: "SIGHUP",
        signalled: "/…/reload handler …",
        spared: &["sh -c /…/reload $ARGUMENTS; :"],
    };
    shell_pipeline: Launched { application: Reload::C("handler"), launcher: launcher::pipeline }, Row {
        program: "a program in a pipeline of `bash -c`",
        settings: &["PROCESS_NAME=reload", "PROCESS_CMDLINE=reload handler"],
        signal: "SIGHUP",
        signalled: "…/reload handler …",
        spared: &["bash -c …/reload handler …", "cat"],
    };
    script_with_a_handler: Launched { application: Reload::C("handler"), launcher: launcher::script_with_handler }, Row {
        program: "a program behind a script that takes signals itself",
        settings: &["PROCESS_NAME=reload", "PROCESS_CMDLINE=reload handler"],
        signal: "SIGHUP",
        signalled: "…/reload handler …",
        spared: &["/bin/sh …/start.sh …/reload handler …"],
    };
    sigwait: Launched { application: Reload::C("sigwait"), launcher: launcher::without_capabilities }, Row {
        program: "a program in sigwait(3)",
        settings: &["PROCESS_NAME=reload", "PROCESS_CMDLINE=reload sigwait"],
        signal: "SIGHUP",
        signalled: "…/reload sigwait …",
        spared: &[],
    };
    signalfd: Reload::C("signalfd"), Row {
        program: "a program with a signalfd(2)",
        settings: &["PROCESS_NAME=reload", "PROCESS_CMDLINE=reload signalfd"],
        signal: "SIGHUP",
        signalled: "…/reload signalfd …",
        spared: &[],
    };
    go: Reload::Go, Row {
        program: "a Go program",
        settings: &["PROCESS_NAME=reload", "PROCESS_CMDLINE=/reload"],
        signal: "SIGHUP",
        signalled: "…/reload …",
        spared: &[],
    };
}

/// Asserts that with each of the settings, an update is one signal to the right process.
#[track_caller]
fn check<A: Application>(row: &Row, application: A) {
    let mut app = App::start(application);
    for (setting, text) in row.settings.iter().zip(["two", "three"]) {
        let held = app.application.hold(&app.pod);
        let expected = Expected {
            setting,
            signal: row.signal,
            target: row.target(&app.pod),
        };
        update_signals(&mut app, &expected, text, held);
    }
}

/// The process to be signalled, and the setting that finds it.
pub struct Expected<'a> {
    pub setting: &'a str,
    pub signal: &'a str,
    pub target: i32,
}

/// Updates the configuration to `text`. Asserts that this is one signal to the one process, which survives it and has the new
/// configuration then, and that what is held is not cut.
#[track_caller]
pub fn update_signals<A: Application>(
    app: &mut App<A>,
    expected: &Expected,
    text: &str,
    held: impl FnOnce(),
) {
    let (name, value) = expected.setting.split_once('=').unwrap();
    let settings = Settings::bare()
        .set("CONFIG_DIR", &app.volume.path)
        .set("RELOAD_SIGNAL", expected.signal)
        .set(name, value)
        .set("PROCESS_MIN_AGE", "0")
        .set("RELOAD_CATCH_UP", "false")
        // So that it is idle once it has sent what it will send.
        .set("RELOAD_CONFIRM", "off");
    let mut sidecar = app.sidecar(settings);
    let witness = Witness::of(&sidecar);
    app.replace(text);
    sidecar.expect("signal sent");
    held();
    app.answers(text);
    sidecar.wait_until_idle();
    let (status, log) = sidecar.end();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    let sent = [(expected.target, expected.signal.to_owned())];
    assert_eq!(witness.signalled(), sent, "{name}={value}: {log:#?}");
    // Nor is another one waited for.
    let pending = log.iter().filter(|line| line.contains("reload pending"));
    assert_eq!(pending.count(), 0, "{name}={value}: {log:#?}");
    let processes = app.pod.processes();
    assert!(processes.contains(&expected.target), "{}", app.log());
    app.is_running();
}

impl Row {
    /// Waits until the processes are as the row says, and the one to signal is at rest. Returns that.
    #[track_caller]
    fn target(&self, pod: &Pod) -> i32 {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let lines = pod.processes().into_iter();
            let lines: Vec<_> = lines.map(|pid| (pid, command_line(pid))).collect();
            match self.find_target(&lines) {
                Some(target) if is_at_rest(target) => return target,
                _ => assert!(Instant::now() < deadline, "{}: {lines:#?}", self.program),
            }
        }
    }

    /// Finds the process to signal, if it is the only one, and all others that the row names run as well.
    fn find_target(&self, lines: &[(i32, String)]) -> Option<i32> {
        let find = |pattern: &str| -> BTreeSet<i32> {
            let found = lines.iter().filter(|(_, line)| matches(line, pattern));
            found.map(|(pid, _)| *pid).collect()
        };
        let mut candidates = find(self.signalled);
        for pattern in self.spared {
            let mut spared = find(pattern);
            if *pattern == self.signalled {
                spared.retain(|pid| parent(*pid).is_some_and(|it| candidates.contains(&it)));
            }
            if spared.is_empty() {
                return None;
            }
            candidates.retain(|pid| !spared.contains(pid));
        }
        let target = candidates.pop_first();
        target.filter(|_| candidates.is_empty())
    }

    /// Its line on the page.
    fn line(&self) -> String {
        let code = |texts: &[&str], joint: &str| {
            let quoted = texts.iter().map(|text| format!("`{text}`"));
            quoted.collect::<Vec<_>>().join(joint)
        };
        let row = [
            self.program,
            &code(self.settings, " or "),
            self.signal,
            &code(&[self.signalled], ""),
            &code(self.spared, ", "),
        ];
        format!("| {} |", row.join(" | ")).replace("|  |", "| |")
    }
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}

/// Returns true if a process has slept for a moment. Some answer before they are ready for signals.
fn is_at_rest(pid: i32) -> bool {
    // It sleeps, and how often it went to sleep.
    let sleep = || -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let count = status
            .lines()
            .find(|line| line.starts_with("voluntary_ctxt"))?;
        status.contains("\nState:\tS").then(|| count.to_owned())
    };
    let before = sleep();
    thread::sleep(Duration::from_millis(50));
    before.is_some() && before == sleep()
}

/// A process's arguments, joined by spaces.
fn command_line(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line)
        .replace('\0', " ")
        .trim_end()
        .to_owned()
}

/// Returns true if a text is like this pattern, in which `…` stands for any text.
fn matches(text: &str, pattern: &str) -> bool {
    let (first, rest) = pattern.split_once('…').unwrap_or((pattern, ""));
    let Some(after) = text.strip_prefix(first) else {
        return false;
    };
    if !pattern.contains('…') {
        return after.is_empty();
    }
    (0..=after.len()).any(|at| after.is_char_boundary(at) && matches(&after[at..], rest))
}

#[test]
fn the_page_has_these_rows() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/targets.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    let expected: Vec<String> = ROWS.iter().map(Row::line).collect();
    assert_eq!(
        rows.collect::<Vec<_>>(),
        expected,
        "it should have:\n{}",
        expected.join("\n")
    );
}
