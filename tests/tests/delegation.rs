//! Address management by a native plugin on CNI_PATH, executed as the specification has it.

use wharf_tests::native::Native;
use wharf_tests::{Network, Node, Value, json};

use crate::common::bridge;

/// Answers every ADD with one address.
const ANSWER: &str = r#"case $1 in
ADD) echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.42/24", "gateway": "10.1.0.1"}],
    "routes": [{"dst": "198.51.100.0/24"}], "dns": {"nameservers": ["10.1.0.53"]}}' ;;
esac
echo "a line for the log" >&2"#;

fn plugin(kind: &str) -> Value {
    bridge(json!({"ipam": {"type": kind, "something": {"of": "its own"}}, "unknown": [1, 2.5, "three"]}))
}

fn variable<'a>(env: &'a [String], key: &str) -> &'a str {
    let found = env.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {key} in {env:?}"))
}

#[test]
fn its_answer_becomes_the_containers_network() {
    for as_chain in [false, true] {
        let mut node = Node::new();
        let native = Native::install(&mut node, "native-ipam", ANSWER);
        let container = node.container("c");
        let mut network = Network::new(&node, [plugin("native-ipam")]);
        if as_chain {
            network = network.chain();
        }
        let target = container.eth0().args("IgnoreUnknown=1;K8S_POD_NAME=web");
        let attachment = network.attach(&target);
        assert_eq!(container.addresses("eth0"), ["10.1.0.42/24"]);
        assert!(container.route("198.51.100.0/24").is_some());
        assert_eq!(attachment.result["dns"]["nameservers"], json!(["10.1.0.53"]));
        attachment.check().silent();
        attachment.del().silent();
        assert_eq!(native.commands(), ["ADD", "CHECK", "DEL"]);
    }
}

#[test]
fn it_is_called_as_the_specification_says() {
    let mut node = Node::new();
    let native = Native::install(&mut node, "native-ipam", ANSWER);
    let container = node.container("c");
    let network = Network::new(&node, [plugin("native-ipam")]);
    let target = container.eth0().args("IgnoreUnknown=1;K8S_POD_NAME=web");
    let attachment = network.attach(&target);
    attachment.del().silent();

    let calls = native.calls();
    for (env, stdin) in &calls {
        assert_eq!(variable(env, "CNI_CONTAINERID"), "c");
        assert_eq!(variable(env, "CNI_IFNAME"), "eth0");
        assert_eq!(variable(env, "CNI_NETNS"), target.netns);
        assert_eq!(variable(env, "CNI_ARGS"), target.args);
        assert_eq!(variable(env, "CNI_PATH"), node.cni_path);
        // The whole configuration, members that nobody knows included.
        assert_eq!(stdin["cniVersion"], "1.1.0");
        assert_eq!((&stdin["name"], &stdin["type"]), (&json!("net"), &json!("bridge")));
        assert_eq!(stdin["ipam"], json!({"type": "native-ipam", "something": {"of": "its own"}}));
        assert_eq!(stdin["unknown"], json!([1, 2.5, "three"]));
    }
    assert_eq!(calls[0].1.get("prevResult"), None, "an ADD of the first plugin has none");
    assert_eq!(calls[1].1["prevResult"]["ips"], attachment.result["ips"]);
}

#[test]
fn what_it_logs_is_passed_on() {
    let mut node = Node::new();
    Native::install(&mut node, "native-ipam", ANSWER);
    let container = node.container("c");
    let outcome = Network::new(&node, [plugin("native-ipam")]).add(&container.eth0());
    assert!(outcome.stderr.contains("a line for the log"), "{outcome}");
}

/// An ADD with this plugin fails, leaves nothing, and the plugin was asked to clean up after its ADD.
fn fails(answer: &str, code: u32, words: &[&str]) {
    for as_chain in [false, true] {
        let mut node = Node::new();
        let native = Native::install(&mut node, "native-ipam", answer);
        let container = node.container("c");
        let before = (node.dump(), container.dump());
        let mut network = Network::new(&node, [plugin("native-ipam")]);
        if as_chain {
            network = network.chain();
        }
        network.add(&container.eth0()).error_naming(code, words);
        assert_eq!(native.commands(), ["ADD", "DEL"]);
        node.dump().assert_same(&before.0);
        container.dump().assert_same(&before.1);
    }
}

#[test]
fn its_error_object_passes_through() {
    let answer = r#"[ $1 = ADD ] || exit 0
        echo '{"code": 11, "msg": "try me later", "details": "the pool is busy"}'; exit 1"#;
    fails(answer, 11, &["try me later", "the pool is busy"]);
}

