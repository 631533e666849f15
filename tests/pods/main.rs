//! The Compose file, and the memory that 10,000 updates take: podman shows them better than a node.
//!
//! Run by `make pods`, which builds the images and passes paths in the environment. `make cluster` runs all of `deploy/` on a real
//! Kubernetes.

#[path = "../support/mod.rs"]
mod support;

mod cgroup;
mod compose;
mod container;
mod memory;
