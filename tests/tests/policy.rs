//! The SDK's policies, under real ADDs: what they allow and deny, what is left, what they change, and what becomes of an
//! ADD without them.

mod mutating;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use wharf_tests::install::{self, wharfctl};
use wharf_tests::{Container, Network, Node, Outcome, Target, Value, json, sh};

use crate::common::{assert_undone, bandwidth, bridge, full, layer2, limits, portmap, with};

/// A root with the four policies.
fn installed() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let root = install::workplace().join("policies");
        for name in ["host-ports", "pod-cidrs", "bandwidth-required", "default-bandwidth"] {
            let file = install::policies().join(format!("{name}.wasm"));
            // They import no operation: nothing has to be granted.
            sh::run(wharfctl(&root).arg("add").arg(file));
        }
        root
    })
}

/// A node on which they are installed, with these settings.
fn node(settings: &str) -> Node {
    let node = Node::new();
    for file in wharf_tests::node::files(installed()) {
        if !node.root().join(&file).exists() {
            fs::hard_link(installed().join(&file), node.root().join(&file)).unwrap();
        }
    }
    set(&node, settings);
    node
}

/// Writes `/etc/cni/wharf.toml`.
fn set(node: &Node, settings: &str) {
    fs::write(node.root().join("etc/cni/wharf.toml"), settings).unwrap();
}

const PORTS: &str = "policies = ['host-ports']\n[policy.host-ports.namespaces]\nshop = [[8001, 8002]]\n";

fn pod(namespace: &str) -> String {
    format!("IgnoreUnknown=1;K8S_POD_NAMESPACE={namespace};K8S_POD_NAME=web")
}

/// A way of running a list.
fn run<'n>(node: &'n Node, plugins: &[Value], as_chain: bool) -> Network<'n> {
    let network = Network::new(node, plugins.to_vec());
    if as_chain { network.chain() } else { network }
}

/// The ADD fails with code 901 and these words, and leaves nothing, in both ways of running the list.
#[track_caller]
fn denied(settings: &str, plugins: &[Value], prepare: impl Fn(Target) -> Target, words: &[&str]) {
    for as_chain in [false, true] {
        let node = node(settings);
        let container = node.container("c");
        let before = (node.dump(), container.dump());
        let network = run(&node, plugins, as_chain);
        let target = prepare(container.eth0());
        network.add(&target).error_naming(901, words);
        if !as_chain {
            // As runtimes do: the plugins before the one that failed had succeeded.
            network.del(&target, None).silent();
        }
        // A bridge outlives its attachments.
        if node.links().iter().any(|link| link == "br0") {
            node.sh("ip link del br0");
        }
        assert_undone(&node.dump(), &before.0);
        container.dump().assert_same(&before.1);
    }
}

/// The ADD succeeds, and so do CHECK and DEL, in both ways of running the list.
#[track_caller]
fn allowed(settings: &str, plugins: &[Value], prepare: impl Fn(Target) -> Target) {
    for as_chain in [false, true] {
        let node = node(settings);
        let container = node.container("c");
        let attachment = run(&node, plugins, as_chain).attach(&prepare(container.eth0()));
        attachment.check().silent();
        attachment.del().silent();
        assert_eq!(node.leased("net"), [""; 0]);
    }
}

#[test]
fn a_namespace_opens_its_own_ports_and_no_others() {
    let plugins = [bridge(json!({})), portmap(json!({}))];
    let of =
        |namespace: &'static str, port| move |target: Target| target.args(&pod(namespace)).port(port, 80);
    allowed(PORTS, &plugins, of("shop", 8002));
    allowed(PORTS, &plugins, |target| target.args(&pod("other")));
    for (namespace, port) in [("shop", 8003), ("other", 8001)] {
        let words = [
            "policy \"host-ports\" denies nat/forward-ports of portmap",
            &format!("port {port} of the host"),
        ];
        denied(PORTS, &plugins, of(namespace, port), &words);
    }
    let unnamed = ["the namespace \"\"'s"];
    denied(PORTS, &plugins, |target| target.port(8001, 80), &unnamed);
    // An operator's mistake allows nothing.
    let wrong = "policies = ['host-ports']\n[policy.host-ports.namespaces]\nshop = 8001\n";
    denied(wrong, &plugins, of("shop", 8001), &["the policy's settings: namespaces.shop"]);
}

