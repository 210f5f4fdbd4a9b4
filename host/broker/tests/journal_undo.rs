//! What an ADD that fails undoes of things that were there before it, and what it leaves to others.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::fs::File;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use common::attach::{self, link};
use common::faulty::{What, changes, plan, survive, watch};
use common::{Call, Guest, Node, Script, ask_native, assert_same, error};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use wharf_broker::{Output, Paths};
use wharf_ops::addresses::AddressOp;
use wharf_ops::call::{Answer, CniError, Failure};
use wharf_ops::delegate::Verb;
use wharf_ops::links::{Common, LinkOp, VethEnd};
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::shaping::{Rate, ShapingOp};
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{ErrorKind, KernelOp, Link, Ns, Op};

const RATE: Rate = Rate { bits_per_second: 1_000_000, burst_bits: 80_000, latency_ms: 25 };

fn fail(guest: &mut Guest) {
    let failure = CniError { code: 123, msg: "no luck".into(), details: None };
    guest.finish(Err(Failure::Guest(failure)));
}

fn get(guest: &mut Guest, name: &str) -> Link {
    let get = LinkOp::Get { ns: Ns::Host, name: name.into() };
    guest.ask(link(get)).unwrap().maybe_link().unwrap().unwrap()
}

fn shaping(op: ShapingOp) -> Op {
    Op::Kernel(KernelOp::Shaping(op))
}

/// A node whose container has a veth that an earlier plugin made: `v0` on the host.
fn with_veth() -> Node {
    let node = Node::new(None, "");
    let container = node.netns.display();
    node.shell(&format!("ip link add v0 type veth peer name v1 netns {container} && ip link set v0 up"));
    node
}

#[test]
fn an_operators_qdiscs_survive_limits_that_are_refused() {
    let node = with_veth();
    node.shell("tc qdisc add dev v0 root handle 7: htb; tc qdisc add dev v0 ingress");
    let before = node.dump();
    let limit: Script = |guest| {
        let on = get(guest, "v0");
        let refused = guest.ask(shaping(ShapingOp::SetEgress { on: on.clone(), rate: RATE })).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
        let common = Common { name: "ifb0".into(), ..Common::default() };
        let to = guest.ask(link(LinkOp::CreateIfb { ns: Ns::Host, common })).unwrap().link().unwrap();
        let refused = guest.ask(shaping(ShapingOp::RedirectIngress { on, to })).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
        fail(guest);
    };
    assert_eq!(error(&node.run("ADD", limit)).0, 123);
    assert_same(&node.dump(), &before, "both qdiscs are the operator's");
}

#[test]
fn a_failed_second_add_leaves_the_limits_of_the_first() {
    let redirect: Script = |guest| {
        let on = get(guest, "v0");
        let common = Common { name: "ifb0".into(), ..Common::default() };
        let to = guest.ask(link(LinkOp::CreateIfb { ns: Ns::Host, common })).unwrap().link().unwrap();
        guest.ask(shaping(ShapingOp::RedirectIngress { on, to })).unwrap();
        guest.succeed();
    };
    let shape: Script = |guest| {
        let on = get(guest, "v0");
        guest.ask(shaping(ShapingOp::SetEgress { on, rate: RATE })).unwrap();
        guest.succeed();
    };
    let failing: Script = |guest| {
        let on = get(guest, "v0");
        let rate = Rate { bits_per_second: 2_000_000, ..RATE };
        guest.ask(shaping(ShapingOp::SetEgress { on: on.clone(), rate })).unwrap();
        let common = Common { name: "ifb1".into(), ..Common::default() };
        let to = guest.ask(link(LinkOp::CreateIfb { ns: Ns::Host, common })).unwrap().link().unwrap();
        guest.ask(shaping(ShapingOp::RedirectIngress { on, to })).unwrap();
        fail(guest);
    };
    for first in [redirect, shape] {
        let node = with_veth();
        assert_eq!(node.run("ADD", first).status, 0);
        // Without the number of the action.
        let shown = || node.shell("tc qdisc show dev v0; tc filter show dev v0 ingress | sed 's/index .*//'");
        let before = shown();
        assert_eq!(error(&node.run("ADD", failing)).0, 123);
        assert_eq!(shown(), before);
    }
}

