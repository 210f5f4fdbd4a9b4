//! Ten at once: on one network, on a fresh node, on two networks with garbage collection in between.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use wharf_tests::node::NODE;
use wharf_tests::traffic::{Server, at, tcp};
use wharf_tests::{Attachment, Container, Network, Node, Value, json};

use crate::common::{BACKENDS, full, limits, with};

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

/// A network of its own bridge and subnets.
fn other(backend: &str) -> [Value; 3] {
    let ranges = json!([[{"subnet": "10.2.0.0/24"}], [{"subnet": "fd02::/64"}]]);
    let [bridge, portmap, bandwidth] = full(backend);
    let own =
        json!({"bridge": "br1", "isDefaultGateway": false, "ipam": {"type": "host-local", "ranges": ranges}});
    [with(bridge, own), portmap, bandwidth]
}

/// One container of the ten: its loopback, one interface on each network, and away with them.
fn comes_and_goes(
    container: &Container,
    number: u16,
    [first, second, loopback]: [&Network<'_>; 3],
    in_use: &Mutex<BTreeSet<IpAddr>>,
) {
    let beside = loopback.attach(&container.target("lo"));
    let attachments: Vec<Attachment> = thread::scope(|scope| {
        let adding = [(first, "eth0", 8100), (second, "eth1", 8200)].map(|(network, ifname, ports)| {
            let target = container.target(ifname).port(ports + number, 80).with("bandwidth", limits());
            scope.spawn(move || network.attach(&target))
        });
        adding.into_iter().map(|adding| adding.join().expect("an ADD")).collect()
    });
    for attachment in &attachments {
        for ip in attachment.ips() {
            assert!(in_use.lock().unwrap().insert(ip), "{ip} was given out twice");
        }
    }
    for attachment in &attachments {
        attachment.check().silent();
    }
    assert!(container.pings("127.0.0.1".parse().unwrap()), "its loopback works");
    for ip in attachments.iter().flat_map(Attachment::ips) {
        in_use.lock().unwrap().remove(&ip);
    }
    thread::scope(|scope| {
        for attachment in &attachments {
            scope.spawn(move || attachment.del().silent());
        }
    });
    assert_eq!(container.links(), ["lo"]);
    beside.check().silent();
    beside.del().silent();
}

#[test]
fn ten_containers_come_and_go_on_two_networks_while_garbage_is_collected() {
    const ROUNDS: usize = 2;
    for backend in BACKENDS {
        let node = Node::new();
        // One as a list of drop-ins, one as one process.
        let (first, second) =
            (Network::new(&node, full(backend)), Network::new(&node, other(backend)).named("other").chain());
        let loopback = Network::new(&node, [json!({"type": "loopback"})]).named("cni-loopback");
        let networks = [&first, &second, &loopback];
        let containers: Vec<_> = (0..10).map(|number| node.container(&format!("c{number}"))).collect();
        let in_use = Mutex::new(BTreeSet::new());
        comes_and_goes(&containers[0], 0, networks, &in_use);
        let before = node.dump();

        let valid: Vec<(&str, &str)> = containers
            .iter()
            .flat_map(|container| ["eth0", "eth1", "lo"].map(|ifname| (container.id.as_str(), ifname)))
            .collect();
        let (in_use, valid, left) = (&in_use, &valid, &AtomicUsize::new(containers.len()));
        let collections = thread::scope(|scope| {
            for (container, number) in containers.iter().zip(0..) {
                scope.spawn(move || {
                    let _done = Countdown(left);
                    for _ in 0..ROUNDS {
                        comes_and_goes(container, number, networks, in_use);
                    }
                });
            }
            let mut collections = 0;
            while left.load(Ordering::SeqCst) > 0 || collections == 0 {
                // What nobody will ever delete: the next collection takes it.
                let gone = node.container(&format!("gone{collections}"));
                first.attach(&gone.eth0().port(8300, 80).with("bandwidth", limits()));
                for network in networks {
                    network.gc(valid).silent();
                }
                assert_eq!(gone.links(), ["lo"], "{backend}: it was collected");
                collections += 1;
            }
            collections
        });
        node.dump().assert_same(&before);
        assert!(in_use.lock().unwrap().is_empty());
        println!("{backend}: {collections} collections in between");
    }
}

/// Counts down when it goes, a panic included: who waits for zero must not wait for ever.
struct Countdown<'a>(&'a AtomicUsize);

impl Drop for Countdown<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
