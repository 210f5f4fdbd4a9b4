//! Policies whose sandbox an attacker controls, or that are not as they should be: whatever they do but allow is denied.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test")]

mod common;

use std::cell::Cell;
use std::io::Write as _;
use std::time::{Duration, Instant};

use common::{Guest, Node, Script, error, garbage};
use wharf_ops::call::{Answer, Failure, Metadata, NetworkResult};
use wharf_ops::delegate::{DelegateOp, Verb};
use wharf_ops::leases::LeaseOp;
use wharf_ops::links::{Common, LinkOp};
use wharf_ops::policy::{Question, Subject, Verdict};
use wharf_ops::shaping::{Rate, ShapingOp};
use wharf_ops::wire::{self, ToBroker};
use wharf_ops::{KernelOp, Link, Ns, Op, Reply};

fn make_bridge(guest: &mut Guest) {
    let common = Common { name: "br0".into(), ..Common::default() };
    let op = Op::Kernel(KernelOp::Link(LinkOp::EnsureBridge { ns: Ns::Host, common, vlan_filtering: false }));
    // Whatever is answered, and whether anything is: this guest minds nothing.
    if wire::send(&mut guest.socket, &ToBroker::Op(op)).is_ok() && guest.hear::<wire::ToSandbox>().is_some() {
        guest.succeed();
    }
}

fn node() -> Node {
    let node = Node::new(None, "");
    node.install_policy("policy", "deadline-ms = 300");
    node
}

/// The ADD of a guest that makes a bridge fails with code 901 and these words, and leaves nothing.
#[track_caller]
fn denied(policy: Script, words: &str) {
    let node = node();
    let before = node.dump();
    let (code, message) = error(&node.run_under("ADD", make_bridge, policy));
    assert_eq!(code, 901, "{message}");
    assert!(message.contains("policy \"p\"") && message.contains(words), "{message}");
    common::assert_same(&node.dump(), &before, words);
}

/// Allows the ADD as such, and answers what comes next by `answer`.
fn then(guest: &mut Guest, answer: impl Fn(&mut Guest, Question<'static>)) {
    let Some(subject) = guest.hear::<Subject>() else { return };
    assert_eq!(
        (subject.attachment.container.as_str(), subject.plugins.as_slice()),
        ("c1", &["g".to_owned()][..])
    );
    guest.judge(Verdict::Allow);
    while let Some(question) = guest.hear::<Question<'static>>() {
        answer(guest, question);
    }
}

#[test]
fn what_a_policy_allows_is_done() {
    let node = node();
    let output =
        node.run_under("ADD", make_bridge, |guest| then(guest, |guest, _| guest.judge(Verdict::Allow)));
    assert_eq!(output.status, 0, "{output:?}");
    assert!(node.shell("ip -br link").contains("br0"));
}

#[test]
fn a_change_is_denied_before_it_is_made_whatever_its_guest_makes_of_that() {
    denied(
        |guest| {
            then(guest, |guest, question| {
                let Question::Review { guest: who, op } = question else { return };
                assert_eq!((who.as_ref(), op.operation().name), ("g", "links/ensure-bridge"));
                guest.judge(Verdict::Deny("no bridges here".into()));
            });
        },
        "denies links/ensure-bridge of g: no bridges here",
    );
}

#[test]
fn the_add_as_such_and_its_result_are_denied() {
    denied(
        |guest| {
            let _ = guest.hear::<Subject>();
            guest.judge(Verdict::Deny("not today".into()));
        },
        "denies the ADD: not today",
    );
    denied(
        |guest| {
            then(guest, |guest, question| {
                guest.judge(match question {
                    Question::Result(_) => Verdict::Deny(String::new()),
                    _ => Verdict::Allow,
                });
            });
        },
        "denies the result: it gives no reason",
    );
}

/// Asks for bridges of these names, and minds nothing. There can be none that is called `lo`.
fn make_bridges(guest: &mut Guest, names: &[&str]) {
    for name in names {
        let common = Common { name: (*name).into(), ..Common::default() };
        let op = LinkOp::EnsureBridge { ns: Ns::Host, common, vlan_filtering: false };
        if let Err(common::Stop::Gone) = guest.attempt(Op::Kernel(KernelOp::Link(op))) {
            return;
        }
    }
    guest.succeed();
}

/// Wants exactly one bridge at the end, by what it was asked about before.
fn one_bridge(guest: &mut Guest) {
    let seen = Cell::new(0);
    then(guest, |guest, question| {
        guest.judge(match question {
            Question::Result(_) if seen.get() != 1 => Verdict::Deny(format!("{} bridges", seen.get())),
            Question::Result(_) => Verdict::Allow,
            Question::Review { .. } | Question::Admit { .. } => {
                seen.set(seen.get() + 1);
                Verdict::Allow
            }
        });
    });
}

#[test]
fn the_result_is_judged_by_what_was_made() {
    for (names, denial) in [
        (&["br0"][..], None),
        (&["lo"], Some("denies the result: 0 bridges")),
        (&["lo", "br0", "lo"], None),
        (&["br0", "lo", "br1"], Some("denies the result: 2 bridges")),
    ] {
        let node = node();
        let before = node.dump();
        let output = node.run_under("ADD", move |guest| make_bridges(guest, names), one_bridge);
        match denial {
            None => assert_eq!(output.status, 0, "{names:?}: {output:?}"),
            Some(words) => {
                let (code, message) = error(&output);
                assert!(code == 901 && message.contains(words), "{names:?}: {message}");
                common::assert_same(&node.dump(), &before, words);
            }
        }
    }
}

