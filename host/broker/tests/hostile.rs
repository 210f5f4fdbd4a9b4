//! A sandbox that an attacker controls says thousands of things, well-formed and not, to a broker over the real kernel.
//! The broker ends each call in time and in order, and what is not the attachment's stays as it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]
#![allow(missing_docs, unreachable_pub, clippy::missing_panics_doc, reason = "helpers of tests")]

mod common;
#[path = "../../ops/tests/fuzz_body/ops.rs"]
mod ops;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Guest, Node, error};
use ops::{Pick, Random};
use wharf_ops::addresses::AddressOp;
use wharf_ops::call::{Answer, Failure};
use wharf_ops::filter::FilterOp;
use wharf_ops::leases::{LeaseOp, LeaseOwner};
use wharf_ops::links::LinkOp;
use wharf_ops::nat::{Backend, ForwardOptions, MasqueradeRule, NatOp, PortForward, Protocol};
use wharf_ops::routes::RouteOp;
use wharf_ops::wire::{self, ToBroker, ToSandbox};
use wharf_ops::{KernelOp, Mac, OPERATIONS, Op, Reply};

/// Enough for every test here, and no reason to be denied anything.
const LIMITS: &str = "[limits]\ndeadline-ms = 20000\noperations = 1000000\n";

/// Of a GC, both attachments are valid.
const CONF: &str = r#","cni.dev/valid-attachments":
    [{"containerID":"c1","ifname":"eth0"},{"containerID":"c2","ifname":"eth0"}]"#;

/// A node with another attachment (c2) and things that are nobody's.
fn crowded(operations: Option<&str>, limits: &str) -> Node {
    let mut node = Node::new(None, "");
    node.conf = CONF;
    node.id = "c2";
    let output = node.run("ADD", |guest| {
        let pool = guest.ask(Op::Lease(LeaseOp::Open { directory: None })).unwrap().pool().unwrap();
        let owner = LeaseOwner { container: "c2".into(), ifname: "eth0".into() };
        let address = "10.9.0.2".parse().unwrap();
        assert!(guest.ask(Op::Lease(LeaseOp::TryReserve { pool, address, owner })).unwrap().flag().unwrap());
        let rules = vec![MasqueradeRule { source: address, except: Vec::new() }];
        let forward = PortForward {
            protocol: Protocol::Tcp,
            host_address: None,
            host_port: 9,
            container_address: address,
            container_port: 9,
        };
        let options = ForwardOptions {
            backend: Backend::Nftables,
            snat: true,
            masquerade_all: false,
            subnets: Vec::new(),
            mark_bit: 13,
            external_mark_chain: None,
            conditions_v4: Vec::new(),
            conditions_v6: Vec::new(),
        };
        for op in [
            KernelOp::Nat(NatOp::Masquerade { rules, backend: Backend::Nftables }),
            KernelOp::Nat(NatOp::ForwardPorts { rules: vec![forward], options }),
            KernelOp::Filter(FilterOp::AntiSpoof {
                link: "victim-port".into(),
                allowed: Mac([2, 0, 0, 0, 0, 9]),
            }),
        ] {
            guest.ask(Op::Kernel(op)).unwrap().done().unwrap();
        }
        guest.succeed();
    });
    assert_eq!(output.status, 0, "{output:?}");
    node.id = "c1";
    node.shell(
        "ip link add victim type bridge && echo 1 > /proc/sys/net/ipv6/conf/victim/disable_ipv6 && ip addr add 10.9.0.1/24 dev victim && ip link set victim up
         ip link add victim-port type veth peer name victim-peer
         echo 1 > /proc/sys/net/ipv6/conf/victim-port/disable_ipv6; ip link set victim-port master victim up
         tc qdisc add dev victim-port root handle 1: tbf rate 1mbit burst 10kb latency 25ms
         ip route add 198.51.100.0/24 via 10.9.0.2 && ip rule add from 10.9.0.2 lookup 77
         nft add table ip others && nft add chain ip others input && nft add rule ip others input tcp dport 1 drop",
    );
    if operations.is_some() || !limits.is_empty() {
        node.grant(operations, limits);
    }
    node
}

/// Everything in the host's namespace and in the state folders, c1's own things left out.
fn picture(node: &Node) -> String {
    let mut text = node.shell(
        "ip -j link; ip -j addr; ip -j -4 route show table all; ip -j -6 route show table all; ip -j rule; ip -j neigh
         tc qdisc show; bridge -j vlan; nft -s list ruleset; cat /proc/sys/net/ipv4/ip_forward
         cat /proc/sys/net/ipv4/conf/*/rp_filter /proc/sys/net/ipv6/conf/*/accept_ra",
    );
    // The carrier comes and goes by itself.
    for passing in ["\"NO-CARRIER\",", ",\"LOWER_UP\"", ",\"M-DOWN\"", "\"linkdown\""] {
        text = text.replace(passing, "");
    }
    for state in ["UP", "DOWN", "LOWERLAYERDOWN", "UNKNOWN"] {
        text = text.replace(&format!("\"operstate\":\"{state}\""), "");
    }
    let files = format!(
        "cd {} && find . -type f -not -name lock -not -name container | sort | xargs sha256sum",
        node.root.path().display()
    );
    let files = node.shell(&files);
    text.extend(files.lines().filter(|line| !line.contains("/run/wharf/")).flat_map(|line| [line, "\n"]));
    text
}

