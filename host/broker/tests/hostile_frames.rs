//! A sandbox that an attacker controls and that does not keep to the protocol.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]
#![allow(missing_docs, unreachable_pub, clippy::missing_panics_doc, reason = "helpers of tests")]

mod common;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use common::{Call, Guest, Node, error};
use wharf_ops::call::{Answer, CniError, Failure, Interface, Metadata, NetworkResult};
use wharf_ops::delegate::{DelegateOp, Verb};
use wharf_ops::links::{Common, LinkOp};
use wharf_ops::logging::{Level, LogLine};
use wharf_ops::nat::{Backend, MasqueradeRule, NatOp};
use wharf_ops::wire::{self, Timings, ToBroker};
use wharf_ops::{KernelOp, Ns, Op, Reply};

const SHORT: &str = "[limits]\ndeadline-ms = 300\noperations = 1000000\n";

fn bridge(name: &str) -> Op {
    let common = Common { name: name.into(), ..Common::default() };
    Op::Kernel(KernelOp::Link(LinkOp::EnsureBridge { ns: Ns::Host, common, vlan_filtering: false }))
}

fn frame(message: &ToBroker) -> Vec<u8> {
    wire::encode(message).unwrap()
}

fn finished(outcome: Result<Answer, Failure>) -> ToBroker {
    ToBroker::Finished { outcome, timings: Timings::default() }
}

fn success() -> ToBroker {
    finished(Ok(Answer::Result(NetworkResult::default())))
}

