//! What is measured.

pub mod latency;
