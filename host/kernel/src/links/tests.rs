//! Against the real kernel in throw-away namespaces, read back with `ip`.

use serde_json::json;
use wharf_ops::links::{LinkOp, VethEnd};
use wharf_ops::{ErrorKind, KernelOp, Link, Mac, Ns};

use super::*;
use crate::Kernel;
use crate::testing::{Rig, end};

const MAC_A: Mac = Mac([0x02, 0, 0, 0, 0, 0xa]);

#[test]
fn links_are_found_by_name_and_listed() {
    let mut rig = Rig::new();
    let (a, b) = rig.veth();
    let found = rig.link(LinkOp::Get { ns: Ns::Host, name: "veth0".into() }).unwrap().maybe_link().unwrap();
    assert_eq!(found, Some(a));
    let found =
        rig.link(LinkOp::Get { ns: Ns::Container, name: "veth0".into() }).unwrap().maybe_link().unwrap();
    assert_eq!(found, None);
    let infos = rig.link(LinkOp::GetAll { ns: Ns::Container }).unwrap().infos().unwrap();
    let names: Vec<&str> = infos.iter().map(|info| info.name.as_str()).collect();
    assert_eq!(names, ["lo", "eth0"]);
    assert_eq!(infos[1], rig.info(&b));
}

#[test]
fn the_other_end_is_told_apart_from_a_link_of_the_same_index() {
    let mut rig = Rig::new();
    let (a, b) = rig.veth();
    let mut peer =
        |of: &Link, ns| rig.link(LinkOp::Peer { of: of.clone(), ns }).unwrap().maybe_link().unwrap();
    assert_eq!(peer(&a, Ns::Container), Some(b.clone()));
    assert_eq!(peer(&b, Ns::Host), Some(a.clone()));
    // Both are the first after lo in their namespaces, so that each would find itself here.
    assert_eq!(a.index, b.index);
    assert_eq!(peer(&a, Ns::Host), None);
    let bridge = rig.bridge("br0");
    assert_eq!(rig.link(LinkOp::Peer { of: bridge, ns: Ns::Host }).unwrap().maybe_link().unwrap(), None);
    let op = LinkOp::CreateVeth { a: end(Ns::Host, "left"), b: end(Ns::Host, "right") };
    let (left, right) = rig.link(op).unwrap().pair().unwrap();
    assert_eq!(rig.link(LinkOp::Peer { of: left, ns: Ns::Host }).unwrap().maybe_link().unwrap(), Some(right));
}

#[test]
fn attributes_are_set() {
    let mut rig = Rig::new();
    let (veth, _) = rig.veth();
    let bridge = rig.bridge("br0");
    rig.set_up(&veth, true);
    for op in [
        LinkOp::SetMtu { link: veth.clone(), mtu: 1280 },
        LinkOp::SetMac { link: veth.clone(), mac: MAC_A },
        LinkOp::SetMaster { link: veth.clone(), master: Some(bridge.clone()) },
        LinkOp::SetPromiscuous { link: veth.clone(), on: true },
        LinkOp::SetAlias { link: veth.clone(), alias: "a".repeat(255) },
    ] {
        rig.link(op).unwrap().done().unwrap();
    }
    let shown = rig.show(Ns::Host, "veth0");
    assert_eq!((&shown["mtu"], &shown["address"]), (&json!(1280), &json!(MAC_A.to_string())));
    assert_eq!((&shown["master"], &shown["ifalias"]), (&json!("br0"), &json!("a".repeat(255))));
    let flags = shown["flags"].as_array().unwrap();
    assert!(flags.contains(&json!("UP")) && flags.contains(&json!("PROMISC")), "{flags:?}");
    let state = rig.info(&veth);
    assert!(state.up && state.promiscuous);
    assert_eq!((state.master, state.alias), (Some(bridge.index), Some("a".repeat(255))));

    for op in [
        LinkOp::SetMaster { link: veth.clone(), master: None },
        LinkOp::SetPromiscuous { link: veth.clone(), on: false },
        LinkOp::SetAlias { link: veth.clone(), alias: String::new() },
        LinkOp::SetUp { link: veth.clone(), up: false },
    ] {
        rig.link(op).unwrap().done().unwrap();
    }
    let shown = rig.show(Ns::Host, "veth0");
    assert_eq!((&shown["master"], &shown["ifalias"]), (&json!(null), &json!(null)));
    let flags = shown["flags"].as_array().unwrap();
    assert!(!flags.contains(&json!("UP")) && !flags.contains(&json!("PROMISC")), "{flags:?}");
}

#[test]
fn a_handle_without_an_index_means_the_name() {
    let mut rig = Rig::new();
    let (veth, _) = rig.veth();
    let by_name = Link { index: 0, ..veth };
    rig.set_up(&by_name, true);
    assert!(rig.info(&by_name).up);
    let error =
        rig.link(LinkOp::SetUp { link: Link { name: "none".into(), ..by_name }, up: true }).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
}

#[test]
fn impossible_settings_are_invalid_and_say_why() {
    let mut rig = Rig::new();
    let (veth, inside) = rig.veth();
    let bridge = rig.bridge("br0");
    for mac in [Mac([0; 6]), Mac([1, 0, 0, 0, 0, 1])] {
        for link in [&veth, &bridge] {
            let error = rig.link(LinkOp::SetMac { link: link.clone(), mac }).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
            assert!(error.message.contains("multicast"), "{error}");
        }
        let a = VethEnd { mac: Some(mac), ..end(Ns::Host, "veth1") };
        let error = rig.link(LinkOp::CreateVeth { a, b: end(Ns::Container, "eth1") }).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    }
    let error = rig.link(LinkOp::SetMtu { link: veth.clone(), mtu: 10 }).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.contains("mtu less than device minimum"), "the kernel's own words: {error}");
    let error = rig.link(LinkOp::SetAlias { link: veth.clone(), alias: "a".repeat(256) }).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    let error = rig.link(LinkOp::SetMaster { link: inside, master: Some(bridge) }).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.contains("two namespaces"), "{error}");
    let gone = Link { index: 4711, ..veth };
    let error = rig.link(LinkOp::SetMtu { link: gone.clone(), mtu: 1400 }).unwrap_err();
    assert_eq!((error.kind, error.errno), (ErrorKind::NotFound, Some(libc::ENODEV)));
    assert_eq!(rig.link(LinkOp::Info { link: gone }).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn an_unknown_container_is_not_found() {
    let rig = Rig::new();
    let mut kernel = rig.without_container();
    let op = KernelOp::Link(LinkOp::Get { ns: Ns::Container, name: "eth0".into() });
    assert_eq!(kernel.apply(&Rig::owner(), &op).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn hostile_answers_are_no_links() {
    use crate::netlink::Message;
    let mut payload = vec![0; 16];
    let message = |payload: &[u8]| {
        State::read(&Message { kind: libc::RTM_NEWLINK, flags: 0, sequence: 0, payload }).is_some()
    };
    assert!(message(&payload));
    for end in 0..12 {
        assert!(!message(&payload[..end]));
    }
    payload.extend([5, 0, 4, 0, 1, 0, 0, 0]);
    assert!(!message(&payload), "an MTU of one byte");
}
