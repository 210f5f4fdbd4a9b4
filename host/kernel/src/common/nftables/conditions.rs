//! Conditions in nft's own words, compiled to expressions.
//!
//! A positive set `{ a, b }` becomes one alternative per member (each a rule of its own), a negated one a row of
//! comparisons, so that no anonymous sets are needed.

use ipnetwork::IpNetwork;
use wharf_ops::{Error, Mac};

use crate::common::grammar::{Word, Words, bad, combine};

use super::expr::{
    Comparison, CtKey, Expr, Header, MetaKey, REG_1, Side, equal, load_address, load_port, network_is,
    protocol_is,
};
use super::fields::{Field, address_type};

const KNOWN: &str = "ip|ip6 saddr|daddr|dscp, ip ttl, ip6 hoplimit, fib saddr|daddr type, \
                     tcp|udp|sctp sport|dport, iifname, iif, oifname, oif, iifgroup, meta mark, meta l4proto, \
                     ether saddr, ct state";

/// Rows of expressions of which one must hold. No words: one empty row.
pub(crate) fn compile(words: &[String], v4: bool) -> Result<Vec<Vec<Expr>>, Error> {
    let all = split(words);
    let mut rest = Words::of(&all);
    let mut rows = vec![Vec::new()];
    while let Some(word) = rest.next() {
        rows = condition(word, &mut rest, v4)
            .and_then(|condition| combine(&rows, &condition))
            .map_err(|error| rest.blame(v4, error))?;
    }
    Ok(rows)
}

fn split(list: &[String]) -> Vec<Word> {
    let mut all = Vec::new();
    for (element, text) in list.iter().enumerate() {
        let mut spaced = String::new();
        for c in text.chars() {
            match c {
                '{' | '}' | ',' => spaced.extend([' ', c, ' ']),
                '"' => {}
                _ => spaced.push(c),
            }
        }
        all.extend(spaced.split_whitespace().map(|text| Word { text: text.to_owned(), element }));
    }
    all
}

/// `==` and `!=` in either spelling; nothing means equal.
fn operator(rest: &mut Words<'_>) -> Comparison {
    let comparison = match rest.peek() {
        Some("==" | "eq") => Comparison::Equal,
        Some("!=" | "ne" | "!") => Comparison::NotEqual,
        _ => return Comparison::Equal,
    };
    rest.next();
    comparison
}

/// One value, or the members of a set. The comma of `ct state new,established` also separates.
fn values<'a>(rest: &mut Words<'a>, after: &str) -> Result<Vec<&'a str>, Error> {
    let first = rest.value(after)?;
    if first == "{" {
        let mut values = Vec::new();
        loop {
            match rest.value("{")? {
                "}" if !values.is_empty() => return Ok(values),
                "}" => return Err(Error::invalid("an empty set")),
                "," => {}
                value => values.push(value),
            }
        }
    }
    let mut values = vec![first];
    while rest.skip(",") {
        values.push(rest.value(",")?);
    }
    Ok(values)
}

