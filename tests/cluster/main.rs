//! Tests on a real Kubernetes.
//!
//! Run by `make cluster`, which sets KUBECONFIG and KUBECTL. Each test uses a namespace of its own. Tests named `alone_…` run one
//! after the other when all others are done.

#[path = "../support/mod.rs"]
mod support;

mod apps;
mod chart;
mod commands;
mod confined;
mod failures;
mod held;
mod kinds;
mod namespace;
mod pod;
mod policy;
mod proxy;
mod refusals;
mod report;
mod scraped;
mod storm;
mod volumes;
mod ways;
