//! STATUS, and GC of what no valid attachment holds.

use std::fs;

use wharf_tests::{Network, Node, Value, json};

use crate::common::{BACKENDS, assert_undone, bridge, full, limits, with, with_ipam};

#[test]
fn a_network_that_can_serve_is_ready() {
    let node = Node::new();
    Network::new(&node, full("nftables")).status().silent();
    Network::new(&node, full("nftables")).chain().status().silent();
}

#[test]
fn runtimes_send_empty_variables_with_it() {
    let node = Node::new();
    let config = bridge(json!({"cniVersion": "1.1.0", "name": "net"})).to_string();
    let empty = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"].map(|key| (key, ""));
    let mut env = vec![("CNI_COMMAND", "STATUS")];
    env.extend(empty);
    node.exec("bridge", &env, config.as_bytes()).silent();
}

#[test]
fn a_missing_guest_is_not_available_and_the_command_is_named() {
    let node = Node::new();
    fs::remove_file(node.root().join("var/lib/wharf/guests/portmap.json")).unwrap();
    let network = Network::new(&node, full("nftables"));
    network.status().error_naming(50, &["portmap", "wharfctl install"]);
    network.clone().chain().status().error_naming(50, &["portmap", "wharfctl install"]);
    let container = node.container("c");
    let before = node.dump();
    network.chain().add(&container.eth0()).error_naming(50, &["portmap", "wharfctl install"]);
    assert_undone(&node.dump(), &before);
}

#[test]
fn a_native_plugin_in_a_chain_is_told_its_place() {
    let node = Node::new();
    let container = node.container("c");
    let chain = Network::new(&node, [bridge(json!({})), json!({"type": "tuning"})]).chain();
    let words = ["\"tuning\" is not installed", "a chain runs nothing but guests", "\"plugins\""];
    chain.status().error_naming(50, &words);
    chain.add(&container.eth0()).error_naming(50, &words);
    assert!(node.leased("net").is_empty());
}

#[test]
fn a_missing_address_manager_is_not_available() {
    let node = Node::new();
    let network = Network::new(&node, [bridge(json!({"ipam": {"type": "no-such-ipam"}}))]);
    network.status().error_naming(50, &["no-such-ipam"]);
}

#[test]
fn a_bad_configuration_is_not_ready() {
    let node = Node::new();
    Network::new(&node, [with_ipam(json!({"subnet": "10.1.0.0/31"}))])
        .status()
        .error_naming(7, &["10.1.0.0/31"]);
    Network::new(&node, [bridge(json!({"vlan": 5000}))]).status().error_naming(7, &["vlan", "5000"]);
}

#[test]
fn a_full_range_is_not_available() {
    let node = Node::new();
    let container = node.container("c");
    let range = json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.9"});
    let network = Network::new(&node, [with_ipam(json!({"ranges": [[range]]}))]);
    network.status().silent();
    let attachment = network.attach(&container.eth0());
    network.status().error_naming(50, &["10.1.0.9"]);
    attachment.del().silent();
    network.status().silent();
}

#[test]
fn addresses_that_nobody_took_count_until_they_are_collected() {
    // The reference, killed between making the file and writing into it.
    let node = Node::new();
    let container = node.container("c");
    let range = json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.8", "rangeEnd": "10.1.0.9"});
    let network = Network::new(&node, [with_ipam(json!({"ranges": [[range]]}))]);
    fs::create_dir_all(node.leases("net")).unwrap();
    for address in ["10.1.0.8", "10.1.0.9"] {
        fs::write(node.leases("net").join(address), "").unwrap();
    }
    network.status().error_naming(50, &["10.1.0.8-10.1.0.9"]);
    network.add(&container.eth0()).error(102);
    network.gc(&[("c", "eth0")]).silent();
    assert!(node.leased("net").is_empty());
    network.status().silent();
    network.attach(&container.eth0()).del().silent();
}

