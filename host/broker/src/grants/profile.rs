//! The constraints that a grant starts with: what each guest of the project really does, and something careful for others.

use super::key::Key;

/// The lists of a guest: key, patterns, and why they are so.
pub(super) type Profile = &'static [(Key, &'static [&'static str], &'static str)];

const EVERYWHERE: &[&str] = &["0.0.0.0/0", "::/0"];
/// RFC 1918 and RFC 4193.
const PRIVATE: &[&str] = &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
const PRIVATE_AND_DEFAULT: &[&str] =
    &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "default"];

const BRIDGE: Profile = &[
    (
        Key::LinkNames,
        &["*"],
        r#"The configuration names the bridge. To hold it to cni0: ["cni0", "cni0.*", "veth????????"]."#,
    ),
    (Key::LinkContainerNames, &["{ifname}"], "{ifname} is the interface that CNI_IFNAME names."),
    (Key::Vlans, &["1-4094"], "The configuration says which."),
    (
        Key::AddressCidrs,
        EVERYWHERE,
        "The gateways that the bridge carries, as its address manager answers them.",
    ),
    (Key::AddressContainerCidrs, EVERYWHERE, "As the address manager answers them."),
    (
        Key::RouteContainerCidrs,
        EVERYWHERE,
        r#"As the address manager answers them; "default" is the default route alone."#,
    ),
    (
        Key::SysctlKeys,
        &[
            "ipv4/ip_forward",
            "ipv6/conf/all/forwarding",
            "ipv6/conf/*/accept_ra",
            "ipv6/conf/*/accept_dad",
            "ipv6/conf/veth????????/addr_gen_mode",
        ],
        "Forwarding, and the links that it makes.",
    ),
    (
        Key::SysctlContainerKeys,
        &[
            "ipv4/conf/{ifname}/arp_notify",
            "ipv6/conf/lo/disable_ipv6",
            "ipv6/conf/{ifname}/disable_ipv6",
            "ipv6/conf/{ifname}/accept_dad",
            "ipv6/conf/{ifname}/enhanced_dad",
            "ipv6/conf/{ifname}/keep_addr_on_down",
        ],
        "",
    ),
    (Key::NatCidrs, EVERYWHERE, "The container's addresses, with ipMasq."),
    (Key::DelegatePlugins, &["*"], "The configuration names the address manager."),
];

const HOST_LOCAL: Profile = &[(Key::LeaseCidrs, EVERYWHERE, "The configuration has the ranges.")];

const LOOPBACK: Profile = &[(Key::LinkContainerNames, &["lo"], "")];

const PORTMAP: Profile = &[
    (
        Key::SysctlKeys,
        &["ipv4/conf/*/route_localnet"],
        "For 127.0.0.1, on the link that leads to the container.",
    ),
    (Key::HostPorts, &["1-65535"], r#"The runtime says which. To keep the privileged ones: ["1024-65535"]."#),
    (Key::NatCidrs, EVERYWHERE, "The container's addresses."),
];

const BANDWIDTH: Profile = &[
    (Key::LinkNames, &["bwp????????????"], "The ifb that limits what the container sends."),
    (
        Key::ShapingNames,
        &["*"],
        r#"The container's link, as the plugins before named it. Behind bridge: ["veth????????", "bwp*"]."#,
    ),
];

/// For a guest that nothing is known of.
const CAREFUL: Profile = &[
    (Key::LinkNames, &["veth*"], ""),
    (Key::LinkContainerNames, &["{ifname}"], "{ifname} is the interface that CNI_IFNAME names."),
    (Key::Vlans, &[], "None; ranges are written as \"100-199\"."),
    (Key::AddressCidrs, &[], "None."),
    (Key::AddressContainerCidrs, PRIVATE, "Private ones."),
    (Key::RouteCidrs, &[], "None."),
    (Key::RouteContainerCidrs, PRIVATE_AND_DEFAULT, "Private ones, and the default route."),
    (Key::NeighbourCidrs, &[], "None."),
    (Key::NeighbourContainerCidrs, PRIVATE, "Private ones."),
    (Key::SysctlKeys, &[], "None; globs are written as \"ipv4/conf/veth*/forwarding\"."),
    (Key::SysctlContainerKeys, &["ipv4/conf/{ifname}/*", "ipv6/conf/{ifname}/*"], "Those of the interface."),
    (Key::HostPorts, &["1024-65535"], "Not the privileged ones."),
    (Key::NatCidrs, PRIVATE, "Private ones."),
    (Key::ShapingNames, &["veth*"], ""),
    (Key::ShapingContainerNames, &["{ifname}"], ""),
    (Key::LeaseCidrs, PRIVATE, "Private ones."),
    (Key::DelegatePlugins, &["host-local"], ""),
];

/// The lists that a guest of that name starts with.
pub(super) fn of(guest: &str) -> Profile {
    match guest {
        "bridge" => BRIDGE,
        "host-local" => HOST_LOCAL,
        "loopback" => LOOPBACK,
        "portmap" => PORTMAP,
        "bandwidth" => BANDWIDTH,
        _ => CAREFUL,
    }
}
