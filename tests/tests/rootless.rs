//! In a user namespace: whoever is root there and nobody outside, as under a rootless container runtime.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wharf_tests::install::Binaries;
use wharf_tests::traffic::{Server, at, tcp};
use wharf_tests::{Netns, Value, json, sh};

/// Who root of the namespace is outside.
const OWNER: u32 = 100_000;
/// What a namespace of one user maps, and what `newuidmap` gives to a rootless runtime.
const ALONE: u32 = 1;
const ALL: u32 = 65_536;

/// A process that holds namespaces until this is dropped.
struct Holder(Child);

impl Holder {
    /// Started by `unshare` with these options, which have a new network namespace among them.
    fn start(mut unshare: Command) -> Self {
        let child = unshare.arg("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let holder = Self(child);
        let end = Instant::now() + Duration::from_secs(10);
        // That is the last thing that it becomes.
        while fs::read_to_string(holder.proc("comm")).unwrap().trim() != "cat" {
            assert!(Instant::now() < end, "{unshare:?} does not get ready");
            std::thread::sleep(Duration::from_millis(2));
        }
        holder
    }

    fn proc(&self, of: &str) -> PathBuf {
        Path::new("/proc").join(self.0.id().to_string()).join(of)
    }

    fn netns(&self) -> Netns {
        Netns::open(&self.proc("ns/net"))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A user namespace that plays a node, with an installed Wharf.
struct Node {
    holder: Holder,
    dir: PathBuf,
}

impl Node {
    fn new(test: &str, users: u32) -> Self {
        let holder = Holder::start(sh::words("unshare --user --net --mount"));
        for map in ["gid_map", "uid_map"] {
            fs::write(holder.proc(map), format!("0 {OWNER} {users}")).unwrap();
        }
        let dir = std::env::temp_dir().join(format!("wharf-rootless-{test}-{}", std::process::id()));
        fs::create_dir_all(dir.join("root")).unwrap();
        let built = Binaries::get();
        sh::run(sh::words("cp -r").args([&built.wharf, &built.wharfctl, &built.guests, &dir]));
        sh::run(sh::words("chmod -R a+rX").arg(&dir));
        chown(dir.join("root"), Some(OWNER), Some(OWNER)).unwrap();
        let node = Self { holder, dir };
        sh::run(&mut node.inside("ip link set lo up"));
        let guests = node.dir.join("guests");
        sh::run(node.wharfctl("install --drop-in --guests").arg(guests));
        node
    }

    /// A command line of the namespace's root.
    fn inside(&self, line: &str) -> Command {
        let pid = self.holder.0.id();
        let mut command = sh::words(&format!("nsenter --target {pid} --user --net --mount {line}"));
        command.env("WHARF_ROOT", self.dir.join("root"));
        command
    }

    fn wharfctl(&self, line: &str) -> Command {
        self.inside(&format!("{}/wharfctl {line}", self.dir.display()))
    }

    /// A namespace in it, as a rootless runtime makes one for each container.
    fn container(&self) -> Holder {
        Holder::start(self.inside("unshare --net"))
    }

    /// The exit status and the answer.
    fn call(&self, command: &str, container: &Holder, configuration: &Value) -> (Option<i32>, Value) {
        let bin = self.dir.join("root/opt/cni/bin");
        let mut call = self.inside(&bin.join("wharf").display().to_string());
        call.env("CNI_COMMAND", command).env("CNI_CONTAINERID", "c1").env("CNI_IFNAME", "eth0");
        call.env("CNI_NETNS", container.proc("ns/net")).env("CNI_PATH", bin);
        let mut child = call.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(configuration.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn list(backend: &str) -> Value {
    let range = json!({"subnet": "10.77.0.0/24"});
    json!({
        "cniVersion": "1.1.0", "name": "net", "type": "wharf",
        "runtimeConfig": {
            "portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}],
            "bandwidth": {"ingressRate": 8_000_000, "ingressBurst": 8_000_000, "egressRate": 8_000_000, "egressBurst": 8_000_000},
        },
        "chain": [
            {"type": "bridge", "isGateway": true, "ipMasq": true, "ipMasqBackend": backend, "ipam": {"type": "host-local", "ranges": [[range]]}},
            {"type": "portmap", "backend": backend},
            {"type": "bandwidth"},
        ],
    })
}

#[test]
fn a_chain_works_for_root_of_a_user_namespace() {
    let node = Node::new("chain", ALL);
    for backend in ["nftables", "iptables"] {
        let container = node.container();
        let mut list = list(backend);
        let (status, result) = node.call("ADD", &container, &list);
        assert_eq!(
            (status, &result["ips"][0]["gateway"]),
            (Some(0), &json!("10.77.0.1")),
            "{backend}: {result}"
        );
        let _server = Server::tcp(&container.netns(), "web", "0.0.0.0:80");
        let own = node.holder.netns();
        let answer = tcp(&own, at("10.77.0.1", 8080)).map(|(name, _)| name);
        assert_eq!(answer.as_deref(), Some("web"), "{backend}");
        list["prevResult"] = result;
        assert_eq!(node.call("CHECK", &container, &list), (Some(0), Value::Null), "{backend}");
        assert_eq!(node.call("DEL", &container, &list), (Some(0), Value::Null), "{backend}");
        assert_eq!(own.links(), ["lo", "cni0"], "{backend}");
    }
    let doctor = sh::output(&mut node.wharfctl("doctor --probe"));
    assert!(doctor.status.success(), "{doctor:?}");
}

#[test]
fn where_a_sandbox_can_be_nobody_no_container_gets_its_network() {
    let node = Node::new("alone", ALONE);
    let (status, error) = node.call("ADD", &node.container(), &list("nftables"));
    assert_eq!(status, Some(1));
    assert!(error["msg"].as_str().unwrap().contains("the sandbox could not be confined"), "{error}");
    assert_eq!(node.holder.netns().links(), ["lo"]);
    let doctor = sh::output(&mut node.wharfctl("doctor"));
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert_eq!(doctor.status.code(), Some(1), "{said}");
    assert!(said.contains("/proc/self/uid_map: there is no user 65534"), "{said}");
}