fn write_what_cannot_be_read(guest: &mut Guest) {
    let write = |key: &str, value: &str| {
        let (key, value) = (key.to_owned(), value.to_owned());
        Op::Kernel(KernelOp::Sysctl(SysctlOp::Write { ns: Ns::Container, key, value }))
    };
    guest.ask(write("ipv4/route/flush", "1")).unwrap();
    guest.ask(write("ipv6/conf/default/stable_secret", "2001:db8::1")).unwrap();
}

#[test]
fn a_parameter_that_cannot_be_read_can_be_written() {
    let node = Node::new(None, "");
    let failing: Script = |guest| {
        write_what_cannot_be_read(guest);
        fail(guest);
    };
    assert_eq!(error(&node.run("ADD", failing)).0, 123);
    assert!(node.journals().is_empty(), "there is nothing to go back to");
}

#[test]
fn a_check_asks_no_value_of_a_parameter_that_cannot_be_read() {
    let node = Node::new(None, "");
    let add: Script = |guest| {
        write_what_cannot_be_read(guest);
        guest.succeed();
    };
    assert_eq!(node.run("ADD", add).status, 0);
    let checked = node.run("CHECK", |guest| guest.finish(Ok(Answer::Done)));
    assert_eq!(checked.status, 0, "{checked:?}");
}

fn bridge() -> Op {
    let common = Common { name: "br0".into(), ..Common::default() };
    link(LinkOp::EnsureBridge { ns: Ns::Host, common, vlan_filtering: false })
}

/// As the bridge plugin begins.
fn raise_bridge(guest: &mut Guest) -> Link {
    let (bridge, _) = guest.ask(bridge()).unwrap().bridge().unwrap();
    guest.ask(link(LinkOp::SetUp { link: bridge.clone(), up: true })).unwrap();
    bridge
}

fn join(guest: &mut Guest, bridge: &Link) {
    let (port, _) = guest.ask(attach::veth()).unwrap().pair().unwrap();
    guest.ask(link(LinkOp::SetMaster { link: port, master: Some(bridge.clone()) })).unwrap();
}

/// As with forceAddress and promiscMode, for another subnet than the bridge has.
fn take_over(guest: &mut Guest) {
    let on = raise_bridge(guest);
    guest.ask(link(LinkOp::SetPromiscuous { link: on.clone(), on: true })).unwrap();
    let (old, new) = ("10.1.0.1/24".parse().unwrap(), "10.2.0.1/24".parse().unwrap());
    let address = |op| Op::Kernel(KernelOp::Address(op));
    guest.ask(address(AddressOp::Remove { on: on.clone(), address: old })).unwrap();
    guest.ask(address(AddressOp::Add { on: on.clone(), address: new })).unwrap();
    join(guest, &on);
}

/// A node with another attachment's port on the bridge.
fn with_port() -> Node {
    let node = Node::new(None, "");
    node.shell(
        "ip link add br0 type bridge; ip link set br0 up; ip addr add 10.1.0.1/24 dev br0
        ip link add other type ifb; ip link set other master br0",
    );
    node
}

#[test]
fn a_bridge_that_others_were_on_before_is_as_it_was() {
    let node = with_port();
    let before = node.dump();
    let failing: Script = |guest| {
        take_over(guest);
        fail(guest);
    };
    assert_eq!(error(&node.run("ADD", failing)).0, 123);
    assert_same(&node.dump(), &before, "after a failed ADD on a shared bridge");
    let shown = node.shell("ip link show br0");
    assert!(!shown.contains("PROMISC"), "{shown}");
}

