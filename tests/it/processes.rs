//! Which processes are meant, with the names, families and numbers that processes have for real (P1, P2).

use crate::support::kernel::with_own_mounts;
use crate::support::process::{Settings, Talker, Target, eventually, open_to_all};
use crate::support::scene::Config;
use crate::support::{is_root, runner, unique_name};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::mount::{MountFlags, mount};
use rustix::process::{Resource, Signal, getpid, getrlimit};
use std::fs::{self, Permissions};
use std::io::{PipeWriter, pipe};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A change reaches the target, which sees it.
#[track_caller]
fn tell(config: &mut Config, target: &mut Target) {
    let content = config.change();
    assert_eq!(target.signalled(), ("SIGHUP".to_owned(), content));
}

/// Ends the sidecar when it has done all that it was to do. Returns the ids of those that it signalled.
#[track_caller]
fn signalled_by(mut sidecar: Talker) -> Vec<i32> {
    sidecar.wait_until_idle();
    let (_, log) = sidecar.end();
    let sent = log.iter().filter(|line| line.contains("signal sent"));
    let pid = |line: &String| {
        let (_, rest) = line.split_once(" pid=").unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    sent.map(pid).collect()
}

fn id(target: &Target) -> i32 {
    target.talker.pid().as_raw_nonzero().get()
}

/// A target that stays when its parent ends, and ends with the writer.
fn staying(name: &str, config: &Config, options: &[&str]) -> (Target, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    let target = Target::launch(name, &config.file(), options, |command| {
        command.stdin(reader);
    });
    (target, writer)
}

/// One letter of `/proc/PID/stat`; proc(5).
fn state(pid: i32) -> char {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(") ").next().unwrap().chars().next().unwrap()
}

#[test]
fn p1_a_process_is_found_by_its_title() {
    let mut config = Config::new();
    let cut = |name: &str| name[..name.len().min(15)].to_owned();
    // As nginx, as a thread pool that names its processes, and as gunicorn with setproctitle, which cuts its own name.
    type Naming = fn(&str) -> (Option<String>, Option<String>);
    let namings: [Naming; 3] = [
        |name| (None, Some(format!("{name}: master process -c /etc/x"))),
        |name| (Some(name.to_owned()), None),
        |name| {
            let title = format!("{name}: master [app:serve]");
            (Some(title.clone()), Some(title))
        },
    ];
    for naming in namings {
        let (before, name) = (unique_name(), unique_name());
        let (comm, title) = naming(&name);
        let mut options = Vec::new();
        let comm = comm.map(|comm| cut(&comm));
        if let Some(title) = &title {
            options.extend(["--title", title]);
        }
        if let Some(comm) = &comm {
            options.extend(["--comm", comm]);
        }
        let mut target = Target::start_as(&before, &config.file(), &options);
        let sidecar = config.settings(&name).start();
        tell(&mut config, &mut target);
        assert_eq!(signalled_by(sidecar), [id(&target)], "{options:?}");
        // Neither of its two names is the one that its program has.
        if comm.is_some() && title.is_some() {
            let mut sidecar = config.settings(&before).start();
            config.change();
            sidecar.expect("reload pending: no process matches");
            assert_eq!(target.count(), 1);
        }
    }
}

#[test]
fn p1_a_name_of_any_characters_is_found_and_printed_on_one_line() {
    for odd in [" a b", ") R 1 (", "\n1 (x) Z", "))", "\t:a\"\\"] {
        let mut config = Config::new();
        let name = format!("{}{odd}", unique_name());
        let mut target = Target::start_as(&name, &config.file(), &[]);
        let mut children = Target::start_as(&name, &config.file(), &["--children", "1"]);
        children.talker.expect("ready");
        let mut sidecar = config.settings(&name).start();
        let content = config.change();
        for target in [&mut target, &mut children] {
            assert_eq!(target.signalled().1, content, "{name:?}");
        }
        let line = sidecar.expect("signal sent");
        assert!(line.contains(" after_ms="), "one line: {line:?}");
        let mut told = signalled_by(sidecar);
        told.sort_unstable();
        let mut due = [id(&target), id(&children)];
        due.sort_unstable();
        assert_eq!(told, due, "{name:?}: the masters, and not the child");
    }
}

/// A script of this name that the target interprets, with an option in its first line.
fn script(name: &str, option: &str, config: &Config) -> Target {
    Target::launch(&unique_name(), &config.file(), &[], |command| {
        let interpreter = Path::new(command.get_program());
        let script = interpreter.with_file_name(name);
        let first_line = format!("#!{} {option}\n", interpreter.display());
        fs::write(&script, first_line).unwrap();
        fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
        *command = Command::new(script);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
    })
}

#[test]
fn p1_a_script_that_is_run_directly_is_found_by_its_own_name() {
    let mut config = Config::new();
    let path = config.file();
    let option = path.to_str().unwrap();
    // With an option the script's name is the third argument, otherwise the second.
    for option in ["", option] {
        for suffix in ["", "-with-a-name-over-15-bytes"] {
            let name = format!("{}{suffix}", unique_name());
            let mut target = script(&name, option, &config);
            let mut longer = script(&format!("{name}2"), option, &config);
            let sidecar = config.settings(&name).start();
            config.change();
            assert_eq!(target.signalled().0, "SIGHUP");
            assert_eq!(signalled_by(sidecar), [id(&target)], "{name} {option:?}");
            assert_eq!(longer.count(), 0);
        }
    }
}

#[test]
fn p1_an_interpreter_is_found_by_its_script() {
    let mut config = Config::new();
    let interpreter = unique_name();
    let text = format!("-m {}", unique_name());
    let start = |name: &str, note: &str| Target::start_as(name, &config.file(), &["--note", note]);
    let mut target = start(&interpreter, &text);
    let mut runs_another = start(&interpreter, "-m another");
    let mut another = start(&unique_name(), &text);
    let settings = config.settings(&interpreter);
    let sidecar = settings.set("PROCESS_CMDLINE", &text).start();
    tell(&mut config, &mut target);
    assert_eq!(signalled_by(sidecar), [id(&target)]);
    assert_eq!((runs_another.count(), another.count()), (0, 0));
}

#[test]
fn p1_a_threads_name_does_not_match() {
    let mut config = Config::new();
    let thread = unique_name();
    let name = unique_name();
    let mut target = Target::start_as(&name, &config.file(), &["--thread", &thread]);
    let mut by_thread = config.settings(&thread).start();
    let by_process = config.settings(&name).start();
    tell(&mut config, &mut target);
    by_thread.expect("reload pending: no process matches");
    assert_eq!(signalled_by(by_process), [id(&target)]);
}

#[test]
fn p2_a_kernel_thread_never_matches() {
    if fs::read_to_string("/proc/2/comm").ok().as_deref() != Some("kthreadd\n") {
        return eprintln!("kernel threads are in another namespace");
    }
    let mut config = Config::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "2\n").unwrap();
    let by_name = config.settings("kthreadd");
    let by_number = config.settings("kthreadd");
    let by_number = by_number.set("PROCESS_PID_FILE", file.path());
    let mut sidecars = [by_name.start(), by_number.start()];
    config.change();
    for sidecar in &mut sidecars {
        sidecar.expect("reload pending: no process matches");
    }
}

