//! podman with its CNI backend: its networks are conflists.

use wharf_tests::node::NODE;
use wharf_tests::runtimes::List;
use wharf_tests::runtimes::config::{DNS, Form};
use wharf_tests::runtimes::pod::Spec;
use wharf_tests::runtimes::podman::Podman;
use wharf_tests::traffic::{Server, at, tcp};
use wharf_tests::{Value, json, skip};

use super::traffic;

macro_rules! start {
    ($($list:expr),*) => {
        match Podman::start(&[$($list),*]) {
            Ok(podman) => podman,
            Err(reason) => skip!("{reason}"),
        }
    };
}

const LIMITS: [u32; 2] = [80, 40];
const BURST: u32 = 200_000;
/// The name server and the search domain that are the address manager's to tell, and where it reads them.
const DNS_OF_IPAM: [&str; 2] = ["192.0.2.54", "ipam.test"];
const RESOLV_CONF: &str = "/etc/cni/resolv.conf";

#[test]
fn containers_have_a_network_by_drop_ins() {
    containers_have_a_network(Form::DropIn, "iptables");
}

#[test]
fn containers_have_a_network_by_one_process() {
    containers_have_a_network(Form::Chain, "nftables");
}

fn containers_have_a_network(form: Form, backend: &str) {
    let podman = start!(List::pods(form, backend).limits(LIMITS, BURST).resolv_conf(RESOLV_CONF));
    let [server, domain] = DNS_OF_IPAM;
    podman.machine().write(RESOLV_CONF, &format!("nameserver {server}\nsearch {domain}\n"));
    let node = podman.machine().node();
    let outside = node.outside();
    let other = podman.run(&Spec::new("other").port("tcp", 8000, 80), &["pods"]).unwrap();
    let before = node.dump();
    let web = Spec::new("web").port("tcp", 8080, 80).port("udp", 8080, 80);
    let web = podman.run(&web.port_at(NODE[0], "tcp", 8081, 80), &["pods"]).unwrap();
    assert_eq!(web.ips.len(), 2, "{:?}", web.ips);
    traffic::pings(podman.machine(), &web, &other);
    traffic::masquerades(&outside, &web);
    traffic::mapped(podman.machine(), &outside, &web, 8080, 80);
    traffic::limited(podman.machine(), "10.1.0.1", &web, LIMITS, BURST as usize);
    resolves(&podman, "web", DNS_OF_IPAM);

    // Its process ends and starts again, with another namespace.
    drop(web);
    podman.sh(&["restart", "-t", "0", "web"]);
    let web = podman.pod("web");
    traffic::pings(podman.machine(), &web, &other);
    traffic::mapped(podman.machine(), &outside, &web, 8080, 80);

    podman.remove(&web);
    drop(web);
    traffic::unmapped(podman.machine(), &outside, 8080);
    node.dump().assert_same(&before);
    podman.remove(&other);
    assert_eq!(node.leased("pods"), [""; 0]);
    assert_eq!(podman.machine().namespaces("/run/netns"), [""; 0]);
}

/// A container asks the name server of its network's result, with that search domain.
fn resolves(podman: &Podman, container: &str, [server, domain]: [&str; 2]) {
    let resolv = podman.sh(&["exec", container, "cat", "/etc/resolv.conf"]);
    let server = format!("nameserver {server}");
    let search = |line: &str| {
        line.strip_prefix("search ").is_some_and(|line| line.split_whitespace().any(|name| name == domain))
    };
    assert!(resolv.lines().any(|line| line == server) && resolv.lines().any(search), "{resolv}");
}

#[test]
fn a_flushed_firewall_is_filled_again() {
    for (form, backend) in [(Form::DropIn, "iptables"), (Form::Chain, "nftables")] {
        let podman = start!(List::pods(form, backend));
        let node = podman.machine().node();
        let outside = node.outside();
        let web = Spec::new("web").port("tcp", 8080, 80).port("udp", 8080, 80);
        let web = podman.run(&web, &["pods"]).unwrap();
        let ips = web.ips.clone();
        traffic::mapped(podman.machine(), &outside, &web, 8080, 80);
        node.sh("nft flush ruleset");
        traffic::unmapped(podman.machine(), &outside, 8080);
        // A DEL and an ADD that asks for the addresses that there were.
        podman.sh(&["network", "reload", "web"]);
        drop(web);
        let web = podman.pod("web");
        assert_eq!(web.ips, ips);
        traffic::mapped(podman.machine(), &outside, &web, 8080, 80);
        traffic::masquerades(&outside, &web);
        podman.remove(&web);
        assert_eq!(node.leased("pods"), [""; 0]);
    }
}

