//! Everything that is on a simulated node, as a set of lines: to see what a call left.

use std::collections::BTreeSet;
use std::io;

use super::machine::Spaces;
use crate::simulated::Node;

/// What is there, a line each, with the namespace in front.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Picture(BTreeSet<String>);

impl Picture {
    /// Of now.
    pub(super) fn of(node: &Node, spaces: &Spaces) -> io::Result<Self> {
        let mut lines = BTreeSet::new();
        let mut add = |name: &str, text: String| {
            lines.extend(text.lines().map(|line| format!("{name}: {line}")));
        };
        add("host", node.sim.picture(spaces.host));
        for (name, space) in &spaces.containers {
            add(name, node.sim.picture(*space));
        }
        lines.extend(node.files()?.lines());
        Ok(Self(lines))
    }

    /// What there is more or less than before, a line each.
    pub(super) fn since(&self, before: &Self) -> Vec<String> {
        let less = before.0.difference(&self.0).map(|line| format!("- {line}"));
        less.chain(self.0.difference(&before.0).map(|line| format!("+ {line}"))).collect()
    }

    /// As [`Picture::since`], without what differs in `clean`, too.
    pub(super) fn since_but(&self, before: &Self, clean: &Self) -> Vec<String> {
        let usual = clean.since(before);
        self.since(before).into_iter().filter(|line| !usual.contains(line)).collect()
    }
}
