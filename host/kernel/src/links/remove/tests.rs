//! Against the real kernel in throw-away namespaces, read back with `ip`.

use wharf_ops::links::LinkOp;
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
