//! The base of everything else. Knows nothing of reloading.

pub mod address;
pub mod comm;
pub mod encode;
pub mod file;
pub mod signal;
pub mod sys;
pub mod text;
pub mod time;