fn condition(word: &str, rest: &mut Words<'_>, v4: bool) -> Result<Vec<Vec<Expr>>, Error> {
    match word {
        "ip" | "ip6" => {
            if (word == "ip") != v4 {
                let wanted = if v4 { "ip" } else { "ip6" };
                return Err(Error::invalid(format!(
                    "{word:?} never holds for this family: write {wanted:?}, or move it to the other conditions"
                )));
            }
            let side = match rest.value(word)? {
                "saddr" => Side::Source,
                "daddr" => Side::Destination,
                "ttl" if v4 => return Field::hops(v4).condition(rest),
                "hoplimit" if !v4 => return Field::hops(v4).condition(rest),
                "dscp" => return Field::code_point(v4).condition(rest),
                other => return Err(unknown(&format!("{word} {other}"))),
            };
            each(rest, "address", &[], |comparison, text| address(v4, side, comparison, text))
        }
        "tcp" | "udp" | "sctp" | "th" => {
            let side = match rest.value(word)? {
                "sport" => Side::Source,
                "dport" => Side::Destination,
                other => return Err(unknown(&format!("{word} {other}"))),
            };
            let before: Vec<Expr> = protocol_number(word).map(protocol_is).into_iter().flatten().collect();
            each(rest, "port", &before, |comparison, text| port(side, comparison, text))
        }
        "iifname" | "iif" => interface(MetaKey::IifName, rest),
        "oifname" | "oif" => interface(MetaKey::OifName, rest),
        "iifgroup" => group(rest),
        "fib" => address_type(rest),
        "meta" => match rest.value(word)? {
            "mark" => mark(rest),
            "l4proto" => each(rest, "protocol", &[], |comparison, text| {
                let number = protocol_number(text).or_else(|| text.parse().ok());
                let number = number.ok_or_else(|| bad("protocol", text))?;
                Ok(vec![
                    Expr::Meta { key: MetaKey::L4Proto, register: REG_1 },
                    Expr::Compare(comparison, vec![number]),
                ])
            }),
            "iifname" | "iif" => interface(MetaKey::IifName, rest),
            "oifname" | "oif" => interface(MetaKey::OifName, rest),
            "iifgroup" => group(rest),
            other => Err(unknown(&format!("meta {other}"))),
        },
        "ether" => match rest.value(word)? {
            "saddr" => {
                /// ARPHRD_ETHER.
                const ETHERNET: u16 = 1;
                let before =
                    [Expr::Meta { key: MetaKey::IifType, register: REG_1 }, equal(ETHERNET.to_ne_bytes())];
                each(rest, "hardware address", &before, |comparison, text| {
                    let mac: Mac = text.parse().map_err(|_| bad("hardware address", text))?;
                    Ok(vec![
                        Expr::Payload { header: Header::Link, offset: 6, len: 6, register: REG_1 },
                        Expr::Compare(comparison, mac.0.to_vec()),
                    ])
                })
            }
            other => Err(unknown(&format!("ether {other}"))),
        },
        "ct" => match rest.value(word)? {
            "state" => state(rest),
            other => Err(unknown(&format!("ct {other}"))),
        },
        other => Err(unknown(other)),
    }
}

pub(super) fn unknown(word: &str) -> Error {
    Error::invalid(format!("{word:?} is not known here; known are: {KNOWN}"))
}

/// Applies an operator to one value or a set of them.
pub(super) fn each(
    rest: &mut Words<'_>,
    what: &str,
    before: &[Expr],
    one: impl Fn(Comparison, &str) -> Result<Vec<Expr>, Error>,
) -> Result<Vec<Vec<Expr>>, Error> {
    let comparison = operator(rest);
    let values = values(rest, what)?;
    let mut rows = Vec::new();
    for value in values {
        rows.push(one(comparison, value)?);
    }
    if comparison == Comparison::NotEqual {
        rows = vec![rows.concat()];
    }
    for row in &mut rows {
        row.splice(0..0, before.iter().cloned());
    }
    Ok(rows)
}

fn address(v4: bool, side: Side, comparison: Comparison, text: &str) -> Result<Vec<Expr>, Error> {
    let of_family = |network: IpNetwork| if network.is_ipv4() == v4 { Some(network) } else { None };
    if let Some((from, to)) = text.split_once('-') {
        let parse = |text: &str| {
            let address = text.parse().ok().and_then(of_family);
            address.map(|address| super::expr::bytes(address.ip())).ok_or_else(|| bad("address", text))
        };
        let (from, to) = (parse(from)?, parse(to)?);
        if from > to {
            return Err(bad("address range", text));
        }
        return Ok(vec![load_address(v4, side), Expr::Range { comparison, from, to }]);
    }
    let network = text.parse().ok().and_then(of_family);
    Ok(network_is(side, comparison, network.ok_or_else(|| bad("address", text))?))
}

