//! Signals an application when its mounted Kubernetes configuration changes.
//!
//! One thread, one poll(2), no allocator. Every module uses only what stands below it, or to its right:
//!
//! ```text
//! top       main, command                          one function for each command
//! story     run, check                             the loop; the diagnosis
//! doing     watch, deliver, confirm, http, sandbox inotify; signals; their effect; metrics and health; the sandbox
//! seeing    tree, process, mount                   walk and links; /proc; the mount table
//! deciding  reload, fingerprint, config            pure: when to scan and signal; what changed; settings
//! telling   report                                 one list of facts, written as log lines and metrics
//! base      sys, address, time, text, file, encode, signal, comm
//! ```
//!
//! `tests/it/architecture.rs` lists the permitted uses.
//!
//! # Invariants
//! - Watches are set before anything is read, so that no change falls in between.
//! - A signal follows a scan that saw other content than was last delivered; see [`reload`].
//! - After start-up no failure ends the program. With the sandbox on, the kernel refuses every system call not listed in [`sandbox`].
//!
//! # Limits
//! 64 roots, 64 process names, 16 levels of directories; for each root 262,144 entries, 65,536 steps through links, 1 GiB to
//! read and 5 seconds of processor time; 8 MiB of a file read in full, log lines of 4,096 bytes, 16 processes held and 64
//! remembered as waiting between two attempts, at most 8 watched for their end, and 64 directories
//! or files for being opened, after a signal, 8 connections with requests of 8 KiB.

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
