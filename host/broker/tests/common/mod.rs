//! A broker whose sandboxes are scripts in this process, over the real kernel in throw-away namespaces.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

pub mod attach;
pub mod faulty;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use wharf_broker::grants::Limits;
use wharf_broker::guests::{self, Manifest, artefact_digest, sha256_hex};
use wharf_broker::launch::{Job, Launcher, Sandbox};
use wharf_broker::log::Log;
use wharf_broker::policy::NodePolicies;
use wharf_broker::{Broker, Output, Paths};
use wharf_kernel::Netns;
use wharf_ops::call::{Answer, CniError, Failure, NetworkResult};
use wharf_ops::delegate::{DelegateOp, Verb};
use wharf_ops::policy::Verdict;
use wharf_ops::wire::{self, Frames, Timings, ToBroker, ToSandbox};
use wharf_ops::{Error, OPERATIONS, Op, Reply};

/// Constraints that bound nothing.
const UNBOUNDED: &str = include_str!("unbounded.toml");

/// What plays the guest: it gets the sandbox's end of the socket.
pub type Script = fn(&mut Guest);

/// The sandbox's end of the conversation.
pub struct Guest {
    pub socket: UnixStream,
    frames: Frames,
}

impl Guest {
    pub fn ask(&mut self, op: Op) -> ToSandbox {
        wire::send(&mut self.socket, &ToBroker::Op(op)).unwrap();
        self.frames.receive(&mut self.socket).unwrap()
    }

    /// As [`Guest::ask`], for a script that ends with the broker or with the first error.
    pub fn attempt(&mut self, op: Op) -> Result<Reply, Stop> {
        wire::send(&mut self.socket, &ToBroker::Op(op)).map_err(|_| Stop::Gone)?;
        let answer: ToSandbox = self.frames.receive(&mut self.socket).map_err(|_| Stop::Gone)?;
        answer.map_err(Stop::Failed)
    }

    /// Ends a script of attempts.
    pub fn conclude(&mut self, done: Result<Answer, Stop>) {
        match done {
            Ok(answer) => self.finish(Ok(answer)),
            Err(Stop::Gone) => {}
            Err(Stop::Failed(error)) => {
                let error = CniError { code: 100, msg: error.to_string(), details: None };
                self.finish(Err(Failure::Guest(error)));
            }
        }
    }

    /// Sends a frame that was made by hand, and reads the answer.
    pub fn ask_raw(&mut self, frame: &[u8]) -> Result<ToSandbox, wire::WireError> {
        self.socket.write_all(frame)?;
        self.frames.receive(&mut self.socket)
    }

    pub fn finish(&mut self, outcome: Result<Answer, Failure>) {
        // The broker may have hung up, which is what some tests are about.
        let _ = wire::send(&mut self.socket, &ToBroker::Finished { outcome, timings: Timings::default() });
    }

    /// Of a policy: the next message.
    pub fn hear<T: wire::Message>(&mut self) -> Option<T> {
        self.frames.receive(&mut self.socket).ok()
    }

    /// Of a policy: the answer to it.
    pub fn judge(&mut self, verdict: Verdict) {
        self.finish(Ok(Answer::Verdict(verdict)));
    }

    pub fn succeed(&mut self) {
        self.finish(Ok(Answer::Result(NetworkResult::default())));
    }
}

/// Why a script does not go on.
pub enum Stop {
    /// The broker hung up.
    Gone,
    /// An operation failed.
    Failed(Error),
}

pub struct Scripted {
    guest: Arc<dyn Fn(&mut Guest) + Send + Sync>,
    policy: Script,
    /// Whether the guest runs its script without having read its call.
    pub deaf: bool,
}

impl Scripted {
    /// Every guest is this script, and there is no policy.
    pub fn of(script: impl Fn(&mut Guest) + Send + Sync + 'static) -> Self {
        Self { guest: Arc::new(script), policy: |_| {}, deaf: false }
    }

