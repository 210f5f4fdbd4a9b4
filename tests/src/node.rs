//! A node: the namespace that plays the host, a root of its own for Wharf, containers, and a machine outside.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Dump, Netns, Outcome, Target, install};

/// The node's addresses on its link to the outside, `wan0`.
pub const NODE: [&str; 2] = ["203.0.113.1", "2001:db8:113::1"];
/// The addresses of the machine outside.
pub const OUTSIDE: [&str; 2] = ["203.0.113.2", "2001:db8:113::2"];

/// A host with an installed Wharf. Everything goes when this is dropped.
#[derive(Debug)]
pub struct Node {
    netns: Netns,
    dir: PathBuf,
    /// Its executables: `wharf`, and a link to it for each plugin.
    pub bin: PathBuf,
    /// Where executables are looked for; the folder above and what a test adds.
    pub cni_path: String,
}

impl Node {
    /// A node as it is after `wharfctl install --drop-in`, with only a loopback.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let template = install::template();
        let dir = install::workplace().join(COUNT.fetch_add(1, Ordering::Relaxed).to_string());
        install::copy(template, &dir.join("root")).expect("copy the installation");
        let netns = Netns::create(&dir.join("node"));
        netns.sh("ip link set lo up");
        let bin = dir.join("root/opt/cni/bin");
        let cni_path = bin.display().to_string();
        Self { netns, dir, bin, cni_path }
    }

    /// A network as after a start: nothing is left of the one before, unless a process still is in it.
    pub(crate) fn renew(&mut self) {
        // Removed first: they are mounted on the same file.
        self.netns.unmount();
        self.netns = Netns::create(&self.dir.join("node"));
        self.netns.sh("ip link set lo up");
    }

    /// `WHARF_ROOT`.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// A folder of the node's own for whatever a test needs.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.dir.join(name);
        fs::create_dir_all(&folder).expect("create a folder");
        folder
    }

    /// Where the leases of a network are.
    pub fn leases(&self, network: &str) -> PathBuf {
        self.root().join("var/lib/cni/networks").join(network)
    }

    /// The addresses that are leased on a network, sorted as text.
    pub fn leased(&self, network: &str) -> Vec<String> {
        let entries = fs::read_dir(self.leases(network)).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().expect("a lease has a plain name"));
        let mut leased: Vec<String> = names.filter(|name| name.parse::<IpAddr>().is_ok()).collect();
        leased.sort();
        leased
    }

    /// A container: a namespace that only has a loopback.
    pub fn container(&self, id: &str) -> Container {
        let netns = Netns::create(&self.dir.join(format!("container-{id}")));
        Container { netns, host: self.netns.path().to_owned(), id: id.to_owned() }
    }

    /// A machine beyond `wan0`. It knows no route to the containers.
    pub fn outside(&self) -> Netns {
        let outside = Netns::create(&self.dir.join("outside"));
        self.sh(&format!("ip link add wan0 type veth peer name eth0 netns {}", outside.path().display()));
        for (netns, link, [v4, v6]) in [(&self.netns, "wan0", NODE), (&outside, "eth0", OUTSIDE)] {
            // A link-local address that is still being tried could not ask for neighbours.
            netns.set_sysctl(&format!("ipv6/conf/{link}/accept_dad"), "0");
            netns.sh(&format!("ip addr add {v4}/24 dev {link}"));
            netns.sh(&format!("ip addr add {v6}/64 dev {link} nodad"));
            netns.sh(&format!("ip link set {link} up"));
        }
        outside
    }

    /// What is in the node's kernel and in its state folders.
    pub fn dump(&self) -> Dump {
        Dump::of(&self.netns, Some(&self.root()))
    }

    /// Executes `program` (a name in [`Node::bin`], or a path) on the node with nothing but these variables, `PATH`,
    /// `WHARF_ROOT` and, unless it is among them, `CNI_PATH`.
    pub fn exec(&self, program: &str, env: &[(&str, &str)], stdin: &[u8]) -> Outcome {
        self.exec_under(&[], program, env, stdin)
    }

    /// The same under a wrapper such as strace.
    pub fn exec_under(&self, wrapper: &[&str], program: &str, env: &[(&str, &str)], stdin: &[u8]) -> Outcome {
        let program = self.bin.join(program);
        let mut command = self.command(wrapper, &program, env);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = self.run(|| {
            let mut child = command.spawn().unwrap_or_else(|error| panic!("start {command:?}: {error}"));
            let mut pipe = child.stdin.take().expect("a pipe");
            match pipe.write_all(stdin) {
                // It need not read what it has no use for.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                written => written.expect("write the configuration"),
            }
            drop(pipe);
            child.wait_with_output().expect("wait for the plugin")
        });
        Outcome::new(&program, env, output)
    }

    /// The command that [`Node::exec`] starts, to be started in [`Netns::run`].
    pub(crate) fn command(&self, wrapper: &[&str], program: &Path, env: &[(&str, &str)]) -> Command {
        let mut command = match wrapper {
            [] => Command::new(program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("WHARF_ROOT", self.root()).env("CNI_PATH", &self.cni_path).envs(env.iter().copied());
        command
    }

    /// One call of one plugin for a target with this configuration.
    pub fn call(&self, plugin: &str, command: &str, target: &Target, config: &Value) -> Outcome {
        self.call_raw(plugin, command, target, config.to_string().as_bytes())
    }

    /// The same with anything on standard input.
    pub fn call_raw(&self, plugin: &str, command: &str, target: &Target, stdin: &[u8]) -> Outcome {
        self.exec(plugin, &target.env(command), stdin)
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Node {
    type Target = Netns;

    fn deref(&self) -> &Netns {
        &self.netns
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The node's namespace is mounted in there; its own drop comes later.
        let _ = nix::mount::umount2(self.netns.path(), nix::mount::MntFlags::MNT_DETACH);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A container. Its namespace goes when this is dropped.
#[derive(Debug)]
pub struct Container {
    netns: Netns,
    /// The node's namespace.
    host: PathBuf,
    /// `CNI_CONTAINERID`.
    pub id: String,
}

impl Container {
    /// Its attachment by `eth0`.
    pub fn eth0(&self) -> Target {
        self.target("eth0")
    }

    /// Its attachment by a link of that name.
    pub fn target(&self, ifname: &str) -> Target {
        Target::new(&self.id, &self.netns.path().display().to_string(), ifname)
    }

    /// What is in its namespace.
    pub fn dump(&self) -> Dump {
        Dump::of(&self.netns, None)
    }

    /// Its namespace vanishes before its DEL, and with it the other ends of its veths, which the kernel removes later.
    /// Answers the path that it had.
    pub fn vanish(self) -> PathBuf {
        let veths = |netns: &Netns, key: &str| -> Vec<u64> {
            let all = netns.json("ip -d -j link");
            let all = all.as_array().into_iter().flatten();
            let veths = all.filter(|link| link["linkinfo"]["info_kind"] == "veth");
            veths.filter_map(|link| link[key].as_u64()).collect()
        };
        let host = Netns::open(&self.host);
        let peers = veths(&self.netns, "link_index");
        let path = self.netns.remove();
        // Unless somebody holds it.
        let end = Instant::now() + Duration::from_secs(2);
        while veths(&host, "ifindex").iter().any(|index| peers.contains(index)) && Instant::now() < end {}
        path
    }
}

impl Deref for Container {
    type Target = Netns;

    fn deref(&self) -> &Netns {
        &self.netns
    }
}

/// The files below a folder, relative to it, sorted; none if it is not there.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).expect("it is below").to_owned());
            }
        }
    }
    found.sort();
    found
}
