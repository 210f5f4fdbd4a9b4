//! What both backends must do, with real traffic.

use wharf_ops::nat::{Backend, ForwardOptions, MasqueradeRule, NatOp, PortForward, Protocol};
use wharf_ops::{Attachment, ErrorKind};

use super::testing::{
    BRIDGE, HOST, HOST_6, PEER, World, ask, forward, forward_ports, nat, options, owner, sender, serve, sh,
    udp,
};
use crate::{Kernel as _, Netns, RealKernel};

/// The legacy flavour is chosen by a nat table that is there already.
fn both_flavours_and_nftables(test: impl Fn(World, Backend)) {
    test(World::new(), Backend::Nftables);
    test(World::new(), Backend::Iptables);
    let legacy = World::new();
    sh(&legacy.host, "iptables-legacy -t nat -S; ip6tables-legacy -t nat -S");
    test(legacy, Backend::Iptables);
}

fn masquerade(kernel: &mut RealKernel, owner: &Attachment, rules: &[MasqueradeRule], backend: Backend) {
    let op = NatOp::Masquerade { rules: rules.to_vec(), backend };
    nat(kernel, owner, op).unwrap().done().unwrap();
}

fn source(address: &str, except: &[&str]) -> MasqueradeRule {
    MasqueradeRule {
        source: address.parse().unwrap(),
        except: except.iter().map(|network| network.parse().unwrap()).collect(),
    }
}

fn masquerades(kernel: &mut RealKernel, owner: &Attachment) -> Vec<MasqueradeRule> {
    nat(kernel, owner, NatOp::GetMasquerades).unwrap().masquerades().unwrap()
}

fn forwards(kernel: &mut RealKernel, owner: &Attachment) -> Vec<PortForward> {
    nat(kernel, owner, NatOp::GetForwards).unwrap().forwards().unwrap()
}

/// All that Wharf or the reference would leave.
fn ruleset(host: &Netns) -> String {
    sh(
        host,
        "nft -s list ruleset; grep -q nat /proc/thread-self/net/ip_tables_names && iptables-legacy-save -t nat | grep -v '^#\\|^:[A-Z]* ' || true",
    )
}

#[test]
fn masquerading_hides_the_container_except_where_it_must_not() {
    both_flavours_and_nftables(|world, backend| {
        let mut kernel = world.kernel();
        let one = owner("one", "eth0");
        serve(&world.peer, "0.0.0.0:7000", "peer");
        serve(&world.peer, "[::]:7001", "peer");
        serve(&world.two, "0.0.0.0:7000", "two");
        assert_eq!(ask(&world.one, &format!("{PEER}:7000")), None, "the neighbour has no way back");
        let wanted = [source("10.1.0.2", &["10.1.0.0/16"]), source("fd01::2", &["fd01::/64"])];
        for _ in 0..2 {
            // The second time replaces, and neither fails nor doubles anything.
            masquerade(&mut kernel, &one, &wanted, backend);
            assert_eq!(masquerades(&mut kernel, &one), wanted, "{backend:?}");
        }
        assert_eq!(ask(&world.one, &format!("{PEER}:7000")).unwrap(), format!("peer {HOST}"));
        assert_eq!(ask(&world.one, "[2001:db8::2]:7001").unwrap(), format!("peer {HOST_6}"));
        assert_eq!(ask(&world.one, "10.1.0.3:7000").unwrap(), "two 10.1.0.2");
        assert_eq!(ask(&world.two, &format!("{PEER}:7000")), None, "only the one that asked for it");
        let listening = udp(&world.peer, "0.0.0.0:7002");
        udp(&world.one, "10.1.0.2:0").send_to(b"x", format!("{PEER}:7002")).unwrap();
        assert_eq!(sender(&listening), Some(HOST.parse().unwrap()));
        for _ in 0..2 {
            nat(&mut kernel, &one, NatOp::RemoveMasquerades).unwrap();
        }
        assert_eq!(masquerades(&mut kernel, &one), []);
        assert_eq!(ask(&world.one, &format!("{PEER}:7000")), None);
        assert!(!ruleset(&world.host).contains("10.1.0.2"));
    });
}