#[test]
fn ranges_that_come_with_each_add_are_not_missed_before() {
    let node = Node::new();
    let ranged = |wanted: bool| {
        let plugin = with(with_ipam(json!({})), json!({"capabilities": {"ipRanges": wanted}}));
        Network::new(&node, [plugin])
    };
    for network in [ranged(true), ranged(true).chain()] {
        network.status().silent();
        let container = node.container("c");
        network.add(&container.eth0()).error_naming(7, &["no IP ranges specified"]);
        let target = container.eth0().with("ipRanges", json!([[{"subnet": "10.1.0.0/24"}]]));
        let attachment = network.attach(&target);
        network.status().silent();
        attachment.del().silent();
    }
    ranged(false).status().error_naming(7, &["no IP ranges specified"]);
    // They would have to be written all the same.
    fs::remove_dir_all(node.root().join("var/lib/cni")).unwrap();
    fs::write(node.root().join("var/lib/cni"), "").unwrap();
    ranged(true).status().error_naming(50, &["var/lib/cni"]);
}

#[test]
fn asking_about_a_network_or_cleaning_up_after_it_leaves_no_trace() {
    let node = Node::new();
    let network = Network::new(&node, full("nftables"));
    let container = node.container("c");
    let target = container.eth0();
    network.status().silent();
    network.check(&target, &json!({"cniVersion": "1.1.0", "ips": []})).error(101);
    let ipam = json!({"cniVersion": "1.1.0", "name": "net", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}});
    node.call("host-local", "CHECK", &target, &ipam).error(101);
    network.del(&target, None).silent();
    network.gc(&[]).silent();
    assert!(!node.root().join("var/lib/cni").exists(), "nobody was ever added");
    assert!(!node.root().join("run/wharf/leases").exists());
}

#[test]
fn a_place_for_leases_that_cannot_be_written_to_is_not_available() {
    let node = Node::new();
    let network = Network::new(&node, [bridge(json!({}))]);
    fs::create_dir_all(node.root().join("var/lib/cni")).unwrap();
    fs::write(node.root().join("var/lib/cni/networks"), "").unwrap();
    network.status().error_naming(50, &["var/lib/cni/networks", "Not a directory"]);
    // A pool too large to be counted must have its place, too.
    let range = json!({"ranges": [[{"subnet": "10.0.0.0/8"}]]});
    Network::new(&node, [with_ipam(range)]).status().error_naming(50, &["var/lib/cni/networks"]);
}

#[test]
fn a_host_that_can_write_no_rules_is_not_available() {
    let node = Node::new();
    let ipam = json!({"type": "host-local", "subnet": "10.1.0.0/24"});
    let status = |plugin: &str, options: Value| {
        let mut config = json!({"cniVersion": "1.1.0", "name": "net", "type": plugin});
        config.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        // Without that capability nf_tables answers nobody.
        let without = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"];
        node.exec_under(&without, plugin, &[("CNI_COMMAND", "STATUS")], config.to_string().as_bytes())
    };
    for backend in BACKENDS {
        status("portmap", json!({"backend": backend})).error_naming(50, &["forwarded", "nf_tables"]);
        let masquerading = json!({"ipMasq": true, "ipMasqBackend": backend, "ipam": ipam});
        status("bridge", masquerading).error_naming(50, &["ipMasq", "nf_tables"]);
    }
    status("bridge", json!({"macspoofchk": true})).error_naming(50, &["macspoofchk"]);
    status("bridge", json!({"ipam": ipam})).silent();
    status("bridge", json!({"ipMasq": true})).silent();
    // A container of the network may be without rules by now.
    let container = node.container("c");
    let attachment = Network::new(&node, [bridge(json!({}))]).attach(&container.eth0());
    status("portmap", json!({})).error_naming(51, &["forwarded", "nf_tables"]);
    attachment.del().silent();
    status("portmap", json!({})).error_naming(50, &["forwarded", "nf_tables"]);
}

