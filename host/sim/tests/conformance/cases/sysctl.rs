//! Parameters, and what follows from them.

#![allow(clippy::too_many_lines, reason = "sequences are read from top to bottom")]

use crate::ops::*;
use crate::step::{Case, Step, case};

fn each(ns: wharf_ops::Ns, key: &str, values: &[&str]) -> Vec<Step> {
    values.iter().flat_map(|value| [write(ns, key, value), read(ns, key)]).collect()
}

pub(crate) fn all() -> Vec<Case> {
    [values(), effects(), refused()].concat()
}

fn values() -> Vec<Case> {
    let numbers =
        ["0", "1", "2", "-1", "0x10", "010", "2147483647", "2147483648", "yes", "1 2", " 3", "", "1.5"];
    vec![
        case("numbers", [veth()].into_iter().chain(each(CONTAINER, "ipv4/conf/eth0/rp_filter", &numbers))),
        case(
            "numbers in bounds",
            [veth()].into_iter().chain(
                [
                    each(CONTAINER, "ipv6/conf/eth0/hop_limit", &["1", "0", "255", "256", "64"]),
                    each(CONTAINER, "ipv6/conf/eth0/addr_gen_mode", &["1", "2", "3", "4", "0"]),
                    each(CONTAINER, "ipv6/conf/eth0/mtu", &["1280", "1279", "1500", "1501"]),
                    each(CONTAINER, "ipv6/conf/eth0/ndisc_tclass", &["0", "255", "256"]),
                    each(CONTAINER, "ipv6/conf/eth0/router_solicitations", &["-1", "-2", "0"]),
                    each(CONTAINER, "ipv4/ip_unprivileged_port_start", &["0", "65535", "65536", "1024"]),
                    each(CONTAINER, "core/somaxconn", &["0", "-1", "1024"]),
                    each(CONTAINER, "ipv4/ip_default_ttl", &["0", "64", "255", "256"]),
                    each(CONTAINER, "ipv4/icmp_echo_ignore_all", &["0", "1", "2", "0"]),
                    each(CONTAINER, "ipv4/tcp_tw_reuse", &["0", "1", "2", "3"]),
                    each(CONTAINER, "ipv4/tcp_keepalive_probes", &["9", "255", "256"]),
                ]
                .concat(),
            ),
        ),
        case(
            "several numbers",
            [veth()].into_iter().chain(
                [
                    each(
                        CONTAINER,
                        "ipv4/ip_local_port_range",
                        &["20000 30000", "20000\t30000", "30000 20000", "0 1", "1"],
                    ),
                    each(CONTAINER, "ipv6/conf/eth0/stable_secret", &["fd00::1", "nonsense"]),
                    vec![write(CONTAINER, "ipv6/conf/eth0/addr_gen_mode", "2")],
                ]
                .concat(),
            ),
        ),
        case(
            "parameters of a new namespace",
            [
                "ipv6/conf/all/accept_dad",
                "ipv6/conf/default/accept_dad",
                "ipv6/conf/lo/accept_dad",
                "ipv6/conf/all/disable_ipv6",
                "ipv6/conf/lo/use_tempaddr",
                "ipv6/conf/all/forwarding",
                "ipv6/conf/lo/mtu",
                "ipv6/conf/all/mtu",
                "ipv4/conf/lo/disable_policy",
                "ipv4/ip_forward",
                "ipv4/conf/all/forwarding",
            ]
            .map(|key| read(CONTAINER, key)),
        ),
        case(
            "parameters of new devices",
            [
                veth(),
                ifb(CONTAINER, "ifb0"),
                read(CONTAINER, "ipv6/conf/ifb0/accept_dad"),
                read(CONTAINER, "ipv6/conf/ifb0/mtu"),
                read(CONTAINER, "ipv6/conf/eth0/accept_dad"),
                read(CONTAINER, "ipv6/conf/eth0/use_tempaddr"),
                read(CONTAINER, "ipv6/conf/eth0/mtu"),
                write(CONTAINER, "ipv6/conf/default/accept_ra", "0"),
                write(CONTAINER, "ipv6/conf/eth0/accept_ra", "2"),
                ifb(CONTAINER, "ifb1"),
                read(CONTAINER, "ipv6/conf/ifb1/accept_ra"),
                read(CONTAINER, "ipv6/conf/eth0/accept_ra"),
                link(wharf_ops::links::LinkOp::SetMtu { link: eth0(), mtu: 1400 }),
                read(CONTAINER, "ipv6/conf/eth0/mtu"),
            ],
        ),
    ]
}

