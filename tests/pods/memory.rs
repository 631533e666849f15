//! The memory that the manifests request is enough.

use crate::apps::{add_row, manifest};
use crate::pod::{Pod, SIDECAR};
use serde_json::json;

const UPDATES: usize = 10_000;

#[test]
fn ten_thousand_updates_fit_the_memory_request() {
    // pgbouncer does little on a reload but read its file.
    let pod = Pod::start_adapted(&manifest("pgbouncer"), |pod| {
        pod["metadata"]["name"] = "updates".into();
        let environment = pod["spec"]["containers"][0]["env"].as_array_mut().unwrap();
        environment.push(json!({"name": "RELOAD_MIN_INTERVAL", "value": "0"}));
    });
    let mut sidecar = pod.log(SIDECAR);
    sidecar.expect("watching");
    // Only once it runs, because the runtime needs more to start it.
    let request = pod.manifest.memory(SIDECAR, "requests");
    let memory = pod.memory(SIDECAR);
    let started = memory.number("memory.max_usage_in_bytes");
    memory.set("memory.limit_in_bytes", request);
    memory.set("memory.max_usage_in_bytes", 0);
    for update in 0..UPDATES {
        pod.update(&update.to_string());
        sidecar.expect("signal sent");
    }
    let peak = memory.number("memory.max_usage_in_bytes");
    assert!(memory.read("memory.oom_control").contains("oom_kill 0\n"));
    assert_eq!(pod.end(SIDECAR), "exited 0");
    let (_, log) = sidecar.finish();
    let sent = log.iter().filter(|line| line.contains("signal sent"));
    assert_eq!(sent.count(), UPDATES);
    let kib = |bytes: u64| bytes >> 10;
    println!(
        "{UPDATES} updates: {} KiB at most, {} KiB while the runtime starts it",
        kib(peak),
        kib(started)
    );
    add_row(
        "pgbouncer as requested",
        &format!(
            "yes|{UPDATES}|{UPDATES}|||{} of {} KiB|yes",
            kib(peak),
            kib(request)
        ),
    );
}
