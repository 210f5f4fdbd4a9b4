//! Token buckets and redirections.

#![allow(clippy::too_many_lines, reason = "sequences are read from top to bottom")]

use wharf_ops::Link;
use wharf_ops::shaping::ShapingOp;

use crate::ops::*;
use crate::step::{Case, Foreign, Step, case};

fn egress(on: Link) -> Step {
    shaping(ShapingOp::GetEgress { on })
}

fn redirection(on: Link) -> Step {
    shaping(ShapingOp::GetRedirect { on })
}

fn clear(on: Link) -> Step {
    shaping(ShapingOp::Clear { on })
}

fn clear_egress(on: Link) -> Step {
    shaping(ShapingOp::ClearEgress { on })
}

fn clear_ingress(on: Link) -> Step {
    shaping(ShapingOp::ClearIngress { on })
}

pub(crate) fn all() -> Vec<Case> {
    let usual = || rate(8_000_000, 800_000, 25);
    let (ifb0, ifb1) = (|| at(HOST, 3, "ifb0"), || at(HOST, 4, "ifb1"));
    vec![
        case(
            "a token bucket",
            [
                veth(),
                egress(va()),
                shape(va(), usual()),
                egress(va()),
                shape(va(), rate(16_000_000, 800_000, 50)),
                egress(named(HOST, "va")),
                shape(va(), rate(80_000_000_000, 800_000_000, 25)),
                egress(va()),
                shape(va(), rate(12_345, 9_999, 25)),
                egress(va()),
                clear(va()),
                clear(va()),
                egress(va()),
                up(va()),
                shape(va(), usual()),
                down(va()),
                egress(va()),
                clear(named(HOST, "va")),
                shape(lo(HOST), usual()),
                egress(lo(HOST)),
                clear(lo(HOST)),
            ],
        ),
        case(
            "rates that cannot be",
            [
                veth(),
                shape(va(), rate(7, 800, 25)),
                shape(va(), rate(8, 0, 25)),
                shape(va(), rate(8, 1 << 35, 25)),
                shape(va(), rate(80_000_000_000, 8, 25)),
                shape(va(), rate(8, 8, 0)),
                egress(va()),
                shape(va(), rate(1_000_000_000, 1000, 0)),
                egress(va()),
                shape(va(), rate(8, (1 << 35) - 1, u32::MAX)),
                egress(va()),
                shape(va(), rate(1_000_001, 1_001, 3)),
                egress(va()),
            ],
        ),
        case(
            "redirections",
            [
                veth(),
                ifb(HOST, "ifb0"),
                ifb(HOST, "ifb1"),
                redirection(va()),
                redirect(va(), ifb0()),
                redirect(va(), ifb0()),
                redirection(va()),
                redirect(va(), named(HOST, "ifb1")),
                redirection(va()),
                delete(ifb1()),
                redirection(va()),
                redirect(va(), ifb0()),
                redirection(va()),
                clear(va()),
                redirection(va()),
                redirect(va(), eth0()),
                redirect(va(), at(HOST, 77, "gone")),
                redirection(va()),
                redirect(va(), ifb0()),
                redirection(va()),
                redirect(va(), va()),
                redirection(va()),
            ],
        ),
        case(
            "each way by itself",
            [
                veth(),
                ifb(HOST, "ifb0"),
                shape(va(), usual()),
                redirect(va(), ifb0()),
                redirect(va(), at(HOST, 77, "gone")),
                redirection(va()),
                clear_egress(va()),
                clear_egress(va()),
                egress(va()),
                redirection(va()),
                shape(va(), usual()),
                clear_ingress(va()),
                clear_ingress(va()),
                egress(va()),
                redirection(va()),
                clear_egress(at(HOST, 77, "gone")),
                clear_ingress(at(HOST, 77, "gone")),
                Step::Foreign(Foreign::Clsact { ns: HOST, link: "va" }),
                clear_ingress(va()),
                redirect(va(), ifb0()),
            ],
        ),
        case(
            "somebody else's qdiscs",
            [
                veth(),
                ifb(HOST, "ifb0"),
                Step::Foreign(Foreign::Root { ns: HOST, link: "va", kind: "pfifo" }),
                shape(va(), usual()),
                egress(va()),
                clear(va()),
                shape(va(), usual()),
                Step::Foreign(Foreign::Clsact { ns: HOST, link: "va" }),
                redirect(va(), ifb0()),
                redirection(va()),
                clear(va()),
                redirect(va(), ifb0()),
            ],
        ),
        case(
            "of links that are not there",
            [
                shape(at(HOST, 77, "gone"), usual()),
                egress(at(HOST, 77, "gone")),
                redirect(at(HOST, 77, "gone"), lo(HOST)),
                redirection(at(HOST, 77, "gone")),
                clear(at(HOST, 77, "gone")),
                shape(named(HOST, "gone"), usual()),
                egress(named(HOST, "gone")),
                redirection(named(HOST, "gone")),
                clear(named(HOST, "gone")),
                redirect(lo(HOST), named(HOST, "gone")),
            ],
        ),
        case(
            "without a container",
            [Step::WithoutContainer, shape(eth0(), usual()), egress(eth0()), clear(eth0())],
        ),
    ]
}