fn effects() -> Vec<Case> {
    vec![
        case(
            "forwarding of IPv4",
            [
                veth(),
                write(CONTAINER, "ipv4/ip_forward", "0"),
                write(CONTAINER, "ipv4/ip_forward", "1"),
                read(CONTAINER, "ipv4/conf/all/forwarding"),
                read(CONTAINER, "ipv4/conf/default/forwarding"),
                read(CONTAINER, "ipv4/conf/eth0/forwarding"),
                read(CONTAINER, "ipv4/conf/all/accept_redirects"),
                read(HOST, "ipv4/conf/va/forwarding"),
                write(CONTAINER, "ipv4/conf/eth0/forwarding", "0"),
                read(CONTAINER, "ipv4/ip_forward"),
                write(CONTAINER, "ipv4/conf/all/forwarding", "0"),
                read(CONTAINER, "ipv4/ip_forward"),
                read(CONTAINER, "ipv4/conf/all/accept_redirects"),
                write(CONTAINER, "ipv4/conf/default/forwarding", "1"),
                read(CONTAINER, "ipv4/conf/eth0/forwarding"),
                ifb(CONTAINER, "ifb0"),
                read(CONTAINER, "ipv4/conf/ifb0/forwarding"),
            ],
        ),
        case(
            "forwarding of IPv6",
            [
                veth(),
                write(CONTAINER, "ipv6/conf/all/forwarding", "1"),
                read(CONTAINER, "ipv6/conf/default/forwarding"),
                read(CONTAINER, "ipv6/conf/eth0/forwarding"),
                write(CONTAINER, "ipv6/conf/eth0/forwarding", "0"),
                read(CONTAINER, "ipv6/conf/all/forwarding"),
                write(CONTAINER, "ipv6/conf/default/forwarding", "0"),
                read(CONTAINER, "ipv6/conf/lo/forwarding"),
            ],
        ),
        case(
            "new defaults of IPv4 hold where nothing was written",
            [
                veth(),
                ifb(CONTAINER, "ifb0"),
                write(CONTAINER, "ipv4/conf/eth0/arp_ignore", "1"),
                write(CONTAINER, "ipv4/conf/default/arp_ignore", "2"),
                read(CONTAINER, "ipv4/conf/eth0/arp_ignore"),
                read(CONTAINER, "ipv4/conf/ifb0/arp_ignore"),
                read(CONTAINER, "ipv4/conf/lo/arp_ignore"),
                add(at(CONTAINER, 3, "ifb0"), "10.0.0.1/24"),
                write(CONTAINER, "ipv4/conf/default/arp_ignore", "3"),
                read(CONTAINER, "ipv4/conf/ifb0/arp_ignore"),
                read(CONTAINER, "ipv4/conf/lo/arp_ignore"),
                ifb(CONTAINER, "ifb1"),
                write(CONTAINER, "ipv4/conf/default/arp_ignore", "4"),
                read(CONTAINER, "ipv4/conf/ifb1/arp_ignore"),
                write(CONTAINER, "ipv4/conf/default/arp_announce", "1"),
                read(CONTAINER, "ipv4/conf/ifb1/arp_announce"),
                read(CONTAINER, "ipv4/conf/ifb0/arp_announce"),
            ],
        ),
        case(
            "parameters follow a renamed device",
            [
                veth(),
                write(CONTAINER, "ipv6/conf/eth0/accept_ra", "0"),
                Step::Foreign(crate::step::Foreign::Rename { ns: CONTAINER, from: "eth0", to: "eth0.100" }),
                read(CONTAINER, "ipv6/conf/eth0.100/accept_ra"),
                read(CONTAINER, "ipv6/conf/eth0/accept_ra"),
            ],
        ),
        case(
            "IPv6 comes back",
            [
                veth(),
                up(va()),
                up(eth0()),
                wait(eth0()),
                write(CONTAINER, "ipv6/conf/eth0/disable_ipv6", "1"),
                addresses(eth0()),
                write(CONTAINER, "ipv6/conf/eth0/disable_ipv6", "0"),
                addresses(eth0()),
                write(CONTAINER, "ipv6/conf/all/disable_ipv6", "1"),
                write(CONTAINER, "ipv6/conf/all/disable_ipv6", "0"),
                addresses(eth0()),
                ifb(CONTAINER, "ifb0"),
                write(CONTAINER, "ipv6/conf/default/disable_ipv6", "1"),
                ifb(CONTAINER, "ifb1"),
                read(CONTAINER, "ipv6/conf/ifb0/disable_ipv6"),
                read(CONTAINER, "ipv6/conf/ifb1/disable_ipv6"),
            ],
        ),
        case(
            "link-local addresses when they are wanted",
            [
                write(CONTAINER, "ipv6/conf/default/addr_gen_mode", "1"),
                veth(),
                up(va()),
                up(eth0()),
                wait(eth0()),
                addresses(eth0()),
                write(CONTAINER, "ipv6/conf/eth0/addr_gen_mode", "0"),
                addresses(eth0()),
            ],
        ),
    ]
}

