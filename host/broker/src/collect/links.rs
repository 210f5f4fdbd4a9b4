//! The host's ends of containers' veths, by their alias. The ifbs of bandwidth: Wharf's by their alias, the reference's by
//! the name that it makes of network and container.

use std::collections::BTreeSet;

use wharf_kernel::common::link_alias;
use wharf_kernel::{Kernel, RealKernel, reference};
use wharf_ops::leases::Lease;
use wharf_ops::links::{Info, LinkOp};
use wharf_ops::{Attachment, KernelOp, Link, Ns, Reply};

use super::{Collection, Item, Kind, Report};

/// Every link of the host.
pub(super) fn list(wanted: &Collection, kernel: &mut RealKernel, report: &mut Report) -> Vec<Info> {
    let all = kernel.apply(&nobody(wanted), &KernelOp::Link(LinkOp::GetAll { ns: Ns::Host }));
    report.note("links", all.and_then(Reply::infos)).unwrap_or_default()
}

fn nobody(wanted: &Collection) -> Attachment {
    Attachment { network: wanted.network.clone(), container: String::new(), ifname: String::new() }
}

/// Those of the links that are stale.
pub(super) fn collect(
    wanted: &Collection,
    links: Vec<Info>,
    kernel: &mut RealKernel,
    leased: &[Lease],
    report: &mut Report,
) {
    let nobody = nobody(wanted);
    let theirs = if wanted.adopt { of_reference(wanted, leased, report) } else { Vec::new() };
    let own = |info: &Info| info.kind == "veth" || (info.kind == "ifb" && info.name.starts_with("bwp"));
    for info in links.into_iter().filter(own) {
        let Some((container, ifname, reference)) = stale(wanted, &theirs, &info) else { continue };
        let link = Link { ns: Ns::Host, index: info.index, name: info.name.clone() };
        let delete = KernelOp::Link(LinkOp::Delete { link });
        let outcome = wanted.carry_out(|| kernel.apply(&nobody, &delete).map(drop));
        report.items.push(Item { kind: Kind::Link, what: info.name, container, ifname, reference, outcome });
    }
}

/// Names of the reference's ifbs, with their containers: of those that are known and not in use.
fn of_reference(wanted: &Collection, leased: &[Lease], report: &Report) -> Vec<(String, String)> {
    let leased = leased.iter().map(|lease| lease.owner.container.as_str());
    let found = report.items.iter().filter(|item| item.reference).map(|item| item.container.as_str());
    let containers: BTreeSet<&str> = leased.chain(found).collect();
    let stale = containers.into_iter().filter(|container| !wanted.keeps(container, ""));
    stale
        .map(|container| (reference::reference_ifb(&wanted.network, container), container.to_owned()))
        .collect()
}

/// The host's ends of veths that say they are an attachment's of the network, and none of the valid ones'.
pub(crate) fn stale_ends(links: Vec<Info>, network: &str, valid: &[(String, String)]) -> Vec<Link> {
    let stale = |info: &Info| {
        let Some(alias) = info.alias.as_deref().filter(|_| info.kind == "veth") else { return false };
        let names =
            |(container, ifname): &(String, String)| names_attachment(alias, network, container, ifname);
        alias.starts_with(&prefix(network)) && !valid.iter().any(names)
    };
    let stale = links.into_iter().filter(stale);
    stale.map(|info| Link { ns: Ns::Host, index: info.index, name: info.name }).collect()
}

/// Whose a link of the network is, unless that is in use, and whether the reference made it.
fn stale(wanted: &Collection, theirs: &[(String, String)], info: &Info) -> Option<(String, String, bool)> {
    match info.alias.as_deref() {
        None | Some("") if info.kind == "veth" => None,
        None | Some("") => {
            let (_, container) = theirs.iter().find(|(name, _)| *name == info.name)?;
            Some((container.clone(), String::new(), true))
        }
        Some(alias) => {
            let (container, ifname) = alias.strip_prefix(&prefix(&wanted.network))?.split_once('/')?;
            let kept = wanted
                .valid
                .iter()
                .any(|(container, ifname)| names_attachment(alias, &wanted.network, container, ifname));
            (!kept).then(|| (container.to_owned(), ifname.to_owned(), false))
        }
    }
}

