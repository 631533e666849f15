//! Which of several processes is meant: programs and their launchers, orphans, other containers and Pods, copies of the sidecar
//! (P1, P2, P10, P11, P14).

use crate::support::process::{Settings, Talker, Target, example};
use crate::support::scene::Config;
use crate::support::{is_root, program, runner, unique_name};
use std::fs;
use std::io::{PipeWriter, Read, Write, pipe};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Starts a target below a shell that runs `script`, in which `$0` stands for the target's command line.
/// It ends with the writer.
fn below_shell(name: &str, config: &Config, script: &str) -> (Target, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    let options = ["--note", name, "--stay", "1"];
    let target = Target::launch(name, &config.file(), &options, |command| {
        let words = [command.get_program()]
            .into_iter()
            .chain(command.get_args());
        let words: Vec<&str> = words.map(|word| word.to_str().unwrap()).collect();
        let mut shell = Command::new("sh");
        shell.args(["-c", &script.replace("$0", &words.join(" "))]);
        shell.stdin(reader).stdout(Stdio::piped());
        *command = shell;
    });
    (target, writer)
}

/// Returns the lines about signals in the log of a sidecar that has nothing left to do.
fn signals_of(mut sidecar: Talker) -> Vec<String> {
    sidecar.wait_until_idle();
    let (_, mut log) = sidecar.end();
    log.retain(|line| line.contains("signal sent"));
    log
}

/// Changes the configuration, and asserts that the target alone is signalled.
#[track_caller]
fn reloads_alone(config: &mut Config, target: &mut Target, sidecar: Talker) {
    let content = config.change();
    assert_eq!(target.signalled(), ("SIGHUP".to_owned(), content));
    let sent = signals_of(sidecar);
    let [sent] = &sent[..] else {
        panic!("{sent:#?}")
    };
    assert!(sent.contains(&format!("process={}", target.name)), "{sent}");
}

fn by_cmdline(config: &Config, text: &str) -> Settings {
    Settings::bare()
        .set("CONFIG_DIR", config.directory())
        .set("PROCESS_CMDLINE", text)
        .set("PROCESS_MIN_AGE", "0")
        .set("RELOAD_CATCH_UP", "false")
        .set("RELOAD_CONFIRM", "off")
}

#[test]
fn p10_a_program_is_signalled_and_the_shell_above_it_is_not() {
    for script in [
        "$0; :",
        "$0 | cat",
        "trap : HUP; $0; :",
        "sh -c 'trap : HUP; $0; :'; :",
    ] {
        let mut config = Config::new();
        let name = unique_name();
        let (mut target, _writer) = below_shell(&name, &config, script);
        let sidecar = by_cmdline(&config, &format!("--note {name}")).start();
        reloads_alone(&mut config, &mut target, sidecar);
    }
}

#[test]
fn p1_the_first_word_of_a_title_is_a_name() {
    let mut config = Config::new();
    let name = unique_name();
    let title = format!("{name} 7.2.1 (tcp://127.0.0.1:9293) [shop]");
    let options = ["--comm", "interpreter", "--title", &title];
    let mut target = Target::start_as(&unique_name(), &config.file(), &options);
    let sidecar = config.settings(&name).start();
    let content = config.change();
    assert_eq!(target.signalled().1, content);
    assert_eq!(signals_of(sidecar).len(), 1);
}

#[test]
fn p2_a_process_whose_first_thread_has_ended_is_signalled() {
    let mut config = Config::new();
    let name = unique_name();
    let mut target = Target::start_as(&name, &config.file(), &["--leave", "1"]);
    let sidecar = config.settings(&name).start();
    reloads_alone(&mut config, &mut target, sidecar);
}

/// The sidecar's program under another name.
struct Renamed {
    directory: tempfile::TempDir,
    name: String,
}

