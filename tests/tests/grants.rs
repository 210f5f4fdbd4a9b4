//! Grants that an operator has tightened: what is outside is denied with the constraint named, the log says which line would
//! allow it, and nothing is left behind.

use std::fs;
use std::path::PathBuf;

use wharf_tests::install::{Binaries, installation, wharfctl};
use wharf_tests::{Network, Node, Value, json, sh};

use crate::common::{assert_undone, bandwidth, bridge, dual_stack, layer2, limits, portmap, with, with_ipam};

fn file(node: &Node, guest: &str) -> PathBuf {
    node.root().join(format!("etc/cni/wharf.d/{guest}.toml"))
}

fn text(node: &Node, guest: &str) -> String {
    fs::read_to_string(file(node, guest)).expect("a grant")
}

/// Writes a grant. The file is shared with other nodes until then.
fn write(node: &Node, guest: &str, text: &str) {
    fs::remove_file(file(node, guest)).unwrap();
    fs::write(file(node, guest), text).unwrap();
}

/// Sets one list of a grant to another, in the first table with that name and key.
fn set(node: &Node, guest: &str, table: &str, key: &str, list: &str) {
    let text = text(node, guest);
    let (before, from) = text.split_once(&format!("\n[{table}]\n")).expect("the table");
    let (head, value) = from.split_once(&format!("\n{key} = ")).expect("the key");
    let (_, rest) = value.split_once("]\n").expect("a list");
    write(node, guest, &format!("{before}\n[{table}]\n{head}\n{key} = {list}\n{rest}"));
}

/// An ADD under a grant with this list fails, tells the guest's caller `why` and the log `cure`, and leaves nothing.
fn denied(
    plugins: &[Value],
    [guest, table, key, list]: [&str; 4],
    prepare: fn(wharf_tests::Target) -> wharf_tests::Target,
    why: &str,
    cure: &str,
) {
    for as_chain in [false, true] {
        let node = Node::new();
        set(&node, guest, table, key, list);
        let container = node.container("c");
        let before = (node.dump(), container.dump());
        let mut network = Network::new(&node, plugins.to_vec());
        if as_chain {
            network = network.chain();
        }
        let target = prepare(container.eth0());
        let outcome = network.add(&target);
        assert!(outcome.stderr.contains("wharf error"), "{outcome}");
        assert!(outcome.stderr.contains(cure), "the log does not say {cure:?}: {outcome}");
        outcome.error_naming(900, &[why]);
        if !as_chain {
            // As runtimes do: the plugins before the one that failed had succeeded.
            network.del(&target, None);
        }
        if as_chain || plugins.len() == 1 {
            assert_undone(&node.dump(), &before.0);
        } else {
            // A DEL leaves the bridge, as the reference does.
            assert_eq!(node.links(), ["lo", "br0"]);
            assert_eq!(node.leased("net"), [""; 0]);
        }
        container.dump().assert_same(&before.1);
    }
}

