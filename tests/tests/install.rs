//! wharfctl: what an installation consists of, and what a damaged one says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use wharf_tests::install::{Binaries, installation, wharfctl};
use wharf_tests::node::files;
use wharf_tests::{Network, Node, Outcome, Value, json, sh};

use crate::common::{bridge, layer2};

const GUESTS: [&str; 5] = ["bandwidth", "bridge", "host-local", "loopback", "portmap"];

fn guests(node: &Node) -> Vec<Value> {
    let text = sh::run(wharfctl(&node.root()).args(["guests", "--json"]));
    serde_json::from_str(&text).expect("a list")
}

#[test]
fn plugins_are_links_to_one_binary() {
    let node = Node::new();
    for name in GUESTS {
        let link = node.bin.join(name);
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("wharf"), "{name}");
    }
    let installed = fs::metadata(node.bin.join("wharf")).unwrap();
    assert_eq!(installed.permissions().mode() & 0o7777, 0o755);
    assert_eq!(installed.len(), fs::metadata(&Binaries::get().wharf).unwrap().len());
}

#[test]
fn guests_are_listed_with_what_they_can_do() {
    let node = Node::new();
    let all = guests(&node);
    let names: Vec<&str> = all.iter().map(|guest| guest["name"].as_str().unwrap()).collect();
    assert_eq!(names, GUESTS);
    let text = sh::run(wharfctl(&node.root()).arg("guests"));
    for guest in &all {
        let name = guest["name"].as_str().unwrap();
        assert_eq!(guest["world"], if name == "host-local" { "ipam" } else { "network" });
        let digest = guest["digest"].as_str().unwrap();
        assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
        assert!(text.contains(digest) && text.contains(name), "{text}");
        let imports: Vec<&str> =
            guest["imports"].as_array().unwrap().iter().map(|i| i.as_str().unwrap()).collect();
        let has = |room: &str| imports.iter().any(|import| import.starts_with(&format!("{room}/")));
        // The import list is the capability request: nobody asks for what is not its business.
        assert_eq!(has("leases"), name == "host-local", "{name}: {imports:?}");
        assert_eq!(has("shaping"), name == "bandwidth", "{name}: {imports:?}");
        assert_eq!(has("nat"), ["bridge", "portmap"].contains(&name), "{name}: {imports:?}");
        assert_eq!(has("delegate"), name == "bridge", "{name}: {imports:?}");
    }
}

#[test]
fn each_guest_gets_a_grant_of_what_it_imports() {
    let node = Node::new();
    for guest in guests(&node) {
        let name = guest["name"].as_str().unwrap();
        let grant = fs::read_to_string(node.root().join(format!("etc/cni/wharf.d/{name}.toml"))).unwrap();
        assert!(grant.contains(guest["digest"].as_str().unwrap()), "{grant}");
        for import in guest["imports"].as_array().unwrap() {
            assert!(grant.contains(&import.to_string()), "{name}: {import} in {grant}");
        }
    }
}

#[test]
fn installing_again_changes_nothing_and_leaves_no_drafts() {
    let node = Node::new();
    let state = || {
        let root = node.root();
        let mut all: Vec<String> = files(&root).iter().map(|file| file.display().to_string()).collect();
        all.sort();
        all
    };
    let (before, listed) = (state(), guests(&node));
    sh::run(installation(&node.root()).arg("--drop-in"));
    assert_eq!(state(), before);
    assert_eq!(guests(&node), listed);
    let container = node.container("c");
    Network::new(&node, [bridge(json!({}))]).attach(&container.eth0()).del().silent();
}

#[test]
fn a_plugin_that_is_replaced_is_kept() {
    let node = Node::new();
    let link = node.bin.join("bridge");
    fs::remove_file(&link).unwrap();
    fs::write(&link, "the reference").unwrap();
    sh::run(installation(&node.root()).arg("--drop-in"));
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("wharf"));
    let kept = files(&node.bin)
        .into_iter()
        .find(|file| fs::read(node.bin.join(file)).is_ok_and(|content| content == b"the reference"));
    assert!(kept.is_some(), "what was there is kept under another name");
}

