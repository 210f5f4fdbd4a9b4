//! `wharfctl new`: what it makes builds, its tests pass, and it runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use wharf_tests::install::{Binaries, wharfctl};
use wharf_tests::{Network, Node, json, sh};

fn clone() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The projects share what they build: cargo's cache is warm from the second one on.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("new")
}

fn cargo(project: &Path, arguments: &[&str]) -> String {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).args(["--quiet", "--offline", "--target-dir"]).arg(target());
    cargo.current_dir(project).env_remove("RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
    sh::run(&mut cargo)
}

/// A project in a folder of its own, built and tested. Answers the component.
fn made(world: &str) -> PathBuf {
    let folder = place(world);
    let name = format!("my-{world}");
    let project = folder.join(&name);
    let started = Instant::now();
    let mut new = Command::new(&Binaries::get().wharfctl);
    sh::run(new.args(["new", "--world", world, &name, "--sdk"]).arg(clone()).current_dir(&folder));
    let tests = cargo(&project, &["test"]);
    let passed = |line: &str| line.starts_with("test result: ok. ") && !line.contains(" 0 passed");
    assert!(tests.lines().any(passed), "{tests}");
    println!("{world}: from `wharfctl new` to tests that pass in {:.1} s", started.elapsed().as_secs_f32());
    cargo(&project, &["build", "--release", "--target", "wasm32-wasip2"]);
    println!("{world}: to a component in {:.1} s", started.elapsed().as_secs_f32());
    let component = folder.join(format!("my_{world}.wasm"));
    fs::copy(target().join("wasm32-wasip2/release").join(format!("my_{world}.wasm")), &component).unwrap();
    component
}

fn place(world: &str) -> PathBuf {
    let folder = wharf_tests::install::workplace().join("new").join(world);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Adds it to a node as its README says.
fn install(node: &Node, component: &Path, name: &str, grant: &[&str]) {
    let project = place(name.trim_start_matches("my-")).join(name);
    let mut add = wharfctl(&node.root());
    sh::run(
        add.arg("add").args(grant).args(["--drop-in", "--name", name]).arg(component).current_dir(project),
    );
}

fn scenarios(world: &str, component: &Path) {
    let project = place(world).join(format!("my-{world}"));
    let mut test = Command::new(&Binaries::get().wharfctl);
    test.args(["test", "scenarios"]).arg(component).arg("--guests").arg(&Binaries::get().guests);
    sh::run(test.current_dir(project));
}

#[test]
fn an_interface_plugin_is_ready_to_run() {
    let component = made("interface");
    scenarios("interface", &component);
    let node = Node::new();
    install(&node, &component, "my-interface", &["--grant", "scenarios/grants/my_interface.toml"]);
    let container = node.container("c");
    let ipam = json!({"type": "host-local", "ranges": [[{"subnet": "10.22.0.0/24"}]]});
    let network = Network::new(&node, [json!({"type": "my-interface", "mtu": 1400, "ipam": ipam})]);
    let attachment = network.attach(&container.eth0());
    assert!(container.pings("10.22.0.1".parse().unwrap()) && node.pings("10.22.0.2".parse().unwrap()));
    attachment.check().silent();
    attachment.del().silent();
    assert!(container.link("eth0").is_none());
}

#[test]
fn a_chained_plugin_and_an_address_manager_are_ready_to_run() {
    let (chained, ipam) = (made("chained"), made("ipam"));
    scenarios("chained", &chained);
    scenarios("ipam", &ipam);
    let node = Node::new();
    install(&node, &chained, "my-chained", &["--suggest"]);
    install(&node, &ipam, "my-ipam", &["--suggest"]);
    let container = node.container("c");
    let bridge =
        json!({"type": "bridge", "isGateway": true, "ipam": {"type": "my-ipam", "subnet": "10.22.0.0/24"}});
    let network = Network::new(&node, [bridge, json!({"type": "my-chained", "mtu": 1300})]);
    let attachment = network.attach(&container.eth0());
    assert_eq!(container.link("eth0").unwrap()["mtu"], 1300);
    assert!(container.pings("10.22.0.1".parse().unwrap()));
    attachment.check().silent();
    attachment.del().silent();
}

#[test]
fn a_policy_is_ready_to_run() {
    scenarios("policy", &made("policy"));
}

#[test]
fn nothing_is_written_over_and_nothing_is_guessed() {
    let folder = place("refusals");
    let new = |arguments: &[&str]| {
        let mut new = Command::new(&Binaries::get().wharfctl);
        let output = new.arg("new").args(arguments).current_dir(&folder).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    fs::create_dir_all(folder.join("taken/src")).unwrap();
    let clone = clone().to_str().unwrap();
    for (arguments, says) in [
        (&["--world", "ipam", "taken", "--sdk", clone][..], "taken is there already"),
        (&["--world", "ipam", "Taken", "--sdk", clone], "lower-case letters"),
        (&["--world", "ipam", "host-local", "--sdk", clone], "Wharf's own are called that"),
        (&["--world", "ipam", "free", "--sdk", "/"], "no clone of Wharf"),
        (&["--world", "router", "free"], "interface, chained, ipam, policy"),
    ] {
        let said = new(arguments);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    assert!(!folder.join("free").exists());
}
