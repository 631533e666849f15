//! Many Pods and many updates, while sidecars, applications and Pods are killed: no update is lost, none is signalled twice.

use crate::namespace::Namespace;
use crate::pod::{PATIENCE, Pod, SIDECAR, kill, target};
use crate::proxy::Proxy;
use crate::report;
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

const PODS: usize = 30;
const UPDATES: usize = 1000;

/// Every so many updates of a Pod, something is killed.
const UPDATES_PER_KILL: usize = 4;

const KILLS: [Kill; 3] = [Kill::Sidecar, Kill::Application, Kill::Pod];

/// The pause after each update, which keeps a machine of two cores responsive.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy)]
enum Kill {
    Sidecar,
    Application,
    Pod,
}

/// A Deployment of one Pod and its ConfigMap.
struct Replica<'s> {
    namespace: &'s Namespace,
    proxy: &'s Proxy,
    name: String,
}

impl Replica<'_> {
    fn path(&self, api: &str, rest: &str) -> String {
        format!("{api}/namespaces/{}/{rest}", self.namespace.name)
    }

    fn start(&self) {
        self.namespace.config_map(&self.name, &json!({"word": "0"}));
        let volume = json!({"configMap": {"name": self.name}});
        let pod = target(&self.name, "word", &volume);
        let mut spec = pod["spec"].clone();
        // Logs the content at its start, too.
        let command = "echo start $(cat /config/word); exec target /config/word";
        spec["containers"][0]["command"] = json!(["sh", "-c", command]);
        spec["terminationGracePeriodSeconds"] = 2.into();
        let labels = json!({"name": self.name});
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": self.name},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        });
        self.namespace.apply(&deployment.to_string());
    }

    /// Returns the names of its Pods, without those being deleted.
    fn pods(&self) -> Vec<String> {
        let path = self.path(
            "/api/v1",
            &format!("pods?labelSelector=name%3D{}", self.name),
        );
        let (status, body) = self.proxy.request("GET", &path, None);
        assert_eq!(status, 200, "{body}");
        let list: Value = serde_json::from_str(&body).unwrap();
        let pods = list["items"].as_array().unwrap().iter();
        let stay = pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        stay.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    }

    fn update(&self, word: &str) {
        let path = self.path("/api/v1", &format!("configmaps/{}", self.name));
        let patch = json!({"data": {"word": word}});
        let (status, body) = self.proxy.request("PATCH", &path, Some(&patch));
        assert_eq!(status, 200, "{body}");
        self.sync(word);
    }

    /// Annotates the Pod. It may just have been deleted.
    fn sync(&self, value: &str) {
        let patch = json!({"metadata": {"annotations": {"synced": value}}});
        for pod in self.pods() {
            let path = self.path("/api/v1", &format!("pods/{pod}"));
            self.proxy.request("PATCH", &path, Some(&patch));
        }
    }

    /// Returns how many were killed.
    fn kill(&self, what: Kill) -> usize {
        let pods = self.pods().into_iter();
        pods.filter(|name| self.kill_in(name, what)).count()
    }

    fn kill_in(&self, name: &str, what: Kill) -> bool {
        let pod = Pod {
            namespace: self.namespace,
            name: name.to_owned(),
            app: "target".to_owned(),
        };
        match what {
            Kill::Sidecar => kill(&pod, SIDECAR),
            Kill::Application => kill(&pod, "target"),
            Kill::Pod => {
                let path = self.path("/api/v1", &format!("pods/{name}"));
                self.proxy.request("DELETE", &path, None).0 == 200
            }
        }
    }

    /// Returns the application's log.
    fn log(&self) -> Vec<String> {
        let Some(pod) = self.pods().pop() else {
            return Vec::new();
        };
        let path = self.path("/api/v1", &format!("pods/{pod}/log?container=target"));
        let (_, log) = self.proxy.request("GET", &path, None);
        log.lines().map(str::to_owned).collect()
    }

    /// Waits until the application has started with `word` or was signalled with it.
    #[track_caller]
    fn expect(&self, word: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut syncs = 0;
        loop {
            let log = self.log();
            let content = |line: &&String| !line.starts_with("ready");
            let last = log
                .iter()
                .rfind(content)
                .and_then(|line| line.rsplit(' ').next());
            if last == Some(word) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{}: not {word} but {log:#?}",
                self.name
            );
            syncs += 1;
            self.sync(&format!("{word}-{syncs}"));
            thread::sleep(Duration::from_secs(1));
        }
    }

    /// Counts signals that brought nothing new.
    fn repeats(&self) -> usize {
        let log = self.log();
        let content = |line: &String| {
            line.starts_with("SIG")
                .then(|| line.rsplit(' ').next().unwrap().to_owned())
        };
        let contents: Vec<_> = log.iter().filter_map(content).collect();
        contents
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .count()
    }
}

#[test]
fn alone_storm_of_updates_and_kills_loses_nothing() {
    let namespace = Namespace::new("storm");
    let proxy = Proxy::start();
    let replica = |number| Replica {
        namespace: &namespace,
        proxy: &proxy,
        name: format!("storm-{number}"),
    };
    let replicas: Vec<_> = (0..PODS).map(replica).collect();
    replicas.iter().for_each(Replica::start);
    for replica in &replicas {
        replica.expect("0");
    }
    let start = Instant::now();
    let mut kills = [0; KILLS.len()];
    for update in 1..=UPDATES {
        let replica = &replicas[update % PODS];
        replica.update(&update.to_string());
        let round = update / PODS;
        if round % UPDATES_PER_KILL == update % UPDATES_PER_KILL {
            let which = round / UPDATES_PER_KILL % KILLS.len();
            kills[which] += replica.kill(KILLS[which]);
        }
        thread::sleep(PAUSE);
    }
    for (number, replica) in replicas.iter().enumerate() {
        let last = (1..=UPDATES)
            .rfind(|update| update % PODS == number)
            .unwrap();
        replica.expect(&last.to_string());
    }
    let repeats: usize = replicas.iter().map(Replica::repeats).sum();
    let [sidecars, applications, pods] = kills;
    let figures = format!(
        "{PODS} Pods, {UPDATES} updates in {:.0} s, {sidecars} sidecars, {applications} applications and {pods} Pods killed: 0 lost, {repeats} repeated",
        start.elapsed().as_secs_f64()
    );
    report::row("storm", &figures);
    // A restarted sidecar cannot know what its predecessor has signalled.
    assert!(repeats <= sidecars, "{figures}");
}
