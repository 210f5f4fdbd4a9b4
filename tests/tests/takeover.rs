//! A node that is switched from the reference plugins to Wharf, and back, with pods running.

use wharf_tests::install::wharfctl;
use wharf_tests::node::NODE;
use wharf_tests::parity::program::Answer;
use wharf_tests::parity::{By, Switch, limited};
use wharf_tests::traffic::{Server, at, tcp, udp};
use wharf_tests::{Container, Dump, Target, Value, json, sh, skip};

use crate::common::BACKENDS;

/// The container's attachment with limits, TCP port `port`, and UDP port 5353 if it is the one with 8001.
fn target(container: &Container, port: u16) -> Target {
    let mut mappings = vec![json!({"hostPort": port, "containerPort": 80, "protocol": "tcp"})];
    if port == 8001 {
        mappings.push(json!({"hostPort": 5353, "containerPort": 53, "protocol": "udp"}));
    }
    limited(container.eth0()).with("portMappings", mappings.into())
}

/// It can be reached by its port from outside, by both families.
#[track_caller]
fn reached(switch: &Switch, container: &Container, port: u16) {
    let _server = Server::tcp(container, &container.id, "[::]:80");
    for address in NODE {
        let seen = tcp(&switch.outside, at(address, port)).map(|(name, _)| name);
        assert_eq!(seen.as_ref(), Some(&container.id), "{address} port {port}");
    }
}

/// UDP flows to the mapped port that the kernel still tracks.
fn flows(switch: &Switch) -> usize {
    let output = switch.node.try_sh("conntrack -L -p udp --orig-port-dst 5353");
    String::from_utf8_lossy(&output.stdout).lines().count()
}

/// A pod that one side attached, with what was there before it.
struct Pod {
    container: Container,
    target: Target,
    result: Value,
    before: Dump,
}

fn pod(switch: &Switch, by: By) -> Pod {
    let before = switch.node.dump();
    let container = switch.node.container("pod");
    let target = target(&container, 8001);
    let result = switch.add(by, &target);
    reached(switch, &container, 8001);
    let server = Server::udp(&container, "dns", "[::]:53");
    assert!(udp(&switch.outside, at(NODE[0], 5353)).is_some());
    drop(server);
    assert_eq!(flows(switch), 1);
    Pod { container, target, result, before }
}

/// Each backend, and each way of running Wharf, on a node where these have attached something before.
fn everywhere(history: &[By], test: impl Fn(&Switch, By)) {
    for backend in BACKENDS {
        for ours in By::OURS {
            let switch = match Switch::new(backend, history) {
                Ok(switch) => switch,
                Err(reason) => skip!("{reason}"),
            };
            test(&switch, ours);
        }
    }
}

/// It succeeded.
#[track_caller]
fn done(answer: &Answer) {
    assert!(answer.is_ok(), "{answer:?}");
}

/// `wharfctl gc` with these containers still there.
fn collect(switch: &Switch, valid: &[&str]) {
    let mut command = wharfctl(&switch.node.root());
    command.args(["gc", "--network", "net"]);
    for container in valid {
        command.args(["--valid", &format!("{container}/eth0")]);
    }
    if valid.is_empty() {
        command.arg("--all");
    }
    switch.node.run(|| sh::run(&mut command));
}

#[test]
fn a_pod_of_the_reference_is_checked_and_deleted() {
    everywhere(&[By::Reference], |switch, ours| {
        let Pod { container, target, result, before } = pod(switch, By::Reference);
        let attached = switch.node.dump();
        done(&switch.check(ours, &target, &result));
        switch.node.dump().assert_same(&attached);
        reached(switch, &container, 8001);
        done(&switch.del(ours, &target, Some(&result)));
        switch.node.dump().assert_same(&before);
        assert_eq!(container.links(), ["lo"]);
        assert_eq!(flows(switch), 0);
        assert!(switch.node.leased("net").is_empty());
    });
}

#[test]
fn check_of_a_pod_of_the_reference_misses_what_went() {
    everywhere(&[By::Reference], |switch, ours| {
        let pod = pod(switch, By::Reference);
        switch.node.sh("nft flush ruleset");
        let answer = switch.check(ours, &pod.target, &pod.result);
        assert_eq!(answer.code(), Some(101), "{answer:?}");
        done(&switch.del(ours, &pod.target, Some(&pod.result)));
    });
}

#[test]
fn a_pod_of_the_reference_whose_namespace_went_is_deleted() {
    everywhere(&[By::Reference], |switch, ours| {
        let links = switch.node.links().len();
        let Pod { container, target, result, before } = pod(switch, By::Reference);
        drop(container);
        // Its ifb stays.
        switch.node.wait_for_links(links + 1);
        done(&switch.del(ours, &target, Some(&result)));
        switch.node.dump().assert_same(&before);
        assert_eq!(flows(switch), 0);
    });
}

