//! Whose a chain is: its name is a hash of the attachment, and the userdata of its first rule says it in words.
//!
//! The comment that `nft` shows holds `network/container/ifname` (none of the three may contain a slash). nft
//! refuses to load a comment of more than 127 bytes, so a longer one gives the container as `#` and the chain's
//! hash, and the whole text goes into a record of our own behind it. If even that is too long (256 bytes are all
//! there is), [`decode`] answers the `#` form, which names the same chains: it can be swept like the real one.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use wharf_ops::Attachment;

/// NFTNL_UDATA_RULE_COMMENT: what nft shows.
const COMMENT: u8 = 0;
/// Ours; nft and iptables skip records that they do not know.
const OWNER: u8 = 0x57;
/// NFT_USERDATA_MAXLEN.
const USERDATA_MAX: usize = 256;
const COMMENT_MAX: usize = 127;
const HASH_LEN: usize = 24;

/// The part of a chain's name that says whose it is.
pub(crate) fn key(owner: &Attachment) -> String {
    match owner.container.strip_prefix('#') {
        Some(key) if key.len() == HASH_LEN => key.to_owned(),
        _ => hash(&[&owner.network, &owner.container, &owner.ifname]),
    }
}

/// The userdata of a rule in Wharf's own table: a comment, and the whole text if the comment cannot hold it.
pub(crate) fn encode(owner: &Attachment) -> Vec<u8> {
    let full = text(&owner.network, &owner.container, &owner.ifname);
    let mut data = Vec::with_capacity(USERDATA_MAX);
    if full.len() <= COMMENT_MAX {
        push(&mut data, COMMENT, &full, true);
    } else {
        push(&mut data, COMMENT, &short(owner), true);
        if data.len() + 2 + full.len() <= USERDATA_MAX {
            push(&mut data, OWNER, &full, false);
        }
    }
    data
}

/// The userdata of a rule in iptables' table: no comment, for iptables would print it.
pub(crate) fn encode_hidden(owner: &Attachment) -> Vec<u8> {
    let full = text(&owner.network, &owner.container, &owner.ifname);
    let text = if full.len() + 2 < USERDATA_MAX { full } else { short(owner) };
    let mut data = Vec::with_capacity(text.len() + 2);
    push(&mut data, OWNER, &text, false);
    data
}

/// The owner in a rule's userdata, if one is there.
pub(crate) fn decode(userdata: &[u8]) -> Option<Attachment> {
    find(userdata, OWNER).or_else(|| find(userdata, COMMENT)).and_then(parse)
}

/// The comment of a rule, whoever made it.
pub(crate) fn comment(userdata: &[u8]) -> Option<&str> {
    find(userdata, COMMENT)
}

/// Whether `found`, which [`decode`] answered, is `owner`.
pub(crate) fn same(found: &Attachment, owner: &Attachment) -> bool {
    found == owner || (found.container.starts_with('#') && key(found) == key(owner))
}

/// Whether `found`, which [`decode`] answered, belongs to `network`.
pub(crate) fn in_network(found: &Attachment, network: &str) -> bool {
    found.network == network || found.network == network_alias(network)
}

fn text(network: &str, container: &str, ifname: &str) -> String {
    format!("{network}/{container}/{ifname}")
}

fn short(owner: &Attachment) -> String {
    let container = format!("#{}", key(owner));
    let short = text(&owner.network, &container, &owner.ifname);
    if short.len() <= COMMENT_MAX {
        short
    } else {
        text(&network_alias(&owner.network), &container, &owner.ifname)
    }
}

fn network_alias(network: &str) -> String {
    format!("#{}", hash(&[network]))
}

fn parse(text: &str) -> Option<Attachment> {
    let (network, rest) = text.split_once('/')?;
    let (container, ifname) = rest.split_once('/')?;
    if network.is_empty() || container.is_empty() || ifname.is_empty() || ifname.contains('/') {
        return None;
    }
    Some(Attachment { network: network.into(), container: container.into(), ifname: ifname.into() })
}

fn push(data: &mut Vec<u8>, kind: u8, text: &str, nul: bool) {
    let len = text.len() + usize::from(nul);
    let Ok(len) = u8::try_from(len) else { return };
    data.extend([kind, len]);
    data.extend(text.as_bytes());
    if nul {
        data.push(0);
    }
}

fn find(mut data: &[u8], wanted: u8) -> Option<&str> {
    while let [kind, len, rest @ ..] = data {
        let (value, next) = rest.split_at_checked(usize::from(*len))?;
        if *kind == wanted {
            let value = value.split(|byte| *byte == 0).next()?;
            return std::str::from_utf8(value).ok();
        }
        data = next;
    }
    None
}

fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hex(&hasher.finalize(), HASH_LEN)
}

/// The first `len` digits of `bytes` in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8], len: usize) -> String {
    let mut text = String::with_capacity(len + 1);
    for byte in bytes {
        if text.len() >= len {
            break;
        }
        let _ = write!(text, "{byte:02x}");
    }
    text.truncate(len);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(network: usize, container: usize, ifname: usize) -> Attachment {
        Attachment {
            network: "n".repeat(network),
            container: "c".repeat(container),
            ifname: "i".repeat(ifname),
        }
    }

    #[test]
    fn the_usual_owner_is_a_readable_comment() {
        let owner =
            Attachment { network: "podman".into(), container: "ab".repeat(32), ifname: "eth0".into() };
        let data = encode(&owner);
        assert_eq!(find(&data, COMMENT).unwrap(), format!("podman/{}/eth0", "ab".repeat(32)));
        assert_eq!(decode(&data).unwrap(), owner);
    }

    #[test]
    fn the_longest_names_are_exact() {
        let owner = attachment(63, 64, 15);
        let data = encode(&owner);
        assert!(data.len() <= USERDATA_MAX);
        assert!(find(&data, COMMENT).unwrap().len() <= COMMENT_MAX, "nft could not load it again");
        assert_eq!(decode(&data).unwrap(), owner);
        assert_eq!(decode(&encode_hidden(&owner)).unwrap(), owner);
    }

    #[test]
    fn longer_ones_can_still_be_found_and_swept() {
        for owner in [attachment(63, 300, 15), attachment(200, 300, 15), attachment(400, 10, 4)] {
            for data in [encode(&owner), encode_hidden(&owner)] {
                assert!(data.len() <= USERDATA_MAX);
                let found = decode(&data).unwrap();
                assert!(in_network(&found, &owner.network));
                assert!(same(&found, &owner));
                assert_eq!(key(&found), key(&owner));
            }
        }
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let one = Attachment { network: "ab".into(), container: "c".into(), ifname: "d".into() };
        let two = Attachment { network: "a".into(), container: "bc".into(), ifname: "d".into() };
        assert_ne!(key(&one), key(&two));
        assert!(!same(&one, &two));
    }

    #[test]
    fn foreign_userdata_is_nobodys() {
        for data in [&b""[..], b"\0", b"\0\x05", b"\0\x04foo\0", b"\0\x06a/b//\0", b"\x57\xffabc"] {
            assert_eq!(decode(data), None, "{data:?}");
        }
    }
}
