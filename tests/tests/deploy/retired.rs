//! While the last pods go, other networks' pods come: they name plugins that are Wharf's links.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use wharf_tests::install::{installation, wharfctl};
use wharf_tests::{Network, Node, Value, json, sh};

use crate::common::{layer2, written};

/// Answers what it was given.
const PLUGIN: &str = r#"#!/bin/sh
[ "$CNI_COMMAND" = ADD ] || exit 0
case "$CNI_CONTAINERID" in
refused) echo '{"cniVersion": "1.0.0", "code": 123, "msg": "not this one"}'; exit 1;;
esac
printf '{"cniVersion": "1.0.0", "ips": [{"address": "192.0.2.7/24"}], "was": ["%s", "%s", "%s", "%s"], "conf": ' \
    "$CNI_CONTAINERID" "$CNI_NETNS" "$CNI_IFNAME" "$CNI_ARGS"
cat
echo '}'
"#;

fn uninstall(node: &Node) -> std::process::Output {
    node.run(|| sh::output(wharfctl(&node.root()).arg("uninstall")))
}

#[test]
fn other_networks_are_served_by_what_the_links_replaced() {
    let node = Node::new();
    fs::remove_file(node.bin.join("host-local")).unwrap();
    fs::write(node.bin.join("host-local"), PLUGIN).unwrap();
    fs::set_permissions(node.bin.join("host-local"), fs::Permissions::from_mode(0o755)).unwrap();
    sh::run(installation(&node.root()).arg("--drop-in"));
    let (pod, other) = (node.container("pod"), node.container("other"));
    let attachment = Network::new(&node, [layer2(json!({}))]).attach(&pod.eth0());
    assert!(!uninstall(&node).status.success());

    let conf =
        json!({"cniVersion": "1.0.0", "name": "calico", "type": "calico", "ipam": {"type": "host-local"}});
    let target = other.eth0().args("K8S_POD_NAME=p");
    let said = node.call("host-local", "ADD", &target, &conf).ok();
    assert_eq!(said["was"], json!(["other", target.netns, "eth0", "K8S_POD_NAME=p"]));
    assert_eq!(said["conf"], conf);
    let refused = node.container("refused");
    node.call("host-local", "ADD", &refused.eth0(), &conf).error_naming(123, &["not this one"]);
    // Nothing to hand it to.
    let bridge: Value = json!({"cniVersion": "1.0.0", "name": "n", "type": "bridge"});
    let outcome = node.call("bridge", "ADD", &target, &bridge);
    outcome.error_naming(50, &["being removed", "bridge.replaced-by-wharf"]);
    // Every runtime's first call for every pod.
    let loopback = Network::new(&node, [json!({"type": "loopback"})]).named("cni-loopback");
    loopback.attach(&other.target("lo"));
    assert!(other.sh("ip link show dev lo").contains("UP"));

    // That pod is not Wharf's, but its DEL will be, as long as no other plugin has the name.
    attachment.del().silent();
    let output = uninstall(&node);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stdout).contains("other/lo"));
    symlink("host-local.replaced-by-wharf", node.bin.join("loopback.replaced-by-wharf")).unwrap();
    let output = uninstall(&node);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(fs::read_to_string(node.bin.join("host-local")).unwrap(), PLUGIN);
}

/// What the replaced plugin attaches by a list that is Wharf's would be left without any list.
#[test]
fn networks_of_our_own_lists_are_handed_to_nobody() {
    let node = Node::new();
    for name in ["host-local", "bridge"] {
        fs::remove_file(node.bin.join(name)).unwrap();
        fs::write(node.bin.join(name), PLUGIN).unwrap();
        fs::set_permissions(node.bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let list = written(&node, &[layer2(json!({}))], false);
    sh::run(installation(&node.root()).args(["--drop-in", "--conflist", &list]));
    let (pod, late) = (node.container("pod"), node.container("late"));
    let attachment = Network::new(&node, [layer2(json!({}))]).attach(&pod.eth0());
    assert!(!uninstall(&node).status.success());
    let conf = |name: &str| json!({"cniVersion": "1.0.0", "name": name, "type": "bridge"});
    node.call("bridge", "ADD", &late.eth0(), &conf("other")).ok();
    node.call("bridge", "ADD", &late.eth0(), &conf("net")).error_naming(50, &["being removed"]);
    // Said once, it holds until an installation ends it, whatever has become of the list.
    assert!(!uninstall(&node).status.success());
    node.call("bridge", "ADD", &late.eth0(), &conf("net")).error_naming(50, &["being removed"]);
    attachment.del().silent();
    let output = uninstall(&node);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// In the container of a DaemonSet, the node's folders are mounts.
#[test]
fn a_folder_that_is_a_mount_stays_and_is_empty() {
    let node = Node::new();
    let pod = node.container("pod");
    Network::new(&node, [layer2(json!({}))]).attach(&pod.eth0()).del().silent();
    let (root, run) = (node.root(), node.root().join("run/wharf"));
    let tool = wharfctl(&root).get_program().to_owned();
    let output = node.run(|| {
        sh::output(Command::new("unshare").args(["-m", "sh", "-ec"]).env("WHARF_ROOT", &root).arg(format!(
            "mount --bind {run} {run}; {tool} uninstall; [ -z \"$(ls -A {run})\" ]",
            run = run.display(),
            tool = tool.display(),
        )))
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!root.join("var/lib/wharf/retired").exists(), "it went to the end");
}