#[test]
fn p2_a_zombie_never_matches() {
    let mut config = Config::new();
    let name = unique_name();
    let zombie = Target::start_as(&name, &config.file(), &[]);
    zombie.talker.signal(Signal::KILL);
    eventually("a zombie", || state(id(&zombie)) == 'Z');
    let mut sidecar = config.settings(&name).start();
    config.change();
    sidecar.expect("reload pending: no process matches");
    // Beside it one that lives is still the main process.
    let mut target = Target::start_as(&name, &config.file(), &[]);
    sidecar.expect("no signal needed: the process started after the change");
    tell(&mut config, &mut target);
    assert_eq!(state(id(&zombie)), 'Z');
    assert_eq!(signalled_by(sidecar), [id(&target)]);
}

#[test]
fn p2_a_daemon_that_forks_and_exits_is_found() {
    let mut config = Config::new();
    let name = unique_name();
    let options = ["--daemon", "1", "--stay", "1"];
    let (mut target, _end) = staying(&name, &config, &options);
    let sidecar = config.settings(&name).start();
    for _ in 0..2 {
        tell(&mut config, &mut target);
    }
    // The one that was started has gone and was never signalled: the other one was, twice.
    assert_eq!(state(id(&target)), 'Z');
    let told = signalled_by(sidecar);
    assert_eq!(told.len(), 2);
    assert!(told[0] == told[1] && told[0] != id(&target), "{told:?}");
}

