//! ADD and its journal: whatever ends it, it is undone, and what it did not do stays.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;

use common::attach::{self, ADD, LAZY_DEL, forward, link, masquerade, veth};
use common::faulty::{What, plan, survive};
use common::{Call, Guest, Node, Script, assert_same, error};
use nix::fcntl::{Flock, FlockArg};
use wharf_broker::Paths;
use wharf_broker::journal::{Effect, Outcome, Store};
use wharf_broker::signals::Signals;
use wharf_ops::call::{CniError, Failure};
use wharf_ops::delegate::{DelegateOp, Verb};
use wharf_ops::leases::LeaseOp;
use wharf_ops::links::{Common, LinkOp};
use wharf_ops::{Ns, Op};

fn store(node: &Node) -> Store {
    Store::of(&Paths::below(node.root.path()))
}

const FAIL: Script = |guest| {
    guest.attempt(veth()).ok();
    let failure = CniError { code: 123, msg: "no luck".into(), details: None };
    guest.finish(Err(Failure::Guest(failure)));
};

#[test]
fn what_succeeded_is_the_attachment_record() {
    let node = Node::new(None, "");
    assert_eq!(node.run("ADD", ADD).status, 0);
    let listed = store(&node).list().unwrap();
    let record = &listed[0].record;
    assert_eq!((listed.len(), listed[0].busy, record.damage.clone()), (1, false, None));
    assert_eq!(record.entry(), Some("g"));
    assert_eq!(record.attachment().unwrap().container, "c1");
    let transaction = record.committed().next().unwrap();
    assert_eq!(transaction.guests[0].name, "g");
    let netns = transaction.begin.netns.as_ref().unwrap();
    let identity = wharf_kernel::Netns::open(&node.netns).unwrap().identity();
    assert_eq!((netns.device, netns.inode), identity);
    let created: Vec<_> = transaction.created().map(|link| link.name.as_str()).collect();
    assert_eq!(created, ["br0", attach::VETH, "eth0", attach::IFB]);
    let leases: Vec<_> = transaction.leases().map(|(_, address)| address.to_string()).collect();
    assert_eq!(leases, ["10.0.0.2", "fd00::2"]);
    let names: Vec<_> = transaction.operations().map(|(step, _)| step.effect.operation()).collect();
    assert!(names.starts_with(&["links/ensure-bridge", "links/set-up", "links/create-veth"]), "{names:?}");
    assert!(transaction.steps.iter().all(|step| step.holds() && step.guest == "g"));
    // A second attachment finds the shared things as they are, and its record says so too.
    let other = Call { container: "c2".into(), ..Call::of(&node, "ADD") };
    let already: Script = |guest| {
        let common = Common { name: "br0".into(), ..Common::default() };
        let ensure = LinkOp::EnsureBridge { ns: Ns::Host, common, vlan_filtering: false };
        let (bridge, new) = guest.ask(link(ensure)).unwrap().bridge().unwrap();
        assert!(!new);
        guest.ask(link(LinkOp::SetUp { link: bridge, up: true })).unwrap();
        guest.succeed();
    };
    assert_eq!(node.call(&other, already).status, 0);
    let listed = store(&node).list().unwrap();
    let steps = &listed[1].record.committed().next().unwrap().steps;
    assert!(steps.len() == 2 && steps.iter().all(|step| step.outcome == Outcome::AlreadySo), "{steps:?}");
}

#[test]
fn what_failed_leaves_no_journal() {
    let node = Node::new(None, "[limits]\ndeadline-ms = 300\n");
    let before = node.dump();
    let hang: Script = |guest| {
        guest.attempt(veth()).ok();
        let _ = guest.attempt(Op::Lease(LeaseOp::Close { pool: 9 }));
        let mut byte = [0];
        let _ = std::io::Read::read(&mut guest.socket, &mut byte);
    };
    let gone: Script = |guest| drop(guest.attempt(veth()));
    let trap: Script = |guest| {
        guest.attempt(veth()).ok();
        guest.finish(Err(Failure::Trap("unreachable".into())));
    };
    for (script, code) in [(FAIL, 123), (hang, 903), (gone, 902), (trap, 902)] {
        assert_eq!(error(&node.run("ADD", script)).0, code);
        assert_same(&node.dump(), &before, "a failed ADD");
    }
}

#[test]
fn what_was_cut_short_is_undone_by_the_next_add() {
    let node = Node::new(None, "");
    plan(Some((9, What::EndAfter)));
    assert!(survive(|| node.run("ADD", ADD)).is_none());
    assert!(store(&node).list().unwrap()[0].record.pending().is_some());
    let output = node.run("ADD", ADD);
    assert_eq!(output.status, 0, "{output:?}");
    let listed = store(&node).list().unwrap();
    assert_eq!(listed[0].record.transactions.len(), 1);
    assert!(listed[0].record.pending().is_none());
}

