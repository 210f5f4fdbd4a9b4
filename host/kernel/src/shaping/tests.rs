//! Against the real kernel in throw-away namespaces, read back with `tc`.

use serde_json::{Value, json};
use wharf_ops::links::LinkOp;
use wharf_ops::{ErrorKind, KernelOp, Ns};

use super::*;
use crate::Kernel;
use crate::testing::{Rig, common};

const EXAMPLE: Rate = Rate { bits_per_second: 8_000_000, burst_bits: 800_000, latency_ms: 25 };

fn apply(rig: &mut Rig, op: ShapingOp) -> Result<Reply, Error> {
    rig.apply(KernelOp::Shaping(op))
}

fn qdiscs(rig: &Rig) -> Vec<Value> {
    rig.json(Ns::Host, "tc -j qdisc show dev veth0").as_array().unwrap().clone()
}

fn egress(rig: &mut Rig, on: &Link) -> Option<Rate> {
    apply(rig, ShapingOp::GetEgress { on: on.clone() }).unwrap().maybe_rate().unwrap()
}

fn with_ifb() -> (Rig, Link, Link) {
    let mut rig = Rig::new();
    let (veth0, _) = rig.veth();
    let ifb = rig.link(LinkOp::CreateIfb { ns: Ns::Host, common: common("ifb7") }).unwrap().link().unwrap();
    (rig, veth0, ifb)
}

#[test]
fn a_token_bucket_is_what_the_reference_makes() {
    let mut rig = Rig::new();
    let (veth0, _) = rig.veth_up();
    assert_eq!(egress(&mut rig, &veth0), None);
    apply(&mut rig, ShapingOp::SetEgress { on: veth0.clone(), rate: EXAMPLE }).unwrap().done().unwrap();
    let shown = rig.run(Ns::Host, "tc qdisc show dev veth0");
    assert!(shown.starts_with("qdisc tbf 1: root "), "{shown}");
    assert!(shown.contains("rate 8Mbit burst 100000b lat 25ms"), "{shown}");
    assert_eq!(egress(&mut rig, &veth0), Some(EXAMPLE));
}

#[test]
fn a_burst_that_the_kernel_cuts_leaves_the_latency_as_it_is() {
    let mut rig = Rig::new();
    let (veth0, _) = rig.veth_up();
    let rate = Rate { bits_per_second: 10_000_000, burst_bits: 4_294_967_295, latency_ms: 25 };
    apply(&mut rig, ShapingOp::SetEgress { on: veth0.clone(), rate }).unwrap().done().unwrap();
    let shown = rig.run(Ns::Host, "tc qdisc show dev veth0");
    assert!(shown.contains("rate 10Mbit") && shown.contains("lat 25ms"), "{shown}");
    let read = egress(&mut rig, &veth0).unwrap();
    assert_eq!((read.bits_per_second, read.latency_ms), (10_000_000, 25));
}

#[test]
fn a_bucket_by_tc_is_read_and_replaced() {
    let mut rig = Rig::new();
    let (veth0, _) = rig.veth();
    for handle in ["1:", "5:"] {
        rig.run(
            Ns::Host,
            &format!(
                "tc qdisc replace dev veth0 root handle {handle} tbf rate 1mbit burst 10kb latency 50ms"
            ),
        );
        let read = egress(&mut rig, &veth0).unwrap();
        assert_eq!((read.bits_per_second, read.burst_bits, read.latency_ms), (1_000_000, 81_920, 50));
        for rate in [EXAMPLE, Rate { bits_per_second: 16_000_000, ..EXAMPLE }] {
            apply(&mut rig, ShapingOp::SetEgress { on: veth0.clone(), rate }).unwrap().done().unwrap();
            assert_eq!(egress(&mut rig, &veth0), Some(rate), "handle {handle}");
        }
        assert_eq!(qdiscs(&rig).len(), 1);
    }
}

#[test]
fn rates_over_32_bits_arrive() {
    let mut rig = Rig::new();
    let (veth0, _) = rig.veth();
    let rate = Rate { bits_per_second: 80_000_000_000, burst_bits: 800_000_000, latency_ms: 25 };
    apply(&mut rig, ShapingOp::SetEgress { on: veth0.clone(), rate }).unwrap().done().unwrap();
    let shown = &qdiscs(&rig)[0];
    assert_eq!(shown["options"]["rate"], json!(10_000_000_000_u64), "{shown}");
    assert_eq!(egress(&mut rig, &veth0), Some(rate));
}

