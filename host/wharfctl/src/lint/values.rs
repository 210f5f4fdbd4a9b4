//! The values, by those who read them: the list's own guests make an ADD on a simulated machine.
//!
//! What they refuse there, they refuse on any node. What depends on the node, as files, addresses that are taken or a
//! parent link, is not looked at here: that is `wharfctl plan`.

use std::path::Path;

use serde_json::{Map, Value, json};
use wharf_broker::pod_cidr::PodCidrs;
use wharf_broker::{Paths, guests};
use wharf_cni::CniError;
use wharf_cni::error::code;
use wharf_sim::Sim;

use crate::doctor::Findings;
use crate::lists::{List, member, resolv_confs};
use crate::simulated::{Entry, ListAdd, Node};

const NETNS: &str = "/run/netns/lint";
/// Names a chain that somebody else makes before there are pods.
const MARK_CHAIN: &str = "externalSetMarkChain";

/// With the guests of `judges`. Entries behind a native plugin that is the first have nothing to build on, and are left
/// out; behind another they find what those before it have made, as behind one that adds nothing to the result.
pub(super) fn check(judges: &Paths, file: &str, list: &List, is_list: bool, findings: &mut Findings) {
    // Without any guest there is no judge.
    if guests::names(judges).is_ok_and(|names| names.is_empty()) {
        return;
    }
    let sim = Sim::new(1);
    sim.add_namespace(NETNS);
    for chain in list.plugins.iter().filter_map(|plugin| member(&plugin.raw, MARK_CHAIN)?.as_str()) {
        sim.add_chain(sim.host(), chain);
    }
    let node = match Node::new(judges, sim) {
        Ok(node) => node,
        Err(error) => return unjudged(file, &error, findings),
    };
    for path in resolv_confs(list) {
        if let Err(error) = node.put(Path::new(path), b"") {
            return unjudged(file, &error, findings);
        }
    }
    if let Err(error) = pod_cidrs().write(node.paths()) {
        return unjudged(file, &error, findings);
    }
    let mut add = ListAdd {
        node: &node,
        list,
        container: "lint",
        ifname: "eth0",
        netns: NETNS,
        args: "",
        capabilities: &told(),
        result: None,
    };
    for index in 0..list.network.plugins.len() {
        let place = if is_list { format!("plugins[{index}]") } else { "it".to_owned() };
        match add.entry(index, &place) {
            Ok(Entry::Made) => {}
            Ok(Entry::Native(name)) => {
                let goes_on = add.result.is_some();
                let from = if goes_on { "its" } else { "from here on" };
                let what = format!("{name:?} is no guest that is at hand: {from} values were not judged");
                findings.note(format!("{file}: {place}"), what, "");
                if !goes_on {
                    return;
                }
            }
            Ok(Entry::Failed(error)) => {
                let at = format!("{file}: {place}");
                if let Some(cure) = cure(&node, &error) {
                    findings.error(at, &error.msg, cure);
                } else {
                    findings.note(at, format!("from here on values were not judged: {}", error.msg), "");
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
fn cure(node: &Node, error: &CniError) -> Option<&'static str> {
    match error.code {
        code::INCOMPATIBLE_VERSION
        | code::UNSUPPORTED_FIELD
        | code::DECODING_FAILURE
        | code::INVALID_CONFIG => Some("correct it: every ADD fails by it"),
        code::DENIED => Some("extend the grant, if the guest may do this"),
        // What no kernel would take is no matter of the node's, either.
        _ if node.story.refused_as_invalid(&error.msg) => Some("correct it: ADDs fail by it"),
        _ => None,
    }
}

/// What a runtime might tell, of which each plugin gets what it declares: a plugin may read its options only then.
fn told() -> Map<String, Value> {
    let ranges = json!([[{"subnet": "192.0.2.0/24"}], [{"subnet": "2001:db8::/64"}]]);
    let ports = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]);
    Map::from_iter([("ipRanges".to_owned(), ranges), ("portMappings".to_owned(), ports)])
}

/// What `usePodCidr` may stand for.
fn pod_cidrs() -> PodCidrs {
    let pod_cidrs = ["192.0.2.0/24", "2001:db8::/64"].into_iter().filter_map(|cidr| cidr.parse().ok());
    PodCidrs { node: "lint".to_owned(), pod_cidrs: pod_cidrs.collect() }
}
