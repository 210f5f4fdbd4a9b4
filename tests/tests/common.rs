//! Configurations that many tests start from.

pub(crate) mod scene;

use std::fs;

use wharf_tests::{Dump, Node, Value, json};

/// The subnets of [`bridge`], per family.
pub(crate) const SUBNETS: [&str; 2] = ["10.1.0.0/24", "fd01::/64"];
/// Their first host addresses: what the bridge carries as a gateway.
pub(crate) const GATEWAYS: [&str; 2] = ["10.1.0.1", "fd01::1"];
/// Both ways of writing firewall rules.
pub(crate) const BACKENDS: [&str; 2] = ["nftables", "iptables"];

/// `base` with the members of `extra`.
pub(crate) fn with(mut base: Value, extra: Value) -> Value {
    let members = base.as_object_mut().expect("an object");
    let Value::Object(extra) = extra else { panic!("not an object: {extra}") };
    members.extend(extra);
    base
}

/// A bridge `br0` with these options and no addresses.
pub(crate) fn layer2(extra: Value) -> Value {
    with(json!({"type": "bridge", "bridge": "br0"}), extra)
}

/// A bridge `br0` that is the default gateway of one IPv4 subnet, with these options.
pub(crate) fn bridge(extra: Value) -> Value {
    let ipam = json!({"type": "host-local", "ranges": [[{"subnet": SUBNETS[0]}]]});
    with(layer2(json!({"isDefaultGateway": true, "ipam": ipam})), extra)
}

/// The same with both families.
pub(crate) fn dual_stack(extra: Value) -> Value {
    let ranges = json!([[{"subnet": SUBNETS[0]}], [{"subnet": SUBNETS[1]}]]);
    with(bridge(json!({"ipam": {"type": "host-local", "ranges": ranges}})), extra)
}

/// A bridge with this `ipam` section for host-local.
pub(crate) fn with_ipam(ipam: Value) -> Value {
    bridge(json!({"ipam": with(json!({"type": "host-local"}), ipam)}))
}

/// portmap with these options.
pub(crate) fn portmap(extra: Value) -> Value {
    with(json!({"type": "portmap", "capabilities": {"portMappings": true}}), extra)
}

/// bandwidth, with limits from the runtime.
pub(crate) fn bandwidth() -> Value {
    json!({"type": "bandwidth", "capabilities": {"bandwidth": true}})
}

/// Limits of 40 Mbit/s into the container and 20 out of it.
pub(crate) fn limits() -> Value {
    json!({
        "ingressRate": 40_000_000, "ingressBurst": 800_000,
        "egressRate": 20_000_000, "egressBurst": 400_000,
    })
}

/// Everything: bridge with masquerading, mapped ports, limits.
pub(crate) fn full(backend: &str) -> [Value; 3] {
    [
        dual_stack(json!({"ipMasq": true, "ipMasqBackend": backend, "hairpinMode": true})),
        portmap(json!({"backend": backend})),
        bandwidth(),
    ]
}

/// Whether a change of [`Dump::changes_since`] may outlive what made it: forwarding stays on, and so do tables and
/// chains that are nobody's, for others may rely on them by now.
fn is_shared(change: &str) -> bool {
    let firewall = change.starts_with("+ nft") || change.starts_with("+ iptables");
    let owned = ["10.1.0.", "fd01::", "8001", "/eth0"].iter().any(|text| change.contains(text));
    change.contains("forward") || (firewall && !owned)
}

/// What was done since `before` has been undone, as far as it was one attachment's.
#[track_caller]
pub(crate) fn assert_undone(now: &Dump, before: &Dump) {
    let changes: Vec<String> =
        now.changes_since(before).into_iter().filter(|change| !is_shared(change)).collect();
    assert!(changes.is_empty(), "this is left:\n{}", changes.join("\n"));
}

/// A list in a file, as drop-ins or as one chain.
pub(crate) fn written(node: &Node, plugins: &[Value], chain: bool) -> String {
    let capabilities = json!({"portMappings": true, "bandwidth": true});
    let plugins = if chain {
        json!([{"type": "wharf", "capabilities": capabilities, "chain": plugins}])
    } else {
        json!(plugins)
    };
    let list = json!({"cniVersion": "1.1.0", "name": "net", "plugins": plugins});
    let file = node.folder("lists").join("10-net.conflist");
    fs::write(&file, list.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}
