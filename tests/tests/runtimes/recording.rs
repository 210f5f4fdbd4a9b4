//! What each client sends is what `tests/recorded` has. `tests/recorded.rs` runs those calls without the clients.

use wharf_tests::runtimes::buildah::Buildah;
use wharf_tests::runtimes::config::Form;
use wharf_tests::runtimes::containerd::{Containerd, Release};
use wharf_tests::runtimes::ctr::Ctr;
use wharf_tests::runtimes::fixture::assert_recorded;
use wharf_tests::runtimes::libcni::Libcni;
use wharf_tests::runtimes::pod::Spec;
use wharf_tests::runtimes::podman::Podman;
use wharf_tests::runtimes::recorder::Recorder;
use wharf_tests::runtimes::{List, Machine};
use wharf_tests::{Node, json, skip};

macro_rules! start {
    ($client:expr) => {
        match $client {
            Ok(client) => client,
            Err(reason) => skip!("{reason}"),
        }
    };
}

fn name(client: &str, form: Form) -> String {
    format!("{client}-{}", if form == Form::Chain { "chain" } else { "drop-ins" })
}

fn of_machine(client: &str, form: Form, recorder: &Recorder, machine: &Machine) {
    assert_recorded(&name(client, form), &recorder.take(), &machine.node().folder(""));
}

#[test]
fn containerd() {
    for (client, release, version) in [
        ("containerd-1.6", Release::V1_6, "1.0.0"),
        ("containerd-1.7", Release::V1_7, "1.0.0"),
        ("containerd-2", Release::V2, "1.1.0"),
    ] {
        for form in Form::BOTH {
            let list = List::pods(form, "nftables").version(version);
            let containerd = start!(Containerd::start(release, &list));
            let recorder = Recorder::install(containerd.machine());
            let spec =
                Spec::new("web").port("tcp", 8080, 80).port_at("127.0.0.1", "udp", 8080, 80).limits(80, 40);
            assert!(containerd.cri().condition("NetworkReady").unwrap().status);
            let pod = containerd.run(&spec).unwrap();
            containerd.remove(&pod).unwrap();
            of_machine(client, form, &recorder, containerd.machine());
        }
    }
}

#[test]
fn ctr() {
    for form in Form::BOTH {
        let ctr = start!(Ctr::start(Release::V1_6, &List::pods(form, "nftables")));
        let recorder = Recorder::install(ctr.machine());
        ctr.run("web", "true").unwrap();
        of_machine("ctr-1.6", form, &recorder, ctr.machine());
    }
}

#[test]
fn podman() {
    for form in Form::BOTH {
        let pods = List::pods(form, "nftables");
        let podman = start!(Podman::start(&[pods.clone(), pods.second("more")]));
        let recorder = Recorder::install(podman.machine());
        let spec = Spec::new("web").port("tcp", 8080, 80).port_at("127.0.0.1", "udp", 8080, 80);
        let asked = "pods:ip=10.1.0.77,mac=02:00:00:00:00:77,interface_name=net7";
        let pod = podman.run(&spec, &[asked]).unwrap();
        podman.sh(&["network", "reload", "web"]);
        podman.sh(&["network", "connect", "more", "web"]);
        podman.sh(&["network", "disconnect", "more", "web"]);
        // The end of its process is seen by conmon, which starts a clean-up with an environment of its own.
        let process = podman.inspect("web")["State"]["Pid"].to_string();
        podman.machine().sh(&format!("kill -9 {process}"));
        let node = podman.machine().node();
        podman.machine().wait("the clean-up", || node.leased("pods").is_empty().then_some(()));
        podman.remove(&pod);
        of_machine("podman-4.3", form, &recorder, podman.machine());
    }
}

#[test]
fn buildah() {
    for form in Form::BOTH {
        let buildah = start!(Buildah::start(&List::pods(form, "nftables")));
        let recorder = Recorder::install(buildah.machine());
        buildah.run("pods", &["true"]).unwrap();
        of_machine("buildah-1.28", form, &recorder, buildah.machine());
    }
}

#[test]
fn libcni() {
    for (release, version) in [("1.1", "1.0.0"), ("1.3", "1.1.0")] {
        for form in Form::BOTH {
            let node = Node::new();
            let [one, two] = ["one", "two"].map(|id| node.container(id));
            let libcni = start!(Libcni::new(&node, release, &List::pods(form, "nftables").version(version)));
            let recorder = Recorder::of_node(&node);
            let limits = json!({"ingressRate": 8_000_000, "ingressBurst": 800_000});
            let [one, two] = [one.eth0().port(8080, 80).with("bandwidth", limits), two.eth0().port(8081, 80)];
            libcni.add(&one);
            libcni.check(&one).unwrap();
            if version == "1.1.0" {
                libcni.status().unwrap();
                libcni.add(&two);
                libcni.gc(&[&one]).unwrap();
            }
            libcni.del(&one).unwrap();
            libcni.del(&one).unwrap();
            assert_recorded(&name(&format!("libcni-{release}"), form), &recorder.take(), &node.folder(""));
        }
    }
}
