//! The alerts and the dashboard in `deploy/monitoring`, with a real Prometheus that scrapes the release program.
//!
//! `make rules` runs this, after promtool has tested each alert alone.

#[path = "../support/mod.rs"]
mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use support::process::{Settings, Talker, Target, eventually};
use support::unique_name;
use support::volume::{Order, Volume};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/monitoring");

struct Prometheus {
    url: String,
    _server: Talker,
}

impl Prometheus {
    /// Starts a server that scrapes a sidecar as `podmonitor.yaml` configures it.
    fn start(directory: &Path, sidecar: &str) -> Self {
        let address = free_address();
        let rules = std::env::var("RULES").expect("RULES is not set; run this by make rules");
        let config = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}\n\
             rule_files: [{rules}]\n\
             scrape_configs:\n\
             - job_name: prometheus\n  static_configs: [{{targets: ['{address}']}}]\n\
             - job_name: config-reloader-sidecar\n  static_configs:\n  - targets: ['{sidecar}']\n    \
               labels: {{namespace: shop, pod: web-0, container: config-reloader}}\n"
        );
        let file = directory.join("prometheus.yaml");
        fs::write(&file, config).unwrap();
        let mut child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stderr.take().unwrap();
        let mut server = Talker::new(child, output);
        server.expect("Server is ready");
        Self {
            url: format!("http://{address}"),
            _server: server,
        }
    }

    /// Evaluates an expression. Fails if Prometheus rejects it.
    #[track_caller]
    fn query(&self, expression: &str) -> Vec<Value> {
        let output = Command::new("promtool")
            .args(["query", "--format=json", "instant", &self.url, expression])
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{expression}: {error}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[track_caller]
    fn expect_some(&self, expression: &str) {
        eventually(expression, || !self.query(expression).is_empty());
    }

    #[track_caller]
    fn expect_alert(&self, name: &str, state: &str) {
        self.expect_some(&format!(
            "ALERTS{{alertname=\"{name}\", alertstate=\"{state}\", namespace=\"shop\", pod=\"web-0\"}}"
        ));
    }
}

/// Returns an address where nobody listens.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Finds the names of the sidecar's metrics in a text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|character: char| character != '_' && !character.is_alphanumeric());
    let ours = words.filter(|word| word.starts_with("reloader_"));
    ours.map(str::to_owned).collect()
}

/// Returns every expression of the dashboard, with Grafana's variables set to match all Pods.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    let of_panels = targets.map(|target| target["expr"].as_str().unwrap());
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let of_variables = variables.iter().filter_map(|variable| {
        let inner = variable["query"]["query"]
            .as_str()?
            .strip_prefix("label_values(")?;
        Some(inner.rsplit_once(", ")?.0)
    });
    let expressions = of_panels.chain(of_variables).map(|expression| {
        expression
            .replace("$cluster", ".*")
            .replace("$job", ".+")
            .replace("$namespace", ".*")
            .replace("$pod", ".*")
            .replace("$__rate_interval", "1m")
            .replace("$__range", "6h")
    });
    expressions.collect()
}

#[test]
fn the_dashboard_and_the_alerts_use_the_metrics_that_exist() {
    let directory = tempfile::tempdir().unwrap();
    let volume = Volume::new(
        directory.path().join("volume"),
        Order::SwapFirst,
        &[("app.conf", "one")],
    );
    let file = volume.path.join("app.conf");
    let mut app = Target::start_as(&unique_name(), &file, &["--die", "2"]);
    let address = free_address();
    let mut sidecar = Settings::new(&volume.path, &app.name)
        .set("RELOAD_CONFIRM", "warn")
        .set("LISTEN_ADDR", &address)
        .set("CONFIG_HASH_KEY", "a key of the test")
        .start();
    let prometheus = Prometheus::start(directory.path(), &address);
    // The initial value has to be scraped, so that there is an increase later.
    prometheus.expect_some("reloader_changes_total == 0");
    volume.update_with(&[("app.conf", "two")], |_| {});
    assert_eq!(app.signalled().1, "two");
    sidecar.expect("reload confirmed");
    prometheus.expect_some("reloader_confirmations_total == 1");

    let dashboard = fs::read_to_string(format!("{SHIPPED}/dashboard.json")).unwrap();
    for expression in expressions(&serde_json::from_str(&dashboard).unwrap()) {
        let is_complete = !expression.replace("\"$1\"", "").contains('$');
        assert!(is_complete, "{expression}");
        prometheus.expect_some(&expression);
    }
    let exported = prometheus.query("{__name__=~\"reloader_.+\"}");
    let exported: BTreeSet<String> = exported
        .iter()
        .map(|series| series["metric"]["__name__"].as_str().unwrap().to_owned())
        .collect();
    let alerts = fs::read_to_string(format!("{SHIPPED}/prometheusrule.yaml")).unwrap();
    assert_eq!(
        metrics_in(&dashboard),
        exported,
        "the dashboard shows every metric"
    );
    assert!(metrics_in(&alerts).is_subset(&exported));

    prometheus.expect_some("prometheus_rule_group_iterations_total > 0");
    let failures = prometheus.query("prometheus_rule_evaluation_failures_total > 0");
    assert_eq!(failures, [] as [Value; 0]);
    let alerts = prometheus.query("ALERTS");
    assert_eq!(alerts, [] as [Value; 0]);
    volume.update_with(&[("app.conf", "three")], |_| {});
    sidecar.expect("the process ended after the signal");
    prometheus.expect_alert("ReloadSidecarKillsApplication", "firing");
    // Alerts that fire only after some time are pending until then.
    volume.update_with(&[("app.conf", "four")], |_| {});
    sidecar.expect("reload pending");
    prometheus.expect_alert("ReloadSidecarNotDelivered", "pending");
    prometheus.expect_some("time() - (reloader_pending_since_timestamp_seconds > 0) < 60");
    fs::remove_dir_all(&volume.path).unwrap();
    prometheus.expect_alert("ReloadSidecarRootMissing", "pending");
    drop(sidecar);
    prometheus.expect_alert("ReloadSidecarDown", "pending");
    prometheus.expect_some("ALERTS{alertname=\"ReloadSidecarAbsent\", alertstate=\"pending\"}");
}
