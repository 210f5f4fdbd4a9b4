//! Anti-spoofing with real frames.

use std::net::UdpSocket;

use wharf_ops::filter::FilterOp;
use wharf_ops::{Attachment, KernelOp, Mac};

use crate::nat::testing::{World, kernel, owner, sender, sh, udp};
use crate::{Kernel as _, Netns, RealKernel};

fn mac(netns: &Netns) -> Mac {
    sh(netns, "ip -br link show eth0").split_whitespace().find_map(|word| word.parse().ok()).unwrap()
}

fn guard(kernel: &mut RealKernel, owner: &Attachment, link: &str, allowed: Mac) {
    let op = FilterOp::AntiSpoof { link: link.into(), allowed };
    kernel.apply(owner, &KernelOp::Filter(op)).unwrap().done().unwrap();
}

fn in_force(kernel: &mut RealKernel, owner: &Attachment, link: &str) -> Option<Mac> {
    let op = FilterOp::GetAntiSpoof { link: link.into() };
    kernel.apply(owner, &KernelOp::Filter(op)).unwrap().maybe_mac().unwrap()
}

/// Whether a frame from a container reaches the host.
fn arrives(world: &World, listener: &UdpSocket, from: &str) -> bool {
    let space = if from == "10.1.0.2" { &world.one } else { &world.two };
    udp(space, &format!("{from}:0")).send_to(b"x", listener.local_addr().unwrap()).unwrap();
    sender(listener).is_some()
}

/// Gives the first container another hardware address, and what it needs to send without asking for the host's.
fn forge(world: &World, address: &str) {
    let bridge = sh(&world.host, "ip -br link show br0");
    let bridge = bridge.split_whitespace().nth(2).unwrap();
    sh(
        &world.one,
        &format!(
            "ip link set eth0 address {address}; ip neigh replace 10.1.0.1 lladdr {bridge} dev eth0 nud permanent"
        ),
    );
}

#[test]
fn forged_addresses_are_dropped_and_only_on_the_guarded_port() {
    let world = World::new();
    let mut kernel = world.kernel();
    let one = owner("one", "eth0");
    let listener = udp(&world.host, "10.1.0.1:7000");
    let real = mac(&world.one);
    assert!(arrives(&world, &listener, "10.1.0.2"));
    for _ in 0..2 {
        guard(&mut kernel, &one, "one", real);
        assert_eq!(in_force(&mut kernel, &one, "one"), Some(real));
    }
    assert_eq!(in_force(&mut kernel, &one, "two"), None);
    assert_eq!(in_force(&mut kernel, &owner("two", "eth0"), "one"), None);
    assert!(arrives(&world, &listener, "10.1.0.2"));
    forge(&world, "02:00:00:00:00:99");
    assert!(!arrives(&world, &listener, "10.1.0.2"));
    assert!(arrives(&world, &listener, "10.1.0.3"), "the other port is free");
    guard(&mut kernel, &one, "one", "02:00:00:00:00:99".parse().unwrap());
    assert!(arrives(&world, &listener, "10.1.0.2"), "replaced");
    guard(&mut kernel, &one, "two", real);
    assert!(in_force(&mut kernel, &one, "one").is_some(), "another link of the attachment stays guarded");
    for _ in 0..2 {
        kernel.apply(&one, &KernelOp::Filter(FilterOp::RemoveAntiSpoof)).unwrap();
        assert_eq!(in_force(&mut kernel, &one, "one"), None);
    }
    assert!(arrives(&world, &listener, "10.1.0.2"));
}

#[test]
fn a_link_name_that_comes_again_belongs_to_the_new_attachment() {
    let host = Netns::anonymous().unwrap();
    let mut kernel = kernel(&host);
    let (old, new) = (owner("old", "eth0"), owner("new", "eth0"));
    guard(&mut kernel, &old, "veth0", "02:00:00:00:00:01".parse().unwrap());
    guard(&mut kernel, &new, "veth0", "02:00:00:00:00:02".parse().unwrap());
    assert_eq!(kernel.owners("net").unwrap(), [new.clone(), old.clone()]);
    kernel.sweep(&old).unwrap();
    assert_eq!(kernel.owners("net").unwrap(), std::slice::from_ref(&new));
    assert!(in_force(&mut kernel, &new, "veth0").is_some());
    let rules = sh(&host, "nft list ruleset");
    assert!(rules.contains("\"veth0\" : jump s-"), "{rules}");
}

#[test]
fn what_cannot_be_the_name_of_a_port_is_refused() {
    let host = Netns::anonymous().unwrap();
    let mut kernel = kernel(&host);
    for name in ["", ".", "..", "a/b", "a:b", "a b", "a\tb", "a\0b", "sixteen-bytes-xx"] {
        for op in [
            FilterOp::AntiSpoof { link: name.into(), allowed: Mac([2, 0, 0, 0, 0, 1]) },
            FilterOp::GetAntiSpoof { link: name.into() },
        ] {
            let error = kernel.apply(&owner("one", "eth0"), &KernelOp::Filter(op)).unwrap_err();
            assert_eq!(error.kind, wharf_ops::ErrorKind::Invalid, "{name:?}: {error}");
        }
    }
    assert_eq!(sh(&host, "nft list ruleset"), "");
}
