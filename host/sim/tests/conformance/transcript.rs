//! Sequences as they ran, and how they are compared with what is written down.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use wharf_ops::addresses::AddressOp;
use wharf_ops::bridge_ports::BridgePortOp;
use wharf_ops::links::{Info, LinkOp};
use wharf_ops::nat::NatOp;
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::routes::RouteOp;
use wharf_ops::shaping::ShapingOp;
use wharf_ops::{Attachment, Error, KernelOp, Link, Ns, Reply};

use crate::machine::{Machine, Real, Simulated};
use crate::step::{Case, Step, owner};
use crate::words::Words;

/// How long a change may take to show: the kernel tells the state of a link a moment after it has changed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Returns from a test that needs a real kernel to change.
macro_rules! rooted {
    () => {
        if !nix::unistd::geteuid().is_root() {
            crate::transcript::note_skip("only root may change the real kernel");
            return;
        }
    };
}
pub(crate) use rooted;

/// Says that the test cannot run on this machine, and why.
pub(crate) fn note_skip(reason: &str) {
    println!("SKIPPED: {}: {reason}", std::thread::current().name().unwrap_or("a test"));
}

/// Each step and what came of it.
pub(crate) fn on_simulated(cases: &[Case]) -> Vec<(String, Vec<String>)> {
    let run = |case: &Case| {
        let mut machine = Simulated::new();
        let mut words = Words::default();
        (case.name.to_owned(), case.steps.iter().map(|step| run(&mut machine, &mut words, step)).collect())
    };
    cases.iter().map(run).collect()
}

/// Compares with what is written down, or writes it down.
pub(crate) fn golden(room: &str, ran: &[(String, Vec<String>)]) {
    let cases: Vec<String> =
        ran.iter().map(|(name, steps)| format!("== {name}\n{}\n", steps.concat())).collect();
    let text = cases.concat();
    let path = path(room);
    if std::env::var_os("WHARF_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (found, wanted)) in text.lines().zip(known.lines()).enumerate() {
        let place = format!("{}:{}", path.display(), number + 1);
        assert_eq!(
            found, wanted,
            "{place}: the simulated kernel answers otherwise; WHARF_BLESS=1 writes it down"
        );
    }
    assert_eq!(text.lines().count(), known.lines().count(), "{}: WHARF_BLESS=1 writes it", path.display());
}

fn path(room: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/golden").join(format!("{room}.txt"))
}

/// Runs sequences on the real kernel and compares each step with what the simulated one answers.
pub(crate) fn on_real(cases: &[Case]) {
    let wanted = on_simulated(cases);
    let mut skipped = Vec::new();
    let mut wrong = Vec::new();
    for (case, (_, steps)) in cases.iter().zip(&wanted) {
        if case.needs_vlans && !filters_vlans() {
            skipped.push(case.name);
            continue;
        }
        if let Err(difference) = one_on_real(case, steps) {
            wrong.push(difference);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if skipped.len() == cases.len() {
        note_skip("this kernel has no BRIDGE_VLAN_FILTERING");
    }
}

fn filters_vlans() -> bool {
    let mut real = Real::new();
    let op = LinkOp::EnsureBridge { ns: Ns::Host, common: crate::ops::common("br0"), vlan_filtering: true };
    real.kernel().apply(&owner(), &KernelOp::Link(op)).is_ok()
}

fn one_on_real(case: &Case, wanted: &[String]) -> Result<(), String> {
    let mut machine = Real::new();
    let mut words = Words::of(machine.extra());
    for (number, (step, wanted)) in case.steps.iter().zip(wanted).enumerate() {
        if let Step::Within(milliseconds) = step {
            machine.within(*milliseconds);
            continue;
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let mut attempt = words.clone();
            let found = run(&mut machine, &mut attempt, step);
            if found == *wanted {
                words = attempt;
                break;
            }
            if machine.is_instant() || !only_looks(step) || Instant::now() >= until {
                let name = case.name;
                return Err(format!("{name}, step {}:\nreal:\n{found}simulated:\n{wanted}", number + 1));
            }
            std::thread::yield_now();
        }
    }
    Ok(())
}

fn only_looks(step: &Step) -> bool {
    match step {
        Step::Do(op) | Step::As(_, op) => !op.operation().changes,
        Step::Owners(_) | Step::Show => true,
        Step::Sweep(_) | Step::Within(_) | Step::WithoutContainer | Step::Foreign(_) => false,
    }
}

/// Takes a step, and says what came of it.
pub(crate) fn run(machine: &mut dyn Machine, words: &mut Words, step: &Step) -> String {
    match step {
        Step::Do(op) => apply(machine, words, &owner(), op),
        Step::As(owner, op) => {
            let who = format!("({}/{}/{}) ", owner.network, short(&owner.container), owner.ifname);
            who + &apply(machine, words, owner, op)
        }
        Step::Owners(network) => {
            let owners = machine.kernel().owners(network).unwrap();
            format!("owners of {network}\n{}", words.owners(&owners))
        }
        Step::Sweep(owner) => {
            let swept = machine.kernel().sweep(owner).map(|()| Reply::Done);
            format!(
                "sweep {}/{}/{}\n{}",
                owner.network,
                short(&owner.container),
                owner.ifname,
                words.answer(&swept)
            )
        }
        Step::Within(milliseconds) => format!("within {milliseconds} ms\n"),
        Step::WithoutContainer => {
            machine.without_container();
            "without the container\n".into()
        }
        Step::Foreign(what) => {
            machine.foreign(what);
            format!("{what:?}\n")
        }
        Step::Show => show(machine, words),
    }
}

fn short(container: &str) -> &str {
    container.get(..12).unwrap_or(container)
}

fn apply(machine: &mut dyn Machine, words: &mut Words, owner: &Attachment, op: &KernelOp) -> String {
    let asked = words.op(op);
    let op = on_machine(op, machine.extra());
    let answer = machine.kernel().apply(owner, &op);
    format!("{asked}\n{}", words.answer(&sorted(answer)))
}

/// The operation with the numbers that links have on a machine with `extra` devices in each namespace.
fn on_machine(op: &KernelOp, extra: u32) -> KernelOp {
    if extra == 0 {
        return op.clone();
    }
    let mut value = serde_json::to_value(op).unwrap();
    shift(&mut value, extra);
    serde_json::from_value(value).unwrap()
}

fn shift(value: &mut serde_json::Value, extra: u32) {
    match value {
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| shift(item, extra)),
        serde_json::Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                match (key.as_str(), member.as_u64()) {
                    ("index" | "link", Some(number)) if number > 1 => {
                        *member = (number + u64::from(extra)).into();
                    }
                    _ => shift(member, extra),
                }
            }
        }
        _ => {}
    }
}

