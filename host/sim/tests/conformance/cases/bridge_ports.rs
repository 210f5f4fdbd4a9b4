//! Links as ports of a bridge.

use wharf_ops::Link;
use wharf_ops::bridge_ports::BridgePortOp;

use crate::ops::*;
use crate::step::{Case, Step, case};

fn get(on: Link) -> Step {
    port(BridgePortOp::Get { port: on })
}

fn hairpin(link: Link, on: bool) -> Step {
    port(BridgePortOp::SetHairpin { port: link, on })
}

fn isolated(link: Link, on: bool) -> Step {
    port(BridgePortOp::SetIsolated { port: link, on })
}

pub(crate) fn all() -> Vec<Case> {
    let br0 = || at(HOST, 3, "br0");
    vec![
        case(
            "flags of a port",
            [
                veth(),
                bridge(HOST, "br0"),
                get(va()),
                hairpin(va(), true),
                isolated(va(), true),
                master(va(), Some(br0())),
                get(va()),
                hairpin(va(), true),
                get(named(HOST, "va")),
                isolated(named(HOST, "va"), true),
                get(va()),
                hairpin(va(), false),
                get(va()),
                master(va(), None),
                get(va()),
                master(va(), Some(br0())),
                get(va()),
            ],
        ),
        case(
            "links that are no ports",
            [
                bridge(HOST, "br0"),
                get(at(HOST, 2, "br0")),
                hairpin(at(HOST, 2, "br0"), true),
                get(lo(HOST)),
                isolated(lo(HOST), true),
                get(at(HOST, 77, "gone")),
                hairpin(at(HOST, 77, "gone"), true),
                get(named(HOST, "gone")),
                isolated(named(HOST, "gone"), true),
            ],
        ),
        case("without a container", [Step::WithoutContainer, get(eth0()), hairpin(eth0(), true)]),
    ]
}
