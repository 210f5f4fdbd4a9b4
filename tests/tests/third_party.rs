//! A guest that a stranger made with stock tools: looked at, allowed, run, upgraded, removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use wharf_tests::install::{self, Binaries, wharfctl};
use wharf_tests::{Container, Dump, Network, Node, Value, json, sh};

use crate::common::bridge;

/// Its two versions. The second one imports more.
struct Built {
    first: PathBuf,
    second: PathBuf,
}

fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let build = |version: &str, features: &[&str]| {
            let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stranger");
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("stranger");
            let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            cargo.args(["build", "--quiet", "--offline", "--locked", "--release"]);
            cargo.args(["--target", "wasm32-wasip2"]).args(features).current_dir(source);
            cargo.arg("--target-dir").arg(&target).env_remove("RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
            sh::run(&mut cargo);
            // By the name that it is to have.
            let folder = target.join(version);
            fs::create_dir_all(&folder).unwrap();
            let file = folder.join("mtu.wasm");
            fs::copy(target.join("wasm32-wasip2/release/stranger.wasm"), &file).unwrap();
            file
        };
        Built { first: build("first", &[]), second: build("second", &["--features", "second"]) }
    })
}

fn ctl(node: &Node, args: &[&str]) -> Output {
    wharfctl(&node.root()).args(args).output().unwrap()
}

#[track_caller]
fn good(node: &Node, args: &[&str]) -> String {
    sh::run(wharfctl(&node.root()).args(args))
}