/// Its links go before the bridge is put back, and with them all that led over them.
#[test]
fn a_route_over_a_link_of_the_add_need_not_come_back() {
    let node = with_port();
    let before = node.dump();
    let output = node.run("ADD", |guest| {
        let bridge = raise_bridge(guest);
        let (port, inside) = guest.ask(attach::veth()).unwrap().pair().unwrap();
        for up in [&port, &inside] {
            guest.ask(link(LinkOp::SetUp { link: up.clone(), up: true })).unwrap();
        }
        let address = AddressOp::Add { on: port.clone(), address: "10.5.0.1/24".parse().unwrap() };
        guest.ask(Op::Kernel(KernelOp::Address(address))).unwrap();
        let route = Route {
            gateway: Some("10.5.0.2".parse().unwrap()),
            link: Some(port.index),
            ..Route::to("10.9.0.0/16".parse().unwrap())
        };
        let route_op = |op| Op::Kernel(KernelOp::Route(op));
        guest.ask(route_op(RouteOp::Add { ns: Ns::Host, route: route.clone() })).unwrap();
        guest.ask(route_op(RouteOp::Remove { ns: Ns::Host, route })).unwrap();
        guest.ask(link(LinkOp::SetPromiscuous { link: bridge, on: true })).unwrap();
        fail(guest);
    });
    assert_eq!(error(&output).0, 123, "{output:?}");
    assert_same(&node.dump(), &before, "after a failed ADD");
}

#[test]
fn what_those_rely_on_who_joined_since_stays_and_what_was_removed_comes_back() {
    let node = with_port();
    let add: Script = |guest| {
        take_over(guest);
        guest.succeed();
    };
    // The end of the last change: the bridge is taken over, and nothing is committed.
    plan(None);
    assert_eq!(node.run("ADD", add).status, 0);
    let last = changes();
    let node = with_port();
    plan(Some((last, What::EndAfter)));
    assert!(survive(|| node.run("ADD", add)).is_none());
    node.shell("ip link add newer type ifb; ip link set newer master br0");
    let recovered = node.host.enter(|| node.broker(add).recover()).unwrap().unwrap();
    assert!(recovered[0].undone, "{recovered:?}");
    let shown = node.shell("ip -br addr show br0; ip link show br0");
    for stays in ["10.1.0.1/24", "10.2.0.1/24", "PROMISC"] {
        assert!(shown.contains(stays), "{stays}: {shown}");
    }
}

#[test]
fn an_address_that_was_removed_comes_back_with_all_that_went_with_it() {
    for promoted in [0, 1] {
        let node = Node::new(None, "");
        node.shell(
            "ip link add br0 type bridge; ip link set br0 up
            for address in 10.1.0.1 10.1.0.7 10.1.0.8 10.3.0.1; do ip addr add $address/24 brd + dev br0; done
            ip route add 10.9.0.0/16 via 10.1.0.9; ip route add 10.8.0.0/16 dev br0 src 10.1.0.1",
        );
        node.shell(&format!("echo {promoted} > /proc/sys/net/ipv4/conf/br0/promote_secondaries"));
        let state = || node.shell("ip -4 -o addr show br0 | sort; ip -4 route show");
        let before = state();
        let output = node.run("ADD", |guest| {
            let on = get(guest, "br0");
            let remove = AddressOp::Remove { on, address: "10.1.0.1/24".parse().unwrap() };
            guest.ask(Op::Kernel(KernelOp::Address(remove))).unwrap();
            fail(guest);
        });
        assert_eq!(error(&output).0, 123, "{output:?}");
        assert_eq!(state(), before, "promote_secondaries={promoted}");
    }
}