impl Renamed {
    fn new() -> Self {
        let renamed = Self {
            directory: tempfile::tempdir().unwrap(),
            name: unique_name(),
        };
        fs::copy(program(), renamed.path()).unwrap();
        renamed
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    /// Starts it with these settings.
    fn start(&self, settings: Settings) -> Talker {
        let run = |command: &mut Command| {
            let mut renamed = Command::new(self.path());
            let environment = command.get_envs();
            renamed.env_clear();
            renamed.envs(environment.filter_map(|(name, value)| Some((name, value?))));
            renamed.stdin(Stdio::null());
            renamed.stdout(Stdio::null()).stderr(Stdio::piped());
            *command = renamed;
        };
        settings.adapt(run).start()
    }
}

#[test]
fn p2_only_what_runs_the_sidecars_file_is_a_copy_of_it() {
    if runner().is_some() {
        return eprintln!("all run the emulator");
    }
    let mut config = Config::new();
    let program = Renamed::new();
    let _other = program.start(config.settings("nobody"));
    let mut sidecar = program.start(config.settings(&program.name));
    config.change();
    sidecar.expect("reload pending: no process matches");
    // An application may have the same name.
    let mut target = Target::start_as(&program.name, &config.file(), &[]);
    sidecar.expect("no signal needed");
    reloads_alone(&mut config, &mut target, sidecar);
}

#[test]
fn p11_an_orphan_is_passed_over_while_another_match_has_its_parent() {
    if !is_root() || runner().is_some() {
        return eprintln!("needs root, and the kernel's own processes");
    }
    let mut config = Config::new();
    let name = unique_name();
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join(&name);
    fs::copy(example("target"), &target).unwrap();
    let start = format!("{} {} --stay 1", target.display(), config.file().display());
    // The first shell ends at once, so that process 1, the script's, adopts its child.
    let script = format!(
        "sleep 1000 | sh -c '{start} <&3 & :' 3<&0 & sh -c 'sleep 1000 | {start}; :' & \
         until [ $(cat /proc/[0-9]*/comm | grep -cx {name}) = 2 ]; do sleep 0.1; done; \"$0\"; :"
    );
    let mut sidecar = config
        .settings(&name)
        .set("LOG_FORMAT", "text")
        .through(&[
            "unshare",
            "--pid",
            "--fork",
            "--mount-proc",
            "--kill-child",
            "sh",
            "-c",
            &script,
        ])
        .start();
    config.change();
    let sent = sidecar.expect("signal sent");
    let adopted = sidecar.expect("process 1 has adopted a process that matches");
    let pid = |line: &str| {
        line.split(" pid=")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_ne!(pid(&adopted), pid(&sent), "{adopted} {sent}");
}

#[test]
fn p14_a_process_in_a_pid_namespace_below_is_meant_on_the_node_alone() {
    if !is_root() {
        return eprintln!("needs root");
    }
    let mut config = Config::new();
    let name = unique_name();
    let target = Target::launch(&name, &config.file(), &[], |command| {
        let mut inner = Command::new("unshare");
        inner.args(["--pid", "--fork", "--kill-child"]);
        inner.arg(command.get_program()).args(command.get_args());
        inner.stdin(Stdio::null()).stdout(Stdio::piped());
        *command = inner;
    });
    is_meant_on_the_node_alone(&mut config, target, "no: in another container");
}

/// Asserts that `check` and a delivery leave the target out, but not with `PROCESS_SCOPE=node`.
#[track_caller]
fn is_meant_on_the_node_alone(config: &mut Config, mut target: Target, why: &str) {
    let name = target.name.clone();
    let (code, check, _) = config.settings(&name).arguments(&["check"]).output();
    assert_eq!(code, Some(1), "{check}");
    assert!(check.contains(why), "{check}");
    assert!(
        check.contains("PROCESS_SCOPE=node would include"),
        "{check}"
    );
    let mut sidecar = config.settings(&name).start();
    config.change();
    sidecar.expect("reload pending: no process matches");
    drop(sidecar);
    let sidecar = config.settings(&name).set("PROCESS_SCOPE", "node").start();
    reloads_alone(config, &mut target, sidecar);
}

/// A control group named as a kubelet names that of a Pod. Dropping it removes it, once its processes have ended.
struct PodGroup(PathBuf);

impl PodGroup {
    fn new() -> Option<Self> {
        let parents = ["freezer", "pids", ""].map(|name| Path::new("/sys/fs/cgroup").join(name));
        let parent = parents.iter().find(|it| it.join("cgroup.procs").exists())?;
        let uid = format!("0f8b6f21-7d4c-4c53-9c3e-{:012x}", std::process::id());
        let group = Self(parent.join(format!("pod{uid}")));
        fs::create_dir(&group.0).ok()?;
        Some(group)
    }
}

impl Drop for PodGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn p14_a_process_of_another_pod_is_meant_on_the_node_alone() {
    let is_machine = fs::read_link("/proc/self/ns/pid").unwrap() == Path::new("pid:[4026531836]");
    let Some(group) = PodGroup::new().filter(|_| is_machine) else {
        return eprintln!("needs control groups and the machine's own PID namespace");
    };
    let mut config = Config::new();
    let target = Target::start(&config.file());
    let pid = target.talker.pid().as_raw_nonzero().to_string();
    fs::write(group.0.join("cgroup.procs"), pid).unwrap();
    is_meant_on_the_node_alone(&mut config, target, "no: in another Pod");
}

#[test]
fn d1_check_names_near_misses_with_the_setting_that_would_match() {
    let config = Config::new();
    let name = unique_name();
    let debug = format!("{name}x");
    let target = Target::start_as(&debug, &config.file(), &[]);
    let note = format!("/opt/{name}.sh");
    let script = Target::start_as(&unique_name(), &config.file(), &["--note", &note]);
    let (code, check, _) = config.settings(&name).arguments(&["check"]).output();
    assert_eq!(code, Some(1), "{check}");
    for (process, setting) in [
        (&target, format!("PROCESS_NAME={debug} would match it")),
        (&script, format!("PROCESS_CMDLINE={note} would match it")),
    ] {
        let pid = process.talker.pid().as_raw_nonzero();
        let line = format!("process {pid} nearly matches; {setting}");
        assert!(check.contains(&line), "{line}: {check}");
    }
}

#[test]
fn p10_a_shell_that_was_there_before_its_program_is_not_what_is_meant() {
    let mut config = Config::new();
    let name = unique_name();
    let (reader, writer) = pipe().unwrap();
    let note = format!("--note {name}");
    // The shell waits for a line before it starts the program.
    let target = example("target");
    let script = format!(
        "read -r _; {} {} {note} --stay 1; :",
        target.display(),
        config.file().display()
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).stdin(reader);
    shell.stdout(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    let mut sidecar = by_cmdline(&config, &note).start();
    (&writer).write_all(b"\n").unwrap();
    let mut ready = [0; 6];
    let mut output = shell.stdout.take().unwrap();
    output.read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"ready\n");
    config.change();
    sidecar.expect("signal sent");
    sidecar.wait_until_idle();
    let (_, log) = sidecar.end();
    let pending = log.iter().any(|line| line.contains("reload pending"));
    assert!(!pending, "{log:#?}");
    drop(writer);
    shell.wait().unwrap();
}