fn refused() -> Vec<Case> {
    vec![
        case(
            "what is not there",
            [
                read(CONTAINER, "ipv4/conf/none/forwarding"),
                write(CONTAINER, "ipv4/conf/none/forwarding", "1"),
                read(CONTAINER, "nonsense"),
                write(CONTAINER, "nonsense", "1"),
                read(CONTAINER, "ipv4/ip_forward/below"),
                read(CONTAINER, "ipv4/conf/lo/forwarding/below"),
                read(CONTAINER, "ipv4/conf/lo/nonsense"),
                read(CONTAINER, "ipv4/conf/lo/nonsense/below"),
                read(CONTAINER, "ipv4"),
                write(CONTAINER, "ipv4", "1"),
                read(CONTAINER, "ipv4/conf"),
                read(CONTAINER, "ipv4/conf/lo"),
                read(CONTAINER, "ipv6/conf/all"),
                write(CONTAINER, "ipv4/conf/lo", "1"),
            ],
        ),
        case(
            "keys that lead elsewhere",
            ["", "/etc/passwd", "../kernel/hostname", "ipv4//ip_forward", ".", "ipv4/.x"]
                .map(|key| read(CONTAINER, key))
                .into_iter()
                .chain([write(CONTAINER, "ipv4/", "1"), write(CONTAINER, "ipv4/ip_forward", "1\0")]),
        ),
        case(
            "what can only be read, and what can only be written",
            [
                read(HOST, "ipv4/conf/lo/mc_forwarding"),
                write(HOST, "ipv4/conf/lo/mc_forwarding", "0"),
                write(HOST, "ipv4/conf/lo/mc_forwarding", "1"),
                write(HOST, "ipv4/route/flush", "1"),
                read(HOST, "ipv4/route/flush"),
                read(HOST, "ipv6/conf/lo/stable_secret"),
                write(HOST, "netfilter/nf_conntrack_count", "0"),
            ],
        ),
        case(
            "without a container",
            [
                Step::WithoutContainer,
                read(CONTAINER, "ipv4/ip_forward"),
                write(CONTAINER, "ipv4/ip_forward", "1"),
                read(CONTAINER, ".."),
            ],
        ),
    ]
}
