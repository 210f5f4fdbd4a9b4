//! Leftovers as the reference plugins 1.9.1 write them, made with the programs that they run.

use super::*;
use crate::nat::testing::{kernel, sh};
use crate::{Kernel as _, Netns};
use wharf_ops::KernelOp;
use wharf_ops::leases::LeaseOwner;
use wharf_ops::nat::{Backend, MasqueradeRule, NatOp};

/// ipMasq and portmap of a container, the latter also as old versions have it, with the given iptables.
fn iptables(host: &Netns, program: &str, network: &str, container: &str, address: &str) {
    let owner = Known { network, valid: &[], leases: &[] }.of(container);
    let [masquerade, forward, snat] = crate::iptables::chain_names(&owner);
    let comment = format!("-m comment --comment 'name: \"{network}\" id: \"{container}\"'");
    let [dnat, old] = ["dnat", "snat"]
        .map(|way| format!("-m comment --comment '{way} name: \"{network}\" id: \"{container}\"'"));
    sh(
        host,
        &format!(
            "set -e; t='{program} -t nat'
             $t -N {masquerade}; $t -A {masquerade} -d 10.1.0.0/24 {comment} -j ACCEPT
             $t -A {masquerade} ! -d 224.0.0.0/4 {comment} -j MASQUERADE
             $t -A POSTROUTING -s {address} {comment} -j {masquerade}
             $t -N CNI-HOSTPORT-DNAT 2>/dev/null || true; $t -N {forward}
             $t -A CNI-HOSTPORT-DNAT {dnat} -m multiport -p tcp --destination-ports 8080 -j {forward}
             $t -A {forward} -p tcp --dport 8080 -j DNAT --to-destination {address}:80
             $t -N CNI-HOSTPORT-SNAT 2>/dev/null || true; $t -N {snat}
             $t -A CNI-HOSTPORT-SNAT {old} -j {snat}
             $t -A {snat} -p tcp -s 127.0.0.1 -d {address} --dport 80 -j MASQUERADE"
        ),
    );
}

/// ipMasq and portmap of containers, each (network, container, address), in the tables of the reference.
fn nftables(host: &Netns, of: &[(&str, &str, &str)]) {
    let mut script = String::from(
        "add table inet cni_plugins_masquerade
         add chain inet cni_plugins_masquerade masq_checks
         add table ip cni_hostport
         add chain ip cni_hostport hostports
         add chain ip cni_hostport masquerading { type nat hook postrouting priority 100; }\n",
    );
    for (network, container, address) in of {
        let [first, second] = [(*network).to_owned(), format!("eth0:{container}")]
            .map(|text| crate::nftables::sha512_16(&text));
        let rules = format!(
            "add rule inet cni_plugins_masquerade masq_checks ip saddr == {address} ip daddr != 10.1.0.0/24 masquerade \
             comment \"{first}-{second}, net: {network}, if: eth0, id: {container}\"
             add rule ip cni_hostport hostports tcp dport 8080 dnat to {address}:80 comment \"{container}\"
             add rule ip cni_hostport masquerading ip saddr {address} ip daddr {address} masquerade comment \"{container}\"\n"
        );
        script.push_str(&rules);
    }
    sh(host, &format!("nft -f - <<'END'\n{script}END"));
}

fn lease(address: &str, container: &str, ifname: &str) -> Lease {
    let owner = LeaseOwner { container: container.into(), ifname: ifname.into() };
    Lease { address: address.parse().unwrap(), owner }
}

fn valid(container: &str) -> Vec<(String, String)> {
    vec![(container.to_owned(), "eth0".to_owned())]
}

fn remove_all(kernel: &mut RealKernel, network: &str, leftovers: &[Leftover]) {
    for leftover in leftovers.iter().filter(|leftover| leftover.certain) {
        kernel.remove_reference_leftover(network, leftover).unwrap();
        kernel.remove_reference_leftover(network, leftover).unwrap();
    }
}

fn nat_of(host: &Netns) -> String {
    sh(host, "iptables-nft-save -t nat; iptables-legacy-save -t nat")
}

#[test]
fn chains_of_iptables_go_with_their_ways_and_those_of_others_stay() {
    for program in ["iptables-nft", "iptables-legacy"] {
        let host = Netns::anonymous().unwrap();
        iptables(&host, program, "net", "live", "10.1.0.2");
        iptables(&host, program, "other", "gone", "10.1.0.9");
        let before = nat_of(&host);
        iptables(&host, program, "net", "gone", "10.1.0.3");
        let mut kernel = kernel(&host);
        let known = Known { network: "net", valid: &valid("live"), leases: &[] };
        let found = kernel.reference_leftovers(known).unwrap();
        let shown: Vec<_> = found.iter().map(|found| (found.container.as_str(), found.certain)).collect();
        assert_eq!(shown, [("gone", true); 3], "{program}: {found:?}");
        assert!(found.iter().all(|found| found.what.contains("nat chain CNI-")), "{found:?}");
        remove_all(&mut kernel, "net", &found);
        assert_eq!(strip(&nat_of(&host)), strip(&before), "{program}");
        assert_eq!(kernel.reference_leftovers(known).unwrap(), []);
    }
}

