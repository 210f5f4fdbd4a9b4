//! DEL and GC only take down: they make nothing, and a GC gives back what is nobody's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]
#![allow(missing_docs, unreachable_pub, clippy::missing_panics_doc, reason = "helpers of tests")]

mod common;

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

use common::{Call, Guest, Node};
use wharf_ops::call::Answer;
use wharf_ops::delegate::{DelegateOp, Verb};
use wharf_ops::leases::{LeaseOp, LeaseOwner};
use wharf_ops::links::{Common, LinkOp};
use wharf_ops::nat::{Backend, MasqueradeRule, NatOp};
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::{ErrorKind, KernelOp, Ns, Op};

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 9, 0, 7));

fn owner(container: &str) -> LeaseOwner {
    LeaseOwner { container: container.into(), ifname: "eth0".into() }
}

fn open(guest: &mut Guest) -> u32 {
    guest.ask(Op::Lease(LeaseOp::Open { directory: None })).unwrap().pool().unwrap()
}

fn reserve(guest: &mut Guest, container: &str) {
    let pool = open(guest);
    let op = LeaseOp::TryReserve { pool, address: ADDRESS, owner: owner(container) };
    assert!(guest.ask(Op::Lease(op)).unwrap().flag().unwrap());
    guest.ask(Op::Lease(LeaseOp::Close { pool })).unwrap();
}

/// The owners that a guest sees.
fn seen(guest: &mut Guest, pool: u32) -> Vec<String> {
    let leases = guest.ask(Op::Lease(LeaseOp::GetAll { pool })).unwrap().leases().unwrap();
    leases.into_iter().map(|lease| lease.owner.container).collect()
}

fn denied(guest: &mut Guest, op: Op) {
    let name = op.operation().name;
    assert_eq!(guest.ask(op).unwrap_err().kind, ErrorKind::Denied, "{name}");
}

#[test]
fn what_takes_down_makes_nothing() {
    for command in ["DEL", "GC"] {
        let node = Node::new(None, "");
        assert_eq!(node.run("ADD", Guest::succeed).status, 0);
        let before = node.dump();
        let output = node.run(command, |guest| {
            let common = Common { name: "ifb7".into(), ..Common::default() };
            denied(guest, Op::Kernel(KernelOp::Link(LinkOp::CreateIfb { ns: Ns::Host, common })));
            let rules = vec![MasqueradeRule { source: ADDRESS, except: Vec::new() }];
            let masquerade = NatOp::Masquerade { rules, backend: Backend::Nftables };
            denied(guest, Op::Kernel(KernelOp::Nat(masquerade)));
            let config = r#"{"cniVersion":"1.0.0","name":"n","type":"g"}"#.into();
            denied(guest, Op::Delegate(DelegateOp { verb: Verb::Add, plugin: "h".into(), config }));
            guest.finish(Ok(Answer::Done));
        });
        assert_eq!(output.status, 0, "{}", output.stdout);
        let after: Vec<_> = before.lines().filter(|line| !line.contains("attachments/")).collect();
        let now = node.dump();
        let now: Vec<_> = now.lines().filter(|line| !line.contains("attachments/")).collect();
        assert_eq!(now, after, "{command}");
    }
}

#[test]
fn a_del_may_put_back_what_the_add_took_away() {
    let node = Node::new(None, "");
    node.shell("ip link add d0 type ifb; ip link set d0 up; ip addr add 10.8.0.1/24 dev d0");
    node.shell("ip route add 10.7.0.0/16 dev d0 src 10.8.0.1");
    let before = node.shell("ip route");
    let added = node.run("ADD", |guest| {
        let route = theirs(guest);
        guest.ask(Op::Kernel(KernelOp::Route(RouteOp::Remove { ns: Ns::Host, route }))).unwrap();
        guest.succeed();
    });
    assert_eq!(added.status, 0, "{}", added.stdout);
    assert_ne!(node.shell("ip route"), before);
    let output = node.run("DEL", |guest| {
        let route = theirs(guest);
        let other = Route { dst: "10.6.0.0/16".parse().unwrap(), ..route.clone() };
        denied(guest, Op::Kernel(KernelOp::Route(RouteOp::Add { ns: Ns::Host, route: other })));
        guest.ask(Op::Kernel(KernelOp::Route(RouteOp::Add { ns: Ns::Host, route }))).unwrap();
        guest.finish(Ok(Answer::Done));
    });
    assert_eq!(output.status, 0, "{}", output.stdout);
    assert_eq!(node.shell("ip route"), before);
}

