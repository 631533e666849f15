//! `check` says what the sidecar sees and sends nothing; `signal` sends once by the same rules (D1).

use crate::support::kernel::{refuse, with_own_mounts};
use crate::support::process::{Settings, Target, eventually, open_to_all};
use crate::support::volume::{Order, Volume};
use crate::support::{is_emulated, unique_name};
use rustix::mount::mount_bind;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

/// A volume, a target that reads it, and settings for both.
struct Scene {
    volume: Volume,
    target: Target,
    _directory: tempfile::TempDir,
}

impl Scene {
    fn new(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let payload = [("app.conf", "1"), ("other", "2")];
        let volume = Volume::new(directory.path().join("volume"), Order::SwapFirst, &payload);
        let target = Target::start_as(&unique_name(), &volume.path.join("app.conf"), options);
        Self {
            volume,
            target,
            _directory: directory,
        }
    }

    fn settings(&self) -> Settings {
        Settings::new(&self.volume.path, &self.target.name)
    }

    fn pid(&self) -> i32 {
        self.target.talker.pid().as_raw_nonzero().get()
    }
}

/// Runs a command to its end: exit code and standard output; nothing else may be printed.
fn run(command: &str, settings: Settings) -> (Option<i32>, String) {
    let (code, stdout, stderr) = settings.arguments(&[command]).output();
    assert_eq!(stderr, "");
    (code, stdout)
}

/// The line that holds `part`, its columns separated by one blank.
#[track_caller]
fn row(output: &str, part: &str) -> String {
    let line = output.lines().find(|line| line.contains(part));
    let line = line.unwrap_or_else(|| panic!("no {part:?} in\n{output}"));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

const WELL: &str = "\nA change would be delivered now.\n";

#[test]
fn d1_check_reports_that_all_is_well_and_sends_nothing() {
    let mut scene = Scene::new(&[]);
    let (code, output) = run("check", scene.settings());
    assert_eq!(code, Some(0), "{output}");
    assert!(output.ends_with(WELL), "{output}");
    let version = env!("CARGO_PKG_VERSION");
    let uid = rustix::process::geteuid().as_raw();
    assert!(output.starts_with(&format!(
        "config-reloader-sidecar {version} as uid {uid}\n\nroots\n"
    )));
    let path = scene.volume.path.display().to_string();
    let root = row(&output, &path);
    assert!(
        root.starts_with("Kubernetes ") && root.ends_with(&format!(" 2 1 inotify {path}")),
        "{root}"
    );
    let process = row(&output, &scene.target.name);
    let parent = std::process::id();
    assert!(
        process.starts_with(&format!("{} {parent} {uid} ", scene.pid())),
        "{process}"
    );
    assert!(
        process.ends_with(&format!("s caught yes {}", scene.target.name)),
        "{process}"
    );
    assert!(
        !output.contains('!') && !output.contains('\u{1b}'),
        "{output}"
    );
    assert_eq!(scene.target.count(), 0);
}

/// The lines of processes with this name, as they are.
fn rows<'o>(output: &'o str, scene: &Scene) -> Vec<&'o str> {
    let is_of = |line: &&str| line.ends_with(&scene.target.name);
    output.lines().filter(is_of).collect()
}

/// The output when all processes of this name are there: children take a moment to become what they are.
fn with_rows(scene: &Scene, count: usize) -> String {
    let mut output = String::new();
    eventually("all processes listed", || {
        let (code, printed) = run("check", scene.settings());
        assert_eq!(code, Some(0), "{printed}");
        output = printed;
        rows(&output, scene).len() == count
    });
    output
}

#[test]
fn d1_columns_are_aligned() {
    let scene = Scene::new(&["--children", "2"]);
    let output = with_rows(&scene, 3);
    let heading = output
        .lines()
        .find(|line| line.contains("SIGNALLED"))
        .unwrap();
    let rows = rows(&output, &scene);
    for column in ["PID", "PARENT", "UID", "AGE", "SIGHUP", "SIGNALLED", "NAME"] {
        let at = heading.find(column).unwrap();
        for row in &rows {
            assert_eq!(&row[at - 1..at], " ", "{column} in\n{output}");
            assert_ne!(&row[at..=at], " ", "{column} in\n{output}");
        }
    }
}

