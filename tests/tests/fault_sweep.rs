//! Each change of the whole chain's ADD and DEL fails once, or is the last one before a process is killed; then one DEL,
//! GC or `wharfctl recover`, and nothing is left.
//!
//! What is compared: links, addresses, routes, rules of both backends, qdiscs, leases, journals, and every switch below
//! net/ipv4/conf and net/ipv6/conf. On a node that never had an attachment, forwarding with what the kernel switches with
//! it, route_localnet of the bridge, and tables and chains that are nobody's may stay, for others may rely on them by
//! then. A GC leaves alone that a container's lo is up.

use wharf_tests::crash::sweep::{self, Swept, everything};
use wharf_tests::crash::{Backend, List, Scene, Side};
use wharf_tests::{install, skip};

#[track_caller]
fn clean(swept: Result<Swept, String>, changes: u64) {
    let swept = swept.unwrap();
    assert!(swept.changes >= changes, "only {} changes were found", swept.changes);
    let Swept { cases, failures, .. } = &swept;
    assert!(failures.is_empty(), "{} of {cases} cases:\n{}", failures.len(), failures.join("\n"));
    println!("{} changes, {cases} cases", swept.changes);
}

macro_rules! sweeps {
    ($($name:ident: $sweep:expr, at least $changes:literal;)*) => {$(
        #[test]
        fn $name() {
            if let Err(reason) = install::faults() {
                skip!("{reason}");
            }
            clean($sweep, $changes);
        }
    )*};
}

/// The sweeps are worth what the pictures show.
#[test]
fn a_picture_shows_whatever_is_left() {
    let scene = Scene::new(Side::Chain, List::Full(Backend::Nftables)).unwrap();
    scene.warm_up().unwrap();
    for (what, make, take_away) in [
        ("links", "ip link add left type bridge", "ip link delete left"),
        ("addresses", "ip addr add 192.0.2.1/24 dev br0", "ip addr delete 192.0.2.1/24 dev br0"),
        ("addresses", "ip addr add 2001:db8::1/64 dev br0 nodad", "ip addr delete 2001:db8::1/64 dev br0"),
        ("routes", "ip route add blackhole 192.0.2.0/24", "ip route delete blackhole 192.0.2.0/24"),
        ("routes", "ip route add blackhole 2001:db8::/64", "ip route delete blackhole 2001:db8::/64"),
        ("rules", "ip rule add from 192.0.2.1 table 100", "ip rule delete from 192.0.2.1 table 100"),
        ("nft", "nft add table inet left", "nft delete table inet left"),
        (
            "iptables",
            "iptables-nft -t nat -A PREROUTING -p tcp --dport 8001 -j ACCEPT",
            "iptables-nft -t nat -F PREROUTING",
        ),
        (
            "qdiscs",
            "tc qdisc add dev br0 root tbf rate 1mbit burst 32kbit latency 400ms",
            "tc qdisc delete dev br0 root",
        ),
        ("sysctl", "sysctl -qw net.ipv4.conf.br0.proxy_arp=1", "sysctl -qw net.ipv4.conf.br0.proxy_arp=0"),
    ] {
        let node = scene.node();
        // The table of iptables itself stays.
        node.sh(make);
        node.sh(take_away);
        let before = scene.picture();
        node.sh(make);
        let changes = scene.picture().changes_since(&before);
        assert!(changes.iter().any(|change| change.contains(what)), "{make}: {changes:?}");
        node.sh(take_away);
        assert_eq!(scene.picture().changes_since(&before), [""; 0], "{take_away}");
    }
    for file in ["var/lib/cni/networks/crash/10.1.0.99", "run/wharf/attachments/left"] {
        let (before, file) = (scene.picture(), scene.node().root().join(file));
        std::fs::write(&file, "left").unwrap();
        assert_eq!(scene.picture().changes_since(&before).len(), 1, "{}", file.display());
    }
}

sweeps! {
    an_add_with_nftables: sweep::used(List::Full(Backend::Nftables), "ADD", &everything()), at least 20;
    an_add_with_iptables: sweep::used(List::Full(Backend::Iptables), "ADD", &everything()), at least 20;
    a_del_with_nftables: sweep::used(List::Full(Backend::Nftables), "DEL", &everything()), at least 4;
    a_del_with_iptables: sweep::used(List::Full(Backend::Iptables), "DEL", &everything()), at least 4;
    an_add_of_a_loopback: sweep::used(List::Loopback, "ADD", &everything()), at least 1;
    a_del_of_a_loopback: sweep::used(List::Loopback, "DEL", &everything()), at least 1;
    the_first_add_of_a_node_with_nftables: sweep::fresh(List::Full(Backend::Nftables), &everything()), at least 20;
    the_first_add_of_a_node_with_iptables: sweep::fresh(List::Full(Backend::Iptables), &everything()), at least 20;
}
