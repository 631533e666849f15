//! The walk over everything an application can read below a root: one pass arms watches and takes the fingerprint.
//!
//! Directories are walked by descriptor, so paths of any length work and nothing can be swapped underneath. Links are resolved
//! name by name, as in path_resolution(7), because every directory on the way decides what is read in the end.
//!
//! # Invariants
//! - A directory or file is armed before it is read: a later change gives an event.
//! - FIFOs, sockets and devices are never opened: what is opened is located and examined first.
//! - The walk below a root spends from one [`Budget`], whether it lists, resolves or reads.

mod budget;
mod directory;
mod file;
mod open;
mod read;
mod remaining;
mod resolve;
mod visit;
mod walk;

pub use budget::{BOUNDS, BYTES_MAX, Bound, Budget, ENTRIES_MAX, LINKS_MAX, TIME_MAX};
pub use visit::{Armed, Passage, Role, Shortfall, Visit, Volume};
pub use walk::{LEVELS, Walked, walk};

#[cfg(test)]
mod tests;
