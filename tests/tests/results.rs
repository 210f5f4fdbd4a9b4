//! Results and prevResults in every version of the specification.

use wharf_tests::{Network, Node, Value, json};

use crate::common::{dual_stack, portmap, with};

const VERSIONS: [&str; 7] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// Checks the shape that the version gives the result of [`dual_stack`] in the container's `eth0`.
fn assert_shape(version: &str, result: &Value, mac: &Value, sandbox: &str) {
    assert_eq!(result["cniVersion"], version);
    if version < "0.3.0" {
        let v4 = json!({"ip": "10.1.0.2/24", "gateway": "10.1.0.1", "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}]});
        let v6 =
            json!({"ip": "fd01::2/64", "gateway": "fd01::1", "routes": [{"dst": "::/0", "gw": "fd01::1"}]});
        let expected = json!({"cniVersion": version, "ip4": v4, "ip6": v6, "dns": {}});
        assert_eq!(*result, expected);
        return;
    }
    let interfaces = result["interfaces"].as_array().expect("interfaces");
    assert_eq!(interfaces.len(), 3, "{result}");
    assert_eq!(interfaces[0]["name"], "br0");
    assert!(interfaces[1].get("sandbox").is_none(), "the host's end is in no sandbox: {result}");
    assert_eq!(interfaces[2]["name"], "eth0");
    assert_eq!(interfaces[2]["mac"], *mac);
    assert_eq!(interfaces[2]["sandbox"], sandbox);
    let mut v4 = json!({"address": "10.1.0.2/24", "gateway": "10.1.0.1", "interface": 2});
    let mut v6 = json!({"address": "fd01::2/64", "gateway": "fd01::1", "interface": 2});
    if version < "1.0.0" {
        v4["version"] = "4".into();
        v6["version"] = "6".into();
        assert_eq!(result["dns"], json!({}), "dns is always there before 1.0.0");
    } else {
        assert!(result.get("dns").is_none(), "an empty dns is left out from 1.0.0 on: {result}");
    }
    assert_eq!(result["ips"], json!([v4, v6]));
    let routes = json!([{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}, {"dst": "::/0", "gw": "fd01::1"}]);
    assert_eq!(result["routes"], routes);
}

#[test]
fn every_version_works_from_end_to_end() {
    let node = Node::new();
    for version in VERSIONS {
        for as_chain in [false, true] {
            let mut network =
                Network::new(&node, [dual_stack(json!({})), portmap(json!({}))]).version(version);
            if as_chain {
                network = network.chain();
            }
            // A network of its own each, so that the addresses are the same.
            network = network.named(&format!("net-{version}-{as_chain}"));
            let container = node.container(&format!("c-{version}-{as_chain}"));
            let attachment = network.attach(&container.eth0().port(8080, 80));
            let mac = container.link("eth0").expect("the link")["address"].clone();
            assert_shape(version, &attachment.result, &mac, &attachment.target.netns);
            if version >= "0.4.0" {
                attachment.check().silent();
            }
            attachment.del().silent();
            assert_eq!(container.links(), ["lo"]);
            assert!(node.leased(&format!("net-{version}-{as_chain}")).is_empty(), "{version}");
        }
    }
}

/// The same attachment as results of several versions.
fn previous(version: &str) -> Value {
    match version {
        "0.1.0" | "0.2.0" => json!({
            "cniVersion": version,
            "ip4": {"ip": "10.9.0.2/24", "gateway": "10.9.0.1", "routes": [{"dst": "0.0.0.0/0"}]},
            "dns": {"nameservers": ["10.9.0.1"]},
        }),
        "0.3.0" | "0.3.1" | "0.4.0" => json!({
            "cniVersion": version,
            "interfaces": [],
            "ips": [{"version": "4", "address": "10.9.0.2/24", "gateway": "10.9.0.1"}],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dns": {"nameservers": ["10.9.0.1"]},
        }),
        _ => json!({
            "cniVersion": version,
            "ips": [{"address": "10.9.0.2/24", "gateway": "10.9.0.1"}],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dns": {"nameservers": ["10.9.0.1"]},
        }),
    }
}

#[test]
fn previous_results_are_converted_between_all_versions() {
    let node = Node::new();
    let container = node.container("c");
    for from in VERSIONS {
        for to in VERSIONS {
            // portmap without mappings hands the result on.
            let config =
                json!({"cniVersion": to, "name": "net", "type": "portmap", "prevResult": previous(from)});
            let result = node.call("portmap", "ADD", &container.eth0(), &config).ok();
            assert_eq!(result["cniVersion"], to, "{from} to {to}");
            let ip = if to < "0.3.0" { &result["ip4"]["ip"] } else { &result["ips"][0]["address"] };
            assert_eq!(ip, "10.9.0.2/24", "{from} to {to}: {result}");
            let route = if to < "0.3.0" { &result["ip4"]["routes"][0] } else { &result["routes"][0] };
            assert_eq!(route["dst"], "0.0.0.0/0", "{from} to {to}: {result}");
            assert_eq!(result["dns"]["nameservers"][0], "10.9.0.1", "{from} to {to}: {result}");
        }
    }
}

#[test]
fn a_previous_result_without_a_version_has_the_configurations() {
    let node = Node::new();
    let container = node.container("c");
    let mut previous = previous("0.3.1");
    previous.as_object_mut().unwrap().remove("cniVersion");
    let config = json!({"cniVersion": "0.3.1", "name": "net", "type": "portmap", "prevResult": previous});
    let result = node.call("portmap", "ADD", &container.eth0(), &config).ok();
    assert_eq!(result["ips"][0]["version"], "4");
}

#[test]
fn results_of_foreign_plugins_are_accepted_and_kept() {
    let node = Node::new();
    let container = node.container("c");
    let foreign = json!({
        "cniVersion": "1.1.0",
        "interfaces": [
            {"name": "ib0", "mac": "80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:31:78:f1"},
            {"name": "eth0", "mac": "", "mtu": 9000, "sandbox": container.eth0().netns, "pciID": "0000:00:1f.6"},
            {"name": "vhost", "socketPath": "/run/vhost.sock"},
        ],
        "ips": [{"address": "10.9.0.2/24", "interface": 1}],
        "routes": [{"dst": "10.0.0.0/8", "gw": "10.9.0.9", "mtu": 1400, "advmss": 1300, "priority": 7, "table": 0, "scope": 0}],
        "somethingNew": {"nobody": "knows"},
    });
    let config = json!({"cniVersion": "1.1.0", "name": "net", "type": "portmap", "somethingElse": 1, "prevResult": foreign});
    let result = node.call("portmap", "ADD", &container.eth0(), &config).ok();
    assert_eq!(result["interfaces"][1]["mtu"], 9000);
    assert_eq!(result["interfaces"][1]["pciID"], "0000:00:1f.6");
    assert_eq!(result["interfaces"][2]["socketPath"], "/run/vhost.sock");
    assert_eq!(result["routes"], foreign["routes"]);
    assert_eq!(result["ips"], foreign["ips"]);
}

#[test]
fn hardware_addresses_of_other_kinds_are_passed_on() {
    let node = Node::new();
    let container = node.container("c");
    let infiniband = "80:00:02:08:fe:80:00:00:00:00:00:00:f4:52:14:03:00:7b:cb:a1";
    let interface = json!({"name": "eth0", "mac": infiniband, "sandbox": container.eth0().netns});
    let previous = json!({"cniVersion": "1.1.0", "interfaces": [interface], "ips": []});
    let plugins = json!([portmap(json!({})), portmap(json!({}))]);
    for (program, more) in [("portmap", json!({})), ("wharf", json!({"chain": plugins}))] {
        let base =
            json!({"cniVersion": "1.1.0", "name": "net", "type": program, "prevResult": previous.clone()});
        let config = with(base, more);
        let result = node.call(program, "ADD", &container.eth0(), &config).ok();
        assert_eq!(result["interfaces"], previous["interfaces"], "{program}");
        node.call(program, "DEL", &container.eth0(), &config).silent();
    }
}
