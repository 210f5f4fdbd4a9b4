//! What the manifests run, on a node: the installer under a read-only root file system, killed at each of its steps,
//! and the way back with pods that run.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use wharf_tests::install::{Binaries, wharfctl};
use wharf_tests::{Network, Node, Value, json, sh, skip};

use super::manifests::pod;

const LIST: &str = "etc/cni/net.d/10-wharf.conflist";

/// A node that has nothing of Wharf.
fn bare() -> Node {
    let node = Node::new();
    for folder in ["opt/cni/bin", "etc/cni", "var/lib/wharf"] {
        fs::remove_dir_all(node.root().join(folder)).unwrap();
        fs::create_dir_all(node.root().join(folder)).unwrap();
    }
    node
}

/// An API server that knows one node; where it is.
fn api(node: &Node) -> PathBuf {
    let listener = node.run(|| TcpListener::bind("127.0.0.1:0")).unwrap();
    let server = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let asked = lines.next().unwrap_or_default();
            lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
            let (status, body) = if asked.contains("/api/v1/nodes/node-1 ") {
                ("200 OK", json!({"spec": {"podCIDRs": ["10.244.3.0/24"]}}))
            } else {
                ("404 Not Found", json!({"message": asked}))
            };
            let body = body.to_string();
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = (&stream).write_all((head + &body).as_bytes());
        }
    });
    let file = node.folder("kube").join("config");
    let text = format!(
        "{{current-context: c, clusters: [{{name: c, cluster: {{server: 'http://{server}'}}}}], \
         contexts: [{{name: c, context: {{cluster: c}}}}]}}"
    );
    fs::write(&file, text).unwrap();
    file
}

/// What the installer's container runs, with the node in the place of /host.
fn arguments(node: &Node) -> Vec<String> {
    let pod = pod("base/daemonset.yaml");
    let install =
        pod["initContainers"].as_array().unwrap().iter().find(|one| one["name"] == "install").unwrap();
    assert_eq!(install["env"][0], json!({"name": "WHARF_ROOT", "value": "/host"}));
    let list = node.folder("list");
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes/base");
    fs::copy(base.join("10-wharf.conflist"), list.join("10-wharf.conflist")).unwrap();
    let given = install["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    given.map(|word| word.replace("/etc/wharf", list.to_str().unwrap())).collect()
}

/// Runs it where nothing but the node's folders can be written.
fn install(node: &Node) -> Output {
    let binaries = Binaries::get();
    let kubeconfig = api(node);
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-euc"]);
    command
        .arg("mount --bind \"$WHARF_ROOT\" \"$WHARF_ROOT\"; mount -o remount,bind,ro /; exec \"$@\"")
        .arg("sh");
    command.arg(&binaries.wharfctl).args(arguments(node));
    command.arg("--guests").arg(&binaries.guests).arg("--binary").arg(&binaries.wharf);
    command.arg("--kubeconfig").arg(kubeconfig);
    command.env("WHARF_ROOT", node.root()).env("NODE_NAME", "node-1");
    node.run(|| sh::output(&mut command))
}

fn network(node: &Node) -> Network<'_> {
    let list: Value = serde_json::from_slice(&fs::read(node.root().join(LIST)).expect("the list")).unwrap();
    // There is no kube-proxy here.
    let mut plugins = list["plugins"].as_array().unwrap().clone();
    plugins[1].as_object_mut().unwrap().remove("externalSetMarkChain");
    Network::new(node, plugins).named("pods").version("1.0.0")
}

/// The first container of a node's doctor that it is not well.
fn is_well(node: &Node) {
    let output = node.run(|| sh::output(wharfctl(&node.root()).args(["doctor", "--probe"])));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}

