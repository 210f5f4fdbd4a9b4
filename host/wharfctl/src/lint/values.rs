//! The values, by those who read them: the list's own guests make an ADD on a simulated machine.
//!
//! What they refuse there, they refuse on any node. What depends on the node, as files, addresses that are taken or a
//! parent link, is not looked at here: that is `wharfctl plan`.

use std::path::Path;

use serde_json::{Map, Value, json};
use wharf_broker::Paths;
use wharf_cni::CniError;
use wharf_cni::error::code;
use wharf_cni::spelling::alike;
use wharf_sim::Sim;

use crate::doctor::Findings;
use crate::lists::{List, member, resolv_confs};
use crate::simulated::{Entry, ListAdd, Node};

const NETNS: &str = "/run/netns/lint";

/// With the guests of `judges`. Entries behind a native plugin have nothing to build on, and are left out.
pub(super) fn check(judges: &Paths, file: &str, list: &List, is_list: bool, findings: &mut Findings) {
    let sim = Sim::new(1);
    sim.add_namespace(NETNS);
    let node = match Node::new(judges, sim) {
        Ok(node) => node,
        Err(error) => return unjudged(file, &error, findings),
    };
    for path in resolv_confs(list) {
        if let Err(error) = node.put(Path::new(path), b"") {
            return unjudged(file, &error, findings);
        }
    }
    let mut add = ListAdd {
        node: &node,
        list,
        container: "lint",
        ifname: "eth0",
        netns: NETNS,
        args: "",
        capabilities: &told(list),
        result: None,
    };
    for index in 0..list.network.plugins.len() {
        let place = if is_list { format!("plugins[{index}]") } else { "it".to_owned() };
        match add.entry(index, &place) {
            Ok(Entry::Made) => {}
            Ok(Entry::Native(_)) => return,
            Ok(Entry::Failed(error)) => {
                if let Some(cure) = cure(&error) {
                    findings.error(format!("{file}: {place}"), &error.msg, cure);
                }
                return;
            }
            Err(error) => return unjudged(file, &error, findings),
        }
    }
}

fn unjudged(file: &str, error: &dyn std::fmt::Display, findings: &mut Findings) {
    findings.note(file, format!("its values were not judged: {error:#}"), "");
}

/// What to do, if it is the configuration that is wrong.
fn cure(error: &CniError) -> Option<&'static str> {
    match error.code {
        code::INCOMPATIBLE_VERSION
        | code::UNSUPPORTED_FIELD
        | code::DECODING_FAILURE
        | code::INVALID_CONFIG => Some("correct it: every ADD fails by it"),
        code::DENIED => Some("extend the grant, if the guest may do this"),
        _ => None,
    }
}

/// Where ranges come by capability only, the runtime would bring some.
fn told(list: &List) -> Map<String, Value> {
    let wants = list.plugins.iter().any(|plugin| {
        let capabilities = member(&plugin.written, "capabilities").and_then(Value::as_object);
        capabilities.is_some_and(|all| all.iter().any(|(key, on)| alike(key, "ipRanges") && on == true))
    });
    if !wants {
        return Map::new();
    }
    let ranges = json!([[{"subnet": "192.0.2.0/24"}], [{"subnet": "2001:db8::/64"}]]);
    Map::from_iter([("ipRanges".to_owned(), ranges)])
}
