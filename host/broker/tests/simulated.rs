//! The whole broker on a simulated machine: no root, no network, the same ADD, CHECK, DEL and undo.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is test code: a panic is how it says that something is wrong"
)]

mod common;

use std::net::IpAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use common::attach::{ADD, DEL, IFB, LAZY_DEL, VETH};
use common::{Guest, Scripted};
use wharf_broker::log::Log;
use wharf_broker::{Broker, Output, Paths};
use wharf_kernel::{Kernel as _, Machine as _};
use wharf_ops::call::Answer;
use wharf_ops::links::{Common, LinkOp};
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{Attachment, KernelOp, Mac, Ns};
use wharf_sim::{Outcome, Probe, Sim, Space};

const NETNS: &str = "/run/netns/c1";

/// A simulated node with one container, and its files.
struct Node {
    root: tempfile::TempDir,
    sim: Sim,
    container: Space,
}

impl Node {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        common::install(&Paths::below(root.path()), None, "");
        let sim = Sim::new(1);
        let container = sim.add_namespace(NETNS);
        // As on every node: a bridge that some attachment left, with the address that it gave it, and forwarding.
        let owner = Attachment { network: "n".into(), container: "c0".into(), ifname: "eth0".into() };
        let common = Common { name: "br0".into(), mac: Some(Mac([2, 0, 0, 0, 0, 0x1f])), mtu: None };
        let bridge = LinkOp::EnsureBridge { ns: Ns::Host, common, vlan_filtering: false };
        let (key, value) = ("ipv4/ip_forward".into(), "1".into());
        let forwarding = SysctlOp::Write { ns: Ns::Host, key, value };
        for op in [KernelOp::Link(bridge), KernelOp::Sysctl(forwarding)] {
            sim.kernel(sim.host(), None).apply(&owner, &op).unwrap();
        }
        sim.take_changes();
        Self { root, sim, container }
    }

    fn broker(&self, script: impl Fn(&mut Guest) + Send + Sync + 'static) -> Broker<Scripted> {
        let paths = Paths::below(self.root.path());
        Broker::new(paths, Scripted::of(script), self.sim.clone(), Log::from_env())
    }

    fn run(&self, command: &str, script: impl Fn(&mut Guest) + Send + Sync + 'static) -> Output {
        self.call(command, Some(NETNS), script)
    }

    fn call(
        &self,
        command: &str,
        netns: Option<&str>,
        script: impl Fn(&mut Guest) + Send + Sync + 'static,
    ) -> Output {
        let variables = |key: &str| match key {
            "CNI_COMMAND" => Some(command.to_owned()),
            "CNI_CONTAINERID" => Some("c1".to_owned()),
            "CNI_IFNAME" => Some("eth0".to_owned()),
            "CNI_NETNS" => netns.map(str::to_owned),
            _ => None,
        };
        let conf = br#"{"cniVersion":"1.1.0","name":"n","type":"g"}"#;
        self.broker(script).run("g", variables, conf.as_slice())
    }

    /// What is there, in the machine and in the files.
    fn picture(&self) -> String {
        let mut files = Vec::new();
        for folder in ["var/lib/cni", "run/wharf/attachments"] {
            find(&self.root.path().join(folder), &mut files);
        }
        files.retain(|file| !file.contains("/lock") && !file.contains("last_reserved"));
        files.sort();
        let spaces = [self.sim.host(), self.container].map(|space| self.sim.picture(space));
        format!("{}\ncontainer\n{}\n{}", spaces[0], spaces[1], files.join("\n"))
    }
}

fn find(folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            find(&entry.path(), files);
        } else {
            files.push(entry.path().display().to_string());
        }
    }
}

fn check(guest: &mut Guest) {
    guest.finish(Ok(Answer::Done));
}

fn whole_life() {
    let node = Node::new();
    let before = node.picture();
    let added = node.run("ADD", ADD);
    assert_eq!(added.status, 0, "{}", added.stdout);
    let after = node.picture();
    for wanted in [VETH, IFB, "address 10.0.0.2/24 dev eth0", "masquerade 10.0.0.2", "forward Tcp any 8001"] {
        assert!(after.contains(wanted), "{wanted} is missing in\n{after}");
    }
    let checked = node.run("CHECK", check);
    assert_eq!(checked.status, 0, "{}", checked.stdout);
    let deleted = node.run("DEL", DEL);
    assert_eq!(deleted.status, 0, "{}", deleted.stdout);
    common::assert_same(&lasting(&node.picture()), &lasting(&before), "after DEL");
}