#[test]
fn no_pod_has_an_address_outside() {
    let settings = |cidr: &str| format!("policies = ['pod-cidrs']\n[policy.pod-cidrs]\ncidrs = ['{cidr}']\n");
    let plugins = [bridge(json!({"ipMasq": true}))];
    allowed(&settings("10.1.0.0/16"), &plugins, |target| target);
    denied(
        &settings("10.2.0.0/16"),
        &plugins,
        |target| target,
        &["policy \"pod-cidrs\" denies", "10.1.0.2 is in none of the pods' networks"],
    );
}

#[test]
fn a_pod_has_a_limit_or_no_network() {
    let settings = "policies = ['bandwidth-required']\n";
    let plugins = [bridge(json!({})), bandwidth()];
    allowed(settings, &plugins, |target| target.with("bandwidth", limits()));
    let words = ["policy \"bandwidth-required\" denies the result: the pod has no limit on its bandwidth"];
    denied(settings, &plugins, |target| target, &words);
}

#[test]
fn policies_stack_in_their_order_and_a_network_only_adds() {
    let settings =
        "policies = ['pod-cidrs', 'bandwidth-required']\n[policy.pod-cidrs]\ncidrs = ['10.1.0.0/16']\n";
    let more = |policies: Value| [with(bridge(json!({})), json!({ "policies": policies })), bandwidth()];
    // What the node has, nobody takes away.
    denied(settings, &more(json!([])), |target| target, &["policy \"bandwidth-required\""]);
    allowed(settings, &more(json!(["pod-cidrs"])), |target| target.with("bandwidth", limits()));
    // Each tells its reason, the node's before the network's.
    let node = node("policies = ['pod-cidrs']\n[policy.pod-cidrs]\ncidrs = ['10.2.0.0/16']\n");
    let container = node.container("c");
    let text = Network::new(&node, more(json!(["missing"]))).add(&container.eth0()).error(901);
    assert!(
        text.contains("policy \"missing\" cannot be asked") && text.contains("is not installed"),
        "{text}"
    );
    let both = with(bridge(json!({})), json!({"policies": ["host-ports", "other-cidrs"]}));
    fs::copy(install::policies().join("pod-cidrs.wasm"), node.folder("f").join("other-cidrs.wasm")).unwrap();
    sh::run(wharfctl(&node.root()).arg("add").arg(node.folder("f").join("other-cidrs.wasm")));
    let tables =
        "[policy.pod-cidrs]\ncidrs = ['10.2.0.0/16']\n[policy.other-cidrs]\ncidrs = ['10.3.0.0/16']\n";
    set(&node, &format!("policies = ['pod-cidrs']\n{tables}"));
    let text = Network::new(&node, [both]).add(&container.eth0()).error(901);
    let (first, second) = text.split_once("; policy \"other-cidrs\" denies").expect(&text);
    assert!(first.starts_with("policy \"pod-cidrs\" denies") && second.contains("10.1.0.2"), "{text}");
}

#[test]
fn no_spelling_hides_a_policy() {
    let node = node("");
    let container = node.container("c");
    let add = |plugin: Value| Network::new(&node, [plugin]).add(&container.eth0());
    let before = node.dump();
    for (policies, code, words) in [
        (json!({"Policies": ["missing"]}), 901, "policy \"missing\" cannot be asked"),
        (json!({"policie\u{17f}": ["missing"]}), 901, "policy \"missing\" cannot be asked"),
        (json!({"POLICIES": ["missing"], "policies": []}), 7, "as \"POLICIES\" and as \"policies\""),
    ] {
        add(with(bridge(json!({})), policies)).error_naming(code, &[words]);
        assert_undone(&node.dump(), &before);
    }
    // The same of everything that the host reads: here, which address manager there is.
    let ranges = bridge(json!({}))["ipam"]["ranges"].clone();
    let plugin = layer2(json!({"IPAM": {"Type": "host-local", "Ranges": ranges}}));
    let attachment = Network::new(&node, [plugin]).attach(&container.eth0());
    attachment.check().silent();
    attachment.del().silent();
    assert_eq!(node.leased("net"), [""; 0]);
}

