//! Signals an application when its mounted Kubernetes configuration changes.
//!
//! ```text
//! environment -> config -> run (the only loop: poll) -> reload (pure: state, event, time -> action) -> process -> guard -> deliver -> confirm
//!                           |  inotify, signals, http        ^
//!                           `> watch -> tree (walk) -> fingerprint                                         every step -> report, metrics
//!                           `> mount        `> resolve (links)
//! ```
//!
//! One thread, one `poll`, no allocator. What decides (`config`, `signal`, `reload`, `fingerprint`, the parsers of `process`,
//! the verdict of `deliver`) makes no system call; what makes system calls decides nothing.
//!
//! # Invariants
//! - Watches are armed before anything is read, so that no change falls between.
//! - A signal follows a look that saw other content than was delivered last; see [`reload`].
//! - After start-up no failure ends the program.
//! - After start-up it makes the system calls of [`sandbox`] and no others.
//!
//! # Limits
//! 64 roots, 64 process names, 16 levels of directories, 262,144 entries below a root, 8 MiB of a file read in full, log lines
//! of 2,048 bytes, 16 processes remembered between two deliveries, 8 watched for their end and 64 directories or files for being
//! opened after a signal, 8 connections with requests of 8 KiB.

#![cfg_attr(not(test), no_std)]

pub mod base;
pub mod check;
pub mod command;
pub mod config;
pub mod confirm;
pub mod deliver;
pub mod fingerprint;
pub mod http;
pub mod mount;
pub mod process;
pub mod reload;
pub mod report;
pub mod run;
pub mod sandbox;
pub mod tree;
pub mod watch;
