//! Against the real kernel in throw-away namespaces, read back with `ip`.

use serde_json::json;
use wharf_ops::{ErrorKind, KernelOp, Ns};

use super::*;
use crate::Kernel;
use crate::testing::Rig;

const ONE: Mac = Mac([2, 0, 0, 0, 0, 1]);
const TWO: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn apply(rig: &mut Rig, op: NeighbourOp) -> Result<Reply, Error> {
    rig.apply(KernelOp::Neighbour(op))
}

#[test]
fn entries_are_set_replaced_listed_and_removed() {
    let mut rig = Rig::new();
    let (veth0, eth0) = rig.veth_up();
    let addresses: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
    for address in addresses {
        for mac in [ONE, TWO] {
            apply(&mut rig, NeighbourOp::Set { on: eth0.clone(), address, mac }).unwrap().done().unwrap();
        }
    }
    rig.run(Ns::Container, "ip neighbour add 10.0.0.9 lladdr 02:00:00:00:00:01 nud stale dev eth0");
    rig.run(Ns::Host, "ip neighbour add 10.0.0.8 lladdr 02:00:00:00:00:01 nud stale dev veth0");
    let shown = rig.json(Ns::Container, "ip -j neighbour show dev eth0 nud permanent");
    let shown = shown.as_array().unwrap();
    for address in addresses {
        let entry = shown.iter().find(|entry| entry["dst"] == json!(address.to_string())).unwrap();
        assert_eq!(entry["lladdr"], json!(TWO.to_string()));
    }
    assert_eq!(shown.len(), 2);
    let mut listed = apply(&mut rig, NeighbourOp::GetAll { on: eth0.clone() }).unwrap().neighbours().unwrap();
    listed.sort_by_key(|entry| entry.address);
    let entry = |address: &str, mac, permanent| Neighbour {
        address: address.parse().unwrap(),
        mac: Some(mac),
        permanent,
    };
    assert_eq!(
        listed,
        [entry("10.0.0.1", TWO, true), entry("10.0.0.9", ONE, false), entry("fd00::1", TWO, true)]
    );
    for address in addresses {
        for _ in 0..2 {
            apply(&mut rig, NeighbourOp::Remove { on: eth0.clone(), address }).unwrap().done().unwrap();
        }
    }
    assert_eq!(rig.json(Ns::Container, "ip -j neighbour show dev eth0 nud permanent"), json!([]));
    let others = apply(&mut rig, NeighbourOp::GetAll { on: veth0 }).unwrap().neighbours().unwrap();
    assert_eq!(others.len(), 1);
}

#[test]
fn of_a_link_that_is_gone_nothing_is_left_to_remove() {
    let mut rig = Rig::new();
    let (_, eth0) = rig.veth();
    rig.run(Ns::Container, "ip link del eth0");
    let address = "10.0.0.1".parse().unwrap();
    for on in [eth0.clone(), Link { index: 0, ..eth0.clone() }] {
        apply(&mut rig, NeighbourOp::Remove { on, address }).unwrap().done().unwrap();
    }
    let op = KernelOp::Neighbour(NeighbourOp::Remove { on: eth0.clone(), address });
    rig.without_container().apply(&Rig::owner(), &op).unwrap().done().unwrap();
    let error = apply(&mut rig, NeighbourOp::Set { on: eth0, address, mac: ONE }).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    assert!(error.message.contains("10.0.0.1"), "{error}");
}