#[test]
fn nobody_is_asked_about_what_is_out_of_reach() {
    /// A handle that nobody handed out, a pool that is not open, a delegate that is not named.
    fn forge(guest: &mut Guest) {
        let link = Link { ns: Ns::Host, index: 1, name: "lo".into() };
        let rate = Rate { bits_per_second: 8, burst_bits: 8, latency_ms: 1 };
        let address = "10.0.0.1".parse().unwrap();
        let config = r#"{"cniVersion":"1.1.0","name":"n","type":"g"}"#.to_owned();
        for op in [
            Op::Kernel(KernelOp::Shaping(ShapingOp::SetEgress { on: link, rate })),
            Op::Lease(LeaseOp::SetLastReserved { pool: 7, set: 0, address }),
            Op::Delegate(DelegateOp { verb: Verb::Add, plugin: "h".into(), config }),
        ] {
            match guest.attempt(op) {
                Err(common::Stop::Gone) => return,
                Err(common::Stop::Failed(_)) | Ok(Reply::Refused(_)) => {}
                Ok(reply) => panic!("{reply:?}"),
            }
        }
        guest.succeed();
    }
    let node = node();
    let output = node.run_under("ADD", forge, |guest| {
        then(guest, |guest, question| {
            guest.judge(match question {
                Question::Result(_) => Verdict::Allow,
                Question::Review { .. } | Question::Admit { .. } => Verdict::Deny("asked".into()),
            });
        });
    });
    assert_eq!(output.status, 0, "{output:?}");
}

#[test]
fn what_is_no_verdict_is_none() {
    const NO_VERDICT: &str = "its answer is no verdict";
    fn finish(guest: &mut Guest, answer: Result<Answer, Failure>) {
        then(guest, move |guest, _| guest.finish(answer.clone()));
    }
    denied(|guest| finish(guest, Ok(Answer::Done)), NO_VERDICT);
    denied(|guest| finish(guest, Ok(Answer::Result(NetworkResult::default()))), NO_VERDICT);
    denied(|guest| finish(guest, Ok(Answer::Metadata(Metadata::default()))), NO_VERDICT);
    denied(|guest| finish(guest, Ok(Answer::Verdict(Verdict::Change("{}".into())))), NO_VERDICT);
    denied(|guest| finish(guest, Err(Failure::Trap("unreachable".into()))), "it trapped: unreachable");
    denied(|guest| finish(guest, Err(Failure::Limit("too much".into()))), "too much");
}

#[test]
fn a_policy_that_is_taken_over_changes_nothing() {
    denied(|guest| then(guest, |guest, _| make_bridge(guest)), "it asks for links/ensure-bridge");
    denied(|guest| then(guest, |guest, _| garbage(guest)), "does not decode");
    denied(
        |guest| then(guest, |guest, _| drop(guest.socket.shutdown(std::net::Shutdown::Both))),
        "sandbox ended",
    );
    denied(|_| {}, "its sandbox ended");
    denied(
        |guest| {
            then(guest, |guest, _| {
                // Nobody waits for what is behind such a length.
                let _ = guest.socket.write_all(&u32::MAX.to_le_bytes());
            });
        },
        "4294967295 bytes",
    );
}

#[test]
fn a_policy_that_does_not_answer_has_denied() {
    let started = Instant::now();
    denied(|guest| then(guest, |_, _| {}), "no answer within 300 ms");
    denied(
        |guest| {
            let _ = guest.hear::<Subject>();
            // Until the broker hangs up.
            let _ = guest.hear::<Subject>();
            let _ = guest.hear::<Subject>();
        },
        "no answer within 300 ms",
    );
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn the_wait_that_ended_is_the_one_that_is_told() {
    let node = Node::new(None, "[limits]\ndeadline-ms = 400\n");
    node.install_policy("policy", "deadline-ms = 30000");
    let (code, message) = error(&node.run_under("ADD", make_bridge, |guest| then(guest, |_, _| {})));
    assert_eq!(code, 901, "{message}");
    let told = message.split("no answer within ").nth(1).and_then(|rest| rest.split(" ms").next());
    let told: u64 = told.expect(&message).parse().expect(&message);
    assert!(told <= 400 && message.contains("all that the guest that asked had left"), "{message}");
}

#[test]
fn without_its_policy_there_is_no_add_and_del_goes_on() {
    let node = Node::new(None, "");
    let before = node.dump();
    for (install, words) in [(None, "not installed"), (Some("network"), "is no policy")] {
        if let Some(world) = install {
            node.install_policy(world, "");
        }
        let (code, message) = error(&node.run_under("ADD", make_bridge, |_| {}));
        assert!(code == 901 && message.contains("policy \"p\"") && message.contains(words), "{message}");
        common::assert_same(&node.dump(), &before, words);
        let (code, message) =
            error(&node.run_under("STATUS", |guest| guest.finish(Ok(Answer::Done)), |_| {}));
        assert!(code == 50 && message.contains(words), "{code}: {message}");
        for command in ["DEL", "GC", "CHECK"] {
            let output = node.run_under(command, |guest| guest.finish(Ok(Answer::Done)), |_| {});
            assert_eq!(output.status, 0, "{command}: {output:?}");
        }
    }
}

#[test]
fn a_policy_is_no_plugin() {
    let node = node();
    let conf = r#"{"cniVersion":"1.1.0","name":"n","type":"p"}"#;
    let call = common::Call::of(&node, "ADD");
    let broker = node.broker(Guest::succeed);
    let output = node.host.enter(|| broker.run("p", |key| call.variable(key), conf.as_bytes())).unwrap();
    let (code, message) = error(&output);
    assert!(code == 7 && message.contains("\"p\" is a policy"), "{message}");
}
