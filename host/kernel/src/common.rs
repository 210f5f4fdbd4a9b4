//! What every kernel does in the same way, the real one and a model of it: checks of arguments, words of errors, the
//! arithmetic of token buckets, names. None of it asks a kernel anything.

mod backend;
mod bucket;
mod checks;
mod conditions;
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
use wharf_ops::{Attachment, Error};

pub use backend::forward_backend;
pub(crate) use bucket::Bucket;
pub use checks::{check_name, check_new_name, check_port_name, check_route, check_vlans};
pub use conditions::{Conditions, Packet};
pub use sysctl::{Access as SysctlAccess, check_sysctl, same_value, sysctl_failed};
pub use words::{
    describe, describe_route, describe_vlans, foreign_qdisc, no_container, no_port, place, refused,
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
