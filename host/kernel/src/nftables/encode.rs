//! Expressions to the attributes of NFTA_RULE_EXPRESSIONS, and back.

use crate::netlink::{Attribute, Attributes, Builder};

use super::expr::{Comparison, CtKey, Expr, Header, MetaKey, REG_1, REG_2, Side, Verdict};

/// NFTA_LIST_ELEM.
pub(crate) const ELEMENT: u16 = 1;
/// NFTA_DATA_VALUE.
pub(crate) const DATA_VALUE: u16 = 1;
/// NFTA_DATA_VERDICT, NFTA_VERDICT_CODE and NFTA_VERDICT_CHAIN.
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
/// NFT_RETURN, NFT_GOTO and NFT_JUMP, as the kernel's unsigned bits.
const RETURN: u32 = 0u32.wrapping_sub(5);
const GOTO: u32 = 0u32.wrapping_sub(4);
const JUMP: u32 = 0u32.wrapping_sub(3);
/// The verdict register.
const REG_VERDICT: u32 = 0;
/// NFT_FIB_RESULT_ADDRTYPE, and NFTA_FIB_F_SADDR and NFTA_FIB_F_DADDR.
const FIB_ADDRESS_TYPE: u32 = 3;
const FIB_SOURCE: u32 = 1;
const FIB_DESTINATION: u32 = 2;
/// NFT_NAT_DNAT.
const NAT_DESTINATION: u32 = 1;

/// Appends NFTA_DATA_VERDICT.
pub(crate) fn put_verdict(b: &mut Builder, verdict: &Verdict) {
    b.nested(DATA_VERDICT, |b| {
        match verdict {
            Verdict::Accept => b.be32(VERDICT_CODE, 1),
            Verdict::Drop => b.be32(VERDICT_CODE, 0),
            Verdict::Return => b.be32(VERDICT_CODE, RETURN),
            Verdict::Jump(chain) => b.be32(VERDICT_CODE, JUMP).text(VERDICT_CHAIN, chain),
        };
    });
}

/// The verdict in an NFTA_DATA_VERDICT. A goto counts as a jump: both lead to the chain.
pub(crate) fn verdict(data: Attributes<'_>) -> Option<Verdict> {
    let verdict = data.find(DATA_VERDICT)?.nested();
    match verdict.find(VERDICT_CODE)?.be32()? {
        0 => Some(Verdict::Drop),
        1 => Some(Verdict::Accept),
        RETURN => Some(Verdict::Return),
        JUMP | GOTO => Some(Verdict::Jump(verdict.find(VERDICT_CHAIN)?.text()?.to_owned())),
        _ => None,
    }
}

/// Appends one NFTA_LIST_ELEM per expression.
pub(crate) fn put(b: &mut Builder, exprs: &[Expr]) {
    for expr in exprs {
        put_one(b, expr);
    }
}

fn element(b: &mut Builder, name: &str, data: impl FnOnce(&mut Builder)) {
    b.nested(ELEMENT, |b| {
        b.text(1, name).nested(2, data);
    });
}

fn value(b: &mut Builder, kind: u16, bytes: &[u8]) {
    b.nested(kind, |b| {
        b.attribute(DATA_VALUE, bytes);
    });
}

