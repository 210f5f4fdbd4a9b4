//! A bridge with all the ports that it can have. No sequence of `cases`: it would be a golden of two thousand lines.

use wharf_kernel::common::BRIDGE_PORTS;
use wharf_ops::links::LinkOp;
use wharf_ops::{Error, ErrorKind, KernelOp, Link, Ns, Reply};

use crate::machine::{Machine, Real, Simulated};
use crate::ops::{common, end, named};
use crate::rooted;
use crate::step::owner;

fn apply(machine: &mut dyn Machine, op: LinkOp) -> Result<Reply, Error> {
    machine.kernel().apply(&owner(), &KernelOp::Link(op))
}

/// What the first link is told that finds no place, and whether it finds one when another has gone.
fn one_too_many(machine: &mut dyn Machine) -> Error {
    let name = |number: usize| format!("p{number}");
    let join = |link: Link| LinkOp::SetMaster { link, master: Some(named(Ns::Host, "br0")) };
    apply(machine, LinkOp::EnsureBridge { ns: Ns::Host, common: common("br0"), vlan_filtering: false })
        .unwrap();
    for pair in 0..BRIDGE_PORTS.div_ceil(2) {
        let [a, b] = [2 * pair, 2 * pair + 1].map(|number| end(Ns::Host, &name(number), None));
        apply(machine, LinkOp::CreateVeth { a, b }).unwrap();
    }
    for number in 0..BRIDGE_PORTS {
        apply(machine, join(named(Ns::Host, &name(number)))).unwrap();
    }
    let last = named(Ns::Host, &name(BRIDGE_PORTS));
    let refused = apply(machine, join(last.clone())).unwrap_err();
    apply(machine, LinkOp::SetMaster { link: named(Ns::Host, &name(0)), master: None }).unwrap();
    apply(machine, join(last)).unwrap();
    refused
}

#[test]
fn simulated() {
    let refused = one_too_many(&mut Simulated::new());
    assert_eq!(refused.kind, ErrorKind::Exhausted);
    assert!(refused.message.contains("1023 ports"), "{refused}");
}

#[test]
fn real() {
    rooted!();
    assert_eq!(one_too_many(&mut Real::new()), one_too_many(&mut Simulated::new()));
}
