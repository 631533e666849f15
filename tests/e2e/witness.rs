//! Sees by strace whom the sidecar signals, whatever its log says.

use crate::support::process::Talker;
use std::process::{Command, Stdio};

/// The system calls that can send a signal.
const CALLS: &str = "trace=kill,tkill,tgkill,rt_sigqueueinfo,rt_tgsigqueueinfo,pidfd_send_signal";

/// An observer of one sidecar.
pub struct Witness(Talker);

impl Witness {
    /// Observes a sidecar from now on.
    #[track_caller]
    pub fn of(sidecar: &Talker) -> Self {
        let mut command = Command::new("strace");
        command
            .args(["--decode-fds=pidfd", "-e", CALLS, "-e", "signal=none", "-p"])
            .arg(sidecar.pid().as_raw_nonzero().to_string())
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = child.stderr.take().unwrap();
        let mut strace = Talker::new(child, output);
        strace.expect("attached");
        Self(strace)
    }

    /// Returns the processes that were signalled, with the signals, once the sidecar has ended.
    #[track_caller]
    pub fn signalled(self) -> Vec<(i32, String)> {
        let (_, lines) = self.0.finish();
        let calls = lines.iter().filter(|line| line.contains('('));
        calls
            .map(|call| parse(call).unwrap_or_else(|| panic!("{call}")))
            .collect()
    }
}

/// Returns the process and the signal of a line such as `pidfd_send_signal(5<pid:7>, SIGHUP, NULL, 0) = 0`.
fn parse(call: &str) -> Option<(i32, String)> {
    let (_, rest) = call
        .strip_prefix("pidfd_send_signal(")?
        .split_once("<pid:")?;
    // Newer versions of strace may print more of the descriptor.
    let (pid, rest) = rest.split_once('>')?;
    let (_, rest) = rest.split_once(", ")?;
    let (signal, outcome) = rest.split_once(',')?;
    outcome.ends_with(" = 0").then_some(())?;
    Some((pid.parse().ok()?, signal.to_owned()))
}
