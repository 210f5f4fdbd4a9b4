//! The expressions of nf_tables rules, as values.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

/// The only 16-byte register in use; verdicts are register 0.
pub(crate) const REG_1: u32 = 1;
/// The second 16-byte register.
pub(crate) const REG_2: u32 = 2;
/// Words of register 1 and 2, for keys of several fields: 32-bit register `n` is this plus `n`.
pub(crate) const REG32_0: u32 = 8;

/// What `meta` loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum MetaKey {
    Mark = 3,
    IifName = 6,
    OifName = 7,
    IifType = 8,
    NfProto = 15,
    L4Proto = 16,
    IifGroup = 21,
}

/// What `ct` loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum CtKey {
    State = 0,
    Status = 2,
}

/// The header that a payload is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Header {
    Link = 0,
    Network = 1,
    Transport = 2,
}

/// How `cmp` compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Comparison {
    Equal = 0,
    NotEqual = 1,
}

/// Where a rule leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    Drop,
    Return,
    Jump(String),
}

/// One expression. Those without a register use register 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expr {
    Meta {
        key: MetaKey,
        register: u32,
    },
    Ct(CtKey),
    Payload {
        header: Header,
        offset: u32,
        len: u32,
        register: u32,
    },
    Mask(Vec<u8>),
    Compare(Comparison, Vec<u8>),
    Range {
        comparison: Comparison,
        from: Vec<u8>,
        to: Vec<u8>,
    },
    /// `fib saddr type` or `fib daddr type`.
    AddressType(Side),
    /// Looks register 1 up in a verdict map.
    VerdictMap(String),
    Load {
        register: u32,
        data: Vec<u8>,
    },
    Verdict(Verdict),
    /// To the address in register 1 and the port in register 2.
    Dnat {
        nfproto: u8,
    },
    Masquerade,
    Counter,
    /// An xtables match.
    Match {
        name: String,
        revision: u32,
        info: Vec<u8>,
    },
    /// An xtables target.
    Target {
        name: String,
        revision: u32,
        info: Vec<u8>,
    },
    /// Something that Wharf never writes.
    Unknown(String),
}

/// RTN_LOCAL.
const LOCAL: u32 = 2;
/// IPS_DST_NAT.
const STATUS_DNAT: u32 = 1 << 5;
/// NF_CT_STATE_BIT of IP_CT_ESTABLISHED and IP_CT_RELATED.
const STATE_ESTABLISHED: u32 = 1 << 1;
const STATE_RELATED: u32 = 1 << 2;

/// NFPROTO of an address family.
pub(crate) fn nfproto(v4: bool) -> u8 {
    if v4 { 2 } else { 10 }
}

/// The bytes of an address as they are in a packet.
pub(crate) fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The address in the bytes of a packet.
pub(crate) fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// Which address of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Source,
    Destination,
}

/// Where an address is in its header.
pub(crate) fn address_offset(v4: bool, side: Side) -> u32 {
    match (v4, side) {
        (true, Side::Source) => 12,
        (true, Side::Destination) => 16,
        (false, Side::Source) => 8,
        (false, Side::Destination) => 24,
    }
}

/// Loads an address of the packet.
pub(crate) fn load_address(v4: bool, side: Side) -> Expr {
    Expr::Payload {
        header: Header::Network,
        offset: address_offset(v4, side),
        len: if v4 { 4 } else { 16 },
        register: REG_1,
    }
}

/// `meta nfproto`: in a table of the inet family every look into the network header needs it.
pub(crate) fn family_is(v4: bool) -> [Expr; 2] {
    [Expr::Meta { key: MetaKey::NfProto, register: REG_1 }, equal([nfproto(v4)])]
}

/// `meta l4proto`.
pub(crate) fn protocol_is(number: u8) -> [Expr; 2] {
    [Expr::Meta { key: MetaKey::L4Proto, register: REG_1 }, equal([number])]
}

/// `fib daddr type local`.
pub(crate) fn destination_is_local() -> [Expr; 2] {
    [Expr::AddressType(Side::Destination), equal(LOCAL.to_ne_bytes())]
}

/// `ct status dnat`.
pub(crate) fn was_forwarded() -> [Expr; 3] {
    [
        Expr::Ct(CtKey::Status),
        Expr::Mask(STATUS_DNAT.to_ne_bytes().to_vec()),
        Expr::Compare(Comparison::NotEqual, vec![0; 4]),
    ]
}

/// The opposite.
pub(crate) fn was_not_forwarded() -> [Expr; 3] {
    let [load, mask, _] = was_forwarded();
    [load, mask, equal([0; 4])]
}

/// `ct state != { established, related }`.
pub(crate) fn opens_connection() -> [Expr; 3] {
    let known = (STATE_ESTABLISHED | STATE_RELATED).to_ne_bytes();
    [Expr::Ct(CtKey::State), Expr::Mask(known.to_vec()), equal([0; 4])]
}

/// Register 1 is this.
pub(crate) fn equal(data: impl Into<Vec<u8>>) -> Expr {
    Expr::Compare(Comparison::Equal, data.into())
}

/// The mask of a prefix length, as the bytes of an address.
pub(crate) fn prefix_mask(len: usize, prefix: u8) -> Vec<u8> {
    (0..len)
        .map(|index| {
            let bits = usize::from(prefix).saturating_sub(index * 8).min(8);
            u8::try_from((0xff00_u16 >> bits) & 0xff).unwrap_or(0)
        })
        .collect()
}

/// `ip saddr 10.0.0.0/8` without the dependency on the family.
pub(crate) fn network_is(side: Side, comparison: Comparison, network: IpNetwork) -> Vec<Expr> {
    let v4 = network.is_ipv4();
    let start = bytes(network.network());
    let mut exprs = vec![load_address(v4, side)];
    if usize::from(network.prefix()) < start.len() * 8 {
        exprs.push(Expr::Mask(prefix_mask(start.len(), network.prefix())));
    }
    exprs.push(Expr::Compare(comparison, start));
    exprs
}

/// `th dport`.
pub(crate) fn load_port(side: Side, register: u32) -> Expr {
    let offset = if side == Side::Source { 0 } else { 2 };
    Expr::Payload { header: Header::Transport, offset, len: 2, register }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        assert_eq!(prefix_mask(4, 0), [0, 0, 0, 0]);
        assert_eq!(prefix_mask(4, 9), [255, 128, 0, 0]);
        assert_eq!(prefix_mask(4, 32), [255; 4]);
        assert_eq!(prefix_mask(16, 3)[..2], [0xe0, 0]);
    }
}