fn port(side: Side, comparison: Comparison, text: &str) -> Result<Vec<Expr>, Error> {
    let parse = |text: &str| text.parse::<u16>().map_err(|_| bad("port", text));
    let load = load_port(side, REG_1);
    let Some((from, to)) = text.split_once('-') else {
        return Ok(vec![load, Expr::Compare(comparison, parse(text)?.to_be_bytes().to_vec())]);
    };
    let (from, to) = (parse(from)?, parse(to)?);
    if from > to {
        return Err(bad("port range", text));
    }
    let (from, to) = (from.to_be_bytes().to_vec(), to.to_be_bytes().to_vec());
    Ok(vec![load, Expr::Range { comparison, from, to }])
}

/// By name, `*` at the end for all that begin so. (`iif` too: an index would not outlive the interface.)
fn interface(key: MetaKey, rest: &mut Words<'_>) -> Result<Vec<Vec<Expr>>, Error> {
    each(rest, "interface name", &[], |comparison, text| {
        Ok(vec![Expr::Meta { key, register: REG_1 }, Expr::Compare(comparison, name_bytes(text, '*')?)])
    })
}

/// By number; the group that every link begins in has a name.
fn group(rest: &mut Words<'_>) -> Result<Vec<Vec<Expr>>, Error> {
    each(rest, "group of interfaces", &[], |comparison, text| {
        let group = if text == "default" { 0 } else { number(text)? };
        Ok(vec![
            Expr::Meta { key: MetaKey::IifGroup, register: REG_1 },
            Expr::Compare(comparison, group.to_ne_bytes().to_vec()),
        ])
    })
}

/// An interface name as nf_tables compares it: whole and padded, or only the beginning if `wildcard` ends it.
pub(crate) fn name_bytes(text: &str, wildcard: char) -> Result<Vec<u8>, Error> {
    let (name, whole) = text.strip_suffix(wildcard).map_or((text, true), |name| (name, false));
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains('/') {
        return Err(bad("interface name", text));
    }
    let mut bytes = name.as_bytes().to_vec();
    if whole {
        bytes.resize(libc::IFNAMSIZ, 0);
    }
    Ok(bytes)
}

/// `meta mark 0x1/0xff`, or as nft prints it: `meta mark and 0xff == 0x1`.
fn mark(rest: &mut Words<'_>) -> Result<Vec<Vec<Expr>>, Error> {
    let mut common = None;
    if let Some("and" | "&") = rest.peek() {
        rest.next();
        common = Some(number(rest.value("and")?)?);
    }
    each(rest, "mark", &[], |comparison, text| {
        let (value, mask) = match text.split_once('/') {
            Some((value, mask)) => (number(value)?, Some(number(mask)?)),
            None => (number(text)?, common),
        };
        let mut exprs = vec![Expr::Meta { key: MetaKey::Mark, register: REG_1 }];
        exprs.extend(mask.map(|mask| Expr::Mask(mask.to_ne_bytes().to_vec())));
        exprs.push(Expr::Compare(comparison, value.to_ne_bytes().to_vec()));
        Ok(exprs)
    })
}

/// Decimal, or hexadecimal after `0x`.
pub(crate) fn number(text: &str) -> Result<u32, Error> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| bad("32-bit number", text))
}

/// States are bits, so that a set of them is one comparison.
fn state(rest: &mut Words<'_>) -> Result<Vec<Vec<Expr>>, Error> {
    let wanted = operator(rest);
    let mut bits = 0_u32;
    for value in values(rest, "state")? {
        bits |= match value {
            "invalid" => 1,
            "established" => 2,
            "related" => 4,
            "new" => 8,
            "untracked" => 64,
            other => return Err(bad("connection state", other)),
        };
    }
    let comparison = match wanted {
        Comparison::Equal => Comparison::NotEqual,
        Comparison::NotEqual => Comparison::Equal,
    };
    Ok(vec![vec![
        Expr::Ct(CtKey::State),
        Expr::Mask(bits.to_ne_bytes().to_vec()),
        Expr::Compare(comparison, vec![0; 4]),
    ]])
}

