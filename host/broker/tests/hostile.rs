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
#[path = "../../../fuzz/smoke/mod.rs"]
mod smoke;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Guest, Node, error};
use ops::Pick;
use smoke::Random;
use wharf_broker::log::Log;
use wharf_ops::addresses::AddressOp;
use wharf_ops::bridge_ports::{BridgePortOp, VlanRange};
use wharf_ops::call::{Answer, Failure};
use wharf_ops::filter::FilterOp;
use wharf_ops::leases::{LeaseOp, LeaseOwner};
use wharf_ops::links::{LinkOp, VethEnd};
use wharf_ops::nat::{Backend, ForwardOptions, MasqueradeRule, NatOp, PortForward, Protocol};
use wharf_ops::routes::RouteOp;
use wharf_ops::shaping::{Rate, ShapingOp};
use wharf_ops::wire::{self, ToBroker, ToSandbox};
use wharf_ops::{ErrorKind, KernelOp, Link, Mac, Ns, OPERATIONS, Op, Reply};

/// Enough for every test here, and no reason to be denied anything.
const LIMITS: &str = "[limits]\ndeadline-ms = 20000\noperations = 1000000\n";

/// Of a GC, both attachments are valid.
const CONF: &str = r#","cni.dev/valid-attachments":
    [{"containerID":"c1","ifname":"eth0"},{"containerID":"c2","ifname":"eth0"}]"#;

/// A node with another attachment (c2) and things that are nobody's.
fn crowded(operations: Option<&str>, limits: &str) -> Node {
    let mut node = Node::new(None, "");
    node.conf = CONF;
    // Each denial is logged, and most is denied.
    node.log = Log::OFF;
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
        let end = |name: &str| VethEnd {
            ns: Ns::Host,
            name: name.into(),
            mtu: None,
            mac: None,
            tx_queue_length: None,
        };
        for op in [
            KernelOp::Link(LinkOp::CreateVeth { a: end("victim-port"), b: end("victim-peer") }),
            KernelOp::Nat(NatOp::Masquerade { rules, backend: Backend::Nftables }),
            KernelOp::Nat(NatOp::ForwardPorts { rules: vec![forward], options }),
            KernelOp::Filter(FilterOp::AntiSpoof {
                link: "victim-port".into(),
                allowed: Mac([2, 0, 0, 0, 0, 9]),
            }),
        ] {
            guest.ask(Op::Kernel(op)).unwrap();
        }
        guest.succeed();
    });
    assert_eq!(output.status, 0, "{output:?}");
    node.id = "c1";
    node.shell(
        "ip link add victim type bridge && echo 1 > /proc/sys/net/ipv6/conf/victim/disable_ipv6 && ip addr add 10.9.0.1/24 dev victim && ip link set victim up
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
    let mut random = Random::seeded(0x5eed_0001);
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
        if command == "DEL" {
            // Nothing is there that it could have kept from being deleted.
            assert_eq!(output.status, 0, "{output:?}");
            continue;
        }
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
                    // A name that no link can have is refused before the handle is.
                    let expected = [ErrorKind::Denied, ErrorKind::Invalid].contains(&refused.kind);
                    assert!(expected, "{op:?}: {refused:?}");
                }
            }
            if command == "ADD" { guest.succeed() } else { guest.finish(Ok(Answer::Done)) }
        });
        assert_eq!(output.status, 0, "{output:?}");
    }
    assert_same(&picture(&node), &before);
}

/// Everything that can be done to a link, deletion last.
fn everything_to(link: &Link) -> Vec<KernelOp> {
    let link = || link.clone();
    let range = VlanRange { first: 7, last: 7, pvid: false, untagged: false };
    let rate = Rate { bits_per_second: 8000, burst_bits: 80_000, latency_ms: 25 };
    vec![
        KernelOp::Link(LinkOp::SetUp { link: link(), up: false }),
        KernelOp::Link(LinkOp::SetMtu { link: link(), mtu: 1300 }),
        KernelOp::Link(LinkOp::SetMac { link: link(), mac: Mac([2, 0, 0, 0, 0, 1]) }),
        KernelOp::Link(LinkOp::SetMaster { link: link(), master: None }),
        KernelOp::Link(LinkOp::SetPromiscuous { link: link(), on: true }),
        KernelOp::Link(LinkOp::SetAlias { link: link(), alias: "mine".into() }),
        KernelOp::BridgePort(BridgePortOp::SetHairpin { port: link(), on: true }),
        KernelOp::BridgePort(BridgePortOp::SetIsolated { port: link(), on: true }),
        KernelOp::BridgePort(BridgePortOp::AddVlan { port: link(), range }),
        KernelOp::BridgePort(BridgePortOp::RemoveVlan { port: link(), range }),
        KernelOp::Shaping(ShapingOp::SetEgress { on: link(), rate }),
        KernelOp::Shaping(ShapingOp::RedirectIngress { on: link(), to: link() }),
        KernelOp::Shaping(ShapingOp::Clear { on: link() }),
        KernelOp::Link(LinkOp::Delete { link: link() }),
    ]
}

