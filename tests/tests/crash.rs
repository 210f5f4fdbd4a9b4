//! Calls that are ended in their middle: by SIGKILL, by a signal that asks, by a reader that is gone.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use wharf_tests::install::wharfctl;
use wharf_tests::native::Native;
use wharf_tests::{Container, Network, Node, Target, Value, json, sh};

use crate::common::{bridge, dual_stack, limits, portmap};

/// A node on which an ADD of a chain stops in the middle: its address manager waits until it is told to go on.
struct Stopping {
    node: Node,
    native: Native,
    go_on: PathBuf,
    marks: PathBuf,
}

impl Stopping {
    fn new() -> Self {
        let mut node = Node::new();
        let marks = node.folder("marks");
        let go_on = marks.join("go-on");
        mkfifo(&go_on, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let answer = format!(
            "[ $1 = ADD ] || exit 0\necho $PPID > {0}/broker.new\nmv {0}/broker.new {0}/broker\n\
             exec 3< {0}/go-on\nread line <&3\n\
             echo '{{\"cniVersion\": \"1.0.0\", \"ips\": [{{\"address\": \"10.1.0.42/24\"}}]}}'",
            marks.display()
        );
        let native = Native::install(&mut node, "slow-ipam", &answer);
        // What is shared is there from an earlier attachment.
        let first = node.container("first");
        let network = Network::new(&node, [dual_stack(json!({"ipMasq": true})), portmap(json!({}))]);
        network.attach(&first.eth0().port(8000, 80)).del().silent();
        drop(first);
        Self { node, native, go_on, marks }
    }

    fn config(target: &Target) -> Value {
        let chain = [portmap(json!({})), bridge(json!({"ipMasq": true, "ipam": {"type": "slow-ipam"}}))];
        let previous = json!({
            "cniVersion": "1.1.0",
            "interfaces": [{"name": "eth0", "sandbox": target.netns}],
            "ips": [{"address": "10.1.0.42/24", "interface": 0}],
        });
        json!({
            "cniVersion": "1.1.0", "name": "net", "type": "wharf", "chain": chain,
            "runtimeConfig": target.capabilities, "prevResult": previous,
        })
    }

    /// Starts an ADD and waits until it stops. Answers it and its process id.
    fn stop(&self, container: &Container) -> (Child, Pid) {
        let target = target(container);
        let mut child = self.spawn("ADD", &target, Stdio::piped());
        let broker = self.marks.join("broker");
        while !broker.exists() {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the ADD ended early: {status}: {:?}", output(child));
            }
            thread::yield_now();
        }
        let pid = fs::read_to_string(&broker).unwrap().trim().parse().unwrap();
        fs::remove_file(&broker).unwrap();
        assert_eq!(u32::try_from(pid).unwrap(), child.id());
        (child, Pid::from_raw(pid))
    }

    fn spawn(&self, command: &str, target: &Target, stdout: Stdio) -> Child {
        let mut program = Command::new(self.node.bin.join("wharf"));
        program.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).envs(target.env(command));
        program.env("WHARF_ROOT", self.node.root()).env("CNI_PATH", &self.node.cni_path);
        program.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped());
        let config = Self::config(target).to_string();
        self.node.run(|| {
            let mut child = program.spawn().unwrap();
            child.stdin.take().unwrap().write_all(config.as_bytes()).unwrap();
            child
        })
    }

    /// Lets the native plugin end, if it is still there.
    fn go_on(&self) {
        let end = Instant::now() + Duration::from_secs(5);
        let flags = nix::fcntl::OFlag::O_WRONLY | nix::fcntl::OFlag::O_NONBLOCK;
        while Instant::now() < end {
            // Without a reader, opening fails: it has ended, or not begun to read.
            if let Ok(pipe) = nix::fcntl::open(&self.go_on, flags, Mode::empty()) {
                let _ = nix::unistd::write(pipe, b"go\n");
                return;
            }
            thread::yield_now();
        }
    }

    fn journals(&self) -> Vec<PathBuf> {
        wharf_tests::node::files(&self.node.root().join("run/wharf/attachments"))
    }

    fn recover(&self) -> Value {
        let mut command = wharfctl(&self.node.root());
        command.env("CNI_PATH", &self.node.cni_path).args(["recover", "--json"]);
        let text = self.node.run(|| sh::run(&mut command));
        serde_json::from_str(&text).unwrap()
    }
}

