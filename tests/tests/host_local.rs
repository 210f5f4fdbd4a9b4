//! host-local: ranges, round robin, exhaustion, the layout on disk, leases of the reference.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use wharf_tests::{Network, Node, Value, json};

use crate::common::with_ipam;

/// One call of host-local alone, as for a container `id`.
fn ipam(node: &Node, command: &str, id: &str, section: &Value) -> wharf_tests::Outcome {
    let container = node.container(&format!("{command}-{id}"));
    let mut target = container.eth0();
    id.clone_into(&mut target.id);
    node.call("host-local", command, &target, &config(section))
}

fn config(section: &Value) -> Value {
    let mut section = section.clone();
    section["type"] = "host-local".into();
    json!({"cniVersion": "1.1.0", "name": "net", "type": "bridge", "ipam": section})
}

fn addresses(result: &Value) -> Vec<&str> {
    result["ips"].as_array().expect("addresses").iter().map(|ip| ip["address"].as_str().unwrap()).collect()
}

#[test]
fn each_range_set_gives_one_address_with_its_gateway() {
    let node = Node::new();
    let section = json!({
        "ranges": [
            [{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.100", "rangeEnd": "10.1.0.200", "gateway": "10.1.0.254"}],
            [{"subnet": "fd01::/64"}],
            [{"subnet": "10.2.0.0/16"}],
        ],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.0.2.0/24", "gw": "10.1.0.9"}],
    });
    let result = ipam(&node, "ADD", "c", &section).ok();
    let expected = json!([
        {"address": "10.1.0.100/24", "gateway": "10.1.0.254"},
        {"address": "fd01::2/64", "gateway": "fd01::1"},
        {"address": "10.2.0.2/16", "gateway": "10.2.0.1"},
    ]);
    assert_eq!(result["ips"], expected);
    assert_eq!(result["routes"], section["routes"]);
    assert!(result.get("interfaces").is_none_or(|interfaces| interfaces == &json!([])), "{result}");
}

#[test]
fn the_old_flat_range_and_ranges_of_the_runtime_come_first() {
    let node = Node::new();
    let container = node.container("c");
    let plugin = with_ipam(json!({"subnet": "10.1.0.0/24", "ranges": [[{"subnet": "10.2.0.0/24"}]]}));
    let mut plugin = plugin;
    plugin["isDefaultGateway"] = false.into();
    plugin["capabilities"] = json!({"ipRanges": true});
    let target = container.eth0().with("ipRanges", json!([[{"subnet": "10.3.0.0/24"}]]));
    let attachment = Network::new(&node, [plugin]).attach(&target);
    assert_eq!(addresses(&attachment.result), ["10.3.0.2/24", "10.1.0.2/24", "10.2.0.2/24"]);
    attachment.check().silent();
    attachment.del().silent();
    assert!(node.leased("net").is_empty());
}

#[test]
fn the_layout_on_disk_is_the_references() {
    let node = Node::new();
    let section = json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd01::/64"}]]});
    ipam(&node, "ADD", "c", &section).ok();
    let folder = node.leases("net");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["10.1.0.2", "fd01::2", "last_reserved_ip.0", "last_reserved_ip.1", "lock"]);
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    for lease in ["10.1.0.2", "fd01::2"] {
        assert_eq!(read(lease), "c\r\neth0");
        assert_eq!(mode(lease), 0o600);
    }
    assert_eq!(
        (read("last_reserved_ip.0"), read("last_reserved_ip.1")),
        ("10.1.0.2".into(), "fd01::2".into())
    );

    ipam(&node, "DEL", "c", &section).silent();
    assert!(node.leased("net").is_empty());
    assert_eq!(read("last_reserved_ip.0"), "10.1.0.2", "the cursor stays");
}

#[test]
fn addresses_are_given_round_robin() {
    let node = Node::new();
    let section = json!({"ranges": [[{"subnet": "10.1.0.0/29"}]]});
    let add = |id: &str| addresses(&ipam(&node, "ADD", id, &section).ok())[0].to_owned();
    assert_eq!((add("a"), add("b")), ("10.1.0.2/29".into(), "10.1.0.3/29".into()));
    ipam(&node, "DEL", "a", &section).silent();
    assert_eq!(add("c"), "10.1.0.4/29", "a freed address is not given out at once");
    assert_eq!((add("d"), add("e")), ("10.1.0.5/29".into(), "10.1.0.6/29".into()));
    assert_eq!(add("f"), "10.1.0.2/29", "and again from the start");
    ipam(&node, "ADD", "g", &section)
        .error_naming(102, &["no IP addresses available", "range 0", "10.1.0.1-10.1.0.6"]);
    assert_eq!(node.leased("net").len(), 5);
}

#[test]
fn a_pool_of_several_ranges_is_used_up_in_order() {
    let node = Node::new();
    let section = json!({"ranges": [[
        {"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.10", "rangeEnd": "10.1.0.11"},
        {"subnet": "10.2.0.0/24", "rangeStart": "10.2.0.20", "rangeEnd": "10.2.0.20"},
    ]]});
    let add = |id: &str| ipam(&node, "ADD", id, &section);
    let given = ["a", "b", "c"].map(|id| addresses(&add(id).ok())[0].to_owned());
    assert_eq!(given, ["10.1.0.10/24", "10.1.0.11/24", "10.2.0.20/24"]);
    add("d").error(102);
}

#[test]
fn one_full_set_gives_back_what_the_others_gave() {
    let node = Node::new();
    let section = json!({"ranges": [
        [{"subnet": "10.1.0.0/24"}],
        [{"subnet": "10.2.0.0/24", "rangeStart": "10.2.0.2", "rangeEnd": "10.2.0.2"}],
    ]});
    ipam(&node, "ADD", "a", &section).ok();
    ipam(&node, "ADD", "b", &section).error_naming(102, &["range 1"]);
    assert_eq!(node.leased("net"), ["10.1.0.2", "10.2.0.2"]);
}

#[test]
fn an_attachment_gets_no_second_address() {
    let node = Node::new();
    let section = json!({"ranges": [[{"subnet": "10.1.0.0/24"}]]});
    ipam(&node, "ADD", "c", &section).ok();
    ipam(&node, "ADD", "c", &section).error_naming(103, &["10.1.0.2", "c", "duplicate allocation"]);
    assert_eq!(node.leased("net"), ["10.1.0.2"]);
}

#[test]
fn leases_of_the_reference_are_taken_over() {
    let node = Node::new();
    let section = json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd01::/64"}]]});
    let folder = node.leases("net");
    fs::create_dir_all(&folder).unwrap();
    for (name, content) in [
        ("10.1.0.2", "one\r\neth0"),
        ("10.1.0.3", "two\r\neth0"),
        ("fd01::3", "two\r\neth0"),
        // As written by versions before 0.7.
        ("10.1.0.4", "three"),
        ("last_reserved_ip.0", "10.1.0.3"),
        ("lock", ""),
    ] {
        fs::write(folder.join(name), content).unwrap();
    }
    let result = ipam(&node, "ADD", "new", &section).ok();
    assert_eq!(addresses(&result), ["10.1.0.5/24", "fd01::2/64"], "after the cursor, past what is taken");
    ipam(&node, "ADD", "two", &section).error_naming(103, &["10.1.0.3"]);
    ipam(&node, "DEL", "two", &section).silent();
    ipam(&node, "DEL", "three", &section).silent();
    assert_eq!(node.leased("net"), ["10.1.0.2", "10.1.0.5", "fd01::2"]);
    let container = node.container("x");
    let mut target = container.eth0();
    "one".clone_into(&mut target.id);
    let narrow = json!({"ranges": [[{"subnet": "10.1.0.0/24"}]]});
    node.call("host-local", "CHECK", &target, &config(&narrow)).silent();
}

#[test]
fn delete_needs_neither_a_lease_nor_valid_ranges() {
    let node = Node::new();
    let good = json!({"ranges": [[{"subnet": "10.1.0.0/24"}]]});
    ipam(&node, "DEL", "unknown", &good).silent();
    ipam(&node, "ADD", "c", &good).ok();
    ipam(&node, "DEL", "c", &json!({"ranges": [[{"subnet": "10.9.0.0/31"}]]})).silent();
    assert!(node.leased("net").is_empty());
    ipam(&node, "DEL", "c", &good).silent();
}

#[test]
fn check_wants_the_lease() {
    let node = Node::new();
    let section = json!({"ranges": [[{"subnet": "10.1.0.0/24"}]]});
    ipam(&node, "ADD", "c", &section).ok();
    ipam(&node, "CHECK", "c", &section).silent();
    ipam(&node, "DEL", "c", &section).silent();
    ipam(&node, "CHECK", "c", &section)
        .error_naming(101, &["host-local: Failed to find address added by container c"]);
}

#[test]
fn leases_can_be_in_another_folder() {
    let node = Node::new();
    let section = json!({"ranges": [[{"subnet": "10.1.0.0/24"}]], "dataDir": "/srv/leases"});
    ipam(&node, "ADD", "c", &section).ok();
    assert!(node.root().join("srv/leases/net/10.1.0.2").is_file());
    assert!(!node.leases("net").exists());
    ipam(&node, "DEL", "c", &section).silent();
    assert!(!node.root().join("srv/leases/net/10.1.0.2").exists());
}