fn put_one(b: &mut Builder, expr: &Expr) {
    match expr {
        Expr::Meta { key, register } => element(b, "meta", |b| {
            b.be32(1, *register).be32(2, *key as u32);
        }),
        Expr::Ct(key) => element(b, "ct", |b| {
            b.be32(1, REG_1).be32(2, *key as u32);
        }),
        Expr::Payload { header, offset, len, register } => element(b, "payload", |b| {
            b.be32(1, *register).be32(2, *header as u32).be32(3, *offset).be32(4, *len);
        }),
        Expr::Mask(mask) => element(b, "bitwise", |b| {
            b.be32(1, REG_1).be32(2, REG_1).be32(3, u32::try_from(mask.len()).unwrap_or(0));
            value(b, 4, mask);
            value(b, 5, &vec![0; mask.len()]);
        }),
        Expr::Compare(comparison, data) => element(b, "cmp", |b| {
            b.be32(1, REG_1).be32(2, *comparison as u32);
            value(b, 3, data);
        }),
        Expr::Range { comparison, from, to } => element(b, "range", |b| {
            b.be32(1, REG_1).be32(2, *comparison as u32);
            value(b, 3, from);
            value(b, 4, to);
        }),
        Expr::AddressType(side) => element(b, "fib", |b| {
            let flag = if *side == Side::Source { FIB_SOURCE } else { FIB_DESTINATION };
            b.be32(1, REG_1).be32(2, FIB_ADDRESS_TYPE).be32(3, flag);
        }),
        Expr::VerdictMap(map) => element(b, "lookup", |b| {
            b.text(1, map).be32(2, REG_1).be32(3, REG_VERDICT);
        }),
        Expr::Load { register, data } => element(b, "immediate", |b| {
            b.be32(1, *register);
            value(b, 2, data);
        }),
        Expr::Verdict(verdict) => element(b, "immediate", |b| {
            b.be32(1, REG_VERDICT).nested(2, |b| put_verdict(b, verdict));
        }),
        Expr::Dnat { nfproto } => element(b, "nat", |b| {
            b.be32(1, NAT_DESTINATION).be32(2, u32::from(*nfproto)).be32(3, REG_1).be32(5, REG_2);
        }),
        Expr::Masquerade => element(b, "masq", |_| {}),
        Expr::Counter => element(b, "counter", |b| {
            b.be64(1, 0).be64(2, 0);
        }),
        Expr::Match { name, revision, info } => element(b, "match", |b| put_xt(b, name, *revision, info)),
        Expr::Target { name, revision, info } => element(b, "target", |b| put_xt(b, name, *revision, info)),
        // Only ever read; written back it must not pass for nothing.
        Expr::Unknown(name) => element(b, name, |_| {}),
    }
}

/// The info is padded as XT_ALIGN does.
fn put_xt(b: &mut Builder, name: &str, revision: u32, info: &[u8]) {
    let mut info = info.to_vec();
    info.resize(info.len().next_multiple_of(8), 0);
    b.text(1, name).be32(2, revision).attribute(3, &info);
}

/// The expressions in an NFTA_RULE_EXPRESSIONS.
pub(crate) fn read(list: Attributes<'_>) -> Vec<Expr> {
    list.filter(|attribute| attribute.kind == ELEMENT)
        .map(|attribute| {
            let name = attribute.nested().find(1).and_then(|name| name.text()).unwrap_or_default();
            let data = attribute.nested().find(2).map_or(Attributes::new(&[]), |data| data.nested());
            read_one(name, data).unwrap_or_else(|| Expr::Unknown(name.to_owned()))
        })
        .collect()
}