/// Without what stays with a bridge that is everybody's, and switches of the host.
fn lasting(picture: &str) -> String {
    let stays = |line: &&str| line.contains("br0") || line.starts_with("sysctl");
    picture.lines().filter(|line| !stays(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_attachment_comes_and_goes() {
    whole_life();
}

#[test]
fn it_needs_no_root() {
    const AGAIN: &str = "WHARF_TEST_WITHOUT_ROOT";
    if std::env::var_os(AGAIN).is_some() || !nix::unistd::geteuid().is_root() {
        return whole_life();
    }
    // This very test again, as somebody who may do nothing.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for path in [folder.path(), &program] {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new(&program);
    command.args(["--exact", "it_needs_no_root", "--nocapture"]).env(AGAIN, "1").env_remove("TMPDIR");
    let output = command.current_dir("/").uid(65534).gid(65534).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn the_container_is_found_by_its_path() {
    let node = Node::new();
    let (code, message) = common::error(&node.call("ADD", Some("/run/netns/other"), ADD));
    assert!(code == 8 && message.contains("/run/netns/other"), "{code}: {message}");
    assert!(node.sim.open(Path::new(NETNS)).is_ok());
    assert_eq!(node.run("ADD", ADD).status, 0);
    // Without CNI_NETNS the recorded one is looked for.
    assert_eq!(node.call("DEL", None, LAZY_DEL).status, 0);
    assert!(!node.sim.picture(node.container).contains("eth0"));
}

#[test]
fn a_namespace_that_is_gone_is_no_reason_to_leave_something() {
    let node = Node::new();
    let before = node.sim.picture(node.sim.host());
    assert_eq!(node.run("ADD", ADD).status, 0);
    node.sim.remove_namespace(node.container);
    assert_eq!(node.run("DEL", DEL).status, 0);
    let after = node.sim.picture(node.sim.host());
    common::assert_same(&lasting(&after), &lasting(&before), "after a late DEL");
}

/// Whatever change fails, the ADD says so and leaves what was there.
#[test]
fn every_change_that_fails_is_undone() {
    let reference = Node::new();
    assert_eq!(reference.run("ADD", ADD).status, 0);
    let changes = u32::try_from(reference.sim.take_changes().len()).unwrap();
    assert!(changes > 15, "{changes}");
    for number in 1..changes {
        let node = Node::new();
        let before = node.picture();
        node.sim.fail(Some((number, nix::errno::Errno::EIO as i32)));
        let output = node.run("ADD", ADD);
        let (_, message) = common::error(&output);
        assert!(message.contains("a fault that was asked for"), "change {number}: {message}");
        common::assert_same(&node.picture(), &before, &format!("change {number} failed"));
    }
}

#[test]
fn packets_pass_an_attachment() {
    let node = Node::new();
    assert_eq!(node.run("ADD", ADD).status, 0);
    let gateway: IpAddr = "10.0.0.1".parse().unwrap();
    let probe = Probe::tcp(node.container, (gateway, 80).into());
    // The guard allows another hardware address than the container has.
    let passage = node.sim.probe(&probe);
    let Outcome::Dropped { reason, .. } = passage.outcome else { panic!("{passage:?}") };
    assert!(reason.contains("the guard of veth00000001"), "{reason}");

    let mut kernel = node.sim.kernel(node.sim.host(), Some(node.container));
    let owner = Attachment { network: "n".into(), container: "c1".into(), ifname: "eth0".into() };
    let get = LinkOp::Get { ns: Ns::Container, name: "eth0".into() };
    let link = kernel.apply(&owner, &KernelOp::Link(get)).unwrap().maybe_link().unwrap().unwrap();
    let set = LinkOp::SetMac { link, mac: Mac([2, 0, 0, 0, 0, 1]) };
    kernel.apply(&owner, &KernelOp::Link(set)).unwrap();

    let passage = node.sim.probe(&probe);
    let Outcome::Delivered { at, source, .. } = passage.outcome else { panic!("{passage:?}") };
    assert_eq!((at, source.ip().to_string().as_str()), (node.sim.host(), "10.0.0.2"));
    assert_eq!(passage.rate, Some(1_000_000), "what the container sends is redirected to the ifb");
    assert!(passage.hops.iter().any(|hop| hop.link == IFB), "{passage:?}");
}