#[test]
fn a_link_of_that_name_that_was_there_before_survives_a_crash() {
    let node = Node::new(None, "");
    for kind in ["bridge", "ifb"] {
        node.shell(&format!(
            "ip link add {} type {kind}; ip link add {} type {kind}",
            attach::VETH,
            attach::IFB
        ));
        let script: Script = |guest| {
            guest.attempt(veth()).err();
            let common = Common { name: attach::IFB.into(), ..Common::default() };
            guest.attempt(link(LinkOp::CreateIfb { ns: Ns::Host, common })).err();
            guest.succeed();
        };
        for at in 1..=2 {
            plan(Some((at, What::EndBefore)));
            assert!(survive(|| node.run("ADD", script)).is_none());
            assert_eq!(node.run("DEL", LAZY_DEL).status, 0);
        }
        let links = node.shell("ip -br link");
        assert!(links.contains(attach::VETH) && links.contains(attach::IFB), "{links}");
        node.shell(&format!("ip link del {}; ip link del {}", attach::VETH, attach::IFB));
    }
}

#[test]
fn a_bridge_that_others_joined_since_survives_the_repair() {
    let node = Node::new(None, "");
    plan(Some((1, What::EndAfter)));
    assert!(survive(|| node.run("ADD", ADD)).is_none());
    node.shell("ip link add other type ifb && ip link set other master br0");
    assert_eq!(node.run("DEL", LAZY_DEL).status, 0);
    assert!(node.shell("ip -br link").contains("br0"));
}

#[test]
fn a_failed_second_add_leaves_the_first_as_it_was() {
    let node = Node::new(None, "");
    let first: Script = |guest| {
        guest.ask(masquerade("10.0.0.2")).unwrap();
        guest.ask(forward(8001)).unwrap();
        guest.succeed();
    };
    assert_eq!(node.run("ADD", first).status, 0);
    let before = node.dump();
    let second: Script = |guest| {
        guest.ask(masquerade("10.0.0.3")).unwrap();
        guest.ask(forward(9999)).unwrap();
        FAIL(guest);
    };
    assert_eq!(error(&node.run("ADD", second)).0, 123);
    assert_same(&node.dump(), &before, "the rules of the first ADD are back");
    assert_eq!(store(&node).list().unwrap()[0].record.transactions.len(), 1);
    // The same after a crash.
    for at in 1..=2 {
        plan(Some((at, What::EndAfter)));
        assert!(survive(|| node.run("ADD", second)).is_none());
        node.host.enter(|| node.broker(LAZY_DEL).recover()).unwrap().unwrap();
        assert_same(&node.dump(), &before, "the rules of the first ADD are back");
    }
    // Both are in force after a second one that succeeds, and one DEL ends both.
    let again: Script = |guest| {
        guest.ask(forward(9999)).unwrap();
        guest.succeed();
    };
    assert_eq!(node.run("ADD", again).status, 0);
    assert_eq!(store(&node).list().unwrap()[0].record.transactions.len(), 2);
    assert_eq!(node.run("DEL", LAZY_DEL).status, 0);
    assert!(!node.dump().contains("9999") && node.journals().is_empty());
}

#[test]
fn a_lease_that_a_live_attachment_holds_is_not_given_back_by_a_failed_second_add() {
    let node = Node::new(None, "");
    let reserve: Script = |guest| {
        let pool = guest.ask(Op::Lease(LeaseOp::Open { directory: None })).unwrap().pool().unwrap();
        let (first, last) = ("10.0.0.2".parse().unwrap(), "10.0.0.9".parse().unwrap());
        let next =
            LeaseOp::ReserveNext { pool, first, last, after: None, skip: vec![], owner: attach::owner() };
        guest.attempt(Op::Lease(next)).ok();
        guest.succeed();
    };
    assert_eq!(node.run("ADD", reserve).status, 0);
    let before = node.dump();
    for what in [What::EndBefore, What::EndAfter] {
        plan(Some((1, what)));
        assert!(survive(|| node.run("ADD", reserve)).is_none());
        node.host.enter(|| node.broker(LAZY_DEL).recover()).unwrap().unwrap();
        assert_same(&node.dump(), &before, "the first lease stays, and no other");
    }
}

