//! The binary with faults on purpose: what it takes, and what it tells.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use wharf_tests::{Node, Value, json, skip};

use crate::common::{full, limits};

struct Faulty {
    node: Node,
    program: PathBuf,
}

impl Faulty {
    fn new() -> Option<Self> {
        let binary = std::env::var_os("WHARF_FAULTS_BIN").map(PathBuf::from)?;
        let node = Node::new();
        // Its name makes it run chains.
        let program = node.folder("faulty").join("wharf");
        fs::copy(&binary, &program).expect("copy WHARF_FAULTS_BIN");
        Some(Self { node, program })
    }

    /// A call with this plan. Answers the exit status, none after a signal, and standard output.
    fn call(&self, command: &str, netns: &str, fault: &str) -> (Option<i32>, String) {
        let count = self.count_file();
        let _ = fs::remove_file(&count);
        let config = json!({
            "cniVersion": "1.1.0", "name": "net", "type": "wharf", "chain": full("nftables"),
            "runtimeConfig": {
                "portMappings": [{"hostPort": 8001, "containerPort": 80, "protocol": "tcp"}],
                "bandwidth": limits(),
            },
        });
        let mut call = Command::new(&self.program);
        call.env_clear().env("CNI_COMMAND", command).env("CNI_CONTAINERID", "c").env("CNI_IFNAME", "eth0");
        call.env("CNI_NETNS", netns).env("WHARF_ROOT", self.node.root());
        call.env("WHARF_FAULT", fault).env("WHARF_FAULT_COUNT", count);
        call.stdin(Stdio::piped()).stdout(Stdio::piped());
        let output = self.node.run(|| {
            let mut child = call.spawn().unwrap();
            let config = config.to_string();
            // It may end without reading: a plan that makes no sense is told first.
            let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), config.as_bytes());
            child.wait_with_output().unwrap()
        });
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    fn count_file(&self) -> PathBuf {
        self.node.folder("counts").join("count")
    }

    fn count(&self) -> u64 {
        fs::read_to_string(self.count_file()).unwrap().parse().unwrap()
    }
}

#[test]
fn a_fault_of_each_kind_and_one_del() {
    let Some(faulty) = Faulty::new() else {
        skip!("WHARF_FAULTS_BIN is not set: it is to name a binary built with the feature `faults`");
    };
    let container = faulty.node.container("c");
    let netns = container.path().display().to_string();
    for command in ["ADD", "DEL"] {
        assert_eq!(faulty.call(command, &netns, "").0, Some(0));
    }
    let before = (faulty.node.dump(), container.dump());
    assert_eq!(faulty.call("ADD", &netns, "").0, Some(0));
    let total = faulty.count();
    assert!(total > 20, "{total} changes");
    assert_eq!(faulty.call("DEL", &netns, "").0, Some(0));
    assert!(faulty.count() > 3);
    for at in (1..=total).step_by(5) {
        for (what, ends) in
            [("EBUSY", Some(1)), ("kill-before", None), ("kill-after", None), ("kill-sandbox", Some(1))]
        {
            let (status, stdout) = faulty.call("ADD", &netns, &format!("{at}:{what}"));
            // Some changes are not what an ADD fails for.
            assert!(
                status == ends || (ends.is_some() && status == Some(0)),
                "{at}:{what}: {status:?} {stdout}"
            );
            if let Some(1) = status {
                let error: Value = serde_json::from_str(&stdout).unwrap();
                assert_ne!(error["code"], 906, "{at}:{what}: {stdout}");
            }
            let (status, stdout) = faulty.call("DEL", &netns, "");
            assert_eq!(status, Some(0), "{at}:{what}: {stdout}");
            faulty.node.dump().assert_same(&before.0);
            container.dump().assert_same(&before.1);
        }
    }
    let (status, _) = faulty.call("ADD", &netns, "1:nonsense");
    assert_eq!(status, Some(1));
}