/// What it says when it fails.
#[track_caller]
fn refused(node: &Node, args: &[&str]) -> String {
    let output = ctl(node, args);
    assert!(!output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

/// The files of Wharf's own, without which is which.
fn installed(node: &Node) -> Vec<PathBuf> {
    let mut all = wharf_tests::node::files(&node.root());
    all.sort();
    all
}

fn mtu(container: &Container) -> Value {
    let links: Value = serde_json::from_str(&container.sh("ip -j link show dev eth0")).unwrap();
    links[0]["mtu"].clone()
}

/// A node with a bridge, and behind it the stranger's guest.
fn network(node: &Node) -> Network<'_> {
    Network::new(node, [bridge(json!({})), json!({"type": "mtu", "mtu": 1400})])
}

/// A container, and how everything was before. The bridge is there: it outlives its attachments.
fn before(network: &Network<'_>) -> (Container, Dump, Dump) {
    let node = network.node();
    let container = node.container("c");
    network.attach(&container.eth0()).del().silent();
    let dumps = (node.dump(), container.dump());
    (container, dumps.0, dumps.1)
}

#[test]
fn a_component_is_looked_at_before_anything_runs_it() {
    let node = Node::new();
    let first = path(&built().first);
    let text = good(&node, &["inspect", first]);
    for words in [
        "network: makes attachments",
        "sha256:",
        " KiB",
        "  contains code in ",
        "rustc",
        "wit-bindgen",
        "set the MTU of links",
    ] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    let value: Value = serde_json::from_str(&good(&node, &["inspect", "--json", first])).unwrap();
    let imports: Vec<&str> =
        value["imports"].as_array().unwrap().iter().map(|it| it["operation"].as_str().unwrap()).collect();
    assert_eq!(imports, ["links/get", "links/set-mtu"]);
    assert_eq!(value["size"], fs::metadata(first).unwrap().len());
    let wrong = refused(&node, &["inspect", "/bin/sh"]);
    assert!(wrong.contains("/bin/sh is no guest") && wrong.contains("native"), "{wrong}");
}

#[test]
fn a_component_says_which_sdk_it_was_made_with() {
    let node = Node::new();
    let sdk = format!("  SDK      wharf-sdk {}\n", env!("CARGO_PKG_VERSION"));
    // One guest of each world that has one.
    let guests = &Binaries::get().guests;
    let policies = install::policies();
    for file in [
        guests.join("loopback.wasm"),
        guests.join("host-local.wasm"),
        policies.join("host-ports.wasm"),
        policies.join("default-bandwidth.wasm"),
    ] {
        let text = good(&node, &["inspect", path(&file)]);
        assert!(text.contains(&sdk), "{text}");
    }
    // It was made without.
    let text = good(&node, &["inspect", path(&built().first)]);
    assert!(!text.contains("  SDK "), "{text}");
}

#[test]
fn nothing_is_allowed_that_nobody_allowed() {
    let node = Node::new();
    let before = installed(&node);
    let said = refused(&node, &["add", path(&built().first)]);
    for words in ["wharfctl inspect", "--suggest", "--grant", "grants suggest --component"] {
        assert!(said.contains(words), "{words:?} in {said}");
    }
    // A grant for another component, and one that is not enough.
    let grant = good(&node, &["grants", "suggest", "--component", path(&built().first)]);
    let folder = node.folder("grants");
    let (other, less, exact) = (folder.join("other"), folder.join("less"), folder.join("exact"));
    fs::write(&other, good(&node, &["grants", "suggest", "--component", path(&built().second)])).unwrap();
    fs::write(&less, grant.replace("    \"links/set-mtu\",\n", "")).unwrap();
    fs::write(&exact, grant).unwrap();
    let said = refused(&node, &["add", path(&built().first), "--grant", path(&other)]);
    assert!(said.contains("it is for sha256:"), "{said}");
    let said = refused(&node, &["add", path(&built().first), "--grant", path(&less)]);
    assert!(said.contains("links/set-mtu") && said.contains("less"), "{said}");
    assert_eq!(installed(&node), before, "nothing was installed by halves");

    good(&node, &["add", path(&built().first), "--grant", path(&exact)]);
    let own = node.root().join("etc/cni/wharf.d/mtu.toml");
    assert_eq!(fs::read_to_string(own).unwrap(), fs::read_to_string(exact).unwrap());
    assert!(good(&node, &["grants", "check", "mtu"]).contains("mtu: good"));
}

#[test]
fn a_name_of_wharfs_own_is_taken_by_force_only_and_can_be_had_back() {
    let node = Node::new();
    let before = installed(&node);
    let first = path(&built().first);
    let said = refused(&node, &["add", "--suggest", "--name", "bridge", first]);
    assert!(said.contains("would replace sha256:") && said.contains("--force"), "{said}");
    assert_eq!(installed(&node), before);

    good(&node, &["add", "--suggest", "--force", "--name", "bridge", first]);
    let file = node.root().join("etc/cni/wharf.d/bridge.toml");
    let suggested = fs::read_to_string(&file).unwrap();
    // What an operator has made of it is not written over, and nothing is replaced that could not run then.
    fs::write(&file, format!("{suggested}[limits]\ndeadline-ms = 7000\n")).unwrap();
    let replaced = installed(&node);
    let output = install::installation(&node.root()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("bridge would not run by it"), "{said}");
    assert_eq!(installed(&node), replaced);

    fs::write(&file, suggested).unwrap();
    let said = sh::run(&mut install::installation(&node.root()));
    assert!(!said.contains("changed by hand"), "{said}");
    assert!(good(&node, &["grants", "check", "bridge"]).contains("bridge: good"));
    let container = node.container("c");
    Network::new(&node, [bridge(json!({}))]).attach(&container.eth0()).del().silent();
}

#[test]
fn it_runs_and_is_upgraded_and_removed_while_its_attachments_live() {
    for chain in [true, false] {
        let node = Node::new();
        let mut add = vec!["add", path(&built().first), "--suggest"];
        if !chain {
            add.push("--drop-in");
        }
        good(&node, &add);
        let network = if chain { network(&node).chain() } else { network(&node) };
        let (container, host, inside) = before(&network);
        let old = network.attach(&container.eth0());
        assert_eq!(mtu(&container), 1400, "chain: {chain}");

        // The second version wants more than the first one's grant has: until that is said, the first one goes on.
        let said = refused(&node, &["add", path(&built().second)]);
        assert!(said.contains("\"links/set-alias\",") && said.contains("--suggest"), "{said}");
        let other = node.container("other");
        network.attach(&other.eth0()).del().silent();
        good(&node, &["add", path(&built().second), "--suggest"]);

        // What the old one set up is checked and deleted with the new one.
        old.check().silent();
        old.del().silent();
        node.dump().assert_same(&host);
        container.dump().assert_same(&inside);

        let new = network.attach(&container.eth0());
        let links = container.sh("ip link show dev eth0");
        assert!(links.contains("by a stranger") && links.contains("mtu 1400"), "{links}");
        let said = good(&node, &["remove", "mtu"]);
        assert_eq!(said.contains("stays: by it the runtime deletes 1 attachments"), !chain, "{said}");
        assert!(!node.root().join("etc/cni/wharf.d/mtu.toml").exists());
        if chain {
            network.add(&other.eth0()).error_naming(50, &["\"mtu\" is not installed"]);
        }
        // As containerd does it, once more; and there is nothing for the missing guest to do.
        for _ in 0..2 {
            new.del().silent();
            node.dump().assert_same(&host);
            container.dump().assert_same(&inside);
        }
    }
}

#[test]
fn a_delete_without_the_guest_fails_only_where_it_may_have_left_something() {
    let node = Node::new();
    good(&node, &["add", path(&built().first), "--suggest", "--drop-in"]);
    let alone = network(&node);
    let chain = network(&node).chain();
    let container = node.container("c");
    good(&node, &["remove", "mtu"]);
    std::os::unix::fs::symlink("wharf", node.bin.join("mtu")).unwrap();

    // Before any ADD, and after one that could not be made.
    chain.del(&container.eth0(), None).silent();
    chain.add(&container.eth0()).error_naming(50, &["\"mtu\" is not installed"]);
    chain.del(&container.eth0(), None).silent();
    // One by one, the bridge is there when the ADD fails; the runtime deletes from the last.
    alone.add(&container.eth0()).error_naming(50, &["\"mtu\" is not installed"]);
    assert_eq!(node.leased("net").len(), 1);
    alone.del(&container.eth0(), None).silent();
    assert!(node.leased("net").is_empty());

    // Somebody else's attachment: by an address, or by an interface, it may be there.
    fs::write(node.leases("net").join("10.1.0.9"), "c\r\neth0").unwrap();
    chain.del(&container.eth0(), None).error_naming(50, &["\"mtu\" is not installed"]);
    fs::write(node.leases("net").join("10.1.0.9"), "c\r\neth0").unwrap();
    let del = || {
        node.call(
            "mtu",
            "DEL",
            &container.eth0(),
            &json!({"cniVersion": "1.0.0", "name": "net", "type": "mtu"}),
        )
    };
    del().error_naming(50, &["\"mtu\" is not installed"]);
    fs::remove_file(node.leases("net").join("10.1.0.9")).unwrap();
    del().silent();
    container.sh("ip link add eth0 type veth peer name eth1");
    del().error_naming(50, &["\"mtu\" is not installed"]);
}

#[test]
fn what_a_drop_in_replaced_comes_back_when_it_is_removed() {
    let node = Node::new();
    fs::write(node.bin.join("mtu"), "a plugin").unwrap();
    good(&node, &["add", path(&built().first), "--suggest", "--drop-in"]);
    assert!(node.bin.join("mtu").is_symlink());
    let said = good(&node, &["remove", "mtu"]);
    assert!(said.contains("is what it was before"), "{said}");
    assert_eq!(fs::read_to_string(node.bin.join("mtu")).unwrap(), "a plugin");
}

#[test]
fn a_guest_that_a_list_names_is_removed_by_force_only() {
    let node = Node::new();
    good(&node, &["add", path(&built().first), "--suggest", "--drop-in"]);
    let folder = node.root().join("etc/cni/net.d");
    fs::create_dir_all(&folder).unwrap();
    let list = json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [
        {"type": "wharf", "chain": [bridge(json!({})), {"type": "mtu", "mtu": 1400}]}]});
    fs::write(folder.join("10-pods.conflist"), list.to_string()).unwrap();
    let before = installed(&node);
    let said = refused(&node, &["remove", "mtu"]);
    assert!(
        said.contains("10-pods.conflist: plugins[0].chain[1].type") && said.contains("--force"),
        "{said}"
    );
    assert_eq!(installed(&node), before);
    // The address manager is named as well.
    let said = refused(&node, &["remove", "host-local"]);
    assert!(said.contains("plugins[0].chain[0].ipam.type"), "{said}");
    // And so are policies, of the node and of a list.
    let settings = node.root().join("etc/cni/wharf.toml");
    fs::write(&settings, "policies = [\"loopback\"]").unwrap();
    let said = refused(&node, &["remove", "loopback"]);
    assert!(said.contains("wharf.toml: policies"), "{said}");
    fs::remove_file(&settings).unwrap();
    let single = json!({"cniVersion": "1.0.0", "name": "one", "type": "bridge", "policies": ["loopback"]});
    fs::write(folder.join("20-one.conf"), single.to_string()).unwrap();
    let said = refused(&node, &["remove", "loopback"]);
    assert!(said.contains("20-one.conf: it.policies"), "{said}");
    fs::remove_file(folder.join("20-one.conf")).unwrap();

    let said = good(&node, &["remove", "mtu", "--force"]);
    assert!(said.contains("mtu is removed") && !said.contains("stays"), "{said}");
    assert!(!node.bin.join("mtu").exists());
    let said = refused(&node, &["remove", "mtu"]);
    assert!(said.contains("there is no guest \"mtu\""), "{said}");
}
