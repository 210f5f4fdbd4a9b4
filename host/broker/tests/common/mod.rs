//! A broker whose sandboxes are scripts in this process, over the real kernel in throw-away namespaces.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use wharf_broker::grants::least;
use wharf_broker::guests::{self, Manifest, artefact_digest, sha256_hex};
use wharf_broker::launch::{Job, Launcher, Sandbox};
use wharf_broker::log::Log;
use wharf_broker::pipeline::{NoPolicy, Policy};
use wharf_broker::{Broker, Output, Paths};
use wharf_kernel::{Kernel, Netns, RealKernel};
use wharf_ops::call::{Answer, Failure, NetworkResult};
use wharf_ops::wire::{self, Frames, Timings, ToBroker, ToSandbox};
use wharf_ops::{OPERATIONS, Op};

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

    /// Sends a frame that was made by hand, and reads the answer.
    pub fn ask_raw(&mut self, frame: &[u8]) -> Result<ToSandbox, wire::WireError> {
        self.socket.write_all(frame)?;
        self.frames.receive(&mut self.socket)
    }

    pub fn finish(&mut self, outcome: Result<Answer, Failure>) {
        // The broker may have hung up, which is what some tests are about.
        let _ = wire::send(&mut self.socket, &ToBroker::Finished { outcome, timings: Timings::default() });
    }

    pub fn succeed(&mut self) {
        self.finish(Ok(Answer::Result(NetworkResult::default())));
    }
}

pub struct Scripted(pub Arc<dyn Fn(&mut Guest) + Send + Sync>);

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
        let (ours, theirs) = UnixStream::pair()?;
        let script = self.0.clone();
        let thread = std::thread::spawn(move || script(&mut Guest { socket: theirs, frames: Frames::new() }));
        Ok(Box::new(Running { socket: ours, thread: Some(thread) }))
    }
}

/// A node with one guest, `g`, and one container.
pub struct Node {
    pub root: tempfile::TempDir,
    pub host: Netns,
    _container: Netns,
    pub netns: PathBuf,
    /// CNI_CONTAINERID.
    pub id: &'static str,
    /// What comes on standard input.
    pub conf: &'static str,
}

/// The configuration that most tests run with.
const CONF: &str = r#"{"cniVersion":"1.1.0","name":"n","type":"g","cni.dev/valid-attachments":[]}"#;

impl Node {
    /// With a guest that imports everything, and a grant of `operations` (TOML) with `limits`.
    pub fn new(operations: Option<&str>, limits: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        install(&Paths::below(root.path()), operations, limits);
        let netns = root.path().join("container");
        let container = Netns::create_at(&netns).unwrap();
        Self { host: Netns::anonymous().unwrap(), _container: container, netns, root, id: "c1", conf: CONF }
    }

    /// Installs the guest again with another grant.
    pub fn grant(&self, operations: Option<&str>, limits: &str) {
        install(&Paths::below(self.root.path()), operations, limits);
    }

    pub fn run(&self, command: &str, script: impl Fn(&mut Guest) + Send + Sync + 'static) -> Output {
        self.run_with(command, script, Box::new(NoPolicy))
    }

    pub fn run_with(
        &self,
        command: &str,
        script: impl Fn(&mut Guest) + Send + Sync + 'static,
        policy: Box<dyn Policy>,
    ) -> Output {
        let broker = Broker {
            paths: Paths::below(self.root.path()),
            launcher: Scripted(Arc::new(script)),
            kernels: |host, container| -> Box<dyn Kernel> { Box::new(RealKernel::new(host, container)) },
            policy: RefCell::new(policy),
            log: Log::from_env(),
        };
        let netns = self.netns.display().to_string();
        let get = |key: &str| {
            Some(match key {
                "CNI_COMMAND" => command.to_string(),
                "CNI_CONTAINERID" => self.id.into(),
                "CNI_PATH" => self.root.path().join("bin").display().to_string(),
                "CNI_IFNAME" => "eth0".into(),
                "CNI_NETNS" => netns.clone(),
                _ => return None,
            })
        };
        self.host.enter(|| broker.run("g", get, self.conf.as_bytes())).unwrap()
    }

    /// What a program prints that runs in the host's namespace.
    pub fn shell(&self, script: &str) -> String {
        self.host.enter(|| shell(script)).unwrap()
    }
}

/// Installs the guest `g`, which imports everything, or what it is granted.
fn install(paths: &Paths, operations: Option<&str>, limits: &str) {
    let imports: Vec<String> = OPERATIONS.iter().map(|operation| operation.name.to_string()).collect();
    let mut manifest = Manifest {
        name: "g".into(),
        digest: format!("sha256:{}", sha256_hex(b"g")),
        artefact: artefact_digest(b"g"),
        world: "network".into(),
        imports: imports.clone(),
        size: 1,
    };
    let grant = match operations {
        Some(operations) => {
            manifest.imports.clear();
            manifest.imports.extend(imports.into_iter().filter(|name| operations.contains(name.as_str())));
            format!("digest = {:?}\noperations = {operations}\n", manifest.digest)
        }
        None => least(&manifest.digest, &imports),
    };
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

/// Bytes that are no message.
pub fn garbage(guest: &mut Guest) {
    let _ = guest.socket.write_all(&[5, 0, 0, 0, 255, 255, 255, 255, 255]);
}
