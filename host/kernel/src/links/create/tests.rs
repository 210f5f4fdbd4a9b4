//! Against the real kernel in throw-away namespaces, read back with `ip`.

use serde_json::json;
use wharf_ops::KernelOp;
use wharf_ops::links::LinkOp;

use super::*;
use crate::Kernel;
use crate::testing::{Rig, common, end};

const MAC_A: Mac = Mac([0x02, 0, 0, 0, 0, 0xa]);
const MAC_B: Mac = Mac([0x02, 0, 0, 0, 0, 0xb]);

#[test]
fn a_veth_is_made_as_asked_with_its_other_end_in_the_container() {
    let mut rig = Rig::new();
    let a = VethEnd { mtu: Some(1400), mac: Some(MAC_A), tx_queue_length: Some(0), ..end(Ns::Host, "veth0") };
    let b =
        VethEnd { mtu: Some(1300), mac: Some(MAC_B), tx_queue_length: Some(7), ..end(Ns::Container, "eth0") };
    let (a, b) = rig.link(LinkOp::CreateVeth { a, b }).unwrap().pair().unwrap();
    let (shown_a, shown_b) = (rig.show(Ns::Host, "veth0"), rig.show(Ns::Container, "eth0"));
    assert_eq!(shown_a["ifindex"], json!(a.index));
    assert_eq!(shown_b["ifindex"], json!(b.index));
    assert_eq!((&shown_a["mtu"], &shown_b["mtu"]), (&json!(1400), &json!(1300)));
    assert_eq!(shown_a["address"], json!(MAC_A.to_string()));
    assert_eq!(shown_b["address"], json!(MAC_B.to_string()));
    assert_eq!(shown_b["txqlen"], json!(7));
    assert!(shown_a["txqlen"].is_null() || shown_a["txqlen"] == json!(0));
    for shown in [shown_a, shown_b] {
        assert_eq!(shown["linkinfo"]["info_kind"], json!("veth"));
        assert!(!shown["flags"].as_array().unwrap().contains(&json!("UP")));
        assert_eq!((&shown["num_tx_queues"], &shown["num_rx_queues"]), (&json!(1), &json!(1)));
    }
    assert_eq!((a.ns, a.name.as_str(), b.ns, b.name.as_str()), (Ns::Host, "veth0", Ns::Container, "eth0"));
    let state = rig.info(&a);
    assert_eq!(
        (state.kind.as_str(), state.mac, state.mtu, state.peer),
        ("veth", Some(MAC_A), 1400, Some(b.index))
    );
    assert!(!state.up && !state.operational && !state.promiscuous);
}

#[test]
fn a_veth_can_be_made_from_the_container_and_inside_one_namespace() {
    let mut rig = Rig::new();
    let op = LinkOp::CreateVeth { a: end(Ns::Container, "eth0"), b: end(Ns::Host, "veth0") };
    let (a, b) = rig.link(op).unwrap().pair().unwrap();
    assert_eq!(rig.show(Ns::Container, "eth0")["ifindex"], json!(a.index));
    assert_eq!(rig.show(Ns::Host, "veth0")["ifindex"], json!(b.index));
    let op = LinkOp::CreateVeth { a: end(Ns::Host, "left"), b: end(Ns::Host, "right") };
    let (a, b) = rig.link(op).unwrap().pair().unwrap();
    assert_eq!(rig.show(Ns::Host, "left")["ifindex"], json!(a.index));
    assert_eq!(rig.show(Ns::Host, "right")["ifindex"], json!(b.index));
}

#[test]
fn a_taken_name_is_named_with_its_namespace() {
    let mut rig = Rig::new();
    rig.veth();
    for (a, b, wanted, other) in [
        ("veth0", "eth1", "veth0 in the host's namespace", "eth1 in"),
        ("veth1", "eth0", "eth0 in the container's namespace", "veth1 in"),
    ] {
        let error =
            rig.link(LinkOp::CreateVeth { a: end(Ns::Host, a), b: end(Ns::Container, b) }).unwrap_err();
        assert_eq!((error.kind, error.errno), (ErrorKind::AlreadyExists, Some(libc::EEXIST)));
        assert!(error.message.contains(wanted) && !error.message.contains(other), "{error}");
    }
    assert_eq!(
        rig.json(Ns::Host, "ip -j link show").as_array().unwrap().len(),
        2,
        "nothing half made is left"
    );
    let error = rig.link(LinkOp::CreateVeth { a: end(Ns::Host, "x"), b: end(Ns::Host, "x") }).unwrap_err();
    assert_eq!(error.kind, ErrorKind::AlreadyExists);
    assert!(error.message.contains("x for both ends"), "{error}");
}