#[test]
fn its_standard_error_is_shown_when_there_is_nothing_else() {
    fails("[ $1 = ADD ] || exit 0; echo 'out of luck' >&2; exit 3", 999, &["out of luck"]);
}

#[test]
fn output_that_makes_no_sense_is_shown() {
    fails("[ $1 = ADD ] || exit 0; echo 'Segmentation fault'; exit 1", 999, &["Segmentation fault"]);
    fails("[ $1 = ADD ] || exit 0; echo '{'", 6, &["result"]);
}

#[test]
fn an_answer_without_addresses_is_no_answer() {
    fails(
        r#"[ $1 = ADD ] || exit 0; echo '{"cniVersion": "1.0.0"}'"#,
        100,
        &["native-ipam", "missing IP config"],
    );
}

#[test]
fn addresses_that_cannot_be_used_are_given_back() {
    let answer = r#"[ $1 = ADD ] || exit 0
        echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.42/24", "gateway": "10.9.0.1"}]}'"#;
    fails(answer, 111, &["10.9.0.1", "10.1.0.42/24"]);
}

#[test]
fn a_later_failure_gives_its_addresses_back() {
    let mut node = Node::new();
    let native = Native::install(&mut node, "native-ipam", ANSWER);
    let container = node.container("c");
    let broken = json!({"type": "portmap", "backend": "foo"});
    let network = Network::new(&node, [plugin("native-ipam"), broken]).chain();
    network.add(&container.eth0()).error(7);
    assert_eq!(native.commands(), ["ADD", "DEL"]);
}

#[test]
fn every_older_version_of_a_result_is_understood() {
    for answer in [
        r#"{"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.42/24", "gateway": "10.1.0.1"}}"#,
        r#"{"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.1.0.42/24"}]}"#,
        r#"{"ips": [{"address": "10.1.0.42/24"}]}"#,
    ] {
        let mut node = Node::new();
        Native::install(&mut node, "native-ipam", &format!("[ $1 = ADD ] && echo '{answer}'; true"));
        let container = node.container("c");
        Network::new(&node, [plugin("native-ipam")]).attach(&container.eth0());
        assert_eq!(container.addresses("eth0"), ["10.1.0.42/24"], "{answer}");
    }
}

#[test]
fn a_missing_plugin_is_named_with_the_path() {
    let node = Node::new();
    let container = node.container("c");
    let network = Network::new(&node, [plugin("nowhere-to-be-found")]);
    network.add(&container.eth0()).error_naming(50, &["nowhere-to-be-found", &node.cni_path]);
    assert_eq!(node.links(), ["lo"]);
}

#[test]
fn status_and_gc_are_passed_on() {
    let mut node = Node::new();
    let native = Native::install(&mut node, "native-ipam", "true");
    let network = Network::new(&node, [plugin("native-ipam")]);
    network.status().silent();
    network.gc(&[("c", "eth0")]).silent();
    assert_eq!(native.commands(), ["STATUS", "GC"]);
    let valid = json!([{"containerID": "c", "ifname": "eth0"}]);
    assert_eq!(native.calls()[1].1["cni.dev/valid-attachments"], valid);

    let answer = r#"echo '{"code": 50, "msg": "not yet"}'; exit 1"#;
    Native::install(&mut node, "busy-ipam", answer);
    Network::new(&node, [plugin("busy-ipam")]).status().error_naming(50, &["not yet"]);
}

/// Its link in the folder of plugins leads to Wharf, which would wait for itself.
#[test]
fn a_guest_that_is_missing_is_not_wharf_itself() {
    let node = Node::new();
    for as_chain in [false, true] {
        for kind in ["host-local", "wharf"] {
            let container = node.container("c");
            let before = node.dump();
            let mut network =
                Network::new(&node, [bridge(json!({"ipam": {"type": kind, "subnet": "10.1.0.0/24"}}))]);
            if as_chain {
                network = network.chain();
            }
            let manifest = node.root().join("var/lib/wharf/guests/host-local.json");
            let kept = std::fs::read(&manifest).unwrap();
            std::fs::remove_file(&manifest).unwrap();
            network.add(&container.eth0()).error_saying(50, &[kind, "is Wharf itself"]);
            for _ in 0..2 {
                network.del(&container.eth0(), None).silent();
            }
            std::fs::write(&manifest, kept).unwrap();
            let shared = ["br", "networks"];
            let changed = node.dump().changes_since(&before);
            assert!(changed.iter().all(|line| shared.iter().any(|word| line.contains(word))), "{changed:?}");
        }
    }
}