/// Two ADDs at a time: the second finds the bridge as the first has made it, and then the first fails. The second does
/// `then` as long as the first is not undone, and `last` when it could have been. Answers what came of both.
fn two(node: &Node, [then, last]: [fn(&mut Guest, &Link); 2]) -> (Output, Output) {
    let (made, found, ended) = (mpsc::channel(), mpsc::channel(), mpsc::channel::<()>());
    let (found_by_second, end_of_first) = (Mutex::new(found.1), Mutex::new(ended.1));
    let made_by_first = Mutex::new(made.1);
    let first = move |guest: &mut Guest| {
        raise_bridge(guest);
        made.0.send(()).unwrap();
        found_by_second.lock().unwrap().recv().unwrap();
        fail(guest);
    };
    let second = move |guest: &mut Guest| {
        made_by_first.lock().unwrap().recv().unwrap();
        let bridge = raise_bridge(guest);
        then(guest, &bridge);
        found.0.send(()).unwrap();
        // As long as this one is in its address manager, the other must not touch the bridge.
        let early = end_of_first.lock().unwrap().recv_timeout(Duration::from_millis(300));
        assert!(early.is_err(), "the first has been undone while the second relies on the bridge");
        last(guest, &bridge);
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let output = node.run("ADD", first);
            let _ = ended.0.send(());
            output
        });
        let other = Call { container: "c2".into(), ..Call::of(node, "ADD") };
        let second = node.call(&other, second);
        (first.join().unwrap(), second)
    })
}

#[test]
fn a_bridge_that_another_add_relies_on_stays_and_stays_up() {
    for prepare in ["true", "ip link add br0 type bridge"] {
        let node = Node::new(None, "");
        node.shell(prepare);
        let later = |guest: &mut Guest, bridge: &Link| {
            join(guest, bridge);
            guest.succeed();
        };
        let (first, second) = two(&node, [|_, _| (), later]);
        assert_eq!(error(&first).0, 123, "{first:?}");
        assert_eq!(second.status, 0, "{second:?}");
        let shown = node.shell("ip link show master br0; ip link show br0");
        assert!(shown.contains(attach::VETH) && shown.contains("MULTICAST,UP>"), "{shown}");
        assert_eq!(node.journals().len(), 1, "the first is undone");
    }
}

#[test]
fn of_two_that_fail_none_leaves_the_bridge() {
    for joins_early in [true, false] {
        let node = Node::new(None, "");
        let before = node.dump();
        let (first, second) = if joins_early {
            // Its port is there when the first looks, and goes again.
            two(&node, [join, |guest, _| fail(guest)])
        } else {
            let later = |guest: &mut Guest, bridge: &Link| {
                join(guest, bridge);
                fail(guest);
            };
            two(&node, [|_, _| (), later])
        };
        assert_eq!((error(&first).0, error(&second).0), (123, 123));
        assert_same(&node.dump(), &before, "both are undone");
    }
}

/// The one that made the bridge has the journal that comes first; each ends with a port on it.
#[test]
fn of_two_that_were_cut_short_none_leaves_the_bridge() {
    let add = |port: &'static str| {
        move |guest: &mut Guest| {
            let bridge = raise_bridge(guest);
            let common = Common { name: port.into(), ..Common::default() };
            let made = guest.ask(link(LinkOp::CreateIfb { ns: Ns::Host, common })).unwrap().link().unwrap();
            guest.ask(link(LinkOp::SetMaster { link: made, master: Some(bridge) })).unwrap();
            guest.succeed();
        }
    };
    for command in ["recover", "GC"] {
        let node = Node::new(None, "");
        let before = node.dump();
        for (container, port) in [("c1", "ifb1"), ("c2", "ifb2")] {
            // The last of these changes; the second finds the bridge up.
            plan(Some((if container == "c1" { 4 } else { 3 }, What::EndAfter)));
            let call = Call { container: container.into(), ..Call::of(&node, "ADD") };
            assert!(survive(|| node.call(&call, add(port))).is_none());
        }
        let ports = node.shell("ip -br link show master br0");
        assert!(ports.contains("ifb1") && ports.contains("ifb2"), "{ports}");
        let journal = Paths::below(node.root.path()).attachments().join(&node.journals()[0]);
        let (sender, claims) = mpsc::channel();
        watch(move |op| {
            if matches!(op, KernelOp::Link(LinkOp::Delete { link }) if link.name == "ifb2") {
                let claim = Flock::lock(File::open(&journal).unwrap(), FlockArg::LockExclusiveNonblock);
                sender.send(claim.map(drop).map_err(|(_, errno)| errno)).unwrap();
            }
        });
        if command == "GC" {
            assert_eq!(node.run("GC", |guest| guest.finish(Ok(Answer::Done))).status, 0);
        } else {
            node.host.enter(|| node.broker(attach::LAZY_DEL).recover()).unwrap().unwrap();
        }
        assert_same(&node.dump(), &before, command);
        let claims: Vec<_> = claims.try_iter().collect();
        assert_eq!(claims, [Ok(())], "{command}: nobody waits for the one that comes last");
    }
}

