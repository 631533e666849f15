//! Signals an application when its mounted Kubernetes configuration changes.
//!
//! One thread, one `poll`, no allocator. What decides ([`config`], [`reload`], [`fingerprint`], the parsers of [`process`]) makes no
//! system call; what makes system calls decides nothing.
//!
//! # Invariants
//! - Watches are armed before anything is read, so that no change is missed in between.
//! - A signal follows a scan that found other content than was last delivered; see [`reload`].
//! - After start-up no failure ends the program.
//! - After start-up it makes the system calls listed in [`sandbox`] and no others.
//!
//! # Limits
//! - 64 roots, 64 process names
//! - 16 levels of directories and 262,144 entries below a root
//! - 8 MiB of a file read in full
//! - 4,096 bytes a log line
//! - 16 processes remembered between two deliveries, 8 watched for their exit
//! - 64 directories or files watched for being opened after a signal
//! - 8 connections with requests of 8 KiB

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
