//! What a guest can and cannot do, with a sandbox that an attacker controls: it sends whatever it likes.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::io::Write as _;

use common::{Guest, Node, error, garbage};
use wharf_ops::bridge_ports::{BridgePortOp, VlanRange};
use wharf_ops::call::{Answer, CniError, Failure};
use wharf_ops::leases::{LeaseOp, LeaseOwner};
use wharf_ops::links::{Common, LinkOp};
use wharf_ops::logging::{Level, LogLine};
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::shaping::ShapingOp;
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::wire::{self, ToBroker};
use wharf_ops::{ErrorKind, KernelOp, Link, Ns, Op};

fn link(op: LinkOp) -> Op {
    Op::Kernel(KernelOp::Link(op))
}

fn bridge(name: &str) -> Op {
    let common = Common { name: name.into(), ..Common::default() };
    link(LinkOp::EnsureBridge { ns: Ns::Host, common, vlan_filtering: false })
}

#[test]
fn what_is_granted_is_done_and_answered() {
    let node = Node::new(None, "");
    let output = node.run("ADD", |guest| {
        let (bridge, new) = guest.ask(bridge("br0")).unwrap().bridge().unwrap();
        assert!(new && bridge.name == "br0");
        guest.ask(link(LinkOp::SetUp { link: bridge, up: true })).unwrap().done().unwrap();
        guest.succeed();
    });
    assert_eq!(output.status, 0, "{output:?}");
    assert!(node.shell("ip -br link show br0").contains("br0"));
}

