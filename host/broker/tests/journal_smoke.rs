//! The body of the fuzz target `journal` over journals as ADDs leave them and a deterministic mutator, so that it runs in
//! every `cargo test`.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]
#![allow(missing_docs, unreachable_pub, clippy::missing_panics_doc, reason = "helpers of tests")]

mod fuzz_journal;
#[path = "../../ops/tests/fuzz_body/ops.rs"]
mod ops;
#[path = "../../../fuzz/smoke/mod.rs"]
mod smoke;

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use ops::Pick;
use smoke::Random;
use wharf_broker::journal::{
    Begin, Commit, Effect, Frame, GuestRun, HEADER, NetnsId, Outcome, Shared, Undo, encode, parse,
};
use wharf_ops::call::{Dns, Interface, IpConfig, NetworkResult, ResultRoute};
use wharf_ops::{Attachment, KernelOp, Link, Ns, OPERATIONS, Op};

const ITERATIONS: usize = 5_000;

fn begin() -> Frame<'static> {
    Frame::Begin(Cow::Owned(Begin {
        attachment: Attachment { network: "n".into(), container: "c1".into(), ifname: "eth0".into() },
        entry: "wharf".into(),
        netns: Some(NetnsId {
            path: "/run/netns/x".into(),
            device: 4,
            inode: 4_026_532_000,
            cookie: Some(7),
        }),
        boot: "0b0c7d5e-0000-4000-8000-000000000000".into(),
        time: 1_700_000_000,
        pid: 4711,
        plugin_path: vec!["/opt/cni/bin".into()],
        args: "K=V".into(),
        config: "0123456789abcdef0123456789abcdef".into(),
    }))
}

fn guest() -> Frame<'static> {
    Frame::Guest(Cow::Owned(GuestRun { name: "bridge".into(), digest: "sha256:0".into() }))
}

fn intent(seq: usize, effect: Effect) -> Frame<'static> {
    let seq = u32::try_from(seq).unwrap();
    Frame::Intent { seq, guest: "bridge".into(), effect: Cow::Owned(effect) }
}

fn done(seq: usize, outcome: Outcome) -> Frame<'static> {
    Frame::Done { seq: u32::try_from(seq).unwrap(), outcome: Cow::Owned(outcome) }
}

fn commit() -> Frame<'static> {
    let result = NetworkResult {
        interfaces: vec![Interface { name: "eth0".into(), ..Interface::default() }],
        ips: vec![IpConfig {
            interface: Some(0),
            address: "10.1.0.2/24".parse().unwrap(),
            gateway: Some("10.1.0.1".parse().unwrap()),
        }],
        routes: vec![ResultRoute {
            dst: "0.0.0.0/0".parse().unwrap(),
            gw: None,
            mtu: Some(1400),
            advmss: None,
            priority: None,
            table: None,
            scope: None,
        }],
        dns: Dns { nameservers: vec!["10.1.0.1".into()], ..Dns::default() },
    };
    Frame::Commit(Cow::Owned(Commit { time: 1_700_000_001, result }))
}

/// Each operation on the kernel as a step, undone by the one before it.
fn operations() -> Vec<Effect> {
    let mut pick = Pick::new(1);
    let ops: Vec<KernelOp> = ops::every(&mut pick)
        .into_iter()
        .filter_map(|op| if let Op::Kernel(op) = op { Some(op) } else { None })
        .collect();
    let bridge = Link { ns: Ns::Host, index: 3, name: "br0".into() };
    let shared = Some(Shared { bridge, ports: vec![7, 300] });
    let undo = |at: usize| match at {
        0 => Vec::new(),
        _ => vec![Undo { op: ops[at - 1].clone(), unless_joined: shared.clone().filter(|_| at % 8 == 1) }],
    };
    ops.iter().enumerate().map(|(at, op)| Effect::Kernel { op: op.clone(), undo: undo(at) }).collect()
}

/// One of each outcome; the last is written at the end of what a crash leaves.
fn outcomes() -> Vec<(Effect, Option<Outcome>)> {
    let (own, other) = ("10.1.0.2".parse().unwrap(), "fd01::2".parse().unwrap());
    let lease = |address, held| Effect::Lease { directory: Some("/var/lib/x".into()), address, held };
    let native = Effect::Native { plugin: "dhcp".into(), config: "{}".into() };
    let made = ["veth0", "eth0"].map(|name| Link { ns: Ns::Host, index: 9, name: name.into() });
    let mut kernel = operations().into_iter();
    let mut next = || kernel.next().unwrap();
    vec![
        (next(), Some(Outcome::AlreadySo)),
        (next(), None),
        (next(), Some(Outcome::Nothing)),
        (next(), Some(Outcome::Failed)),
        (next(), Some(Outcome::Created(made.to_vec()))),
        (lease(None, vec![other]), Some(Outcome::Reserved(own))),
        (lease(Some(other), Vec::new()), None),
        (native, Some(Outcome::Done)),
    ]
}

fn journal(frames: &[Frame<'_>]) -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    for frame in frames {
        encode(frame, &mut bytes).unwrap();
    }
    bytes
}