#[test]
fn d1_check_shows_which_of_several_matches_is_signalled() {
    let scene = Scene::new(&["--children", "1"]);
    let output = with_rows(&scene, 2);
    for row in rows(&output, &scene) {
        let words: Vec<&str> = row.split_whitespace().collect();
        let is_child = words[1] == scene.pid().to_string();
        let answer = if is_child {
            "no: an ancestor matches"
        } else {
            "yes"
        };
        assert!(row.contains(&format!("caught     {answer} ")), "{output}");
    }
    let (_, output) = run("check", scene.settings().set("PROCESS_SELECT", "all"));
    assert_eq!(output.matches("caught     yes ").count(), 2, "{output}");
}

/// `check` fails with this conclusion, and says this of the process.
#[track_caller]
fn fails(settings: Settings, name: &str, of_process: &str, conclusion: &str) -> String {
    let (code, output) = run("check", settings);
    assert_eq!(code, Some(1), "{output}");
    let end = format!("\nA change would NOT be delivered now: {conclusion}.\n");
    assert!(output.ends_with(&end), "{output}");
    if !of_process.is_empty() {
        assert!(row(&output, name).contains(of_process), "{output}");
    }
    output
}

#[test]
fn d1_check_names_a_process_that_the_signal_would_end() {
    let mut scene = Scene::new(&["--default", "1"]);
    let name = scene.target.name.clone();
    let why = "the signal would end or stop it";
    fails(
        scene.settings(),
        &name,
        "default no: the signal would end or stop it",
        why,
    );
    let (code, _) = run("check", scene.settings().set("RELOAD_GUARD", "no"));
    assert_eq!(code, Some(0), "without the guard it would be");
    assert_eq!(scene.target.count(), 0);
}

#[test]
fn d1_check_names_a_process_that_ignores_the_signal() {
    let scene = Scene::new(&["--ignore", "1"]);
    let (code, output) = run("check", scene.settings());
    assert_eq!(code, Some(0));
    assert!(
        row(&output, &scene.target.name).contains("ignored yes, in vain"),
        "{output}"
    );
}

#[test]
fn d1_check_names_a_process_that_is_too_young() {
    let scene = Scene::new(&[]);
    let settings = scene.settings().set("PROCESS_MIN_AGE", "1h");
    let why = "younger than PROCESS_MIN_AGE";
    fails(
        settings,
        &scene.target.name,
        "caught no: younger than PROCESS_MIN_AGE",
        why,
    );
}

#[test]
#[ignore = "needs root"]
fn d1_check_names_a_missing_permission_and_its_remedies() {
    let scene = Scene::new(&[]);
    let settings = scene.settings().unprivileged();
    let output = fails(settings, &scene.target.name, " 0 ", "not permitted");
    assert!(
        output.starts_with(&format!(
            "config-reloader-sidecar {} as uid 65534\n",
            env!("CARGO_PKG_VERSION")
        )),
        "{output}"
    );
    assert!(output.contains("! run the sidecar with the process's uid (runAsUser), or as uid 0 with the capability KILL\n"), "{output}");
    assert!(
        row(&output, &scene.target.name).contains("no: not permitted"),
        "{output}"
    );
}

#[test]
fn d1_check_lists_the_running_processes_if_none_matches() {
    let scene = Scene::new(&[]);
    let settings = Settings::new(&scene.volume.path, "no-such-process");
    let output = fails(settings, "", "", "no process matches");
    assert!(
        output.contains("  none matches process_name=no-such-process\n  there are: "),
        "{output}"
    );
}

#[test]
#[ignore = "needs root"]
fn d1_check_reports_a_namespace_that_is_not_shared() {
    let scene = Scene::new(&[]);
    let alone = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let settings = scene.settings().arguments(&["check"]).through(&alone);
    let (code, output, _) = settings.output();
    assert_eq!(code, Some(1));
    assert!(output.contains("! other containers' processes cannot be seen from here; set shareProcessNamespace: true in the Pod\n"), "{output}");
    assert!(
        output.ends_with("NOT be delivered now: the process namespace is not shared.\n"),
        "{output}"
    );
}

