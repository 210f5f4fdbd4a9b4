//! `wharfctl attachments`: what exists, as a table, as JSON and as a drawing.

use std::fs;
use std::os::unix::fs::symlink;

use wharf_tests::install::wharfctl;
use wharf_tests::{Network, Node, Value, json, sh};

use crate::common::{bandwidth, dual_stack, limits, portmap};

fn attachments(node: &Node, options: &[&str]) -> String {
    let mut command = wharfctl(&node.root());
    command.arg("attachments").args(options);
    node.run(|| sh::run(&mut command))
}

#[test]
fn a_node_without_any_says_so() {
    let node = Node::new();
    assert_eq!(attachments(&node, &[]), "there are no attachments\n");
    let json: Value = attachments(&node, &["--json"]).parse().unwrap();
    assert_eq!(json["attachments"], json!([]));
}

#[test]
fn each_attachment_is_one_line_whatever_made_it() {
    let node = Node::new();
    let _outside = node.outside();
    node.sh("ip route add default dev wan0");
    let plugins = || [dual_stack(json!({"ipMasq": true})), portmap(json!({})), bandwidth()];
    let (one, two) = (node.container("one"), node.container("two"));
    let first = Network::new(&node, plugins()).attach(&one.eth0().port(8080, 80).with("bandwidth", limits()));
    let second = Network::new(&node, plugins()).named("second").chain();
    let second = second.attach(&two.target("net1").port(8081, 81));
    let text = attachments(&node, &[]);
    assert_eq!(text.lines().count(), 3, "{text}");
    let line = |container: &str| text.lines().find(|line| line.contains(container)).unwrap().to_owned();
    for (line, words) in [
        (line("one"), ["net ", "eth0", "bridge,portmap,bandwidth", "10.1.0.2/24,fd01::2/64", "8080→80/tcp"]),
        (line("two"), ["second", "net1", " wharf ", "10.1.0.2/24,fd01::2/64", "8081→81/tcp"]),
    ] {
        for word in words {
            assert!(line.contains(word), "{word}: {text}");
        }
        assert!(line.ends_with("committed"), "{text}");
    }
    assert!(line("one").contains(&format!("{}@br0", first.host_end())), "{text}");
    let json: Value = attachments(&node, &["--json"]).parse().unwrap();
    assert_eq!(json["uplinks"], json!(["wan0"]));
    assert_eq!(json["attachments"][1]["host_link"], second.host_end());

    let file = node.folder("drawing").join("topology.svg");
    attachments(&node, &["--svg", file.to_str().unwrap()]);
    let svg = fs::read_to_string(file).unwrap();
    for word in ["wan0", "br0", &first.host_end(), "one", "two · second · net1", "8081→81/tcp", "fd01::2/64"]
    {
        assert!(svg.contains(word), "{word}: {svg}");
    }
    first.del().silent();
    assert_eq!(attachments(&node, &[]).lines().count(), 2);
}

#[test]
fn what_is_not_whole_is_told() {
    let node = Node::new();
    let (vanishing, cut) = (node.container("a"), node.container("b"));
    let network = Network::new(&node, [dual_stack(json!({}))]);
    network.attach(&vanishing.eth0());
    let attachment = network.attach(&cut.eth0());
    vanishing.vanish();
    node.sh(&format!("ip link del {}", attachment.host_end()));
    let text = attachments(&node, &[]);
    assert_eq!(text.lines().filter(|line| line.ends_with("gone")).count(), 2, "{text}");
    // As a crash leaves it: the last frame, which is the commit, is cut off.
    let journal = node.root().join("run/wharf/attachments/b:eth0:bridge:net");
    let bytes = fs::read(&journal).unwrap();
    fs::write(&journal, &bytes[..bytes.len() - 1]).unwrap();
    let text = attachments(&node, &[]);
    assert!(text.lines().any(|line| line.contains(" b ") && line.ends_with("unfinished")), "{text}");
    fs::write(&journal, "no journal").unwrap();
    let text = attachments(&node, &[]);
    assert!(text.contains("b:eth0:bridge:net: nothing of this journal can be read"), "{text}");
}

#[test]
fn what_is_no_journal_is_told_and_hides_no_other() {
    let node = Node::new();
    let container = node.container("one");
    let network = Network::new(&node, [dual_stack(json!({"ipMasq": true}))]);
    let attachment = network.attach(&container.eth0());
    let journals = node.root().join("run/wharf/attachments");
    let hashed = format!("blake3-{}", "0".repeat(64));
    symlink("nowhere", journals.join(&hashed)).unwrap();
    fs::create_dir(journals.join("two:eth0:bridge:net")).unwrap();
    for (command, words) in [
        (&["attachments"][..], "10.1.0.2/24"),
        (&["journal", "show"], "create-veth"),
        (&["reconcile", "--dry-run"], "nothing is missing"),
    ] {
        let mut wharfctl = wharfctl(&node.root());
        wharfctl.args(command);
        let output = node.run(|| sh::output(&mut wharfctl));
        let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success() && text.contains(words), "{command:?}: {text}{said}");
        for odd in [
            format!("{hashed} is a symbolic link; remove it"),
            "two:eth0:bridge:net is no regular file".into(),
        ] {
            assert!(said.contains(&odd), "{command:?}: {said}");
        }
    }
    attachment.del().silent();
    // Without a record, every hashed name is looked into.
    attachment.del().silent();
}
