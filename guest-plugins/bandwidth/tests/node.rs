//! The whole guest in its chain on a simulated node: at which rate do packets go?

use bandwidth::Bandwidth;
use bridge::Bridge;
use host_local::HostLocal;
use serde_json::Value;
use wharf_sdk::Result;
use wharf_testkit::{Node, json};

fn conf() -> Value {
    let limits = json!({"ingressRate": 8_000_000, "ingressBurst": 800_000, "egressRate": 4_000_000, "egressBurst": 400_000});
    json!({"name": "pods", "runtimeConfig": {"bandwidth": limits}})
}

#[test]
fn both_directions_have_their_rate_until_the_del() -> Result<()> {
    let node = Node::new();
    node.delegate::<HostLocal>();
    let (pod, other) = (node.container("pod"), node.container("other"));
    let bridge = json!({
        "name": "pods", "bridge": "br0", "isDefaultGateway": true,
        "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}
    });
    node.add::<Bridge>(&pod, &bridge)?;
    node.add::<Bridge>(&other, &bridge)?;
    node.add::<Bandwidth>(&pod, conf())?;
    assert_eq!(other.tcp("10.1.0.2:80").rate, Some(8_000_000), "what goes in");
    assert_eq!(pod.tcp("10.1.0.3:80").rate, Some(4_000_000), "what comes out");
    node.check::<Bandwidth>(&pod, conf())?;

    node.del::<Bandwidth>(&pod, conf())?;
    assert_eq!((other.tcp("10.1.0.2:80").rate, pod.tcp("10.1.0.3:80").rate), (None, None));
    assert!(node.host().links().iter().all(|link| link.kind != "ifb"));
    Ok(())
}

#[test]
fn gc_removes_the_ifb_of_whoever_is_gone() -> Result<()> {
    let node = Node::new();
    node.delegate::<HostLocal>();
    let pods = [node.container("stays"), node.container("goes")];
    for pod in &pods {
        let bridge = json!({"name": "pods", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}});
        node.add::<Bridge>(pod, bridge)?;
        node.add::<Bandwidth>(pod, conf())?;
    }
    let ifbs =
        || node.host().links().into_iter().filter(|link| link.kind == "ifb").filter_map(|ifb| ifb.alias);
    assert_eq!(ifbs().count(), 2);
    node.gc::<Bandwidth>(&[&pods[0]], conf())?;
    assert_eq!(ifbs().collect::<Vec<_>>(), ["wharf:pods/stays/eth0"]);
    Ok(())
}