#[track_caller]
fn assert_same(now: &str, before: &str) {
    let (now, before): (Vec<_>, Vec<_>) = (now.lines().collect(), before.lines().collect());
    let new: Vec<_> = now.iter().filter(|line| !before.contains(line)).collect();
    let gone: Vec<_> = before.iter().filter(|line| !now.contains(line)).collect();
    assert!(now == before, "this is new: {new:#?}, this is gone: {gone:#?}");
}

/// Runs a call, which must end well before a minute has passed.
#[track_caller]
fn in_time(
    node: &Node,
    command: &str,
    script: impl Fn(&mut Guest) + Send + Sync + 'static,
) -> wharf_broker::Output {
    let started = Instant::now();
    let output = node.run(command, script);
    assert!(started.elapsed() < Duration::from_mins(1), "{command}: {:?}", started.elapsed());
    output
}

/// What the attacker learns from an answer.
fn learn(pick: &mut Pick, answer: ToSandbox) {
    let new = match answer {
        Ok(Reply::Link(link) | Reply::MaybeLink(Some(link)) | Reply::Bridge(link, _)) => vec![link],
        Ok(Reply::Pair(a, b)) => vec![a, b],
        _ => Vec::new(),
    };
    pick.links.extend(new);
}

/// `count` operations, each one of all that there are, each answered.
fn barrage(guest: &mut Guest, pick: &mut Pick, count: usize, wanted: impl Fn(&Op) -> bool) {
    let mut asked = 0;
    while asked < count {
        let mut all = ops::every(pick);
        all.retain(&wanted);
        // Some of each round: what they pick depends on what came of the others.
        for _ in 0..8 {
            let op = all.swap_remove(pick.random.below(all.len()));
            learn(pick, guest.ask(op));
            asked += 1;
        }
    }
}

#[test]
fn noise_ends_the_call_and_nothing_else() {
    let node = crowded(None, LIMITS);
    let before = picture(&node);
    let mut random = Random(0x5eed_0001);
    for round in 0..600 {
        let mut bytes: Vec<u8> =
            (0..random.below(200)).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        if round % 2 == 0 {
            // With a length that fits, so that it is read as a message.
            let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
            bytes.splice(0..0, length);
        }
        let command = ["ADD", "DEL", "CHECK", "STATUS"][random.below(4)];
        let output = in_time(&node, command, move |guest| drop(guest.socket.write_all(&bytes)));
        let (code, message) = error(&output);
        assert!([902, 904].contains(&code), "{code} {message}");
    }
    assert_same(&picture(&node), &before);
}

/// The same operations with a few bytes changed: most still decode, and mean something else.
#[test]
fn mutated_operations_under_a_grant_to_look_change_nothing() {
    let looks: Vec<_> = OPERATIONS.iter().filter(|known| !known.changes).map(|known| known.name).collect();
    let node = crowded(Some(&format!("{looks:?}")), LIMITS);
    let before = picture(&node);
    let answered = Arc::new(AtomicUsize::new(0));
    for seed in 1..=120_u64 {
        let answered = answered.clone();
        let command = ["ADD", "DEL", "CHECK", "GC"][usize::try_from(seed).unwrap() % 4];
        in_time(&node, command, move |guest| {
            let mut pick = Pick::new(seed * 0x9e37_79b9);
            loop {
                for op in ops::every(&mut pick) {
                    // Most of what is denied is denied for the same reason, and each denial is logged.
                    if is_slow(&op) || op.operation().changes && pick.random.below(8) > 0 {
                        continue;
                    }
                    let mut frame = wire::encode(&ToBroker::Op(op)).unwrap();
                    let at = 4 + pick.random.below(frame.len() - 4);
                    frame[at] ^= 1 << pick.random.below(8);
                    let decoded = wire::decode::<ToBroker>(&frame[4..]);
                    match decoded {
                        Err(_) if pick.random.below(100) > 0 => continue,
                        // Nothing answers it.
                        Ok(ToBroker::Log(_)) => {
                            let _ = guest.socket.write_all(&frame);
                            continue;
                        }
                        Ok(ToBroker::Op(op)) if is_slow(&op) => continue,
                        _ => {}
                    }
                    let Ok(answer) = guest.ask_raw(&frame) else { return };
                    learn(&mut pick, answer);
                    if answered.fetch_add(1, Ordering::Relaxed) % 300 == 299 {
                        return guest.succeed();
                    }
                }
            }
        });
    }
    let answered = answered.load(Ordering::Relaxed);
    assert!(answered > 2000, "{answered}");
    assert_same(&picture(&node), &before);
}

