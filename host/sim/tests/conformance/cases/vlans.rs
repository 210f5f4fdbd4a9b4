//! VLANs of bridge ports. Not every kernel can filter them.

use wharf_ops::Link;
use wharf_ops::bridge_ports::{BridgePortOp, VlanRange};
use wharf_ops::links::LinkOp;

use crate::ops::*;
use crate::step::{Case, Step, case};

fn let_pass(link: Link, range: VlanRange) -> Step {
    port(BridgePortOp::AddVlan { port: link, range })
}

fn stop(link: Link, range: VlanRange) -> Step {
    port(BridgePortOp::RemoveVlan { port: link, range })
}

fn get(link: Link) -> Step {
    port(BridgePortOp::GetVlans { port: link })
}

fn filtering(name: &str) -> Step {
    link(LinkOp::EnsureBridge { ns: HOST, common: common(name), vlan_filtering: true })
}

pub(crate) fn all() -> Vec<Case> {
    let br0 = || at(HOST, 3, "br0");
    let cases = vec![
        case(
            "VLANs of a port",
            [
                veth(),
                filtering("br0"),
                master(va(), Some(br0())),
                get(va()),
                let_pass(va(), vlans(10, 10, true, true)),
                get(va()),
                let_pass(va(), vlans(20, 30, false, false)),
                let_pass(va(), vlans(25, 25, false, true)),
                get(va()),
                stop(va(), vlans(1, 1, false, false)),
                stop(va(), vlans(22, 23, false, false)),
                stop(va(), vlans(22, 23, false, false)),
                get(va()),
                let_pass(br0(), vlans(10, 10, false, false)),
                get(br0()),
            ],
        ),
        case(
            "VLANs that cannot be",
            [
                veth(),
                filtering("br0"),
                let_pass(va(), vlans(0, 1, false, false)),
                let_pass(va(), vlans(1, 4095, false, false)),
                let_pass(va(), vlans(3, 2, false, false)),
                let_pass(va(), vlans(1, 2, true, false)),
                let_pass(va(), vlans(10, 10, false, false)),
                stop(va(), vlans(10, 10, false, false)),
                stop(at(HOST, 77, "gone"), vlans(10, 10, false, false)),
                let_pass(at(HOST, 77, "gone"), vlans(10, 10, false, false)),
            ],
        ),
    ];
    cases.into_iter().map(|case| Case { needs_vlans: true, ..case }).collect()
}