/// Whoever had it alone would take the port for one that stays.
#[test]
fn an_add_that_fails_relies_on_its_bridge_until_its_port_is_gone() {
    for prepare in ["true", "ip link add br0 type bridge; ip link set br0 up"] {
        let node = Node::new(None, "");
        node.shell(prepare);
        let path = Paths::below(node.root.path()).bridges().join("br0");
        let (sender, claims) = mpsc::channel();
        watch(move |op| {
            if matches!(op, KernelOp::Link(LinkOp::Delete { .. })) {
                let claim = Flock::lock(File::open(&path).unwrap(), FlockArg::LockExclusiveNonblock);
                sender.send(claim.map(drop).map_err(|(_, errno)| errno)).unwrap();
            }
        });
        let output = node.run("ADD", |guest| {
            let bridge = raise_bridge(guest);
            join(guest, &bridge);
            fail(guest);
        });
        assert_eq!(error(&output).0, 123, "{output:?}");
        let claims: Vec<_> = claims.try_iter().collect();
        assert_eq!(claims, [Err(Errno::EWOULDBLOCK)], "{prepare}");
    }
}

#[test]
fn a_bridge_that_others_work_with_for_long_is_left_to_them() {
    let node = Node::new(None, "");
    plan(Some((1, What::EndAfter)));
    let add: Script = |guest| drop(guest.attempt(bridge()));
    assert!(survive(|| node.run("ADD", add)).is_none());
    let path = Paths::below(node.root.path()).bridges().join("br0");
    let lock = Flock::lock(File::open(&path).unwrap(), FlockArg::LockShared).unwrap();
    let recovered = node.host.enter(|| node.broker(add).recover()).unwrap().unwrap();
    assert!(recovered[0].undone, "{recovered:?}");
    assert!(node.shell("ip -br link").contains("br0"), "whoever holds it relies on it");
    assert!(node.journals().is_empty());
    drop(lock);
}

/// A native plugin that hangs, or a lease that is locked, is nothing that an ADD on the same bridge has to wait for.
#[test]
fn a_bridge_is_free_as_soon_as_the_kernel_is_as_it_was() {
    let node = Node::new(None, "");
    let lock = Paths::below(node.root.path()).bridges().join("br0").display().to_string();
    // Its DEL succeeds only if it can have the bridge alone.
    let script = format!(
        "if [ $CNI_COMMAND = DEL ]; then exec flock -n -x {lock} true; fi; echo '{{\"cniVersion\":\"1.0.0\"}}'"
    );
    let path = node.native("native", &script).display().to_string();
    let call = Call { path, ..Call::ipam(&node, "ADD", "native") };
    let output = node.call(&call, |guest| {
        raise_bridge(guest);
        ask_native(guest, Verb::Add);
        fail(guest);
    });
    assert_eq!(error(&output).0, 123, "{output:?}");
    assert!(node.journals().is_empty(), "nothing is unfinished");
}

