//! The ifb of an attachment: its name, and the alias that says whose it is.

use std::collections::BTreeSet;

use wharf_sdk::names::hashed;
use wharf_sdk::{Attachment, LinkInfo, Owner};

const PREFIX: &str = "bwp";
const NAME_LENGTH: usize = 15;
const ALIAS_LENGTH: usize = 255;

/// The names that the attachment's ifb may have. First the reference's, so that its DEL and CHECK find it on a node that is
/// switched back; there is one for each container and network. A second interface of the container has one of its own.
pub(crate) fn candidates(attachment: &Attachment) -> [String; 2] {
    let Attachment { network, container, ifname } = attachment;
    // None of the three can contain a slash.
    let own = hashed(PREFIX, NAME_LENGTH, &[network, "/", container, "/", ifname]);
    [reference(attachment), own]
}

/// The name that the reference plugin gives to the one ifb of a container on a network.
pub(crate) fn reference(attachment: &Attachment) -> String {
    hashed(PREFIX, NAME_LENGTH, &[&attachment.network, &attachment.container])
}

/// The alias of the attachment's ifb. The host writes the same (`link_alias` of `host/kernel/src/common.rs`); both are held to
/// `tests/aliases`.
pub(crate) fn alias(attachment: &Attachment) -> String {
    let mut alias =
        format!("{}{}/{}", alias_prefix(&attachment.network), attachment.container, attachment.ifname);
    alias.truncate((0..=ALIAS_LENGTH).rev().find(|&at| alias.is_char_boundary(at)).unwrap_or_default());
    alias
}

fn alias_prefix(network: &str) -> String {
    format!("wharf:{network}/")
}

/// The ifbs of a network that belong to no valid attachment.
pub(crate) fn stale<'a>(links: &'a [LinkInfo], network: &str, valid: &[Owner]) -> Vec<&'a str> {
    let prefix = alias_prefix(network);
    // Inserted one by one: collecting would bring a sort into the guest.
    let mut kept = BTreeSet::new();
    for Owner { container, ifname } in valid.iter().cloned() {
        kept.insert(alias(&Attachment { network: network.to_owned(), container, ifname }));
    }
    let stale = |alias: &String| alias.starts_with(&prefix) && !kept.contains(alias);
    links
        .iter()
        .filter(|link| link.kind == "ifb" && link.name.starts_with(PREFIX))
        .filter(|link| link.alias.as_ref().is_some_and(stale))
        .map(|link| link.name.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(ifname: &str) -> Attachment {
        Attachment { network: "test".into(), container: "1234".into(), ifname: ifname.into() }
    }

    #[test]
    fn each_interface_has_a_name_of_its_own_beside_the_reference_s() {
        let [first, own] = candidates(&attachment("eth0"));
        assert_eq!(first, "bwp2bbe0c48b91a", "the reference's");
        let [same, other] = candidates(&attachment("eth1"));
        assert_eq!(first, same);
        assert!([&own, &other].iter().all(|name| name.len() == 15 && name.starts_with("bwp")));
        assert!(own != other && own != first);
    }

    #[test]
    fn an_alias_fits_the_kernel() {
        let mut lengths = Vec::new();
        for line in include_str!("../tests/aliases").lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            let [network, container, ifname, expected] = words.try_into().expect("four words");
            let alias = alias(&Attachment { network, container, ifname });
            assert_eq!(alias, expected);
            lengths.push(alias.len());
        }
        assert_eq!(lengths[2..], [255, 254], "cut, and not within a character");
    }

    #[test]
    fn only_the_network_s_own_ifbs_without_an_attachment_are_stale() {
        let link = |name: &str, kind: &str, alias: Option<&str>| LinkInfo {
            index: 1,
            name: name.into(),
            kind: kind.into(),
            mac: None,
            mtu: 1500,
            up: true,
            operational: true,
            promiscuous: false,
            master: None,
            peer: None,
            alias: alias.map(Into::into),
        };
        let links = [
            link("bwp000000000002", "ifb", Some("wharf:test/1234/eth0")),
            link("bwp000000000003", "ifb", Some("wharf:test/1234/eth1")),
            link("bwp000000000004", "ifb", Some("wharf:test2/9/eth0")),
            link("bwp000000000000", "ifb", None),
            link("bwp000000000001", "veth", Some("wharf:test/9/eth0")),
            link("eth9", "ifb", Some("wharf:test/9/eth0")),
        ];
        let valid = [Owner { container: "1234".into(), ifname: "eth0".into() }];
        assert_eq!(stale(&links, "test", &valid), ["bwp000000000003"]);
        assert_eq!(stale(&links, "test", &[]).len(), 2);
    }
}
