//! Against the real kernel in throw-away namespaces, read back with `ip`.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};
use wharf_ops::{ErrorKind, KernelOp, Ns};

use super::*;
use crate::Kernel;
use crate::testing::Rig;

fn net(text: &str) -> IpNetwork {
    text.parse().unwrap()
}

fn add(rig: &mut Rig, on: &Link, address: &str) -> Result<(), Error> {
    rig.apply(KernelOp::Address(AddressOp::Add { on: on.clone(), address: net(address) }))
        .and_then(Reply::done)
}

fn shown(rig: &Rig, name: &str) -> Vec<Value> {
    let shown = rig.json(Ns::Container, &format!("ip -j address show {name}"));
    shown[0]["addr_info"].as_array().unwrap().clone()
}

#[test]
fn both_families_are_added_listed_and_removed() {
    let mut rig = Rig::new();
    let (_, eth0) = rig.veth();
    for address in ["10.1.2.3/24", "10.9.0.1/31", "10.9.9.9/32", "fd00::3/64"] {
        add(&mut rig, &eth0, address).unwrap();
    }
    let infos = shown(&rig, "eth0");
    let find = |local: &str| infos.iter().find(|info| info["local"] == json!(local)).unwrap();
    assert_eq!(
        (&find("10.1.2.3")["prefixlen"], &find("10.1.2.3")["broadcast"]),
        (&json!(24), &json!("10.1.2.255"))
    );
    assert!(find("10.9.0.1")["broadcast"].is_null() && find("10.9.9.9")["broadcast"].is_null());
    assert_eq!(find("fd00::3")["prefixlen"], json!(64));
    let all = AddressOp::GetAll { on: eth0.clone() };
    let listed = rig.apply(KernelOp::Address(all.clone())).unwrap().addresses().unwrap();
    assert_eq!(listed, ["10.1.2.3/24", "10.9.0.1/31", "10.9.9.9/32", "fd00::3/64"].map(net));
    for address in listed {
        for _ in 0..2 {
            let op = AddressOp::Remove { on: eth0.clone(), address };
            rig.apply(KernelOp::Address(op)).unwrap().done().unwrap();
        }
    }
    assert!(shown(&rig, "eth0").is_empty());
    assert!(rig.apply(KernelOp::Address(all)).unwrap().addresses().unwrap().is_empty());
}

#[test]
fn link_local_and_peer_addresses_are_listed() {
    let mut rig = Rig::new();
    let (_, eth0) = rig.veth_up();
    rig.run(Ns::Container, "ip address add 10.0.0.1 peer 10.0.0.2/30 dev eth0");
    let listed = rig.apply(KernelOp::Address(AddressOp::GetAll { on: eth0 })).unwrap().addresses().unwrap();
    assert!(listed.contains(&net("10.0.0.1/30")), "{listed:?}");
    assert!(listed.iter().any(|address| address.to_string().starts_with("fe80::")), "{listed:?}");
}

#[test]
fn an_address_that_is_there_already_exists() {
    let mut rig = Rig::new();
    let (_, eth0) = rig.veth();
    for address in ["10.1.2.3/24", "fd00::3/64"] {
        add(&mut rig, &eth0, address).unwrap();
        let error = add(&mut rig, &eth0, address).unwrap_err();
        assert_eq!((error.kind, error.errno), (ErrorKind::AlreadyExists, Some(libc::EEXIST)));
        assert!(
            error.message.contains(&format!("{address} to link eth0 in the container's namespace")),
            "{error}"
        );
    }
}

#[test]
fn where_ipv6_is_disabled_the_message_says_so() {
    let mut rig = Rig::new();
    let (_, eth0) = rig.veth();
    rig.run(Ns::Container, "sysctl -q -w net.ipv6.conf.eth0.disable_ipv6=1");
    let error = add(&mut rig, &eth0, "fd00::3/64").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported, "{error}");
    assert!(error.message.contains("disable_ipv6"), "{error}");
}

#[test]
fn of_a_link_that_is_gone_nothing_is_left_to_remove() {
    let mut rig = Rig::new();
    let (_, eth0) = rig.veth();
    rig.run(Ns::Container, "ip link del eth0");
    for on in [eth0.clone(), Link { index: 0, ..eth0.clone() }] {
        rig.apply(KernelOp::Address(AddressOp::Remove { on, address: net("10.0.0.1/24") }))
            .unwrap()
            .done()
            .unwrap();
    }
    let op = KernelOp::Address(AddressOp::Remove { on: eth0.clone(), address: net("10.0.0.1/24") });
    rig.without_container().apply(&Rig::owner(), &op).unwrap().done().unwrap();
    assert_eq!(add(&mut rig, &eth0, "10.0.0.1/24").unwrap_err().kind, ErrorKind::NotFound);
    let error = rig.apply(KernelOp::Address(AddressOp::GetAll { on: eth0 })).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
}

#[test]
fn settling_waits_for_duplicate_address_detection() {
    let mut rig = Rig::new();
    let (_, eth0) = rig.veth_up();
    add(&mut rig, &eth0, "fd00::3/64").unwrap();
    add(&mut rig, &eth0, "10.0.0.3/24").unwrap();
    rig.deadline(30_000);
    rig.apply(KernelOp::Address(AddressOp::Settle { on: eth0 })).unwrap().done().unwrap();
    let infos = shown(&rig, "eth0");
    assert_eq!(infos.iter().filter(|info| info["family"] == json!("inet6")).count(), 2);
    assert!(infos.iter().all(|info| info["tentative"].is_null()), "{infos:?}");
}

