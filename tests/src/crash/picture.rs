//! Everything that an attachment could leave behind, on its node and in its container.

use std::fs;
use std::path::Path;

use crate::{Dump, Netns};

/// What is there at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    node: Dump,
    container: Dump,
    switches: [Vec<String>; 2],
}

/// Switches that a call may leave on a node that never had one before, for others may rely on them by now: forwarding,
/// what the kernel switches with it (accept_redirects), and those of the bridge.
const SHARED: [&str; 4] = ["forward", "accept_redirects", "route_localnet", "accept_ra"];

impl Picture {
    pub(super) fn of(node: (&Netns, Dump), container: (&Netns, Dump)) -> Self {
        let switches = [switches(node.0), switches(container.0)];
        Self { node: node.1, container: container.1, switches }
    }

    /// What this has more (`+`) or less (`-`) than `before`, a line each; empty if nothing changed.
    pub fn changes_since(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        let of = |whose: &str, lines: Vec<String>| -> Vec<String> {
            lines.into_iter().map(|line| format!("{whose}: {line}")).collect()
        };
        changes.extend(of("node", self.node.changes_since(&before.node)));
        changes.extend(of("container", self.container.changes_since(&before.container)));
        for (whose, (now, then)) in
            ["node", "container"].iter().zip(self.switches.iter().zip(&before.switches))
        {
            let differ = |sign: char, a: &[String], b: &[String]| -> Vec<String> {
                a.iter()
                    .filter(|line| !b.contains(line))
                    .map(|line| format!("{sign} sysctl {line}"))
                    .collect()
            };
            changes.extend(of(whose, differ('+', now, then)));
            changes.extend(of(whose, differ('-', then, now)));
        }
        changes
    }

    /// The same, of the node alone.
    pub fn changes_of_the_node_since(&self, before: &Self) -> Vec<String> {
        self.changes_since(before).into_iter().filter(|change| change.starts_with("node: ")).collect()
    }

    /// All changes without what stays by design on a node that was new: shared switches, and tables, chains and rules that
    /// mention none of `own`, the texts that only the attachment has.
    pub fn changes_of_a_new_node(&self, before: &Self, own: &[&str]) -> Vec<String> {
        let stays = |change: &String| {
            let is_own = own.iter().any(|own| change.contains(own));
            let rule = change.starts_with("node: + nft") || change.starts_with("node: + iptables");
            let switch = change.starts_with("node: ") && SHARED.iter().any(|shared| change.contains(shared));
            !is_own && (rule || switch)
        };
        self.changes_since(before).into_iter().filter(|change| !stays(change)).collect()
    }
}

/// The switches of every link, and of those to come.
fn switches(netns: &Netns) -> Vec<String> {
    netns.run(|| {
        let mut lines = Vec::new();
        for family in ["ipv4", "ipv6"] {
            let all = Path::new("/proc/sys/net").join(family).join("conf");
            for link in fs::read_dir(&all).into_iter().flatten().flatten() {
                for switch in fs::read_dir(link.path()).into_iter().flatten().flatten() {
                    // Some can only be written, or have no value yet.
                    let Ok(value) = fs::read_to_string(switch.path()) else { continue };
                    let (link, switch) = (link.file_name(), switch.file_name());
                    lines.push(format!(
                        "{family}/{}/{} = {}",
                        link.display(),
                        switch.display(),
                        value.trim()
                    ));
                }
            }
        }
        lines.sort_unstable();
        lines
    })
}
