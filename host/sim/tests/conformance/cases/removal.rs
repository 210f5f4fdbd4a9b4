//! Links that go, and what goes with them.

#![allow(clippy::too_many_lines, reason = "sequences are read from top to bottom")]

use wharf_ops::Link;
use wharf_ops::links::LinkOp;

use crate::ops::*;
use crate::step::{Case, Foreign, Step, case};

fn many(links: Vec<Link>) -> Step {
    link(LinkOp::DeleteMany { links })
}

fn unused(bridge: Link) -> Step {
    link(LinkOp::DeleteUnusedBridge { link: bridge })
}

pub(crate) fn all() -> Vec<Case> {
    let br0 = || at(HOST, 3, "br0");
    let ifb0 = || at(HOST, 3, "ifb0");
    vec![
        case(
            "a veth takes its other end along",
            [
                veth(),
                delete(va()),
                delete(va()),
                delete(eth0()),
                delete(named(HOST, "va")),
                veth(),
                delete(named(CONTAINER, "eth0")),
            ],
        ),
        case(
            "another link of the same number stays",
            [
                veth(),
                delete(at(HOST, 2, "mine")),
                info(va()),
                link(LinkOp::SetAlias { link: va(), alias: "mine".into() }),
                delete(at(HOST, 2, "mine")),
            ],
        ),
        case(
            "a renamed link is known by its alias",
            [
                veth(),
                link(LinkOp::SetAlias { link: va(), alias: "va".into() }),
                Step::Foreign(Foreign::Rename { ns: HOST, from: "va", to: "other" }),
                info(va()),
                delete(named(HOST, "va")),
                delete(va()),
            ],
        ),
        case(
            "what cannot go",
            [
                delete(lo(HOST)),
                delete(lo(CONTAINER)),
                many(vec![lo(HOST)]),
                ifb(HOST, "ifb0"),
                many(vec![at(HOST, 2, "ifb0"), lo(HOST)]),
                delete(named(HOST, "a/b")),
            ],
        ),
        case(
            "many at once",
            [
                veth(),
                ifb(HOST, "ifb0"),
                ifb(HOST, "ifb1"),
                many(vec![eth0(), ifb0(), va(), at(HOST, 77, "gone"), at(HOST, 4, "renamed")]),
                many(vec![eth0(), ifb0(), va()]),
                many(vec![]),
            ],
        ),
        case(
            "many, by their names",
            [
                veth(),
                ifb(HOST, "ifb0"),
                many(vec![
                    named(CONTAINER, "eth0"),
                    named(HOST, "ifb0"),
                    named(HOST, "va"),
                    named(HOST, "gone"),
                ]),
            ],
        ),
        case(
            "many, of the container alone",
            [
                bridge(CONTAINER, "br7"),
                ifb(CONTAINER, "ifb7"),
                many(vec![at(CONTAINER, 2, "br7"), at(CONTAINER, 3, "ifb7")]),
            ],
        ),
        case(
            "a bridge that is used stays",
            [
                veth(),
                bridge(HOST, "br0"),
                master(va(), Some(br0())),
                unused(br0()),
                info(br0()),
                master(va(), None),
                unused(named(HOST, "br0")),
                unused(br0()),
                unused(va()),
            ],
        ),
        case(
            "a bridge that goes frees its ports",
            [veth(), bridge(HOST, "br0"), master(va(), Some(br0())), delete(br0()), info(va())],
        ),
        case(
            "addresses, routes and neighbours go with their link",
            quiet(CONTAINER).into_iter().chain([
                veth(),
                up(va()),
                up(eth0()),
                wait(eth0()),
                add(eth0(), "10.1.0.2/24"),
                add(eth0(), "fd00::2/64"),
                add_route(CONTAINER, via("0.0.0.0/0", "10.1.0.1")),
                add_route(CONTAINER, via("::/0", "fd00::1")),
                neighbour(eth0(), "10.1.0.1", A),
                delete(va()),
                routes(CONTAINER, None),
                lookup(CONTAINER, "10.1.0.2"),
            ]),
        ),
        case(
            "without a container there is nothing to remove",
            [
                veth(),
                Step::WithoutContainer,
                delete(eth0()),
                delete(named(CONTAINER, "eth0")),
                many(vec![eth0(), va()]),
                unused(eth0()),
                remove(eth0(), "10.0.0.1/24"),
                no_neighbour(eth0(), "10.0.0.1"),
                remove_route(CONTAINER, on("10.0.0.0/24", 2)),
            ],
        ),
    ]
}