/// Lists that the kernel keeps in no order.
fn sorted(answer: Result<Reply, Error>) -> Result<Reply, Error> {
    answer.map(|reply| match reply {
        Reply::Neighbours(mut all) => {
            all.sort_by_key(|one| one.address);
            Reply::Neighbours(all)
        }
        Reply::Routes(mut all) => {
            // Those to one destination are in the order that they are looked at.
            all.sort_by_key(|one| (one.dst.is_ipv6(), one.dst.ip(), one.dst.prefix(), one.metric));
            Reply::Routes(all)
        }
        other => other,
    })
}

/// Everything that operations can see.
fn show(machine: &mut dyn Machine, words: &mut Words) -> String {
    let mut text = "everything\n".to_owned();
    let extra = machine.extra();
    let spaces = if machine.has_container() { &[Ns::Host, Ns::Container][..] } else { &[Ns::Host] };
    for ns in spaces {
        let all = ask(machine, &KernelOp::Link(LinkOp::GetAll { ns: *ns })).and_then(Reply::infos).unwrap();
        for info in all.into_iter().filter(|info| info.index == 1 || info.index > extra + 1) {
            text += &words.answer(&Ok(Reply::Info(info.clone())));
            text += &of_link(machine, words, *ns, &info);
        }
        text += &told(words, ask(machine, &KernelOp::Route(RouteOp::GetAll { ns: *ns, table: None })));
    }
    for op in [NatOp::GetMasquerades, NatOp::GetForwards] {
        text += &told(words, ask(machine, &KernelOp::Nat(op)));
    }
    text
}

fn of_link(machine: &mut dyn Machine, words: &mut Words, ns: Ns, info: &Info) -> String {
    let on = Link { ns, index: info.index, name: info.name.clone() };
    let mut ops = vec![
        KernelOp::Address(AddressOp::GetAll { on: on.clone() }),
        KernelOp::Neighbour(NeighbourOp::GetAll { on: on.clone() }),
        KernelOp::Shaping(ShapingOp::GetEgress { on: on.clone() }),
        KernelOp::Shaping(ShapingOp::GetRedirect { on: on.clone() }),
    ];
    if info.master.is_some() {
        ops.push(KernelOp::BridgePort(BridgePortOp::Get { port: on }));
    }
    ops.into_iter().map(|op| told(words, ask(machine, &op))).collect()
}

fn ask(machine: &mut dyn Machine, op: &KernelOp) -> Result<Reply, Error> {
    machine.kernel().apply(&owner(), op)
}

/// Nothing is not told.
fn told(words: &mut Words, answer: Result<Reply, Error>) -> String {
    match sorted(answer) {
        Ok(Reply::Addresses(all)) if all.is_empty() => String::new(),
        Ok(Reply::Neighbours(all)) if all.is_empty() => String::new(),
        Ok(Reply::Routes(all)) if all.is_empty() => String::new(),
        Ok(Reply::Masquerades(all)) if all.is_empty() => String::new(),
        Ok(Reply::Forwards(all)) if all.is_empty() => String::new(),
        Ok(Reply::MaybeRate(None) | Reply::MaybeIndex(None)) => String::new(),
        answer => words.answer(&answer),
    }
}
