//! Flows are forgotten by protocol, port and family, by either way of deleting.

use wharf_ops::conntrack::{ConntrackOp, Family};
use wharf_ops::{KernelOp, Reply};

use super::{delete_filtered, delete_one_by_one};
use crate::nat::testing::{kernel, owner, sh};
use crate::{Kernel as _, Netns};

/// Four flows: the wanted one, another port, another protocol, another family.
fn tracked() -> Netns {
    let host = Netns::anonymous().unwrap();
    let insert = "conntrack -I -t 120";
    sh(
        &host,
        &format!(
            "ip link set lo up; nft 'add table t; add chain t c {{ type nat hook output priority 0; }}'
             {insert} -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1000 --dport 53
             {insert} -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1000 --dport 54
             {insert} -p tcp --state ESTABLISHED -s 10.0.0.1 -d 10.0.0.2 --sport 1000 --dport 53
             {insert} -p udp -s fd00::1 -d fd00::2 --sport 1000 --dport 53"
        ),
    );
    assert_eq!(left(&host), 4);
    host
}

fn left(host: &Netns) -> usize {
    sh(host, "conntrack -L -f ipv4 2>/dev/null; conntrack -L -f ipv6 2>/dev/null").lines().count()
}

fn has(host: &Netns, filter: &str) -> bool {
    !sh(host, &format!("conntrack -L {filter} 2>/dev/null")).is_empty()
}

#[test]
fn only_the_named_flows_go() {
    let host = tracked();
    let mut kernel = kernel(&host);
    let flush = |family| KernelOp::Conntrack(ConntrackOp::FlushUdp { family, port: 53 });
    let reply = kernel.apply(&owner("one", "eth0"), &flush(Family::Ipv4)).unwrap();
    assert!(matches!(reply, Reply::Count(None | Some(1))), "{reply:?}");
    assert_eq!(left(&host), 3);
    assert!(!has(&host, "-f ipv4 -p udp --dport 53"));
    kernel.apply(&owner("one", "eth0"), &flush(Family::Ipv6)).unwrap();
    assert!(!has(&host, "-f ipv6 -p udp"));
    assert_eq!(left(&host), 2);
    // Nothing there any more is success.
    kernel.apply(&owner("one", "eth0"), &flush(Family::Ipv4)).unwrap();
    assert_eq!(left(&host), 2);
}

#[test]
fn both_ways_of_deleting_delete_the_same() {
    let host = tracked();
    let mut kernel = kernel(&host);
    let socket = kernel.netfilter().unwrap();
    assert_eq!(delete_one_by_one(socket, Family::Ipv4, 53).unwrap(), 1);
    assert_eq!(left(&host), 3);
    assert_eq!(delete_one_by_one(socket, Family::Ipv4, 53).unwrap(), 0);
    assert_eq!(left(&host), 3);
    match delete_filtered(socket, Family::Ipv6, 53) {
        Ok(()) => assert_eq!(left(&host), 2),
        Err(error) => {
            println!("SKIPPED: both_ways_of_deleting_delete_the_same: no filtered delete here: {error}");
        }
    }
}

#[test]
fn a_host_that_tracks_nothing_has_nothing_to_forget() {
    let host = Netns::anonymous().unwrap();
    let op = KernelOp::Conntrack(ConntrackOp::FlushUdp { family: Family::Ipv4, port: 53 });
    let reply = kernel(&host).apply(&owner("one", "eth0"), &op).unwrap();
    assert!(matches!(reply, Reply::Count(None | Some(0))), "{reply:?}");
}