/// Makes a bridge and then does something that ends the call with this code; the bridge goes again.
#[track_caller]
fn ends(limits: &str, code: u64, attack: impl Fn(&mut Guest) + Send + Sync + 'static) {
    let node = Node::new(None, limits);
    let started = Instant::now();
    let output = node.run("ADD", move |guest| {
        guest.ask(bridge("br0")).unwrap();
        attack(guest);
    });
    let took = started.elapsed();
    assert_eq!(error(&output).0, code, "{output:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(!node.shell("ip -br link").contains("br0"), "it was undone");
}

/// Waits until the broker hangs up.
fn until_hung_up(guest: &mut Guest) {
    let mut rest = Vec::new();
    let _ = guest.socket.read_to_end(&mut rest);
}

#[test]
fn a_message_that_is_announced_too_long() {
    for announced in [u32::MAX, 8 * 1024 * 1024 + 1, 0x8000_0000] {
        ends("", 904, move |guest| {
            let _ = guest.socket.write_all(&announced.to_le_bytes());
            until_hung_up(guest);
        });
    }
}

#[test]
fn a_message_that_never_comes_to_an_end() {
    for start in [&b""[..], &[100], &[100, 0, 0, 0], &[255, 255, 127, 0, 0, 2, 1]] {
        ends(SHORT, 903, move |guest| {
            let _ = guest.socket.write_all(start);
            until_hung_up(guest);
        });
    }
    // One byte after the other: each is news, none is a message.
    ends(SHORT, 903, |guest| {
        let bytes = frame(&ToBroker::Log(LogLine {
            level: Level::Info,
            message: "x".repeat(5_000_000),
            fields: vec![],
        }));
        for byte in bytes {
            if guest.socket.write_all(&[byte]).is_err() {
                return;
            }
        }
    });
}

#[test]
fn a_message_that_is_cut() {
    let whole = frame(&ToBroker::Op(bridge("br1")));
    for length in 1..whole.len() {
        let part = whole[..length].to_vec();
        ends("", 902, move |guest| drop(guest.socket.write_all(&part)));
    }
}

#[test]
fn answers_that_are_not_read() {
    ends(SHORT, 903, |guest| {
        let get = frame(&ToBroker::Op(Op::Kernel(KernelOp::Link(LinkOp::GetAll { ns: Ns::Host }))));
        while guest.socket.write_all(&get).is_ok() {}
    });
}

#[test]
fn log_lines_without_end() {
    let line = || ToBroker::Log(LogLine { level: Level::Trace, message: "x".repeat(100), fields: vec![] });
    ends(SHORT, 903, move |guest| while guest.socket.write_all(&frame(&line())).is_ok() {});
    // As many fields as a message can hold, in a line that nobody wants to see.
    ends("", 902, |guest| {
        let fields = vec![(String::new(), String::new()); 4_000_000];
        let line = LogLine { level: Level::Trace, message: String::new(), fields };
        let _ = guest.socket.write_all(&frame(&ToBroker::Log(line)));
    });
}

#[test]
fn what_comes_after_the_end_is_not_heard() {
    let node = Node::new(None, "");
    let other =
        finished(Err(Failure::Guest(CniError { code: 123, msg: "second thoughts".into(), details: None })));
    let output = node.run("ADD", move |guest| {
        let messages = [
            success(),
            ToBroker::Op(bridge("late0")),
            other.clone(),
            success(),
            ToBroker::Op(bridge("late1")),
        ];
        let _ = guest.socket.write_all(&messages.iter().flat_map(frame).collect::<Vec<u8>>());
    });
    assert_eq!(output.status, 0, "{output:?}");
    assert!(!node.shell("ip -br link").contains("late"));
}

#[test]
fn an_end_that_belongs_to_another_call() {
    let metadata = Metadata { name: "g".into(), version: "1".into(), capabilities: vec![] };
    for answer in [Answer::Done, Answer::Metadata(metadata)] {
        ends("", 999, move |guest| guest.finish(Ok(answer.clone())));
    }
    // A DEL and a CHECK have no answer: whatever is sent is not printed.
    let node = Node::new(None, "");
    for command in ["DEL", "CHECK", "STATUS"] {
        let output = node.run(command, Guest::succeed);
        assert_eq!((output.status, output.stdout.as_str()), (0, ""), "{command}");
    }
}

#[test]
fn texts_of_megabytes() {
    // What is said about such a name is short.
    ends("", 123, |guest| {
        let answer = guest.ask_raw(&frame(&ToBroker::Op(bridge(&"\u{1}".repeat(4_000_000))))).unwrap();
        let refused = answer.unwrap_err();
        assert!(refused.kind == wharf_ops::ErrorKind::Invalid && refused.message.len() < 500, "{refused:?}");
        let error = CniError { code: 123, msg: String::new(), details: None };
        guest.finish(Err(Failure::Guest(error)));
    });
    ends("", 123, |guest| {
        let text = "x".repeat(3_000_000);
        let error = CniError { code: 123, msg: text.clone(), details: Some(text) };
        guest.finish(Err(Failure::Guest(error)));
    });
    let node = Node::new(None, "");
    let output = node.run("ADD", |guest| {
        let error = CniError { code: 123, msg: "\u{1b}[2J\"}{".repeat(400_000), details: None };
        guest.finish(Err(Failure::Guest(error)));
    });
    assert_eq!(error(&output).0, 123);
    assert!(output.stdout.len() < 10_000 && !output.stdout.contains('\u{1b}'), "{}", output.stdout.len());
    // A result may be long, and is one JSON object whatever is in it.
    let output = node.run("ADD", |guest| {
        let interfaces = vec![Interface { name: "\"}\n{\u{1}".repeat(300_000), ..Interface::default() }];
        guest.finish(Ok(Answer::Result(NetworkResult { interfaces, ..NetworkResult::default() })));
    });
    let value: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((output.status, value["interfaces"][0]["name"].as_str().unwrap().len()), (0, 1_500_000));
}

#[test]
fn delegates_by_path_and_by_whim() {
    let mut node = Node::new(None, "");
    node.conf = r#","ipam":{"type":"*"},"delegate":{"type":"sh"}"#;
    let bin = node.root.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let proof = node.root.path().join("proof");
    for file in [bin.join("planted"), node.root.path().join("planted")] {
        std::fs::write(&file, format!("#!/bin/sh\ntouch {}\n", proof.display())).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    for command in ["ADD", "DEL"] {
        let call = Call { path: bin.display().to_string(), ..Call::of(&node, command) };
        let output = node.call(&call, move |guest| {
            for plugin in
                ["planted", "../../planted", "../planted", "/bin/touch", "/bin/sh", "", "planted\0", "g", "*"]
            {
                for verb in [Verb::Add, Verb::Del, Verb::Gc] {
                    let config =
                        r#"{"cniVersion":"1.1.0","name":"n","type":"x","ipam":{"type":"planted"}}"#.into();
                    let op = Op::Delegate(DelegateOp { verb, plugin: plugin.into(), config });
                    match guest.ask(op) {
                        Ok(Reply::Refused(error)) => {
                            assert!([900, 7].contains(&error.code), "{plugin:?} {error:?}");
                        }
                        // By the grant, or by the configuration.
                        Err(error) if error.kind == wharf_ops::ErrorKind::Denied => {}
                        other => panic!("{plugin:?}: {other:?}"),
                    }
                }
            }
            if command == "ADD" { guest.succeed() } else { guest.finish(Ok(Answer::Done)) }
        });
        assert_eq!(output.status, 0, "{output:?}");
    }
    assert!(!proof.exists());
}

/// Only a GC is told who is valid. In any other call a delegate's GC would take the leases of all whose journal is lost, or who
/// were attached by another plugin before.
#[test]
fn a_delegates_gc_is_for_a_gc() {
    let mut node = Node::new(None, "");
    node.conf = r#","cni.dev/valid-attachments":[],"ipam":{"type":"g"}"#;
    for command in ["ADD", "CHECK", "DEL"] {
        let output = node.run(command, move |guest| {
            let config = r#"{"cniVersion":"1.1.0","name":"n","type":"g"}"#.into();
            let op = Op::Delegate(DelegateOp { verb: Verb::Gc, plugin: "g".into(), config });
            let refused = guest.ask(op).unwrap_err();
            assert_eq!(refused.kind, wharf_ops::ErrorKind::Denied, "{command}: {refused}");
            if command == "ADD" { guest.succeed() } else { guest.finish(Ok(Answer::Done)) }
        });
        assert_eq!(output.status, 0, "{output:?}");
    }
}

/// What a guest runs before it listens is its own to choose, and its call may be longer than what a socket takes at once.
#[test]
fn a_guest_that_does_not_listen_to_its_call_is_ended_at_the_deadline() {
    let mut node = Node::new(None, SHORT);
    node.conf = Box::leak(format!(r#","x":"{}""#, "x".repeat(900_000)).into_boxed_str());
    let (over, until) = std::sync::mpsc::channel::<()>();
    let until = std::sync::Mutex::new(until);
    let mut broker = node.broker(move |_| {
        // Until the test is over.
        let _ = until.lock().unwrap().recv();
    });
    broker.launcher.deaf = true;
    let call = Call::of(&node, "ADD");
    let ran = node.host.enter(|| broker.run("g", |key| call.variable(key), call.conf().as_bytes()));
    assert_eq!(error(&ran.unwrap()).0, 903);
    drop(over);
}

/// A few bytes can ask for rules without number.
#[test]
fn rules_without_number_are_refused() {
    let node = Node::new(None, "");
    let output = node.run("ADD", |guest| {
        let address = |number: u32| std::net::IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number));
        let rules = (0..80_000)
            .map(|number| MasqueradeRule { source: address(number), except: Vec::new() })
            .collect();
        let op = NatOp::Masquerade { rules, backend: Backend::Nftables };
        let refused = guest.ask(Op::Kernel(KernelOp::Nat(op))).unwrap_err();
        assert_eq!(refused.kind, wharf_ops::ErrorKind::Invalid, "{refused}");
        assert!(refused.message.contains("80000"), "{refused}");
        guest.succeed();
    });
    assert_eq!(output.status, 0, "{output:?}");
}

#[test]
fn operations_of_the_brokers_own_are_not_to_be_had() {
    let node = Node::new(None, "");
    node.shell("ip link add victim type bridge");
    let output = node.run("ADD", |guest| {
        let get = Op::Kernel(KernelOp::Link(LinkOp::Get { ns: Ns::Host, name: "victim".into() }));
        let link = guest.ask(get).unwrap().maybe_link().unwrap().unwrap();
        for op in [
            LinkOp::DeleteMany { links: vec![link.clone()] },
            LinkOp::DeleteUnusedBridge { link: link.clone() },
        ] {
            let refused = guest.ask(Op::Kernel(KernelOp::Link(op))).unwrap_err();
            assert_eq!(refused.kind, wharf_ops::ErrorKind::Denied);
        }
        guest.ask(Op::Kernel(KernelOp::Nat(NatOp::Detect))).unwrap();
        guest.succeed();
    });
    assert_eq!(output.status, 0, "{output:?}");
    assert!(node.shell("ip -br link").contains("victim"));
}
