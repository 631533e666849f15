//! Shared by the tests and the demo: a volume written as by the kubelet, a target that reports its signals, and the sidecar as a
//! process whose log can be waited for.
#![allow(dead_code)]

pub mod act;
pub mod digest;
pub mod docs;
pub mod events;
pub mod kernel;
pub mod process;
pub mod recipes;
pub mod scene;
pub mod volume;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Long enough for a machine under full load; nothing waits this long unless it fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The program under test: the release build for musl that `make test` names, else what cargo built for this host.
pub fn program() -> PathBuf {
    let built = option_env!("CARGO_BIN_EXE_config-reloader-sidecar");
    let named = std::env::var_os("SIDECAR").map(PathBuf::from);
    named
        .or(built.map(PathBuf::from))
        .expect("SIDECAR names the program")
}

/// A name of at most 15 bytes that no other process has: tests run in parallel, and one must not signal another's target.
pub fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!(
        "t{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Root and all that comes with it: for the tests that need another user or a namespace.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns the program that runs the sidecar, such as qemu, if there is one.
pub fn runner() -> Option<PathBuf> {
    std::env::var_os("SIDECAR_RUNNER").map(PathBuf::from)
}

/// Under qemu-user, where memory and real-time signals are not the kernel's own.
pub fn is_emulated() -> bool {
    let name = runner().and_then(|runner| Some(runner.file_name()?.to_str()?.to_owned()));
    name.is_some_and(|name| name.starts_with("qemu"))
}
