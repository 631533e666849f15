//! Finds the application's process in `/proc` and tells what a signal would do to it.
//!
//! Only `cgroup`, `cmdline`, `comm`, `stat` and `status` are read, because they are readable whoever owns the process; `exe` is not.
//! See proc(5). The directory is injected, so that tests can hand in a tree of their own.

mod cmdline;
mod guard;
mod matching;
mod near;
mod pid_file;
mod place;
mod procfs;
mod role;
mod scope;
mod select;
mod stat;
mod status;
mod threads;

pub use crate::config::{Matcher, Scope, Select};
pub use guard::{Disposition, Verdict, guard};
pub use near::NearMiss;
pub use procfs::Proc;
pub use role::Role;
pub use select::Scanned;
pub use stat::{Process, parse_stat};
pub use status::Status;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
