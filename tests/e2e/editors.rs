//! Programs with which people and scripts change files: a save is one signal, and saving the same bytes is none.
//!
//! The root is the file or its directory. What a program creates beside the file counts only if the root is the directory, as the
//! application could read it. Each test prints the number of signals.

use crate::support::process::{Settings, eventually};
use crate::support::scene::{Scene, whole};
use crate::terminal::Terminal;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

/// The files that a program works on.
struct Place {
    /// The file, which holds one line.
    file: PathBuf,
    /// A directory outside the roots, for other files that the program needs.
    elsewhere: tempfile::TempDir,
}

impl Place {
    /// Creates a file outside the roots that contains `line`.
    fn source(&self, line: &str) -> PathBuf {
        let source = self.elsewhere.path().join("app.conf");
        fs::write(&source, format!("{line}\n")).unwrap();
        source
    }

    /// Runs the command `words`, with `FILE` replaced by the file's path, without the user's settings.
    fn run(&self, words: &[&str]) {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
    }

    /// Runs a command with this standard input.
    fn feed(&self, words: &[&str], input: &str) {
        let mut child = self.command(words).stdin(Stdio::piped()).spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        assert!(child.wait().unwrap().success(), "{words:?}");
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        for word in &words[1..] {
            match *word {
                "FILE" => command.arg(&self.file),
                word => command.arg(word),
            };
        }
        command
            .current_dir(self.elsewhere.path())
            .env("HOME", self.elsewhere.path())
            .env("LC_ALL", "C")
            .env("TERM", "vt100")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// Starts a command on a new terminal.
    fn on_terminal(&self, words: &[&str]) -> Terminal {
        let quoted = words
            .join(" ")
            .replace("FILE", &self.file.display().to_string());
        let sized = format!("stty rows 24 columns 80; exec {quoted}");
        let mut command = self.command(&[
            "script",
            "--quiet",
            "--flush",
            "--return",
            "--command",
            &sized,
            "/dev/null",
        ]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Terminal::new(command.spawn().unwrap())
    }

    /// A value that changes with every save, even of the same bytes.
    fn version(&self) -> Option<(u64, i64, i64)> {
        let stat = fs::metadata(&self.file).ok()?;
        Some((stat.ino(), stat.mtime(), stat.mtime_nsec()))
    }

    /// Makes the program save by `action`, and waits until it has begun to.
    fn saves(&self, action: impl FnOnce()) {
        let before = self.version();
        action();
        eventually("saved", || {
            let now = self.version();
            now.is_some() && now != before
        });
    }
}

/// The root that the sidecar watches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Root {
    File,
    Directory,
}

fn scene(root: Root, adapt: impl FnOnce(Settings) -> Settings) -> (Scene, Place) {
    let prepare = |directory: &Path| {
        let file = directory.join("app.conf");
        fs::write(&file, "start\n").unwrap();
        match root {
            Root::File => file,
            Root::Directory => whole(directory),
        }
    };
    let scene = Scene::with(prepare, adapt);
    let place = Place {
        file: scene.path("app.conf"),
        elsewhere: tempfile::tempdir().unwrap(),
    };
    (scene, place)
}

/// Counts the signals for a `save` that replaces the line `start`.
fn signals(root: Root, line: &str, save: &dyn Fn(&Place, &str)) -> usize {
    // Longer than any pause of these programs between two steps.
    let (scene, place) = scene(root, |settings| {
        settings
            .set("RELOAD_SETTLE", "1s")
            .set("RELOAD_SETTLE_MAX", "1m")
    });
    save(&place, line);
    assert_eq!(
        fs::read_to_string(&place.file).unwrap(),
        format!("{line}\n")
    );
    let mut ending = scene.finish();
    assert_ne!(
        ending.count(" event "),
        0,
        "something was done: {:#?}",
        ending.log
    );
    match ending.count("signal sent") {
        0 => 0,
        _ => ending.signals(line),
    }
}

/// Asserts that `save` gives one signal for a new line and none for the same line. If the directory is watched, the same line may
/// give `left` signals, because of files that the program leaves there.
#[track_caller]
fn each_save_is_one_signal(program: &str, left: usize, save: impl Fn(&Place, &str) + Sync) {
    let save = &save;
    let counts = thread::scope(|scope| {
        [
            (Root::File, "new"),
            (Root::File, "start"),
            (Root::Directory, "new"),
            (Root::Directory, "start"),
        ]
        .map(|(root, line)| scope.spawn(move || signals(root, line, save)))
        .map(|counting| counting.join().unwrap())
    });
    println!(
        "{program:24} signals of a save: file {}, directory {}; of the same bytes: file {}, directory {}",
        counts[0], counts[2], counts[1], counts[3]
    );
    assert_eq!(counts, [1, 0, 1, left], "{program}");
}

#[test]
fn vim_saves_with_one_signal() {
    each_save_is_one_signal("vim", 0, |place, line| {
        let replace = format!("%s/.*/{line}/");
        place.run(&[
            "vim.tiny", "-u", "NONE", "-es", "-c", &replace, "-c", "wq", "FILE",
        ]);
    });
}

#[test]
fn vim_with_backupcopy_saves_with_one_signal() {
    each_save_is_one_signal("vim backupcopy=yes", 0, |place, line| {
        let replace = format!("%s/.*/{line}/");
        place.run(&[
            "vim.tiny",
            "-u",
            "NONE",
            "-es",
            "-c",
            "set backupcopy=yes",
            "-c",
            &replace,
            "-c",
            "wq",
            "FILE",
        ]);
    });
}

/// Makes emacs keep backups below /tmp as well, where these tests run.
const WITH_BACKUP: &str = "(setq backup-enable-predicate (lambda (_) t))";

#[test]
fn emacs_saves_with_one_signal() {
    // It leaves a backup, which is a new file.
    each_save_is_one_signal("emacs", 1, |place, line| {
        let save = format!(
            r#"(progn (erase-buffer) (insert "{line}\n") (set-buffer-modified-p t) (save-buffer))"#
        );
        place.run(&[
            "emacs",
            "--quick",
            "--batch",
            "--eval",
            WITH_BACKUP,
            "FILE",
            "--eval",
            &save,
        ]);
    });
}

#[test]
fn nano_saves_with_one_signal() {
    each_save_is_one_signal("nano", 0, |place, line| {
        let mut nano = place.on_terminal(&["nano", "--ignorercfiles", "FILE"]);
        nano.shows("start");
        // Cut the line, type another, write the file.
        place.saves(|| nano.keys(&format!("\x0b{line}\x0f\r")));
        nano.keys("\x18");
        nano.ends();
    });
}

#[test]
fn ed_saves_with_one_signal() {
    each_save_is_one_signal("ed", 0, |place, line| {
        place.feed(&["ed", "-s", "FILE"], &format!("1c\n{line}\n.\nw\nq\n"));
    });
}

#[test]
fn sed_in_place_gives_one_signal() {
    each_save_is_one_signal("sed -i", 0, |place, line| {
        place.run(&["sed", "-i", &format!("s/.*/{line}/"), "FILE"]);
    });
}

#[test]
fn perl_in_place_gives_one_signal() {
    each_save_is_one_signal("perl -i", 0, |place, line| {
        place.run(&["perl", "-i", "-pe", &format!("s/.+/{line}/"), "FILE"]);
    });
}

/// Copies a file from outside the roots by the command `words`.
fn copied(program: &'static str, words: &[&str]) {
    each_save_is_one_signal(program, 0, |place, line| {
        let source = place.source(line);
        let words = [words, &[source.to_str().unwrap(), "FILE"]].concat();
        place.run(&words);
    });
}

#[test]
fn cp_gives_one_signal() {
    copied("cp", &["cp"]);
    copied("cp --remove-destination", &["cp", "--remove-destination"]);
}

#[test]
fn mv_gives_one_signal() {
    copied("mv", &["mv"]);
}

#[test]
fn install_gives_one_signal() {
    copied("install", &["install"]);
}

#[test]
fn ln_gives_one_signal() {
    copied("ln -sf", &["ln", "-sf"]);
}

#[test]
fn rsync_gives_one_signal() {
    copied("rsync", &["rsync", "--ignore-times"]);
    copied("rsync --inplace", &["rsync", "--ignore-times", "--inplace"]);
}

#[test]
fn tar_gives_one_signal() {
    each_save_is_one_signal("tar x", 0, |place, line| {
        place.source(line);
        place.run(&["tar", "-cf", "archive.tar", "app.conf"]);
        let directory = place.file.parent().unwrap().to_str().unwrap();
        place.run(&["tar", "-xf", "archive.tar", "-C", directory]);
    });
}

#[test]
fn tee_and_the_shell_give_one_signal() {
    each_save_is_one_signal("tee", 0, |place, line| {
        place.feed(&["tee", "FILE"], &format!("{line}\n"));
    });
    each_save_is_one_signal("sh -c 'echo > file'", 0, |place, line| {
        place.run(&["sh", "-c", r#"echo "$1" > "$0""#, "FILE", line]);
    });
}

// Editors that stay open.

/// Opens an editor, saves the new line and quits, with the sidecar idle between the steps. Returns the number of signals. Asserts
/// that one of them delivered the new line.
fn session(root: Root, words: &[&str], save: &str, leave: &str) -> usize {
    let (mut scene, place) = scene(root, |settings| settings.set("RELOAD_SETTLE", "1s"));
    let mut editor = place.on_terminal(words);
    editor.shows("start");
    scene.sidecar.wait_until_idle();
    place.saves(|| editor.keys(save));
    while scene.target.signalled().1 != "new" {}
    scene.sidecar.wait_until_idle();
    editor.keys(leave);
    editor.ends();
    let signals = scene.finish().signals("new");
    println!("{:24} signals of a session: {root:?} {signals}", words[0]);
    signals
}

#[test]
fn vim_left_open_signals_for_its_swap_file() {
    let session = |root| {
        let words = ["vim.tiny", "-u", "NONE", "-N", "FILE"];
        session(root, &words, ":%s/.*/new/\r:w\r", ":q\r")
    };
    assert_eq!(session(Root::File), 1);
    // Signals: the swap file is created, perhaps written to, the file saved, the swap file removed.
    let signals = session(Root::Directory);
    assert!((3..=4).contains(&signals), "{signals}");
}

#[test]
fn emacs_left_open_signals_for_its_lock() {
    let session = |root| {
        let with_backup = format!("'{WITH_BACKUP}'");
        let words = [
            "emacs",
            "--quick",
            "--no-window-system",
            "--eval",
            &with_backup,
            "FILE",
        ];
        session(root, &words, "\x0bnew\x18\x13", "\x18\x03")
    };
    assert_eq!(session(Root::File), 1);
    // The lock may be seen between the first key and the save.
    let signals = session(Root::Directory);
    assert!((1..=2).contains(&signals), "{signals}");
}

#[test]
fn nano_left_open_signals_once() {
    let session = |root| {
        let words = ["nano", "--ignorercfiles", "FILE"];
        session(root, &words, "\x0bnew\x0f\r", "\x18")
    };
    assert_eq!(session(Root::File), 1);
    assert_eq!(session(Root::Directory), 1);
}
