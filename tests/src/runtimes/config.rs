//! Network configurations as they stand in `/etc/cni/net.d`: the plugins one after the other, or as one process.

use serde_json::{Map, Value, json};

use super::Machine;

/// How a list is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Each plugin under its own name, a link to Wharf.
    DropIn,
    /// `{"type": "wharf", "chain": [...]}`.
    Chain,
}

impl Form {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::DropIn, Self::Chain];
}

/// A network configuration list.
#[derive(Clone, Debug)]
pub struct List {
    /// The network's name.
    pub name: String,
    /// `cniVersion`.
    pub version: String,
    /// Its plugins.
    pub plugins: Vec<Value>,
    /// How they are run.
    pub form: Form,
}

/// The name server and the search domain that the bridge of [`List::pods`] tells.
pub const DNS: [&str; 2] = ["192.0.2.53", "cluster.test"];

impl List {
    /// A network `pods` of cniVersion 1.0.0 as nodes have it: a bridge with both families and masquerading, mapped ports,
    /// limits; with this backend for the rules.
    pub fn pods(form: Form, backend: &str) -> Self {
        let ipam = json!({
            "type": "host-local",
            "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd01::/64"}]],
        });
        let bridge = json!({
            "type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "hairpinMode": true, "ipMasq": true,
            "ipMasqBackend": backend, "ipam": ipam, "dns": {"nameservers": [DNS[0]], "search": [DNS[1]]},
        });
        let portmap = json!({"type": "portmap", "backend": backend, "capabilities": {"portMappings": true}});
        let bandwidth = json!({"type": "bandwidth", "capabilities": {"bandwidth": true}});
        Self { name: "pods".into(), version: "1.0.0".into(), plugins: vec![bridge, portmap, bandwidth], form }
    }

    /// One that somebody else wrote, to be installed as it is.
    pub fn parse(text: &str) -> Self {
        let list: Value = serde_json::from_str(text).expect("a list is JSON");
        let field = |name: &str| list[name].as_str().expect("a list has a name and a version").to_owned();
        let plugins = list["plugins"].as_array().expect("a list has plugins").clone();
        Self { name: field("name"), version: field("cniVersion"), plugins, form: Form::DropIn }
    }

    /// In another cniVersion.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.version = version.into();
        self
    }

    /// With its first plugin changed.
    #[must_use]
    pub fn bridge(mut self, key: &str, value: Value) -> Self {
        self.plugins[0][key] = value;
        self
    }

    /// Under another name, on a bridge and subnets of its own.
    #[must_use]
    pub fn second(mut self, name: &str) -> Self {
        self.plugins[0]["bridge"] = "cni1".into();
        self.plugins[0]["isDefaultGateway"] = false.into();
        self.plugins[0]["isGateway"] = true.into();
        self.plugins[0]["ipam"]["ranges"] = json!([[{"subnet": "10.2.0.0/24"}], [{"subnet": "fd02::/64"}]]);
        self.name = name.into();
        self
    }

    /// With limits in Mbit/s into each pod and out of it, for runtimes that know none; and the bytes that pass at once.
    #[must_use]
    pub fn limits(mut self, [into, out_of]: [u32; 2], burst: u32) -> Self {
        let (bits, burst) = (|mbit: u32| u64::from(mbit) * 1_000_000, u64::from(burst) * 8);
        self.plugins[2] = json!({
            "type": "bandwidth", "ingressRate": bits(into), "ingressBurst": burst, "egressRate": bits(out_of),
            "egressBurst": burst,
        });
        self
    }

    /// With the name servers of this file, which the address manager reads, instead of the bridge's own.
    #[must_use]
    pub fn resolv_conf(mut self, path: &str) -> Self {
        self.plugins[0].as_object_mut().expect("a plugin is an object").remove("dns");
        self.plugins[0]["ipam"]["resolvConf"] = path.into();
        self
    }

    /// As it stands in its file.
    pub fn json(&self) -> Value {
        let plugins = match self.form {
            Form::DropIn => json!(self.plugins),
            Form::Chain => {
                let mut chain = self.plugins.clone();
                // podman overwrites the capabilities of the first plugin with this one, unless it is there.
                chain[0]["capabilities"] = json!({"ips": true});
                // To a runtime it is one plugin, which must ask for what its own plugins ask for.
                let asked = chain.iter().filter_map(|plugin| plugin["capabilities"].as_object()).flatten();
                let asked: Map<String, Value> = asked.map(|(name, on)| (name.clone(), on.clone())).collect();
                json!([{"type": "wharf", "capabilities": asked, "chain": chain}])
            }
        };
        json!({"cniVersion": self.version, "name": self.name, "plugins": plugins})
    }

    /// Writes it onto a machine.
    pub fn install(&self, machine: &Machine) {
        machine.write(&format!("/etc/cni/net.d/{}.conflist", self.name), &format!("{:#}\n", self.json()));
    }
}