#[test]
fn what_was_installed_elsewhere_is_uninstalled_too() {
    let node = Node::new();
    let elsewhere = node.root().join("usr/lib/cni");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::write(elsewhere.join("bridge"), "the reference").unwrap();
    sh::run(installation(&node.root()).args(["--drop-in", "--bin-dir", "/usr/lib/cni"]));
    assert!(fs::read_link(elsewhere.join("portmap")).is_ok());
    let output = node.run(|| sh::output(wharfctl(&node.root()).arg("uninstall")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(files(&elsewhere), [Path::new("bridge")]);
    assert_eq!(fs::read_to_string(elsewhere.join("bridge")).unwrap(), "the reference");
    assert!(files(&node.bin).is_empty());
}

#[test]
fn what_stays_is_told_and_so_is_a_time_that_is_over() {
    let node = Node::new();
    let etc = node.root().join("etc/cni");
    fs::create_dir_all(etc.join("net.d")).unwrap();
    fs::write(etc.join("wharf.toml"), "[log]\nlevel = 'info'\n").unwrap();
    let list = json!({"cniVersion": "1.0.0", "name": "net", "plugins": [bridge(json!({"bridge": "br7"})), {"type": "tuning"}]});
    fs::write(etc.join("net.d/10-net.conflist"), list.to_string()).unwrap();
    let container = node.container("c");
    let network = Network::new(&node, [bridge(json!({"bridge": "br7"}))]);
    let attachment = network.attach(&container.eth0());
    let uninstall = |arguments: &[&str]| {
        let output = node.run(|| sh::output(wharfctl(&node.root()).arg("uninstall").args(arguments)));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let (success, _, error) = uninstall(&["--wait", "--timeout", "1"]);
    assert!(!success && error.contains("the 1 seconds are over") && !error.contains("say --wait"), "{error}");
    let (success, _, error) = uninstall(&[]);
    assert!(!success && error.contains("or say --wait"), "{error}");
    attachment.del().silent();
    let (success, told, error) = uninstall(&["--wait"]);
    assert!(success, "{error}");
    let (_, stays) = told.split_once("Wharf is removed from this node\n").unwrap();
    for words in [
        "etc/cni/wharf.toml: stays",
        "the bridge br7: stays",
        "10-net.conflist: stays, and names plugins that are gone: bridge, host-local\n",
    ] {
        assert!(stays.contains(words), "{words}: {told}");
    }
}

/// Under a name that is a hash, nobody but its DEL would ever find it.
#[test]
fn a_journal_of_which_nothing_can_be_read_is_removed_on_request() {
    let node = Node::new();
    let folder = node.root().join("run/wharf/attachments");
    fs::create_dir_all(&folder).unwrap();
    let journal = folder.join(format!("blake3-{}", "0".repeat(64)));
    fs::write(&journal, "no journal").unwrap();
    let call = |arguments: &[&str]| {
        let output = node.run(|| sh::output(wharfctl(&node.root()).args(arguments)));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let (success, _, error) = call(&["uninstall"]);
    assert!(!success && error.contains("`wharfctl recover --force`"), "{error}");
    let (success, told, error) = call(&["recover"]);
    assert!(success && told.contains("this is no journal") && told.contains("--force"), "{told}{error}");
    assert!(journal.exists(), "its pod may be running");
    let (success, told, error) = call(&["recover", "--force", "--json"]);
    assert!(success, "{error}");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told[0]["removed"], &told[0]["attachment"]), (&json!(true), &Value::Null), "{told}");
    assert!(!journal.exists());
    let (success, _, error) = call(&["uninstall"]);
    assert!(success, "{error}");
}

#[test]
fn a_broken_component_is_refused_and_the_installation_stays() {
    let node = Node::new();
    let listed = guests(&node);
    let folder = node.folder("broken");
    fs::write(folder.join("bridge.wasm"), b"\0asm nonsense").unwrap();
    let output = sh::output(
        wharfctl(&node.root())
            .args(["install", "--drop-in", "--guests"])
            .arg(&folder)
            .arg("--binary")
            .arg(&Binaries::get().wharf),
    );
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("bridge.wasm"));
    assert_eq!(guests(&node), listed);
    let container = node.container("c");
    Network::new(&node, [bridge(json!({}))]).attach(&container.eth0()).del().silent();
}

/// Replaces a file of the node's installation; the others are shared with other nodes.
fn replace(file: &Path, content: &[u8]) {
    fs::remove_file(file).unwrap();
    fs::write(file, content).unwrap();
}

fn add(node: &Node) -> Outcome {
    let container = node.container("c");
    let outcome = Network::new(node, [layer2(json!({}))]).add(&container.eth0());
    assert_eq!(container.links(), ["lo"]);
    assert_eq!(node.links(), ["lo"]);
    outcome
}

#[test]
fn a_damaged_guest_is_never_run() {
    let node = Node::new();
    let digest = guests(&node).iter().find(|guest| guest["name"] == "bridge").unwrap()["artefact"].clone();
    let file = node.root().join(format!("var/lib/wharf/artefacts/{}.cwasm", digest.as_str().unwrap()));
    let mut content = fs::read(&file).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    replace(&file, &content);
    add(&node).error_naming(50, &["damaged", "digest", "wharfctl install"]);
    fs::remove_file(&file).unwrap();
    add(&node).error_naming(50, &["damaged", "missing", "wharfctl install"]);
}

#[test]
fn a_guest_that_others_may_write_is_never_run() {
    let node = Node::new();
    let file = node.root().join("var/lib/wharf/guests/bridge.json");
    let content = fs::read(&file).unwrap();
    replace(&file, &content);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    add(&node).error_naming(50, &["bridge.json", "others may write"]);
}

#[test]
fn a_guest_without_a_grant_is_never_run() {
    let node = Node::new();
    fs::remove_file(node.root().join("etc/cni/wharf.d/bridge.toml")).unwrap();
    add(&node).error_naming(50, &["bridge", "bridge.toml", "wharfctl install"]);
}

#[test]
fn a_guest_does_only_what_its_grant_says() {
    let node = Node::new();
    let file = node.root().join("etc/cni/wharf.d/bridge.toml");
    let grant = fs::read_to_string(&file).unwrap();
    let kept: Vec<&str> = grant.lines().filter(|line| !line.contains("links/create-veth")).collect();
    let without = kept.join(
        "
",
    );
    assert!(without.len() + 1 < grant.len(), "there was such a line: {grant}");
    replace(&file, without.as_bytes());
    let outcome = add(&node);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    outcome.error(900);
    assert!(said.contains("links/create-veth"), "{said}");
}

#[test]
fn a_missing_guest_names_the_command_to_run() {
    let node = Node::new();
    fs::remove_file(node.root().join("var/lib/wharf/guests/bridge.json")).unwrap();
    add(&node).error_naming(50, &["bridge", "wharfctl install"]);
}