#[test]
fn a_call_that_may_only_look_changes_nothing_whatever_is_granted() {
    let node = crowded(None, LIMITS);
    let before = picture(&node);
    for (seed, command) in [(11, "CHECK"), (12, "STATUS")] {
        let output = in_time(&node, command, move |guest| {
            barrage(guest, &mut Pick::new(seed), 2000, |op| !is_slow(op));
            guest.finish(Ok(Answer::Done));
        });
        assert_eq!(output.status, 0, "{output:?}");
    }
    assert_same(&picture(&node), &before);
}

/// Waits for what does not come, which is allowed, and bounded, and not what is tested here.
fn is_slow(op: &Op) -> bool {
    matches!(
        op,
        Op::Kernel(
            KernelOp::Link(LinkOp::WaitOperational { .. }) | KernelOp::Address(AddressOp::Settle { .. })
        )
    )
}

/// Whether an operation acts on nothing but links that it names by handle.
fn is_by_handle(op: &Op) -> bool {
    match op {
        Op::Kernel(op) => op.links().iter().any(Option::is_some) && op.namespaces() == [None, None],
        Op::Lease(_) | Op::Delegate(_) => false,
    }
}

#[test]
fn forged_handles_reach_nothing_whatever_is_granted() {
    let node = crowded(None, LIMITS);
    let before = picture(&node);
    for (seed, command) in [(21, "ADD"), (22, "DEL"), (23, "GC")] {
        let output = in_time(&node, command, move |guest| {
            let mut pick = Pick { honest: 0, ..Pick::new(seed) };
            for _ in 0..60 {
                for op in ops::every(&mut pick).into_iter().filter(is_by_handle) {
                    let refused = guest.ask(op.clone()).expect_err("nothing was handed out");
                    assert_eq!(refused.kind, wharf_ops::ErrorKind::Denied, "{op:?}: {refused:?}");
                }
            }
            if command == "ADD" { guest.succeed() } else { guest.finish(Ok(Answer::Done)) }
        });
        assert_eq!(output.status, 0, "{output:?}");
    }
    assert_same(&picture(&node), &before);
}

#[test]
fn leases_of_others_stay_theirs() {
    let node = crowded(None, LIMITS);
    let before = picture(&node);
    for (seed, command) in [(31, "ADD"), (32, "DEL")] {
        in_time(&node, command, move |guest| {
            barrage(
                guest,
                &mut Pick::new(seed),
                2000,
                |op| matches!(op, Op::Lease(op) if !matches!(op, LeaseOp::SetLastReserved { .. })),
            );
            guest.finish(Err(Failure::Trap("enough".into())));
        });
    }
    // An address of its own that a failed DEL left is not what this is about.
    let of_c2 = |text: &str| text.matches("networks/n/10.9.0.2").count();
    let now = picture(&node);
    assert_eq!((of_c2(&now), of_c2(&before)), (1, 1));
    assert_eq!(
        std::fs::read_to_string(node.root.path().join("var/lib/cni/networks/n/10.9.0.2")).unwrap(),
        "c2\r\neth0"
    );
}

/// Deletions cannot be undone, and of what is done to links that were there before, the undo is tested elsewhere, one
/// by one: a shared bridge keeps it, and not every setting can be set back.
fn is_undoable(op: &Op) -> bool {
    let of_others = |name: &str| name.starts_with("victim") || name == "lo";
    match op {
        Op::Kernel(op) if op.links().into_iter().flatten().any(|link| of_others(&link.name)) => false,
        Op::Kernel(KernelOp::Link(op)) => !matches!(op, LinkOp::Delete { .. }),
        Op::Kernel(KernelOp::Filter(FilterOp::AntiSpoof { link, .. })) => !of_others(link),
        Op::Kernel(KernelOp::Sysctl(_) | KernelOp::Route(RouteOp::Remove { .. }))
        | Op::Lease(LeaseOp::Release { .. } | LeaseOp::SetLastReserved { .. }) => false,
        Op::Kernel(_) | Op::Lease(_) | Op::Delegate(_) => true,
    }
}

#[test]
fn an_add_of_hundreds_of_changes_that_fails_is_undone() {
    for seed in 41..=48 {
        let node = crowded(None, LIMITS);
        let before = picture(&node);
        let output = in_time(&node, "ADD", move |guest| {
            barrage(guest, &mut Pick::new(seed), 400, |op| !is_slow(op) && is_undoable(op));
            guest.finish(Err(Failure::Trap("enough".into())));
        });
        assert_eq!(error(&output).0, 902, "{seed}: {output:?}");
        assert_same(&picture(&node), &before);
    }
}
