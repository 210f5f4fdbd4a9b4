//! Routes of the IPAM, with every field that CNI 1.1 has, as the kernel holds them.

use wharf_tests::{Network, Node, json};

use crate::common::{bridge, with_ipam};

#[test]
fn every_field_reaches_the_kernel() {
    // The reference accepts mtu and advmss and leaves them out.
    let node = Node::new();
    let container = node.container("c");
    let routes = json!([
        {"dst": "198.51.100.0/24", "gw": "10.1.0.9", "mtu": 1300, "advmss": 1200, "priority": 77},
        {"dst": "198.51.101.0/24", "table": 1000, "priority": 5},
        {"dst": "198.51.102.0/24", "scope": 253},
        {"dst": "2001:db8:5::/48", "gw": "fd01::9", "mtu": 1400, "advmss": 1300, "priority": 7},
    ]);
    let ranges = json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd01::/64"}]]);
    let attachment = Network::new(&node, [with_ipam(json!({"ranges": ranges, "routes": routes}))])
        .attach(&container.eth0());

    let route = container.route("198.51.100.0/24").expect("the first route");
    assert_eq!((&route["gateway"], &route["metric"]), (&json!("10.1.0.9"), &json!(77)), "{route}");
    assert_eq!(route["metrics"], json!([{"mtu": 1300, "advmss": 1200}]), "{route}");

    let in_table = container.routes(false, "1000");
    assert_eq!(in_table.len(), 1, "{in_table:?}");
    assert_eq!(in_table[0]["dst"], "198.51.101.0/24");
    assert_eq!(in_table[0]["gateway"], "10.1.0.1", "a route without one goes by the gateway of the family");
    assert_eq!(in_table[0]["metric"], 5);
    assert!(container.route("198.51.101.0/24").is_none(), "and not in the main table");

    let route = container.route("198.51.102.0/24").expect("the third route");
    assert_eq!(route["scope"], "253", "{route}");

    let route = container.route("2001:db8:5::/48").expect("the last route");
    assert_eq!((&route["gateway"], &route["metric"]), (&json!("fd01::9"), &json!(7)), "{route}");
    assert_eq!(route["metrics"], json!([{"mtu": 1400, "advmss": 1300}]), "{route}");

    let result = attachment.result["routes"].as_array().unwrap();
    for (given, answered) in routes.as_array().unwrap().iter().zip(result) {
        for (key, value) in given.as_object().unwrap() {
            assert_eq!(answered[key], *value, "{key} of {answered}");
        }
    }
    attachment.check().silent();
}

#[test]
fn check_finds_each_of_them() {
    for (tampering, dst) in [
        ("del 198.51.100.0/24", "198.51.100.0/24"),
        ("replace 198.51.100.0/24 via 10.1.0.8", "198.51.100.0/24"),
        ("del table 1000 198.51.101.0/24", "198.51.101.0/24"),
    ] {
        let node = Node::new();
        let container = node.container("c");
        let routes =
            json!([{"dst": "198.51.100.0/24", "gw": "10.1.0.9"}, {"dst": "198.51.101.0/24", "table": 1000}]);
        let plugin = with_ipam(json!({"subnet": "10.1.0.0/24", "routes": routes}));
        let attachment = Network::new(&node, [plugin]).attach(&container.eth0());
        attachment.check().silent();
        container.sh(&format!("ip route {tampering}"));
        attachment.check().error_naming(101, &[dst]);
    }
}

#[test]
fn a_route_that_the_kernel_refuses_fails_the_add_and_nothing_is_left() {
    let node = Node::new();
    let container = node.container("c");
    let before = (node.dump(), container.dump());
    let plugin = with_ipam(
        json!({"subnet": "10.1.0.0/24", "routes": [{"dst": "198.51.100.0/24", "gw": "192.0.2.1"}]}),
    );
    let text = Network::new(&node, [plugin]).add(&container.eth0()).error(100);
    assert!(text.contains("198.51.100.0/24") && text.contains("192.0.2.1"), "{text}");
    node.dump().assert_same(&before.0);
    container.dump().assert_same(&before.1);
}

#[test]
fn routes_go_with_the_link() {
    let node = Node::new();
    let container = node.container("c");
    let before = container.dump();
    let attachment = Network::new(&node, [bridge(json!({}))]).attach(&container.eth0());
    assert!(container.route("default").is_some());
    attachment.del().silent();
    container.dump().assert_same(&before);
}
