//! Differences that are none: somebody changed it later, and for a good reason.

use std::path::Path;

use ipnetwork::IpNetwork;
use wharf_ops::call::NetworkResult;
use wharf_ops::{Attachment, Ns};

use super::Difference;
use super::compare::{holds, is_moved, same_network};
use super::expected::Expected;
use super::statement::{Key, Value};
use crate::journal::Listed;

/// What others say.
pub(super) struct Excuses<'a> {
    own: &'a Expected,
    result: Option<&'a NetworkResult>,
    /// Newer records of the same attachment: the plugins behind this one in a list of drop-ins.
    siblings: Vec<Expected>,
    /// Newer records of other attachments.
    others: Vec<Expected>,
    /// Where routes of the ADD's own result led that the result of the whole list does not have: a plugin behind it took them
    /// away, and said so.
    dropped: Vec<IpNetwork>,
}

impl<'a> Excuses<'a> {
    pub(super) fn of(
        all: &[Listed],
        journal: &Path,
        attachment: &Attachment,
        own: &'a Expected,
        result: Option<&'a NetworkResult>,
    ) -> Self {
        let is_own = |listed: &&Listed| Some(listed.name.as_ref()) == journal.file_name();
        let since = all.iter().find(is_own).map(Listed::age);
        let newer = all.iter().filter(|listed| !is_own(listed) && Some(listed.age()) >= since);
        let own_result = all.iter().find(is_own).and_then(|listed| listed.record.result());
        let (mut siblings, mut others) = (Vec::new(), Vec::new());
        for listed in newer {
            let expected = Expected::of(&listed.record);
            if listed.record.attachment() == Some(attachment) {
                siblings.push(expected);
            } else {
                others.push(expected);
            }
        }
        let dropped = dropped(own_result, result);
        Self { own, result, siblings, others, dropped }
    }

    /// Whether a difference is one of them.
    pub(super) fn cover(&self, difference: &Difference) -> bool {
        let Difference { statement, found } = difference;
        let key = &statement.key;
        let says = |expected: &Expected| expected.get(key).is_some_and(|value| holds(value, found));
        if self.siblings.iter().any(says) || self.is_stated(key, found) || is_left_to_others(key, found) {
            return true;
        }
        if let Key::Route(Ns::Container, route) = key
            && self.dropped.iter().any(|dst| same_network(*dst, route.dst))
        {
            return true;
        }
        // What is shared is the host's, and not on a link that this ADD created.
        let shared = key.ns() == Some(Ns::Host) && !key.link().is_some_and(|link| self.own.created(&link));
        shared && self.others.iter().any(says)
    }

    /// Whether the result that the runtime gave has it: a plugin that changes a hardware address says so there.
    fn is_stated(&self, key: &Key, found: &Value) -> bool {
        let (Key::Mac(link), Value::Mac(found)) = (key, found) else { return false };
        self.result.iter().flat_map(|result| &result.interfaces).any(|interface| {
            let ns = if interface.sandbox.is_some() { Ns::Container } else { Ns::Host };
            (ns, &interface.name) == (link.ns, &link.name) && interface.mac == Some(*found)
        })
    }
}

fn dropped(own: Option<&NetworkResult>, last: Option<&NetworkResult>) -> Vec<IpNetwork> {
    let (Some(own), Some(last)) = (own, last) else { return Vec::new() };
    let leads = |result: &NetworkResult, dst| result.routes.iter().any(|route| same_network(route.dst, dst));
    own.routes.iter().map(|route| route.dst).filter(|dst| !leads(last, *dst)).collect()
}

/// What plugins that keep no record set on the container's interface without a word in their result, as the reference
/// `tuning` does, how the node's links make up their addresses, routes that are there as they were added but for their table,
/// into which the reference `sbr` moves them, and which way leads out, which another network or a tunnel may be for. A change
/// of it proves nothing.
fn is_left_to_others(key: &Key, found: &Value) -> bool {
    match (key, found) {
        (Key::Mtu(link) | Key::Promiscuous(link) | Key::Alias(link), _) => link.ns == Ns::Container,
        // Of an interface. One that is not there any more is no change.
        (Key::Sysctl(Ns::Container, _), Value::Text(_)) => key.link().is_some(),
        // A node that is set to another mode sets it for every link, and nothing is broken by it.
        (Key::Sysctl(Ns::Host, name), Value::Text(_)) => {
            key.link().is_some() && name.ends_with("/addr_gen_mode")
        }
        (Key::Route(Ns::Container, said), Value::Route(found)) => {
            is_moved(said, found) || (said.dst.prefix() == 0 && same_network(said.dst, found.dst))
        }
        _ => false,
    }
}
