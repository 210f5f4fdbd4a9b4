//! With the rules that the reference plugins 1.9.1 hand to nft.

use std::net::IpAddr;

use wharf_ops::filter::FilterOp;
use wharf_ops::nat::{MasqueradeRule, NatOp, PortForward, Protocol};
use wharf_ops::{Attachment, KernelOp, Reply};

use crate::nat::testing::{kernel, sh};
use crate::nftables::sha512_16;
use crate::{Kernel as _, Netns, RealKernel};

fn owner(network: &str, ifname: &str) -> Attachment {
    Attachment { network: network.into(), container: "pod".into(), ifname: ifname.into() }
}

/// ipMasq, portmap and macspoofchk of an attachment.
fn reference(host: &Netns, owner: &Attachment, four: &str, six: &str, port: u16) {
    let Attachment { network, container, ifname } = owner;
    let hashes = [network.clone(), format!("{ifname}:{container}")].map(|text| sha512_16(&text)).join("-");
    let comment = format!("comment \"{hashes}, net: {network}, if: {ifname}, id: {container}\"");
    let mut script = format!(
        "add table inet cni_plugins_masquerade
         add chain inet cni_plugins_masquerade masq_checks
         add rule inet cni_plugins_masquerade masq_checks ip saddr == {four} ip daddr != 10.1.0.0/24 masquerade {comment}
         add rule inet cni_plugins_masquerade masq_checks ip6 saddr == {six} ip6 daddr != fd01::/68 masquerade {comment}
         add table bridge nat
         add chain bridge nat PREROUTING {{ type filter hook prerouting priority -300; policy accept; }}
         add chain bridge nat cni-br-iface-{container}-{ifname}
         add chain bridge nat cni-br-iface-{container}-{ifname}-mac
         add rule bridge nat PREROUTING iifname \"veth1\" jump cni-br-iface-{container}-{ifname} comment \"macspoofchk-{container}-{ifname}\"
         add rule bridge nat cni-br-iface-{container}-{ifname} jump cni-br-iface-{container}-{ifname}-mac
         add rule bridge nat cni-br-iface-{container}-{ifname}-mac ether saddr 0a:58:00:00:00:02 return
         add rule bridge nat cni-br-iface-{container}-{ifname}-mac drop\n"
    );
    for (family, address) in [("ip", four), ("ip6", six)] {
        let to = if family == "ip" { format!("{address}:80") } else { format!("[{address}]:80") };
        let host = if family == "ip" { "192.0.2.1" } else { "2001:db8::1" };
        let rules = format!(
            "add table {family} cni_hostport
             add chain {family} cni_hostport hostports
             add chain {family} cni_hostport hostip_hostports
             add chain {family} cni_hostport masquerading {{ type nat hook postrouting priority 100; }}
             add rule {family} cni_hostport hostports tcp dport {port} dnat to {to} comment \"{container}\"
             add rule {family} cni_hostport hostip_hostports {family} daddr {host} udp dport {port} dnat to {to} comment \"{container}\"
             add rule {family} cni_hostport masquerading {family} saddr {address} {family} daddr {address} masquerade comment \"{container}\"\n"
        );
        script.push_str(&rules);
    }
    sh(host, &format!("nft -f - <<'END'\n{script}END"));
}

fn forwards(four: &str, six: &str, port: u16) -> Vec<PortForward> {
    let to = |protocol, host: Option<&str>, container: &str| PortForward {
        protocol,
        host_address: host.map(|host| host.parse().unwrap()),
        host_port: port,
        container_address: container.parse().unwrap(),
        container_port: 80,
    };
    vec![
        to(Protocol::Tcp, None, four),
        to(Protocol::Udp, Some("192.0.2.1"), four),
        to(Protocol::Tcp, None, six),
        to(Protocol::Udp, Some("2001:db8::1"), six),
    ]
}

fn nat(kernel: &mut RealKernel, owner: &Attachment, op: NatOp) -> Reply {
    kernel.apply(owner, &KernelOp::Nat(op)).unwrap()
}

