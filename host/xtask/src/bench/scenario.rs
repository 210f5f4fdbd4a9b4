//! What is measured: plugin lists as they stand in a conflist, and the configuration that each plugin gets of them.

use std::fmt;

use serde_json::{Map, Value, json};

/// How rules get into the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Iptables,
    Nftables,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iptables => "iptables",
            Self::Nftables => "nftables",
        })
    }
}

/// One list of plugins.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// For people; unique.
    pub(crate) name: String,
    backend: Option<Backend>,
    plugins: Vec<Value>,
    ports: u16,
}

/// What the names of the lists stand for.
pub(crate) const LEGEND: &str =
    "every bridge has host-local; a chain is bridge with ipMasq, portmap with as many ports, and bandwidth";

/// The chain that the targets are about, with `ports` mapped ports.
pub(crate) fn full(backend: Backend, ports: u16) -> Scenario {
    Scenario {
        name: format!("chain, {ports} port{}, {backend}", if ports == 1 { "" } else { "s" }),
        backend: Some(backend),
        plugins: vec![
            bridge(Some(backend)),
            json!({"type": "portmap", "backend": backend.to_string(), "capabilities": {"portMappings": true}}),
            json!({"type": "bandwidth", "ingressRate": 100_000_000, "ingressBurst": 10_000_000,
                   "egressRate": 100_000_000, "egressBurst": 10_000_000}),
        ],
        ports,
    }
}

/// bridge and host-local alone.
pub(crate) fn plain() -> Scenario {
    Scenario { name: "bridge".to_owned(), backend: None, plugins: vec![bridge(None)], ports: 0 }
}

/// Every list, each measured with ADD and DEL.
pub(crate) fn all() -> Vec<Scenario> {
    let loopback = json!({"type": "loopback"});
    let mut all = vec![
        Scenario { name: "loopback".to_owned(), backend: None, plugins: vec![loopback], ports: 0 },
        plain(),
    ];
    for backend in [Backend::Iptables, Backend::Nftables] {
        all.push(Scenario {
            name: format!("bridge, ipMasq, {backend}"),
            backend: Some(backend),
            plugins: vec![bridge(Some(backend))],
            ports: 0,
        });
        all.extend([1, 5].map(|ports| full(backend, ports)));
    }
    all
}

fn bridge(masquerade: Option<Backend>) -> Value {
    let mut bridge = json!({
        "type": "bridge", "bridge": "bench0", "isDefaultGateway": true,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.77.0.0/16"}]]},
    });
    if let (Some(backend), Some(object)) = (masquerade, bridge.as_object_mut()) {
        object.insert("ipMasq".to_owned(), true.into());
        object.insert("ipMasqBackend".to_owned(), backend.to_string().into());
    }
    bridge
}

impl Scenario {
    /// The same with so many routes for the container, each a change of its own.
    pub(crate) fn with_routes(mut self, count: u8) -> Self {
        self.name = format!("{}, {count} routes", self.name);
        let routes: Vec<Value> =
            (0..count).map(|number| json!({"dst": format!("10.200.{number}.0/24")})).collect();
        for plugin in &mut self.plugins {
            if let Some(ipam) = plugin.get_mut("ipam").and_then(Value::as_object_mut) {
                ipam.insert("routes".to_owned(), routes.clone().into());
            }
        }
        self
    }

    /// The interface that the list is about.
    pub(crate) fn interface(&self) -> &'static str {
        if self.name == "loopback" { "lo" } else { "eth0" }
    }

    /// The network's name.
    pub(crate) fn network(&self) -> String {
        self.name.chars().filter(char::is_ascii_alphanumeric).collect()
    }

    /// Whether the bridge masquerades with this backend.
    pub(crate) fn masquerades(&self, backend: Backend) -> bool {
        self.backend == Some(backend)
    }

    /// The plugins' types and configurations for the attachment with the given number, as libcni makes them;
    /// `data_dir` is where host-local keeps its leases.
    pub(crate) fn list(&self, number: u16, data_dir: Option<&str>) -> Vec<(String, Value)> {
        self.plugins
            .iter()
            .map(|plugin| {
                let mut config = self.envelope();
                config.extend(plugin.as_object().cloned().unwrap_or_default());
                config.remove("capabilities");
                if plugin.get("capabilities").is_some() {
                    config.insert("runtimeConfig".to_owned(), self.runtime_config(number));
                }
                if let (Some(dir), Some(ipam)) =
                    (data_dir, config.get_mut("ipam").and_then(Value::as_object_mut))
                {
                    ipam.insert("dataDir".to_owned(), dir.into());
                }
                let kind = plugin.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
                (kind, Value::Object(config))
            })
            .collect()
    }

    /// The same list as one configuration of `wharf`.
    pub(crate) fn chain(&self, number: u16) -> Value {
        let mut config = self.envelope();
        config.insert("type".to_owned(), "wharf".into());
        config.insert("chain".to_owned(), self.plugins.clone().into());
        config.insert("runtimeConfig".to_owned(), self.runtime_config(number));
        Value::Object(config)
    }

    fn envelope(&self) -> Map<String, Value> {
        // 1.0.0 is the newest version that every release of the reference understands.
        [("cniVersion", Value::from("1.0.0")), ("name", self.network().into())]
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .collect()
    }

    /// Host ports of its own for each attachment, below the range that the kernel hands out itself.
    fn runtime_config(&self, number: u16) -> Value {
        let mappings: Vec<Value> = (0..self.ports)
            .map(|port| json!({"hostPort": 10_000 + number * 5 + port, "containerPort": 80 + port, "protocol": "tcp"}))
            .collect();
        if mappings.is_empty() { json!({}) } else { json!({"portMappings": mappings}) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_plugin_gets_what_libcni_would_send() {
        let list = full(Backend::Nftables, 5).list(3, Some("/leases"));
        let kinds: Vec<_> = list.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["bridge", "portmap", "bandwidth"]);
        assert_eq!(list[0].1["ipam"]["dataDir"], "/leases");
        assert_eq!(list[0].1["ipMasqBackend"], "nftables");
        assert!(list[0].1.get("runtimeConfig").is_none(), "only a plugin with the capability gets the ports");
        let ports = list[1].1["runtimeConfig"]["portMappings"].as_array().unwrap();
        assert_eq!(
            (ports.len(), &ports[0]["hostPort"], &ports[4]["hostPort"]),
            (5, &json!(10_015), &json!(10_019))
        );
        assert!(
            list.iter()
                .all(|(_, config)| config["cniVersion"] == "1.0.0" && config.get("capabilities").is_none())
        );
    }

    #[test]
    fn the_chain_is_the_same_list_in_one_object() {
        let chain = full(Backend::Iptables, 1).chain(0);
        assert_eq!(chain["type"], "wharf");
        assert_eq!(chain["chain"][1]["capabilities"]["portMappings"], true);
        assert_eq!(chain["runtimeConfig"]["portMappings"][0]["hostPort"], 10_000);
    }

    #[test]
    fn names_are_unique_and_good_as_network_names() {
        let scenarios = all();
        for (index, scenario) in scenarios.iter().enumerate() {
            assert!(scenarios[..index].iter().all(|other| other.name != scenario.name));
            assert!(scenario.chain(0)["name"].as_str().unwrap().chars().all(|c| c.is_ascii_alphanumeric()));
        }
    }
}
