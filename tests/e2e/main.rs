//! End-to-end tests: the program as it ships, with software that real Pods run.
//!
//! `make e2e` runs them: it installs what they need and names it in the environment. Where that cannot be, it skips them and
//! says so; a test that runs and lacks something fails.

// The benchmark needs more of it.
#[allow(dead_code)]
#[path = "../../benches/sample.rs"]
mod sample;
#[path = "../support/mod.rs"]
mod support;

mod apache;
mod app;
mod editors;
mod fuse;
mod git;
mod gunicorn;
mod haproxy;
mod http;
mod image;
mod jq;
mod load;
mod logstash;
mod mariadb;
mod named;
mod nginx;
mod permissions;
mod pgbouncer;
mod php_fpm;
mod postgresql;
mod prometheus;
mod sandbox;
mod sql;
mod squid;
mod sshd;
mod unread;
mod uwsgi;
mod wsgi;

/// What `make e2e` has found.
#[track_caller]
fn named(variable: &str) -> String {
    std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| panic!("this needs what {variable} names; make e2e sets it"))
}
