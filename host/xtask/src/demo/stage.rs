//! The demo's scenery: a node, a machine outside it, two containers, and Wharf installed into a root of its own.
//!
//! The outside machine knows no route to the containers, so only masqueraded traffic can be answered.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use crate::build::Built;
use crate::cni::{Attachment, Runtime};
use crate::netns::{Netns, ip};
use crate::workspace::{Workspace, create_dir};
use crate::{private, say, sh};

/// The node's address towards the outside, per family.
pub(crate) const NODE: [&str; 2] = ["192.0.2.1", "2001:db8:ff::1"];
/// The outside machine's address, per family.
pub(crate) const OUTSIDE: [&str; 2] = ["192.0.2.2", "2001:db8:ff::2"];
/// The node's link to the outside.
pub(crate) const WAN: &str = "wan0";
/// The bridge that Wharf makes.
pub(crate) const BRIDGE: &str = "wharf0";
/// The configured limits in bit/s: into and out of a container.
pub(crate) const INTO: u64 = 40_000_000;
pub(crate) const OUT_OF: u64 = 20_000_000;
/// What the containers' server listens on.
pub(crate) const CONTAINER_PORT: u16 = 80;

/// One container of the demo.
pub(crate) struct Container {
    pub(crate) attachment: Attachment,
    pub(crate) netns: Netns,
    pub(crate) host_port: u16,
}

/// Everything that stands before the first step.
pub(crate) struct Stage {
    pub(crate) wharf: PathBuf,
    /// The prefix of every path that Wharf owns.
    pub(crate) root: PathBuf,
    pub(crate) runtime: Runtime,
    pub(crate) outside: Netns,
    pub(crate) containers: [Container; 2],
}

impl Stage {
    /// Builds the scenery in the calling process's own, private namespaces.
    pub(crate) fn set(workspace: &Workspace, built: &Built) -> Result<Self> {
        // The tmpfs is seen by this process alone and goes with it, however it ends.
        let dir = workspace.target().join("demo");
        create_dir(&dir)?;
        private::tmpfs(&dir)?;
        let root = dir.join("root");
        let bin = root.join("opt/cni/bin");
        create_dir(&root)?;
        create_dir(&dir.join("netns"))?;

        let outside = Netns::create(&dir.join("netns/outside"))?;
        ip(&format!("link add {WAN} type veth peer name eth0 netns {}", outside.path().display()))?;
        let wire = |addresses: [&str; 2], link: &str| -> Result<()> {
            ip(&format!("addr add {}/24 dev {link}", addresses[0]))?;
            ip(&format!("addr add {}/64 dev {link} nodad", addresses[1]))?;
            ip(&format!("link set {link} up")).map(|_| ())
        };
        wire(NODE, WAN)?;
        outside.run(|| wire(OUTSIDE, "eth0"))?;
        say::good(format_args!(
            "a machine outside, {} and {}, that knows no route to the containers",
            OUTSIDE[0], OUTSIDE[1]
        ));

        let mut install = Command::new(&built.wharfctl);
        install.args(["install", "--guests"]).arg(&built.guests).env("WHARF_ROOT", &root);
        sh::run(&mut install)?;
        let container = |name: &str, host_port| -> Result<Container> {
            let netns = Netns::create(&dir.join("netns").join(name))?;
            let attachment = Attachment {
                container: name.to_owned(),
                netns: netns.path().to_owned(),
                interface: "eth0".to_owned(),
            };
            Ok(Container { attachment, netns, host_port })
        };
        let containers = [container("demo-one", 8080)?, container("demo-two", 8081)?];
        say::good("two containers: network namespaces without any interface but the loopback");
        let variables = vec![("WHARF_ROOT".to_owned(), root.clone().into_os_string())];
        let runtime = Runtime { cni_path: bin.clone(), variables };
        Ok(Self { wharf: bin.join("wharf"), root, runtime, outside, containers })
    }
}

impl Container {
    /// The configuration that a runtime sends for this container.
    pub(crate) fn config(&self) -> Value {
        json!({
            "cniVersion": "1.1.0",
            "name": "demo",
            "type": "wharf",
            "chain": [
                {
                    "type": "bridge", "bridge": BRIDGE, "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true,
                    "ipam": {
                        "type": "host-local",
                        "ranges": [[{"subnet": "10.88.0.0/24"}], [{"subnet": "fd88::/64"}]],
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": true}},
                {"type": "bandwidth", "capabilities": {"bandwidth": true}},
            ],
            "runtimeConfig": {
                "portMappings": [{"hostPort": self.host_port, "containerPort": CONTAINER_PORT, "protocol": "tcp"}],
                "bandwidth": {
                    "ingressRate": INTO, "ingressBurst": INTO / 50,
                    "egressRate": OUT_OF, "egressBurst": OUT_OF / 50,
                },
            },
        })
    }
}