fn read_one(name: &str, data: Attributes<'_>) -> Option<Expr> {
    let number = |kind| data.find(kind).and_then(|attribute: Attribute<'_>| attribute.be32());
    let bytes = |kind| {
        data.find(kind).and_then(|nest| nest.nested().find(DATA_VALUE)).map(|data| data.value.to_vec())
    };
    let comparison = |number| match number {
        Some(0) => Some(Comparison::Equal),
        Some(1) => Some(Comparison::NotEqual),
        _ => None,
    };
    Some(match name {
        "meta" => Expr::Meta { key: meta_key(number(2)?)?, register: number(1)? },
        "ct" => Expr::Ct(match number(2)? {
            0 => CtKey::State,
            2 => CtKey::Status,
            _ => return None,
        }),
        "payload" => Expr::Payload {
            header: match number(2)? {
                0 => Header::Link,
                1 => Header::Network,
                2 => Header::Transport,
                _ => return None,
            },
            offset: number(3)?,
            len: number(4)?,
            register: number(1)?,
        },
        "bitwise" if bytes(5)?.iter().all(|byte| *byte == 0) => Expr::Mask(bytes(4)?),
        "cmp" => Expr::Compare(comparison(number(2))?, bytes(3)?),
        "range" => Expr::Range { comparison: comparison(number(2))?, from: bytes(3)?, to: bytes(4)? },
        "fib" => Expr::AddressType(match (number(2)?, number(3)?) {
            (FIB_ADDRESS_TYPE, FIB_SOURCE) => Side::Source,
            (FIB_ADDRESS_TYPE, FIB_DESTINATION) => Side::Destination,
            _ => return None,
        }),
        "lookup" => {
            number(3)?;
            Expr::VerdictMap(data.find(1)?.text()?.to_owned())
        }
        "immediate" if number(1)? == REG_VERDICT => Expr::Verdict(verdict(data.find(2)?.nested())?),
        "immediate" => Expr::Load { register: number(1)?, data: bytes(2)? },
        "nat" if number(1)? == NAT_DESTINATION => Expr::Dnat { nfproto: u8::try_from(number(2)?).ok()? },
        "masq" => Expr::Masquerade,
        "counter" => Expr::Counter,
        "match" | "target" => {
            let (xt, revision, info) =
                (data.find(1)?.text()?.to_owned(), number(2)?, data.find(3)?.value.to_vec());
            if name == "match" {
                Expr::Match { name: xt, revision, info }
            } else {
                Expr::Target { name: xt, revision, info }
            }
        }
        _ => return None,
    })
}

fn meta_key(number: u32) -> Option<MetaKey> {
    let all = [
        MetaKey::Mark,
        MetaKey::IifName,
        MetaKey::OifName,
        MetaKey::IifType,
        MetaKey::NfProto,
        MetaKey::L4Proto,
        MetaKey::IifGroup,
    ];
    all.into_iter().find(|key| *key as u32 == number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nftables::expr::*;

    #[test]
    fn every_expression_is_read_back_as_it_was_written() {
        let exprs: Vec<Expr> = [
            family_is(true).to_vec(),
            protocol_is(6).to_vec(),
            was_forwarded().to_vec(),
            destination_is_local().to_vec(),
            network_is(Side::Source, Comparison::NotEqual, "10.1.0.0/12".parse().unwrap()),
            network_is(Side::Destination, Comparison::Equal, "fd00::/13".parse().unwrap()),
            vec![
                Expr::AddressType(Side::Source),
                Expr::Meta { key: MetaKey::IifGroup, register: REG_1 },
                load_port(Side::Destination, REG_1),
                Expr::Range { comparison: Comparison::NotEqual, from: vec![0, 1], to: vec![0, 9] },
                Expr::VerdictMap("ports4".into()),
                Expr::Load { register: REG_2, data: vec![0, 80] },
                Expr::Dnat { nfproto: 2 },
                Expr::Masquerade,
                Expr::Counter,
                Expr::Match { name: "comment".into(), revision: 0, info: vec![1; 16] },
                Expr::Target { name: "MASQUERADE".into(), revision: 0, info: vec![2; 24] },
                Expr::Verdict(Verdict::Accept),
                Expr::Verdict(Verdict::Drop),
                Expr::Verdict(Verdict::Return),
                Expr::Verdict(Verdict::Jump("somewhere".into())),
            ],
        ]
        .concat();
        let mut builder = Builder::default();
        put(&mut builder, &exprs);
        assert_eq!(read(Attributes::new(builder.bytes())), exprs);
    }

    #[test]
    fn any_bytes_can_be_read() {
        let mut builder = Builder::default();
        put(
            &mut builder,
            &[Expr::Masquerade, Expr::Verdict(Verdict::Jump("c".into())), Expr::Mask(vec![1; 4])],
        );
        let bytes = builder.bytes().to_vec();
        for cut in 0..bytes.len() {
            read(Attributes::new(&bytes[..cut]));
            let mut changed = bytes.clone();
            changed[cut] ^= 0xff;
            read(Attributes::new(&changed));
        }
    }
}
