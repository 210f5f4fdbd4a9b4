//! The guard of the loopback addresses: a chain of Wharf's own in the filter table, made once per host.
//!
//! Mapped ports on 127.0.0.1 need `route_localnet`, by which what listens on 127.0.0.0/8 only could be reached from
//! beyond the host (CVE-2020-8558). What comes for these addresses by another link than `lo`, opens a connection and
//! was not for another address before is dropped, as kube-proxy's KUBE-FIREWALL does.

use wharf_ops::Error;

use crate::netlink::Socket;
use crate::nftables::expr::{Comparison, Expr, Header, MetaKey, REG_1, Side, Verdict, address_offset};
use crate::nftables::query;
use crate::nftables::transaction::{Change, Hook, Table, Transaction};

const CHAIN: &str = "WHARF-LOOPBACK";
const INPUT: &str = "INPUT";
const TABLE: Table = Table { family: 2, name: "filter" };
const WHAT: &str = "guarding the loopback addresses with iptables";
/// What leads to the chain, and its rules, as iptables-save prints them. `nft list ruleset`, by which some save and
/// restore, gets one rule with `! --ctstate RELATED,ESTABLISHED,DNAT` wrong, but not these.
const JUMP: &str = "-d 127.0.0.0/8 ! -i lo -j WHARF-LOOPBACK";
const RULES: [&str; 3] = [
    "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
    "-m conntrack --ctstate DNAT -j RETURN",
    "-j DROP",
];

/// Size and fields of `struct xt_conntrack_mtinfo3`: flags and inverted flags, then states.
const CONNTRACK_SIZE: usize = 164;
const CONNTRACK_FLAGS: usize = 146;
/// XT_CONNTRACK_STATE.
const STATE: u16 = 1;
/// XT_CONNTRACK_STATE_BIT of IP_CT_ESTABLISHED and IP_CT_RELATED, and XT_CONNTRACK_STATE_DNAT.
const KNOWN: u16 = 1 << 1 | 1 << 2;
const DNAT: u16 = 1 << 7;

/// Whether the nft flavour has it.
pub(super) fn present(socket: &mut Socket) -> Result<bool, Error> {
    Ok(is_whole(query::chain_use(socket, TABLE, CHAIN)?))
}

/// With its rules and the jump to it.
fn is_whole(used: Option<u32>) -> bool {
    used.is_some_and(|used| usize::try_from(used).is_ok_and(|used| used > RULES.len()))
}

/// The nft flavour. One question if it is there.
pub(super) fn guard(socket: &mut Socket) -> Result<(), Error> {
    let rules = rules();
    let used = query::chain_use(socket, TABLE, CHAIN)?;
    if is_whole(used) {
        return Ok(());
    }
    let mut transaction = Transaction::new(TABLE);
    transaction.push(Change::Table);
    if query::chain_use(socket, TABLE, INPUT)?.is_none() {
        let hook = Hook { kind: "filter", number: 1, priority: 0 };
        transaction.push(Change::BaseChain { name: INPUT, hook });
    }
    transaction.push(Change::Chain { name: CHAIN.into(), exclusive: used.is_none() });
    transaction.push(Change::Flush(CHAIN.into()));
    transaction.changes.extend(rules.into_iter().map(|exprs| Change::rule(CHAIN, exprs)));
    let inside = query::rules(socket, TABLE, Some(INPUT))?;
    if inside.iter().all(|rule| rule.target() != Some(CHAIN)) {
        let (chain, userdata, compat) = (INPUT.into(), Vec::new(), None);
        transaction.push(Change::Rule { chain, exprs: jump(), userdata, compat, first: true });
    }
    match transaction.commit(socket) {
        // Somebody was faster, in one batch as well.
        Err(failure) if failure.only(&[libc::EEXIST]) => Ok(()),
        outcome => outcome.map_err(|failure| failure.explain(&transaction, WHAT)),
    }
}

/// [`RULES`] in the expressions of iptables-nft.
fn rules() -> [Vec<Expr>; 3] {
    let passes = |states: u16| {
        let mut info = vec![0; CONNTRACK_FLAGS];
        for field in [STATE, 0, states] {
            info.extend(field.to_ne_bytes());
        }
        info.resize(CONNTRACK_SIZE, 0);
        let conntrack = Expr::Match { name: "conntrack".into(), revision: 3, info };
        vec![conntrack, Expr::Counter, Expr::Verdict(Verdict::Return)]
    };
    let drop = vec![Expr::Counter, Expr::Verdict(Verdict::Drop)];
    [passes(KNOWN), passes(DNAT), drop]
}

/// [`JUMP`] in the expressions of iptables-nft.
fn jump() -> Vec<Expr> {
    let offset = address_offset(true, Side::Destination);
    vec![
        Expr::Meta { key: MetaKey::IifName, register: REG_1 },
        Expr::Compare(Comparison::NotEqual, b"lo\0".to_vec()),
        Expr::Payload { header: Header::Network, offset, len: 1, register: REG_1 },
        Expr::Compare(Comparison::Equal, vec![127]),
        Expr::Counter,
        Expr::Verdict(Verdict::Jump(CHAIN.into())),
    ]
}

/// The legacy flavour: input of iptables-restore that fails, and changes nothing, unless the guard is there.
pub(super) fn expectation() -> String {
    let rules = RULES.map(|rule| format!("-C {CHAIN} {rule}\n")).concat();
    format!("*filter\n-C {INPUT} {JUMP}\n{rules}COMMIT\n")
}

/// Input of iptables-restore that puts the guard in place, from what iptables-save printed; nothing if it is.
pub(super) fn repair(saved: &str) -> String {
    let has = |line: &str| saved.lines().any(|saved| saved == line);
    let rules = RULES.map(|rule| format!("-A {CHAIN} {rule}"));
    let mut text = String::new();
    if !rules.iter().all(|rule| has(rule)) {
        let there = saved.lines().any(|line| line.starts_with(&format!(":{CHAIN} ")));
        let verb = if there { "-F" } else { "-N" };
        text = format!("{verb} {CHAIN}\n{}\n", rules.join("\n"));
    }
    if !has(&format!("-A {INPUT} {JUMP}")) {
        text.extend(["-I ", INPUT, " ", JUMP, "\n"]);
    }
    if text.is_empty() { text } else { format!("*filter\n{text}COMMIT\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_repaired() {
        let head = "*filter\n:INPUT ACCEPT [0:0]\n";
        let made = repair(head);
        assert!(made.contains("-N WHARF-LOOPBACK\n") && made.contains("-I INPUT"), "{made}");
        let flushed = format!("{head}:WHARF-LOOPBACK - [0:0]\n-A INPUT {JUMP}\n");
        let again = repair(&flushed);
        assert!(again.contains("-F WHARF-LOOPBACK\n") && !again.contains("INPUT"), "{again}");
        let rules = RULES.map(|rule| format!("-A {CHAIN} {rule}\n")).concat();
        assert_eq!(repair(&format!("{flushed}{rules}")), "");
    }
}
