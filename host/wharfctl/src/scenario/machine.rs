//! The machine of a scenario, and what somebody else than Wharf does on it. It is made by operations, as a real one would
//! be: what the kernel refuses, a scenario cannot have.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use wharf_kernel::Kernel as _;
use wharf_ops::addresses::AddressOp;
use wharf_ops::links::{Common, LinkOp, VethEnd};
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{Attachment, KernelOp, Link, Ns, Reply};
use wharf_sim::{Features, Sim, Space};

use super::format::{self, Place, Scenario};
use super::step::{Who, netns};

/// The namespaces, by name.
#[derive(Clone, Debug)]
pub(super) struct Spaces {
    /// Whose attachments there are.
    pub(super) network: String,
    pub(super) host: Space,
    pub(super) containers: BTreeMap<String, Space>,
}

/// What a host has that says nothing of its links.
const USUAL: [(&str, &str, &str); 2] =
    [("192.0.2.10/24", "0.0.0.0/0", "192.0.2.1"), ("2001:db8::10/64", "::/0", "2001:db8::1")];

/// The machine as the scenario begins.
pub(super) fn build(scenario: &Scenario, network: &str) -> Result<(Sim, Spaces)> {
    let kernel = scenario.kernel;
    let sim = Sim::new(kernel.seed);
    sim.set_features(Features {
        vlan_filtering: kernel.vlan_filtering,
        bridge_netfilter: kernel.bridge_netfilter,
        nftables: kernel.nftables,
        iptables: kernel.iptables,
    });
    let containers = scenario.container_names().into_iter();
    let containers = containers.map(|name| (name.clone(), sim.add_namespace(netns(&name)))).collect();
    let spaces = Spaces { network: network.to_owned(), host: sim.host(), containers };
    let host = if scenario.host.bare { scenario.host.clone() } else { usual(&scenario.host)? };
    change(&sim, &spaces, Some(&host), &scenario.containers)?;
    Ok((sim, spaces))
}

/// The host with a loopback and an `eth0` to the outside.
fn usual(host: &Place) -> Result<Place> {
    let mut host = host.clone();
    host.links.entry("lo".to_owned()).or_default().up = Some(true);
    if host.links.contains_key("eth0") {
        return Ok(host);
    }
    let mut eth0 = format::Link::default();
    for (address, to, via) in USUAL {
        eth0.addresses.push(address.parse()?);
        let (to, via) = (to.parse()?, Some(via.parse()?));
        host.routes.push(format::Route { to, via, dev: Some("eth0".to_owned()) });
    }
    // No address is checked for duplicates: nobody is there who could have it.
    host.sysctls.insert("ipv6/conf/default/accept_dad".to_owned(), Value::from(0));
    host.sysctls.insert("ipv6/conf/all/accept_dad".to_owned(), Value::from(0));
    host.links.insert("eth0".to_owned(), eth0);
    Ok(host)
}

/// Files that are there from the start.
pub(super) fn write_files(scenario: &Scenario, root: &Path) -> Result<()> {
    let write = |path: &str, text: &str| {
        let path = root.join(path.trim_start_matches('/'));
        let folder = path.parent().ok_or_else(|| anyhow!("{} is no file", path.display()))?;
        fs::create_dir_all(folder)?;
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    for (path, text) in &scenario.files {
        if path.split('/').any(|part| part == "..") {
            bail!("files: {path:?} leaves the machine");
        }
        write(path, text)?;
    }
    for (network, leases) in &scenario.leases {
        wharf_cni::config::network_name(network).with_context(|| format!("leases: {network:?}"))?;
        for (address, owner) in leases {
            let owner = Who::parse(owner);
            let text = format!("{}\r\n{}", owner.container, owner.ifname);
            write(&format!("var/lib/cni/networks/{network}/{address}"), &text)?;
        }
    }
    Ok(())
}

/// Changes the machine.
pub(super) fn change(
    sim: &Sim,
    spaces: &Spaces,
    host: Option<&Place>,
    containers: &BTreeMap<String, Place>,
) -> Result<()> {
    // First what is between the two, then what needs it.
    for (name, place) in containers {
        let hand = Hand::new(sim, spaces, Some(name))?;
        for (link, says) in &place.links {
            hand.veth(link, says).with_context(|| format!("containers.{name}.links.{link}"))?;
        }
    }
    if let Some(place) = host {
        Hand::new(sim, spaces, None)?.place(Ns::Host, place).context("host")?;
    }
    for (name, place) in containers {
        let hand = Hand::new(sim, spaces, Some(name))?;
        hand.place(Ns::Container, place).with_context(|| format!("containers.{name}"))?;
    }
    Ok(())
}

/// Somebody who works on the machine.
struct Hand<'a> {
    sim: &'a Sim,
    spaces: &'a Spaces,
    container: Option<Space>,
}

impl<'a> Hand<'a> {
    fn new(sim: &'a Sim, spaces: &'a Spaces, container: Option<&str>) -> Result<Self> {
        let space = |name| {
            let found = spaces.containers.get(name).copied();
            found.ok_or_else(|| anyhow!("there is no container {name:?}"))
        };
        Ok(Self { sim, spaces, container: container.map(space).transpose()? })
    }

    fn apply(&self, op: &KernelOp) -> Result<Reply> {
        let owner = Attachment { network: String::new(), container: String::new(), ifname: String::new() };
        let answer = self.sim.kernel(self.spaces.host, self.container).apply(&owner, op);
        answer.map_err(|error| anyhow!("{}: {error}", op.operation().name))
    }

    fn link(&self, op: LinkOp) -> Result<Reply> {
        self.apply(&KernelOp::Link(op))
    }

