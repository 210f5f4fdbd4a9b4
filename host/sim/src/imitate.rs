//! A simulated machine in the state of another one: what its kernel answers to questions, and nothing is changed there.

use wharf_kernel::Kernel;
use wharf_ops::addresses::AddressOp;
use wharf_ops::links::{Info, LinkOp};
use wharf_ops::nat::{Backend, NatOp};
use wharf_ops::routes::RouteOp;
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{Attachment, Error, KernelOp, Link, Ns, Reply};

use crate::device::Kind;
use crate::kernel::locked;
use crate::sim::Sim;
use crate::world::{At, Space};
use crate::{Features, links};

/// Parameters of a namespace that decide what an attachment has to change.
const GLOBAL: [&str; 3] = ["ipv4/ip_forward", "ipv6/conf/all/disable_ipv6", "ipv6/conf/all/forwarding"];
/// The same of each link.
const OF_LINK: [&str; 3] =
    ["ipv4/conf/{}/route_localnet", "ipv6/conf/{}/accept_ra", "ipv6/conf/{}/disable_ipv6"];

impl Sim {
    /// Makes one of this machine's namespaces, which must be new, as `real` says that its namespace `ns` is: links,
    /// addresses, the routes of the main table, parameters that Wharf cares for. Of the host, also whether there is nftables.
    ///
    /// What this machine cannot have (a route by a device that is not imitated, say) is left out; the answer names it.
    pub fn imitate(&self, space: Space, real: &mut dyn Kernel, ns: Ns) -> Result<Vec<String>, Error> {
        let mut twin = Twin { sim: self, space, real, ns, left_out: Vec::new() };
        if ns == Ns::Host {
            // Only root may ask.
            let detected = twin.ask(&KernelOp::Nat(NatOp::Detect));
            let nftables = detected != Ok(Reply::Backend(Backend::Iptables));
            self.set_features(Features { nftables, ..Features::default() });
        }
        let infos = match twin.ask(&KernelOp::Link(LinkOp::GetAll { ns }))? {
            Reply::Infos(infos) => infos,
            _ => Vec::new(),
        };
        for info in &infos {
            twin.device(info);
        }
        for key in GLOBAL {
            twin.parameter(key);
        }
        for info in &infos {
            twin.rest(info)?;
        }
        twin.routes()?;
        Ok(twin.left_out)
    }
}

struct Twin<'a> {
    sim: &'a Sim,
    space: Space,
    real: &'a mut dyn Kernel,
    ns: Ns,
    left_out: Vec<String>,
}

impl Twin<'_> {
    /// A question to the real kernel.
    fn ask(&mut self, op: &KernelOp) -> Result<Reply, Error> {
        self.real.apply(&nobody(), op)
    }

    /// The same operation here.
    fn own(&self, op: &KernelOp) -> Result<Reply, Error> {
        let (host, container) = match self.ns {
            Ns::Host => (self.space, None),
            Ns::Container => (self.sim.host(), Some(self.space)),
        };
        self.sim.kernel(host, container).apply(&nobody(), op)
    }

    /// Does something here. What fails is told.
    fn tell(&mut self, op: &KernelOp, what: impl FnOnce() -> String) {
        if let Err(error) = self.own(op) {
            self.left_out.push(format!("{}: {}", what(), error.message));
        }
    }

    fn device(&mut self, info: &Info) {
        let mut world = locked(&self.sim.world);
        let at = At { space: self.space, index: info.index };
        if info.index != 1 {
            let kind = match info.kind.as_str() {
                "bridge" => Kind::Bridge { vlan_filtering: false, looked: true },
                "ifb" => Kind::Ifb,
                other => Kind::Other(other.to_owned()),
            };
            links::add(&mut world, at, &info.name, kind, (Some(info.mtu), info.mac));
        }
        if let Some(device) = world.device_mut(at) {
            device.alias.clone_from(&info.alias);
            device.promiscuous = info.promiscuous;
        }
        if let Some(space) = world.space_mut(self.space) {
            space.last_index = space.last_index.max(info.index);
        }
    }

    /// What needs the other devices to be there.
    fn rest(&mut self, info: &Info) -> Result<(), Error> {
        if let Some(device) = locked(&self.sim.world).device_mut(At { space: self.space, index: info.index })
        {
            device.master = info.master;
        }
        let link = Link { ns: self.ns, index: info.index, name: info.name.clone() };
        for key in OF_LINK {
            self.parameter(&key.replace("{}", &info.name));
        }
        if info.up {
            let op = LinkOp::SetUp { link: link.clone(), up: true };
            self.tell(&KernelOp::Link(op), || format!("{} up", info.name));
        }
        let all = KernelOp::Address(AddressOp::GetAll { on: link.clone() });
        let Reply::Addresses(addresses) = self.ask(&all)? else { return Ok(()) };
        // 127.0.0.1 and link-local addresses are there by themselves.
        let own = match self.own(&all) {
            Ok(Reply::Addresses(own)) => own,
            _ => Vec::new(),
        };
        for address in addresses.into_iter().filter(|address| !own.contains(address)) {
            let op = AddressOp::Add { on: link.clone(), address };
            self.tell(&KernelOp::Address(op), || format!("{address} on {}", info.name));
        }
        Ok(())
    }

    /// A parameter that one of both does not have stays as it is.
    fn parameter(&mut self, key: &str) {
        let (ns, key) = (self.ns, key.to_owned());
        let Ok(Reply::Text(value)) = self.ask(&KernelOp::Sysctl(SysctlOp::Read { ns, key: key.clone() }))
        else {
            return;
        };
        let op = SysctlOp::Write { ns, key: key.clone(), value };
        self.tell(&KernelOp::Sysctl(op), || key);
    }

    fn routes(&mut self) -> Result<(), Error> {
        let ns = self.ns;
        let all = KernelOp::Route(RouteOp::GetAll { ns, table: None });
        let Reply::Routes(routes) = self.ask(&all)? else { return Ok(()) };
        // Those that come with addresses are there already.
        let own = match self.own(&all) {
            Ok(Reply::Routes(own)) => own,
            _ => Vec::new(),
        };
        for route in routes.into_iter().filter(|route| !own.contains(route)) {
            let dst = route.dst;
            self.tell(&KernelOp::Route(RouteOp::Add { ns, route }), || format!("the route to {dst}"));
        }
        Ok(())
    }
}