#[test]
fn excepted_destinations_and_multicast_see_the_real_source() {
    for backend in [Backend::Nftables, Backend::Iptables] {
        let world = World::new();
        let mut kernel = world.kernel();
        serve(&world.peer, "0.0.0.0:7000", "peer");
        sh(&world.peer, "ip route add 10.1.0.0/16 via 192.0.2.1");
        let rule = source("10.1.0.2", &["10.1.0.0/16", "192.0.2.2/32"]);
        masquerade(&mut kernel, &owner("one", "eth0"), std::slice::from_ref(&rule), backend);
        assert_eq!(masquerades(&mut kernel, &owner("one", "eth0")), [rule]);
        assert_eq!(ask(&world.one, "192.0.2.2:7000").unwrap(), "peer 10.1.0.2");
        // Multicast that leaves the host itself passes the same chains.
        sh(&world.host, "ip addr add 192.0.2.9/32 dev peer");
        masquerade(&mut kernel, &owner("one", "eth0"), &[source("192.0.2.9", &[])], backend);
        let group = udp(&world.peer, "0.0.0.0:7003");
        group.join_multicast_v4(&"239.1.1.1".parse().unwrap(), &PEER.parse().unwrap()).unwrap();
        sh(&world.host, "ip route add 239.0.0.0/8 dev peer");
        let from = udp(&world.host, "192.0.2.9:0");
        from.send_to(b"x", "239.1.1.1:7003").unwrap();
        assert_eq!(sender(&group), Some("192.0.2.9".parse().unwrap()), "{backend:?}");
        from.send_to(b"x", format!("{PEER}:7003")).unwrap();
        assert_eq!(sender(&group), Some(HOST.parse().unwrap()), "unicast of the same socket");
    }
}

#[test]
fn forwards_work_from_everywhere_and_end() {
    both_flavours_and_nftables(|world, backend| {
        let mut kernel = world.kernel();
        let one = owner("one", "eth0");
        serve(&world.one, "0.0.0.0:80", "one");
        serve(&world.one, "[::]:81", "one");
        let wanted = [
            forward(8080, "10.1.0.2:80"),
            PortForward { host_address: Some(HOST.parse().unwrap()), ..forward(8082, "10.1.0.2:80") },
            forward(8081, "[fd01::2]:81"),
        ];
        sh(&world.peer, "ip route add 10.1.0.0/16 via 192.0.2.1; ip route add 198.51.100.0/24 via 192.0.2.1");
        for _ in 0..2 {
            forward_ports(&mut kernel, &one, &wanted, &options(backend));
            assert_eq!(forwards(&mut kernel, &one), wanted, "{backend:?}");
        }
        let from_outside = ask(&world.peer, &format!("{HOST}:8080"));
        assert_eq!(from_outside.unwrap(), format!("one {PEER}"), "the real source");
        assert_eq!(ask(&world.peer, &format!("{HOST}:8082")).unwrap(), format!("one {PEER}"));
        let from_outside = ask(&world.peer, &format!("[{HOST_6}]:8081"));
        assert_eq!(from_outside.unwrap(), "one 2001:db8::2");
        assert_eq!(ask(&world.host, "127.0.0.1:8080").unwrap(), format!("one {BRIDGE}"));
        assert_eq!(ask(&world.host, &format!("{HOST}:8080")).unwrap(), format!("one {HOST}"));
        assert_eq!(ask(&world.host, &format!("{BRIDGE}:8082")), None, "bound to another address");
        assert_eq!(ask(&world.one, &format!("{HOST}:8080")).unwrap(), format!("one {BRIDGE}"), "hairpin");
        assert_eq!(ask(&world.two, &format!("{HOST}:8080")).unwrap(), format!("one {BRIDGE}"), "hairpin");
        // Not local: it is routed, not forwarded.
        sh(&world.host, "ip route add 198.51.100.0/24 dev br0");
        assert_eq!(ask(&world.peer, "198.51.100.7:8080"), None);
        assert_eq!(ask(&world.one, &format!("{PEER}:8080")), None);
        for _ in 0..2 {
            nat(&mut kernel, &one, NatOp::RemoveForwards).unwrap();
        }
        assert_eq!(forwards(&mut kernel, &one), []);
        assert_eq!(ask(&world.peer, &format!("{HOST}:8080")), None);
        assert!(!ruleset(&world.host).contains("10.1.0.2"), "{}", ruleset(&world.host));
    });
}

