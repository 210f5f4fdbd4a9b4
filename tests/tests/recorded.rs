//! The calls that real clients were seen to make, run without them. `runtimes/recording.rs` says how they come about.

use std::collections::BTreeMap;
use std::fs;

use wharf_tests::node::files;
use wharf_tests::runtimes::fixture;
use wharf_tests::runtimes::recorder::Call;
use wharf_tests::{Container, Node, Value, json};

/// What the recorded run had and what this one has.
struct Replay<'n> {
    node: &'n Node,
    containers: BTreeMap<String, Container>,
    names: Vec<(String, String)>,
}

impl<'n> Replay<'n> {
    /// With a container for each namespace that the calls name.
    fn new(node: &'n Node, calls: &[Call]) -> Self {
        let mut replay = Self { node, containers: BTreeMap::new(), names: Vec::new() };
        for call in calls {
            let path = call.var("CNI_NETNS");
            if path.starts_with('/') && !replay.containers.contains_key(path) {
                let container = node.container(&format!("recorded-{}", replay.containers.len()));
                let own = container.path().display().to_string();
                replay.names.push((path.to_owned(), own));
                replay.containers.insert(path.to_owned(), container);
            }
        }
        replay
    }

    /// The same with this run's names.
    fn here(&self, value: &Value) -> Value {
        let rename = |text: String, (there, here): &(String, String)| text.replace(there, here);
        let text = self.names.iter().fold(value.to_string(), rename);
        serde_json::from_str(&text).expect("still JSON")
    }

    fn call(&mut self, call: &Call) {
        let env = self.here(&json!(call.env));
        let env: Vec<(&str, &str)> = env
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| !["CNI_PATH", "PATH"].contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let stdin = self.here(&call.stdin).to_string();
        let outcome = self.node.exec(&call.plugin, &env, stdin.as_bytes());
        assert_eq!(outcome.status, call.status, "{outcome}");
        self.learn(&call.stdout, &outcome.json);
        assert_eq!(self.here(&call.stdout), outcome.json, "{outcome}");
        if call.var("CNI_COMMAND") == "ADD" {
            self.has_addresses(call, &outcome.json);
        }
    }

    /// Links get other names and addresses in each run.
    fn learn(&mut self, there: &Value, here: &Value) {
        let interfaces = |result: &Value| result["interfaces"].as_array().cloned().unwrap_or_default();
        for (there, here) in interfaces(there).iter().zip(&interfaces(here)) {
            for key in ["name", "mac"] {
                if let (Some(there), Some(here)) = (there[key].as_str(), here[key].as_str())
                    && there != here
                    && !self.names.iter().any(|(known, _)| known == there)
                {
                    self.names.push((there.to_owned(), here.to_owned()));
                }
            }
        }
    }

    fn has_addresses(&self, call: &Call, result: &Value) {
        let container = &self.containers[call.var("CNI_NETNS")];
        let addresses = container.addresses(call.var("CNI_IFNAME"));
        for ip in result["ips"].as_array().unwrap() {
            let address = ip["address"].as_str().unwrap().to_owned();
            assert!(addresses.contains(&address), "{address} is not among {addresses:?}");
        }
    }
}

#[test]
fn recorded_calls_of_every_client_do_what_they_did() {
    let all = fixture::all();
    assert_eq!(all.len(), 16, "each of eight clients with drop-ins and with one process");
    for (name, calls) in all {
        println!("{name}: {} calls", calls.len());
        let node = Node::new();
        let mut left = None;
        // What the first run leaves is what all containers share; the second adds nothing.
        for _ in 0..2 {
            let mut replay = Replay::new(&node, &calls);
            for call in &calls {
                replay.call(call);
            }
            drop(replay);
            // The next address is the first again.
            let leases = node.leases("");
            for file in
                files(&leases).iter().filter(|file| file.display().to_string().contains("last_reserved_ip"))
            {
                fs::remove_file(leases.join(file)).unwrap();
            }
            let now = node.dump();
            if let Some(before) = left.replace(now) {
                left.as_ref().unwrap().assert_same(&before);
            }
        }
    }
}
