//! The process that runs a guest, looked at from outside while it waits for an answer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use wharf_tests::native::Native;
use wharf_tests::{Network, Node, json};

use crate::common::bridge;

/// The processes that run `program`, with their parents.
fn processes(program: &Path) -> BTreeMap<u32, u32> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that ends meanwhile is not the one that waits.
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else { continue };
        if fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == program) {
            let parent = field(&status, "PPid").parse().unwrap();
            found.insert(pid, parent);
        }
    }
    found
}

fn field<'a>(status: &'a str, key: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key} in {status}")).trim()
}

/// The sandbox: executes the same file as its parent, the broker.
fn sandbox(program: &Path) -> u32 {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        let all = processes(program);
        if let Some((pid, _)) = all.iter().find(|(_, parent)| all.contains_key(parent)) {
            return *pid;
        }
        thread::yield_now();
    }
    panic!("no sandbox of {} within ten seconds", program.display());
}

fn descriptors(pid: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    entries.map(|entry| fs::read_link(entry.path()).unwrap()).collect()
}

#[test]
fn it_can_do_nothing_by_itself() {
    let mut node = Node::new();
    let (reached, go_on) = (node.folder("marks").join("reached"), node.folder("marks").join("go-on"));
    mkfifo(&go_on, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    // The guest asks for addresses; the native plugin answers when this test has seen enough.
    let answer = format!(
        "[ $1 = ADD ] || exit 0\n: > {}\ncat {} > /dev/null\n\
         echo '{{\"cniVersion\": \"1.0.0\", \"ips\": [{{\"address\": \"10.1.0.42/24\"}}]}}'",
        reached.display(),
        go_on.display()
    );
    Native::install(&mut node, "slow-ipam", &answer);
    let container = node.container("c");
    let target = container.eth0();
    let program = node.bin.join("wharf").canonicalize().unwrap();
    let network = Network::new(&node, [bridge(json!({"ipam": {"type": "slow-ipam"}}))]);

    thread::scope(|scope| {
        let adding = scope.spawn(|| network.add(&target));
        while !reached.exists() {
            assert!(!adding.is_finished(), "the ADD ended early: {}", adding.join().unwrap());
            thread::yield_now();
        }
        let pid = sandbox(&program);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let links = descriptors(pid);
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        // It goes on before anything is asserted, or a failure would wait for ever.
        fs::write(&go_on, "").unwrap();
        adding.join().unwrap().ok();

        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(&status, set), "0000000000000000", "{set}");
        }
        assert_eq!(field(&status, "NoNewPrivs"), "1");
        assert_eq!(field(&status, "Seccomp"), "2");
        assert_eq!(field(&status, "Uid"), "65534\t65534\t65534\t65534");
        assert_eq!(field(&status, "Gid"), "65534\t65534\t65534\t65534");
        assert_eq!(field(&status, "Groups"), "");
        assert_eq!(field(&status, "Threads"), "1");
        assert!(links.len() <= 3, "its socket, its guest and its log at most: {links:?}");
        let sockets = links.iter().filter(|link| link.to_string_lossy().starts_with("socket:"));
        assert_eq!(sockets.count(), 1, "{links:?}");
        let foreign = links.iter().any(|link| {
            let text = link.to_string_lossy();
            text.contains("/ns/") || text.starts_with("net:") || text.contains("netlink")
        });
        assert!(!foreign, "{links:?}");
        for limit in ["Max processes", "Max core file size", "Max file size"] {
            let line = limits.lines().find(|line| line.starts_with(limit)).expect(limit);
            let soft = line[limit.len()..].split_whitespace().next().unwrap();
            assert_eq!(soft, "0", "{line}");
        }
    });
    assert_eq!(container.addresses("eth0"), ["10.1.0.42/24"]);
}

#[test]
fn no_process_outlives_the_call() {
    let node = Node::new();
    let container = node.container("c");
    let program = node.bin.join("wharf").canonicalize().unwrap();
    let before = processes(&program);
    let attachment = Network::new(&node, [bridge(json!({}))]).attach(&container.eth0());
    attachment.del().silent();
    let own: Vec<u32> = processes(&program)
        .into_keys()
        .filter(|pid| !before.contains_key(pid))
        .filter(|pid| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environ).contains(&node.root().display().to_string())
        })
        .collect();
    assert!(own.is_empty(), "{own:?}");
}
