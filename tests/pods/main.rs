//! The Pods of `deploy/`, started by podman from the manifests that are there, their volumes updated as a kubelet does it.
//!
//! `make pods` runs them: it builds the images that they name and says in the environment where everything is.

#[path = "../support/mod.rs"]
mod support;

mod apps;
mod memory;
mod pod;
mod ways;