/// The route that is removed and put back, as a guest writes it.
fn theirs(guest: &mut Guest) -> Route {
    let get = LinkOp::Get { ns: Ns::Host, name: "d0".into() };
    let link = guest.ask(Op::Kernel(KernelOp::Link(get))).unwrap().maybe_link().unwrap().unwrap();
    let source = Some("10.8.0.1".parse().unwrap());
    Route { link: Some(link.index), source, ..Route::to("10.7.0.0/16".parse().unwrap()) }
}

#[test]
fn a_gc_leaves_the_leases_of_the_valid() {
    let mut node = Node::new(None, "");
    node.conf = r#","cni.dev/valid-attachments":[{"containerID":"c1","ifname":"eth0"}]"#;
    let added = node.run("ADD", |guest| {
        reserve(guest, "c1");
        guest.succeed();
    });
    assert_eq!(added.status, 0, "{}", added.stdout);
    let output = node.run("GC", |guest| {
        let pool = open(guest);
        assert_eq!(seen(guest, pool), ["c1"]);
        denied(guest, Op::Lease(LeaseOp::Release { pool, owner: owner("c1") }));
        denied(
            guest,
            Op::Lease(LeaseOp::Release { pool, owner: LeaseOwner { ifname: String::new(), ..owner("c1") } }),
        );
        guest.ask(Op::Lease(LeaseOp::Release { pool, owner: owner("c9") })).unwrap();
        for who in ["c1", "c9"] {
            denied(guest, Op::Lease(LeaseOp::TryReserve { pool, address: ADDRESS, owner: owner(who) }));
        }
        guest.finish(Ok(Answer::Done));
    });
    assert_eq!(output.status, 0, "{}", output.stdout);
    assert!(node.dump().contains("networks/n/10.9.0.7"));
}

/// Does something while the ADD of `c5`, which holds a lease, is on its way.
fn during_an_add(node: &Node, work: impl FnOnce()) {
    let (reserved, is_reserved) = channel();
    let (go_on, may_go_on) = channel::<()>();
    let (reserved, may_go_on) = (Mutex::new(reserved), Mutex::new(may_go_on));
    let call = Call { container: "c5".into(), ..Call::of(node, "ADD") };
    thread::scope(|scope| {
        let adding = scope.spawn(|| {
            node.call(&call, move |guest| {
                reserve(guest, "c5");
                reserved.lock().unwrap().send(()).unwrap();
                may_go_on.lock().unwrap().recv().unwrap();
                guest.succeed();
            })
        });
        is_reserved.recv().unwrap();
        work();
        go_on.send(()).unwrap();
        assert_eq!(adding.join().unwrap().status, 0);
    });
}

#[test]
fn a_gc_leaves_an_add_alone_that_is_on_its_way() {
    let node = Node::new(None, "");
    during_an_add(&node, || {
        let output = node.run("GC", |guest| {
            let pool = open(guest);
            denied(guest, Op::Lease(LeaseOp::Release { pool, owner: owner("c5") }));
            guest.finish(Ok(Answer::Done));
        });
        assert_eq!(output.status, 0, "{}", output.stdout);
    });
    assert!(node.dump().contains("networks/n/10.9.0.7"));
    // Once it stands, the list counts.
    let output = node.run("GC", |guest| guest.finish(Ok(Answer::Done)));
    assert_eq!((output.status, node.dump().contains("10.9.0.7")), (0, false), "{}", output.stdout);
}

/// The runtime's list does not have it.
#[test]
fn a_native_plugin_hears_of_an_add_that_is_on_its_way() {
    let node = Node::new(None, "");
    let file = node.root.path().join("heard");
    let path = node.native("native", &format!("cat > {}", file.display())).display().to_string();
    during_an_add(&node, || {
        let output = node.call(&Call { path, ..Call::ipam(&node, "GC", "native") }, |guest| {
            common::ask_native(guest, Verb::Gc);
            guest.finish(Ok(Answer::Done));
        });
        assert_eq!(output.status, 0, "{}", output.stdout);
    });
    let heard: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let kept = serde_json::json!([{"containerID": "c5", "ifname": "eth0"}]);
    assert_eq!(heard["cni.dev/valid-attachments"], kept);
}