#[test]
fn p2_a_child_is_signalled_once_its_matching_parent_has_ended() {
    let mut config = Config::new();
    let name = unique_name();
    // As while nginx is upgraded: the new master is the old one's child.
    let (mut family, _end) = staying(&name, &config, &["--stay", "1", "--children", "1"]);
    family.talker.expect("ready");
    let mut sidecar = config.settings(&name).start();
    tell(&mut config, &mut family);
    // While it still looks at the others the child could take the parent's place in the same delivery.
    sidecar.wait_until_idle();
    family.talker.signal(Signal::KILL);
    eventually("ended", || state(id(&family)) == 'Z');
    tell(&mut config, &mut family);
    let told = signalled_by(sidecar);
    assert_eq!(told.len(), 2, "one at a time: {told:?}");
    assert_eq!(told[0], id(&family));
    assert_ne!(told[1], id(&family));
}

#[test]
fn p2_a_master_that_re_executes_itself_is_signalled_each_time_once_it_is_ready() {
    let mut config = Config::new();
    let name = unique_name();
    let hup = libc::SIGHUP.to_string();
    let options = ["--again", "1", "--late", &hup];
    let mut target = Target::start_as(&name, &config.file(), &options);
    let mut sidecar = config.settings(&name).start();
    for _ in 0..3 {
        // As it is right after it executed itself: the same process, without a handler.
        let content = config.change();
        sidecar.expect("would end or stop the process, which has no handler");
        target.talker.signal(Signal::USR2);
        assert_eq!(target.signalled().0, "SIGUSR2");
        assert_eq!(target.signalled(), ("SIGHUP".to_owned(), content));
        target.talker.expect("ready");
    }
    assert_eq!(signalled_by(sidecar), [id(&target); 3]);
}

#[test]
fn p1_among_5000_others_the_process_is_found() {
    const CROWD: u64 = 5_000;
    let nproc = getrlimit(Resource::Nproc).current;
    let memory = fs::read_to_string("/proc/meminfo").unwrap();
    let available = memory
        .lines()
        .find(|line| line.starts_with("MemAvailable:"));
    let kilobytes = available.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    if nproc.is_some_and(|most| most < 4 * CROWD) || kilobytes.is_none_or(|free| free < 4 << 20) {
        return eprintln!("no room for 5,000 processes");
    }
    let mut config = Config::new();
    let name = unique_name();
    // Before, among and behind them in the order of their numbers.
    let mut before = Target::start_as(&name, &config.file(), &[]);
    let crowd = ["--crowd", &CROWD.to_string()];
    let _crowd = Target::start_as(&unique_name(), &config.file(), &crowd);
    let mut behind = Target::start_as(&name, &config.file(), &[]);
    let sidecar = config.settings(&name).start();
    for _ in 0..3 {
        let content = config.change();
        assert_eq!(before.signalled().1, content);
        assert_eq!(behind.signalled().1, content);
    }
    assert_eq!(signalled_by(sidecar).len(), 6);
}

