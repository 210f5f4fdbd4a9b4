//! `wharfctl gc`: what an operator does on a node, for Wharf's attachments and for what the reference plugins left.

use std::fs;
use std::process::Output;

use wharf_tests::install::{reference, wharfctl};
use wharf_tests::{Container, Network, Node, Value, json, sh, skip};

use crate::common::{BACKENDS, bandwidth, bridge, full, limits, portmap, with};

/// `wharfctl gc --network net` on a node.
fn gc(node: &Node, arguments: &[&str]) -> Output {
    let mut command = wharfctl(&node.root());
    command.args(["gc", "--network", "net"]).args(arguments);
    node.run(|| sh::output(&mut command))
}

/// It succeeded; what it printed as JSON.
#[track_caller]
fn report(node: &Node, arguments: &[&str]) -> Value {
    let output = gc(node, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The outcomes of a kind of thing.
fn outcomes<'r>(report: &'r Value, kind: &str) -> Vec<&'r Value> {
    let items = report["items"].as_array().unwrap().iter();
    items.filter(|item| item["kind"] == kind).map(|item| &item["outcome"]).collect()
}

#[test]
fn an_attachment_of_wharf_goes_with_all_that_it_has() {
    for backend in BACKENDS {
        let node = Node::new();
        let network = Network::new(&node, full(backend));
        let containers = ["live", "gone"].map(|id| node.container(id));
        let live = network.attach(&containers[0].eth0().port(8001, 80).with("bandwidth", limits()));
        let before = node.dump();
        network.attach(&containers[1].eth0().port(8002, 80).with("bandwidth", limits()));
        // What a runtime that died left: no DEL, and no namespace.
        containers[1].sh("ip link delete eth0");

        let dry = report(&node, &["--valid", "live/eth0", "--dry-run"]);
        assert_eq!(outcomes(&dry, "attachment"), ["would-remove"; 3], "one for each plugin: {dry}");
        assert_eq!(outcomes(&dry, "lease"), ["would-remove"; 2], "{dry}");
        assert_eq!(outcomes(&dry, "link"), ["would-remove"], "{dry}");
        assert_eq!(node.leased("net").len(), 4);

        let done = report(&node, &["--valid", "live/eth0"]);
        assert_eq!(outcomes(&done, "attachment"), ["removed"; 3], "{done}");
        let changes = node.dump().changes_since(&before);
        let left: Vec<_> = changes.iter().filter(|change| !change.contains("run/wharf/")).collect();
        assert!(left.is_empty(), "{backend}: {left:#?}");
        live.check().silent();
    }
}

#[test]
fn without_a_list_nothing_goes() {
    let node = Node::new();
    let container = node.container("c");
    Network::new(&node, [bridge(json!({}))]).attach(&container.eth0());
    for (arguments, words) in [
        (&[][..], ["--valid", "--all"]),
        (&["--all", "--valid", "c/eth0"], ["--valid", "--all"]),
        (&["--valid", "c"], ["eth0", "slash"]),
        (&["--valid", "c/et:h0"], ["et:h0", "--valid"]),
    ] {
        let output = gc(&node, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && words.iter().all(|word| said.contains(word)), "{said}");
        assert_eq!(node.leased("net").len(), 1);
    }
    assert!(gc(&node, &["--all"]).status.success());
    assert!(node.leased("net").is_empty());
    let again = gc(&node, &["--all"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("nothing"), "{again:?}");
}

#[test]
fn an_address_that_was_taken_for_nobody() {
    let node = Node::new();
    fs::create_dir_all(node.leases("net")).unwrap();
    fs::write(node.leases("net").join("10.1.0.2"), "").unwrap();
    let keep = ["--valid", "c/eth0"];
    assert_eq!(outcomes(&report(&node, &[&keep[..], &["--dry-run"]].concat()), "lease"), ["would-remove"]);
    assert_eq!(node.leased("net").len(), 1);
    let removed = report(&node, &keep);
    assert_eq!(outcomes(&removed, "lease"), ["removed"]);
    assert_eq!(removed["items"][0]["what"], "10.1.0.2");
    assert!(node.leased("net").is_empty());
}

/// A bridge that masquerades and guards its ports, mapped ports, limits; leases where Wharf has them.
fn plugins(node: &Node, backend: &str, link: &str, subnet: &str) -> [Value; 3] {
    let data_dir = node.root().join("var/lib/cni/networks");
    let ipam = json!({"type": "host-local", "ranges": [[{"subnet": subnet}]], "dataDir": data_dir});
    let options = json!({
        "bridge": link, "ipMasq": true, "ipMasqBackend": backend, "macspoofchk": true, "ipam": ipam,
    });
    [with(bridge(json!({})), options), portmap(json!({"backend": backend})), bandwidth()]
}

fn attach(network: &Network<'_>, container: &Container, port: u16) {
    network.add(&container.eth0().port(port, 80).with("bandwidth", limits())).ok();
}

#[test]
fn what_the_reference_plugins_left_is_adopted() {
    let reference = match reference() {
        Ok(folder) => folder,
        Err(reason) => skip!("{reason}"),
    };
    for backend in BACKENDS {
        let mut node = Node::new();
        node.cni_path = reference.display().to_string();
        node.bin.clone_from(&reference);
        let network = Network::new(&node, plugins(&node, backend, "br0", "10.1.0.0/24"));
        let other = Network::new(&node, plugins(&node, backend, "br9", "10.9.0.0/24")).named("other");
        let containers = ["live", "elsewhere", "gone"].map(|id| node.container(id));
        attach(&network, &containers[0], 8001);
        attach(&other, &containers[1], 8009);
        let before = node.dump();
        attach(&network, &containers[2], 8002);
        // The reference forgets the rules and guards of a container whose namespace went first.
        containers[2].sh("ip link delete eth0");

        // What is plain to Wharf goes without being asked: the leases. Put it back for the rest.
        let lease = node.leases("net").join("10.1.0.3");
        let content = std::fs::read(&lease).unwrap();
        let plain = report(&node, &["--valid", "live/eth0"]);
        assert_eq!((outcomes(&plain, "lease").len(), outcomes(&plain, "rules").len()), (1, 0), "{plain}");
        std::fs::write(&lease, content).unwrap();

        let dry = report(&node, &["--valid", "live/eth0", "--adopt", "--dry-run"]);
        let done = report(&node, &["--valid", "live/eth0", "--adopt"]);
        for (kind, least) in [("rules", 3), ("link", 1), ("lease", 1)] {
            let removed = outcomes(&done, kind).into_iter().filter(|outcome| *outcome == "removed").count();
            let would = outcomes(&dry, kind).into_iter().filter(|outcome| *outcome == "would-remove").count();
            assert!(removed >= least && removed == would, "{backend} {kind}: {done:#}");
        }
        node.dump().assert_same(&before);
    }
}
