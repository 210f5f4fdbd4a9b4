//! `wharf:net/bridge-ports`.

use wasmtime::component::Resource;
use wharf_ops::bridge_ports::{BridgePortOp, VlanRange};
use wharf_ops::{KernelOp, Link, Op, Reply};

use crate::bindings::wharf::net::bridge_ports as wit;
use crate::state::{Answer, State};

fn op(op: BridgePortOp) -> Op {
    Op::Kernel(KernelOp::BridgePort(op))
}

impl wit::Host for State {
    fn get(&mut self, port: Resource<Link>) -> Answer<wit::State> {
        let port = self.link(&port)?;
        self.ask(op(BridgePortOp::Get { port }), |reply| {
            let port = reply.port()?;
            Ok(wit::State { hairpin: port.hairpin, isolated: port.isolated })
        })
    }

    fn set_hairpin(&mut self, port: Resource<Link>, on: bool) -> Answer<()> {
        let port = self.link(&port)?;
        self.ask(op(BridgePortOp::SetHairpin { port, on }), Reply::done)
    }

    fn set_isolated(&mut self, port: Resource<Link>, on: bool) -> Answer<()> {
        let port = self.link(&port)?;
        self.ask(op(BridgePortOp::SetIsolated { port, on }), Reply::done)
    }

    fn add_vlan(&mut self, port: Resource<Link>, range: wit::VlanRange) -> Answer<()> {
        let port = self.link(&port)?;
        self.ask(op(BridgePortOp::AddVlan { port, range: vlans(range) }), Reply::done)
    }

    fn remove_vlan(&mut self, port: Resource<Link>, range: wit::VlanRange) -> Answer<()> {
        let port = self.link(&port)?;
        self.ask(op(BridgePortOp::RemoveVlan { port, range: vlans(range) }), Reply::done)
    }

    fn get_vlans(&mut self, port: Resource<Link>) -> Answer<Vec<wit::VlanRange>> {
        let port = self.link(&port)?;
        self.ask(op(BridgePortOp::GetVlans { port }), |reply| {
            Ok(reply.vlans()?.into_iter().map(to_vlans).collect())
        })
    }
}

fn vlans(from: wit::VlanRange) -> VlanRange {
    let wit::VlanRange { first, last, pvid, untagged } = from;
    VlanRange { first, last, pvid, untagged }
}

fn to_vlans(from: VlanRange) -> wit::VlanRange {
    let VlanRange { first, last, pvid, untagged } = from;
    wit::VlanRange { first, last, pvid, untagged }
}
