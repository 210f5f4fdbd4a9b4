//! containerd through CRI: its three releases, with drop-ins and with one process.

use std::thread;
use std::time::Instant;

use wharf_tests::node::NODE;
use wharf_tests::runtimes::List;
use wharf_tests::runtimes::config::Form;
use wharf_tests::runtimes::containerd::{Containerd, Release};
use wharf_tests::runtimes::pod::Spec;
use wharf_tests::runtimes::recorder::Recorder;
use wharf_tests::traffic::{Server, at, tcp};
use wharf_tests::{json, skip};

use super::traffic;

/// The bytes that containerd lets through at once, whatever the limit.
const BURST: usize = u32::MAX as usize / 8;

/// A containerd with pods of this list, or why there is none.
macro_rules! start {
    ($release:expr, $list:expr) => {
        match Containerd::start($release, &$list) {
            Ok(containerd) => containerd,
            Err(reason) => skip!("{reason}"),
        }
    };
}

/// A test of each release.
macro_rules! releases {
    ($($name:ident)*) => {
        mod v1_6 { $(#[test] fn $name() { super::$name(super::Release::V1_6); })* }
        mod v1_7 { $(#[test] fn $name() { super::$name(super::Release::V1_7); })* }
        mod v2 { $(#[test] fn $name() { super::$name(super::Release::V2); })* }
    };
}

releases! {
    pods_have_a_network_by_drop_ins
    pods_have_a_network_by_one_process
    limits_are_real
    a_failed_start_leaves_nothing
    a_node_comes_back
}

fn pods_have_a_network_by_drop_ins(release: Release) {
    pods_have_a_network(release, Form::DropIn, "iptables");
}

fn pods_have_a_network_by_one_process(release: Release) {
    pods_have_a_network(release, Form::Chain, "nftables");
}

fn pods_have_a_network(release: Release, form: Form, backend: &str) {
    let mut containerd = start!(release, List::pods(form, backend));
    let node = || containerd.machine().node();
    let outside = node().outside();
    let other = containerd.run(&Spec::new("other").port("tcp", 8000, 80)).unwrap();
    // From here on there is what one pod needs and all share.
    let before = node().dump();
    let web = Spec::new("web").port("tcp", 8080, 80).port("udp", 8080, 80);
    let web = containerd.run(&web.port_at(NODE[0], "tcp", 8081, 80)).unwrap();
    assert_eq!(web.ips.len(), 2, "{:?}", web.ips);
    traffic::pings(containerd.machine(), &web, &other);
    traffic::masquerades(&outside, &web);
    traffic::mapped(containerd.machine(), &outside, &web, 8080, 80);
    let server = Server::tcp(&web.netns, "web", "[::]:80");
    assert!(tcp(node(), at(NODE[0], 8081)).is_some() && tcp(node(), at("127.0.0.1", 8081)).is_none());
    drop(server);

    containerd.restart();
    let web = containerd.pod(&web.id).unwrap();
    traffic::pings(containerd.machine(), &web, &other);
    traffic::mapped(containerd.machine(), &outside, &web, 8080, 80);
    let late = containerd.run(&Spec::new("late")).unwrap();
    traffic::pings(containerd.machine(), &late, &web);
    containerd.remove(&late).unwrap();
    containerd.remove(&web).unwrap();
    traffic::unmapped(containerd.machine(), &outside, 8080);
    drop((web, late));
    let node = containerd.machine().node();
    node.dump().assert_same(&before);
    containerd.remove(&other).unwrap();
    drop(other);
    assert_eq!(node.leased("pods"), [""; 0]);
    assert_eq!(containerd.machine().namespaces("/run/netns"), [""; 0]);
}

fn limits_are_real(release: Release) {
    for form in Form::BOTH {
        let containerd = start!(release, List::pods(form, "nftables"));
        containerd.run(&Spec::new("first")).unwrap();
        let before = containerd.machine().node().dump();
        let limits = [80, 40];
        let pod = containerd.run(&Spec::new("limited").limits(limits[0], limits[1])).unwrap();
        traffic::limited(containerd.machine(), "10.1.0.1", &pod, limits, BURST);
        containerd.remove(&pod).unwrap();
        containerd.machine().node().dump().assert_same(&before);
    }
}

fn a_failed_start_leaves_nothing(release: Release) {
    for form in Form::BOTH {
        start_that_fails(release, form);
    }
}

fn start_that_fails(release: Release, form: Form) {
    // Two addresses, of which the first pod takes one.
    let ipam = json!({"type": "host-local", "ranges": [[
        {"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.3"},
    ]]});
    let containerd = start!(release, List::pods(form, "nftables").bridge("ipam", ipam));
    let recorder = Recorder::install(containerd.machine());
    let first = containerd.run(&Spec::new("first").port("tcp", 8080, 80)).unwrap();
    let before = containerd.machine().node().dump();

    // The network is there, then the pod's process fails.
    let mut config = containerd.config(&Spec::new("broken").port("tcp", 8081, 80));
    config.linux.as_mut().unwrap().sysctls.insert("net.ipv4.no_such_key".into(), "1".into());
    let error = containerd.cri().run(config).unwrap_err();
    assert!(error.message.contains("no_such_key"), "{error}");
    containerd.machine().node().dump().assert_same(&before);

    let second = containerd.run(&Spec::new("second")).unwrap();
    let full = containerd.machine().node().dump();
    // The network itself fails, and says why.
    let error = containerd.run(&Spec::new("third").port("tcp", 8082, 80)).unwrap_err();
    assert!(error.message.contains("no IP addresses available in range set: 10.1.0.2-10.1.0.3"), "{error}");
    containerd.machine().node().dump().assert_same(&full);

    recorder.take();
    for pod in [first, second] {
        containerd.remove(&pod).unwrap();
    }
    // StopPodSandbox and RemovePodSandbox each send a DEL, and the second knows less.
    let plugin = match form {
        Form::DropIn => "bridge",
        Form::Chain => "wharf",
    };
    let calls = recorder.take();
    let deleted: Vec<_> = calls
        .iter()
        .filter(|call| call.plugin == plugin && call.var("CNI_COMMAND") == "DEL")
        .map(|call| (call.status, call.var("CNI_NETNS").is_empty(), call.stdin["prevResult"].is_object()))
        .collect();
    assert_eq!(deleted, [(0, false, true), (0, true, false), (0, false, true), (0, true, false)]);
    assert_eq!(containerd.machine().node().leased("pods"), [""; 0]);
}

fn a_node_comes_back(release: Release) {
    for form in Form::BOTH {
        node_that_boots(release, form);
    }
}

fn node_that_boots(release: Release, form: Form) {
    let mut containerd = start!(release, List::pods(form, "nftables"));
    let pods = ["one", "two"].map(|name| containerd.run(&Spec::new(name).limits(8, 8)).unwrap());
    let ids = pods.each_ref().map(|pod| pod.id.clone());
    drop(pods);
    containerd.reboot();
    let node = containerd.machine().node();
    // Only what is on the disk is left: the leases.
    assert_eq!(node.leased("pods").len(), 4, "{:?}", node.leased("pods"));
    assert_eq!(node.links(), ["lo"]);
    // The kubelet makes the pods anew, then removes the old ones.
    let (one, two) = (Spec::new("new-one").port("tcp", 8080, 80), Spec::new("new-two"));
    let new = [containerd.run(&one).unwrap(), containerd.run(&two).unwrap()];
    traffic::pings(containerd.machine(), &new[0], &new[1]);
    for id in &ids {
        containerd.cri().stop(id).unwrap();
        containerd.cri().remove(id).unwrap();
    }
    traffic::pings(containerd.machine(), &new[0], &new[1]);
    assert_eq!(node.leased("pods").len(), 4, "those of the new ones");
    for pod in &new {
        containerd.remove(pod).unwrap();
    }
    assert_eq!(node.leased("pods"), [""; 0]);
}

#[test]
fn a_hundred_pods_ten_at_a_time() {
    const AT_ONCE: u16 = 10;
    const EACH: u16 = 10;
    for form in Form::BOTH {
        let containerd = start!(Release::V1_6, List::pods(form, "nftables"));
        let first = containerd.run(&Spec::new("first").port("tcp", 9000, 80)).unwrap();
        let before = containerd.machine().node().dump();
        let begin = Instant::now();
        thread::scope(|scope| {
            for lane in 0..AT_ONCE {
                let (cri, containerd) = (containerd.connect(), &containerd);
                let config = move |number: u16| {
                    let port = 10_000 + lane * EACH + number;
                    let spec = Spec::new(&format!("pod-{port}")).port("tcp", port, 80).port("udp", port, 80);
                    containerd.config(&spec.limits(100, 100))
                };
                scope.spawn(move || {
                    for number in 0..EACH {
                        let id = cri.run(config(number)).unwrap_or_else(|error| panic!("run: {error}"));
                        cri.stop(&id).unwrap_or_else(|error| panic!("stop: {error}"));
                        cri.remove(&id).unwrap_or_else(|error| panic!("remove: {error}"));
                    }
                });
            }
        });
        println!("{form:?}: {:?}", begin.elapsed());
        containerd.machine().node().dump().assert_same(&before);
        assert_eq!(containerd.cri().list().unwrap(), std::slice::from_ref(&first.id));
        assert_eq!(containerd.machine().namespaces("/run/netns").len(), 1);
    }
}

#[test]
fn the_newest_asks_for_the_status() {
    let range = json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.2"});
    let ipam = json!({"type": "host-local", "ranges": [[range]]});
    for form in Form::BOTH {
        let list = List::pods(form, "nftables").version("1.1.0").bridge("ipam", ipam.clone());
        let containerd = start!(Release::V2, list);
        let ready = || containerd.cri().condition("NetworkReady").unwrap();
        assert!(ready().status, "{:?}", ready());
        let pod = containerd.run(&Spec::new("only")).unwrap();
        let full = ready();
        assert!(!full.status && full.message.contains("10.1.0.2"), "{full:?}");
        containerd.remove(&pod).unwrap();
        assert!(ready().status, "{:?}", ready());
    }
}
