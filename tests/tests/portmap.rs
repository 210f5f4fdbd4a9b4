//! portmap, the traffic: from outside, from the node, from containers, with both backends.

use wharf_tests::node::{NODE, OUTSIDE};
use wharf_tests::traffic::{Server, at, tcp, udp_by, udp_client};
use wharf_tests::{Network, Node, Value, json};

use crate::common::{BACKENDS, GATEWAYS, dual_stack, portmap};

fn network<'n>(node: &'n Node, backend: &str, options: Value) -> Network<'n> {
    let options = crate::common::with(json!({"backend": backend}), options);
    Network::new(node, [dual_stack(json!({"hairpinMode": true})), portmap(options)])
}

#[test]
fn a_mapped_port_is_reached_from_everywhere() {
    for backend in BACKENDS {
        let node = Node::new();
        let outside = node.outside();
        let (web, neighbour) = (node.container("web"), node.container("neighbour"));
        let network = network(&node, backend, json!({}));
        let attachment = network.attach(&web.eth0().port(8080, 80));
        network.attach(&neighbour.eth0());
        let _server = Server::tcp(&web, "web", "[::]:80");
        for v6 in [false, true] {
            let (family, port) = (usize::from(v6), at(NODE[usize::from(v6)], 8080));
            let gateway = GATEWAYS[family].parse().unwrap();
            let seen = |from| tcp(from, port).unwrap_or_else(|| panic!("{backend}: {port} answers"));
            let (name, peer) = seen(&outside);
            assert_eq!((name.as_str(), peer.to_string().as_str()), ("web", OUTSIDE[family]), "{backend}");
            assert_eq!(seen(&node).0, "web", "{backend}: the node's own processes");
            // Answers have to come back through the node, which therefore hides who asks.
            assert_eq!(seen(&web), ("web".into(), gateway), "{backend}: hairpin");
            assert_eq!(seen(&neighbour).0, "web", "{backend}: a container of the same subnet");
            assert_eq!(tcp(&outside, at(NODE[family], 8081)), None, "{backend}: another port");
        }
        assert_eq!(tcp(&node, at("127.0.0.1", 8080)), Some(("web".into(), GATEWAYS[0].parse().unwrap())));
        attachment.check().silent();
        attachment.del().silent();
        assert_eq!(tcp(&outside, at(NODE[0], 8080)), None, "{backend}: after DEL");
    }
}

#[test]
fn a_host_address_limits_where_the_port_is_open() {
    for backend in BACKENDS {
        let node = Node::new();
        let outside = node.outside();
        node.sh("ip addr add 203.0.113.10/24 dev wan0");
        let web = node.container("web");
        let mappings = json!([
            {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "203.0.113.10"},
            {"hostPort": 8081, "containerPort": 80, "protocol": "tcp", "hostIP": "0.0.0.0"},
            {"hostPort": 8082, "containerPort": 80, "protocol": "tcp", "hostIP": "::"},
        ]);
        network(&node, backend, json!({})).attach(&web.eth0().with("portMappings", mappings));
        let _server = Server::tcp(&web, "web", "[::]:80");
        let open = |address: &str, port| tcp(&outside, at(address, port)).is_some();
        assert!(open("203.0.113.10", 8080) && !open(NODE[0], 8080) && !open(NODE[1], 8080), "{backend}");
        assert!(open("203.0.113.10", 8081) && open(NODE[0], 8081) && !open(NODE[1], 8081), "{backend}");
        assert!(!open(NODE[0], 8082) && open(NODE[1], 8082), "{backend}");
    }
}