/// The bodies of a journal as the fuzz body reads them, each behind its length.
fn bodies(journal: &[u8]) -> Vec<u8> {
    let (mut rest, mut bodies) = (&journal[HEADER.len()..], Vec::new());
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = u32::from_le_bytes(*length);
        let (head, after) = after.split_at(12);
        assert_eq!(head[..4], (!length).to_le_bytes());
        let (body, after) = after.split_at(length as usize);
        bodies.extend(u16::try_from(length).unwrap().to_le_bytes());
        bodies.extend_from_slice(body);
        rest = after;
    }
    bodies
}

/// By names for their files: what ADDs leave, as files and as bodies.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut every = vec![begin(), guest()];
    every.extend(operations().into_iter().enumerate().map(|(seq, effect)| intent(seq, effect)));
    every.push(commit());
    let mut ends = vec![begin(), guest(), commit(), begin(), guest()];
    for (seq, (effect, outcome)) in outcomes().into_iter().enumerate() {
        ends.push(intent(seq, effect));
        ends.extend(outcome.map(|outcome| done(seq, outcome)));
    }
    let (every, ends) = (journal(&every), journal(&ends));
    let contradiction = journal(&[begin(), commit(), guest()]);
    let torn = ends[..ends.len() - 3].to_vec();
    let all = [
        ("operations", bodies(&every)),
        ("outcomes", bodies(&ends)),
        ("contradiction", bodies(&contradiction)),
        ("torn", torn),
        ("empty", HEADER.to_vec()),
    ];
    all.map(|(name, bytes)| (name.to_owned(), bytes)).to_vec()
}

/// Where they are committed, for the fuzzer to start from.
const COMMITTED: &str = "tests/fuzz_journal/seeds.hex";

#[test]
fn the_seeds_are_what_adds_leave() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(COMMITTED);
    let seeds = seeds();
    if std::env::var_os("WHARF_WRITE_SEEDS").is_some() {
        fs::write(&file, smoke::as_lines(&seeds)).unwrap();
    }
    smoke::write_corpus(&seeds);
    for (_, bytes) in &seeds {
        fuzz_journal::run(bytes);
    }
    smoke::run_over_findings("journal", fuzz_journal::run);
    let names: Vec<_> = operations().iter().map(Effect::operation).collect();
    for operation in OPERATIONS.iter().filter(|operation| operation.changes) {
        let known = names.contains(&operation.name)
            || ["leases/", "delegate/"].iter().any(|area| operation.name.starts_with(area));
        assert!(known, "{} is in no seed", operation.name);
    }
    // A journal outlives the version that wrote it: what changes its bytes changes the format, and its version with it.
    let committed = smoke::binary_seeds(&fs::read_to_string(file).unwrap());
    assert_eq!(
        committed, seeds,
        "after a change of the format raise its version, and run this test with WHARF_WRITE_SEEDS=1"
    );
}

#[test]
fn a_crash_leaves_all_but_the_last_word() {
    let seeds = seeds();
    let torn = parse(&seeds.iter().find(|(name, _)| name == "torn").unwrap().1);
    assert!(torn.torn && torn.record.damage.is_none());
    let outcomes: Vec<_> = torn.record.pending().unwrap().steps.iter().map(|step| &step.outcome).collect();
    assert_eq!(outcomes.len(), 8);
    assert_eq!((outcomes[6], outcomes[7]), (&Outcome::Done, &Outcome::Pending));
}

/// Changes bytes, and bodies as a whole: those of another seed, twice, or not at all.
fn mutate(data: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let mut at = 0;
    for _ in 0..random.below(12) {
        let Some(length) = data.get(at..at + 2) else { break };
        at += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    }
    let at = at.min(data.len());
    let length =
        data.get(at..at + 2).map_or(0, |length| 2 + usize::from(u16::from_le_bytes([length[0], length[1]])));
    let body = at..data.len().min(at + length);
    match random.below(7) {
        0 => drop(data.drain(body)),
        1 => {
            let copy = data[body.clone()].to_vec();
            drop(data.splice(body.start..body.start, copy));
        }
        2 => drop(data.splice(body, other.iter().copied())),
        3 => data.truncate(at + random.below(length + 1)),
        4 => data.extend_from_slice(other),
        // Into the body, or the length before it.
        5 if at < data.len() => {
            let place = body.start + random.below(body.len());
            data[place] ^= 1 << random.below(8);
        }
        _ => {
            let place = random.below(data.len() + 1);
            data.insert(place, random.byte());
        }
    }
}

#[test]
fn mutated_journals_keep_every_promise() {
    let seeds = seeds();
    let mut random = Random::default();
    for _ in 0..ITERATIONS {
        let mut data = seeds[1 + random.below(seeds.len() - 1)].1.clone();
        for _ in 0..=random.below(4) {
            mutate(&mut data, &seeds[random.below(seeds.len())].1, &mut random);
        }
        smoke::survives(&data, || fuzz_journal::run(&data));
    }
}