#[test]
fn an_operators_qdisc_is_neither_replaced_nor_removed() {
    let mut rig = Rig::new();
    let (veth0, _) = rig.veth();
    for root in ["handle 1: htb", "handle 7: htb", "handle 1: pfifo limit 5", "pfifo limit 5"] {
        rig.run(Ns::Host, &format!("tc qdisc add dev veth0 root {root}"));
        let kind = if root.contains("htb") { "htb" } else { "pfifo" };
        let error = apply(&mut rig, ShapingOp::SetEgress { on: veth0.clone(), rate: EXAMPLE }).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict, "{root}: {error}");
        assert!(error.message.contains(kind), "{error}");
        assert_eq!(egress(&mut rig, &veth0), None);
        apply(&mut rig, ShapingOp::Clear { on: veth0.clone() }).unwrap().done().unwrap();
        assert_eq!(qdiscs(&rig)[0]["kind"], json!(kind));
        rig.run(Ns::Host, "tc qdisc del dev veth0 root");
    }
}

#[test]
fn ingress_is_redirected_once() {
    let (mut rig, veth0, ifb) = with_ifb();
    let op = ShapingOp::RedirectIngress { on: veth0.clone(), to: ifb.clone() };
    let redirect = ShapingOp::GetRedirect { on: veth0.clone() };
    assert_eq!(apply(&mut rig, redirect.clone()).unwrap().maybe_index().unwrap(), None);
    for _ in 0..2 {
        apply(&mut rig, op.clone()).unwrap().done().unwrap();
        assert_eq!(apply(&mut rig, redirect.clone()).unwrap().maybe_index().unwrap(), Some(ifb.index));
    }
    let shown = rig.run(Ns::Host, "tc filter show dev veth0 ingress");
    assert!(shown.contains("protocol all pref 1 u32"), "{shown}");
    assert!(shown.contains("match 00000000/00000000 at 0"), "{shown}");
    assert_eq!(shown.matches("mirred (Egress Redirect to device ifb7) stolen").count(), 1, "{shown}");
    assert_eq!(shown.matches("action order").count(), 1, "{shown}");
}

#[test]
fn another_target_takes_the_place_of_the_first() {
    let (mut rig, veth0, ifb) = with_ifb();
    let other = rig.link(LinkOp::CreateIfb { ns: Ns::Host, common: common("ifb8") }).unwrap().link().unwrap();
    for to in [&ifb, &other] {
        apply(&mut rig, ShapingOp::RedirectIngress { on: veth0.clone(), to: to.clone() })
            .unwrap()
            .done()
            .unwrap();
    }
    let found = apply(&mut rig, ShapingOp::GetRedirect { on: veth0 }).unwrap().maybe_index().unwrap();
    assert_eq!(found, Some(other.index));
    let shown = rig.run(Ns::Host, "tc filter show dev veth0 ingress");
    assert_eq!(shown.matches("mirred").count(), 1, "{shown}");
}