#[test]
fn p2_short_lived_children_are_left_alone() {
    let mut config = Config::new();
    let name = unique_name();
    let mut target = Target::start_as(&name, &config.file(), &["--storm", "100000"]);
    let sidecar = config.settings(&name).start();
    for _ in 0..20 {
        tell(&mut config, &mut target);
    }
    let stat = fs::read_to_string(format!("/proc/{0}/task/{0}/children", id(&target))).unwrap();
    let storm = stat.trim().parse().unwrap();
    assert_ne!(state(storm), 'Z', "still storming");
    assert_eq!(signalled_by(sidecar), [id(&target); 20]);
    // A signal to a child would have been printed, too.
    assert_eq!(target.count(), 20);
}

#[test]
#[ignore = "needs root"]
fn p1_with_hidepid_only_processes_of_the_same_user_are_found() {
    with_own_mounts(|| {
        let mut config = Config::new();
        open_to_all(config.directory.path());
        let name = unique_name();
        let mut others = Target::start_as(&name, &config.file(), &[]);
        let flags = MountFlags::empty();
        mount("proc", "/proc", "proc", flags, Some(c"hidepid=2")).unwrap();
        let mut sidecar = config.settings(&name).unprivileged().start();
        config.change();
        sidecar.expect("reload pending: no process matches");
        let mut own = Target::launch(&name, &config.file(), &[], |command| {
            command.uid(65534).gid(65534);
        });
        sidecar.expect("no signal needed");
        tell(&mut config, &mut own);
        sidecar.expect("signal sent");
        assert_eq!(others.count(), 0);
    });
}

/// A process file, and a sidecar that goes by nothing else. All of it is an ordinary user's, who can be refused a file.
struct ByNumber {
    config: Config,
    target: Target,
    sidecar: Talker,
}

impl ByNumber {
    fn new(set: &[(&str, &str)]) -> Self {
        let config = Config::new();
        open_to_all(config.directory.path());
        let target = Target::launch(&unique_name(), &config.file(), &[], |command| {
            if is_root() {
                command.uid(65534).gid(65534);
            }
        });
        let run = config.directory.path().with_extension("run");
        fs::create_dir(&run).unwrap();
        open_to_all(&run);
        let settings = Settings::bare()
            .set("CONFIG_DIR", config.directory.path())
            .set("PROCESS_PID_FILE", run.join("pid"))
            .set("PROCESS_MIN_AGE", "0")
            .set("RELOAD_CATCH_UP", "false")
            .set("RELOAD_CONFIRM", "off")
            .set("RELOAD_SETTLE", "20ms")
            .set("RELOAD_MIN_INTERVAL", "0");
        let settings = set.iter().fold(settings, |settings, (name, value)| {
            settings.set(name, value)
        });
        let sidecar = settings.unprivileged().start();
        Self {
            config,
            target,
            sidecar,
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.config
            .directory
            .path()
            .with_extension("run")
            .join("pid")
    }

    /// While `make` leaves something wrong in the file's place, a change stays pending and the log says `why`. Once the file is
    /// right, the change is delivered.
    #[track_caller]
    fn waits(&mut self, what: &str, why: &str, make: impl FnOnce(&Path)) {
        let before = self.target.count();
        let path = self.path();
        let _ = fs::remove_file(&path);
        make(&path);
        let content = self.config.change();
        let line = self.sidecar.expect("reload pending: ");
        let expected = format!("reload pending: {why} process_pid_file={}", path.display());
        assert!(line.ends_with(&expected), "{what}: {line}");
        assert_eq!(self.target.count(), before, "{what}");
        if path.is_dir() {
            fs::remove_dir(&path).unwrap();
        }
        // As a careful daemon writes it: whole, or not at all.
        let right = path.with_extension("new");
        fs::write(&right, format!("{}\n", id(&self.target))).unwrap();
        fs::rename(&right, &path).unwrap();
        assert_eq!(self.target.signalled().1, content, "{what}");
        self.sidecar.expect("the pending reload is delivered");
    }
}

impl Drop for ByNumber {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.path().parent().unwrap());
    }
}

const NO_ID: &str = "PROCESS_PID_FILE has no process id in its first line, or cannot be read";
const NOBODY: &str = "no process matches";

