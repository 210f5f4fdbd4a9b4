//! `wharfctl doctor`: a node that is well, each thing that can be wrong with one, and the probe.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use wharf_tests::install::wharfctl;
use wharf_tests::{Network, Node, Value, json, sh};

use crate::common::{bridge, portmap, with_ipam};

const LISTS: &str = "etc/cni/net.d";

/// A node with the list that `wharfctl conflist` prints for it.
fn node(arguments: &[&str]) -> Node {
    let node = Node::new();
    for key in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
        node.set_sysctl(key, "1");
    }
    let mut command = wharfctl(&node.root());
    command.args(["conflist", "--pod-cidr", "10.244.3.0/28", "--write", "/etc/cni/net.d/10-wharf.conflist"]);
    sh::run(command.args(arguments));
    node
}

/// A temporary folder of the node's own.
fn temporary(node: &Node) -> PathBuf {
    let folder = node.root().join("tmp");
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn doctor(node: &Node, arguments: &[&str]) -> Output {
    let mut command = wharfctl(&node.root());
    // Other tests probe at the same time.
    command.arg("doctor").args(arguments).env("TMPDIR", temporary(node));
    node.run(|| sh::output(&mut command))
}

/// What it found.
fn findings(node: &Node, arguments: &[&str]) -> (bool, Vec<Value>) {
    let output = doctor(node, &[arguments, &["--json"]].concat());
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let all = report["findings"].as_array().expect("findings").clone();
    let errors = all.iter().filter(|one| one["severity"] == "error").count();
    assert_eq!(report["errors"], errors);
    assert_eq!(output.status.success(), errors == 0, "the exit status tells whether there are errors");
    (output.status.success(), all)
}

fn bad(all: &[Value]) -> Vec<&Value> {
    all.iter().filter(|one| ["warning", "error"].contains(&one["severity"].as_str().unwrap())).collect()
}

/// There is a finding of that severity and check with these words, and what is to be done.
#[track_caller]
fn assert_found(all: &[Value], severity: &str, check: &str, words: &[&str]) {
    let matches = |one: &&Value| {
        let text = format!("{} {} {}", one["where"], one["what"], one["do"]);
        one["severity"] == severity && one["check"] == check && words.iter().all(|word| text.contains(word))
    };
    let found = all.iter().find(matches);
    let found = found.unwrap_or_else(|| panic!("no {severity} of {check} with {words:?} in {:#?}", bad(all)));
    assert_ne!(found["do"], "", "it says what to do: {found}");
}

/// Files of a node are shared with other nodes: they are replaced, not written.
fn replace(file: &Path, content: &[u8]) {
    let _ = fs::remove_file(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

fn list(node: &Node, name: &str, list: &Value) {
    replace(&node.root().join(LISTS).join(name), list.to_string().as_bytes());
}

fn kube_proxy(node: &Node) {
    for chain in ["KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"] {
        node.sh(&format!("iptables-nft -w -t nat -N {chain}"));
    }
}

#[test]
fn a_node_that_is_well_has_nothing_to_do_and_is_left_as_it_was() {
    for arguments in [&["--kube-proxy", "none"][..], &["--kube-proxy", "none", "--style", "chain"]] {
        let node = node(arguments);
        let before = node.dump();
        let (good, all) = findings(&node, &[]);
        assert!(good && bad(&all).is_empty(), "{:#?}", bad(&all));
        for check in ["process", "kernel", "firewall", "store", "lists", "state"] {
            assert!(
                all.iter().any(|one| one["check"] == check && one["severity"] == "ok"),
                "{check}: {all:#?}"
            );
        }
        assert!(
            all.iter().any(|one| one["what"].as_str().unwrap().contains("says that it is ready")),
            "{all:#?}"
        );
        node.dump().assert_same(&before);
        let text = String::from_utf8(doctor(&node, &[]).stdout).unwrap();
        assert!(text.ends_with("0 errors, 0 warnings\n"), "{text}");
    }
}

#[test]
fn a_probe_attaches_and_leaves_nothing() {
    let node = node(&["--kube-proxy", "none"]);
    let folders = || fs::read_dir(temporary(&node)).unwrap().count();
    let before = node.dump();
    let (good, all) = findings(&node, &["--probe"]);
    assert!(good, "{:#?}", bad(&all));
    for place in ["ADD", "traffic", "CHECK", "DEL", "after"] {
        let found =
            all.iter().any(|one| one["check"] == "probe" && one["where"] == place && one["severity"] == "ok");
        assert!(found, "{place}: {all:#?}");
    }
    let traffic: Vec<_> = all.iter().filter(|one| one["where"] == "traffic").collect();
    assert_eq!(traffic.len(), 3, "two families and a mapped port: {traffic:#?}");
    node.dump().assert_same(&before);
    assert_eq!(folders(), 0);
}

#[test]
fn a_probe_says_what_does_not_work() {
    let node = node(&["--kube-proxy", "none"]);
    let file = node.root().join("etc/cni/wharf.d/bridge.toml");
    let grant = fs::read_to_string(&file).unwrap().replace("\"links/create-veth\",", "");
    replace(&file, grant.as_bytes());
    let (_, all) = findings(&node, &["--probe"]);
    assert_found(&all, "error", "probe", &["ADD", "links/create-veth"]);
    assert_found(&all, "error", "store", &["bridge.toml", "links/create-veth", "grants suggest"]);
}

#[test]
fn what_is_missing_or_damaged_is_named() {
    let node = node(&["--kube-proxy", "none"]);
    let root = node.root();
    let manifest = fs::read(root.join("var/lib/wharf/guests/portmap.json")).unwrap();
    let artefact =
        serde_json::from_slice::<Value>(&manifest).unwrap()["artefact"].as_str().unwrap().to_owned();
    replace(&root.join(format!("var/lib/wharf/artefacts/{artefact}.cwasm")), b"other");
    fs::remove_file(root.join("var/lib/wharf/guests/bandwidth.json")).unwrap();
    fs::remove_file(root.join("etc/cni/wharf.d/host-local.toml")).unwrap();
    let (_, all) = findings(&node, &[]);
    assert_found(&all, "error", "store", &["guest portmap", "digest", "wharfctl install"]);
    assert_found(&all, "error", "store", &["grant of host-local", "host-local.toml"]);
    assert_found(&all, "error", "lists", &["plugins[2]", "bandwidth", "wharfctl install"]);
    fs::remove_file(node.bin.join("wharf")).unwrap();
    let (_, all) = findings(&node, &[]);
    assert_found(&all, "error", "store", &["opt/cni/bin/wharf", "wharfctl install"]);
}

#[test]
fn lists_that_cannot_work_are_named() {
    let node = node(&["--kube-proxy", "none"]);
    let named = |name: &str, plugins: Value| json!({"cniVersion": "1.0.0", "name": name, "plugins": plugins});
    replace(&node.root().join(LISTS).join("20-broken.conflist"), b"{\"cniVersion\":");
    list(&node, "30-unknown.conflist", &named("unknown", json!([{"type": "nonesuch"}])));
    let ipam = json!({"type": "bridge", "ipam": {"type": "whereabout"}});
    list(&node, "40-ipam.conflist", &named("ipam", json!([ipam])));
    list(&node, "50-deaf.conflist", &named("deaf", json!([bridge(json!({})), {"type": "portmap"}])));
    let same = bridge(json!({"ipam": {"type": "host-local", "subnet": "10.244.3.0/24"}}));
    list(&node, "60-same.conflist", &named("pods", json!([bridge(json!({}))])));
    list(&node, "70-overlap.conflist", &named("overlap", json!([same])));
    list(
        &node,
        "80-chain.conflist",
        &named("chain", json!([{"type": "wharf", "chain": [{"type": "nonesuch"}]}])),
    );
    let late = bridge(json!({"ipam": {"type": "host-local", "subnet": "usePodCidr"}}));
    list(&node, "90-late.conflist", &named("late", json!([late])));
    let odd = bridge(json!({"ipam": {"type": "host-local", "subnet": "10.9.0.7/24"}}));
    list(&node, "95-odd.conflist", &named("odd", json!([odd])));
    list(&node, "96-first.conflist", &named("first", json!([portmap(json!({}))])));
    let conditions = portmap(json!({"conditionsV4": ["foo"]}));
    list(
        &node,
        "97-foo.conflist",
        &named("foo", json!([with_ipam(json!({"subnet": "10.7.0.0/24"})), conditions])),
    );
    list(&node, "98-none.conflist", &json!({"cniVersion": "1.0.0", "name": "none"}));
    let (_, all) = findings(&node, &[]);
    // What lint finds; and nobody is told that such a network is ready.
    assert_found(&all, "error", "lists", &["96-first.conflist: plugins[0]", "comes first"]);
    assert_found(&all, "error", "lists", &["97-foo.conflist: plugins[1]", "conditionsV4[0]", "is not known"]);
    assert_found(&all, "error", "lists", &["98-none.conflist", "plugins"]);
    let ready = |one: &&Value| one["what"].as_str().unwrap().contains("says that it is ready");
    for name in ["96-first", "97-foo"] {
        let of_list = |one: &&Value| one["where"].as_str().unwrap().contains(name);
        assert!(!all.iter().filter(of_list).any(|one| ready(&one)), "{name}");
    }
    assert_found(&all, "error", "lists", &["20-broken.conflist", "decode"]);
    let added = ["30-unknown.conflist", "plugins[0]", "nonesuch", "wharfctl add --drop-in"];
    assert_found(&all, "error", "lists", &added);
    assert_found(&all, "error", "lists", &["40-ipam.conflist", "whereabout"]);
    assert_found(&all, "warning", "lists", &["50-deaf.conflist", "plugins[1]", "portMappings"]);
    assert_found(&all, "warning", "lists", &["60-same.conflist", "10-wharf.conflist"]);
    assert_found(&all, "warning", "lists", &["70-overlap.conflist", "10.244.3.0/28"]);
    // `wharfctl install` would not bring it.
    let added = ["80-chain.conflist", "plugins[0].chain[0]", "nonesuch", "wharfctl add"];
    assert_found(&all, "error", "lists", &added);
    assert!(!bad(&all).iter().any(|one| {
        one["where"].as_str().unwrap().contains("80-chain.conflist")
            && one.to_string().contains("wharfctl install")
    }));
    assert_found(&all, "error", "lists", &["90-late.conflist", "usePodCidr", "wharfctl pod-cidr"]);
    assert_found(&all, "error", "lists", &["95-odd.conflist", "STATUS", "host bits"]);
}

#[test]
fn kube_proxy_needs_its_parameters_and_its_chain() {
    let node = node(&[]);
    let (good, all) = findings(&node, &[]);
    assert!(good, "a node is set up before kube-proxy comes: {:#?}", bad(&all));
    assert_found(
        &all,
        "warning",
        "firewall",
        &["KUBE-MARK-MASQ", "externalSetMarkChain", "--kube-proxy none"],
    );
    kube_proxy(&node);
    let key = "bridge/bridge-nf-call-iptables";
    if !Path::new("/proc/sys/net").join(key).exists() {
        let (_, all) = findings(&node, &[]);
        assert_found(&all, "error", "firewall", &["bridge-nf-call-iptables", "br_netfilter"]);
        return;
    }
    node.set_sysctl(key, "0");
    let (_, all) = findings(&node, &[]);
    assert_found(&all, "error", "firewall", &["net.bridge.bridge-nf-call-iptables", "is 0", "sysctl -w"]);
    node.set_sysctl(key, "1");
    let (good, all) = findings(&node, &[]);
    assert!(good && bad(&all).is_empty(), "{:#?}", bad(&all));
    node.sh("iptables-nft -w -t nat -X KUBE-MARK-MASQ");
    let (_, all) = findings(&node, &[]);
    assert_found(&all, "error", "firewall", &["KUBE-MARK-MASQ", "kube-proxy is here"]);
}

#[test]
fn pools_journals_and_forwarding_are_looked_at() {
    let node = node(&["--kube-proxy", "none"]);
    let network = Network::new(&node, [bridge(json!({})), portmap(json!({}))]).chain();
    let container = node.container("gone");
    network.attach(&container.eth0());
    container.vanish();
    let leases = node.leases("pods");
    fs::create_dir_all(&leases).unwrap();
    for last in 2..=13 {
        fs::write(leases.join(format!("10.244.3.{last}")), "c\r\neth0").unwrap();
    }
    node.set_sysctl("ipv4/ip_forward", "0");
    fs::write(node.root().join("etc/cni/wharf.toml"), "[log]\nto = '/var/log/none/wharf.log'\n").unwrap();
    let (_, all) = findings(&node, &[]);
    assert_found(&all, "warning", "state", &["wharf.toml", "/var/log/none", "standard error"]);
    fs::write(node.root().join("etc/cni/wharf.toml"), "[traces]\nendpoint = 'notaurl'\n").unwrap();
    let (_, all) = findings(&node, &[]);
    assert_found(&all, "warning", "state", &["wharf.toml", "traces.endpoint", "notaurl", "http://"]);
    fs::write(node.root().join("etc/cni/wharf.toml"), "[lgo]\n").unwrap();
    let (_, all) = findings(&node, &[]);
    assert_found(&all, "error", "policies", &["wharf.toml", "line 1", "lgo"]);
    let told = |one: &&Value| one["check"] != "lists" && one["what"].to_string().contains("lgo");
    assert_eq!(all.iter().filter(told).count(), 1, "once, besides what it means for a list");
    fs::write(
        node.root().join("etc/cni/wharf.toml"),
        "policies = ['host-ports']\n[policy.host-prots]\n[policy.other]\n",
    )
    .unwrap();
    let (_, all) = findings(&node, &[]);
    let found = |words: &[&str]| assert_found(&all, "warning", "policies", words);
    found(&["wharf.toml: policy.host-prots", "nobody reads", "did you mean [policy.host-ports]?"]);
    found(&["wharf.toml: policy.other", "nobody reads", "name it in `policies`"]);
    assert_found(&all, "warning", "state", &["gone/eth0", "vanished", "wharfctl gc"]);
    assert_found(&all, "warning", "state", &["network pods", "12 of 13 addresses"]);
    assert_found(&all, "warning", "firewall", &["net.ipv4.ip_forward", "is 0"]);
    fs::write(leases.join("10.244.3.14"), "c\r\neth0").unwrap();
    let (_, all) = findings(&node, &[]);
    assert_found(&all, "error", "state", &["network pods", "13 of 13 addresses"]);
}

#[test]
fn missing_capabilities_are_told() {
    let node = node(&["--kube-proxy", "none"]);
    let mut command = sh::words("setpriv --bounding-set=-net_admin --inh-caps=-net_admin");
    command.arg(&wharf_tests::install::Binaries::get().wharfctl).args(["doctor", "--json"]);
    command.env("WHARF_ROOT", node.root());
    let output = node.run(|| sh::output(&mut command));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = report["findings"].as_array().unwrap();
    assert!(!output.status.success());
    assert_found(all, "error", "process", &["CAP_NET_ADMIN"]);
    assert_found(all, "error", "kernel", &["bridge", "veth"]);
}