#[test]
fn an_address_of_somebody_else_is_a_conflict() {
    let mut rig = Rig::new();
    let (_, eth0) = rig.veth_up();
    rig.run(Ns::Host, "ip address add fd00::3/64 dev veth0 nodad");
    add(&mut rig, &eth0, "fd00::3/64").unwrap();
    rig.deadline(30_000);
    let error = rig.apply(KernelOp::Address(AddressOp::Settle { on: eth0 })).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.contains("fd00::3/64"), "{error}");
}

#[test]
fn settling_in_vain_ends_at_the_deadline_and_says_why() {
    let mut rig = Rig::new();
    let (_, eth0) = rig.veth();
    add(&mut rig, &eth0, "fd00::3/64").unwrap();
    rig.deadline(50);
    let error = rig.apply(KernelOp::Address(AddressOp::Settle { on: eth0 })).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TimedOut);
    assert!(error.message.contains("fd00::3/64") && error.message.contains("not operational"), "{error}");
}

#[test]
fn announcing_teaches_the_neighbours_and_leaves_the_settings_as_they_were() {
    let mut rig = Rig::new();
    let (_, eth0) = rig.veth_up();
    // The host takes unasked announcements for entries that it has, and these are wrong.
    rig.run(Ns::Host, "ip address add 10.0.0.1/24 dev veth0");
    rig.run(Ns::Host, "ip address add fd00::1/64 dev veth0 nodad");
    rig.run(Ns::Host, "ip neighbour add 10.0.0.3 lladdr 02:00:00:00:00:99 nud stale dev veth0");
    rig.run(Ns::Host, "ip neighbour add fd00::3 lladdr 02:00:00:00:00:99 nud stale dev veth0");
    rig.run(Ns::Container, "ip address add fd00::3/64 dev eth0 nodad");
    add(&mut rig, &eth0, "10.0.0.3/24").unwrap();
    let listener = &mut rig.kernel.listener(Ns::Host, 3).unwrap();
    rig.apply(KernelOp::Address(AddressOp::Announce { on: eth0 })).unwrap().done().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let mac = rig.show(Ns::Container, "eth0")["address"].clone();
    for address in ["10.0.0.3", "fd00::3"] {
        loop {
            let entries = rig.json(Ns::Host, "ip -j neighbour show dev veth0");
            let entry = entries.as_array().unwrap().iter().find(|entry| entry["dst"] == json!(address));
            if entry.unwrap()["lladdr"] == mac {
                break;
            }
            listener.events(deadline, |_| Ok(())).unwrap();
        }
    }
    for key in ["net.ipv4.conf.eth0.arp_notify", "net.ipv6.conf.eth0.ndisc_notify"] {
        assert_eq!(rig.run(Ns::Container, &format!("sysctl -n {key}")).trim(), "0");
    }
}

#[test]
fn what_a_link_named_itself_is_not_announced() {
    let mut rig = Rig::new();
    let (_, eth0) = rig.veth_up();
    rig.run(Ns::Container, "ip address add fe80::3/64 dev eth0 nodad");
    add(&mut rig, &eth0, "10.0.0.3/24").unwrap();
    let sent = |rig: &mut Rig| {
        rig.apply(KernelOp::Address(AddressOp::Announce { on: eth0.clone() })).unwrap().done().unwrap();
        let counters = rig.run(Ns::Container, "cat /proc/net/dev_snmp6/eth0");
        let mut lines = counters.lines().filter_map(|line| line.split_once(char::is_whitespace));
        let line = lines.find(|(name, _)| *name == "Icmp6OutNeighborAdvertisements");
        line.unwrap().1.trim().parse::<u64>().unwrap()
    };
    assert_eq!(sent(&mut rig), 0);
    rig.run(Ns::Container, "ip address add fd00::3/64 dev eth0 nodad");
    assert!(sent(&mut rig) > 0);
}

/// What rtnetlink tells of a parameter says nothing of its file.
#[test]
fn announcing_does_without_what_no_file_turns_on() {
    let mut rig = Rig::new();
    let (_, eth0) = rig.veth_up();
    let without_files = || {
        // Mounts of this thread alone.
        let (none, empty) = (None::<&str>, MsFlags::empty());
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(Some("tmpfs"), "/proc/sys/net", Some("tmpfs"), empty, none).unwrap();
        rig.apply(KernelOp::Address(AddressOp::Announce { on: eth0 })).and_then(Reply::done)
    };
    std::thread::scope(|scope| scope.spawn(without_files).join().unwrap()).unwrap();
}

#[test]
fn announcing_leaves_settings_alone_that_are_on() {
    let mut rig = Rig::new();
    let (_, eth0) = rig.veth_up();
    rig.run(Ns::Container, "sysctl -q -w net.ipv4.conf.eth0.arp_notify=1");
    rig.apply(KernelOp::Address(AddressOp::Announce { on: eth0 })).unwrap().done().unwrap();
    assert_eq!(rig.run(Ns::Container, "sysctl -n net.ipv4.conf.eth0.arp_notify").trim(), "1");
}