fn guard(kernel: &mut RealKernel, owner: &Attachment, link: &str) -> Option<String> {
    let get = KernelOp::Filter(FilterOp::GetAntiSpoof { link: link.into() });
    kernel.apply(owner, &get).unwrap().maybe_mac().unwrap().map(|mac| mac.to_string())
}

#[test]
fn what_the_reference_made_is_read_and_removed() {
    let host = Netns::anonymous().unwrap();
    let own = owner("net", "eth0");
    reference(&host, &own, "10.1.0.2", "fd01::2", 8080);
    let mut kernel = kernel(&host);
    let masquerade = |source: &str, except: &str| MasqueradeRule {
        source: source.parse().unwrap(),
        except: vec![except.parse().unwrap()],
    };
    assert_eq!(
        nat(&mut kernel, &own, NatOp::GetMasquerades).masquerades().unwrap(),
        [masquerade("10.1.0.2", "10.1.0.0/24"), masquerade("fd01::2", "fd01::/68")]
    );
    let mut found = nat(&mut kernel, &own, NatOp::GetForwards).forwards().unwrap();
    let mut wanted = forwards("10.1.0.2", "fd01::2", 8080);
    let order = |one: &PortForward| (one.container_address, one.host_address);
    found.sort_by_key(order);
    wanted.sort_by_key(order);
    assert_eq!(found, wanted);
    assert_eq!(guard(&mut kernel, &own, "veth1").as_deref(), Some("0a:58:00:00:00:02"));
    assert_eq!(guard(&mut kernel, &own, "veth2"), None, "it is of another link");

    for _ in 0..2 {
        nat(&mut kernel, &own, NatOp::RemoveMasquerades);
        nat(&mut kernel, &own, NatOp::RemoveForwards);
        kernel.apply(&own, &KernelOp::Filter(FilterOp::RemoveAntiSpoof)).unwrap();
    }
    let left = sh(&host, "nft list ruleset");
    assert!(!left.contains("pod") && !left.contains("8080"), "{left}");
    assert_eq!(nat(&mut kernel, &own, NatOp::GetMasquerades), Reply::Masquerades(Vec::new()));
    assert_eq!(nat(&mut kernel, &own, NatOp::GetForwards), Reply::Forwards(Vec::new()));
}

#[test]
fn another_interface_of_the_container_keeps_what_it_has() {
    let (host, container) = (Netns::anonymous().unwrap(), Netns::anonymous().unwrap());
    let (first, second) = (owner("net", "eth0"), owner("other", "net1"));
    reference(&host, &first, "10.1.0.2", "fd01::2", 8080);
    reference(&host, &second, "10.9.0.2", "fd09::2", 9090);
    sh(
        &container,
        "ip link add eth0 type veth peer name a; ip link add net1 type veth peer name b
         ip addr add 10.1.0.2/24 dev eth0; ip addr add fd01::2/64 dev eth0 nodad
         ip addr add 10.9.0.2/24 dev net1; ip addr add fd09::2/64 dev net1 nodad",
    );
    let mut kernel = RealKernel::new(again(&host), Some(again(&container)));
    let of = |address: &str| -> IpAddr { address.parse().unwrap() };
    let found = nat(&mut kernel, &first, NatOp::GetForwards).forwards().unwrap();
    assert!(found.iter().all(|one| [of("10.1.0.2"), of("fd01::2")].contains(&one.container_address)));
    assert_eq!(found.len(), 4);
    nat(&mut kernel, &first, NatOp::RemoveMasquerades);
    nat(&mut kernel, &first, NatOp::RemoveForwards);
    kernel.apply(&first, &KernelOp::Filter(FilterOp::RemoveAntiSpoof)).unwrap();
    assert_eq!(nat(&mut kernel, &second, NatOp::GetMasquerades).masquerades().unwrap().len(), 2);
    assert_eq!(nat(&mut kernel, &second, NatOp::GetForwards).forwards().unwrap().len(), 4);
    assert!(guard(&mut kernel, &second, "veth1").is_some());
    let left = sh(&host, "nft list ruleset");
    assert!(!left.contains("8080") && !left.contains("10.1.0.2"), "{left}");
}

fn again(netns: &Netns) -> Netns {
    crate::testing::again(netns)
}