#[test]
fn containers_come_back_after_a_boot() {
    for form in Form::BOTH {
        let mut podman = start!(List::pods(form, "nftables"));
        for name in ["one", "two"] {
            podman
                .run(&Spec::new(name).port("tcp", if name == "one" { 8080 } else { 8081 }, 80), &["pods"])
                .unwrap();
        }
        podman.reboot();
        let node = podman.machine().node();
        // They keep their ids, and find the leases that they had.
        assert_eq!(node.leased("pods").len(), 4, "{:?}", node.leased("pods"));
        podman.sh(&["start", "one", "two"]);
        let [one, two] = ["one", "two"].map(|name| podman.pod(name));
        traffic::pings(podman.machine(), &one, &two);
        resolves(&podman, "one", DNS);
        assert_eq!(node.leased("pods").len(), 4, "{:?}", node.leased("pods"));
        podman.remove(&one);
        podman.remove(&two);
        assert_eq!(node.leased("pods"), [""; 0]);
    }
}

#[test]
fn what_is_asked_for_is_given() {
    for form in Form::BOTH {
        let pods = List::pods(form, "nftables");
        let podman = start!(pods.clone(), pods.second("more"));
        let node = podman.machine().node();
        podman.run(&Spec::new("first"), &["pods", "more"]).unwrap();
        let before = node.dump();
        let network = "pods:ip=10.1.0.77,mac=02:00:00:00:00:77,interface_name=net7";
        let pod = podman.run(&Spec::new("asked"), &[network, "more:ip=10.2.0.88"]).unwrap();
        let link = pod.netns.link("net7").unwrap();
        assert_eq!(link["address"], "02:00:00:00:00:77");
        assert!(pod.netns.addresses("net7").contains(&"10.1.0.77/24".to_owned()), "{:?}", pod.ips);
        // podman names the others itself.
        let others = pod.netns.links();
        let second = others.iter().find(|name| !["lo", "net7"].contains(&name.as_str())).unwrap();
        assert!(pod.netns.addresses(second).contains(&"10.2.0.88/24".to_owned()), "{others:?}");
        assert!(pod.ips.iter().all(|&ip| podman.machine().pings(ip)), "{:?}", pod.ips);
        assert_eq!(pod.netns.route("default").unwrap()["gateway"], "10.1.0.1");

        // Somebody has that address: nothing stays of what was done before that was found, on the first network too.
        let full = node.dump();
        let error = podman.run(&Spec::new("late"), &["pods", "more:ip=10.2.0.88"]).unwrap_err();
        assert!(error.contains("10.2.0.88"), "{error}");
        podman.sh(&["rm", "-f", "late"]);
        node.dump().assert_same(&full);

        podman.remove(&pod);
        drop(pod);
        node.dump().assert_same(&before);
    }
}

#[test]
fn its_own_network_is_served() {
    // What `podman network create` writes: bridge, portmap, firewall and tuning, of which Wharf is the first two.
    let podman = start!(List::pods(Form::DropIn, "nftables"));
    podman.sh(&["network", "create", "--subnet", "10.9.0.0/24", "own"]);
    let file = podman.machine().read("/etc/cni/net.d/own.conflist");
    let mut list: Value = serde_json::from_str(&file).unwrap();
    let kinds = |list: &Value| {
        let plugins = list["plugins"].as_array().unwrap().iter();
        plugins.map(|plugin| plugin["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&list), ["bridge", "portmap", "firewall", "tuning"], "{file}");
    list["plugins"].as_array_mut().unwrap().truncate(2);
    assert_eq!(list["plugins"][0]["hairpinMode"], json!(true));
    podman.machine().write("/etc/cni/net.d/own.conflist", &list.to_string());
    let node = podman.machine().node();
    let outside = node.outside();
    let pod = podman.run(&Spec::new("c").port("tcp", 8080, 80), &["own"]).unwrap();
    assert_eq!(pod.ip(false).to_string(), "10.9.0.2");
    assert!(podman.machine().pings(pod.ip(false)));
    let server = Server::tcp(&pod.netns, "pod", "[::]:80");
    assert!(tcp(&outside, at(NODE[0], 8080)).is_some());
    drop(server);
    podman.remove(&pod);
    assert_eq!(node.leased("own"), [""; 0]);
}
