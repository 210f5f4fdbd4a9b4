//! portmap with iptables: Kubernetes' marking chain, mark bits, the legacy flavour, rules that iptables itself can read.

use wharf_tests::node::NODE;
use wharf_tests::traffic::{Server, at, tcp};
use wharf_tests::{Network, Node, Value, json, skip};

use crate::common::{GATEWAYS, assert_undone, bridge, dual_stack, portmap};

fn network(node: &Node, options: Value) -> Network<'_> {
    let options = crate::common::with(json!({"backend": "iptables"}), options);
    Network::new(node, [bridge(json!({"hairpinMode": true})), portmap(options)])
}

/// What kube-proxy sets up: packets with the mark are masqueraded.
fn kube_proxy(node: &Node, iptables: &str) {
    for rule in [
        "-N KUBE-MARK-MASQ",
        "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
        "-N KUBE-POSTROUTING",
        "-A KUBE-POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE",
        "-A POSTROUTING -j KUBE-POSTROUTING",
    ] {
        node.sh(&format!("{iptables} -w -t nat {rule}"));
    }
}

fn hairpin_is_masqueraded(node: &Node, web: &wharf_tests::Container) {
    let _server = Server::tcp(web, "web", "0.0.0.0:80");
    let gateway = GATEWAYS[0].parse().unwrap();
    assert_eq!(tcp(web, at(NODE[0], 8080)), Some(("web".into(), gateway)));
    assert_eq!(tcp(node, at("127.0.0.1", 8080)), Some(("web".into(), gateway)));
}

#[test]
fn a_chain_of_kubernetes_marks_what_is_to_be_masqueraded() {
    let node = Node::new();
    let _outside = node.outside();
    kube_proxy(&node, "iptables-nft");
    let before = node.sh("iptables-nft -t nat -S");
    let web = node.container("web");
    let attachment =
        network(&node, json!({"externalSetMarkChain": "KUBE-MARK-MASQ"})).attach(&web.eth0().port(8080, 80));
    hairpin_is_masqueraded(&node, &web);
    let rules = node.sh("iptables-nft -t nat -S");
    assert!(rules.contains("-j KUBE-MARK-MASQ"), "{rules}");
    attachment.check().silent();
    attachment.del().silent();
    let rules = node.sh("iptables-nft -t nat -S");
    assert!(!rules.lines().any(|line| line.starts_with("-A") && line.contains("8080")), "{rules}");
    for line in before.lines() {
        assert!(rules.contains(line), "{line} of kube-proxy is still there: {rules}");
    }
}

#[test]
fn a_missing_chain_is_an_error_that_names_it() {
    let node = Node::new();
    let web = node.container("web");
    let before = node.dump();
    let text = network(&node, json!({"externalSetMarkChain": "KUBE-MARK-MASQ"}))
        .chain()
        .add(&web.eth0().port(8080, 80))
        .error(100);
    assert!(text.contains("KUBE-MARK-MASQ"), "{text}");
    assert_undone(&node.dump(), &before);
}

#[test]
fn the_mark_bit_can_be_chosen() {
    for (bit, mark) in [(None, "0x2000/0x2000"), (Some(5), "0x20/0x20")] {
        let node = Node::new();
        let _outside = node.outside();
        let web = node.container("web");
        let options = bit.map_or(json!({}), |bit| json!({"markMasqBit": bit}));
        network(&node, options).attach(&web.eth0().port(8080, 80));
        let rules = node.sh("iptables-nft -t nat -S");
        assert!(rules.contains(&format!("--set-xmark {mark}")), "{rules}");
        assert!(rules.contains(&format!("--mark {mark} -j MASQUERADE")), "{rules}");
        hairpin_is_masqueraded(&node, &web);
    }
}

#[test]
fn iptables_can_read_the_rules() {
    let node = Node::new();
    let container = node.container("c");
    let mappings = json!([
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": 5353, "containerPort": 53, "protocol": "udp", "hostIP": "203.0.113.1"},
        {"hostPort": 9899, "containerPort": 9899, "protocol": "sctp"},
    ]);
    let plugins = [
        dual_stack(json!({"ipMasq": true, "ipMasqBackend": "iptables"})),
        portmap(json!({"backend": "iptables"})),
    ];
    Network::new(&node, plugins).attach(&container.eth0().with("portMappings", mappings));
    for (program, target) in
        [("iptables-nft", "--to-destination 10.1.0.2:80"), ("ip6tables-nft", "--to-destination [fd01::2]:80")]
    {
        let output = node.try_sh(&format!("{program} -t nat -S"));
        let (rules, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && !errors.contains("incompatible"), "{errors}");
        assert!(rules.contains(target) && rules.contains("--dport 8080"), "{rules}");
        // Each rule reads back as the kernel has it.
        for rule in rules.lines().filter(|line| line.starts_with("-A")) {
            let check = rule.replacen("-A", "-C", 1);
            let words = check.replace('"', "");
            if words == check {
                node.sh(&format!("{program} -t nat {check}"));
            }
        }
    }
}

#[test]
fn many_ports_fit() {
    // multiport takes fifteen.
    let node = Node::new();
    let _outside = node.outside();
    let container = node.container("c");
    let mapping = |port: u16| json!({"hostPort": port, "containerPort": 80, "protocol": "tcp"});
    let mappings: Value = (8000..8040).map(mapping).collect();
    let attachment = network(&node, json!({})).attach(&container.eth0().with("portMappings", mappings));
    let _server = Server::tcp(&container, "web", "0.0.0.0:80");
    for port in [8000, 8014, 8015, 8030, 8039] {
        assert!(tcp(&node, at(NODE[0], port)).is_some(), "{port}");
    }
    attachment.check().silent();
    attachment.del().silent();
    assert!(!node.dump().mentions("8014"));
}

#[test]
fn legacy_tables_are_used_where_they_are_in_use() {
    let node = Node::new();
    let _outside = node.outside();
    if !node.try_sh("iptables-legacy -w -t nat -S").status.success() {
        skip!("this machine has no iptables-legacy");
    }
    kube_proxy(&node, "iptables-legacy");
    let web = node.container("web");
    let network = network(&node, json!({"externalSetMarkChain": "KUBE-MARK-MASQ"}));
    let before = node.dump();
    let attachment = network.attach(&web.eth0().port(8080, 80));
    let rules = node.sh("iptables-legacy -w -t nat -S");
    assert!(rules.contains("-j KUBE-MARK-MASQ") && rules.contains("--to-destination 10.1.0.2:80"), "{rules}");
    assert!(!node.sh("iptables-nft -t nat -S").contains("10.1.0.2"));
    hairpin_is_masqueraded(&node, &web);
    attachment.check().silent();
    attachment.del().silent();
    let left = node.sh("iptables-legacy -w -t nat -S");
    assert!(!left.contains("8080") && !left.contains("10.1.0.2"), "{left}");
    assert!(before.mentions("KUBE-MARK-MASQ") && left.contains("-N KUBE-MARK-MASQ"));
}
