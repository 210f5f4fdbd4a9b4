//! DEL finishes, whatever is missing, wrong or in the way, and leaves nothing.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::attach::{ADD, DEL, LAZY_DEL, VETH, link};
use common::faulty::{self, What, plan, survive};
use common::{Call, Node, Script, assert_same, error};
use wharf_broker::{Paths, guests};
use wharf_kernel::Netns;
use wharf_ops::Ns;
use wharf_ops::call::{Answer, CniError, Failure};
use wharf_ops::delegate::Verb;
use wharf_ops::links::LinkOp;

/// A node that had an attachment before, and has one now.
struct Scene {
    node: Node,
    before: String,
}

impl Scene {
    fn new(limits: &str) -> Self {
        let node = Node::new(None, limits);
        for _ in 0..2 {
            assert_eq!(node.run("ADD", ADD).status, 0);
            assert_eq!(node.run("DEL", LAZY_DEL).status, 0);
        }
        let before = node.dump();
        assert_eq!(node.run("ADD", ADD).status, 0);
        Self { node, before }
    }

    #[track_caller]
    fn is_gone(&self, output: &wharf_broker::Output) {
        assert_eq!((output.status, output.stdout.as_str()), (0, ""), "{output:?}");
        assert_same(&self.node.dump(), &self.before, "after DEL");
    }
}

#[test]
fn what_guests_take_away_themselves_costs_nothing_more() {
    let scene = Scene::new("");
    plan(None);
    scene.is_gone(&scene.node.run("DEL", DEL));
    // Forwards, masquerades, spoof guard, route, neighbour, both links at once, the leases.
    assert_eq!(faulty::changes(), 7);
}

#[test]
fn guests_that_do_nothing_fail_trap_or_hang() {
    let fails: Script = |guest| {
        let failure = CniError { code: 123, msg: "no luck".into(), details: None };
        guest.finish(Err(Failure::Guest(failure)));
    };
    let traps: Script = |guest| guest.finish(Err(Failure::Trap("unreachable".into())));
    let hangs: Script = |guest| {
        let mut byte = [0];
        let _ = std::io::Read::read(&mut guest.socket, &mut byte);
    };
    let vanishes: Script = |_| {};
    for script in [LAZY_DEL, fails, traps, hangs, vanishes] {
        let scene = Scene::new("[limits]\ndeadline-ms = 500\n");
        scene.is_gone(&scene.node.run("DEL", script));
        // Twice: there is no record, and nothing else of it either.
        scene.is_gone(&scene.node.run("DEL", script));
    }
}

#[test]
fn a_guest_that_is_missing_or_denied() {
    let scene = Scene::new("");
    let paths = Paths::below(scene.node.root.path());
    std::fs::remove_file(paths.guests().join("g.json")).unwrap();
    scene.is_gone(&scene.node.run("DEL", DEL));

    let scene = Scene::new("");
    let paths = Paths::below(scene.node.root.path());
    let digest = guests::read(&paths, "g").unwrap().digest;
    let grant = format!("digest = {digest:?}\noperations = [\"links/get\"]\n");
    guests::write_atomically(&paths.grants(), "g.toml", grant.as_bytes()).unwrap();
    scene.is_gone(&scene.node.run("DEL", DEL));
    scene.is_gone(&scene.node.run("DEL", DEL));
}

/// An interface or a lease that no record tells of may be somebody's attachment: only the guest can take it away.
#[test]
fn a_guest_that_fails_without_a_record_where_something_is_left() {
    for left in ["ip link add eth0 type ifb", "true"] {
        let scene = Scene::new("");
        scene.is_gone(&scene.node.run("DEL", DEL));
        Netns::open(&scene.node.netns).unwrap().enter(|| common::shell(left)).unwrap();
        let fails: Script = |guest| {
            guest.finish(Err(Failure::Guest(CniError { code: 123, msg: "no luck".into(), details: None })));
        };
        let output = scene.node.run("DEL", fails);
        if left == "true" {
            scene.is_gone(&output);
        } else {
            assert_eq!(error(&output).0, 123);
        }
    }
}

#[test]
fn the_namespace_is_gone() {
    for script in [DEL, LAZY_DEL] {
        let mut scene = Scene::new("");
        scene.node.vanish();
        scene.is_gone(&scene.node.run("DEL", script));
    }
}