#[test]
fn d1_check_shows_the_kind_of_each_root() {
    let scene = Scene::new(&[]);
    let path = |name: &str| scene.volume.path.with_file_name(name).display().to_string();
    fs::create_dir(path("plain")).unwrap();
    fs::write(path("plain/a"), "1").unwrap();
    let roots = ["plain", "plain/a", "missing"].map(path);
    let settings = scene.settings().set("CONFIG_DIR", roots.join(","));
    let output = fails(settings, "", "", "a root is missing or cannot be read");
    for (path, kind, rest) in [
        (&roots[0], "directory", "1 1 inotify"),
        (&roots[1], "file", "1 0 inotify"),
        (&roots[2], "missing", "- 0 0 nothing yet"),
    ] {
        let line = output
            .lines()
            .filter(|line| !line.starts_with('!'))
            .find(|line| line.ends_with(path.as_str()));
        let words: Vec<&str> = line.unwrap().split_whitespace().collect();
        assert_eq!(words[0], kind, "{output}");
        assert!(
            words.join(" ").ends_with(&format!("{rest} {path}")),
            "{output}"
        );
    }
    assert!(output.contains(&format!(
        "! cannot read {}: ENOENT; is the volume mounted?",
        roots[2]
    )));
}

#[test]
fn d1_a_long_path_with_control_characters_stays_one_line() {
    let scene = Scene::new(&[]);
    let long = format!("/missing\u{1b}[31m\n/{}", "x/".repeat(1000));
    let settings = scene.settings().set("CONFIG_DIR", &long);
    let output = fails(settings, "", "", "a root is missing or cannot be read");
    let shown = long.replace('\u{1b}', "\\x1b").replace('\n', "\\x0a");
    assert!(
        output.contains(&format!("nothing yet   {shown}\n  inotify: ")),
        "{output}"
    );
}

#[test]
fn d1_check_shows_how_changes_are_noticed_without_inotify() {
    if is_emulated() {
        return eprintln!("the emulator needs the calls for itself");
    }
    let scene = Scene::new(&[]);
    let without = |settings: Settings| {
        settings.adapt(|command| refuse(command, libc::SYS_inotify_init1, None, libc::ENOSYS))
    };
    let (code, output) = run("check", without(scene.settings()));
    assert_eq!(code, Some(0), "{output}");
    assert!(
        row(&output, "Kubernetes").contains(" comparing "),
        "{output}"
    );
    let never = scene.settings().set("CONFIG_POLL_INTERVAL", "0");
    fails(
        without(never),
        "",
        "",
        "inotify is refused or does not see everything, and CONFIG_POLL_INTERVAL is 0",
    );
}

#[test]
#[ignore = "needs root"]
fn d1_check_reports_a_sub_path() {
    with_own_mounts(|| {
        let scene = Scene::new(&[]);
        let etc = scene.volume.path.parent().unwrap().join("etc");
        fs::create_dir(&etc).unwrap();
        File::create(etc.join("app.conf")).unwrap();
        mount_bind(
            fs::canonicalize(scene.volume.path.join("app.conf")).unwrap(),
            etc.join("app.conf"),
        )
        .unwrap();
        let settings = scene.settings().set("CONFIG_DIR", &etc);
        let output = fails(settings, "", "", "a mount never changes");
        assert!(
            output.contains("! ")
                && output.contains(" is a subPath mount, which Kubernetes never updates"),
            "{output}"
        );
    });
}

#[test]
#[ignore = "needs root"]
fn d1_check_reports_a_proc_that_hides_processes() {
    with_own_mounts(|| {
        let scene = Scene::new(&[]);
        let hidden = rustix::mount::mount(
            "proc",
            "/proc",
            "proc",
            rustix::mount::MountFlags::empty(),
            Some(c"hidepid=2"),
        );
        hidden.unwrap();
        let settings = scene.settings().unprivileged();
        let output = fails(settings, "", "", "no process matches");
        assert!(
            output.contains("! /proc hides the processes of other users (hidepid)\n"),
            "{output}"
        );
    });
}