#[test]
fn a_link_that_is_not_named_is_not_made() {
    denied(
        &[layer2(json!({}))],
        ["bridge", "links", "names", r#"["br0"]"#],
        |target| target,
        "[links] names",
        "`names = [\"veth",
    );
    denied(
        &[layer2(json!({}))],
        ["bridge", "links", "names", r#"["cni0", "veth????????"]"#],
        |target| target,
        r#"links/ensure-bridge "br0": outside [links] names"#,
        "`names = [\"br0\"]` below `[links]` of its grant would allow it",
    );
    denied(
        &[layer2(json!({}))],
        ["bridge", "links", "container-names", r#"["net*"]"#],
        |target| target,
        r#"links/create-veth "eth0": outside [links] container-names"#,
        "`container-names = [\"eth0\"]`",
    );
}

#[test]
fn an_address_outside_the_networks_is_not_given() {
    denied(
        &[bridge(json!({}))],
        ["bridge", "addresses", "container-cidrs", r#"["10.2.0.0/16", "192.168.0.0/16"]"#],
        |target| target,
        "outside [addresses] container-cidrs",
        "`container-cidrs = [\"10.1.0.0/24\"]` below `[addresses]`",
    );
    denied(
        &[bridge(json!({}))],
        ["bridge", "addresses", "cidrs", "[]"],
        |target| target,
        "addresses/add 10.1.0.1/24: outside [addresses] cidrs",
        "`cidrs = [\"10.1.0.0/24\"]` below `[addresses]`",
    );
    denied(
        &[bridge(json!({}))],
        ["host-local", "leases", "cidrs", r#"["10.2.0.0/16"]"#],
        |target| target,
        "outside [leases] cidrs",
        "below `[leases]` of its grant would allow it",
    );
}

#[test]
fn a_route_outside_the_networks_is_not_made() {
    denied(
        &[bridge(json!({}))],
        ["bridge", "routes", "container-cidrs", r#"["10.0.0.0/8"]"#],
        |target| target,
        "routes/add 0.0.0.0/0: outside [routes] container-cidrs",
        "`container-cidrs = [\"0.0.0.0/0\"]` below `[routes]`",
    );
    denied(
        &[with_ipam(json!({"subnet": "10.1.0.0/24", "routes": [{"dst": "192.0.2.0/24"}]}))],
        ["bridge", "routes", "container-cidrs", r#"["10.0.0.0/8", "default"]"#],
        |target| target,
        "routes/add 192.0.2.0/24: outside [routes] container-cidrs",
        "`container-cidrs = [\"192.0.2.0/24\"]`",
    );
}

#[test]
fn a_port_outside_the_ranges_is_not_opened() {
    denied(
        &[bridge(json!({})), portmap(json!({}))],
        ["portmap", "nat", "host-ports", r#"["1024-65535"]"#],
        |target| target.port(443, 8443),
        "nat/forward-ports port 443: outside [nat] host-ports",
        "`host-ports = [443]` below `[nat]` of its grant would allow it",
    );
    denied(
        &[bridge(json!({})), portmap(json!({}))],
        ["portmap", "nat", "cidrs", r#"["10.2.0.0/16"]"#],
        |target| target.port(8443, 8443),
        "outside [nat] cidrs",
        "below `[nat]`",
    );
}

#[test]
fn a_kernel_parameter_that_is_not_named_is_not_written() {
    denied(
        &[bridge(json!({}))],
        ["bridge", "sysctl", "keys", r#"["ipv6/conf/*/accept_ra", "ipv6/conf/*/accept_dad"]"#],
        |target| target,
        r#"sysctl/write "ipv4/ip_forward": outside [sysctl] keys"#,
        "`keys = [\"ipv4/ip_forward\"]` below `[sysctl]`",
    );
}

#[test]
fn a_delegate_that_is_not_named_is_not_run() {
    denied(
        &[bridge(json!({}))],
        ["bridge", "delegate", "plugins", r#"["dhcp", "whereabouts"]"#],
        |target| target,
        r#"delegate/add "host-local": outside [delegate] plugins"#,
        "`plugins = [\"host-local\"]` below `[delegate]`",
    );
}

#[test]
fn a_vlan_that_is_not_named_is_not_given() {
    let probe = Node::new();
    probe.sh("ip link add probe type bridge");
    if !probe.try_sh("ip link set probe type bridge vlan_filtering 1").status.success() {
        wharf_tests::skip!("this kernel has no BRIDGE_VLAN_FILTERING");
    }
    denied(
        &[layer2(json!({"vlan": 7}))],
        ["bridge", "bridge-ports", "vlans", r#"["100-199"]"#],
        |target| target,
        "bridge-ports/add-vlan VLAN 7: outside [bridge-ports] vlans",
        "`vlans = [\"7\"]` below `[bridge-ports]`",
    );
}

#[test]
fn a_link_outside_the_names_is_not_shaped() {
    let node = Node::new();
    set(&node, "bandwidth", "shaping", "names", r#"["bwp*"]"#);
    let container = node.container("c");
    let before = (node.dump(), container.dump());
    let network = Network::new(&node, [bridge(json!({})), bandwidth()]).chain();
    let outcome = network.add(&container.eth0().with("bandwidth", limits()));
    assert!(outcome.stderr.contains("below `[shaping]` of its grant would allow it"), "{outcome}");
    outcome.error_naming(900, &["outside [shaping] names"]);
    assert_undone(&node.dump(), &before.0);
    container.dump().assert_same(&before.1);
}

/// "Only the bridge cni0 and veths, only 10.0.0.0/8, only ports above 1023."
#[test]
fn a_tight_grant_is_enough_for_what_stays_inside() {
    let node = Node::new();
    let ten = r#"["10.0.0.0/8"]"#;
    set(&node, "bridge", "links", "names", r#"["cni0", "veth????????"]"#);
    for key in ["cidrs", "container-cidrs"] {
        set(&node, "bridge", "addresses", key, ten);
    }
    set(&node, "bridge", "routes", "container-cidrs", r#"["default"]"#);
    set(&node, "bridge", "nat", "cidrs", ten);
    set(&node, "bridge", "delegate", "plugins", r#"["host-local"]"#);
    set(&node, "host-local", "leases", "cidrs", ten);
    set(&node, "portmap", "nat", "host-ports", r#"["1024-65535"]"#);
    set(&node, "portmap", "nat", "cidrs", ten);
    set(&node, "bandwidth", "shaping", "names", r#"["veth????????", "bwp*"]"#);
    sh::run(wharfctl(&node.root()).args(["grants", "check", "--all"]));

    let before = node.dump();
    let plugins =
        [with(bridge(json!({"ipMasq": true})), json!({"bridge": "cni0"})), portmap(json!({})), bandwidth()];
    let network = Network::new(&node, plugins);
    let containers = [node.container("one"), node.container("two")];
    for (container, port) in containers.iter().zip([1024, 8080]) {
        let target = container.eth0().port(port, 80).with("bandwidth", limits());
        let attachment = network.attach(&target);
        attachment.check().silent();
        attachment.del().silent();
    }
    assert!(network.add(&containers[0].eth0().port(80, 80)).error(900).contains("port 80"));
    network.del(&containers[0].eth0(), None);
    let left = node.dump().changes_since(&before);
    assert!(!left.iter().any(|line| line.contains("veth") || line.contains("files")), "{left:?}");
}

#[test]
fn what_is_written_at_installation_has_no_problem_and_is_explained() {
    let node = Node::new();
    let checked = sh::run(wharfctl(&node.root()).args(["grants", "check"]));
    for guest in ["bandwidth", "bridge", "host-local", "loopback", "portmap"] {
        assert!(checked.contains(&format!("{guest}: good\n")), "{checked}");
        let explained = sh::run(wharfctl(&node.root()).args(["grants", "explain", guest]));
        assert!(!explained.contains("does not run") && !explained.contains("there is no [n"), "{explained}");
        let json = sh::run(wharfctl(&node.root()).args(["grants", "explain", guest, "--json"]));
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["runs"], true);
        assert_eq!(json["imported_but_not_granted"], json!([]));
        // The suggestion is what was installed, but for the installer's mark.
        let suggested = sh::run(wharfctl(&node.root()).args(["grants", "suggest", guest]));
        assert!(text(&node, guest).ends_with(&suggested), "{suggested}");
    }
    let component = Binaries::get().guests.join("bridge.wasm");
    let other =
        sh::run(wharfctl(&node.root()).args(["grants", "suggest", "mine", "--component"]).arg(&component));
    assert!(other.contains("names = [\"veth*\"]") && other.contains("digest = \"sha256:"), "{other}");
    write(&node, "bridge", &other);
    let good = sh::run(wharfctl(&node.root()).args(["grants", "check", "bridge"]));
    assert_eq!(good, "bridge: good\n");
    let container = node.container("c");
    Network::new(&node, [layer2(json!({}))]).add(&container.eth0()).error_naming(900, &["[links] names"]);
}

#[test]
fn every_wrong_file_is_listed_and_makes_check_fail() {
    let node = Node::new();
    set(&node, "bridge", "links", "names", r#"["cni0/"]"#);
    let portmap = text(&node, "portmap");
    write(&node, "portmap", &portmap.replace("    \"nat/forward-ports\",\n", ""));
    write(&node, "loopback", &text(&node, "host-local"));
    let output = sh::output(wharfctl(&node.root()).args(["grants", "check", "--json"]));
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("3 of 5"));
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let problems = |guest: &str| {
        found.iter().find(|one| one["guest"] == guest).expect("the guest")["problems"].to_string()
    };
    assert!(problems("bridge").contains("cni0/") && problems("bridge").contains("bridge.toml: line"));
    assert!(problems("portmap").contains("nat/forward-ports"), "{}", problems("portmap"));
    assert!(problems("loopback").contains("is for the component sha256:"), "{}", problems("loopback"));
    assert_eq!(problems("bandwidth"), "[]");

    // The plugin says the same, and does nothing.
    let container = node.container("c");
    Network::new(&node, [dual_stack(json!({}))])
        .add(&container.eth0())
        .error_naming(50, &["cni0/", "bridge.toml"]);
    let target = container.eth0();
    let config = json!({"cniVersion": "1.1.0", "name": "n", "type": "portmap"});
    node.call("portmap", "ADD", &target, &config)
        .error_naming(900, &["portmap.toml", "add to its operations: \"nat/forward-ports\","]);
    node.call("loopback", "ADD", &target, &json!({"cniVersion": "1.1.0", "name": "n", "type": "loopback"}))
        .error_naming(50, &["loopback.toml", "wharfctl install"]);
}

#[test]
fn an_operators_grant_survives_an_installation() {
    let node = Node::new();
    let own = text(&node, "bridge").replace("names = [\"*\"]", "names = [\"cni0\"] # not br0");
    write(&node, "bridge", &own);
    let untouched = text(&node, "portmap");
    sh::run(&mut installation(&node.root()));
    assert_eq!(text(&node, "bridge"), own);
    assert_eq!(text(&node, "portmap"), untouched);
    let container = node.container("c");
    Network::new(&node, [layer2(json!({}))]).add(&container.eth0()).error_naming(900, &["br0"]);
}
