//! No program is executed on the way of an ADD, a CHECK or a DEL.

use wharf_tests::{Node, Value, json, skip, trace};

use crate::common::{BACKENDS, full, limits};

fn config(backend: &str, target: &wharf_tests::Target) -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "net", "type": "wharf",
        "chain": full(backend), "runtimeConfig": target.capabilities,
    })
}

#[test]
fn the_binary_itself_is_the_only_program() {
    if !trace::available() {
        skip!("strace cannot trace here");
    }
    for backend in BACKENDS {
        let node = Node::new();
        let container = node.container("c");
        let target = container.eth0().port(8080, 80).with("bandwidth", limits());
        let mut config = config(backend, &target);
        for command in ["ADD", "CHECK", "DEL", "DEL"] {
            let (outcome, calls) =
                trace::calls(&node, "execve,execveat,vfork", "wharf", command, &target, &config);
            let result = outcome.ok();
            if command == "ADD" {
                config["prevResult"] = result;
            }
            let executed: Vec<&String> = calls.iter().filter(|line| line.contains("execve")).collect();
            assert_eq!(executed.len(), 1, "{backend} {command}: {executed:#?}");
            assert!(executed[0].contains("/wharf\""), "{executed:?}");
        }
    }
}
