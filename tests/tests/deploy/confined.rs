//! What the manifests' containers can and cannot see: with their capabilities, their writable folders, and their own
//! process numbers.

use std::process::{Child, Command, Output, Stdio};

use wharf_tests::install::wharfctl;
use wharf_tests::runtime::Target;
use wharf_tests::{Container, Network, Node, json, sh, skip};

use super::manifests::pod;
use crate::common::{dual_stack, portmap};

/// A process that keeps a container's namespace, which has no other name then. Ends when it is dropped.
struct Holder(Child);

impl Holder {
    fn of(container: &Container) -> Self {
        let mut command = Command::new("sleep");
        Self(container.run(|| command.arg("600").stdin(Stdio::null()).spawn()).expect("start sleep"))
    }

    fn target(&self, id: &str) -> Target {
        Target::new(id, &format!("/proc/{}/ns/net", self.0.id()), "eth0")
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The capabilities that the manifest gives to the container `reconcile`, as setpriv has them.
fn capabilities() -> Vec<String> {
    let pod = pod("base/daemonset.yaml");
    let all = pod["containers"].as_array().unwrap();
    let container = all.iter().find(|container| container["name"] == "reconcile").unwrap();
    let added = container["securityContext"]["capabilities"]["add"].as_array().unwrap();
    added.iter().map(|name| format!("+{}", name.as_str().unwrap().to_lowercase())).collect()
}

/// `wharfctl reconcile` with just these, where only the mounts of the container can be written.
fn reconcile(node: &Node, capabilities: &[String]) -> (Output, String) {
    let set = ["-all".to_owned()].iter().chain(capabilities).cloned().collect::<Vec<_>>().join(",");
    let tool = wharfctl(&node.root());
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-euc"]).arg(
        "mount --bind \"$WHARF_ROOT/run/wharf\" \"$WHARF_ROOT/run/wharf\"; mount -o remount,bind,ro /; \
         mount -t tmpfs none /run; : > /run/xtables.lock; mount --bind /run/xtables.lock /run/xtables.lock; \
         mount -o remount,bind,ro /run; exec \"$@\"",
    );
    command.args(["sh", "setpriv", &format!("--bounding-set={set}"), "--inh-caps=-all", "--"]);
    command.arg(tool.get_program()).arg("reconcile").env("WHARF_ROOT", node.root());
    let output = node.run(|| sh::output(&mut command));
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, text)
}

fn network<'n>(node: &'n Node, name: &str, backend: &str) -> Network<'n> {
    let bridge = dual_stack(json!({"ipMasq": true, "ipMasqBackend": backend}));
    Network::new(node, [bridge, portmap(json!({"backend": backend}))]).named(name)
}

#[test]
fn rules_come_back_where_the_pods_namespaces_cannot_be_seen() {
    let node = Node::new();
    let container = node.container("c");
    let holder = Holder::of(&container);
    let attachment = network(&node, "net", "nftables").attach(&holder.target("c").port(8080, 80));
    node.sh("nft flush ruleset");
    let (output, text) = reconcile(&node, &capabilities());
    assert!(output.status.success() && text.contains("net c/eth0 (portmap): put back"), "{text}");
    attachment.check().silent();
    // The link tells when it is over.
    drop(holder);
    container.vanish();
    node.sh("nft flush ruleset");
    let (output, text) = reconcile(&node, &capabilities());
    assert!(output.status.success() && text.contains("(portmap): skipped: its namespace"), "{text}");
    assert!(!node.dump().mentions("8080"));
}

#[test]
fn rules_of_legacy_iptables_come_back_too_and_what_fails_there_fails_nobody_else() {
    let node = Node::new();
    // A nat table of the legacy flavour makes it the one that is used.
    if !node.try_sh("iptables-legacy -t nat -S").status.success() {
        skip!("iptables-legacy does not work here");
    }
    let (one, two) = (node.container("one"), node.container("two"));
    network(&node, "old", "iptables").attach(&one.eth0().port(8080, 80));
    network(&node, "new", "nftables").attach(&two.eth0().port(8081, 80));
    let flush = || {
        node.sh("iptables-legacy -t nat -F");
        node.sh("nft flush ruleset");
    };
    let old = || node.sh("iptables-legacy-save -t nat").contains("8080");
    let new = || node.sh("nft list ruleset").contains("8081");
    assert!(old() && new());
    flush();
    let (output, text) = reconcile(&node, &capabilities());
    assert!(output.status.success() && old() && new(), "{text}");
    flush();
    let (output, text) = reconcile(&node, &["+net_admin".to_owned()]);
    assert!(!output.status.success() && text.contains("old one/eth0 (portmap): failed"), "{text}");
    assert!(
        text.contains("new two/eth0 (portmap): put back") && !text.contains("new two/eth0 (bridge): failed"),
        "{text}"
    );
    assert!(!old() && new(), "{text}");
}

#[test]
fn a_pod_whose_namespace_cannot_be_seen_is_not_uninstalled() {
    let node = Node::new();
    let container = node.container("c");
    let holder = Holder::of(&container);
    let network = network(&node, "net", "nftables");
    let attachment = network.attach(&holder.target("c").port(8080, 80));
    let before = node.dump();
    let uninstall = |wrapper: &[&str]| {
        let mut tool = wharfctl(&node.root());
        tool.arg("uninstall");
        let mut command = Command::new(wrapper.first().map_or(tool.get_program(), |first| first.as_ref()));
        if let [_, rest @ ..] = wrapper {
            command.args(rest).arg(tool.get_program());
        }
        command.args(tool.get_args()).env("WHARF_ROOT", node.root());
        node.run(|| sh::output(&mut command))
    };
    // As in a pod without the node's process numbers.
    let output = uninstall(&["unshare", "-pf", "--mount-proc"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("c/eth0") && text.contains("cannot be seen from here"), "{text}");
    assert!(node.pings(attachment.ip(false)));
    node.sh(&format!("ip link show dev {}", attachment.host_end()));
    assert_eq!(node.leased("net").len(), 2);
    assert_eq!(node.sh("nft list ruleset").contains("8080"), before.mentions("8080"));
    // Where it can be seen that it is over, it is.
    drop(holder);
    container.vanish();
    let output = uninstall(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(node.leased("net"), [""; 0]);
    assert!(!node.bin.join("wharf").exists());
}