#[test]
fn a_place_for_journals_that_cannot_be_written_to_is_not_available() {
    for place in ["run/wharf", "run/wharf/attachments"] {
        let node = Node::new();
        let place = node.root().join(place);
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, "").unwrap();
        for network in [Network::new(&node, full("nftables")), Network::new(&node, full("nftables")).chain()]
        {
            network.status().error_naming(50, &["run/wharf/attachments", "Not a directory"]);
        }
    }
}

#[test]
fn what_is_stale_goes_and_what_is_valid_stays() {
    for backend in BACKENDS {
        for as_chain in [false, true] {
            let node = Node::new();
            let mut network = Network::new(&node, full(backend));
            if as_chain {
                network = network.chain();
            }
            let containers = ["one", "two", "three"].map(|id| node.container(id));
            let mut port = 8000;
            let attachments = containers.each_ref().map(|container| {
                port += 1;
                network.attach(&container.eth0().port(port, 80).with("bandwidth", limits()))
            });
            // One of another network of the same node, which is none of this one's business.
            let other = node.container("other");
            let ipam = json!({"type": "host-local", "subnet": "10.9.0.0/24"});
            let masquerading = bridge(json!({
                "bridge": "br9", "ipMasq": true, "ipMasqBackend": backend, "ipam": ipam,
            }));
            let other = Network::new(&node, [masquerading]).named("other").attach(&other.eth0());

            let addresses = |index: usize| attachments[index].ips().map_text();
            network.gc(&[("one", "eth0"), ("two", "eth0"), ("three", "eth0")]).silent();
            assert_eq!(node.leased("net").len(), 6, "{backend}: everything is valid");
            network.gc(&[("one", "eth0"), ("three", "eth1")]).silent();

            let mut expected = addresses(0);
            expected.sort();
            assert_eq!(node.leased("net"), expected, "{backend}");
            let dump = node.dump();
            for stale in [1, 2] {
                for address in addresses(stale) {
                    let mentioned = ["nft", "iptables"]
                        .iter()
                        .any(|heading| dump.lines(heading).iter().any(|line| names(line, &address)));
                    assert!(!mentioned, "{backend}: rules for {address} of {}", attachments[stale].target.id);
                }
            }
            attachments[0].check().silent();
            other.check().silent();
        }
    }
}

/// Whether a rule is about this very address.
fn names(line: &str, address: &str) -> bool {
    line.match_indices(address)
        .any(|(at, _)| !line[at + address.len()..].starts_with(|c: char| c.is_ascii_hexdigit()))
}

/// Addresses as text.
trait MapText {
    fn map_text(self) -> Vec<String>;
}

impl MapText for Vec<std::net::IpAddr> {
    fn map_text(self) -> Vec<String> {
        self.iter().map(ToString::to_string).collect()
    }
}

#[test]
fn without_a_valid_attachment_nothing_is_left() {
    let node = Node::new();
    let network = Network::new(&node, full("nftables"));
    let containers = ["one", "two"].map(|id| node.container(id));
    for container in &containers {
        network.attach(&container.eth0().with("bandwidth", limits()));
    }
    drop(containers);
    network.gc(&[]).silent();
    assert!(node.leased("net").is_empty());
    assert!(!node.dump().mentions("10.1.0.2") && !node.dump().mentions("net/one/eth0"));
    assert!(!node.links().iter().any(|link| link != "lo" && link != "br0" && !link.starts_with("veth")));
}

#[test]
fn leases_of_the_reference_are_collected_too() {
    let node = Node::new();
    let folder = node.leases("net");
    fs::create_dir_all(&folder).unwrap();
    for (address, content) in [
        ("10.1.0.2", "gone\r\neth0"),
        ("10.1.0.3", "here\r\neth0"),
        ("10.1.0.4", "here"),
        ("10.1.0.5", "gone"),
    ] {
        fs::write(folder.join(address), content).unwrap();
    }
    Network::new(&node, [bridge(json!({}))]).gc(&[("here", "eth0")]).silent();
    assert_eq!(node.leased("net"), ["10.1.0.3", "10.1.0.4"]);
}
