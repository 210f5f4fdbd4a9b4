//! What every kernel does in the same way, the real one and a model of it: checks of arguments, words of errors, the
//! arithmetic of token buckets, names. None of it asks a kernel anything.

mod backend;
mod bucket;
mod checks;
mod conditions;
mod grammar;
mod sysctl;
mod words;

/// Names and rules as iptables writes them.
pub(crate) mod iptables {
    pub(crate) mod names;
    pub(crate) mod rule;
    mod values;
    pub(crate) mod words;
}

/// Expressions of nf_tables, and owners as their rules tell them.
pub(crate) mod nftables {
    pub(crate) mod conditions;
    pub(crate) mod expr;
    mod fields;
    pub(crate) mod owner;
}

use wharf_ops::nat::Protocol;
use wharf_ops::shaping::Rate;
use wharf_ops::{Attachment, Error, Link, Ns, Reply};

pub use backend::forward_backend;
pub(crate) use bucket::Bucket;
pub use checks::{check_name, check_nat, check_new_name, check_port_name, check_route, check_vlans};
pub use conditions::{Conditions, Packet};
pub use sysctl::{Access as SysctlAccess, check_sysctl, same_value, sysctl_failed};
pub use words::{
    BRIDGE_PORTS, describe, describe_route, describe_vlans, explain_full, foreign_qdisc, no_container,
    no_port, place, refused,
};
pub(crate) use words::{errno_in_words, refusal};

/// The token bucket that the kernel makes of `rate`, as it is read back, and the bytes that it lets through at once.
pub fn token_bucket(rate: Rate) -> Result<(Rate, u64), Error> {
    let bucket = Bucket::new(rate)?;
    Ok((bucket.rate(), bucket.at_once()))
}

/// The number of a protocol.
pub fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

/// The most bytes of an alias: IFALIASZ without its NUL.
pub const LONGEST_ALIAS: usize = 255;

/// The alias that says whose a link of the host is, as much as the kernel takes of it. The bandwidth guest writes the same,
/// to which `guest-plugins/bandwidth/tests/aliases` holds both.
pub fn link_alias(owner: &Attachment) -> String {
    // None of the three can contain a slash.
    let mut alias = format!("wharf:{}/{}/{}", owner.network, owner.container, owner.ifname);
    alias.truncate((0..=LONGEST_ALIAS).rev().find(|at| alias.is_char_boundary(*at)).unwrap_or_default());
    alias
}

/// The end in the host of a pair that was made for a container. One with both ends in the host is no container's.
pub fn host_end(made: &Reply) -> Option<&Link> {
    match made {
        Reply::Pair(a, b) => match (a.ns, b.ns) {
            (Ns::Host, Ns::Container) => Some(a),
            (Ns::Container, Ns::Host) => Some(b),
            (Ns::Host, Ns::Host) | (Ns::Container, Ns::Container) => None,
        },
        _ => None,
    }
}

/// What an attachment's chains are named by in Wharf's own tables.
pub fn owner_key(owner: &Attachment) -> String {
    nftables::owner::key(owner)
}

/// What an attachment's rules say of their owner: in Wharf's own tables, or `hidden` in those of iptables.
pub fn told_owner(owner: &Attachment, hidden: bool) -> Option<Attachment> {
    nftables::owner::decode(&if hidden {
        nftables::owner::encode_hidden(owner)
    } else {
        nftables::owner::encode(owner)
    })
}

/// Whether an owner that rules tell belongs to `network`.
pub fn is_in_network(found: &Attachment, network: &str) -> bool {
    nftables::owner::in_network(found, network)
}

/// The chains of a container on a network in iptables' nat table: masquerading, forwarding.
pub fn iptables_chains(owner: &Attachment) -> (String, String) {
    (iptables::names::masquerade(owner), iptables::names::forward(owner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_what_the_guest_writes() {
        let lines = include_str!("../../../guest-plugins/bandwidth/tests/aliases").lines();
        for line in lines.filter(|line| !line.starts_with('#')) {
            let [network, container, ifname, alias]: [_; 4] =
                line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            let owner =
                Attachment { network: network.into(), container: container.into(), ifname: ifname.into() };
            assert_eq!(link_alias(&owner), alias);
        }
    }
}
