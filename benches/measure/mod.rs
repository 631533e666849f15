//! What is measured.

pub mod updates;
