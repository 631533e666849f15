//! Runs the manifests in `deploy/` with podman, and updates their volumes as a kubelet does.
//!
//! `make pods` runs this. It builds the images and passes paths in the environment.

#[path = "../support/mod.rs"]
mod support;

mod apps;
mod cgroup;
mod manifest;
mod memory;
mod pod;
mod ways;
