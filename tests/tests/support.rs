//! `wharfctl support`: a bundle with everything in it, and no secrets.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use wharf_tests::install::wharfctl;
use wharf_tests::native::Native;
use wharf_tests::{Network, Node, Value, json, sh};

use crate::common::{bridge, full, layer2, with};

/// The parts of a bundle, by name.
fn unpacked(node: &Node, tar: &Path) -> BTreeMap<String, String> {
    let folder = node.folder("unpacked");
    sh::run(sh::words("tar -x").arg("-f").arg(tar).arg("-C").arg(&folder));
    let folder = folder.join("wharf-support");
    wharf_tests::node::files(&folder)
        .into_iter()
        .map(|file| {
            let bytes = fs::read(folder.join(&file)).unwrap();
            (file.display().to_string(), String::from_utf8(bytes).expect("text"))
        })
        .collect()
}

fn support(node: &Node) -> BTreeMap<String, String> {
    let tar = node.folder("bundle").join("bundle.tar");
    let mut command = wharfctl(&node.root());
    command.arg("support").arg("--output").arg(&tar);
    let printed = node.run(|| sh::run(&mut command));
    assert_eq!(fs::metadata(&tar).unwrap().permissions().mode() & 0o777, 0o600);
    let parts = unpacked(node, &tar);
    for name in parts.keys() {
        assert!(printed.contains(name.as_str()), "{name} is listed in {printed}");
        assert!(name == "CONTENTS.txt" || parts["CONTENTS.txt"].contains(name.as_str()), "{name}");
    }
    parts
}

#[test]
fn a_bundle_has_everything_and_changes_nothing() {
    let node = Node::new();
    let lists = node.root().join("etc/cni/net.d");
    fs::create_dir_all(&lists).unwrap();
    let list = json!({"cniVersion": "1.0.0", "name": "net", "plugins": full("nftables")});
    fs::write(lists.join("10-net.conflist"), list.to_string()).unwrap();
    fs::write(lists.join("20-broken.conflist"), "{\"password\": \"hunter2").unwrap();
    fs::write(node.root().join("etc/cni/wharf.toml"), "[log]\nto = '/var/log/wharf.log'\nlevel = 'info'\n")
        .unwrap();
    fs::create_dir_all(node.root().join("var/log")).unwrap();
    let container = node.container("web");
    Network::new(&node, full("nftables")).version("1.0.0").attach(&container.eth0().port(8001, 80));
    let before = node.dump();
    let parts = support(&node);
    node.dump().assert_same(&before);
    for (name, words) in [
        ("versions.txt", &["wharfctl 0.", "CNI wharf plugin of Wharf", "Linux"][..]),
        ("system/os-release", &["NAME="]),
        ("system/sysctl", &["net.ipv4.ip_forward = 1"]),
        ("doctor.txt", &["20-broken.conflist", "checks,"]),
        ("lists/10-net.conflist", &["\"portmap\""]),
        ("guests.json", &["sha256:", "links/create-veth", "host-local"]),
        ("grants/bridge.toml", &["digest = "]),
        ("plugins.txt", &["bridge -> wharf"]),
        ("wharf.toml", &["/var/log/wharf.log"]),
        ("journals.json", &["create-veth", "\"web\""]),
        ("attachments.json", &["10.1.0.2", "\"committed\""]),
        ("leases.txt", &["10.1.0.2 web eth0", "fd01::2 web eth0"]),
        ("metrics.txt", &["wharf_calls_total{command=\"ADD\",code=\"0\"} 3"]),
        ("calls.jsonl", &["\"command\":\"ADD\""]),
        ("wharf.log", &["done in"]),
        ("network/links.txt", &["br0", "veth"]),
        ("network/addresses.txt", &["10.1.0.1/24"]),
        ("network/nftables.txt", &["8001", "10.1.0.2"]),
        ("network/qdiscs.txt", &["qdisc"]),
    ] {
        let text = parts
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {:?}; {}", parts.keys(), parts["CONTENTS.txt"]));
        for word in words {
            assert!(text.contains(word), "{word} in {name}: {text}");
        }
    }
    assert!(parts["CONTENTS.txt"].contains("lists/20-broken.conflist: no JSON"), "{}", parts["CONTENTS.txt"]);
    assert!(!parts["journals.json"].contains("[redacted]"), "{}", parts["journals.json"]);
    for (name, text) in &parts {
        assert!(!text.contains("hunter2"), "{name}");
    }
}

#[test]
fn no_secret_is_in_it() {
    let mut node = Node::new();
    let answer = "echo '{\"cniVersion\": \"1.0.0\", \"ips\": [{\"address\": \"10.1.0.9/24\"}]}'";
    Native::install(&mut node, "ipam", answer);
    let lists = node.root().join("etc/cni/net.d");
    fs::create_dir_all(&lists).unwrap();
    let secret = json!({
        "policy": {"k8s_auth_token": "hunter2-token", "psk": "hunter2-psk", "auth": {"type": "x", "value": "hunter2-auth"}},
        "command": ["run", "--token", "hunter2-flag", "--pw=hunter2 pw", "DB_PASSWORD=hunter2-variable"],
        "watch": "http://10.0.0.1/x?a=1&access_token=hunter2-query&b=2",
        "pem": "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
        "ipam": {"type": "ipam", "etcd": "https://root:hunter2-url@10.0.0.1:2379", "credentials": ["hunter2-list"]},
    });
    let plugin = layer2(secret);
    let list = json!({"cniVersion": "1.0.0", "name": "net", "plugins": [plugin]});
    fs::write(lists.join("10-net.conflist"), list.to_string()).unwrap();
    // Of a network whose list is gone: only its journal knows.
    let other = with(bridge(json!({})), json!({"ipam": {"type": "ipam", "apiKey": "hunter2-journal"}}));
    let settings = "[traces]\nendpoint = \"http://user:hunter2-settings@127.0.0.1:9\"\n\
                    [policy.x]\nlimit = 7 # of what\napi_token = \"hunter2-policy\"\n";
    fs::write(node.root().join("etc/cni/wharf.toml"), settings).unwrap();
    let containers = ["one", "two"].map(|id| node.container(id));
    let attach = |plugin: &Value, index: usize| {
        let container: &wharf_tests::Container = &containers[index];
        Network::new(&node, [plugin.clone()]).version("1.0.0").attach(&container.eth0());
    };
    attach(&plugin, 0);
    attach(&other, 1);
    let parts = support(&node);
    assert!(parts["journals.json"].contains("[redacted]"), "{}", parts["journals.json"]);
    assert!(parts["lists/10-net.conflist"].contains("https://root:[redacted]@10.0.0.1:2379"));
    assert!(parts["lists/10-net.conflist"].contains("?a=1&access_token=[redacted]&b=2"));
    assert!(parts["wharf.toml"].contains("user:[redacted]@127.0.0.1"), "{}", parts["wharf.toml"]);
    assert!(parts["wharf.toml"].contains("limit = 7 # of what\napi_token = \"[redacted]\""));
    for (name, text) in &parts {
        assert!(!text.contains("hunter2"), "{name}: {text}");
    }
    fs::write(node.root().join("etc/cni/wharf.toml"), "token = \"hunter2-broken\nx").unwrap();
    fs::remove_dir_all(node.folder("unpacked")).unwrap();
    assert!(support(&node).values().all(|text| !text.contains("hunter2")));
}