#[test]
fn an_operators_ingress_qdisc_is_neither_used_nor_removed() {
    let (mut rig, veth0, ifb) = with_ifb();
    let op = ShapingOp::RedirectIngress { on: veth0.clone(), to: ifb };
    let filtered =
        "tc filter add dev veth0 ingress protocol ip prio 7 u32 match ip dport 80 0xffff flowid 1:1";
    for (kind, filter) in [("ingress", None), ("ingress", Some(filtered)), ("clsact", None)] {
        rig.run(Ns::Host, &format!("tc qdisc add dev veth0 {kind}"));
        if let Some(filter) = filter {
            rig.run(Ns::Host, filter);
        }
        let error = apply(&mut rig, op.clone()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
        assert!(error.message.contains(kind), "{error}");
        let found = apply(&mut rig, ShapingOp::GetRedirect { on: veth0.clone() }).unwrap();
        assert_eq!(found.maybe_index().unwrap(), None);
        apply(&mut rig, ShapingOp::Clear { on: veth0.clone() }).unwrap().done().unwrap();
        apply(&mut rig, ShapingOp::ClearEgress { on: veth0.clone() }).unwrap().done().unwrap();
        assert!(qdiscs(&rig).iter().any(|qdisc| qdisc["kind"] == json!(kind)), "{kind}, {filter:?}");
        // Of an empty one the undo of a redirection that was cut short cannot tell that it is not its own.
        if filter.is_some() || kind == "clsact" {
            apply(&mut rig, ShapingOp::ClearIngress { on: veth0.clone() }).unwrap().done().unwrap();
            assert!(qdiscs(&rig).iter().any(|qdisc| qdisc["kind"] == json!(kind)), "{kind}, {filter:?}");
        }
        rig.run(Ns::Host, &format!("tc qdisc del dev veth0 {kind}"));
    }
}

#[test]
fn each_way_is_cleared_by_itself() {
    let (mut rig, veth0, ifb) = with_ifb();
    apply(&mut rig, ShapingOp::SetEgress { on: veth0.clone(), rate: EXAMPLE }).unwrap();
    apply(&mut rig, ShapingOp::RedirectIngress { on: veth0.clone(), to: ifb.clone() }).unwrap();
    for _ in 0..2 {
        apply(&mut rig, ShapingOp::ClearEgress { on: veth0.clone() }).unwrap().done().unwrap();
        assert_eq!(egress(&mut rig, &veth0), None);
        let found = apply(&mut rig, ShapingOp::GetRedirect { on: veth0.clone() }).unwrap();
        assert_eq!(found.maybe_index().unwrap(), Some(ifb.index));
    }
    apply(&mut rig, ShapingOp::SetEgress { on: veth0.clone(), rate: EXAMPLE }).unwrap();
    for _ in 0..2 {
        apply(&mut rig, ShapingOp::ClearIngress { on: veth0.clone() }).unwrap().done().unwrap();
        assert_eq!(egress(&mut rig, &veth0), Some(EXAMPLE));
        assert_eq!(qdiscs(&rig).len(), 1, "{:?}", qdiscs(&rig));
    }
    // What a redirection leaves that ends before its filter.
    rig.run(Ns::Host, "tc qdisc add dev veth0 ingress");
    apply(&mut rig, ShapingOp::ClearIngress { on: veth0.clone() }).unwrap().done().unwrap();
    assert_eq!(qdiscs(&rig).len(), 1, "{:?}", qdiscs(&rig));
}

#[test]
fn a_redirection_that_fails_leaves_what_was_there() {
    let (mut rig, veth0, ifb) = with_ifb();
    let gone = Link { ns: Ns::Host, index: 4711, name: "gone".into() };
    let to_nowhere = ShapingOp::RedirectIngress { on: veth0.clone(), to: gone };
    assert!(apply(&mut rig, to_nowhere.clone()).is_err());
    assert!(qdiscs(&rig).iter().all(|qdisc| qdisc["kind"] == json!("noqueue")), "{:?}", qdiscs(&rig));
    apply(&mut rig, ShapingOp::RedirectIngress { on: veth0.clone(), to: ifb.clone() }).unwrap();
    assert!(apply(&mut rig, to_nowhere).is_err());
    let found = apply(&mut rig, ShapingOp::GetRedirect { on: veth0 }).unwrap().maybe_index().unwrap();
    assert_eq!(found, Some(ifb.index));
}

#[test]
fn clearing_removes_both_and_is_idempotent() {
    let (mut rig, veth0, ifb) = with_ifb();
    apply(&mut rig, ShapingOp::SetEgress { on: veth0.clone(), rate: EXAMPLE }).unwrap();
    apply(&mut rig, ShapingOp::RedirectIngress { on: veth0.clone(), to: ifb }).unwrap();
    assert_eq!(qdiscs(&rig).len(), 2);
    for _ in 0..2 {
        apply(&mut rig, ShapingOp::Clear { on: veth0.clone() }).unwrap().done().unwrap();
        assert!(qdiscs(&rig).iter().all(|qdisc| qdisc["kind"] == json!("noqueue")), "{:?}", qdiscs(&rig));
    }
    rig.run(Ns::Host, "ip link del veth0");
    for on in [veth0.clone(), Link { index: 0, ..veth0.clone() }, Link { ns: Ns::Container, ..veth0.clone() }]
    {
        let mut later = rig.without_container();
        later.apply(&Rig::owner(), &KernelOp::Shaping(ShapingOp::Clear { on })).unwrap().done().unwrap();
    }
    let error = apply(&mut rig, ShapingOp::SetEgress { on: veth0, rate: EXAMPLE }).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
}

#[test]
fn nonsense_is_invalid() {
    let (mut rig, veth0, ifb) = with_ifb();
    let slow = Rate { bits_per_second: 7, ..EXAMPLE };
    let error = apply(&mut rig, ShapingOp::SetEgress { on: veth0, rate: slow }).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    let inside = Link { ns: Ns::Container, index: 2, name: "eth0".into() };
    let error = apply(&mut rig, ShapingOp::RedirectIngress { on: inside, to: ifb }).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.contains("two namespaces"), "{error}");
}