/// Without times and counters.
fn strip(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(" [").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_half_made_or_half_removed_chain_is_found() {
    let host = Netns::anonymous().unwrap();
    iptables(&host, "iptables-nft", "net", "gone", "10.1.0.3");
    let empty = strip(&nat_of(&host)).into_iter().filter(|line| !line.contains("CNI-")).count();
    // The reference flushes first, and fails where the chain is still in use.
    sh(
        &host,
        "for c in $(iptables-nft -t nat -S | sed -n 's/^-N \\(CNI-.*\\)/\\1/p'); do
               case $c in CNI-HOSTPORT-*) ;; *) iptables-nft -t nat -F $c;; esac; done",
    );
    let mut kernel = kernel(&host);
    let known = Known { network: "net", valid: &[], leases: &[] };
    let found = kernel.reference_leftovers(known).unwrap();
    assert_eq!(found.len(), 3, "{found:?}");
    remove_all(&mut kernel, "net", &found);
    let left = strip(&nat_of(&host));
    assert_eq!(left.len(), empty + 2, "only the shared chains: {left:?}");
}

#[test]
fn what_wharf_made_is_not_a_leftover_of_the_reference() {
    for program in ["iptables-nft", "iptables-legacy"] {
        let host = Netns::anonymous().unwrap();
        // A rule decides which flavour is used.
        sh(&host, &format!("{program} -t nat -A POSTROUTING -s 192.0.2.9 -j ACCEPT"));
        let mut kernel = kernel(&host);
        let rules = vec![MasqueradeRule {
            source: "10.1.0.2".parse().unwrap(),
            except: vec!["10.1.0.0/24".parse().unwrap()],
        }];
        let owner = Attachment { network: "net".into(), container: "c".into(), ifname: "eth0".into() };
        let op = NatOp::Masquerade { rules, backend: Backend::Iptables };
        kernel.apply(&owner, &KernelOp::Nat(op)).unwrap();
        let leases = [lease("10.1.0.2", "c", "eth0")];
        let known = Known { network: "net", valid: &[], leases: &leases };
        assert_eq!(kernel.reference_leftovers(known).unwrap(), [], "{program}");
    }
}

#[test]
fn rules_of_nftables_go_if_they_are_the_networks_for_certain() {
    let host = Netns::anonymous().unwrap();
    nftables(&host, &[("net", "live", "10.1.0.2"), ("other", "elsewhere", "10.1.0.9")]);
    let before = sh(&host, "nft list ruleset");
    nftables(&host, &[("net", "gone", "10.1.0.3")]);
    let mut kernel = kernel(&host);
    let leases = [lease("10.1.0.3", "gone", "eth0"), lease("10.1.0.9", "x", "eth0")];
    let known = Known { network: "net", valid: &valid("live"), leases: &leases };
    let found = kernel.reference_leftovers(known).unwrap();
    let of = |container: &str, certain| {
        found.iter().filter(|found| found.container == container && found.certain == certain).count()
    };
    assert_eq!((of("gone", true), of("elsewhere", false), found.len()), (3, 2, 5), "{found:?}");
    remove_all(&mut kernel, "net", &found);
    assert_eq!(sh(&host, "nft list ruleset"), before);
}

/// The chains of macspoofchk, and with `rules` what is in them and leads to them.
fn guard(host: &Netns, id: &str, rules: bool) {
    let chain = format!("bridge nat cni-br-iface-{id}");
    let mut script = format!(
        "add table bridge nat
         add chain bridge nat PREROUTING {{ type filter hook prerouting priority -300; }}
         add chain {chain}
         add chain {chain}-mac\n"
    );
    if rules {
        let comment = format!("comment \"macspoofchk-{id}\"");
        let rules = format!(
            "add rule bridge nat PREROUTING iifname veth-{} jump cni-br-iface-{id} {comment}
             add rule {chain} jump cni-br-iface-{id}-mac {comment}
             add rule {chain}-mac ether saddr 02:00:00:00:00:01 return {comment}
             add rule {chain}-mac drop {comment}\n",
            id.len(),
        );
        script.push_str(&rules);
    }
    sh(host, &format!("nft -f - <<'END'\n{script}END"));
}

#[test]
fn guards_of_macspoofchk_go_if_they_are_the_networks_for_certain() {
    let host = Netns::anonymous().unwrap();
    for id in ["live-eth0", "elsewhere-eth0", "two-net1"] {
        guard(&host, id, true);
    }
    let before = sh(&host, "nft list ruleset");
    guard(&host, "gone-eth0", true);
    guard(&host, "half-made-net-1", false);
    // A second interface of one that is in use.
    guard(&host, "live-eth1", true);
    let leases = [
        lease("10.1.0.2", "live", "eth0"),
        lease("10.1.0.3", "gone", "eth0"),
        lease("10.1.0.4", "half-made", "net-1"),
        lease("10.1.0.5", "live", "eth1"),
        lease("10.1.0.6", "two", "eth0"),
    ];
    let mut kernel = kernel(&host);
    let known = Known { network: "net", valid: &valid("live"), leases: &leases };
    let found = kernel.reference_leftovers(known).unwrap();
    let shown: Vec<_> = found.iter().map(|found| (found.container.as_str(), found.certain)).collect();
    let certain = [("gone", true), ("half-made", true), ("live", true)];
    assert_eq!(shown, [&[("elsewhere", false)], &certain[..], &[("two", false)]].concat(), "{found:?}");
    remove_all(&mut kernel, "net", &found);
    assert_eq!(sh(&host, "nft list ruleset"), before);
}

#[test]
fn a_host_without_the_reference_has_no_leftovers() {
    let host = Netns::anonymous().unwrap();
    let known = Known { network: "net", valid: &[], leases: &[] };
    assert_eq!(kernel(&host).reference_leftovers(known).unwrap(), []);
    assert_eq!(sh(&host, "nft list ruleset"), "", "looking leaves no trace");
}
