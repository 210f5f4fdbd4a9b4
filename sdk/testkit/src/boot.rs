//! How a node starts, and starts anew.

use std::net::{IpAddr, Ipv6Addr};

use ipnetwork::IpNetwork;
use wharf_ops::addresses::AddressOp;
use wharf_ops::links::{LinkOp, VethEnd};
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::{Attachment, Error, KernelOp, Link, Ns, Reply};
use wharf_sim::{Kernel as _, SimKernel, Space};

use crate::leases::Pool;
use crate::machine::Machine;

/// What the host and the outside are reached by.
const UPLINK: &str = "ens3";
/// The namespaces that are there from the start: the host's and the outside.
const STANDING: usize = 2;

/// Gives a new machine its uplink, with the outside behind it.
pub(crate) fn start(machine: &Machine) -> Result<Space, Error> {
    let outside = machine.add_namespace("outside");
    let mut wiring = Wiring { kernel: machine.kernel(Some(outside)) };
    for ns in [Ns::Host, Ns::Container] {
        let lo = wiring.ask(LinkOp::Get { ns, name: "lo".to_owned() })?.maybe_link()?;
        lo.map_or(Ok(()), |lo| wiring.raise(lo))?;
    }
    let end =
        |ns, name: &str| VethEnd { ns, name: name.to_owned(), mtu: None, mac: None, tx_queue_length: None };
    let cable = LinkOp::CreateVeth { a: end(Ns::Host, UPLINK), b: end(Ns::Container, "eth0") };
    let (here, there) = wiring.ask(cable)?.pair()?;
    wiring.raise(here.clone())?;
    wiring.raise(there.clone())?;
    for (link, ours, ours_v6) in [(&here, v4(10), v6(0x10)), (&there, v4(1), v6(1))] {
        wiring.address(link, ours, 24)?;
        wiring.address(link, ours_v6, 64)?;
        wiring.apply(&KernelOp::Address(AddressOp::Settle { on: link.clone() }))?.done()?;
    }
    for (any, gateway) in [(IpAddr::from([0; 4]), v4(1)), (Ipv6Addr::UNSPECIFIED.into(), v6(1))] {
        let route = Route { gateway: Some(gateway), link: Some(here.index), ..Route::to(network(any, 0)?) };
        wiring.apply(&KernelOp::Route(RouteOp::Add { ns: Ns::Host, route }))?.done()?;
    }
    Ok(outside)
}

/// Links, rules and containers go; leases are of an earlier boot.
pub(crate) fn restart(machine: &Machine) -> Result<(), Error> {
    let gone: Vec<Space> = machine.names.borrow().iter().skip(STANDING).map(|(space, _)| *space).collect();
    for space in gone {
        machine.remove_namespace(space);
    }
    let mut wiring = Wiring { kernel: machine.kernel(None) };
    let links = wiring.ask(LinkOp::GetAll { ns: Ns::Host })?.infos()?;
    for info in links.into_iter().filter(|info| !["lo", UPLINK].contains(&info.name.as_str())) {
        let link = Link { ns: Ns::Host, index: info.index, name: info.name };
        wiring.ask(LinkOp::Delete { link })?.done()?;
    }
    for owner in machine.records.take().into_keys() {
        wiring.kernel.sweep(&owner)?;
    }
    machine.leases.borrow_mut().values_mut().for_each(Pool::age);
    Ok(())
}

fn v4(number: u8) -> IpAddr {
    [192, 0, 2, number].into()
}

fn v6(number: u16) -> IpAddr {
    [0x2001, 0xdb8, 0, 0, 0, 0, 0, number].into()
}

fn network(address: IpAddr, prefix: u8) -> Result<IpNetwork, Error> {
    IpNetwork::new(address, prefix).map_err(|error| Error::internal(error.to_string()))
}

/// The kernel, asked by nobody in particular.
struct Wiring {
    kernel: SimKernel,
}

impl Wiring {
    fn apply(&mut self, op: &KernelOp) -> Result<Reply, Error> {
        let nobody = Attachment { network: String::new(), container: String::new(), ifname: String::new() };
        self.kernel.apply(&nobody, op)
    }

    fn ask(&mut self, op: LinkOp) -> Result<Reply, Error> {
        self.apply(&KernelOp::Link(op))
    }

    fn raise(&mut self, link: Link) -> Result<(), Error> {
        self.ask(LinkOp::SetUp { link, up: true })?.done()
    }

    fn address(&mut self, on: &Link, address: IpAddr, prefix: u8) -> Result<(), Error> {
        let address = network(address, prefix)?;
        self.apply(&KernelOp::Address(AddressOp::Add { on: on.clone(), address }))?.done()
    }
}
