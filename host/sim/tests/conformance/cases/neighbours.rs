//! Permanent neighbours.

#![allow(clippy::too_many_lines, reason = "sequences are read from top to bottom")]

use crate::ops::*;
use crate::step::{Case, Step, case};

pub(crate) fn all() -> Vec<Case> {
    let start = || [quiet(HOST), quiet(CONTAINER), veth_up()].concat();
    let br0 = || at(HOST, 3, "br0");
    vec![
        case(
            "entries are set, replaced and removed",
            start().into_iter().chain([
                neighbour(eth0(), "10.0.0.1", A),
                neighbour(eth0(), "10.0.0.1", C),
                neighbour(eth0(), "fd00::1", A),
                neighbour(eth0(), "fd00::1", C),
                neighbour(named(CONTAINER, "eth0"), "10.0.0.2", A),
                neighbours(eth0()),
                neighbours(va()),
                neighbours(named(HOST, "va")),
                no_neighbour(eth0(), "10.0.0.1"),
                no_neighbour(eth0(), "10.0.0.1"),
                no_neighbour(eth0(), "fd00::1"),
                no_neighbour(eth0(), "fd00::1"),
                no_neighbour(named(CONTAINER, "eth0"), "10.0.0.2"),
                neighbours(eth0()),
            ]),
        ),
        case(
            "of links that are not there",
            [
                neighbour(at(HOST, 77, "gone"), "10.0.0.1", A),
                neighbour(named(HOST, "gone"), "10.0.0.1", A),
                no_neighbour(at(HOST, 77, "gone"), "10.0.0.1"),
                no_neighbour(named(HOST, "gone"), "10.0.0.1"),
                neighbours(at(HOST, 77, "gone")),
                neighbours(named(HOST, "gone")),
            ],
        ),
        case(
            "of links that do not ask",
            [
                neighbour(lo(HOST), "10.0.0.1", A),
                neighbours(lo(HOST)),
                up(lo(HOST)),
                neighbour(lo(HOST), "fd00::1", A),
                ifb(HOST, "ifb0"),
                neighbour(at(HOST, 2, "ifb0"), "10.0.0.1", A),
                neighbour(at(HOST, 2, "ifb0"), "fd00::1", A),
                neighbours(at(HOST, 2, "ifb0")),
            ],
        ),
        case(
            "addresses that nobody can have",
            start().into_iter().chain([
                neighbour(eth0(), "224.0.0.1", A),
                neighbour(eth0(), "0.0.0.0", A),
                neighbour(eth0(), "255.255.255.255", A),
                neighbour(eth0(), "ff02::1", A),
                neighbour(eth0(), "::", A),
                neighbour(eth0(), "127.0.0.1", A),
                neighbour(eth0(), "::1", A),
                neighbour(eth0(), "10.0.0.1", wharf_ops::Mac([0; 6])),
                neighbour(eth0(), "10.0.0.2", wharf_ops::Mac([1, 0, 0, 0, 0, 1])),
            ]),
        ),
        case(
            "entries of a link that is down, and when it goes down",
            quiet(CONTAINER).into_iter().chain([
                veth(),
                neighbour(eth0(), "10.0.0.1", A),
                neighbour(eth0(), "fd00::1", A),
                up(eth0()),
                neighbours(eth0()),
                up(va()),
                wait(eth0()),
                neighbours(eth0()),
                down(va()),
                neighbours(eth0()),
                down(eth0()),
                neighbours(eth0()),
            ]),
        ),
        case(
            "the last IPv4 address takes them along",
            quiet(CONTAINER).into_iter().chain([
                veth(),
                add(eth0(), "10.0.0.2/24"),
                add(eth0(), "10.0.1.2/24"),
                neighbour(eth0(), "10.0.0.1", A),
                neighbour(eth0(), "fd00::1", A),
                remove(eth0(), "10.0.0.2/24"),
                neighbours(eth0()),
                remove(eth0(), "10.0.1.2/24"),
                neighbours(eth0()),
            ]),
        ),
        case(
            "a new hardware address forgets them",
            quiet(CONTAINER).into_iter().chain([
                veth(),
                up(eth0()),
                neighbour(eth0(), "10.0.0.1", A),
                neighbour(eth0(), "fd00::1", A),
                link(wharf_ops::links::LinkOp::SetMac { link: eth0(), mac: C }),
                neighbours(eth0()),
            ]),
        ),
        case(
            "a bridge forgets them when a port changes its hardware address",
            quiet(HOST).into_iter().chain([
                veth(),
                bridge(HOST, "br0"),
                up(br0()),
                neighbour(br0(), "10.0.0.1", A),
                master(va(), Some(br0())),
                neighbours(br0()),
                neighbour(br0(), "10.0.0.1", A),
                master(va(), None),
                neighbours(br0()),
            ]),
        ),
        case(
            "where IPv6 is off",
            [
                veth(),
                neighbour(eth0(), "fd00::1", A),
                write(CONTAINER, "ipv6/conf/eth0/disable_ipv6", "1"),
                neighbours(eth0()),
                neighbour(eth0(), "fd00::1", A),
                neighbours(eth0()),
                link(wharf_ops::links::LinkOp::SetMtu { link: eth0(), mtu: 1200 }),
                neighbour(eth0(), "fd00::1", A),
                neighbour(eth0(), "10.0.0.1", A),
            ],
        ),
        case(
            "without a container",
            [
                Step::WithoutContainer,
                neighbour(eth0(), "10.0.0.1", A),
                no_neighbour(eth0(), "10.0.0.1"),
                neighbours(eth0()),
            ],
        ),
    ]
}