#[test]
fn p1_an_empty_process_file_keeps_the_reload_pending() {
    let mut scene = ByNumber::new(&[]);
    let pid = id(&scene.target);
    for content in [
        String::new(),
        "\n".to_owned(),
        format!("\n{pid}\n"),
        "nginx\n".to_owned(),
        format!("{pid} nginx\n"),
        format!("{pid};\n"),
        format!("pid={pid}\n"),
        // To kill(2) a whole group, everybody, one's own group.
        format!("-{pid}\n"),
        "-1\n".to_owned(),
        "0\n".to_owned(),
        "2147483648\n".to_owned(),
        "18446744073709551617\n".to_owned(),
        "1".repeat(1 << 20),
        "\0".repeat(1 << 20),
    ] {
        let shown: String = content.chars().take(24).collect();
        scene.waits(&format!("{shown:?}"), NO_ID, |path| {
            fs::write(path, &content).unwrap();
        });
    }
}

#[test]
fn p1_an_unreadable_process_file_keeps_the_reload_pending() {
    let mut scene = ByNumber::new(&[]);
    scene.waits("missing", NO_ID, |_| {});
    scene.waits("a directory", NO_ID, |path| fs::create_dir(path).unwrap());
    scene.waits("a FIFO that nobody writes to", NO_ID, |path| {
        let mode = Mode::from_raw_mode(0o644);
        mknodat(CWD, path, FileType::Fifo, mode, 0).unwrap();
    });
    let pid = id(&scene.target);
    scene.waits("unreadable", NO_ID, |path| {
        fs::write(path, format!("{pid}\n")).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap();
    });
}

#[test]
fn p1_a_process_file_naming_no_match_keeps_the_reload_pending() {
    let mut scene = ByNumber::new(&[]);
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    scene.waits("stale", NOBODY, |path| {
        fs::write(path, gone.id().to_string()).unwrap();
    });
    let sidecar = scene.sidecar.pid().as_raw_nonzero();
    scene.waits("the sidecar's own", NOBODY, |path| {
        fs::write(path, format!("{sidecar}\n")).unwrap();
    });
    let zombie = Target::start(&scene.config.file());
    zombie.talker.signal(Signal::KILL);
    eventually("a zombie", || state(id(&zombie)) == 'Z');
    scene.waits("a zombie's", NOBODY, |path| {
        fs::write(path, format!("{}\n", id(&zombie))).unwrap();
    });
}

#[test]
fn p1_a_process_file_must_agree_with_the_other_settings() {
    let mut config = Config::new();
    let mut other = Target::start(&config.file());
    let mut target = Target::start(&config.file());
    let file = tempfile::NamedTempFile::new().unwrap();
    let name = |target: &Target| format!("{}\r\n", id(target));
    fs::write(file.path(), name(&other)).unwrap();
    let settings = config.settings(&target.name);
    let settings = settings.set("PROCESS_PID_FILE", file.path());
    let mut sidecar = settings.start();
    let content = config.change();
    sidecar.expect("reload pending: no process matches");
    fs::write(file.path(), name(&target)).unwrap();
    assert_eq!(target.signalled().1, content);
    assert_eq!(other.count(), 0);
}

#[test]
fn p2_the_sidecars_own_command_line_does_not_match() {
    if runner().is_some() {
        return eprintln!("its command line begins with the runner's");
    }
    let mut config = Config::new();
    let text = unique_name();
    let settings = Settings::bare()
        .set("CONFIG_DIR", config.directory.path())
        .set("PROCESS_CMDLINE", &text);
    let mut sidecar = settings
        .adapt(|command| {
            command.arg0(&text);
        })
        .start();
    let cmdline = fs::read(format!("/proc/{}/cmdline", sidecar.pid().as_raw_nonzero())).unwrap();
    assert!(cmdline.starts_with(text.as_bytes()));
    config.change();
    sidecar.expect("reload pending: no process matches process_cmdline=");
    assert_ne!(sidecar.pid(), getpid());
    sidecar.end();
}
