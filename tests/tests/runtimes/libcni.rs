//! libcni itself: what it sends for CHECK, DEL, GC and STATUS is understood.

use wharf_tests::runtimes::List;
use wharf_tests::runtimes::config::Form;
use wharf_tests::runtimes::libcni::Libcni;
use wharf_tests::{Node, Target, json, skip};

macro_rules! start {
    ($node:expr, $version:expr, $list:expr) => {
        match Libcni::new($node, $version, &$list) {
            Ok(libcni) => libcni,
            Err(reason) => skip!("{reason}"),
        }
    };
}

/// What each release speaks at most.
const RELEASES: [(&str, &str); 2] = [("1.1", "1.0.0"), ("1.3", "1.1.0")];

fn with_port(target: Target, port: u16) -> Target {
    target.port(port, 80).with("bandwidth", json!({"ingressRate": 8_000_000, "ingressBurst": 800_000}))
}

#[test]
fn check_and_del_get_what_was_cached() {
    for (release, version) in RELEASES {
        for form in Form::BOTH {
            let node = Node::new();
            let (first, container) = (node.container("first"), node.container("c"));
            let libcni = start!(&node, release, List::pods(form, "nftables").version(version));
            libcni.add(&with_port(first.eth0(), 8000));
            let before = node.dump();
            let target = with_port(container.eth0(), 8080);
            let result = libcni.add(&target);
            assert_eq!(result["cniVersion"], version);
            assert_eq!(result["ips"].as_array().unwrap().len(), 2, "{result}");
            libcni.check(&target).unwrap();
            container.sh("ip addr del 10.1.0.3/24 dev eth0");
            let error = libcni.check(&target).unwrap_err();
            assert!(error.contains("10.1.0.3"), "{error}");
            libcni.del(&target).unwrap();
            node.dump().assert_same(&before);
            // libcni has forgotten it by now and sends neither a result nor what the runtime said.
            libcni.del(&target).unwrap();
            node.dump().assert_same(&before);
        }
    }
}

#[test]
fn del_does_without_what_was_cached() {
    for (release, version) in RELEASES {
        for form in Form::BOTH {
            let node = Node::new();
            let (first, container) = (node.container("first"), node.container("c"));
            let libcni = start!(&node, release, List::pods(form, "iptables").version(version));
            libcni.add(&with_port(first.eth0(), 8000));
            let before = node.dump();
            let target = with_port(container.eth0(), 8080);
            libcni.add(&target);
            libcni.forget();
            let bare = container.eth0().without_netns();
            container.vanish();
            libcni.del(&bare).unwrap();
            node.dump().assert_same(&before);
        }
    }
}

#[test]
fn gc_keeps_what_is_valid() {
    for form in Form::BOTH {
        let node = Node::new();
        let containers = ["one", "two", "three"].map(|id| node.container(id));
        let libcni = start!(&node, "1.3", List::pods(form, "nftables").version("1.1.0"));
        let targets = [0, 1, 2].map(|n| with_port(containers[n].eth0(), 8080 + u16::try_from(n).unwrap()));
        libcni.add(&targets[0]);
        let one = node.dump();
        libcni.add(&targets[1]);
        libcni.gc(&[&targets[0], &targets[1]]).unwrap();
        libcni.check(&targets[1]).unwrap();
        // With what libcni has cached it sends a DEL first; without, the plugins have to find it themselves.
        libcni.gc(&[&targets[0]]).unwrap();
        node.dump().assert_same(&one);
        libcni.add(&targets[2]);
        libcni.forget();
        libcni.gc(&[&targets[0]]).unwrap();
        node.dump().assert_same(&one);
        assert!(libcni.check(&targets[2]).is_err());
    }
}

#[test]
fn status_says_what_is_missing() {
    for form in Form::BOTH {
        let node = Node::new();
        let container = node.container("c");
        let range = json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.2"});
        let ipam = json!({"type": "host-local", "ranges": [[range]]});
        let list = List::pods(form, "nftables").version("1.1.0").bridge("ipam", ipam);
        let libcni = start!(&node, "1.3", list);
        libcni.status().unwrap();
        libcni.add(&container.eth0());
        let error = libcni.status().unwrap_err();
        assert!(error.contains("10.1.0.2"), "{error}");
        let late = node.container("late");
        assert!(libcni.try_add(&late.eth0()).unwrap_err().contains("no IP addresses available"));
        libcni.del(&late.eth0()).unwrap();
        libcni.del(&container.eth0()).unwrap();
        libcni.status().unwrap();
    }
}