#[test]
fn an_address_that_is_not_local_is_not_forwarded_even_if_asked_for() {
    for backend in [Backend::Nftables, Backend::Iptables] {
        let world = World::new();
        let mut kernel = world.kernel();
        serve(&world.one, "0.0.0.0:80", "one");
        sh(&world.peer, "ip route add 198.51.100.0/24 via 192.0.2.1");
        let elsewhere = Some("198.51.100.7".parse().unwrap());
        let rule = PortForward { host_address: elsewhere, ..forward(8080, "10.1.0.2:80") };
        forward_ports(&mut kernel, &owner("one", "eth0"), &[rule], &options(backend));
        assert_eq!(ask(&world.peer, "198.51.100.7:8080"), None);
        sh(&world.host, "ip addr add 198.51.100.7/32 dev lo");
        assert_eq!(ask(&world.peer, "198.51.100.7:8080").unwrap(), format!("one {PEER}"));
    }
}

#[test]
fn masquerade_all_rewrites_strangers_too_and_no_snat_nobody() {
    both_flavours_and_nftables(|world, backend| {
        let mut kernel = world.kernel();
        let one = owner("one", "eth0");
        serve(&world.one, "0.0.0.0:80", "one");
        let all = ForwardOptions { masquerade_all: true, ..options(backend) };
        forward_ports(&mut kernel, &one, &[forward(8080, "10.1.0.2:80")], &all);
        assert_eq!(ask(&world.peer, &format!("{HOST}:8080")).unwrap(), format!("one {BRIDGE}"));
        let none = ForwardOptions { snat: false, ..options(backend) };
        forward_ports(&mut kernel, &one, &[forward(8080, "10.1.0.2:80")], &none);
        assert_eq!(ask(&world.peer, &format!("{HOST}:8080")).unwrap(), format!("one {PEER}"));
        assert_eq!(ask(&world.host, "127.0.0.1:8080"), None, "nothing rewrites 127.0.0.1");
    });
}

#[test]
fn conditions_are_the_attachments_own() {
    let four = |backend: Backend, peer: bool| -> Vec<String> {
        let address = if peer { "192.0.2.2" } else { "192.0.2.77" };
        let text = if backend == Backend::Nftables {
            format!("ip saddr {{ {address}, 203.0.113.0/24 }}")
        } else {
            format!("-s {address}/32")
        };
        text.split(' ').map(str::to_owned).collect()
    };
    both_flavours_and_nftables(|world, backend| {
        let mut kernel = world.kernel();
        serve(&world.one, "0.0.0.0:80", "one");
        serve(&world.two, "0.0.0.0:80", "two");
        let yes = ForwardOptions { conditions_v4: four(backend, true), ..options(backend) };
        let no = ForwardOptions { conditions_v4: four(backend, false), ..options(backend) };
        forward_ports(&mut kernel, &owner("one", "eth0"), &[forward(8080, "10.1.0.2:80")], &no);
        assert_eq!(ask(&world.peer, &format!("{HOST}:8080")), None);
        forward_ports(&mut kernel, &owner("two", "eth0"), &[forward(8080, "10.1.0.3:80")], &yes);
        assert_eq!(
            ask(&world.peer, &format!("{HOST}:8080")).unwrap(),
            format!("two {PEER}"),
            "the same port"
        );
        assert_eq!(forwards(&mut kernel, &owner("one", "eth0")), [forward(8080, "10.1.0.2:80")]);
        assert_eq!(forwards(&mut kernel, &owner("two", "eth0")), [forward(8080, "10.1.0.3:80")]);
    });
}

