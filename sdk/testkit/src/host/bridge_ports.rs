//! `wharf:net/bridge-ports`.

use wharf_ops::Reply;
use wharf_ops::bridge_ports::{self, BridgePortOp};
use wharf_sdk::native::wit::net::bridge_ports::{State, VlanRange};
use wharf_sdk::native::{BridgePorts, Link};

use super::{Answer, Host};
use crate::convert::link;

impl BridgePorts for Host {
    fn get(&self, port: &Link) -> Answer<State> {
        self.ask(BridgePortOp::Get { port: link(port) }, |reply| {
            let bridge_ports::PortState { hairpin, isolated } = reply.port()?;
            Ok(State { hairpin, isolated })
        })
    }

    fn set_hairpin(&self, port: &Link, on: bool) -> Answer<()> {
        self.ask(BridgePortOp::SetHairpin { port: link(port), on }, Reply::done)
    }

    fn set_isolated(&self, port: &Link, on: bool) -> Answer<()> {
        self.ask(BridgePortOp::SetIsolated { port: link(port), on }, Reply::done)
    }

    fn add_vlan(&self, port: &Link, range: VlanRange) -> Answer<()> {
        self.ask(BridgePortOp::AddVlan { port: link(port), range: vlans(range) }, Reply::done)
    }

    fn remove_vlan(&self, port: &Link, range: VlanRange) -> Answer<()> {
        self.ask(BridgePortOp::RemoveVlan { port: link(port), range: vlans(range) }, Reply::done)
    }

    fn get_vlans(&self, port: &Link) -> Answer<Vec<VlanRange>> {
        self.ask(BridgePortOp::GetVlans { port: link(port) }, |reply| {
            Ok(reply.vlans()?.into_iter().map(to_vlans).collect())
        })
    }
}

fn vlans(from: VlanRange) -> bridge_ports::VlanRange {
    let VlanRange { first, last, pvid, untagged } = from;
    bridge_ports::VlanRange { first, last, pvid, untagged }
}

fn to_vlans(from: bridge_ports::VlanRange) -> VlanRange {
    let bridge_ports::VlanRange { first, last, pvid, untagged } = from;
    VlanRange { first, last, pvid, untagged }
}