#[test]
fn an_undo_that_fails_is_told_and_its_journal_stays() {
    let node = Node::new(None, "");
    let native =
        node.native("native", "[ $CNI_COMMAND = ADD ] && echo '{\"cniVersion\":\"1.0.0\"}' || exit 1");
    let script: Script = |guest| {
        let config = r#"{"cniVersion":"1.0.0","name":"n","type":"g","ipam":{"type":"native"}}"#;
        let op = DelegateOp { verb: Verb::Add, plugin: "native".into(), config: config.into() };
        guest.ask(Op::Delegate(op)).unwrap();
        FAIL(guest);
    };
    let call = Call { path: native.display().to_string(), ..Call::ipam(&node, "ADD", "native") };
    let output = node.call(&call, script);
    let (code, message) = error(&output);
    assert!(code == 906 && message.starts_with("no luck"), "{output:?}");
    assert!(
        output.stdout.contains("code 123") && output.stdout.contains("DEL of \\\"native\\\""),
        "{output:?}"
    );
    let pending = store(&node).list().unwrap().remove(0).record;
    assert!(pending.pending().unwrap().steps.iter().any(|step| matches!(step.effect, Effect::Native { .. })));
    // The next ADD cannot go on as long as that is so.
    assert_eq!(error(&node.call(&call, ADD)).0, 906);
    let recovered = node.host.enter(|| node.broker(LAZY_DEL).recover()).unwrap().unwrap();
    assert!(!recovered[0].undone && recovered[0].failures.len() == 1, "{recovered:?}");
    node.native("native", "exit 0");
    let recovered = node.host.enter(|| node.broker(LAZY_DEL).recover()).unwrap().unwrap();
    assert!(recovered[0].undone && node.journals().is_empty(), "{recovered:?}");
}

#[test]
fn a_signal_ends_it_and_it_is_undone() {
    let node = Node::new(None, "");
    let before = node.dump();
    let script: Script = |guest| {
        guest.attempt(veth()).ok();
        let mut byte = [0];
        let _ = std::io::Read::read(&mut guest.socket, &mut byte);
    };
    // On a thread of its own, which the signal is sent to: the mask of the others stays as it is.
    std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            let mut broker = node.broker(script);
            broker.signals = Signals::block().unwrap();
            nix::sys::signal::raise(nix::sys::signal::SIGTERM).unwrap();
            let call = Call::of(&node, "ADD");
            node.host.enter(|| broker.run("g", |key| call.variable(key), call.conf().as_bytes())).unwrap()
        });
        let (code, message) = error(&call.join().unwrap());
        assert!(code == 11 && message.contains("SIGTERM"), "{code} {message}");
    });
    assert_same(&node.dump(), &before, "after a signal");
}

#[test]
fn a_result_that_cannot_be_printed_has_not_happened() {
    /// A pipe whose reader is gone.
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let node = Node::new(None, "");
    let call = Call::of(&node, "ADD");
    let add = || {
        let broker = node.broker(ADD);
        broker.run_to("g", |key| call.variable(key), call.conf().as_bytes(), &mut Closed)
    };
    assert_eq!(node.host.enter(add).unwrap(), 1);
    assert!(node.journals().is_empty());
    assert_eq!(node.shell("ip -br link | awk '{ print $1 }'"), "lo\n");
    // After an ADD that was printed, it is still there.
    assert_eq!(node.run("ADD", Guest::succeed).status, 0);
    assert_eq!(node.host.enter(add).unwrap(), 1);
    assert_eq!(store(&node).list().unwrap()[0].record.committed().count(), 1);
}

#[test]
fn an_attachment_that_is_being_worked_on_is_busy_until_the_deadline() {
    let node = Node::new(None, "[limits]\ndeadline-ms = 200\n");
    assert_eq!(node.run("ADD", Guest::succeed).status, 0);
    let path = Paths::below(node.root.path()).attachments().join("c1:eth0:g:n");
    let lock = Flock::lock(File::open(&path).unwrap(), FlockArg::LockExclusive).unwrap();
    for command in ["ADD", "CHECK", "DEL"] {
        let (code, message) = error(&node.run(command, LAZY_DEL));
        assert!(
            code == 11 && message.contains("another call works on this attachment"),
            "{command}: {message}"
        );
    }
    // GC leaves it alone and says nothing.
    assert_eq!(node.run("GC", LAZY_DEL).status, 0);
    assert_eq!(node.journals().len(), 1);
    drop(lock);
    assert_eq!(node.run("DEL", LAZY_DEL).status, 0);
    assert!(node.journals().is_empty());
}

#[test]
fn a_journal_that_cannot_be_written_lets_nothing_be_done() {
    let node = Node::new(None, "");
    let directory = Paths::below(node.root.path()).attachments();
    std::fs::create_dir_all(directory.parent().unwrap()).unwrap();
    std::fs::write(&directory, "in the way").unwrap();
    let (code, message) = error(&node.run("ADD", ADD));
    assert!(code == 5 && message.contains("journal"), "{message}");
    assert_eq!(node.shell("ip -br link | awk '{ print $1 }'"), "lo\n");
    std::fs::remove_file(&directory).unwrap();
    assert_eq!(node.run("ADD", ADD).status, 0);
    let mode = std::fs::metadata(&directory).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
