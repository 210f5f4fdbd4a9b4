//! What the list says, and what is refused.

use clap::Parser as _;
use wharf_cni::conflist::{NetworkList, RequestArgs};

use super::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn printed(arguments: &str) -> Result<Value> {
    let line = std::iter::once("conflist").chain(arguments.split_whitespace());
    let Options { pod_cidr, dual_stack, shape, .. } = Line::try_parse_from(line)?.options;
    list(&pod_cidr.into_iter().chain(dual_stack).collect::<Vec<_>>(), &shape)
}

fn types(list: &Value, key: &str) -> Vec<String> {
    list[key].as_array().unwrap().iter().map(|plugin| plugin["type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_node_of_one_family() {
    let list = printed("--pod-cidr 10.244.3.0/24").unwrap();
    assert_eq!((list["cniVersion"].as_str(), list["name"].as_str()), (Some("1.0.0"), Some("pods")));
    assert_eq!(types(&list, "plugins"), ["bridge", "portmap", "bandwidth"]);
    assert_eq!(list["plugins"][0]["ipam"]["ranges"], json!([[{"subnet": "10.244.3.0/24"}]]));
    assert_eq!(list["plugins"][1]["externalSetMarkChain"], "KUBE-MARK-MASQ");
    assert!(list["plugins"][0].get("mtu").is_none());
}

#[test]
fn both_families_however_they_are_given() {
    let both = json!([[{"subnet": "10.244.3.0/24"}], [{"subnet": "fd00:3::/64"}]]);
    for arguments in [
        "--pod-cidr 10.244.3.0/24,fd00:3::/64",
        "--pod-cidr 10.244.3.0/24 --pod-cidr fd00:3::/64",
        "--pod-cidr 10.244.3.0/24 --dual-stack fd00:3::/64",
    ] {
        assert_eq!(printed(arguments).unwrap()["plugins"][0]["ipam"]["ranges"], both, "{arguments}");
    }
}

#[test]
fn a_chain_asks_for_what_its_plugins_ask_for() {
    let list = printed("--pod-cidr 10.1.0.0/16 --style chain --mtu 1400 --no-ip-masq --bridge br7").unwrap();
    let [plugin] = &list["plugins"].as_array().unwrap()[..] else { panic!("{list}") };
    assert_eq!(plugin["capabilities"], json!({"portMappings": true, "bandwidth": true}));
    assert_eq!(types(plugin, "chain"), ["bridge", "portmap", "bandwidth"]);
    let bridge = &plugin["chain"][0];
    assert_eq!(
        (&bridge["mtu"], &bridge["ipMasq"], &bridge["bridge"]),
        (&json!(1400), &json!(false), &json!("br7"))
    );
}

#[test]
fn only_where_kube_proxy_has_its_chain_is_it_used() {
    for (mode, has) in [("iptables", true), ("ipvs", true), ("nftables", false), ("none", false)] {
        let list = printed(&format!("--pod-cidr 10.1.0.0/16 --kube-proxy {mode}")).unwrap();
        assert_eq!(list["plugins"][1].get("externalSetMarkChain").is_some(), has, "{mode}");
    }
}

#[test]
fn a_runtime_can_read_it() {
    for style in ["drop-in", "chain"] {
        let list = printed(&format!("--pod-cidr 10.1.0.0/16 --style {style} --cni-version 1.1.0")).unwrap();
        let read = NetworkList::parse(list.to_string().as_bytes()).unwrap();
        assert!(read.wants_status());
        let offered = json!({"portMappings": [{"hostPort": 1}], "bandwidth": {}, "dns": {}});
        let args = RequestArgs { capability_args: offered.as_object(), ..RequestArgs::default() };
        let bandwidth = read.plugins.len() - 1;
        let request = read.request(bandwidth, args).unwrap().unwrap();
        let request: Value = serde_json::from_slice(&request).unwrap();
        assert!(request["runtimeConfig"].get("bandwidth").is_some(), "{request}");
        assert!(request["runtimeConfig"].get("dns").is_none(), "{request}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    for (arguments, words) in [
        ("--pod-cidr 10.244.3.7/24", "10.244.3.0/24"),
        ("--pod-cidr 10.1.0.0/16,10.2.0.0/16", "one family"),
        ("--pod-cidr fd00::/64 --dual-stack fd01::/64", "one family"),
        ("--pod-cidr 10.1.0.0/31", "too small"),
        ("--pod-cidr x", "--pod-cidr"),
        ("", "--pod-cidr"),
        ("--pod-cidr 10.1.0.0/16 --name ../x", "--name"),
        ("--pod-cidr 10.1.0.0/16 --cni-version 2.0.0", "1.1.0"),
        ("--pod-cidr 10.1.0.0/16 --mtu 10", "--mtu"),
        ("--pod-cidr 10.1.0.0/16 --bridge aaaaaaaaaaaaaaaaaaaa", "15 bytes"),
        ("--pod-cidr 10.1.0.0/16 --bridge br%d", "'%'"),
        ("--pod-cidr 10.1.0.0/16 --bridge all", "another name"),
        ("--pod-cidr 10.1.0.0/16 --bridge lo", "loopback"),
        ("--pod-cidr 224.0.0.0/8", "multicast"),
        ("--pod-cidr 127.0.0.0/8", "loopback"),
        ("--pod-cidr 127.1.2.0/24", "loopback"),
        ("--pod-cidr 64.0.0.0/2", "loopback"),
        ("--pod-cidr 0.0.0.0/0", "no host"),
        ("--pod-cidr 10.1.0.0/16,ff02::/64", "multicast"),
        ("--pod-cidr ::/64", "(::)"),
    ] {
        let error = format!("{:#}", printed(arguments).unwrap_err());
        assert!(error.contains(words), "{arguments}: {error}");
    }
}

#[test]
fn a_bridge_has_a_name_that_a_link_can_have() {
    for name in ["cni0", "br-4f2a", "aaaaaaaaaaaaaaa"] {
        assert_eq!(link_name(name).as_deref(), Ok(name));
    }
    for name in ["", "..", "a/b", "br 0", "br\u{a0}0", "default"] {
        assert!(link_name(name).is_err(), "{name:?}");
    }
}

#[test]
fn a_file_is_written_below_the_root() {
    let root = tempfile::tempdir().unwrap();
    let line = ["conflist", "--pod-cidr", "10.1.0.0/16", "--write", "/etc/cni/net.d/10-wharf.conflist"];
    run(&Paths::below(root.path()), &Line::try_parse_from(line).unwrap().options).unwrap();
    let text = std::fs::read(root.path().join("etc/cni/net.d/10-wharf.conflist")).unwrap();
    NetworkList::parse(&text).unwrap();
}

#[test]
fn a_path_that_does_not_begin_at_the_root_is_refused() {
    for path in ["10-wharf.conflist", "./10-wharf.conflist", "../etc/10-wharf.conflist", ""] {
        let line = ["conflist", "--pod-cidr", "10.1.0.0/16", "--write", path];
        let error = Line::try_parse_from(line).unwrap_err().to_string();
        assert!(error.contains("--write <FILE>") && error.contains("say the whole path"), "{path}: {error}");
    }
}
