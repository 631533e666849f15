//! The sidecar's log messages that this suite recognises, all in one place.

pub const STARTED: &str = "started";
pub const SANDBOXED: &str = "sandboxed";
pub const WATCHING: &str = "watching";
pub const CHANGED: &str = "content changed";
pub const SENT: &str = "signal sent";
pub const REQUESTED: &str = "SIGUSR1 received: reading everything and signalling now";
pub const STOPPED: &str = "stopped by SIGTERM";
pub const PENDING: &str = "reload pending: ";
/// Each ends a pending reload.
pub const NO_LONGER_PENDING: [&str; 3] = [
    "the pending reload is",
    "no signal needed",
    "is again what it was",
];

const NO_PROCESS: &str = "reload pending: no process matches";
const NO_HANDLER: &str = "which has no handler for it yet";
/// Another user of this machine may have set a low limit.
const QUEUE_OVERFLOWED: &str = "the inotify queue overflowed";

/// Returns true for a warning that a history can cause.
pub fn is_expected_warning(message: &str) -> bool {
    missing_root(message).is_some()
        || message == NO_PROCESS
        || message.starts_with(PENDING) && message.contains(NO_HANDLER)
        || message.starts_with(QUEUE_OVERFLOWED)
}

/// The root that a message reports as missing.
pub fn missing_root(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("cannot read ")?;
    let (root, _) = rest
        .strip_suffix("Waiting for it")?
        .split_once(": ENOENT")?;
    Some(root)
}

/// The root that a message reports as found again.
pub fn restored_root(message: &str) -> Option<&str> {
    message.strip_suffix(" is there again")
}