#[test]
fn the_runtime_does_not_tell_the_namespace_but_it_lives() {
    for script in [DEL, LAZY_DEL] {
        let scene = Scene::new("");
        let call = Call { netns: None, ..Call::of(&scene.node, "DEL") };
        scene.is_gone(&scene.node.call(&call, script));
        let inside = Netns::open(&scene.node.netns).unwrap();
        assert!(!inside.enter(|| common::shell("ip -br link")).unwrap().contains("eth0"));
    }
}

#[test]
fn the_namespace_path_is_another_containers_by_now() {
    // plugins#714
    let take: Script = |guest| {
        let get = LinkOp::Get { ns: Ns::Container, name: "eth0".into() };
        if let Ok(reply) = guest.ask(link(get))
            && let Some(found) = reply.maybe_link().unwrap()
        {
            guest.ask(link(LinkOp::Delete { link: found })).unwrap();
        }
        guest.finish(Ok(Answer::Done));
    };
    for script in [take, DEL] {
        let mut scene = Scene::new("");
        scene.node.vanish();
        let other = Netns::create_at(&scene.node.netns).unwrap();
        other.enter(|| common::shell("ip link add eth0 type bridge && ip link set eth0 up")).unwrap();
        scene.is_gone(&scene.node.run("DEL", script));
        assert!(other.enter(|| common::shell("ip -br link")).unwrap().contains("eth0"), "it is the other's");
    }
}

#[test]
fn the_namespace_path_is_the_hosts_by_now() {
    let scene = Scene::new("");
    let call = Call { netns: Some("/proc/thread-self/ns/net".into()), ..Call::of(&scene.node, "DEL") };
    scene.is_gone(&scene.node.call(&call, DEL));
    // Without a record it is refused.
    assert_eq!(error(&scene.node.call(&call, DEL)).0, 8);
}

#[test]
fn the_previous_result_is_missing_or_lies() {
    for previous in [
        r#","prevResult":{"cniVersion":"9.0.0","ips":"many"}"#,
        r#","prevResult":{"cniVersion":"1.0.0","interfaces":[{"name":"lo"}],"ips":[{"address":"10.0.0.77/24"}]}"#,
    ] {
        let scene = Scene::new("");
        let call = Call { conf: previous.into(), ..Call::of(&scene.node, "DEL") };
        scene.is_gone(&scene.node.call(&call, LAZY_DEL));
    }
}

#[test]
fn the_network_has_another_name_by_now() {
    for script in [DEL, LAZY_DEL] {
        let scene = Scene::new("");
        let call = Call { network: "renamed".into(), ..Call::of(&scene.node, "DEL") };
        scene.is_gone(&scene.node.call(&call, script));
    }
    // Nothing of another container.
    let scene = Scene::new("");
    let before = scene.node.dump();
    let call = Call {
        network: "renamed".into(),
        container: "c9".into(),
        netns: None,
        ..Call::of(&scene.node, "DEL")
    };
    assert_eq!(scene.node.call(&call, LAZY_DEL).status, 0);
    assert_same(&scene.node.dump(), &before, "another container's DEL");
}

