//! One policy, many questions: each arrives whole and is answered by the same instance.

use std::borrow::Cow;
use std::net::Shutdown;

use wharf_ops::addresses::AddressOp;
use wharf_ops::call::{Answer, Failure, IpConfig, NetworkResult};
use wharf_ops::delegate::{DelegateOp, Verb};
use wharf_ops::leases::{LeaseOp, LeaseOwner};
use wharf_ops::links::{LinkOp, VethEnd};
use wharf_ops::nat::{Backend, ForwardOptions, NatOp, PortForward, Protocol};
use wharf_ops::policy::{Pod, Question, Subject, Verdict};
use wharf_ops::shaping::{Rate, ShapingOp};
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::wire::{self, Frames, Message, ToBroker};
use wharf_ops::{Attachment, KernelOp, Link, Ns, Op};
use wharf_sandbox::{Child, Ended};

use crate::Guests;
use crate::support::{add, job, nothing, run};

crate::tests![
    the_call_arrives_whole,
    each_change_arrives_whole,
    what_the_contract_has_no_case_for_is_told_by_its_name,
    a_trap_ends_the_conversation,
    a_policy_is_called_as_nothing_else,
];

/// The broker's side of a conversation.
struct Conversation {
    child: Child,
    frames: Frames,
    logs: Vec<String>,
}

impl Conversation {
    fn begin(guests: &Guests, settings: &str) -> (Self, Result<Answer, Failure>) {
        let call = add("{}");
        let child =
            wharf_sandbox::spawn(job(&guests.judge, &call).order(), wharf_sandbox::Identity::default())
                .unwrap();
        let mut conversation = Self { child, frames: Frames::new(), logs: Vec::new() };
        let first = conversation.ask(&subject(settings));
        (conversation, first)
    }

    fn ask<T: Message>(&mut self, question: &T) -> Result<Answer, Failure> {
        wire::send(&mut &self.child.socket, question).unwrap();
        loop {
            match self.frames.receive::<ToBroker>(&mut &self.child.socket).unwrap() {
                ToBroker::Log(line) => self.logs.push(line.message),
                ToBroker::Finished { outcome, .. } => return outcome,
                ToBroker::Op(op) => panic!("a policy asks for {op:?}"),
            }
        }
    }