#[test]
fn d1_check_reports_wrong_settings_as_run_does() {
    for command in ["check", "signal"] {
        let (code, stdout, stderr) = Settings::bare().arguments(&[command]).output();
        assert_eq!((code, stdout.as_str()), (Some(2), ""));
        assert!(stderr.contains("CONFIG_DIR is not set"), "{stderr}");
    }
}

#[test]
fn check_fails_if_standard_output_cannot_be_written() {
    let scene = Scene::new(&[]);
    let full = File::options()
        .write(true)
        .open(Path::new("/dev/full"))
        .unwrap();
    let settings = scene.settings().arguments(&["check"]).adapt(|command| {
        command.stdout(Stdio::from(full));
    });
    assert_eq!(settings.status().code(), Some(1));
}

#[test]
fn signal_sends_once_and_names_the_process() {
    let mut scene = Scene::new(&["--children", "2"]);
    let (code, output) = run("signal", scene.settings());
    assert_eq!(code, Some(0), "{output}");
    let expected = format!(
        "signal sent signal=SIGHUP pid={} process={} after_ms=",
        scene.pid(),
        scene.target.name
    );
    assert!(
        output.starts_with(&expected) && output.lines().count() == 1,
        "{output}"
    );
    assert_eq!(
        scene.target.signalled(),
        ("SIGHUP".to_owned(), "1".to_owned())
    );
    assert_eq!(scene.target.count(), 1);
}

#[test]
fn signal_follows_the_same_rules_as_run() {
    let mut scene = Scene::new(&["--default", "1"]);
    let (code, output) = run("signal", scene.settings());
    assert_eq!(code, Some(1));
    assert!(
        output
            .starts_with("! SIGHUP would end or stop the process, which has no handler for it yet"),
        "{output}"
    );
    let young = scene
        .settings()
        .set("PROCESS_MIN_AGE", "1h")
        .set("RELOAD_SIGNAL", "USR1");
    let (code, output) = run("signal", young);
    assert_eq!(code, Some(1));
    assert!(
        output.starts_with("! the process is younger than PROCESS_MIN_AGE"),
        "{output}"
    );
    let (code, output) = run(
        "signal",
        Settings::new(&scene.volume.path, "no-such-process"),
    );
    assert_eq!(
        (code, output.as_str()),
        (
            Some(1),
            "! no process matches process_name=no-such-process\n"
        )
    );
    assert_eq!(scene.target.count(), 0);
}

#[test]
fn w11_a_directory_that_may_not_be_listed_is_never_called_watched() {
    let directory = tempfile::tempdir().unwrap();
    open_to_all(directory.path());
    let private = directory.path().join("private");
    fs::create_dir(&private).unwrap();
    fs::write(directory.path().join("app.conf"), "start").unwrap();
    fs::set_permissions(&private, Permissions::from_mode(0o300)).unwrap();
    for root in [directory.path(), &private] {
        let target = Target::start(&directory.path().join("app.conf"));
        let settings = || Settings::new(root, &target.name).unprivileged();
        let (code, stdout) = run("check", settings());
        assert_eq!(code, Some(1), "{stdout}");
        let named = format!("cannot list {}: EACCES", private.display());
        assert!(stdout.contains(&named), "{stdout}");
        let noticed = format!("in part       {}\n", root.display());
        assert!(stdout.contains(&noticed), "{stdout}");
        assert!(stdout.contains("now: a directory may not be listed.\n"));
        let mut sidecar = settings().set("CONFIG_POLL_INTERVAL", "50ms").start();
        assert!(sidecar.seen().join("\n").contains(&named));
        fs::write(private.join(root.as_os_str().len().to_string()), "").unwrap();
        sidecar.expect("content changed");
    }
    fs::set_permissions(&private, Permissions::from_mode(0o700)).unwrap();
}
