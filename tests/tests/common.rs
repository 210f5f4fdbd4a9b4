//! Configurations that many tests start from.

use wharf_tests::node::OUTSIDE;
use wharf_tests::{Node, Value, json};

/// The subnets of [`bridge`], per family.
pub const SUBNETS: [&str; 2] = ["10.1.0.0/24", "fd01::/64"];
/// Their first host addresses: what the bridge carries as a gateway.
pub const GATEWAYS: [&str; 2] = ["10.1.0.1", "fd01::1"];
/// Both ways of writing firewall rules.
pub const BACKENDS: [&str; 2] = ["nftables", "iptables"];

/// `base` with the members of `extra`.
pub fn with(mut base: Value, extra: Value) -> Value {
    let members = base.as_object_mut().expect("an object");
    let Value::Object(extra) = extra else { panic!("not an object: {extra}") };
    members.extend(extra);
    base
}

/// A bridge `br0` with these options and no addresses.
pub fn layer2(extra: Value) -> Value {
    with(json!({"type": "bridge", "bridge": "br0"}), extra)
}

/// A bridge `br0` that is the default gateway of one IPv4 subnet, with these options.
pub fn bridge(extra: Value) -> Value {
    let ipam = json!({"type": "host-local", "ranges": [[{"subnet": SUBNETS[0]}]]});
    with(layer2(json!({"isDefaultGateway": true, "ipam": ipam})), extra)
}

/// The same with both families.
pub fn dual_stack(extra: Value) -> Value {
    let ranges = json!([[{"subnet": SUBNETS[0]}], [{"subnet": SUBNETS[1]}]]);
    with(bridge(json!({"ipam": {"type": "host-local", "ranges": ranges}})), extra)
}

/// A bridge with this `ipam` section for host-local.
pub fn with_ipam(ipam: Value) -> Value {
    bridge(json!({"ipam": with(json!({"type": "host-local"}), ipam)}))
}

/// portmap with these options.
pub fn portmap(extra: Value) -> Value {
    with(json!({"type": "portmap", "capabilities": {"portMappings": true}}), extra)
}

/// bandwidth, with limits from the runtime.
pub fn bandwidth() -> Value {
    json!({"type": "bandwidth", "capabilities": {"bandwidth": true}})
}

/// Limits of 40 Mbit/s into the container and 20 out of it.
pub fn limits() -> Value {
    json!({
        "ingressRate": 40_000_000, "ingressBurst": 800_000,
        "egressRate": 20_000_000, "egressBurst": 400_000,
    })
}

/// Everything: bridge with masquerading, mapped ports, limits.
pub fn full(backend: &str) -> [Value; 3] {
    [
        dual_stack(json!({"ipMasq": true, "ipMasqBackend": backend, "hairpinMode": true})),
        portmap(json!({"backend": backend})),
        bandwidth(),
    ]
}

/// The node forwards and answers; the outside machine is reached by nobody but the node.
pub fn outside_is_unreachable_from(node: &Node) {
    assert!(node.pings(OUTSIDE[0].parse().unwrap()), "the node reaches the machine outside");
}
