//! loopback, as containerd calls it.

use wharf_tests::{Network, Node, Target, json};

fn loopback(node: &Node) -> Network<'_> {
    Network::new(node, [json!({"type": "loopback"})]).named("cni-loopback")
}

fn is_up(container: &wharf_tests::Netns) -> bool {
    let link = container.link("lo").expect("every namespace has it");
    link["flags"].as_array().unwrap().contains(&json!("UP"))
}

#[test]
fn it_raises_lo_and_reports_its_addresses() {
    let node = Node::new();
    let container = node.container("c");
    assert!(!is_up(&container));
    let attachment = loopback(&node).version("1.0.0").attach(&container.target("lo"));
    assert!(is_up(&container));
    let sandbox = container.eth0().netns;
    let expected = json!({
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "lo", "mac": "00:00:00:00:00:00", "sandbox": sandbox}],
        "ips": [{"address": "127.0.0.1/8", "interface": 0}, {"address": "::1/128", "interface": 0}],
    });
    assert_eq!(attachment.result, expected);
    assert!(container.pings("127.0.0.1".parse().unwrap()) && container.pings("::1".parse().unwrap()));
    attachment.check().silent();
    attachment.del().silent();
    assert!(!is_up(&container));
    attachment.check().error_naming(101, &["lo", "down"]);
}

#[test]
fn any_interface_name_means_lo() {
    let node = Node::new();
    let container = node.container("c");
    loopback(&node).attach(&container.target("whatever"));
    assert!(is_up(&container));
    assert_eq!(container.links(), ["lo"]);
}

#[test]
fn containerd_calls_it_with_0_3_1_and_deletes_without_a_namespace() {
    let node = Node::new();
    let container = node.container("c");
    let network = loopback(&node).version("0.3.1");
    let target = container.target("lo").args("IgnoreUnknown=1;K8S_POD_NAME=web");
    let result = network.add(&target).ok();
    assert_eq!(result["ips"][0]["version"], "4");
    network.del(&target.clone().without_netns(), None).silent();
    let path = container.vanish();
    let gone = Target::new("c", path.to_str().unwrap(), "lo");
    network.del(&gone, None).silent();
}

#[test]
fn a_previous_result_is_handed_on() {
    let node = Node::new();
    let container = node.container("c");
    let previous = json!({"cniVersion": "1.0.0", "ips": [{"address": "10.9.0.2/24"}]});
    let config = json!({"cniVersion": "1.0.0", "name": "net", "type": "loopback", "prevResult": previous});
    let result = node.call("loopback", "ADD", &container.target("lo"), &config).ok();
    assert_eq!(result, previous);
    assert!(is_up(&container));
}

#[test]
fn an_lo_with_a_foreign_address_is_refused() {
    let node = Node::new();
    let container = node.container("c");
    container.sh("ip addr add 10.9.0.2/24 dev lo");
    let text = loopback(&node).add(&container.target("lo")).error(100);
    assert!(text.contains("10.9.0.2"), "{text}");
    assert!(!is_up(&container), "a failed ADD leaves it as it was");
}

#[test]
fn without_its_guest_and_by_a_gc_lo_goes_down_too() {
    for by_gc in [false, true] {
        let node = Node::new();
        let container = node.container("c");
        let attachment = loopback(&node).attach(&container.target("lo"));
        // Raised already, it is not the second one's to lower.
        let other = loopback(&node).named("other").attach(&container.target("lo"));
        std::fs::remove_file(node.root().join("var/lib/wharf/guests/loopback.json")).unwrap();
        let end = |attachment: &wharf_tests::Attachment| {
            if by_gc {
                attachment.network.gc(&[]).error(50);
            } else {
                attachment.del().silent();
            }
        };
        end(&other);
        assert!(is_up(&container));
        end(&attachment);
        assert!(!is_up(&container));
    }
}
