//! Chains that the reference plugins left in iptables' nat table: CNI-* of ipMasq, CNI-DN-* of portmap, and CNI-SN-* of its
//! old versions.

use std::collections::{BTreeMap, HashSet};

use wharf_ops::{Attachment, Error, Ns};

use crate::real::RealKernel;
use crate::reference::{Known, Leftover, Place};

use super::legacy::Legacy;
use super::names::{self, HOSTPORT_DNAT, OLD_HOSTPORT_SNAT, POSTROUTING};
use super::rule::Match;
use super::tables::{Found, Tables};
use super::{FAMILIES, legacy_has_nat, native, plan};

const WHAT: &str = "removing what a reference plugin left in iptables' nat table";

/// The chains of containers of the network that are not in use.
pub(crate) fn reference_leftovers(kernel: &mut RealKernel, known: Known<'_>) -> Result<Vec<Leftover>, Error> {
    let mut leftovers = Vec::new();
    for v4 in FAMILIES {
        leftovers.extend(in_rules(&native(kernel, v4)?.all()?, known, (false, v4)));
        if legacy_has_nat(kernel, v4)? {
            let mut tables = Tables::Legacy(Legacy::read(kernel.netns(Ns::Host)?, v4)?);
            leftovers.extend(in_rules(&tables.all()?, known, (true, v4)));
        }
    }
    Ok(leftovers)
}

/// Removes such a chain with the ways to it. What has another owner stays.
pub(crate) fn remove_reference_chain(
    kernel: &mut RealKernel,
    owner: &Attachment,
    (legacy, v4): (bool, bool),
    chain: &str,
    entry: &str,
) -> Result<(), Error> {
    let mut tables = if !legacy {
        native(kernel, v4)?
    } else if legacy_has_nat(kernel, v4)? {
        Tables::Legacy(Legacy::read(kernel.netns(Ns::Host)?, v4)?)
    } else {
        return Ok(());
    };
    tables.change(owner, WHAT, |tables| plan::removal(tables, owner, chain, entry))
}

/// By the comments, and by the names of chains where a comment cannot be read.
fn in_rules(rules: &[Found], known: Known<'_>, (legacy, v4): (bool, bool)) -> Vec<Leftover> {
    let named = |container: &str| {
        let owner = known.of(container);
        [
            (names::masquerade(&owner), POSTROUTING),
            (names::forward(&owner), HOSTPORT_DNAT),
            (names::old_snat(&owner), OLD_HOSTPORT_SNAT),
        ]
    };
    let valid: HashSet<String> =
        known.valid.iter().flat_map(|(container, _)| named(container)).map(|(chain, _)| chain).collect();
    let mut chains: BTreeMap<(String, &'static str), String> = BTreeMap::new();
    for container in known.leases.iter().map(|lease| &lease.owner.container) {
        for (chain, entry) in named(container) {
            let mentions = |found: &Found| found.chain == chain || found.target.as_ref() == Some(&chain);
            if rules.iter().any(|found| found.owner.is_none() && mentions(found)) {
                chains.insert((chain, entry), container.clone());
            }
        }
    }
    for found in rules.iter().filter(|found| found.owner.is_none()) {
        let Some((container, entry)) = comment(found).and_then(|text| named_by(text, known.network)) else {
            continue;
        };
        let Some(chain) = [found.target.as_ref(), Some(&found.chain)].into_iter().flatten().find(|chain| {
            // A comment that was cut cannot be held against the name.
            chain.starts_with("CNI-")
                && ![HOSTPORT_DNAT, OLD_HOSTPORT_SNAT].contains(&chain.as_str())
                && (container.ends_with("...") || named(&container).iter().any(|(name, _)| name == *chain))
        }) else {
            continue;
        };
        chains.entry((chain.clone(), entry)).or_insert(container);
    }
    let stale = chains.into_iter().filter(|((chain, _), _)| !valid.contains(chain));
    stale
        .map(|((chain, entry), container)| Leftover {
            container,
            what: format!("{} nat chain {chain}", program(legacy, v4)),
            certain: true,
            place: Place::Chain { legacy, v4, chain, entry },
        })
        .collect()
}

fn program(legacy: bool, v4: bool) -> &'static str {
    match (legacy, v4) {
        (false, true) => "iptables",
        (false, false) => "ip6tables",
        (true, true) => "iptables-legacy",
        (true, false) => "ip6tables-legacy",
    }
}

fn comment(found: &Found) -> Option<&str> {
    found.rule.as_ref()?.matches.iter().find_map(|one| match one {
        Match::Comment(text) => Some(text.as_str()),
        _ => None,
    })
}

/// The container in a comment about this network, and where the way to its chain begins.
fn named_by(text: &str, network: &str) -> Option<(String, &'static str)> {
    let ways = [("dnat ", HOSTPORT_DNAT), ("snat ", OLD_HOSTPORT_SNAT), ("", POSTROUTING)];
    let (text, entry) = ways.into_iter().find_map(|(way, entry)| Some((text.strip_prefix(way)?, entry)))?;
    let container = text.strip_prefix(&names::comment_of_network(network))?.strip_prefix('"')?;
    // A name has no quotes in it; one that was cut has none behind it.
    let container = container.strip_suffix('"').unwrap_or(container);
    (!container.is_empty() && !container.contains('"')).then(|| (container.to_owned(), entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_names_the_container_if_it_is_about_the_network() {
        for (text, container) in [
            ("name: \"n\" id: \"c\"", Some(("c", POSTROUTING))),
            ("dnat name: \"n\" id: \"c\"", Some(("c", HOSTPORT_DNAT))),
            ("snat name: \"n\" id: \"c\"", Some(("c", OLD_HOSTPORT_SNAT))),
            ("name: \"n\" id: \"ccc...", Some(("ccc...", POSTROUTING))),
            ("name: \"n2\" id: \"c\"", None),
            ("name: \"n\" id: \"\"", None),
            ("name: \"n\" id: \"c\" or \"d\"", None),
            ("CNI portfwd masquerade mark", None),
        ] {
            let container = container.map(|(container, entry): (&str, _)| (container.to_owned(), entry));
            assert_eq!(named_by(text, "n"), container, "{text}");
        }
    }
}
