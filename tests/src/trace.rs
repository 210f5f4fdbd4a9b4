//! System calls of an execution, by strace.

use std::fs;

use serde_json::Value;

use crate::{Node, Outcome, Target};

/// Whether this machine lets a process be traced.
pub fn available() -> bool {
    std::process::Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Runs one call under strace. Answers the lines with the calls named by `filter` (as strace's `-e trace=`), of all its
/// processes.
pub fn calls(
    node: &Node,
    filter: &str,
    plugin: &str,
    command: &str,
    target: &Target,
    config: &Value,
) -> (Outcome, Vec<String>) {
    let log = node.folder("traces").join(format!("{plugin}-{command}"));
    let expression = format!("trace={filter}");
    let log_path = log.to_str().expect("a plain path");
    let wrapper = ["strace", "-f", "-qq", "-e", &expression, "-e", "signal=none", "-o", log_path];
    let outcome = node.exec_under(&wrapper, plugin, &target.env(command), config.to_string().as_bytes());
    let text = fs::read_to_string(&log).expect("strace wrote its log");
    (outcome, text.lines().map(str::to_owned).collect())
}