    fn start(script: impl Fn(&mut Guest) + Send + 'static) -> io::Result<Box<dyn Sandbox>> {
        let (ours, theirs) = UnixStream::pair()?;
        let thread = std::thread::spawn(move || script(&mut Guest { socket: theirs, frames: Frames::new() }));
        Ok(Box::new(Running { socket: ours, thread: Some(thread) }))
    }
}

struct Running {
    socket: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Sandbox for Running {
    fn socket(&mut self) -> &mut UnixStream {
        &mut self.socket
    }

    fn kill(&mut self) {
        // As with a process: its end of the socket is gone.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }

    fn wait(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        "ended".into()
    }
}

impl Launcher for Scripted {
    type Artefact = Vec<u8>;

    fn map(&self, mut file: &File) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn launch(&self, _artefact: &Vec<u8>, _job: Job<'_>) -> io::Result<Box<dyn Sandbox>> {
        let (script, deaf) = (Arc::clone(&self.guest), self.deaf);
        Self::start(move |guest| {
            if !deaf {
                // The broker may have been told to stop before it said which call it is.
                let _ = guest.frames.receive::<wharf_ops::call::Call>(&mut guest.socket);
            }
            script(guest);
        })
    }

    fn launch_policy(&self, _: &Vec<u8>, _: &Limits, _: bool) -> io::Result<Box<dyn Sandbox>> {
        Self::start(self.policy)
    }
}

/// A node with one guest, `g`, and one container.
pub struct Node {
    pub root: tempfile::TempDir,
    pub host: Netns,
    container: Option<Netns>,
    pub netns: PathBuf,
    /// CNI_CONTAINERID.
    pub id: &'static str,
    /// More members of the configuration.
    pub conf: &'static str,
    /// Where denials and such go.
    pub log: Log,
}

/// The members that most tests run with: of a GC, nothing is valid.
const CONF: &str = r#","cni.dev/valid-attachments":[]"#;

impl Node {
    /// With a guest that imports everything, and a grant of `operations` (TOML) with `limits`.
    pub fn new(operations: Option<&str>, limits: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        install(&Paths::below(root.path()), operations, limits);
        let netns = root.path().join("container");
        let container = Netns::create_at(&netns).unwrap();
        let host = Netns::anonymous().unwrap();
        Self { host, container: Some(container), netns, root, id: "c1", conf: CONF, log: Log::from_env() }
    }

    /// Installs the guest again with another grant.
    pub fn grant(&self, operations: Option<&str>, limits: &str) {
        install(&Paths::below(self.root.path()), operations, limits);
    }

    pub fn run(&self, command: &str, script: impl Fn(&mut Guest) + Send + Sync + 'static) -> Output {
        self.call(&Call::of(self, command), script)
    }

    /// The same under a policy, whose sandbox the other script plays.
    pub fn run_under(
        &self,
        command: &str,
        script: impl Fn(&mut Guest) + Send + Sync + 'static,
        policy: Script,
    ) -> Output {
        let call = Call::of(self, command);
        let mut broker = self.broker(script);
        broker.launcher.policy = policy;
        broker.policies = NodePolicies::new(vec!["p".into()], [].into()).unwrap();
        self.host.enter(|| broker.run("g", |key| call.variable(key), call.conf().as_bytes())).unwrap()
    }

    /// Installs `p`, a policy of that world, with these limits.
    pub fn install_policy(&self, world: &str, limits: &str) {
        let paths = Paths::below(self.root.path());
        let manifest = Manifest {
            name: "p".into(),
            digest: format!("sha256:{}", sha256_hex(b"p")),
            artefact: artefact_digest(b"p"),
            world: world.into(),
            imports: vec![],
            size: 1,
            seen: None,
        };
        let grant = format!("digest = {:?}\noperations = []\n[limits]\n{limits}", manifest.digest);
        guests::install(&paths, &manifest, b"p").unwrap();
        guests::write_atomically(&paths.grants(), "p.toml", grant.as_bytes()).unwrap();
    }

    /// A broker of this node, over the kernel that [`faulty`] puts faults into.
    pub fn broker(&self, script: impl Fn(&mut Guest) + Send + Sync + 'static) -> Broker<Scripted> {
        let paths = Paths::below(self.root.path());
        let mut broker = Broker::new(paths, Scripted::of(script), faulty::kernel, self.log);
        broker.lease_hook = Box::new(faulty::lease);
        broker
    }

    pub fn call(&self, call: &Call, script: impl Fn(&mut Guest) + Send + Sync + 'static) -> Output {
        let broker = self.broker(script);
        let conf = call.conf();
        self.host.enter(|| broker.run("g", |key| call.variable(key), conf.as_bytes())).unwrap()
    }

    /// Puts a shell script onto a CNI_PATH of this node, which is answered.
    pub fn native(&self, name: &str, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = self.root.path().join("native");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    /// The container's namespace goes, with everything in it.
    pub fn vanish(&mut self) {
        self.container = None;
        Netns::remove(&self.netns).unwrap();
    }

    /// The names of the journals.
    pub fn journals(&self) -> Vec<String> {
        let entries = std::fs::read_dir(Paths::below(self.root.path()).attachments()).into_iter().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Everything that an attachment could leave, on the host and in its files.
    pub fn dump(&self) -> String {
        let leases = std::process::Command::new("find")
            .args(["var/lib/cni", "run/wharf/attachments", "-type", "f", "-not", "-name", "lock"])
            .args(["-not", "-name", "last_reserved*"])
            .current_dir(self.root.path())
            .output()
            .unwrap();
        let mut files: Vec<_> =
            String::from_utf8(leases.stdout).unwrap().lines().map(str::to_owned).collect();
        files.sort();
        // Sorted: the kernel lists the elements of a map in any order.
        let text = self.host.enter(|| shell(DUMP)).unwrap();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.extend(files.iter().map(|file| format!("file {file}")));
        lines.sort();
        lines.join("\n")
    }

    /// What a program prints that runs in the host's namespace.
    pub fn shell(&self, script: &str) -> String {
        self.host.enter(|| shell(script)).unwrap()
    }
}

/// What is configured, without indices, handles and what comes and goes with traffic.
const DUMP: &str = r#"
ip -br link | awk '{ sub(/@.*/, "", $1); print $1 }' | sort
ip -o addr | grep -v fe80 | awk '{ print $2, $3, $4 }' | sort
ip route show table all | grep -v -e fe80 -e ff00 | sed 's/ linkdown//' | sort
ip neigh show nud permanent | sort
tc qdisc show | grep -v noqueue | sed 's/qdisc \([a-z]*\) [0-9a-f]*:/\1/' | sort
nft list ruleset
"#;

/// Two dumps are the same; if not, the lines that differ are told.
#[track_caller]
pub fn assert_same(now: &str, before: &str, context: &str) {
    let only = |all: &str, other: &str, sign: char| -> Vec<String> {
        let lines = all.lines().filter(|line| !other.lines().any(|known| known == *line));
        lines.map(|line| format!("{sign} {line}")).collect()
    };
    let changes = [only(now, before, '+'), only(before, now, '-')].concat();
    assert!(now == before, "{context}: this differs from before:\n{}", changes.join("\n"));
}

/// One call, as a runtime makes it.
pub struct Call {
    pub command: String,
    pub container: String,
    pub netns: Option<PathBuf>,
    pub network: String,
    pub path: String,
    /// More members of the configuration.
    pub conf: String,
}

impl Call {
    /// For the node's own container.
    pub fn of(node: &Node, command: &str) -> Self {
        Self {
            command: command.into(),
            container: node.id.into(),
            netns: Some(node.netns.clone()),
            network: "n".into(),
            path: String::new(),
            conf: node.conf.into(),
        }
    }

    /// With an address manager.
    pub fn ipam(node: &Node, command: &str, ipam: &str) -> Self {
        let conf = format!(r#","ipam":{{"type":{ipam:?}}},"cni.dev/valid-attachments":[]"#);
        Self { conf, ..Self::of(node, command) }
    }

    pub fn variable(&self, key: &str) -> Option<String> {
        Some(match key {
            "CNI_COMMAND" => self.command.clone(),
            "CNI_CONTAINERID" => self.container.clone(),
            "CNI_IFNAME" => "eth0".into(),
            "CNI_NETNS" => self.netns.as_ref()?.display().to_string(),
            "CNI_PATH" => self.path.clone(),
            _ => return None,
        })
    }

    pub fn conf(&self) -> String {
        format!(r#"{{"cniVersion":"1.1.0","name":{:?},"type":"g"{}}}"#, self.network, self.conf)
    }
}

/// Installs the guest `g`, which imports everything, or what it is granted.
pub fn install(paths: &Paths, operations: Option<&str>, limits: &str) {
    let imports: Vec<String> = OPERATIONS.iter().map(|operation| operation.name.to_string()).collect();
    let mut manifest = Manifest {
        name: "g".into(),
        digest: format!("sha256:{}", sha256_hex(b"g")),
        artefact: artefact_digest(b"g"),
        world: "network".into(),
        imports: imports.clone(),
        size: 1,
        seen: None,
    };
    if let Some(operations) = operations {
        manifest.imports.retain(|name| operations.contains(name.as_str()));
    }
    let operations = operations.map_or_else(|| format!("{imports:?}"), str::to_string);
    let grant = format!("digest = {:?}\noperations = {operations}\n{UNBOUNDED}", manifest.digest);
    guests::install(paths, &manifest, b"g").unwrap();
    let grant = format!("{grant}{limits}");
    guests::write_atomically(&paths.grants(), "g.toml", grant.as_bytes()).unwrap();
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = Netns::remove(&self.netns);
    }
}

pub fn shell(script: &str) -> String {
    let output = std::process::Command::new("sh").arg("-ec").arg(script).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The error object in an output.
pub fn error(output: &Output) -> (u64, String) {
    assert_eq!(output.status, 1, "{output:?}");
    let value: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    (value["code"].as_u64().unwrap(), value["msg"].as_str().unwrap().to_string())
}

/// Asks the node's plugin `native`, as a guest that delegates to it.
pub fn ask_native(guest: &mut Guest, verb: Verb) {
    let config = r#"{"cniVersion":"1.0.0","name":"n","type":"g","ipam":{"type":"native"}}"#;
    let op = DelegateOp { verb, plugin: "native".into(), config: config.into() };
    guest.ask(Op::Delegate(op)).unwrap();
}

/// Bytes that are no message.
pub fn garbage(guest: &mut Guest) {
    let _ = guest.socket.write_all(&[5, 0, 0, 0, 255, 255, 255, 255, 255]);
}

/// Makes a journal one of another boot. The boot id is text in the bodies; each frame is its length, the complement of
/// that, eight bytes of the body's BLAKE3, and the body.
pub fn rewrite_boot(path: &std::path::Path) {
    let bytes = std::fs::read(path).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let boot = boot.trim().as_bytes();
    let mut rewritten = bytes[..8].to_vec();
    let mut rest = &bytes[8..];
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        let mut body = rest[16..16 + length].to_vec();
        if let Some(at) = body.windows(boot.len()).position(|window| window == boot) {
            body[at] = if body[at] == b'0' { b'1' } else { b'0' };
        }
        rewritten.extend(&rest[..8]);
        rewritten.extend(&blake3::hash(&body).as_bytes()[..8]);
        rewritten.extend(&body);
        rest = &rest[16 + length..];
    }
    assert_ne!(rewritten, bytes);
    std::fs::write(path, rewritten).unwrap();
}