/// Whose operations these are: nobody's.
fn nobody() -> Attachment {
    Attachment { network: String::new(), container: String::new(), ifname: String::new() }
}

#[cfg(test)]
mod tests {
    use ipnetwork::IpNetwork;
    use wharf_ops::links::Common;
    use wharf_ops::routes::Route;

    use super::*;

    fn net(text: &str) -> IpNetwork {
        text.parse().unwrap()
    }

    /// A machine as an operator's: a network card with a default route, a bridge with a port.
    fn original() -> Sim {
        let sim = Sim::new(7);
        let eth0 = sim.add_device(sim.host(), "eth0", "");
        let port = sim.add_device(sim.host(), "veth1", "veth");
        let mut kernel = sim.kernel(sim.host(), None);
        let mut run = |op: KernelOp| kernel.apply(&nobody(), &op).unwrap();
        let common = Common { name: "cni0".into(), mtu: Some(1400), ..Common::default() };
        let Reply::Bridge(bridge, _) =
            run(KernelOp::Link(LinkOp::EnsureBridge { ns: Ns::Host, common, vlan_filtering: false }))
        else {
            panic!("no bridge")
        };
        let link = |index, name: &str| Link { ns: Ns::Host, index, name: name.into() };
        let (lo, eth0, port) = (link(1, "lo"), link(eth0, "eth0"), link(port, "veth1"));
        run(KernelOp::Link(LinkOp::SetMaster { link: port.clone(), master: Some(bridge.clone()) }));
        for link in [&lo, &eth0, &port, &bridge] {
            run(KernelOp::Link(LinkOp::SetUp { link: (*link).clone(), up: true }));
        }
        run(KernelOp::Address(AddressOp::Add { on: eth0, address: net("192.0.2.7/24") }));
        run(KernelOp::Address(AddressOp::Add { on: bridge, address: net("10.1.0.1/24") }));
        let mut route = Route::to(net("0.0.0.0/0"));
        route.gateway = Some("192.0.2.1".parse().unwrap());
        run(KernelOp::Route(RouteOp::Add { ns: Ns::Host, route }));
        run(KernelOp::Sysctl(SysctlOp::Write {
            ns: Ns::Host,
            key: "ipv4/ip_forward".into(),
            value: "1".into(),
        }));
        sim
    }

    #[test]
    fn the_twin_answers_as_the_original() {
        let original = original();
        let twin = Sim::new(1);
        let left_out =
            twin.imitate(twin.host(), &mut original.kernel(original.host(), None), Ns::Host).unwrap();
        assert_eq!(left_out, [""; 0]);
        assert_eq!(twin.picture(twin.host()), original.picture(original.host()));
        assert!(twin.picture(twin.host()).contains("route 0.0.0.0/0 via 192.0.2.1"));
        // A new link gets an index that no other has.
        let next = twin.add_device(twin.host(), "new", "");
        assert_eq!(next, original.add_device(original.host(), "new", ""));
    }

    #[test]
    fn the_twin_goes_its_own_way() {
        let original = original();
        let before = original.picture(original.host());
        let twin = Sim::new(1);
        twin.imitate(twin.host(), &mut original.kernel(original.host(), None), Ns::Host).unwrap();
        twin.rename(twin.host(), 2, "other");
        assert_eq!(original.picture(original.host()), before);
    }

    #[test]
    fn a_container_is_imitated_too_and_a_host_without_nftables() {
        let original = original();
        original.set_features(Features { nftables: false, ..Features::default() });
        let inside = original.add_namespace("/c");
        original.add_device(inside, "net1", "macvlan");
        let twin = Sim::new(1);
        let mut real = original.kernel(original.host(), Some(inside));
        twin.imitate(twin.host(), &mut real, Ns::Host).unwrap();
        let space = twin.add_namespace("/c");
        twin.imitate(space, &mut real, Ns::Container).unwrap();
        assert!(twin.picture(space).contains("link net1 macvlan"));
        let detected = twin.kernel(twin.host(), None).apply(&nobody(), &KernelOp::Nat(NatOp::Detect));
        assert_eq!(detected, Ok(Reply::Backend(Backend::Iptables)));
    }
}
