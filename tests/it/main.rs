//! Integration tests: the program as it ships, against real processes, files and kernels.
//!
//! `make test` names the release build for musl in `SIDECAR`; with plain `cargo test` it is the build for this host.
//! A test whose name begins with a code, such as `w2_`, proves that promise of `docs/contract.md`.

#[path = "../support/mod.rs"]
mod support;

mod architecture;
mod catch_up;
mod check;
mod commands;
mod confirm;
mod contract;
mod delivery;
mod hostile;
mod http;
mod lifecycle;
mod logs;
mod meant;
mod policy;
mod processes;
mod recovery;
mod sandbox;
mod secrecy;
mod settings;
mod settling;
mod tree;
mod volume;
mod watching;
