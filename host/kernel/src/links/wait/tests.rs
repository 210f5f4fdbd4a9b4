//! Against the real kernel in throw-away namespaces, read back with `ip`.

use std::time::Instant;

use serde_json::json;
use wharf_ops::KernelOp;
use wharf_ops::links::LinkOp;

use super::*;
use crate::Kernel;
use crate::testing::{Rig, again};

#[test]
fn waiting_ends_when_the_other_end_comes_up() {
    let mut rig = Rig::new();
    let (a, b) = rig.veth();
    rig.set_up(&a, true);
    rig.deadline(20_000);
    std::thread::scope(|scope| {
        let mut other = RealKernel::new(again(&rig.host), Some(again(&rig.container)));
        let waiting = scope.spawn({
            let (a, rig) = (a.clone(), &mut rig);
            move || rig.link(LinkOp::WaitOperational { link: a })
        });
        other.apply(&Rig::owner(), &KernelOp::Link(LinkOp::SetUp { link: b, up: true })).unwrap();
        waiting.join().unwrap().unwrap().done().unwrap();
    });
    assert!(rig.info(&a).operational);
    assert_eq!(rig.show(Ns::Host, "veth0")["operstate"], json!("UP"));
}

#[test]
fn a_loopback_does_not_tell_and_is_operational_when_up() {
    let mut rig = Rig::new();
    let lo = rig
        .link(LinkOp::Get { ns: Ns::Container, name: "lo".into() })
        .unwrap()
        .maybe_link()
        .unwrap()
        .unwrap();
    assert!(!rig.info(&lo).operational);
    rig.set_up(&lo, true);
    assert!(rig.info(&lo).operational);
    rig.link(LinkOp::WaitOperational { link: lo }).unwrap().done().unwrap();
}

#[test]
fn waiting_in_vain_ends_at_the_deadline_and_says_why() {
    let mut rig = Rig::new();
    let (a, _) = rig.veth();
    let mut wait = |wanted: &str| {
        rig.deadline(50);
        let start = Instant::now();
        let error = rig.link(LinkOp::WaitOperational { link: a.clone() }).unwrap_err();
        assert_eq!(error.kind, ErrorKind::TimedOut);
        assert!(error.message.contains(wanted), "{error}");
        assert!(start.elapsed().as_millis() < 5_000);
        rig.set_up(&a, true);
    };
    wait(
        "link veth0 in the host's namespace did not become operational in time: it is administratively down",
    );
    wait("link eth0 in the container's namespace, is administratively down");
}

#[test]
fn a_link_that_goes_while_it_is_waited_for_is_not_found() {
    let mut rig = Rig::new();
    let (a, b) = rig.veth();
    rig.set_up(&a, true);
    rig.deadline(20_000);
    std::thread::scope(|scope| {
        let mut other = RealKernel::new(again(&rig.host), Some(again(&rig.container)));
        let waiting = scope.spawn(|| rig.link(LinkOp::WaitOperational { link: a }));
        other.apply(&Rig::owner(), &KernelOp::Link(LinkOp::Delete { link: b })).unwrap();
        assert_eq!(waiting.join().unwrap().unwrap_err().kind, ErrorKind::NotFound);
    });
}

/// The kernel tells of a lost carrier in the background, and at most once in a second. Where it is back before, nothing was
/// lost, and nothing is told.
fn until_down_is_told(rig: &Rig, name: &str) {
    let start = Instant::now();
    while rig.show(Ns::Host, name)["operstate"] != json!("DOWN") {
        assert!(start.elapsed().as_secs() < 20, "its carrier is not lost");
    }
}

/// Until the kernel has seen to it in the background, what a bridge sends by itself is lost.
#[test]
fn a_bridge_carries_traffic_once_its_first_port_does() {
    let mut rig = Rig::new();
    let (a, b) = rig.veth();
    let bridge = rig.bridge("br0");
    rig.set_up(&bridge, true);
    // Had one, and lost it.
    rig.run(Ns::Host, "ip link add ifb9 type ifb");
    rig.run(Ns::Host, "ip link set ifb9 up master br0");
    rig.run(Ns::Host, "ip link del ifb9");
    until_down_is_told(&rig, "br0");
    for link in [&a, &b] {
        rig.set_up(link, true);
    }
    rig.link(LinkOp::SetMaster { link: a, master: Some(bridge.clone()) }).unwrap().done().unwrap();
    rig.deadline(20_000);
    rig.link(LinkOp::WaitOperational { link: bridge.clone() }).unwrap().done().unwrap();
    assert_eq!(rig.show(Ns::Host, "br0")["operstate"], json!("UP"));
}

#[test]
fn nobody_waits_for_the_spanning_tree() {
    let mut rig = Rig::new();
    let bridge = rig.bridge("br0");
    rig.set_up(&bridge, true);
    rig.run(Ns::Host, "ip link set br0 type bridge stp_state 1");
    rig.deadline(60_000);
    let start = Instant::now();
    let error = rig.link(LinkOp::WaitOperational { link: bridge }).unwrap_err();
    assert!(error.message.contains("spanning tree"), "{error}");
    assert!(start.elapsed().as_secs() < 30);
}
