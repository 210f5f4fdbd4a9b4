//! Ten at once on one network.

use std::collections::BTreeSet;
use std::thread;

use wharf_tests::node::NODE;
use wharf_tests::traffic::{Server, at, tcp};
use wharf_tests::{Attachment, Network, Node};

use crate::common::{BACKENDS, full, limits};

#[test]
fn ten_containers_at_once() {
    for backend in BACKENDS {
        for as_chain in [false, true] {
            let node = Node::new();
            let outside = node.outside();
            let mut network = Network::new(&node, full(backend));
            if as_chain {
                network = network.chain();
            }
            let first = node.container("first");
            network.attach(&first.eth0().port(8000, 80).with("bandwidth", limits())).del().silent();
            let before = node.dump();

            let containers: Vec<_> = (0..10).map(|number| node.container(&format!("c{number}"))).collect();
            let (network, node) = (&network, &node);
            let attachments: Vec<Attachment> = thread::scope(|scope| {
                let adding: Vec<_> = containers
                    .iter()
                    .zip(8001..)
                    .map(|(container, port)| {
                        let target = container.eth0().port(port, 80).with("bandwidth", limits());
                        scope.spawn(move || network.attach(&target))
                    })
                    .collect();
                adding.into_iter().map(|adding| adding.join().expect("an ADD")).collect()
            });

            let addresses: BTreeSet<_> = attachments.iter().flat_map(Attachment::ips).collect();
            assert_eq!(addresses.len(), 20, "each has its own addresses");
            assert_eq!(node.leased("net").len(), 20);
            for ((container, attachment), port) in containers.iter().zip(&attachments).zip(8001..) {
                assert!(node.pings(attachment.ip(false)), "{backend}: {}", container.id);
                let _server = Server::tcp(container, &container.id, "0.0.0.0:80");
                let seen = tcp(&outside, at(NODE[0], port)).map(|(name, _)| name);
                assert_eq!(seen.as_deref(), Some(container.id.as_str()), "{backend}");
                attachment.check().silent();
            }

            thread::scope(|scope| {
                for attachment in &attachments {
                    scope.spawn(move || attachment.del().silent());
                }
            });
            node.dump().assert_same(&before);
            assert!(containers.iter().all(|container| container.links() == ["lo"]));
        }
    }
}

#[test]
fn the_first_ten_of_a_fresh_node_at_once() {
    // Everything that is shared comes into being by whoever is first.
    for backend in BACKENDS {
        let node = Node::new();
        let network = Network::new(&node, full(backend)).chain();
        let containers: Vec<_> = (0..10).map(|number| node.container(&format!("c{number}"))).collect();
        thread::scope(|scope| {
            for container in &containers {
                scope.spawn(|| {
                    let attachment = network.attach(&container.eth0().with("bandwidth", limits()));
                    assert!(container.pings("10.1.0.1".parse().unwrap()));
                    attachment.check().silent();
                });
            }
        });
        assert_eq!(node.addresses("br0"), ["10.1.0.1/24", "fd01::1/64"]);
    }
}
