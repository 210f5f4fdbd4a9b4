//! Two interfaces of one container on one network: neither disturbs the other.

use wharf_tests::node::{NODE, OUTSIDE};
use wharf_tests::traffic::{Server, at, tcp};
use wharf_tests::{Attachment, Container, Network, Node};

use crate::common::{BACKENDS, full, limits};

/// eth0 with port 8001 and eth1 with port 8002, everything configured.
fn attach<'n>(network: &Network<'n>, container: &Container) -> [Attachment<'n>; 2] {
    [("eth0", 8001), ("eth1", 8002)].map(|(ifname, port)| {
        network.attach(&container.target(ifname).port(port, 80).with("bandwidth", limits()))
    })
}

/// The default routes of the second interface stand behind the first's: a table of its own lets it answer.
fn answer_by_both(container: &Container, attachments: &[Attachment; 2]) {
    let address = attachments[1].ip(false);
    container.sh("ip route add default via 10.1.0.1 dev eth1 table 100");
    container.sh(&format!("ip rule add from {address} table 100"));
}

fn plugins(backend: &str) -> [wharf_tests::Value; 3] {
    let mut plugins = full(backend);
    // Two default routes by one gateway contradict each other: the runtime's matter.
    plugins[0]["isDefaultGateway"] = false.into();
    plugins[0]["isGateway"] = true.into();
    plugins
}

#[test]
fn each_has_its_own_of_everything_and_delete_of_one_leaves_the_other() {
    for backend in BACKENDS {
        for removed in [0, 1] {
            let node = Node::new();
            let outside = node.outside();
            let container = node.container("c");
            let network = Network::new(&node, plugins(backend));
            let attachments = attach(&network, &container);
            container.sh("ip route add default via 10.1.0.1 dev eth0");
            answer_by_both(&container, &attachments);
            for attachment in &attachments {
                attachment.check().silent();
            }
            let _server = Server::tcp(&container, "web", "[::]:80");
            let open = |port| tcp(&outside, at(NODE[0], port)).is_some();
            assert!(open(8001) && open(8002), "{backend}");

            let kept = &attachments[1 - removed];
            attachments[removed].del().silent();
            kept.check().silent();
            // A container answers ARP for all its addresses by any link: the node may know the wrong one.
            node.sh("ip neigh flush dev br0");
            let ports = [8001, 8002];
            assert!(!open(ports[removed]), "{backend}: the mapping of eth{removed} is gone");
            assert!(open(ports[1 - removed]), "{backend}: that of the other is not");
            assert_eq!(node.leased("net").len(), 2, "{backend}: an address of each family");

            if removed == 1 {
                // The one that stays is still masqueraded.
                let _outside = Server::tcp(&outside, "outside", "0.0.0.0:80");
                let seen = tcp(&container, at(OUTSIDE[0], 80));
                assert_eq!(seen, Some(("outside".into(), NODE[0].parse().unwrap())), "{backend}");
            }
        }
    }
}

#[test]
fn after_both_nothing_is_left() {
    for backend in BACKENDS {
        for order in [[0, 1], [1, 0]] {
            let node = Node::new();
            let (first, container) = (node.container("first"), node.container("c"));
            let network = Network::new(&node, plugins(backend));
            network.attach(&first.eth0().port(8000, 80).with("bandwidth", limits()));
            let before = (node.dump(), container.dump());
            let attachments = attach(&network, &container);
            for index in order {
                attachments[index].del().silent();
            }
            node.dump().assert_same(&before.0);
            assert_eq!(container.links(), ["lo"]);
        }
    }
}

#[test]
fn the_second_add_does_not_disturb_the_first() {
    for backend in BACKENDS {
        let node = Node::new();
        let container = node.container("c");
        let network = Network::new(&node, plugins(backend));
        let one = network.attach(&container.eth0().port(8001, 80).with("bandwidth", limits()));
        let before = node.dump();
        network.attach(&container.target("eth1").port(8002, 80).with("bandwidth", limits()));
        let gone: Vec<String> =
            node.dump().changes_since(&before).into_iter().filter(|change| change.starts_with('-')).collect();
        assert!(gone.is_empty(), "{backend}: {gone:#?}");
        one.check().silent();
    }
}
