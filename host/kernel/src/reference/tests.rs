//! Leftovers as the reference plugins 1.9.1 write them, made with the programs that they run.

use super::*;
use crate::nat::testing::{kernel, sh};
use crate::{Kernel as _, Netns};
use wharf_ops::KernelOp;
use wharf_ops::nat::{Backend, MasqueradeRule, NatOp};

/// ipMasq and portmap of a container, with the given iptables.
fn iptables(host: &Netns, program: &str, network: &str, container: &str, address: &str) {
    let owner = Known { network, valid: &[], leases: &[] }.of(container);
    let (masquerade, forward) = crate::iptables::chain_names(&owner);
    let comment = format!("-m comment --comment 'name: \"{network}\" id: \"{container}\"'");
    let dnat = format!("-m comment --comment 'dnat name: \"{network}\" id: \"{container}\"'");
    sh(
        host,
        &format!(
            "set -e; t='{program} -t nat'
             $t -N {masquerade}; $t -A {masquerade} -d 10.1.0.0/24 {comment} -j ACCEPT
             $t -A {masquerade} ! -d 224.0.0.0/4 {comment} -j MASQUERADE
             $t -A POSTROUTING -s {address} {comment} -j {masquerade}
             $t -N CNI-HOSTPORT-DNAT 2>/dev/null || true; $t -N {forward}
             $t -A CNI-HOSTPORT-DNAT {dnat} -m multiport -p tcp --destination-ports 8080 -j {forward}
             $t -A {forward} -p tcp --dport 8080 -j DNAT --to-destination {address}:80"
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
        assert_eq!(shown, [("gone", true), ("gone", true)], "{program}: {found:?}");
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
               [ $c = CNI-HOSTPORT-DNAT ] || iptables-nft -t nat -F $c; done",
    );
    let mut kernel = kernel(&host);
    let known = Known { network: "net", valid: &[], leases: &[] };
    let found = kernel.reference_leftovers(known).unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    remove_all(&mut kernel, "net", &found);
    let left = strip(&nat_of(&host));
    assert_eq!(left.len(), empty + 1, "only the shared chain: {left:?}");
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
        let leases = [("10.1.0.2".parse().unwrap(), "c".to_owned())];
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
    let leases =
        [("10.1.0.3".parse().unwrap(), "gone".to_owned()), ("10.1.0.9".parse().unwrap(), "x".to_owned())];
    let known = Known { network: "net", valid: &valid("live"), leases: &leases };
    let found = kernel.reference_leftovers(known).unwrap();
    let of = |container: &str, certain| {
        found.iter().filter(|found| found.container == container && found.certain == certain).count()
    };
    assert_eq!((of("gone", true), of("elsewhere", false), found.len()), (3, 2, 5), "{found:?}");
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
