//! What an ADD that fails undoes of things that were there before it, and what it leaves to others.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::attach::link;
use common::{Guest, Node, Script, assert_same, error};
use wharf_ops::call::{CniError, Failure};
use wharf_ops::links::{Common, LinkOp};
use wharf_ops::shaping::{Rate, ShapingOp};
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{ErrorKind, KernelOp, Link, Ns, Op};

const RATE: Rate = Rate { bits_per_second: 1_000_000, burst_bits: 80_000, latency_ms: 25 };

fn fail(guest: &mut Guest) {
    let failure = CniError { code: 123, msg: "no luck".into(), details: None };
    guest.finish(Err(Failure::Guest(failure)));
}

fn get(guest: &mut Guest, name: &str) -> Link {
    let get = LinkOp::Get { ns: Ns::Host, name: name.into() };
    guest.ask(link(get)).unwrap().maybe_link().unwrap().unwrap()
}

fn shaping(op: ShapingOp) -> Op {
    Op::Kernel(KernelOp::Shaping(op))
}

/// A node whose container has a veth that an earlier plugin made: `v0` on the host.
fn with_veth() -> Node {
    let node = Node::new(None, "");
    let container = node.netns.display();
    node.shell(&format!("ip link add v0 type veth peer name v1 netns {container} && ip link set v0 up"));
    node
}

#[test]
fn an_operators_qdiscs_survive_limits_that_are_refused() {
    let node = with_veth();
    node.shell("tc qdisc add dev v0 root handle 7: htb; tc qdisc add dev v0 ingress");
    let before = node.dump();
    let limit: Script = |guest| {
        let on = get(guest, "v0");
        let refused = guest.ask(shaping(ShapingOp::SetEgress { on: on.clone(), rate: RATE })).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
        let common = Common { name: "ifb0".into(), ..Common::default() };
        let to = guest.ask(link(LinkOp::CreateIfb { ns: Ns::Host, common })).unwrap().link().unwrap();
        let refused = guest.ask(shaping(ShapingOp::RedirectIngress { on, to })).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
        fail(guest);
    };
    assert_eq!(error(&node.run("ADD", limit)).0, 123);
    assert_same(&node.dump(), &before, "both qdiscs are the operator's");
}

#[test]
fn a_failed_second_add_leaves_the_limits_of_the_first() {
    let redirect: Script = |guest| {
        let on = get(guest, "v0");
        let common = Common { name: "ifb0".into(), ..Common::default() };
        let to = guest.ask(link(LinkOp::CreateIfb { ns: Ns::Host, common })).unwrap().link().unwrap();
        guest.ask(shaping(ShapingOp::RedirectIngress { on, to })).unwrap();
        guest.succeed();
    };
    let shape: Script = |guest| {
        let on = get(guest, "v0");
        guest.ask(shaping(ShapingOp::SetEgress { on, rate: RATE })).unwrap();
        guest.succeed();
    };
    let failing: Script = |guest| {
        let on = get(guest, "v0");
        let rate = Rate { bits_per_second: 2_000_000, ..RATE };
        guest.ask(shaping(ShapingOp::SetEgress { on: on.clone(), rate })).unwrap();
        let common = Common { name: "ifb1".into(), ..Common::default() };
        let to = guest.ask(link(LinkOp::CreateIfb { ns: Ns::Host, common })).unwrap().link().unwrap();
        guest.ask(shaping(ShapingOp::RedirectIngress { on, to })).unwrap();
        fail(guest);
    };
    for first in [redirect, shape] {
        let node = with_veth();
        assert_eq!(node.run("ADD", first).status, 0);
        // Without the number of the action.
        let shown = || node.shell("tc qdisc show dev v0; tc filter show dev v0 ingress | sed 's/index .*//'");
        let before = shown();
        assert_eq!(error(&node.run("ADD", failing)).0, 123);
        assert_eq!(shown(), before);
    }
}

#[test]
fn a_parameter_that_cannot_be_read_can_be_written() {
    let node = Node::new(None, "");
    let write: Script = |guest| {
        let write = |key: &str, value: &str| {
            let (key, value) = (key.to_owned(), value.to_owned());
            Op::Kernel(KernelOp::Sysctl(SysctlOp::Write { ns: Ns::Container, key, value }))
        };
        guest.ask(write("ipv4/route/flush", "1")).unwrap();
        guest.ask(write("ipv6/conf/default/stable_secret", "2001:db8::1")).unwrap();
        fail(guest);
    };
    assert_eq!(error(&node.run("ADD", write)).0, 123);
    assert!(node.journals().is_empty(), "there is nothing to go back to");
}