    /// Why it denies.
    fn reason(&mut self, op: Op) -> String {
        let question = Question::Review { guest: Cow::Borrowed("g"), op: Cow::Owned(op) };
        match self.ask(&question) {
            Ok(Answer::Verdict(Verdict::Deny(reason))) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn end(mut self) -> Ended {
        self.child.socket.shutdown(Shutdown::Write).unwrap();
        self.child.wait().unwrap()
    }
}

fn subject(settings: &str) -> Subject {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    Subject {
        command: "ADD".into(),
        attachment: Attachment { network: "net".into(), container: "ctr".into(), ifname: "eth0".into() },
        netns_path: Some("/run/netns/x".into()),
        pod: Some(Pod {
            namespace: "shop".into(),
            name: "web".into(),
            uid: Some("u".into()),
            infra_container: None,
        }),
        labels: vec![pair("tier", "free")],
        annotations: vec![pair("a/b", "c")],
        args: vec![pair("K", "V")],
        plugins: vec!["bridge".into()],
        chain: true,
        previous: Some(NetworkResult::default()),
        settings: settings.into(),
    }
}

fn link(name: &str) -> Link {
    Link { ns: Ns::Container, index: 2, name: name.into() }
}

fn the_call_arrives_whole(guests: &Guests) {
    let (conversation, first) = Conversation::begin(guests, "deny");
    let Ok(Answer::Verdict(Verdict::Deny(text))) = first else { panic!("{first:?}") };
    for word in [
        "command: \"ADD\"",
        "network: \"net\"",
        "container: \"ctr\"",
        "netns-path: Some(\"/run/netns/x\")",
        "namespace: \"shop\"",
        "name: \"web\"",
        "uid: Some(\"u\")",
        "labels: [(\"tier\", \"free\")]",
        "annotations: [(\"a/b\", \"c\")]",
        "args: [(\"K\", \"V\")]",
        "plugins: [\"bridge\"]",
        "chain: true",
        "previous: Some(NetworkResult",
        "settings: \"deny\"",
    ] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
    assert_eq!(conversation.logs, ["begins"]);
    assert_eq!(conversation.end(), Ended::Exited(0));
}

fn each_change_arrives_whole(guests: &Guests) {
    let (mut conversation, first) = Conversation::begin(guests, "");
    assert_eq!(first, Ok(Answer::Verdict(Verdict::Allow)));
    let end =
        |ns, name: &str| VethEnd { ns, name: name.into(), mtu: Some(1400), mac: None, tx_queue_length: None };
    let owner = LeaseOwner { container: "ctr".into(), ifname: "eth0".into() };
    let forward = PortForward {
        protocol: Protocol::Udp,
        host_address: None,
        host_port: 53,
        container_address: "fd00::2".parse().unwrap(),
        container_port: 5353,
    };
    let options = ForwardOptions {
        backend: Backend::Nftables,
        snat: true,
        masquerade_all: false,
        subnets: vec!["fd00::/64".parse().unwrap()],
        mark_bit: 13,
        external_mark_chain: None,
        conditions_v4: vec!["x".into()],
        conditions_v6: vec![],
    };
    let kernel = Op::Kernel;
    let cases = [
        (
            kernel(KernelOp::Link(LinkOp::CreateVeth {
                a: end(Ns::Host, "veth0"),
                b: end(Ns::Container, "eth0"),
            })),
            &["LinksCreateVeth", "Side::Host, name: \"veth0\", mtu: Some(1400)", "name: \"eth0\""][..],
        ),
        (
            kernel(KernelOp::Link(LinkOp::SetMaster { link: link("eth0"), master: Some(link("br0")) })),
            &["LinksSetMaster", "name: \"eth0\"", "master: Some(", "name: \"br0\""],
        ),
        (
            kernel(KernelOp::Address(AddressOp::Add {
                on: link("eth0"),
                address: "10.1.2.3/24".parse().unwrap(),
            })),
            &["AddressesAdd", "10, 1, 2, 3", "prefix: 24"],
        ),
        (
            kernel(KernelOp::Sysctl(SysctlOp::Write { ns: Ns::Host, key: "a/b".into(), value: "1".into() })),
            &["SysctlWrite", "key: \"a/b\"", "value: \"1\""],
        ),
        (
            kernel(KernelOp::Nat(NatOp::ForwardPorts { rules: vec![forward], options })),
            &[
                "NatForwardPorts",
                "Protocol::Udp",
                "host-port: 53",
                "container-port: 5353",
                "mark-bit: 13",
                "[\"x\"]",
            ],
        ),
        (
            kernel(KernelOp::Shaping(ShapingOp::SetEgress {
                on: link("eth0"),
                rate: Rate { bits_per_second: 8_000_000_000, burst_bits: 9, latency_ms: 25 },
            })),
            &["ShapingSetEgress", "bits-per-second: 8000000000", "latency-ms: 25"],
        ),
        (
            Op::Lease(LeaseOp::TryReserve {
                pool: 1,
                address: "10.1.2.4".parse().unwrap(),
                owner: owner.clone(),
            }),
            &["LeasesTryReserve", "10, 1, 2, 4"],
        ),
        (Op::Lease(LeaseOp::Release { pool: 1, owner }), &["LeasesRelease"]),
        (
            Op::Delegate(DelegateOp { verb: Verb::Add, plugin: "host-local".into(), config: "{}".into() }),
            &["DelegateAdd", "plugin: \"host-local\"", "config: \"{}\""],
        ),
    ];
    for (count, (op, words)) in cases.into_iter().enumerate() {
        let text = conversation.reason(op);
        assert!(text.starts_with(&format!("{} g: Change::", count + 1)), "one instance: {text}");
        for word in words {
            assert!(text.contains(word), "{word} is not in {text}");
        }
    }
    let result = NetworkResult::default();
    assert_eq!(
        conversation.ask(&Question::Result(Cow::Borrowed(&result))),
        Ok(Answer::Verdict(Verdict::Allow))
    );
    assert_eq!(conversation.end(), Ended::Exited(0));
}

fn what_the_contract_has_no_case_for_is_told_by_its_name(guests: &Guests) {
    let (mut conversation, _) = Conversation::begin(guests, "");
    let op = Op::Kernel(KernelOp::Link(LinkOp::DeleteMany { links: vec![link("eth0")] }));
    assert_eq!(conversation.reason(op), "g: unknown links/delete-many");
}

fn a_trap_ends_the_conversation(guests: &Guests) {
    let (conversation, first) = Conversation::begin(guests, "trap");
    assert!(matches!(&first, Err(Failure::Trap(reason)) if reason.contains("as told")), "{first:?}");
    assert_eq!(conversation.end(), Ended::Exited(0));

    let (mut conversation, _) = Conversation::begin(guests, "");
    let ip = IpConfig { address: "10.0.0.1/8".parse().unwrap(), gateway: None, interface: None };
    let result = NetworkResult { ips: vec![ip], ..NetworkResult::default() };
    let answer = conversation.ask(&Question::Result(Cow::Borrowed(&result)));
    assert!(
        matches!(&answer, Err(Failure::Trap(reason)) if reason.contains("it has addresses")),
        "{answer:?}"
    );

    // What is for the other kind of policy ends it as well.
    let (mut conversation, _) = Conversation::begin(guests, "");
    let question = Question::Admit { plugin: Cow::Borrowed("g"), config: Cow::Borrowed("{}") };
    assert!(matches!(conversation.ask(&question), Err(Failure::Trap(_))));
}

fn a_policy_is_called_as_nothing_else(guests: &Guests) {
    // A call of a plugin is no subject: it hangs up.
    let report = run(&job(&guests.judge, &add("{}")), nothing);
    assert!(report.outcome.is_none_or(|outcome| outcome.is_err()));
}