/// The same container and interface may be another network's by now.
#[test]
fn another_network_of_the_container_is_left_alone() {
    let scene = Scene::new("");
    let before = scene.node.dump();
    let conf = r#","bridge":"br1""#.to_owned();
    let call = Call { network: "other".into(), conf, netns: None, ..Call::of(&scene.node, "DEL") };
    assert_eq!(scene.node.call(&call, LAZY_DEL).status, 0);
    assert_same(&scene.node.dump(), &before, "another network's DEL");
    // Where the runtime has lists, these tell: as long as one has the recorded network, it has no other name.
    let lists = scene.node.root.path().join("etc/cni/net.d");
    std::fs::create_dir_all(&lists).unwrap();
    let list = |name: &str| format!(r#"{{"cniVersion":"1.0.0","name":{name:?},"plugins":[]}}"#);
    std::fs::write(lists.join("10.conflist"), list("n")).unwrap();
    std::fs::write(lists.join("20.conflist"), list("other")).unwrap();
    let same = Call { network: "other".into(), ..Call::of(&scene.node, "DEL") };
    for call in [&call, &same] {
        assert_eq!(scene.node.call(call, LAZY_DEL).status, 0);
        assert_same(&scene.node.dump(), &before, "another network's DEL");
    }
    std::fs::remove_file(lists.join("10.conflist")).unwrap();
    scene.is_gone(&scene.node.call(&call, LAZY_DEL));
}

/// A process that was killed when it had made the file, and nothing else.
#[test]
fn an_empty_journal_is_none() {
    let node = Node::new(None, "");
    let before = node.dump();
    assert_eq!(node.run("ADD", ADD).status, 0);
    let path = Paths::below(node.root.path()).attachments().join("c1:eth0:g:n");
    assert_eq!(node.run("DEL", LAZY_DEL).status, 0);
    let fails: Script = |guest| {
        guest.finish(Err(Failure::Guest(CniError { code: 123, msg: "no luck".into(), details: None })));
    };
    std::fs::write(&path, b"").unwrap();
    let output = node.run("DEL", fails);
    assert_eq!((output.status, output.stdout.as_str()), (0, ""), "{output:?}");
    assert!(!path.exists() && !before.contains("c1:eth0"));
}

#[test]
fn twice_and_before_any_add() {
    let scene = Scene::new("");
    scene.is_gone(&scene.node.run("DEL", DEL));
    scene.is_gone(&scene.node.run("DEL", DEL));
    let call = Call { container: "c9".into(), ..Call::of(&scene.node, "DEL") };
    scene.is_gone(&scene.node.call(&call, LAZY_DEL));
}

#[test]
fn of_an_earlier_boot_only_leases_are_left() {
    let scene = Scene::new("");
    // As after a boot that kept /run: the record is another boot's, the names in it are somebody else's.
    let path = path_of(&scene);
    common::rewrite_boot(&path);
    let output = scene.node.run("DEL", LAZY_DEL);
    assert_eq!(output.status, 0, "{output:?}");
    let dump = scene.node.dump();
    assert!(dump.contains(VETH) && !dump.contains("networks/n/10.0.0.2"), "{dump}");
}

#[test]
fn a_record_that_is_damaged_is_used_as_far_as_it_goes() {
    let scene = Scene::new("");
    let path = path_of(&scene);
    let mut bytes = std::fs::read(&path).unwrap();
    // In the middle: nothing is committed as far as can be read.
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&path, bytes).unwrap();
    // The container may be running: only its DEL, or a GC that does not know it, says otherwise.
    let now = scene.node.dump();
    let recovered = scene.node.host.enter(|| scene.node.broker(LAZY_DEL).recover()).unwrap().unwrap();
    assert!(recovered[0].damage.is_some() && !recovered[0].undone, "{recovered:?}");
    let valid = r#","cni.dev/valid-attachments":[{"containerID":"c1","ifname":"eth0"}]"#;
    let gc = Call { conf: valid.into(), ..Call::of(&scene.node, "GC") };
    assert_eq!(scene.node.call(&gc, LAZY_DEL).status, 0);
    assert_same(&scene.node.dump(), &now, "what is damaged is left alone");
    scene.is_gone(&scene.node.run("DEL", DEL));

    for content in [&b""[..], b"garbage", b"wharfj\0\x63later"] {
        let scene = Scene::new("");
        std::fs::write(path_of(&scene), content).unwrap();
        assert_eq!(scene.node.run("DEL", DEL).status, 0);
        assert_same(&scene.node.dump(), &scene.before, "the guest knew the rest");
    }
}

fn path_of(scene: &Scene) -> std::path::PathBuf {
    Paths::below(scene.node.root.path()).attachments().join("c1:eth0:g:n")
}