/// What aliases of the network's attachments begin with. Neither its name nor what follows can contain a slash.
pub(crate) fn prefix(network: &str) -> String {
    format!("wharf:{network}/")
}

/// Whether the alias is the attachment's.
pub(crate) fn names_attachment(alias: &str, network: &str, container: &str, ifname: &str) -> bool {
    let owner = Attachment { network: network.into(), container: container.into(), ifname: ifname.into() };
    alias == link_alias(&owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ifb(name: &str, alias: Option<&str>) -> Info {
        Info {
            index: 7,
            name: name.into(),
            kind: "ifb".into(),
            mac: None,
            mtu: 1500,
            up: true,
            operational: true,
            promiscuous: false,
            master: None,
            peer: None,
            alias: alias.map(Into::into),
        }
    }

    #[test]
    fn what_the_guest_writes_is_known_by_its_attachment() {
        let lines = include_str!("../../../../guest-plugins/bandwidth/tests/aliases").lines();
        for line in lines.filter(|line| !line.starts_with('#')) {
            let [network, container, ifname, alias]: [_; 4] =
                line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            assert!(names_attachment(alias, network, container, ifname), "{alias}");
            assert!(!names_attachment(alias, network, container, "eth9") || alias.len() > 250, "{alias}");
            assert!(alias.starts_with(&prefix(network)));
        }
    }

    #[test]
    fn an_end_is_stale_by_its_alias_alone() {
        let end = |index: u32, kind: &str, alias: Option<&str>| Info {
            index,
            kind: kind.into(),
            ..ifb("veth0", alias)
        };
        let links = vec![
            end(1, "veth", None),
            end(2, "veth", Some("wharf:net/live/eth0")),
            end(3, "veth", Some("wharf:net/gone/eth0")),
            end(4, "veth", Some("wharf:net2/gone/eth0")),
            end(5, "veth", Some("somebody's")),
            end(6, "ifb", Some("wharf:net/gone/eth0")),
        ];
        let stale = stale_ends(links, "net", &[("live".into(), "eth0".into())]);
        assert_eq!(stale, [Link { ns: Ns::Host, index: 3, name: "veth0".into() }]);
    }

    #[test]
    fn an_ifb_is_stale_by_its_alias_or_by_the_name_of_the_reference() {
        let long = "c".repeat(300);
        let wanted = Collection {
            network: "net".into(),
            valid: vec![("live".into(), "eth0".into()), (long.clone(), "eth0".into())],
            data_dir: None,
            adopt: true,
            dry_run: true,
        };
        let theirs = [("bwp1".to_owned(), "old".to_owned())];
        let of = |name: &str, alias: Option<&str>| stale(&wanted, &theirs, &ifb(name, alias));
        let owned = |container: &str, ifname: &str, reference| {
            Some((container.to_owned(), ifname.to_owned(), reference))
        };
        assert_eq!(of("bwpx", Some("wharf:net/live/eth0")), None);
        assert_eq!(of("bwpx", Some("wharf:net/live/eth1")), owned("live", "eth1", false));
        assert_eq!(of("bwpx", Some("wharf:net2/gone/eth0")), None, "another network's");
        assert_eq!(of("bwpx", Some("somebody's")), None);
        let cut = format!("wharf:net/{long}/eth0");
        assert_eq!(of("bwpx", Some(&cut[..255])), None);
        assert_eq!(of("bwp1", Some("somebody's")), None);
        assert_eq!(of("bwp1", None), owned("old", "", true));
        assert_eq!(of("bwp2", Some("")), None);
        let veth = |alias: Option<&str>| {
            let info = Info { kind: "veth".into(), ..ifb("bwp1", alias) };
            stale(&wanted, &theirs, &info)
        };
        assert_eq!(veth(Some("wharf:net/gone/eth0")), owned("gone", "eth0", false));
        assert_eq!(veth(Some("wharf:net/live/eth0")), None);
        assert_eq!(veth(None), None, "the reference names no veth");
    }
}