#[test]
fn a_new_container_takes_over_when_the_old_one_goes_in_either_order() {
    both_flavours_and_nftables(|world, backend| {
        let mut kernel = world.kernel();
        let (old, new) = (owner("one", "eth0"), owner("two", "eth0"));
        serve(&world.one, "0.0.0.0:80", "one");
        serve(&world.two, "0.0.0.0:80", "two");
        let who = |world: &World| ask(&world.peer, &format!("{HOST}:8080"));
        forward_ports(&mut kernel, &old, &[forward(8080, "10.1.0.2:80")], &options(backend));
        forward_ports(&mut kernel, &new, &[forward(8080, "10.1.0.3:80")], &options(backend));
        assert_eq!(who(&world).unwrap(), format!("one {PEER}"));
        nat(&mut kernel, &old, NatOp::RemoveForwards).unwrap();
        assert_eq!(who(&world).unwrap(), format!("two {PEER}"), "the new one's stays");
        forward_ports(&mut kernel, &old, &[forward(8080, "10.1.0.2:80")], &options(backend));
        assert_eq!(who(&world).unwrap(), format!("two {PEER}"), "who comes last waits");
        forward_ports(&mut kernel, &new, &[forward(8080, "10.1.0.3:80")], &options(backend));
        nat(&mut kernel, &new, NatOp::RemoveForwards).unwrap();
        assert_eq!(who(&world).unwrap(), format!("one {PEER}"), "the other order");
        nat(&mut kernel, &old, NatOp::RemoveForwards).unwrap();
        assert_eq!(who(&world), None);
        assert!(!ruleset(&world.host).contains("10.1.0."));
    });
}

#[test]
fn one_source_on_two_networks_is_masqueraded_until_both_are_gone() {
    both_flavours_and_nftables(|world, backend| {
        let mut kernel = world.kernel();
        let first = owner("one", "eth0");
        let second = Attachment { network: "another".into(), ..owner("other", "eth0") };
        serve(&world.peer, "0.0.0.0:7000", "peer");
        let masqueraded = || ask(&world.one, &format!("{PEER}:7000")).is_some();
        for goes in [&first, &second] {
            for owner in [&first, &second] {
                masquerade(&mut kernel, owner, &[source("10.1.0.2", &[])], backend);
            }
            nat(&mut kernel, goes, NatOp::RemoveMasquerades).unwrap();
            assert!(masqueraded(), "{backend:?}");
            kernel.sweep(&first).unwrap();
            kernel.sweep(&second).unwrap();
            assert!(!masqueraded());
        }
    });
}

#[test]
fn a_second_interface_of_the_container_keeps_what_it_has() {
    both_flavours_and_nftables(|world, backend| {
        let mut kernel = world.kernel();
        let (first, second) = (owner("c", "eth0"), owner("c", "net1"));
        serve(&world.one, "0.0.0.0:80", "one");
        serve(&world.two, "0.0.0.0:80", "two");
        serve(&world.peer, "0.0.0.0:7000", "peer");
        let (sources, subnet) = (["10.1.0.2", "10.1.0.3"], ["10.1.0.0/16"]);
        for order in [[0, 1], [1, 0]] {
            for (owner, at, port) in [(&first, "10.1.0.2", 8081), (&second, "10.1.0.3", 8082)] {
                masquerade(&mut kernel, owner, &[source(at, &subnet)], backend);
                let rule = forward(port, &format!("{at}:80"));
                forward_ports(&mut kernel, owner, std::slice::from_ref(&rule), &options(backend));
                assert_eq!(masquerades(&mut kernel, owner), [source(at, &subnet)], "{backend:?}");
                assert_eq!(forwards(&mut kernel, owner), [rule]);
            }
            assert_eq!(ask(&world.two, "10.1.0.2:80").unwrap(), "one 10.1.0.3");
            let [goes, stays] = order;
            let owners = [&first, &second];
            nat(&mut kernel, owners[goes], NatOp::RemoveMasquerades).unwrap();
            nat(&mut kernel, owners[goes], NatOp::RemoveForwards).unwrap();
            let (space, port) = [(&world.one, 8081), (&world.two, 8082)][stays];
            assert_eq!(ask(space, &format!("{PEER}:7000")).unwrap(), format!("peer {HOST}"));
            assert!(ask(&world.peer, &format!("{HOST}:{port}")).is_some());
            let rules = ruleset(&world.host);
            assert!(!rules.contains(sources[goes]) && rules.contains(sources[stays]), "{rules}");
            kernel.sweep(owners[stays]).unwrap();
            assert!(!ruleset(&world.host).contains("10.1.0."));
        }
    });
}