/// The number of a protocol with ports.
pub(crate) fn protocol_number(name: &str) -> Option<u8> {
    match name {
        "tcp" => Some(6),
        "udp" => Some(17),
        "sctp" => Some(132),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, v4: bool) -> Result<Vec<Vec<Expr>>, Error> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        compile(&words, v4)
    }

    #[test]
    fn nothing_is_one_empty_row() {
        assert_eq!(compile(&[], true).unwrap(), vec![Vec::new()]);
    }

    #[test]
    fn sets_are_alternatives_and_negated_sets_are_not() {
        assert_eq!(rows("ip saddr { 10.0.0.0/8, 192.0.2.1 } tcp dport {80,443}", true).unwrap().len(), 4);
        let negated = rows("ip saddr != { 10.0.0.0/8, 192.0.2.1 }", true).unwrap();
        assert_eq!(negated.len(), 1);
        assert_eq!(
            negated[0].iter().filter(|e| matches!(e, Expr::Compare(Comparison::NotEqual, _))).count(),
            2
        );
    }

    #[test]
    fn everything_documented_compiles() {
        for text in [
            "ip saddr 10.0.0.1/8",
            "ip daddr == 192.0.2.1",
            "ip saddr 10.0.0.1-10.0.0.9",
            "tcp dport 80",
            "udp sport 1000-2000",
            "sctp dport != 9",
            "iifname \"eth0\"",
            "iif lo",
            "meta iifname != veth*",
            "oifname eth0",
            "meta mark 0x1/0xff",
            "meta mark and 0xff == 0x1",
            "meta mark != 7",
            "meta l4proto { tcp, udp }",
            "meta l4proto 132",
            "ether saddr 02:00:00:00:00:01",
            "ct state new,established",
            "ct state != { invalid, untracked }",
            "ip ttl > 4",
            "ip ttl 1-64",
            "ip dscp { cs1, ef, 5 }",
            "ip dscp >= af11",
            "fib saddr type != local",
            "fib daddr type { local, broadcast }",
            "meta iifgroup 5",
            "iifgroup != default",
        ] {
            assert!(!rows(text, true).unwrap().is_empty(), "{text}");
        }
        assert!(!rows("ip6 saddr fd00::/8 ip6 daddr != ::1", false).unwrap().is_empty());
        assert!(!rows("ip6 hoplimit <= 64 ip6 dscp ef", false).unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("numgen random", "numgen"),
            ("ip protocol tcp", "ip protocol"),
            ("ip6 saddr fd00::/8", "ip6"),
            ("ip saddr fd00::/8", "fd00::/8"),
            ("ip saddr", "missing"),
            ("ip saddr { }", "empty set"),
            ("ip saddr { 10.0.0.1", "missing"),
            ("tcp dport http", "http"),
            ("tcp dport 9-1", "9-1"),
            ("iifname a-name-that-is-too-long", "a-name"),
            ("meta mark 0xzz", "0xzz"),
            ("ct state odd", "odd"),
            ("ip ttl 256", "256"),
            ("ip ttl > 255", "255"),
            ("ip dscp < cs0", "cs0"),
            ("ip hoplimit 4", "hoplimit"),
            ("fib saddr oif lo", "fib saddr oif"),
            ("fib saddr type odd", "odd"),
        ] {
            let error = rows(text, true).unwrap_err();
            assert_eq!(error.kind, wharf_ops::ErrorKind::Invalid);
            assert!(error.message.contains(named), "{text}: {error}");
        }
        assert!(rows("ip saddr nowhere", true).unwrap_err().message.starts_with("conditions-v4[2]: "));
        assert!(rows("ip6 saddr {::1,::g}", false).unwrap_err().message.starts_with("conditions-v6[2]: "));
        assert!(rows("numgen", true).unwrap_err().message.contains("known are"));
        let many: Vec<String> = (0..3).map(|_| "tcp dport { 1, 2, 3, 4, 5 }".to_owned()).collect();
        assert!(compile(&many, true).unwrap_err().message.contains("64"));
    }
}
