//! Databases: a cluster that is initialised once and copied into every Pod, and a client that stays connected.

use crate::pod::Pod;
use crate::support::process::{Talker, open_to_all};
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Databases refuse to run as root.
const USER: u32 = 65534;

/// A command that runs as the databases' user.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.uid(USER).gid(USER).current_dir("/");
    command
}

/// Puts a new cluster of `program` into the empty Pod and returns its path. `make` initialises one in an empty directory if none is
/// cached for this version of the program.
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
            // Not in the cache itself, which the databases' user may not be able to enter.
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

/// Runs a command that must succeed. Returns its output.
#[track_caller]
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the output of a client in the Pod, if it succeeds.
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
    /// Starts `client`, which reads statements and prints their results line by line.
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

    /// Executes a statement without a result.
    pub fn tell(&mut self, statement: &str) {
        writeln!(self.statements, "{statement};").unwrap();
    }

    /// Executes a statement that returns one line.
    #[track_caller]
    pub fn ask(&mut self, statement: &str) -> String {
        self.tell(statement);
        self.talker.expect("")
    }
}