fn get(guest: &mut Guest, ns: Ns, name: &str) -> Option<Link> {
    let get = KernelOp::Link(LinkOp::Get { ns, name: name.into() });
    guest.ask(Op::Kernel(get)).unwrap().maybe_link().unwrap()
}

#[test]
fn links_of_others_are_out_of_reach_whatever_is_granted() {
    let node = crowded(None, LIMITS);
    // An ifb of another attachment, and one of the reference's for another container.
    node.shell(
        "ip link add bwpvictim type ifb && ip link set bwpvictim alias wharf:n/c2/eth0; ip link add bwp0123 type ifb",
    );
    let before = picture(&node);
    for command in ["ADD", "DEL", "GC"] {
        let output = in_time(&node, command, move |guest| {
            for name in ["victim-port", "victim-peer", "bwpvictim", "bwp0123", "lo"] {
                let link = get(guest, Ns::Host, name).unwrap();
                for op in everything_to(&link) {
                    let refused = guest.ask(Op::Kernel(op.clone())).expect_err(name);
                    assert_eq!(refused.kind, ErrorKind::Denied, "{command} {op:?}: {refused:?}");
                }
            }
            // Nor is the guard of its port, which is set by name, and never by what only takes down.
            let absent = if command == "ADD" { ErrorKind::NotFound } else { ErrorKind::Denied };
            for (name, kind) in
                [("victim-port", ErrorKind::Denied), ("victim", ErrorKind::Denied), ("not-there", absent)]
            {
                let guard = FilterOp::AntiSpoof { link: name.into(), allowed: Mac([2, 0, 0, 0, 0, 1]) };
                let refused = guest.ask(Op::Kernel(KernelOp::Filter(guard))).expect_err(name);
                assert_eq!(refused.kind, kind, "{command} {name}: {refused:?}");
            }
            let bridge = get(guest, Ns::Host, "victim").unwrap();
            let delete = LinkOp::Delete { link: bridge.clone() };
            assert_eq!(guest.ask(Op::Kernel(KernelOp::Link(delete))).unwrap_err().kind, ErrorKind::Denied);
            // It is shared: the grant decides.
            let raise = LinkOp::SetUp { link: bridge, up: true };
            guest.ask(Op::Kernel(KernelOp::Link(raise))).unwrap().done().unwrap();
            if command == "ADD" { guest.succeed() } else { guest.finish(Ok(Answer::Done)) }
        });
        assert_eq!(output.status, 0, "{output:?}");
        assert_same(&picture(&node), &before);
    }
}

/// A container of the time before there were records.
#[test]
fn the_other_end_of_the_containers_veth_and_its_ifb_are_in_reach() {
    let node = Node::new(None, LIMITS);
    let container = node.netns.display().to_string();
    for stale in [false, true] {
        node.shell(&format!(
            "ip link add old type veth peer name eth0; ip link set eth0 netns {container}
             ip link add bwpold type ifb && ip link set bwpold alias wharf:n/c1/eth0"
        ));
        let command = if stale { "GC" } else { "DEL" };
        let output = in_time(&node, command, move |guest| {
            // In a GC there is no container.
            for name in if stale { &["bwpold"][..] } else { &["old", "bwpold"] } {
                let link = get(guest, Ns::Host, name).unwrap();
                let delete = LinkOp::Delete { link };
                guest.ask(Op::Kernel(KernelOp::Link(delete))).unwrap().done().unwrap();
            }
            guest.finish(Ok(Answer::Done));
        });
        assert_eq!(output.status, 0, "{output:?}");
        assert!(!node.shell("ip -br link").contains("bwpold"));
        if stale {
            node.shell("ip link del old");
        }
        assert!(!node.shell("ip -br link").contains("old"));
    }
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
    // An address of its own that a failed ADD took is given back; this is about the other's.
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
        // Between two ends of the host, others may have begun to use it: it stays while there are others.
        Op::Kernel(KernelOp::Link(LinkOp::CreateVeth { a, b })) => {
            a.ns == Ns::Container || b.ns == Ns::Container
        }
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
