//! Against the real kernel in throw-away namespaces, read back with `ip`.

use wharf_ops::links::{Common, LinkOp};
use wharf_ops::{ErrorKind, KernelOp, Ns};

use super::*;
use crate::Kernel;
use crate::testing::Rig;

fn remove(rig: &mut Rig, link: Link) -> Result<(), Error> {
    rig.link(LinkOp::Delete { link }).and_then(Reply::done)
}

#[test]
fn deleting_is_idempotent_and_takes_the_other_end_along() {
    let mut rig = Rig::new();
    let (a, b) = rig.veth();
    remove(&mut rig, a.clone()).unwrap();
    assert!(rig.try_run(Ns::Container, "ip link show eth0").is_err());
    remove(&mut rig, a.clone()).unwrap();
    remove(&mut rig, b.clone()).unwrap();
    remove(&mut rig, Link { index: 0, ..a }).unwrap();
    let (_, b) = rig.veth();
    let mut later = rig.without_container();
    later.apply(&Rig::owner(), &KernelOp::Link(LinkOp::Delete { link: b })).unwrap().done().unwrap();
    assert!(rig.try_run(Ns::Container, "ip link show eth0").is_ok(), "another kernel value cannot reach it");
}

#[test]
fn an_index_that_was_given_out_again_is_not_hit() {
    let mut rig = Rig::new();
    let (a, _) = rig.veth();
    let stranger = Link { name: "mine".into(), ..a.clone() };
    remove(&mut rig, stranger.clone()).unwrap();
    assert!(rig.try_run(Ns::Host, "ip link show veth0").is_ok(), "another link has the index now");
    rig.link(LinkOp::SetAlias { link: a, alias: "mine".into() }).unwrap();
    remove(&mut rig, stranger).unwrap();
    assert!(rig.try_run(Ns::Host, "ip link show veth0").is_err(), "renamed, but known by its alias");
}

#[test]
fn what_cannot_be_deleted_is_an_error() {
    let mut rig = Rig::new();
    let lo = Link { ns: Ns::Host, index: 1, name: "lo".into() };
    let error = remove(&mut rig, lo).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported, "{error}");
}

#[test]
fn a_bridge_goes_when_its_last_port_has_gone() {
    let mut rig = Rig::new();
    let (veth, _) = rig.veth();
    let bridge = rig.bridge("br0");
    rig.link(LinkOp::SetMaster { link: veth.clone(), master: Some(bridge.clone()) }).unwrap();
    rig.link(LinkOp::DeleteUnusedBridge { link: bridge.clone() }).unwrap().done().unwrap();
    assert!(rig.try_run(Ns::Host, "ip link show br0").is_ok(), "it has a port");
    rig.link(LinkOp::SetMaster { link: veth.clone(), master: None }).unwrap();
    rig.link(LinkOp::DeleteUnusedBridge { link: Link { index: 0, ..bridge.clone() } })
        .unwrap()
        .done()
        .unwrap();
    assert!(rig.try_run(Ns::Host, "ip link show br0").is_err());
    rig.link(LinkOp::DeleteUnusedBridge { link: bridge }).unwrap().done().unwrap();
    rig.link(LinkOp::DeleteUnusedBridge { link: veth }).unwrap().done().unwrap();
    assert!(rig.try_run(Ns::Host, "ip link show veth0").is_ok(), "a veth is no bridge");
}

#[test]
fn several_go_with_one_request_and_no_others_with_them() {
    let mut rig = Rig::new();
    let (a, b) = rig.veth();
    let ifb = rig.link(LinkOp::CreateIfb {
        ns: Ns::Host,
        common: Common { name: "ifb7".into(), ..Common::default() },
    });
    let ifb = ifb.unwrap().link().unwrap();
    rig.run(Ns::Host, "ip link add stranger type ifb");
    // Somebody is in the very group that would be taken.
    let taken = 0x5700_0000_u32 | a.index;
    rig.run(Ns::Host, &format!("ip link set stranger group {taken}"));
    let gone = Link { ns: Ns::Host, index: 4242, name: "gone".into() };
    let links = vec![b, ifb, a, gone];
    rig.link(LinkOp::DeleteMany { links: links.clone() }).unwrap().done().unwrap();
    assert!(rig.try_run(Ns::Container, "ip link show eth0").is_err());
    assert!(rig.try_run(Ns::Host, "ip link show veth0").is_err());
    assert!(rig.try_run(Ns::Host, "ip link show ifb7").is_err());
    assert!(rig.try_run(Ns::Host, "ip link show stranger").is_ok());
    rig.link(LinkOp::DeleteMany { links }).unwrap().done().unwrap();
}

#[test]
fn a_link_of_the_container_alone_goes_too() {
    let mut rig = Rig::new();
    let common = Common { name: "br7".into(), ..Common::default() };
    let op = LinkOp::EnsureBridge { ns: Ns::Container, common, vlan_filtering: false };
    let (inside, _) = rig.link(op).unwrap().bridge().unwrap();
    let (a, _) = rig.veth();
    rig.link(LinkOp::DeleteMany { links: vec![inside, a] }).unwrap().done().unwrap();
    assert_eq!(rig.json(Ns::Container, "ip -j link").as_array().unwrap().len(), 1);
    assert_eq!(rig.json(Ns::Host, "ip -j link").as_array().unwrap().len(), 1);
}