#[test]
fn owners_are_listed_exactly_and_swept_completely() {
    both_flavours_and_nftables(|world, backend| {
        let mut kernel = world.kernel();
        assert_eq!(kernel.owners("net").unwrap(), []);
        let long = Attachment {
            network: "net".into(),
            container: "ab".repeat(32),
            ifname: "interface-15-by".into(),
        };
        let other = Attachment { network: "another".into(), ..owner("one", "eth0") };
        let mut all = vec![owner("one", "eth0"), owner("one", "net1"), long];
        for (number, owner) in all.iter().chain([&other]).enumerate() {
            let address = format!("10.1.1.{number}");
            masquerade(&mut kernel, owner, &[source(&address, &[])], backend);
            let port = 9000 + u16::try_from(number).unwrap();
            forward_ports(&mut kernel, owner, &[forward(port, &format!("{address}:80"))], &options(backend));
        }
        all.sort();
        assert_eq!(kernel.owners("net").unwrap(), all);
        assert_eq!(kernel.owners("another").unwrap(), std::slice::from_ref(&other));
        for owner in &all {
            kernel.sweep(owner).unwrap();
            kernel.sweep(owner).unwrap();
        }
        assert_eq!(kernel.owners("net").unwrap(), []);
        assert_eq!(kernel.owners("another").unwrap(), [other]);
    });
}

#[test]
fn what_cannot_be_rendered_is_refused_by_name() {
    let host = Netns::anonymous().unwrap();
    let mut kernel = super::testing::kernel(&host);
    let mut refused = |rule: PortForward, options: ForwardOptions| {
        let op = NatOp::ForwardPorts { rules: vec![rule], options };
        let error = nat(&mut kernel, &owner("one", "eth0"), op).unwrap_err();
        (error.kind, error.message)
    };
    let rule = || forward(8080, "10.1.0.2:80");
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let cases = [
        (
            rule(),
            ForwardOptions { conditions_v4: words("-s 10.0.0.0/8"), ..options(Backend::Nftables) },
            "conditions-v4",
        ),
        (
            rule(),
            ForwardOptions { conditions_v6: words("ip6 saddr ::1"), ..options(Backend::Iptables) },
            "conditions-v6",
        ),
        (
            rule(),
            ForwardOptions { external_mark_chain: Some("X".into()), ..options(Backend::Nftables) },
            "external-mark-chain",
        ),
        (
            rule(),
            ForwardOptions {
                external_mark_chain: Some("X\n-A POSTROUTING -j MASQUERADE".into()),
                ..options(Backend::Iptables)
            },
            "no name of a chain",
        ),
        (
            rule(),
            ForwardOptions { conditions_v4: words("numgen random"), ..options(Backend::Nftables) },
            "numgen",
        ),
        (
            rule(),
            ForwardOptions { conditions_v4: words("-m statistic"), ..options(Backend::Iptables) },
            "statistic",
        ),
        (PortForward { host_port: 0, ..rule() }, options(Backend::Nftables), "port 0"),
        (
            PortForward { host_address: Some("::1".parse().unwrap()), ..rule() },
            options(Backend::Nftables),
            "families",
        ),
    ];
    for (rule, options, named) in cases {
        let (kind, message) = refused(rule, options);
        assert_eq!(kind, ErrorKind::Invalid, "{message}");
        assert!(message.contains(named), "{message}");
    }
    let missing =
        ForwardOptions { external_mark_chain: Some("KUBE-MARK-MASQ".into()), ..options(Backend::Automatic) };
    let (kind, message) = refused(rule(), missing);
    assert_eq!(kind, ErrorKind::NotFound);
    assert!(message.contains("KUBE-MARK-MASQ"), "{message}");
    assert_eq!(sh(&host, "nft list ruleset"), "", "a refusal leaves nothing");
}

#[test]
fn sctp_rules_load() {
    for backend in [Backend::Nftables, Backend::Iptables] {
        let host = Netns::anonymous().unwrap();
        let mut kernel = super::testing::kernel(&host);
        let rule = PortForward { protocol: Protocol::Sctp, ..forward(8080, "10.1.0.2:80") };
        forward_ports(&mut kernel, &owner("one", "eth0"), std::slice::from_ref(&rule), &options(backend));
        assert_eq!(forwards(&mut kernel, &owner("one", "eth0")), [rule]);
    }
}