fn target(container: &Container) -> Target {
    container.eth0().port(8001, 80).with("bandwidth", limits())
}

fn output(mut child: Child) -> (ExitStatus, String, String) {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_string(&mut stdout).unwrap();
    }
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (child.wait().unwrap(), stdout, stderr)
}

/// Kills an ADD in its middle, then does `then`, and nothing is left.
fn killed(then: fn(&Stopping, &Container)) {
    let stopping = Stopping::new();
    let container = stopping.node.container("c");
    let before = (stopping.node.dump(), container.dump());
    let (mut child, pid) = stopping.stop(&container);
    assert!(!stopping.node.dump().changes_since(&before.0).is_empty(), "it had begun");
    kill(pid, Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    stopping.go_on();
    assert_eq!(stopping.journals(), [PathBuf::from("c:eth0:wharf:net")]);
    then(&stopping, &container);
    stopping.node.dump().assert_same(&before.0);
    container.dump().assert_same(&before.1);
    // A DEL may tell it twice: for the ADD that was cut short, and by its guest.
    assert_eq!(stopping.native.commands()[..2], ["ADD", "DEL"], "the address manager heard of it");
    assert!(stopping.journals().is_empty());
}

#[test]
fn killed_and_deleted() {
    killed(|stopping, container| {
        let target = target(container);
        let child = stopping.spawn("DEL", &target, Stdio::piped());
        let (status, stdout, stderr) = output(child);
        assert!(status.success() && stdout.is_empty(), "{stdout} {stderr}");
    });
}

#[test]
fn killed_and_recovered() {
    killed(|stopping, _| {
        let recovered = stopping.recover();
        assert_eq!(recovered[0]["undone"], true, "{recovered}");
        assert_eq!(recovered[0]["attachment"]["container"], "c");
        assert_eq!(stopping.recover(), json!([]), "nothing is left to recover");
    });
}

#[test]
fn killed_and_collected() {
    killed(|stopping, _| {
        // Its attachment counts as valid: it is undone all the same, for it never came to be.
        Network::new(&stopping.node, [portmap(json!({}))]).gc(&[("c", "eth0")]).silent();
    });
}

#[test]
fn while_it_runs_nobody_takes_it_for_dead() {
    let stopping = Stopping::new();
    let container = stopping.node.container("c");
    let (child, _) = stopping.stop(&container);
    assert_eq!(stopping.recover(), json!([]));
    Network::new(&stopping.node, [portmap(json!({}))]).gc(&[]).silent();
    assert!(stopping.node.run(|| {
        let text = sh::run(wharfctl(&stopping.node.root()).args(["journal", "show", "c"]));
        text.contains("a call works on it") && text.contains("links/create-veth")
    }));
    stopping.go_on();
    let (status, stdout, stderr) = output(child);
    assert!(status.success(), "{stdout} {stderr}");
    assert_eq!(container.addresses("eth0"), ["10.1.0.42/24"]);
}

#[test]
fn a_signal_that_asks_is_answered_and_everything_undone() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let stopping = Stopping::new();
        let container = stopping.node.container("c");
        let before = (stopping.node.dump(), container.dump());
        let (child, pid) = stopping.stop(&container);
        kill(pid, signal).unwrap();
        let (status, stdout, stderr) = output(child);
        assert_eq!(status.code(), Some(1), "{stderr}");
        let error: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(error["code"], 11);
        assert!(error["msg"].as_str().unwrap().contains(signal.as_str()), "{error}");
        stopping.node.dump().assert_same(&before.0);
        container.dump().assert_same(&before.1);
        assert_eq!(stopping.native.commands(), ["ADD", "DEL"]);
        assert!(stopping.journals().is_empty());
    }
}

#[test]
fn a_reader_that_is_gone() {
    let stopping = Stopping::new();
    let container = stopping.node.container("c");
    let before = (stopping.node.dump(), container.dump());
    let (mut child, _) = stopping.stop(&container);
    drop(child.stdout.take());
    stopping.go_on();
    let (status, _, stderr) = output(child);
    assert_eq!(status.code(), Some(1), "{stderr}");
    stopping.node.dump().assert_same(&before.0);
    container.dump().assert_same(&before.1);
}