#[test]
fn what_is_not_granted_is_denied_and_not_done() {
    let node = Node::new(Some(r#"["links/get"]"#), "");
    let output = node.run("ADD", |guest| {
        let denied = guest.ask(bridge("br0")).unwrap_err();
        assert_eq!((denied.kind, denied.operation.as_str()), (ErrorKind::Denied, "links/ensure-bridge"));
        assert!(guest.ask(link(LinkOp::Get { ns: Ns::Host, name: "lo".into() })).is_ok());
        let pool = guest.ask(Op::Lease(LeaseOp::Open { directory: None })).unwrap_err();
        assert_eq!(pool.kind, ErrorKind::Denied);
        guest.succeed();
    });
    assert_eq!(output.status, 0, "{output:?}");
    assert_eq!(node.shell("ip -br link | wc -l").trim(), "1");
}

#[test]
fn a_handle_that_was_not_handed_out_is_refused() {
    let node = Node::new(None, "");
    node.shell("ip link add victim type bridge");
    let output = node.run("ADD", |guest| {
        for forged in [
            Link { ns: Ns::Host, index: 2, name: "victim".into() },
            Link { ns: Ns::Host, index: 0, name: "victim".into() },
            Link { ns: Ns::Container, index: 1, name: "lo".into() },
        ] {
            let denied = guest.ask(link(LinkOp::Delete { link: forged.clone() })).unwrap_err();
            assert_eq!(denied.kind, ErrorKind::Denied, "{forged:?}");
            let denied = guest.ask(link(LinkOp::DeleteUnusedBridge { link: forged })).unwrap_err();
            assert_eq!(denied.kind, ErrorKind::Denied);
        }
        let owner = LeaseOwner { container: "c1".into(), ifname: "eth0".into() };
        let denied = guest.ask(Op::Lease(LeaseOp::Find { pool: 7, owner })).unwrap_err();
        assert_eq!(denied.kind, ErrorKind::Denied);
        guest.succeed();
    });
    assert_eq!(output.status, 0, "{output:?}");
    assert!(node.shell("ip -br link").contains("victim"));
}

#[test]
fn a_call_that_may_only_look_cannot_touch() {
    let node = Node::new(None, "");
    for command in ["CHECK", "STATUS"] {
        let output = node.run(command, |guest| {
            let key = "ipv4/ip_forward".to_string();
            let write = SysctlOp::Write { ns: Ns::Host, key, value: "1".into() };
            assert_eq!(guest.ask(Op::Kernel(KernelOp::Sysctl(write))).unwrap_err().kind, ErrorKind::Denied);
            guest.finish(Ok(Answer::Done));
        });
        assert_eq!(output.status, 0, "{command}: {output:?}");
    }
    assert_eq!(node.shell("cat /proc/sys/net/ipv4/ip_forward").trim(), "0");
}

#[test]
fn an_add_that_fails_is_undone() {
    let node = Node::new(None, "");
    // Once up: the first time gives a link its queue, which stays.
    node.shell("ip link add br1 type bridge && ip link set br1 mtu 1400 up && ip link set br1 down");
    let before = node.shell("ip -d -j link");
    let output = node.run("ADD", |guest| {
        guest.ask(bridge("br0")).unwrap();
        let (old, new) = guest.ask(bridge("br1")).unwrap().bridge().unwrap();
        assert!(!new);
        guest.ask(link(LinkOp::SetMtu { link: old.clone(), mtu: 1300 })).unwrap();
        guest.ask(link(LinkOp::SetUp { link: old, up: true })).unwrap();
        let key = "ipv4/conf/br1/rp_filter".to_string();
        let write = SysctlOp::Write { ns: Ns::Host, key, value: "2".into() };
        guest.ask(Op::Kernel(KernelOp::Sysctl(write))).unwrap();
        let failure = CniError { code: 123, msg: "no luck".into(), details: None };
        guest.finish(Err(Failure::Guest(failure)));
    });
    assert_eq!(error(&output), (123, "no luck".into()));
    assert_eq!(node.shell("ip -d -j link"), before);
    assert_ne!(node.shell("cat /proc/sys/net/ipv4/conf/br1/rp_filter").trim(), "2");
}

/// A host with a bridge `br1` and its port `p0`, which goes on into the container.
fn with_a_port() -> Node {
    let node = Node::new(None, "");
    let container = node.netns.display().to_string();
    node.shell(&format!(
        "ip link add br1 type bridge && ip link set br1 up
         ip link add p0 type veth peer name p1 netns {container} && ip link set p0 master br1 up"
    ));
    node
}

/// An ADD does this to the port and to an ifb, and traps; what `state` prints is what it was.
#[track_caller]
fn comes_back(node: &Node, state: &str, changes: fn(Link, Link) -> Vec<KernelOp>) {
    let before = node.shell(state);
    let output = node.run("ADD", move |guest| {
        let get = link(LinkOp::Get { ns: Ns::Host, name: "p0".into() });
        let port = guest.ask(get).unwrap().maybe_link().unwrap().unwrap();
        let common = Common { name: "ifb5".into(), ..Common::default() };
        let ifb = guest.ask(link(LinkOp::CreateIfb { ns: Ns::Host, common })).unwrap().link().unwrap();
        for op in changes(port, ifb) {
            guest.ask(Op::Kernel(op)).unwrap().done().unwrap();
        }
        guest.finish(Err(Failure::Trap("unreachable".into())));
    });
    assert_eq!(error(&output).0, 902, "{output:?}");
    assert_eq!(node.shell(state), before);
}

#[test]
fn what_a_failed_add_took_away_comes_back_as_it_was() {
    let node = with_a_port();
    node.shell(
        "tc qdisc add dev p0 root handle 1: tbf rate 1mbit burst 10kb latency 25ms
         for metric in 10 20 30; do ip route add 198.51.100.0/24 dev br1 metric $metric; done",
    );
    // That the carrier is gone, nothing being at the other end, the kernel may notice at any time.
    comes_back(&node, "ip -4 route | sed 's/ linkdown//' | sort; tc qdisc show dev p0", |port, ifb| {
        let route = Route { metric: Some(20), ..Route::to("198.51.100.0/24".parse().unwrap()) };
        vec![
            KernelOp::Route(RouteOp::Remove { ns: Ns::Host, route }),
            KernelOp::Shaping(ShapingOp::RedirectIngress { on: port, to: ifb }),
        ]
    });
}

#[test]
fn vlans_of_a_failed_add_are_as_they_were() {
    let node = with_a_port();
    let add = "bridge vlan add dev p0 vid 7-9 2>/dev/null && bridge vlan add dev p0 vid 4 pvid untagged";
    if !node.shell(&format!("{add} && echo yes || true")).contains("yes") {
        println!(
            "SKIPPED: vlans_of_a_failed_add_are_as_they_were: this kernel's bridges have no VLANs \
             (CONFIG_BRIDGE_VLAN_FILTERING)"
        );
        return;
    }
    comes_back(&node, "bridge vlan show dev p0", |port, _| {
        let range = |first, last, pvid| VlanRange { first, last, pvid, untagged: pvid };
        vec![
            KernelOp::BridgePort(BridgePortOp::RemoveVlan { port: port.clone(), range: range(8, 12, false) }),
            KernelOp::BridgePort(BridgePortOp::AddVlan { port: port.clone(), range: range(5, 5, true) }),
            KernelOp::BridgePort(BridgePortOp::AddVlan { port, range: range(6, 7, false) }),
        ]
    });
}

#[test]
fn a_reserved_address_of_a_failed_add_is_given_back() {
    let node = Node::new(None, "");
    let output = node.run("ADD", |guest| {
        let pool = guest.ask(Op::Lease(LeaseOp::Open { directory: None })).unwrap().pool().unwrap();
        let owner = LeaseOwner { container: "c1".into(), ifname: "eth0".into() };
        let address = "10.0.0.2".parse().unwrap();
        let taken = guest.ask(Op::Lease(LeaseOp::TryReserve { pool, address, owner })).unwrap();
        assert!(taken.flag().unwrap());
        guest.finish(Err(Failure::Trap("unreachable".into())));
    });
    assert_eq!(error(&output).0, 902);
    assert!(!node.root.path().join("var/lib/cni/networks/n/10.0.0.2").exists());
}

#[test]
fn a_guest_that_does_not_finish_is_ended_and_undone() {
    let node = Node::new(None, "[limits]\ndeadline-ms = 150\n");
    let output = node.run("ADD", |guest| {
        guest.ask(bridge("br0")).unwrap();
        // Nothing more: the broker ends it by closing the socket.
        let mut byte = [0];
        let _ = std::io::Read::read(&mut guest.socket, &mut byte);
    });
    assert_eq!(error(&output).0, 903, "{output:?}");
    assert!(!node.shell("ip -br link").contains("br0"));
}

#[test]
fn a_guest_that_says_nonsense_is_ended() {
    let node = Node::new(None, "");
    let close: fn(&mut Guest) = |_| {};
    let huge: fn(&mut Guest) = |guest| drop(guest.socket.write_all(&u32::MAX.to_le_bytes()));
    let cut: fn(&mut Guest) = |guest| drop(guest.socket.write_all(&[100, 0, 0, 0, 1]));
    for (script, code) in [(close, 902), (garbage as fn(&mut Guest), 902), (cut, 902), (huge, 904)] {
        assert_eq!(error(&node.run("ADD", script)).0, code);
    }
}

#[test]
fn operations_are_counted() {
    let node = Node::new(None, "[limits]\noperations = 3\n");
    let output = node.run("ADD", |guest| {
        let get = || link(LinkOp::Get { ns: Ns::Host, name: "lo".into() });
        for _ in 0..3 {
            guest.ask(get()).unwrap();
        }
        wire::send(&mut guest.socket, &ToBroker::Op(get())).unwrap();
    });
    assert_eq!(error(&output).0, 904);
}

#[test]
fn a_flood_of_log_lines_costs_nothing() {
    let node = Node::new(None, "[limits]\nlog-bytes = 1000\n");
    let output = node.run("ADD", |guest| {
        for _ in 0..10_000 {
            let line = LogLine { level: Level::Trace, message: "x".repeat(500), fields: vec![] };
            wire::send(&mut guest.socket, &ToBroker::Log(line)).unwrap();
        }
        guest.succeed();
    });
    assert_eq!(output.status, 0, "{output:?}");
}

#[test]
fn without_a_container_its_side_is_not_found() {
    let node = Node::new(None, "");
    wharf_kernel::Netns::remove(&node.netns).unwrap();
    let output = node.run("DEL", |guest| {
        let all = Op::Kernel(KernelOp::Route(RouteOp::GetAll { ns: Ns::Container, table: None }));
        assert_eq!(guest.ask(all).unwrap_err().kind, ErrorKind::NotFound);
        guest.finish(Ok(Answer::Done));
    });
    assert_eq!(output.status, 0, "{output:?}");
}

#[test]
fn a_del_takes_links_down_together_and_before_their_addresses_are_free() {
    let node = Node::new(None, "");
    // As a plugin before there were records made them.
    let container = node.netns.display().to_string();
    node.shell(&format!("ip link add v0 type veth peer name v1 netns {container} && ip link set v0 up"));
    node.shell("ip link add ifb5 type ifb && ip link set ifb5 alias wharf:n/c1/eth0");
    node.shell("tc qdisc add dev v0 root tbf rate 1mbit burst 10kb latency 25ms");
    node.shell(&format!(
        "ip link add stays type veth peer name stays1 netns {container} && ip link set stays up"
    ));
    node.shell("tc qdisc add dev stays root tbf rate 1mbit burst 10kb latency 25ms");
    let leases = node.root.path().join("var/lib/cni/networks/n");
    std::fs::create_dir_all(&leases).unwrap();
    std::fs::write(leases.join("10.0.0.2"), "c1\r\neth0").unwrap();
    let output = node.run("DEL", |guest| {
        let get = |guest: &mut Guest, name: &str| {
            let op = link(LinkOp::Get { ns: Ns::Host, name: name.into() });
            guest.ask(op).unwrap().maybe_link().unwrap()
        };
        for name in ["v0", "stays"] {
            let on = get(guest, name).unwrap();
            guest.ask(Op::Kernel(KernelOp::Shaping(ShapingOp::Clear { on }))).unwrap().done().unwrap();
        }
        for name in ["ifb5", "v0"] {
            let gone = get(guest, name).unwrap();
            guest.ask(link(LinkOp::Delete { link: gone.clone() })).unwrap().done().unwrap();
            let denied = guest.ask(link(LinkOp::Info { link: gone })).unwrap_err();
            assert_eq!(denied.kind, ErrorKind::Denied, "its handle is gone");
        }
        let pool = guest.ask(Op::Lease(LeaseOp::Open { directory: None })).unwrap().pool().unwrap();
        let owner = LeaseOwner { container: "c1".into(), ifname: "eth0".into() };
        let released = guest.ask(Op::Lease(LeaseOp::Release { pool, owner })).unwrap().count().unwrap();
        assert_eq!(released, Some(1));
        assert!(get(guest, "v0").is_none() && get(guest, "ifb5").is_none());
        guest.finish(Ok(Answer::Done));
    });
    assert_eq!(output.status, 0, "{output:?}");
    assert!(!node.shell("tc qdisc show dev stays").contains("tbf"));
    assert!(!leases.join("10.0.0.2").exists());
}
