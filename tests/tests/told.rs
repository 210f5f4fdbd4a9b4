//! What a runtime tells beside a configuration, as options of wharfctl: the help's own example works.

use wharf_tests::install::wharfctl;
use wharf_tests::{Node, Value, json, sh};

use crate::common::{bridge, written};

/// What the help of a command gives as an example of `--args`.
fn example(node: &Node, command: &str) -> String {
    let help = sh::run(wharfctl(&node.root()).args([command, "--help"]));
    let example = help
        .split_once("CNI_ARGS, as the runtime would set it: `")
        .and_then(|(_, rest)| rest.split_once('`'));
    example.unwrap_or_else(|| panic!("no example in {help}")).0.to_owned()
}

#[test]
fn the_arguments_in_the_help_are_those_of_a_runtime() {
    let node = Node::new();
    let args = example(&node, "plan");
    for command in ["record", "bench"] {
        assert_eq!(example(&node, command), args, "{command}");
    }
    for chain in [false, true] {
        let file = written(&node, &[bridge(json!({}))], chain);
        let plan = |args: &str| {
            let mut plan = wharfctl(&node.root());
            node.run(|| plan.args(["plan", &file, "--json", "--args", args]).output().unwrap())
        };
        let good = plan(&args);
        assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
        let value: Value = serde_json::from_slice(&good.stdout).unwrap();
        assert_eq!(value["result"]["ips"].as_array().map(Vec::len), Some(1), "{value}");
        // Why runtimes say so first: a bridge refuses what it does not know.
        let strict = plan(args.strip_prefix("IgnoreUnknown=1;").unwrap());
        let said = String::from_utf8_lossy(&strict.stdout);
        assert!(!strict.status.success() && said.contains("unknown args"), "chain: {chain}: {said}");
    }
}