#[test]
fn the_installer_makes_a_node_and_uninstall_lets_its_pods_go() {
    let node = bare();
    fs::write(node.bin.join("portmap"), "the reference").unwrap();
    let output = install(&node);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::read_to_string(node.root().join(LIST)).unwrap().contains("10.244.3.0/24"));
    assert_eq!(node.sysctl("ipv4/ip_forward"), "1");
    is_well(&node);

    let containers = ["one", "two"].map(|id| node.container(id));
    let network = network(&node);
    let before = node.dump();
    let attachments = containers.each_ref().map(|container| network.attach(&container.eth0()));
    assert!(node.pings(attachments[0].ip(false)));

    let uninstall = |arguments: &[&str]| {
        let mut command = wharfctl(&node.root());
        node.run(|| sh::output(command.arg("uninstall").args(arguments)))
    };
    let output = uninstall(&[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("one/eth0") && said.contains("stays until"), "{said}");
    // No new pod; the old ones work, are checked, and can be deleted.
    let late = node.container("late");
    network.add(&late.eth0()).error_naming(50, &["being removed", "wharfctl uninstall"]);
    assert!(node.pings(attachments[1].ip(false)));
    attachments[0].check().silent();
    attachments[0].del().silent();

    // Another plugin's list takes over: ours goes at once, and what the runtime will not delete by us is collected.
    let other = json!({"cniVersion": "1.0.0", "name": "other", "plugins": [{"type": "other"}]});
    fs::write(node.root().join("etc/cni/net.d/99-other.conflist"), other.to_string()).unwrap();
    let output = uninstall(&["--wait", "--timeout", "1"]);
    assert!(!output.status.success());
    assert!(!node.root().join(LIST).exists());
    let [_, two] = containers;
    two.vanish();
    // A pod that the plugins before Wharf attached is none of what is lost.
    fs::write(node.leases("pods").join("10.244.3.77"), "other\r\neth0").unwrap();
    let output = uninstall(&["--wait", "--timeout", "30"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let left: Vec<_> = wharf_tests::node::files(&node.root())
        .into_iter()
        .filter(|file| !file.starts_with("var/lib/cni/networks"))
        .collect();
    assert_eq!(left, ["etc/cni/net.d/99-other.conflist", "opt/cni/bin/portmap"].map(PathBuf::from));
    assert_eq!(fs::read_to_string(node.bin.join("portmap")).unwrap(), "the reference");
    assert_eq!(node.leased("pods"), ["10.244.3.77"]);
    fs::remove_file(node.leases("pods").join("10.244.3.77")).unwrap();
    // A bridge stays, as the reference leaves it.
    node.sh("ip link delete cni0");
    crate::common::assert_undone(&node.dump(), &before);
}

#[test]
fn a_node_whose_pod_cidr_is_not_known_is_left_as_it_was() {
    let node = bare();
    let mut command = wharfctl(&node.root());
    command.args(arguments(&node).iter().filter(|word| !word.starts_with("--wait")));
    command.arg("--guests").arg(&Binaries::get().guests).arg("--binary").arg(&Binaries::get().wharf);
    command.args(["--node", "node-2", "--kubeconfig"]).arg(api(&node));
    let output = node.run(|| sh::output(&mut command));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("404") && said.contains("node-2"), "{said}");
    assert_eq!(wharf_tests::node::files(&node.root()), Vec::<PathBuf>::new());
}

/// A folder with one guest: compiling it takes little.
fn one_guest(node: &Node) -> PathBuf {
    let folder = node.folder("guests");
    fs::copy(Binaries::get().guests.join("loopback.wasm"), folder.join("loopback.wasm")).unwrap();
    folder
}

#[test]
fn an_installer_that_is_killed_leaves_no_list_that_does_not_work() {
    if Command::new("strace").arg("-V").output().is_err() {
        skip!("strace, which kills the installer at a chosen step, is not installed");
    }
    let node = bare();
    let list = json!({"cniVersion": "1.0.0", "name": "lo", "plugins": [{"type": "loopback"}]}).to_string();
    let file = node.folder("list").join("10-wharf.conflist");
    fs::write(&file, &list).unwrap();
    let guests = one_guest(&node);
    let mut steps = 0;
    for step in 1.. {
        let inject = format!("inject=rename,renameat,renameat2:signal=SIGKILL:when={step}");
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "trace=rename,renameat,renameat2",
            "-e",
            &inject,
        ]);
        command.arg(&Binaries::get().wharfctl).args(["install", "--drop-in"]);
        command.arg("--guests").arg(&guests).arg("--binary").arg(&Binaries::get().wharf);
        command.arg("--conflist").arg(&file).env("WHARF_ROOT", node.root());
        let done = node.run(|| sh::output(&mut command)).status.success();
        let there = node.root().join(LIST);
        if there.exists() {
            assert_eq!(fs::read_to_string(&there).unwrap(), list, "step {step}: the whole list or none");
            let container = node.container(&format!("c{step}"));
            Network::new(&node, [json!({"type": "loopback"})]).named("lo").attach(&container.target("lo"));
        } else {
            assert!(!done, "step {step}");
        }
        steps = step;
        if done {
            break;
        }
    }
    // Manifest, grant, binary, link, note, list; and an artefact that was there already is not written again.
    assert!((7..=8).contains(&steps), "{steps} steps");
    let drafts: Vec<_> = wharf_tests::node::files(&node.root())
        .into_iter()
        .filter(|file| file.starts_with("etc/cni/net.d") && !file.ends_with("10-wharf.conflist"))
        .filter(|file| file.extension().is_some_and(|extension| extension == "conflist"))
        .collect();
    assert!(drafts.is_empty(), "no draft looks like a list: {drafts:?}");
}
