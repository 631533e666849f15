//! End-to-end tests: the program as it ships, with software that real Pods run.
//!
//! `make e2e` runs them: it installs what they need and names it in the environment. Where that cannot be, it skips them and
//! says so; a test that runs and lacks something fails.

#[path = "../support/mod.rs"]
mod support;

mod apache;
mod app;
mod editors;
mod fuse;
mod git;
mod haproxy;
mod http;
mod image;
mod named;
mod nginx;
mod php_fpm;
mod squid;
mod sshd;
mod unread;

/// What `make e2e` has found.
#[track_caller]
fn named(variable: &str) -> String {
    std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| panic!("this needs what {variable} names; make e2e sets it"))
}