    fn find(&self, ns: Ns, name: &str) -> Result<Option<Link>> {
        Ok(self.link(LinkOp::Get { ns, name: name.to_owned() })?.maybe_link()?)
    }

    fn known(&self, ns: Ns, name: &str) -> Result<Link> {
        self.find(ns, name)?.ok_or_else(|| anyhow!("there is no link {name:?}"))
    }

    /// A veth from a container to the host, if the link says so.
    fn veth(&self, name: &str, says: &format::Link) -> Result<()> {
        let Some(peer) = &says.peer else { return Ok(()) };
        let end = |ns, name: &str| VethEnd {
            ns,
            name: name.into(),
            mtu: says.mtu,
            mac: None,
            tx_queue_length: None,
        };
        let (a, mut b) = (end(Ns::Host, peer), end(Ns::Container, name));
        b.mac = says.mac;
        self.link(LinkOp::CreateVeth { a, b }).map(drop)
    }

    fn place(&self, ns: Ns, place: &Place) -> Result<()> {
        if place.gone {
            let space = self.container.ok_or_else(|| anyhow!("the host cannot be gone"))?;
            self.sim.remove_namespace(space);
            return Ok(());
        }
        let space = self.container.unwrap_or(self.spaces.host);
        // Those of links that are made only now come later.
        let (own, all): (Vec<_>, Vec<_>) =
            place.sysctls.iter().partition(|(key, _)| names_a_link(key, place));
        self.sysctls(ns, &all)?;
        for (name, says) in &place.links {
            self.one(ns, space, name, says).with_context(|| format!("links.{name}"))?;
        }
        for (name, says) in place.links.iter().filter(|(_, says)| !says.gone) {
            self.port(ns, name, says).with_context(|| format!("links.{name}"))?;
        }
        self.sysctls(ns, &own)?;
        for route in &place.routes {
            self.route(ns, route).with_context(|| format!("route to {}", route.to))?;
        }
        for chain in &place.chains {
            self.sim.add_chain(space, chain);
        }
        place.flush.iter().try_for_each(|who| self.flush(who))
    }

    fn sysctls(&self, ns: Ns, values: &[(&String, &Value)]) -> Result<()> {
        for (key, value) in values {
            let value = crate::words::word(value);
            let key = (*key).clone();
            self.apply(&KernelOp::Sysctl(SysctlOp::Write { ns, key, value }))?;
        }
        Ok(())
    }

    fn one(&self, ns: Ns, space: Space, name: &str, says: &format::Link) -> Result<()> {
        let there = self.find(ns, name)?;
        if says.gone {
            let link = there.ok_or_else(|| anyhow!("it is not there"))?;
            return self.link(LinkOp::Delete { link }).map(drop);
        }
        let new = there.is_none() || says.peer.is_some();
        let link = match there {
            Some(link) => link,
            None => self.make(ns, space, name, says)?,
        };
        if let Some(mtu) = says.mtu {
            self.link(LinkOp::SetMtu { link: link.clone(), mtu })?;
        }
        if let Some(mac) = says.mac {
            self.link(LinkOp::SetMac { link: link.clone(), mac })?;
        }
        if says.up.is_some() || new {
            self.link(LinkOp::SetUp { link: link.clone(), up: says.up.unwrap_or(true) })?;
        }
        if let Some(peer) = says.peer.as_deref().filter(|_| ns == Ns::Container) {
            self.link(LinkOp::SetUp { link: self.known(Ns::Host, peer)?, up: true })?;
        }
        for address in &says.without {
            let (on, address) = (link.clone(), *address);
            self.apply(&KernelOp::Address(AddressOp::Remove { on, address }))?;
        }
        for address in &says.addresses {
            let (on, address) = (link.clone(), *address);
            self.apply(&KernelOp::Address(AddressOp::Add { on, address }))?;
        }
        Ok(())
    }

    /// Its bridge, once that is there, too.
    fn port(&self, ns: Ns, name: &str, says: &format::Link) -> Result<()> {
        let Some(master) = &says.master else { return Ok(()) };
        let master = if master.is_empty() { None } else { Some(self.known(ns, master)?) };
        self.link(LinkOp::SetMaster { link: self.known(ns, name)?, master }).map(drop)
    }

    fn make(&self, ns: Ns, space: Space, name: &str, says: &format::Link) -> Result<Link> {
        let common = Common { name: name.to_owned(), mtu: says.mtu, mac: says.mac };
        match says.kind.as_deref().unwrap_or_default() {
            "bridge" => self.link(LinkOp::EnsureBridge { ns, common, vlan_filtering: false }).map(drop)?,
            "ifb" => self.link(LinkOp::CreateIfb { ns, common }).map(drop)?,
            "veth" => bail!("a veth is made from its container: containers.NAME.links.eth0.peer = {name:?}"),
            kind => {
                self.sim.add_device(space, name, kind);
            }
        }
        self.known(ns, name)
    }

    fn route(&self, ns: Ns, says: &format::Route) -> Result<()> {
        let link = says.dev.as_deref().map(|name| self.known(ns, name)).transpose()?;
        let route = Route { gateway: says.via, link: link.map(|link| link.index), ..Route::to(says.to) };
        self.apply(&KernelOp::Route(RouteOp::Add { ns, route })).map(drop)
    }

    /// The rules of an attachment go, as with `nft flush ruleset`.
    fn flush(&self, who: &str) -> Result<()> {
        let Who { container, ifname } = Who::parse(who);
        let owner = Attachment { network: self.spaces.network.clone(), container, ifname };
        Ok(self.sim.kernel(self.spaces.host, None).sweep(&owner)?)
    }
}

/// Whether a parameter is of a link that the place has.
fn names_a_link(key: &str, place: &Place) -> bool {
    key.split('/').any(|part| place.links.contains_key(part))
}
