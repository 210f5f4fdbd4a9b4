//! Masquerades and forwards, by both backends.

use wharf_ops::conntrack::Family;
use wharf_ops::nat::{Backend, ForwardOptions, NatOp, Protocol};

use crate::ops::*;
use crate::step::{Case, Foreign, Step, case, named, owner};

const BACKENDS: [Backend; 2] = [Backend::Nftables, Backend::Iptables];

fn get() -> [Step; 2] {
    [Step::Do(nat(NatOp::GetMasquerades)), Step::Do(nat(NatOp::GetForwards))]
}

fn words(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

pub(crate) fn all() -> Vec<Case> {
    [masquerades(), forwards(), conditions(), owners()].concat()
}

fn masquerades() -> Vec<Case> {
    let mut cases = vec![case(
        "what automatic means, and flows",
        [
            Step::Do(nat(NatOp::Detect)),
            Step::Do(masquerade(&[source("10.1.0.2", &[])], Backend::Automatic)),
            Step::Do(nat(NatOp::GetMasquerades)),
            flush(Family::Ipv4, 53),
            flush(Family::Ipv6, 53),
        ],
    )];
    for (backend, name) in BACKENDS.into_iter().zip(["masquerades of nftables", "masquerades of iptables"]) {
        let put = |rules: &[_]| Step::Do(masquerade(rules, backend));
        cases.push(case(
            name,
            [
                Step::Do(nat(NatOp::GetMasquerades)),
                put(&[
                    source("10.1.0.2", &["10.1.0.0/16", "192.0.2.1/32"]),
                    source("fd00::2", &["fd00::/64"]),
                ]),
                Step::Do(nat(NatOp::GetMasquerades)),
                put(&[source("10.1.0.2", &["10.1.0.0/16"])]),
                Step::Do(nat(NatOp::GetMasquerades)),
                put(&[source("10.1.0.3", &["10.1.7.7/16", "fd00::/64", "0.0.0.0/0"])]),
                Step::Do(nat(NatOp::GetMasquerades)),
                put(&[source("fd00::3", &[]), source("10.1.0.4", &[]), source("10.1.0.5", &["10.2.0.0/16"])]),
                Step::Do(nat(NatOp::GetMasquerades)),
                put(&[]),
                Step::Do(nat(NatOp::GetMasquerades)),
                put(&[source("10.1.0.2", &[])]),
                Step::Do(nat(NatOp::RemoveMasquerades)),
                Step::Do(nat(NatOp::RemoveMasquerades)),
                Step::Do(nat(NatOp::GetMasquerades)),
            ],
        ));
    }
    cases.push(case(
        "both backends at once",
        [
            Step::Do(masquerade(&[source("10.1.0.2", &[])], Backend::Nftables)),
            Step::Do(masquerade(&[source("10.1.0.3", &[])], Backend::Iptables)),
            Step::Do(nat(NatOp::GetMasquerades)),
            Step::Do(nat(NatOp::RemoveMasquerades)),
        ],
    ));
    cases
}

fn forwards() -> Vec<Case> {
    let mut cases = Vec::new();
    for (backend, name) in BACKENDS.into_iter().zip(["forwards of nftables", "forwards of iptables"]) {
        let usual = options(backend);
        let put = |rules: &[_], options: &ForwardOptions| Step::Do(forward(rules, options));
        let tcp = |host, port, to| to_port(Protocol::Tcp, host, port, to);
        let [_, get] = get();
        cases.push(case(
            name,
            [
                get.clone(),
                put(
                    &[
                        tcp(None, 8080, "10.1.0.2"),
                        tcp(Some("0.0.0.0"), 8081, "10.1.0.2"),
                        tcp(Some("192.0.2.1"), 8082, "10.1.0.2"),
                        to_port(Protocol::Udp, None, 53, "10.1.0.2"),
                        to_port(Protocol::Sctp, None, 9, "10.1.0.2"),
                        tcp(Some("::"), 8080, "fd00::2"),
                        tcp(Some("2001:db8::1"), 8081, "fd00::2"),
                    ],
                    &usual,
                ),
                get.clone(),
                put(&[tcp(None, 8080, "10.1.0.3"), tcp(None, 8080, "10.1.0.3")], &usual),
                get.clone(),
                put(&[tcp(None, 8080, "fd00::2")], &ForwardOptions { snat: false, ..usual.clone() }),
                get.clone(),
                put(&[tcp(None, 0, "10.1.0.3")], &usual),
                put(&[tcp(Some("fd00::1"), 80, "10.1.0.3")], &usual),
                get.clone(),
                put(&[tcp(None, 80, "10.1.0.3")], &ForwardOptions { mark_bit: 32, ..usual.clone() }),
                put(&[], &usual),
                get.clone(),
                put(&[tcp(None, 80, "10.1.0.3")], &ForwardOptions { masquerade_all: true, ..usual.clone() }),
                Step::Do(nat(NatOp::RemoveForwards)),
                Step::Do(nat(NatOp::RemoveForwards)),
                get,
            ],
        ));
    }
    cases
}

fn conditions() -> Vec<Case> {
    let rules =
        [to_port(Protocol::Tcp, None, 8080, "10.1.0.2"), to_port(Protocol::Tcp, None, 8080, "fd00::2")];
    let put = |options: &ForwardOptions| Step::Do(forward(&rules, options));
    let with = |backend, v4: &str, v6: &str| ForwardOptions {
        conditions_v4: if v4.is_empty() { vec![] } else { words(v4) },
        conditions_v6: if v6.is_empty() { vec![] } else { words(v6) },
        ..options(backend)
    };
    let marked =
        |backend, chain: &str| ForwardOptions { external_mark_chain: Some(chain.into()), ..options(backend) };
    let [_, get] = get();
    vec![
        case(
            "conditions",
            [
                put(&with(
                    Backend::Nftables,
                    "ip saddr { 10.0.0.0/8, 192.0.2.1 } iifname \"eth*\"",
                    "ip6 saddr != fd00::/8",
                )),
                get.clone(),
                put(&with(
                    Backend::Nftables,
                    "fib saddr type != local ip ttl > 4",
                    "ip6 dscp cs1 iifgroup 5",
                )),
                put(&with(Backend::Nftables, "numgen random", "")),
                put(&with(Backend::Nftables, "ip6 saddr fd00::/8", "")),
                put(&with(Backend::Nftables, "-s 10.0.0.0/8", "")),
                put(&with(Backend::Automatic, "-s 10.0.0.0/8", "")),
                get.clone(),
                put(&with(Backend::Iptables, "ip saddr 10.0.0.0/8", "")),
                put(&with(Backend::Iptables, "-m limit --limit 5/s", "")),
                put(&with(
                    Backend::Iptables,
                    "-s 10.0.0.0/8,192.0.2.1 -m conntrack --ctstate NEW",
                    "-m multiport --sports 1024:2000 -m iprange --src-range fd00::1-fd00::9",
                )),
                get.clone(),
                put(&with(Backend::Iptables, "! -i eth0 -p udp", "-s fd00::/8")),
                get.clone(),
                put(&with(Backend::Automatic, "-s 10.0.0.0/8", "ip6 saddr fd00::/8")),
                Step::Do(nat(NatOp::RemoveForwards)),
            ],
        ),
        case(
            "somebody else's chain marks",
            [
                put(&marked(Backend::Iptables, "KUBE-MARK-MASQ")),
                get.clone(),
                put(&marked(Backend::Iptables, "not a chain")),
                put(&marked(Backend::Iptables, "ACCEPT")),
                put(&marked(Backend::Nftables, "KUBE-MARK-MASQ")),
                Step::Foreign(Foreign::Chain("KUBE-MARK-MASQ")),
                Step::Do(forward(&rules[..1], &marked(Backend::Iptables, "KUBE-MARK-MASQ"))),
                get,
            ],
        ),
    ]
}

fn owners() -> Vec<Case> {
    let one = |number: u8| [source(&format!("10.1.0.{number}"), &[])];
    let other = named("net", "two", "eth0");
    let second = named("net", "one", "eth1");
    let elsewhere = named("other", "one", "eth0");
    let long = named(&"n".repeat(63), &"c".repeat(300), "eth0");
    let network: &'static str = Box::leak("n".repeat(63).into_boxed_str());
    let mut cases = Vec::new();
    for (backend, name) in BACKENDS.into_iter().zip(["owners in nftables", "owners in iptables"]) {
        let put = |owner: &wharf_ops::Attachment, number| {
            Step::As(owner.clone(), masquerade(&one(number), backend))
        };
        let get = |owner: &wharf_ops::Attachment| Step::As(owner.clone(), nat(NatOp::GetMasquerades));
        cases.push(case(
            name,
            [
                put(&owner(), 2),
                put(&other, 3),
                put(&second, 4),
                put(&elsewhere, 5),
                put(&long, 6),
                Step::Owners("net"),
                Step::Owners("other"),
                Step::Owners("nothing"),
                Step::Owners(network),
                get(&owner()),
                get(&second),
                get(&other),
                put(&second, 2),
                get(&second),
                Step::As(second.clone(), nat(NatOp::RemoveMasquerades)),
                get(&owner()),
                Step::Sweep(other.clone()),
                Step::Sweep(other.clone()),
                get(&other),
                Step::Owners("net"),
                Step::Sweep(long.clone()),
                Step::Owners(network),
            ],
        ));
    }
    cases.push(case(
        "a sweep takes everything",
        [
            Step::Do(masquerade(&one(2), Backend::Nftables)),
            Step::Do(masquerade(&one(2), Backend::Iptables)),
            Step::Do(forward(&[to_port(Protocol::Tcp, None, 80, "10.1.0.2")], &options(Backend::Nftables))),
            Step::Do(forward(&[to_port(Protocol::Tcp, None, 81, "10.1.0.2")], &options(Backend::Iptables))),
            Step::Do(guard("va", A)),
            Step::Do(nat(NatOp::GetForwards)),
            Step::Sweep(owner()),
            Step::Do(guarded("va")),
            Step::Owners("net"),
        ],
    ));
    cases
}
