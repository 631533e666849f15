//! What the databases share: a cluster that is made once and copied into every Pod, and a client that stays connected.

use crate::app::Pod;
use crate::support::process::{Talker, open_to_all};
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Databases refuse to run as root: as nobody.
const USER: u32 = 65534;

/// A command of the databases' user.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.uid(USER).gid(USER).current_dir("/");
    command
}

/// Puts a new cluster of `program` into the Pod, where nothing else is yet. It is a copy: `make` makes one in an empty directory
/// when there is none for this version of the program.
pub fn cluster(pod: &Pod, program: &str, make: impl FnOnce(&Path)) -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let version = output(Command::new(program).arg("--version"));
    let version: String = version
        .chars()
        .map(|char| if char.is_alphanumeric() { char } else { '-' })
        .collect();
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(version.trim_matches('-'));
    {
        let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.exists() {
            // Not where it is kept: the databases' user may not look into somebody's home.
            let directory = tempfile::tempdir().unwrap();
            open_to_all(directory.path());
            let made = directory.path().join("data");
            std::fs::create_dir(&made).unwrap();
            chown(&made, Some(USER), Some(USER)).unwrap();
            make(&made);
            let unfinished = kept.with_extension("unfinished");
            output(Command::new("rm").arg("-rf").arg(&unfinished));
            output(Command::new("cp").arg("-a").arg(&made).arg(&unfinished));
            std::fs::rename(unfinished, kept.clone()).unwrap();
        }
    }
    chown(pod.path(""), Some(USER), Some(USER)).unwrap();
    let data = pod.path("data");
    output(Command::new("cp").arg("-a").arg(kept).arg(&data));
    data
}

/// What a command that succeeds prints.
#[track_caller]
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a client in the Pod prints, if it succeeds.
pub fn query(pod: &Pod, client: &mut Command) -> Option<String> {
    let output = pod.output(client);
    let answer = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| answer.trim().to_owned())
}

/// A client that stays connected.
pub struct Session {
    statements: ChildStdin,
    talker: Talker,
}

impl Session {
    /// `client` reads statements and prints what they give, line by line.
    pub fn new(pod: &Pod, client: &mut Command) -> Self {
        client.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pod.spawn(client);
        let statements = child.stdin.take().unwrap();
        let answers = child.stdout.take().unwrap();
        Self {
            statements,
            talker: Talker::new(child, answers),
        }
    }

    /// Has a statement carried out that gives nothing.
    pub fn tell(&mut self, statement: &str) {
        writeln!(self.statements, "{statement};").unwrap();
    }

    /// Has a statement carried out that gives one line.
    #[track_caller]
    pub fn ask(&mut self, statement: &str) -> String {
        self.tell(statement);
        self.talker.expect("")
    }
}
