//! Integration tests: the program as it ships, against real processes, files and kernels.
//!
//! `make test` names the release build for musl in `SIDECAR`; with plain `cargo test` it is the build for this host.
//! Tests are named after the line of this contract that they prove:
//!
//! - W1 everything below a directory is watched, 16 levels deep; a file through its directory and by itself
//! - W2 a volume of the kubelet's gives one signal per update, after its last step
//! - W3 changed content is a signal, anything else is none
//! - W4 what counts is what the application could read; what this program cannot read counts by its metadata
//! - W5 a change anywhere on the way to the content is noticed
//! - W6 a root that is missing is waited for
//! - W8 where inotify is refused, the content is compared at intervals
//! - W10 what differs is told in time, and what is put back in time is not
//! - P1 a process is matched by whole names, its command line, its process file
//! - P2 of several matches the ones without a matching ancestor are signalled, and never this program
//! - P3 a process is never signalled because its id was another's, with pidfds and without
//! - P4 a signal that would end the process waits until it would not
//! - P5 a young process is waited for, one that started after the change needs nothing
//! - P6 what cannot be delivered stays pending, and its reason is said once
//! - P7 a missing permission, or a namespace that is not shared, is said with its remedy
//! - L1 SIGTERM and SIGINT end it at once, as process 1 as well
//! - L3 at rest it sleeps
//! - L4 memory and descriptors do not grow
//! - L5 a line of the log is one write, and nothing that its reader does matters

#[path = "../support/mod.rs"]
mod support;

mod architecture;
mod catch_up;
mod check;
mod commands;
mod confirm;
mod delivery;
mod http;
mod lifecycle;
mod logs;
mod policy;
mod processes;
mod recovery;
mod sandbox;
mod settings;
mod settling;
mod tree;
mod volume;
mod watching;
