//! Against the real kernel in throw-away namespaces, read back with `ip` and `bridge`.

use serde_json::json;
use wharf_ops::bridge_ports::VlanRange;
use wharf_ops::links::LinkOp;
use wharf_ops::{ErrorKind, KernelOp, Ns};

use super::*;
use crate::testing::{Rig, common};

fn port() -> (Rig, Link) {
    let mut rig = Rig::new();
    let (veth0, _) = rig.veth();
    let bridge = rig.bridge("br0");
    rig.link(LinkOp::SetMaster { link: veth0.clone(), master: Some(bridge) }).unwrap();
    (rig, veth0)
}

fn apply(rig: &mut Rig, op: BridgePortOp) -> Result<Reply, Error> {
    rig.apply(KernelOp::BridgePort(op))
}

#[test]
fn flags_are_set_one_by_one_and_read() {
    let (mut rig, port) = port();
    for (hairpin, isolated) in [(true, false), (true, true), (false, true), (false, false)] {
        apply(&mut rig, BridgePortOp::SetHairpin { port: port.clone(), on: hairpin })
            .unwrap()
            .done()
            .unwrap();
        apply(&mut rig, BridgePortOp::SetIsolated { port: port.clone(), on: isolated })
            .unwrap()
            .done()
            .unwrap();
        let shown = rig.show(Ns::Host, "veth0")["linkinfo"]["info_slave_data"].clone();
        assert_eq!((&shown["hairpin"], &shown["isolated"]), (&json!(hairpin), &json!(isolated)));
        let state = apply(&mut rig, BridgePortOp::Get { port: port.clone() }).unwrap().port().unwrap();
        assert_eq!(state, PortState { hairpin, isolated });
    }
}

#[test]
fn a_link_without_a_bridge_is_no_port() {
    let mut rig = Rig::new();
    let (port, _) = rig.veth();
    for op in [
        BridgePortOp::Get { port: port.clone() },
        BridgePortOp::SetHairpin { port: port.clone(), on: true },
        BridgePortOp::SetIsolated { port: port.clone(), on: true },
        BridgePortOp::AddVlan {
            port: port.clone(),
            range: VlanRange { first: 1, last: 2, pvid: false, untagged: false },
        },
    ] {
        let error = apply(&mut rig, op.clone()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{op:?}: {error}");
        assert!(error.message.contains("no port of a bridge"), "{error}");
    }
    let gone = Link { index: 4711, ..port };
    assert_eq!(apply(&mut rig, BridgePortOp::Get { port: gone }).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn vlans_are_added_listed_and_removed() {
    let mut rig = Rig::new();
    let (port, _) = rig.veth();
    let op = LinkOp::EnsureBridge { ns: Ns::Host, common: common("br0"), vlan_filtering: true };
    let bridge = match rig.link(op) {
        Ok(reply) => reply.bridge().unwrap().0,
        Err(error) => {
            println!("SKIPPED: vlans_are_added_listed_and_removed: {error}");
            return;
        }
    };
    rig.link(LinkOp::SetMaster { link: port.clone(), master: Some(bridge) }).unwrap();
    let ten = VlanRange { first: 10, last: 10, pvid: true, untagged: true };
    let run = VlanRange { first: 20, last: 30, pvid: false, untagged: false };
    for range in [ten, run] {
        apply(&mut rig, BridgePortOp::AddVlan { port: port.clone(), range }).unwrap().done().unwrap();
    }
    let shown = rig.json(Ns::Host, "bridge -j -compressvlans vlan show dev veth0")[0]["vlans"].clone();
    let wanted = json!({"vlan": 10, "flags": ["PVID", "Egress Untagged"]});
    assert!(shown.as_array().unwrap().contains(&wanted), "{shown}");
    let listed = apply(&mut rig, BridgePortOp::GetVlans { port: port.clone() }).unwrap().vlans().unwrap();
    assert!(listed.contains(&ten) && listed.contains(&run), "{listed:?}");
    for _ in 0..2 {
        apply(&mut rig, BridgePortOp::RemoveVlan { port: port.clone(), range: run }).unwrap().done().unwrap();
    }
    let listed = apply(&mut rig, BridgePortOp::GetVlans { port }).unwrap().vlans().unwrap();
    assert!(listed.contains(&ten) && !listed.contains(&run), "{listed:?}");
}

#[test]
fn without_vlan_filtering_vlans_are_unsupported() {
    let (mut rig, port) = port();
    let range = VlanRange { first: 10, last: 10, pvid: false, untagged: false };
    match apply(&mut rig, BridgePortOp::AddVlan { port: port.clone(), range }) {
        Ok(_) => println!("SKIPPED: without_vlan_filtering_vlans_are_unsupported: this kernel has it"),
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::Unsupported, "{error}");
            assert!(error.message.contains("VLAN 10"), "{error}");
            let listed = apply(&mut rig, BridgePortOp::GetVlans { port }).unwrap().vlans().unwrap();
            assert!(listed.is_empty());
        }
    }
}