#[test]
fn native_delegates_are_ended_by_the_record() {
    let node = Node::new(None, "");
    let calls = node.root.path().join("calls");
    let script =
        format!("echo $CNI_COMMAND:$CNI_NETNS >> {}\necho '{{\"cniVersion\":\"1.0.0\"}}'", calls.display());
    let path = node.native("native", &script).display().to_string();
    let add: Script = |guest| {
        common::ask_native(guest, Verb::Add);
        guest.succeed();
    };
    let del: Script = |guest| {
        common::ask_native(guest, Verb::Del);
        guest.finish(Ok(Answer::Done));
    };
    let call = |command| Call { path: path.clone(), ..Call::ipam(&node, command, "native") };
    let heard = || std::fs::read_to_string(&calls).unwrap_or_default();
    let netns = node.netns.display();
    for (script, path) in [(del, path.clone()), (LAZY_DEL, path.clone()), (LAZY_DEL, String::new())] {
        assert_eq!(node.call(&call("ADD"), add).status, 0);
        let output = node.call(&Call { path, ..call("DEL") }, script);
        assert_eq!(output.status, 0, "{output:?}");
        assert_eq!(
            heard(),
            format!("ADD:{netns}\nDEL:{netns}\n"),
            "once, with the recorded path if there is no other"
        );
        std::fs::remove_file(&calls).unwrap();
    }
    // One that fails is an error, and is asked again by the next DEL.
    assert_eq!(node.call(&call("ADD"), add).status, 0);
    node.native("native", "exit 1");
    let (_, message) = error(&node.call(&call("DEL"), LAZY_DEL));
    assert!(message.contains("native"), "{message}");
    assert_eq!(node.journals().len(), 1);
    node.native("native", "exit 0");
    assert_eq!(node.call(&call("DEL"), LAZY_DEL).status, 0);
    assert!(node.journals().is_empty());
}

/// What a native plugin holds, only it can tell.
#[test]
fn a_native_plugin_that_was_not_asked_keeps_the_error_of_a_guest() {
    let node = Node::new(None, "");
    let path = node.native("native", "exit 0").display().to_string();
    let call = || Call { path: path.clone(), ..Call::ipam(&node, "DEL", "native") };
    let fails: Script = |guest| {
        guest.finish(Err(Failure::Guest(CniError { code: 123, msg: "no luck".into(), details: None })));
    };
    assert_eq!(error(&node.call(&call(), fails)).0, 123);
    let output = node.call(&call(), |guest| {
        common::ask_native(guest, Verb::Del);
        guest.finish(Err(Failure::Guest(CniError { code: 123, msg: "no luck".into(), details: None })));
    });
    assert_eq!(output.status, 0, "{output:?}");
}

#[test]
fn gc_sweeps_records_that_are_not_valid_and_undoes_what_was_cut_short() {
    let scene = Scene::new("");
    let valid = |pairs: &str| Call {
        conf: format!(r#","cni.dev/valid-attachments":[{pairs}]"#),
        ..Call::of(&scene.node, "GC")
    };
    let kept = scene.node.dump();
    let own = r#"{"containerID":"c1","ifname":"eth0"}"#;
    assert_eq!(scene.node.call(&valid(own), LAZY_DEL).status, 0);
    assert_same(&scene.node.dump(), &kept, "it is valid");
    let other = Call { network: "m".into(), ..valid("") };
    assert_eq!(scene.node.call(&other, LAZY_DEL).status, 0);
    assert_same(&scene.node.dump(), &kept, "it is of another network");
    let output = scene.node.call(&valid(r#"{"containerID":"c1","ifname":"eth1"}"#), LAZY_DEL);
    scene.is_gone(&output);
    // Valid, but cut short.
    plan(Some((12, What::EndAfter)));
    assert!(survive(|| scene.node.run("ADD", ADD)).is_none());
    scene.is_gone(&scene.node.call(&valid(own), LAZY_DEL));
}

#[test]
fn recover_tells_what_it_found() {
    let scene = Scene::new("");
    assert!(scene.node.host.enter(|| scene.node.broker(DEL).recover()).unwrap().unwrap().is_empty());
    assert_eq!(scene.node.run("DEL", DEL).status, 0);
    plan(Some((12, What::EndBefore)));
    assert!(survive(|| scene.node.run("ADD", ADD)).is_none());
    let recovered = scene.node.host.enter(|| scene.node.broker(DEL).recover()).unwrap().unwrap();
    let [one] = recovered.as_slice() else { panic!("{recovered:?}") };
    assert_eq!((one.journal.as_str(), one.entry.as_deref()), ("c1:eth0:g:n", Some("g")));
    assert!(one.undone && one.failures.is_empty() && one.damage.is_none());
    assert_same(&scene.node.dump(), &scene.before, "recovered");
}
