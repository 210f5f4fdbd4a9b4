//! Firewall and NAT as intent: the host renders nftables or iptables and stamps every rule with the attachment.

pub mod conntrack;
pub mod filter;
pub mod nat;
