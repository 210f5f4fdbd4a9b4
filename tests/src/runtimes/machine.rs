//! A machine: a node with processes, mounts and a network of its own, on which the unpacked packages look installed.
//!
//! Wharf is installed at its real paths there, so that nothing has to be told to a runtime or to what it starts.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Netns, Node, sh};

use super::folder;

/// Where runtimes keep what outlives a reboot: a tmpfs, for nothing outlives the machine.
pub const STATE: &str = "/var/lib/runtimes";
/// How long anything may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prepares the file system and stays: this shell collects orphans as an init does, and ends when its input does, with
/// everything below it. The mount table is a copy that would keep the namespaces of other tests alive; a mount of it goes by
/// itself when its test removes the file that it is on.
const INIT: &str = r#"
set -e
root=$1 usr=$2 etc=$3
while read -r _ _ _ _ at rest; do
    case $rest in *" - nsfs "*) umount -l "$at" || if mountpoint -q "$at"; then exit 1; fi ;; esac
done < /proc/self/mountinfo
mount -t overlay -o "lowerdir=$usr" overlay /usr
mount -t overlay -o "lowerdir=$etc" overlay /etc
mount --bind "$root/etc/cni" /etc/cni
mount --bind "$root/var/lib" /var/lib
mount --bind "$root/opt" /opt
mount -t tmpfs tmpfs /var/lib/runtimes
# Other plugins came with podman.
if [ -d /usr/lib/cni ]; then mount -t tmpfs tmpfs /usr/lib/cni; fi
echo ready
read -r _
"#;

/// What begins with a boot. Wharf's part of /run can be looked at from outside.
const BOOT: &str = r#"
set -e
root=$1 boot=$2
umount -R -l /run 2>/dev/null || true
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/wharf /run/lock
mount --bind "$root/run/wharf" /run/wharf
umount -l /proc/sys/kernel/random/boot_id 2>/dev/null || true
cat /proc/sys/kernel/random/uuid > "$boot"
mount --bind "$boot" /proc/sys/kernel/random/boot_id
ip link set lo up
"#;

/// The machine. All its processes end when this is dropped.
#[derive(Debug)]
pub struct Machine {
    node: Node,
    init: Child,
    /// Its init, as it is numbered outside.
    pid: u32,
    /// A control group for its containers, below the root of each hierarchy.
    pub cgroup: String,
}

impl Machine {
    /// With the packages of Debian 12. The error says why there cannot be one here.
    pub fn new() -> Result<Self, String> {
        Self::with(&[])
    }

