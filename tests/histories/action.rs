//! The smallest things that a history does.

use crate::support::act::{Act, print, quote};
use std::path::{Path, PathBuf};

/// Something done at once to a file, to a file that stays open, or to a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    File(Act),
    Open(PathBuf),
    Put(String),
    Close,
    Kill,
    Start,
    Stop,
    Continue,
    Request,
}

impl Action {
    pub fn touches_files(&self) -> bool {
        match self {
            Self::File(_) | Self::Open(_) | Self::Put(_) | Self::Close => true,
            Self::Kill | Self::Start | Self::Stop | Self::Continue | Self::Request => false,
        }
    }

    /// Returns true if it must not hold off the start of a process, its own or another's.
    pub fn forks(&self) -> bool {
        matches!(self, Self::Start | Self::Kill)
    }

    /// Returns the shell command for this, run by the writer with this number in the directory `base`.
    pub fn shell(&self, writer: usize, base: &Path) -> String {
        let base = base.display();
        // 0 to 2 are the standard streams.
        let number = writer + 3;
        let text = match self {
            Self::File(act) => act.shell(),
            Self::Open(path) => format!("exec {number}> {}", quote(&path.display().to_string())),
            Self::Put(content) => print(content, ">&", &number.to_string()),
            Self::Close => format!("exec {number}>&-"),
            Self::Kill => "kill -KILL $target; wait $target".to_owned(),
            Self::Start => "start_target".to_owned(),
            Self::Stop => "kill -STOP $sidecar".to_owned(),
            Self::Continue => "kill -CONT $sidecar".to_owned(),
            Self::Request => "kill -USR1 $sidecar".to_owned(),
        };
        text.replace(&format!("ln -s {base}/"), "ln -s \"$PWD\"/")
            .replace(&format!("{base}/"), "")
    }
}

/// An action, and the pause before it.
pub struct Paused {
    pub pause_ms: u64,
    pub action: Action,
}

pub fn paused(pause_ms: u64, action: Action) -> Paused {
    Paused { pause_ms, action }
}

pub fn act(act: Act) -> Paused {
    paused(0, Action::File(act))
}

pub fn act_after(pause_ms: u64, act: Act) -> Paused {
    paused(pause_ms, Action::File(act))
}
