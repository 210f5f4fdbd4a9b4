//! Names and comments by the reference plugins' formulas, so that theirs and ours find each other's rules.

use sha2::{Digest, Sha512};
use wharf_ops::Attachment;

use crate::common::nftables::owner::hex;

/// Where PREROUTING and OUTPUT lead for local destinations.
pub(crate) const HOSTPORT_DNAT: &str = "CNI-HOSTPORT-DNAT";
/// Where POSTROUTING led for connections from 127.0.0.1 with old versions of the reference.
pub(crate) const OLD_HOSTPORT_SNAT: &str = "CNI-HOSTPORT-SNAT";
/// Marks what is to be masqueraded.
pub(crate) const HOSTPORT_SETMARK: &str = "CNI-HOSTPORT-SETMARK";
/// Masquerades what is marked.
pub(crate) const HOSTPORT_MASQ: &str = "CNI-HOSTPORT-MASQ";
/// iptables' own chains that Wharf adds to.
pub(crate) const PREROUTING: &str = "PREROUTING";
pub(crate) const OUTPUT: &str = "OUTPUT";
pub(crate) const POSTROUTING: &str = "POSTROUTING";

/// The longest name that iptables takes.
const NAME_LEN: usize = 28;
/// The longest comment that iptables takes, and where the reference cuts.
const COMMENT_LEN: usize = 255;
const CUT: usize = 253;

/// The chain that masquerades a container on a network, whatever the interface.
pub(crate) fn masquerade(owner: &Attachment) -> String {
    hashed("CNI-", owner)
}

/// The chain that forwards to a container on a network, whatever the interface.
pub(crate) fn forward(owner: &Attachment) -> String {
    hashed("CNI-DN-", owner)
}

/// The chain by which old versions of the reference masqueraded connections from 127.0.0.1 to a container.
pub(crate) fn old_snat(owner: &Attachment) -> String {
    hashed("CNI-SN-", owner)
}

/// The comment of masquerading rules.
pub(crate) fn masquerade_comment(owner: &Attachment) -> String {
    cut(format!("{}{}", comment_of_network(&owner.network), quote(&owner.container)))
}

/// What such a comment begins with; the quoted container follows.
pub(crate) fn comment_of_network(network: &str) -> String {
    format!("name: {} id: ", quote(network))
}

/// The ifb that the reference's bandwidth plugin makes for a container on a network.
pub(crate) fn reference_ifb(network: &str, container: &str) -> String {
    let hash = Sha512::new().chain_update(network).chain_update(container).finalize();
    format!("bwp{}", hex(&hash, 12))
}

/// The comment of a forwarded container's way in.
pub(crate) fn forward_comment(owner: &Attachment) -> String {
    cut(format!("dnat {}", masquerade_comment(owner)))
}

/// What says whose a rule is where there is no userdata (iptables-legacy): the whole attachment, or none if it is
/// too long for a comment.
pub(crate) fn tag(owner: &Attachment) -> String {
    format!("wharf {}/{}/{}", owner.network, owner.container, owner.ifname)
}

/// The attachment in such a comment.
pub(crate) fn untag(comment: &str) -> Option<Attachment> {
    let mut parts = comment.strip_prefix("wharf ")?.split('/').map(str::to_owned);
    let owner = Attachment { network: parts.next()?, container: parts.next()?, ifname: parts.next()? };
    parts.next().is_none().then_some(owner)
}

fn hashed(prefix: &str, owner: &Attachment) -> String {
    let hash = Sha512::new().chain_update(&owner.network).chain_update(&owner.container).finalize();
    format!("{prefix}{}", hex(&hash, NAME_LEN - prefix.len()))
}

/// As Go's `%q` does for the characters that names are made of.
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn cut(mut text: String) -> String {
    if text.len() > COMMENT_LEN {
        let end = (0..CUT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(network: &str, container: &str) -> Attachment {
        Attachment { network: network.into(), container: container.into(), ifname: "eth0".into() }
    }

    #[test]
    fn names_are_those_of_the_reference() {
        assert_eq!(masquerade(&owner("test", "1234")), "CNI-2bbe0c48b91a7d1b8a6753a8");
        assert_eq!(forward(&owner("test", "1234")), "CNI-DN-2bbe0c48b91a7d1b8a675");
        assert_eq!(old_snat(&owner("test", "1234")), "CNI-SN-2bbe0c48b91a7d1b8a675");
    }

    #[test]
    fn the_ifb_is_named_as_the_reference_does() {
        assert_eq!(reference_ifb("test", "1234"), "bwp2bbe0c48b91a");
    }

    #[test]
    fn comments_are_quoted_and_cut() {
        assert_eq!(masquerade_comment(&owner("n", "c")), "name: \"n\" id: \"c\"");
        let long = forward_comment(&owner("n", &"c".repeat(300)));
        assert!(long.len() <= COMMENT_LEN && long.ends_with("..."));
    }

    #[test]
    fn tags_are_read_back() {
        assert_eq!(untag(&tag(&owner("n", "c"))), Some(owner("n", "c")));
        assert_eq!(untag("wharf a/b"), None);
        assert_eq!(untag("name: \"n\" id: \"c\""), None);
    }
}