#[test]
fn names_that_the_kernel_refuses_or_counts_up_are_invalid() {
    let mut rig = Rig::new();
    for name in ["", ".", "..", "a/b", "a b", "a:b", "eth%d", "sixteen-bytes-xx", "a\tb", "a\0b"] {
        let error = rig.link(LinkOp::CreateIfb { ns: Ns::Host, common: common(name) }).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{name:?}");
        assert_eq!(
            rig.link(LinkOp::Get { ns: Ns::Host, name: name.into() }).unwrap_err().kind,
            ErrorKind::Invalid
        );
    }
}

#[test]
fn a_bridge_is_made_once_and_found_afterwards() {
    let mut rig = Rig::new();
    let wanted = Common { name: "br0".into(), mtu: Some(1400), mac: Some(MAC_A) };
    let op = LinkOp::EnsureBridge { ns: Ns::Host, common: wanted, vlan_filtering: false };
    let (bridge, new) = rig.link(op.clone()).unwrap().bridge().unwrap();
    assert!(new);
    let shown = rig.show(Ns::Host, "br0");
    assert_eq!(shown["linkinfo"]["info_kind"], json!("bridge"));
    assert_eq!((&shown["mtu"], &shown["address"]), (&json!(1400), &json!(MAC_A.to_string())));
    assert_eq!(rig.link(op).unwrap().bridge().unwrap(), (bridge, false));
}

#[test]
fn a_link_of_another_kind_is_no_bridge() {
    let mut rig = Rig::new();
    rig.veth();
    for (name, kind) in [("veth0", "veth"), ("lo", "without a kind")] {
        let op = LinkOp::EnsureBridge { ns: Ns::Host, common: common(name), vlan_filtering: false };
        let error = rig.link(op).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict);
        assert!(error.message.contains(kind), "{error}");
    }
}

#[test]
fn many_callers_make_one_bridge() {
    let rig = Rig::new();
    let made: Vec<bool> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let mut kernel = rig.without_container();
                scope.spawn(move || {
                    let op =
                        LinkOp::EnsureBridge { ns: Ns::Host, common: common("br0"), vlan_filtering: false };
                    kernel.apply(&Rig::owner(), &KernelOp::Link(op)).unwrap().bridge().unwrap().1
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert_eq!(made.iter().filter(|new| **new).count(), 1, "{made:?}");
}

#[test]
fn vlan_filtering_is_on_or_an_error() {
    let mut rig = Rig::new();
    let op = LinkOp::EnsureBridge { ns: Ns::Host, common: common("br0"), vlan_filtering: true };
    match rig.link(op) {
        Ok(_) => assert_eq!(rig.show(Ns::Host, "br0")["linkinfo"]["info_data"]["vlan_filtering"], json!(1)),
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::Unsupported, "{error}");
            assert!(error.message.contains("BRIDGE_VLAN_FILTERING"), "{error}");
            assert!(rig.try_run(Ns::Host, "ip link show br0").is_err(), "the bridge must not stay");
            println!(
                "SKIPPED: vlan_filtering_is_on_or_an_error: on: this kernel has no BRIDGE_VLAN_FILTERING"
            );
        }
    }
}

#[test]
fn an_ifb_is_made_once() {
    let mut rig = Rig::new();
    let wanted = Common { name: "bwp0".into(), mtu: Some(1400), mac: Some(MAC_A) };
    let op = LinkOp::CreateIfb { ns: Ns::Host, common: wanted };
    let ifb = rig.link(op.clone()).unwrap().link().unwrap();
    let shown = rig.show(Ns::Host, "bwp0");
    assert_eq!(shown["linkinfo"]["info_kind"], json!("ifb"));
    assert_eq!((&shown["ifindex"], &shown["mtu"]), (&json!(ifb.index), &json!(1400)));
    assert_eq!(shown["address"], json!(MAC_A.to_string()));
    let error = rig.link(op).unwrap_err();
    assert_eq!(error.kind, ErrorKind::AlreadyExists);
    assert!(error.message.contains("bwp0 in the host's namespace"), "{error}");
}