#[test]
fn udp_flows_of_the_last_owner_are_forgotten() {
    for backend in BACKENDS {
        let node = Node::new();
        let outside = node.outside();
        let network = network(&node, backend, json!({}));
        let mapping = json!([{"hostPort": 5353, "containerPort": 53, "protocol": "udp"}]);
        let client = [udp_client(&outside, false), udp_client(&outside, true)];
        let mut last = None;
        for id in ["one", "two"] {
            let container = node.container(id);
            let attachment = network.attach(&container.eth0().with("portMappings", mapping.clone()));
            let _server = Server::udp(&container, id, "[::]:53");
            for v6 in [false, true] {
                // The same socket is the same flow: it must not lead to where the first one was.
                let answer = udp_by(&client[usize::from(v6)], at(NODE[usize::from(v6)], 5353));
                assert_eq!(answer.map(|(name, _)| name).as_deref(), Some(id), "{backend}");
            }
            attachment.del().silent();
            last = Some(container);
        }
        drop(last);
    }
}

#[test]
fn masquerade_all_hides_every_client() {
    for backend in BACKENDS {
        let node = Node::new();
        let outside = node.outside();
        let web = node.container("web");
        network(&node, backend, json!({"masqAll": true})).attach(&web.eth0().port(8080, 80));
        let _server = Server::tcp(&web, "web", "[::]:80");
        for v6 in [false, true] {
            let seen = tcp(&outside, at(NODE[usize::from(v6)], 8080));
            let gateway = GATEWAYS[usize::from(v6)].parse().unwrap();
            assert_eq!(seen, Some(("web".into(), gateway)), "{backend}");
        }
    }
}

#[test]
fn without_snat_nobody_is_hidden() {
    for backend in BACKENDS {
        let node = Node::new();
        let outside = node.outside();
        let web = node.container("web");
        network(&node, backend, json!({"snat": false})).attach(&web.eth0().port(8080, 80));
        let _server = Server::tcp(&web, "web", "[::]:80");
        let seen = tcp(&outside, at(NODE[0], 8080));
        assert_eq!(seen, Some(("web".into(), OUTSIDE[0].parse().unwrap())), "{backend}");
        assert_eq!(tcp(&web, at(NODE[0], 8080)), None, "{backend}: a hairpin cannot come back");
        assert_eq!(node.sysctl("ipv4/conf/br0/route_localnet"), "0", "{backend}");
    }
}

#[test]
fn conditions_are_the_attachments_own() {
    // With the reference's nftables backend the last ADD decides for everybody.
    let allowed = OUTSIDE[0];
    for (backend, matching, other) in [
        ("nftables", json!(["ip", "saddr", allowed]), json!(["ip", "saddr", "192.0.2.9"])),
        ("iptables", json!(["-s", allowed]), json!(["-s", "192.0.2.9"])),
        ("iptables", json!(["!", "-s", "192.0.2.9"]), json!(["!", "-s", allowed])),
    ] {
        let node = Node::new();
        let outside = node.outside();
        let (open, closed) = (node.container("open"), node.container("closed"));
        // The backend follows from the conditions.
        let with = |conditions| [dual_stack(json!({})), portmap(json!({"conditionsV4": conditions}))];
        Network::new(&node, with(matching)).attach(&open.eth0().port(8080, 80));
        Network::new(&node, with(other)).attach(&closed.eth0().port(8081, 80));
        let _servers = [&open, &closed].map(|container| Server::tcp(container, &container.id, "[::]:80"));
        assert!(tcp(&outside, at(NODE[0], 8080)).is_some(), "{backend}");
        assert!(tcp(&outside, at(NODE[0], 8081)).is_none(), "{backend}");
        assert!(tcp(&outside, at(NODE[1], 8081)).is_some(), "{backend}: conditionsV4 are not for IPv6");
    }
}

#[test]
fn keys_as_containerd_writes_them() {
    let node = Node::new();
    let outside = node.outside();
    let web = node.container("web");
    let mapping = json!([{"HostPort": 8080, "ContainerPort": 80, "Protocol": "TCP", "HostIP": ""}]);
    network(&node, "nftables", json!({})).attach(&web.eth0().with("portMappings", mapping));
    let _server = Server::tcp(&web, "web", "[::]:80");
    assert!(tcp(&outside, at(NODE[0], 8080)).is_some());
}
