//! End-to-end tests of the release program with software that real Pods run.
//!
//! `make e2e` runs them. It installs what they need, names it in the environment, and reports the tests that it has to skip. A test
//! that runs without what it needs fails.

// The benchmark uses the rest.
#[allow(dead_code)]
#[path = "../../benches/sample.rs"]
mod sample;
#[path = "../support/mod.rs"]
mod support;

mod apache;
mod app;
mod editors;
mod emulated;
mod fuse;
mod git;
mod gunicorn;
mod haproxy;
mod http;
mod image;
mod jq;
mod launcher;
mod load;
mod logstash;
mod mariadb;
mod named;
mod nginx;
mod permissions;
mod pgbouncer;
mod php_fpm;
mod pod;
mod postgresql;
mod prometheus;
mod rack;
mod sandbox;
mod small;
mod sql;
mod squid;
mod sshd;
mod startup;
mod targets;
mod terminal;
mod unread;
mod uwsgi;
mod witness;
mod wsgi;

/// Returns the value of a variable that `make e2e` sets.
#[track_caller]
fn named(variable: &str) -> String {
    std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| panic!("{variable} is not set; run this by make e2e"))
}
