//! The base of everything else. Knows nothing of reloading.

pub mod comm;
pub mod encode;
pub mod file;
pub mod signal;
pub mod sys;
pub mod text;
pub mod time;
