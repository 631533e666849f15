//! Integration tests: the program as it ships, against real processes, files and kernels.
//!
//! `make test` names the release build for musl in `SIDECAR`; with plain `cargo test` it is the build for this host.
//! The numbers in the tests' comments are those of the contract in README.md.

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod delivery;
mod lifecycle;
mod policy;
mod settings;
mod volume;
mod watching;