#[test]
fn a_pod_of_the_reference_is_deleted_without_a_result_and_twice() {
    everywhere(&[By::Reference], |switch, ours| {
        let Pod { container, target, before, .. } = pod(switch, By::Reference);
        done(&switch.del(ours, &target, None));
        switch.node.dump().assert_same(&before);
        assert_eq!(container.links(), ["lo"]);
        done(&switch.del(ours, &target, None));
        switch.node.dump().assert_same(&before);
    });
}

/// The first DEL takes away all that tells of the attachment but its rules, and a runtime tries again.
#[test]
fn a_pod_of_the_reference_leaves_no_rules_where_portmap_may_not_run() {
    everywhere(&[By::Reference], |switch, ours| {
        if ours != By::Chain {
            return;
        }
        let Pod { target, result, before, .. } = pod(switch, By::Reference);
        let grant = switch.node.root().join("etc/cni/wharf.d/portmap.toml");
        let text = std::fs::read(&grant).unwrap();
        std::fs::remove_file(&grant).unwrap();
        // No grant, no guest.
        assert_eq!(switch.del(ours, &target, Some(&result)).code(), Some(50));
        done(&switch.del(ours, &target, Some(&result)));
        switch.node.dump().assert_same(&before);
        std::fs::write(&grant, text).unwrap();
    });
}

#[test]
fn a_pod_of_the_reference_is_deleted_without_a_namespace() {
    everywhere(&[By::Reference], |switch, ours| {
        let links = switch.node.links().len();
        let Pod { container, target, result, before } = pod(switch, By::Reference);
        done(&switch.del(ours, &target.without_netns(), Some(&result)));
        drop(container);
        switch.node.wait_for_links(links);
        switch.node.dump().assert_same(&before);
    });
}

/// What a pod of ours leaves when the reference deletes it: its rules in Wharf's own tables, which the reference does not
/// know, and what Wharf remembers of it.
fn is_of_wharf(change: &str) -> bool {
    let rules = change.starts_with("+ nft")
        && ["\"table\":\"wharf\"", "\"table\":\"wharf-masquerade\"", ": map \""]
            .iter()
            .any(|of_ours| change.contains(of_ours));
    rules || change.starts_with("+ files: journal ")
}

#[test]
fn a_pod_of_ours_is_checked_and_deleted_by_the_reference() {
    everywhere(&[By::Reference, By::DropIns], |switch, ours| {
        let Pod { container, target, result, before } = pod(switch, ours);
        let answer = switch.check(By::Reference, &target, &result);
        match switch.backend {
            // Ours are in a table of Wharf's own, where each is stamped with its owner; the reference looks into its own.
            "nftables" => assert!(answer.message().contains("missing hostport rules"), "{answer:?}"),
            _ => done(&answer),
        }
        done(&switch.del(By::Reference, &target, Some(&result)));
        assert_eq!(container.links(), ["lo"]);
        assert!(switch.node.leased("net").is_empty());
        let changes = switch.node.dump().changes_since(&before);
        let unexpected: Vec<_> = changes.iter().filter(|change| !is_of_wharf(change)).collect();
        assert!(unexpected.is_empty(), "{unexpected:#?}");
        // What an operator does once after switching back.
        collect(switch, &[]);
        switch.node.dump().assert_same(&before);
    });
}

#[test]
fn a_node_is_switched_over_and_back_with_pods_running() {
    everywhere(&[By::Reference, By::DropIns], |switch, ours| {
        let before = switch.node.dump();
        let pods: Vec<Container> = ["one", "two", "three"].map(|id| switch.node.container(id)).into();
        let targets: Vec<Target> =
            pods.iter().zip(8001..).map(|(container, port)| target(container, port)).collect();
        let all_reached = |which: &[usize]| {
            for index in which {
                let port = 8001 + u16::try_from(*index).unwrap();
                reached(switch, &pods[*index], port);
            }
        };
        let address = |result: &Value| {
            let text = result["ips"][0]["address"].as_str().unwrap();
            text.split('/').next().unwrap().parse().unwrap()
        };

        let one = switch.add(By::Reference, &targets[0]);
        // Over.
        let two = switch.add(ours, &targets[1]);
        all_reached(&[0, 1]);
        assert!(pods[0].pings(address(&two)) && pods[1].pings(address(&one)));
        done(&switch.check(ours, &targets[0], &one));
        done(&switch.check(ours, &targets[1], &two));
        done(&switch.del(ours, &targets[0], Some(&one)));
        all_reached(&[1]);
        done(&switch.check(ours, &targets[1], &two));
        // And back.
        let three = switch.add(By::Reference, &targets[2]);
        let addresses: Vec<std::net::IpAddr> = [&one, &two, &three].map(address).into();
        assert!(addresses[2] != addresses[1], "{addresses:?}");
        all_reached(&[1, 2]);
        assert!(pods[1].pings(addresses[2]));
        done(&switch.del(By::Reference, &targets[1], Some(&two)));
        collect(switch, &["three"]);
        all_reached(&[2]);
        done(&switch.del(By::Reference, &targets[2], Some(&three)));
        switch.node.dump().assert_same(&before);
        assert!(switch.node.leased("net").is_empty());
    });
}