fn make_ifb(guest: &mut Guest) {
    let common = Common { name: "x0".into(), ..Common::default() };
    // There is a fault planned, which the guest ignores.
    let _ = guest.attempt(link(LinkOp::CreateIfb { ns: Ns::Host, common }));
    guest.succeed();
}

/// What was refused was not made, and of what was cut short only the name is known: anybody may have it by now.
#[test]
fn a_link_of_that_name_which_somebody_made_later_stays() {
    let others = [
        "ip link add x0 type veth peer name x1 && ip link set x0 alias wharf:n/other/eth0",
        "ip link add x0 type bridge",
    ];
    for other in others {
        for what in [What::Errno(Errno::EOPNOTSUPP as i32), What::EndBefore] {
            let node = Node::new(None, "");
            plan(Some((1, what)));
            survive(|| node.run("ADD", make_ifb));
            plan(None);
            node.shell(other);
            let deleted = node.run("DEL", |guest| guest.finish(Ok(Answer::Done)));
            assert_eq!(deleted.status, 0, "{deleted:?}");
            assert!(node.shell("ip -br link").contains("x0"), "{what:?}: {other}");
            assert!(node.journals().is_empty());
        }
    }
    // One that may be what was to be made goes.
    let node = Node::new(None, "");
    plan(Some((1, What::EndAfter)));
    assert!(survive(|| node.run("ADD", make_ifb)).is_none());
    assert!(node.shell("ip -br link").contains("x0"));
    assert_eq!(node.run("DEL", |guest| guest.finish(Ok(Answer::Done))).status, 0);
    assert!(!node.shell("ip -br link").contains("x0"));
}

/// A veth between two ends of the host, which nobody uses yet.
fn make_pair(guest: &mut Guest) -> [Link; 2] {
    let end =
        |name: &str| VethEnd { ns: Ns::Host, name: name.into(), mtu: None, mac: None, tx_queue_length: None };
    let pair = guest.ask(link(LinkOp::CreateVeth { a: end("p0"), b: end("gw0") })).unwrap().pair().unwrap();
    [pair.0, pair.1]
}

/// The same as the link into a VLAN, say.
fn finish_pair(guest: &mut Guest) {
    let ends = make_pair(guest);
    let master = Some(get(guest, "br0"));
    guest.ask(link(LinkOp::SetMaster { link: ends[0].clone(), master })).unwrap();
    for end in ends {
        guest.ask(link(LinkOp::SetUp { link: end, up: true })).unwrap();
    }
}

#[test]
fn a_pair_of_the_host_stays_where_others_may_rely_on_it() {
    let half: Script = |guest| {
        make_pair(guest);
        fail(guest);
    };
    let whole: Script = |guest| {
        finish_pair(guest);
        fail(guest);
    };
    for (script, stays) in [(half, false), (whole, true)] {
        let mut node = Node::new(None, "");
        node.shell("ip link add br0 type bridge");
        node.id = "c2";
        assert_eq!(node.run("ADD", Guest::succeed).status, 0, "another attachment");
        node.id = "c1";
        assert_eq!(error(&node.run("ADD", script)).0, 123);
        assert_eq!(node.shell("ip -br link").contains("gw0"), stays, "half a pair serves nobody");
    }
    let half: Script = |guest| {
        make_pair(guest);
        guest.succeed();
    };
    let whole: Script = |guest| {
        finish_pair(guest);
        guest.succeed();
    };
    for (script, stays) in [(half, false), (whole, true)] {
        let node = Node::new(None, "");
        node.shell("ip link add br0 type bridge");
        assert_eq!(node.run("ADD", script).status, 0);
        assert_eq!(node.run("DEL", |guest| guest.finish(Ok(Answer::Done))).status, 0);
        assert_eq!(
            node.shell("ip -br link").contains("gw0"),
            stays,
            "what no bridge has is nobody's but the ADD's"
        );
    }
}