/// An attachment with everything, made before there were policies.
fn attached(node: &Node) -> (Container, Target, Value) {
    let container = node.container("c");
    let target = container.eth0().port(8001, 80).with("bandwidth", limits());
    let result = Network::new(node, full("nftables")).chain().attach(&target).result;
    (container, target, result)
}

#[test]
fn what_removes_things_needs_no_policy() {
    let node = node("");
    for settings in
        ["policies = ['missing']\n", "policies = ['bridge']\n", "this is not TOML\n", "polices = []\n"]
    {
        set(&node, "");
        let (container, target, result) = attached(&node);
        let network = Network::new(&node, full("nftables")).chain();
        set(&node, settings);
        let other = node.container("other");
        let before = node.dump();
        network.add(&other.eth0()).error(901);
        node.dump().assert_same(&before);
        network.status().error(if settings.starts_with("policies") { 50 } else { 901 });
        network.check(&target, &result).silent();
        network.del(&target, Some(&result)).silent();
        network.gc(&[]).silent();
        assert_eq!(node.leased("net"), [""; 0], "{settings}");
        drop(container);
    }
}

#[test]
fn a_damaged_policy_allows_nothing() {
    let node = node(PORTS);
    let manifest = node.root().join("var/lib/wharf/guests/host-ports.json");
    let known: Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
    let artefact =
        node.root().join(format!("var/lib/wharf/artefacts/{}.cwasm", known["artefact"].as_str().unwrap()));
    let mut bytes = fs::read(&artefact).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&artefact).unwrap();
    fs::write(&artefact, bytes).unwrap();
    let container = node.container("c");
    let add = || Network::new(&node, [bridge(json!({}))]).add(&container.eth0());
    add().error_naming(901, &["policy \"host-ports\" cannot be asked", "BLAKE3"]);
    fs::remove_file(&artefact).unwrap();
    add().error_naming(901, &["policy \"host-ports\" cannot be asked", "damaged"]);
}

#[test]
fn a_policy_is_no_plugin_and_a_plugin_no_policy() {
    let node = node("policies = ['bridge']\n");
    let container = node.container("c");
    Network::new(&node, [bridge(json!({}))])
        .add(&container.eth0())
        .error_naming(901, &["policy \"bridge\"", "exports wharf:plugin/network"]);
    set(&node, "");
    let config = json!({"cniVersion": "1.1.0", "name": "net", "type": "host-ports"});
    let outcome: Outcome = node.call("wharf", "ADD", &container.eth0(), &config);
    outcome.error_naming(7, &["\"host-ports\" is a policy"]);
}

#[test]
fn the_operators_tool_knows_them() {
    let node = node("policies = ['host-ports', 'missing']\n");
    let say = |arguments: &[&str]| {
        let output = wharfctl(&node.root()).args(arguments).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let guests = say(&["guests"]);
    assert!(guests.contains("host-ports\n  world    policy\n"), "{guests}");
    assert!(guests.contains("default-bandwidth\n  world    admission\n"), "{guests}");
    let file = install::policies().join("host-ports.wasm");
    let inspected = say(&["inspect", file.to_str().unwrap()]);
    assert!(inspected.contains("policy: allows or denies what others do"), "{inspected}");
    assert!(inspected.contains("it imports no operation"), "{inspected}");
    let doctor = node.run(|| say(&["doctor"]));
    assert!(doctor.contains("ok       policies  policy host-ports: sha256:"), "{doctor}");
    assert!(doctor.contains("ERROR    policies  policy missing: "), "{doctor}");
    set(&node, "polices = ['host-ports']\n");
    let doctor = node.run(|| say(&["doctor"]));
    assert!(doctor.contains("which policies hold cannot be told"), "{doctor}");
    let grant = fs::read_to_string(node.root().join("etc/cni/wharf.d/host-ports.toml")).unwrap();
    assert!(grant.contains("deadline-ms = 5000"), "{grant}");
}

#[test]
fn the_journal_names_who_was_asked() {
    let node = node("policies = ['pod-cidrs']\n[policy.pod-cidrs]\ncidrs = ['10.0.0.0/8']\n");
    let container = node.container("c");
    let attachment = Network::new(&node, [bridge(json!({}))]).attach(&container.eth0());
    let shown = sh::run(wharfctl(&node.root()).args(["journal", "show"]));
    assert!(shown.contains("    policy pod-cidrs sha256:"), "{shown}");
    attachment.del().silent();
}