    /// With the packages of these folders over those of Debian 12.
    pub fn with(over: &[&str]) -> Result<Self, String> {
        let all = folder()?;
        let folders: Vec<PathBuf> = over.iter().chain(&["debian"]).map(|name| all.join(name)).collect();
        if let Some(missing) = folders.iter().find(|folder| !folder.join("packages").exists()) {
            return Err(format!("{} is missing: `cargo xtask runtimes` fetches it", missing.display()));
        }
        let node = Node::new();
        for folder in ["etc/cni/net.d", "var/lib/runtimes", "var/lib/cni", "run/wharf"] {
            node.folder(&format!("root/{folder}"));
        }
        // For a mount point that neither a package nor this system has.
        node.folder("skeleton/etc/cni");
        node.folder("skeleton/usr");
        let skeleton = node.folder("skeleton");
        let layers = |name: &str| {
            let own = [&skeleton].into_iter().chain(&folders).map(|folder| folder.join(name));
            let own = own.filter(|folder| folder.exists()).chain([Path::new("/").join(name)]);
            own.map(|layer| layer.display().to_string()).collect::<Vec<_>>().join(":")
        };
        let log = node.folder("logs").join("init");
        let mut unshare = sh::words("unshare --mount --pid --ipc --uts --fork --kill-child --mount-proc");
        unshare.args(["--propagation", "private", "bash", "-c", INIT, "init"]);
        unshare.arg(node.root()).arg(layers("usr")).arg(layers("etc"));
        unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&log).expect("a log"));
        // Not in the node's network, which ends with a boot.
        let mut init = unshare.spawn().map_err(|error| format!("unshare: {error}"))?;
        let mut line = String::new();
        let stdout = init.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("read what init says");
        if line.trim() != "ready" {
            let _ = init.wait();
            let said = fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("there cannot be a machine of its own here: {}", said.trim()));
        }
        let pid = child_of(init.id());
        let machine = Self { node, init, pid, cgroup: format!("wharf-tests-{pid}") };
        machine.boot();
        Ok(machine)
    }

    fn boot(&self) {
        let id = self.node.folder("boot").join("id");
        // The one of the boot before may still be mounted: not to be written into.
        let _ = fs::remove_file(&id);
        sh::run(self.command("bash").args(["-c", BOOT, "boot"]).arg(self.node.root()).arg(&id));
    }

    /// Power off and on: no process, link, rule or file under /run is left.
    pub fn reboot(&mut self) {
        // All but init and who says it.
        sh::run(self.command("bash").args(["-c", "kill -9 -1; exit 0"]));
        self.wait("the end of all processes", || (self.processes() == 1).then_some(()));
        let run = self.node.folder("root/run");
        fs::remove_dir_all(&run).expect("empty /run");
        self.node.folder("root/run/wharf");
        self.node.renew();
        self.boot();
    }

    /// The node that it is: its network, its installation and its state.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// A program of the machine, to be completed. Its environment is that of a service.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.pid)).arg(format!("--net={}", self.node.path().display()));
        command.args(["--mount", "--pid", "--ipc", "--uts", "--", program]).stdin(Stdio::null()).env_clear();
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", "/root").env("TMPDIR", STATE);
        command
    }

    /// Runs a command line; it must succeed. Answers what it printed.
    pub fn sh(&self, line: &str) -> String {
        let mut words = line.split_whitespace();
        sh::run(self.command(words.next().expect("a program")).args(words))
    }

    /// Runs a command whatever its exit status. The error is what it says when that is not 0.
    pub fn output(&self, command: &mut Command) -> Result<String, String> {
        let output = sh::output(command);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The process of the machine with this command line, as it is numbered there.
    pub fn process(&self, line: &[&str]) -> Option<u32> {
        let wanted = line.join("\0") + "\0";
        let mut entries = fs::read_dir(self.path("/proc")).expect("list /proc").flatten();
        entries.find_map(|entry| {
            let number = entry.file_name().to_string_lossy().parse().ok()?;
            (fs::read_to_string(entry.path().join("cmdline")).ok()? == wanted).then_some(number)
        })
    }

    /// Where a file of the machine is seen from outside.
    pub fn path(&self, path: &str) -> PathBuf {
        // An absolute link would lead to this process's own file.
        let path = path.strip_prefix("/var").filter(|rest| rest.starts_with("/run/")).unwrap_or(path);
        PathBuf::from(format!("/proc/{}/root{path}", self.pid))
    }

    /// Writes a file of the machine, its folder included.
    pub fn write(&self, path: &str, content: &str) {
        let file = self.path(path);
        fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("create a folder");
        fs::write(&file, content).unwrap_or_else(|error| panic!("write {path}: {error}"));
    }

    /// The file content of a file of the machine; empty if there is none.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// The namespace that something of the machine calls by this path.
    pub fn netns(&self, path: &str) -> Netns {
        Netns::open(&self.path(path))
    }

    /// Starts a program that stays, its output in a log. Answers it, and its number outside.
    pub(crate) fn daemon(&self, name: &str, mut command: Command) -> (Child, u32) {
        let log = File::options().create(true).append(true).open(self.log(name)).expect("a log");
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        let pid = self.wait(name, || children(child.id()).first().copied());
        (child, pid)
    }

    /// The log of a daemon, outside.
    pub fn log(&self, name: &str) -> PathBuf {
        self.node.folder("logs").join(name)
    }

    /// Asks until there is an answer. That takes no longer than a program needs to get there.
    pub fn wait<T>(&self, what: &str, ask: impl Fn() -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            let late = begin.elapsed() > PATIENCE;
            assert!(!late, "waited {PATIENCE:?} for {what}; the logs say:\n{}", self.logs());
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn logs(&self) -> String {
        let files = fs::read_dir(self.node.folder("logs")).into_iter().flatten().flatten();
        let end = |text: String| text.lines().rev().take(15).map(str::to_owned).collect::<Vec<_>>();
        let told = |entry: fs::DirEntry| {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let lines: Vec<String> = end(text).into_iter().rev().collect();
            format!("{}:\n{}", entry.file_name().display(), lines.join("\n"))
        };
        files.map(told).collect::<Vec<_>>().join("\n")
    }

    /// How many processes there are, init included.
    fn processes(&self) -> usize {
        let entries = fs::read_dir(self.path("/proc")).expect("list /proc").flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok()).count()
    }

    /// The namespaces that are kept in a folder of the machine.
    pub fn namespaces(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Whether one echo request of the node is answered.
    pub fn pings(&self, to: IpAddr) -> bool {
        self.node.pings(to)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.init.stdin.take());
        let _ = self.init.wait();
        for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            remove_groups(&hierarchy.path().join(&self.cgroup));
        }
        remove_groups(&Path::new("/sys/fs/cgroup").join(&self.cgroup));
    }
}

/// Removes a control group with those below it. Its files are the kernel's.
fn remove_groups(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn child_of(pid: u32) -> u32 {
    children(pid).first().copied().expect("a process that forked")
}
