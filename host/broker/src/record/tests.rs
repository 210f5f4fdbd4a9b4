use std::path::Path;
use std::time::{Duration, SystemTime};

use wharf_ops::addresses::AddressOp;
use wharf_ops::bridge_ports::{BridgePortOp, VlanRange};
use wharf_ops::call::{Interface, NetworkResult};
use wharf_ops::filter::FilterOp;
use wharf_ops::links::{Common, LinkOp, VethEnd};
use wharf_ops::nat::{Backend, ForwardOptions, MasqueradeRule, NatOp, PortForward, Protocol};
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::shaping::Rate;
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{Attachment, KernelOp, Link, Mac, Ns};

use super::compare::{holds, is_route};
use super::excuse::Excuses;
use super::expected::Expected;
use super::statement::{Key, Named, Statement, Value};
use super::{Difference, firewall};
use crate::journal::{Begin, Commit, Effect, Key as JournalKey, Listed, Outcome, Record, Step, Transaction};

fn attachment(container: &str) -> Attachment {
    Attachment { network: "n".into(), container: container.into(), ifname: "eth0".into() }
}

/// A committed ADD with these operations.
fn record(container: &str, steps: Vec<(KernelOp, Outcome)>) -> Record {
    let key = JournalKey { attachment: attachment(container), entry: "bridge".into() };
    let mut transaction = Transaction::new(Begin::of_test(&key));
    for (seq, (op, outcome)) in (0..).zip(steps) {
        let effect = Effect::Kernel { op, undo: Vec::new() };
        transaction.steps.push(Step { seq, guest: "bridge".into(), effect, outcome });
    }
    transaction.commit = Some(Commit { time: 5, result: NetworkResult::default() });
    Record { transactions: vec![transaction], damage: None }
}

fn done(ops: impl IntoIterator<Item = KernelOp>) -> Record {
    record("c", ops.into_iter().map(|op| (op, Outcome::Done)).collect())
}

fn link(ns: Ns, index: u32, name: &str) -> Link {
    Link { ns, index, name: name.into() }
}

fn eth0() -> Link {
    link(Ns::Container, 2, "eth0")
}

fn veth() -> (KernelOp, Outcome) {
    let end =
        |ns, name: &str| VethEnd { ns, name: name.into(), mtu: Some(1400), mac: None, tx_queue_length: None };
    let op = LinkOp::CreateVeth { a: end(Ns::Host, "veth1"), b: end(Ns::Container, "eth0") };
    (KernelOp::Link(op), Outcome::Created(vec![link(Ns::Host, 9, "veth1"), eth0()]))
}

fn route(text: &str) -> Route {
    Route { gateway: Some("10.0.0.1".parse().unwrap()), ..Route::to(text.parse().unwrap()) }
}

#[test]
fn later_operations_overwrite_earlier_ones() {
    let link = || link(Ns::Host, 9, "veth1");
    let expected = Expected::of(&done([
        KernelOp::Link(LinkOp::SetMtu { link: link(), mtu: 1500 }),
        KernelOp::Link(LinkOp::SetMtu { link: link(), mtu: 1400 }),
        KernelOp::Address(AddressOp::Add { on: eth0(), address: "10.0.0.2/24".parse().unwrap() }),
        KernelOp::Address(AddressOp::Remove { on: eth0(), address: "10.0.0.2/24".parse().unwrap() }),
        KernelOp::Route(RouteOp::Add { ns: Ns::Container, route: route("0.0.0.0/0") }),
        KernelOp::Route(RouteOp::Remove {
            ns: Ns::Container,
            route: Route::to("0.0.0.0/0".parse().unwrap()),
        }),
    ]));
    let named = Named::from(&link());
    assert_eq!(expected.get(&Key::Mtu(named.clone())), Some(&Value::Number(1400)));
    assert_eq!(
        expected.get(&Key::Link(named)),
        Some(&Value::Link { kind: None, index: None }),
        "it must be there"
    );
    let address = Key::Address((&eth0()).into(), "10.0.0.2/24".parse().unwrap());
    assert_eq!(expected.get(&address), Some(&Value::Absent));
    assert_eq!(expected.get(&Key::Route(Ns::Container, route("0.0.0.0/0"))), Some(&Value::Absent));
}

#[test]
fn only_what_succeeded_and_was_committed_is_expected() {
    let write = |value: &str| {
        KernelOp::Sysctl(SysctlOp::Write { ns: Ns::Host, key: "ipv4/ip_forward".into(), value: value.into() })
    };
    let mut record = record("c", vec![(write("1"), Outcome::AlreadySo), (write("2"), Outcome::Nothing)]);
    let key = Key::Sysctl(Ns::Host, "ipv4/ip_forward".into());
    assert_eq!(Expected::of(&record).get(&key), Some(&Value::Text("1".into())));
    record.transactions[0].commit = None;
    assert!(Expected::of(&record).statements.is_empty());
    record.transactions[0].commit = Some(Commit { time: 5, result: NetworkResult::default() });
    record.transactions[0].begin.boot = "another".into();
    assert!(Expected::of(&record).statements.is_empty(), "a boot forgets what the kernel had");
}

#[test]
fn a_link_that_was_created_is_known_by_its_index_and_its_address_by_the_result() {
    let mut record = record("c", vec![veth()]);
    let mac: Mac = "02:00:00:00:00:01".parse().unwrap();
    let interface = Interface {
        name: "eth0".into(),
        mac: Some(mac),
        mtu: None,
        sandbox: Some("/netns".into()),
        socket_path: None,
        pci_id: None,
    };
    record.transactions[0].commit.as_mut().unwrap().result.interfaces.push(interface);
    let expected = Expected::of(&record);
    let inner = Named::from(&eth0());
    assert!(expected.created(&inner));
    assert_eq!(expected.get(&Key::Mac(inner.clone())), Some(&Value::Mac(mac)));
    assert_eq!(expected.get(&Key::Mtu(inner)), Some(&Value::Number(1400)));
    let peer = Key::Peer(Named::new(Ns::Host, "veth1"), Ns::Container);
    assert_eq!(expected.get(&peer), Some(&Value::Name("eth0".into())));
}

#[test]
fn a_bridge_of_somebody_else_only_has_to_be_there() {
    let common = Common { name: "br0".into(), mtu: Some(1400), mac: Some(Mac([2, 0, 0, 0, 0, 1])) };
    let op = KernelOp::Link(LinkOp::EnsureBridge { ns: Ns::Host, common, vlan_filtering: false });
    let named = Named::new(Ns::Host, "br0");
    let theirs = Expected::of(&record("c", vec![(op.clone(), Outcome::AlreadySo)]));
    let address = Key::Mac(named.clone());
    assert_eq!(theirs.get(&address), None);
    assert!(!theirs.created(&named));
    let own = Expected::of(&record("c", vec![(op, Outcome::Created(vec![link(Ns::Host, 3, "br0")]))]));
    assert_eq!(own.get(&address), Some(&Value::Mac(Mac([2, 0, 0, 0, 0, 1]))));
    assert_eq!(own.get(&Key::Mtu(named.clone())), None, "it follows the ports");
    assert!(!own.created(&named), "it is shared, whoever made it");
}

#[test]
fn vlans_add_up() {
    let port = || link(Ns::Host, 9, "veth1");
    let range = |first, last, pvid| VlanRange { first, last, pvid, untagged: pvid };
    let expected = Expected::of(&done([
        KernelOp::BridgePort(BridgePortOp::AddVlan { port: port(), range: range(1, 1, true) }),
        KernelOp::BridgePort(BridgePortOp::AddVlan { port: port(), range: range(10, 12, false) }),
        KernelOp::BridgePort(BridgePortOp::RemoveVlan { port: port(), range: range(1, 1, false) }),
        KernelOp::BridgePort(BridgePortOp::AddVlan { port: port(), range: range(20, 20, true) }),
    ]));
    let named = Named::from(&port());
    let vlans = expected.get(&Key::Vlans(named.clone())).unwrap();
    assert_eq!(vlans.to_string(), "10-12, 20 untagged");
    assert_eq!(expected.get(&Key::Pvid(named)), Some(&Value::Number(20)));
    let more = Value::Vlans([(10, false), (11, false), (12, false), (20, true), (30, false)].into());
    assert!(holds(vlans, &more), "another plugin may add some");
    assert!(!holds(vlans, &Value::Vlans([(10, false), (11, false), (20, true)].into())));
}

fn forward(host: Option<&str>, port: u16) -> PortForward {
    PortForward {
        protocol: Protocol::Tcp,
        host_address: host.map(|host| host.parse().unwrap()),
        host_port: port,
        container_address: "10.0.0.2".parse().unwrap(),
        container_port: 80,
    }
}

fn forwards(rules: Vec<PortForward>, backend: Backend) -> KernelOp {
    let options = ForwardOptions {
        backend,
        snat: true,
        masquerade_all: false,
        subnets: Vec::new(),
        mark_bit: 13,
        external_mark_chain: None,
        conditions_v4: Vec::new(),
        conditions_v6: Vec::new(),
    };
    KernelOp::Nat(NatOp::ForwardPorts { rules, options })
}

#[test]
fn a_call_about_rules_replaces_all_of_its_kind() {
    let masquerade = |source: &str| {
        let except = vec!["10.0.0.7/24".parse().unwrap()];
        let rules = vec![MasqueradeRule { source: source.parse().unwrap(), except }];
        KernelOp::Nat(NatOp::Masquerade { rules, backend: Backend::Automatic })
    };
    let guard = |link: &str| {
        KernelOp::Filter(FilterOp::AntiSpoof { link: link.into(), allowed: Mac([2, 0, 0, 0, 0, 1]) })
    };
    let record = done([
        masquerade("10.0.0.9"),
        forwards(vec![forward(None, 1), forward(Some("0.0.0.0"), 2)], Backend::Automatic),
        guard("a"),
        masquerade("10.0.0.2"),
        forwards(vec![forward(Some("0.0.0.0"), 2)], Backend::Iptables),
        guard("b"),
        guard("a"),
    ]);
    let expected = Expected::of(&record);
    let masquerade = |source: &str| expected.get(&Key::Masquerade(source.parse().unwrap())).unwrap();
    assert_eq!(masquerade("10.0.0.9"), &Value::Absent);
    assert_eq!(masquerade("10.0.0.2"), &Value::Except(vec!["10.0.0.0/24".parse().unwrap()]));
    let port = |port| Key::Forward { protocol: Protocol::Tcp, host: None, port, v6: false };
    assert_eq!(expected.get(&port(1)), Some(&Value::Absent));
    assert_eq!(expected.get(&port(2)), Some(&Value::To("10.0.0.2".parse().unwrap(), 80)));

    let operations = firewall::operations(&record);
    let names: Vec<_> = operations.iter().map(|op| op.operation().name).collect();
    assert_eq!(names, ["nat/masquerade", "nat/forward-ports", "filter/anti-spoof", "filter/anti-spoof"]);
    assert_eq!(operations.iter().filter(|op| firewall::is_iptables(op)).count(), 1);
}

#[test]
fn every_field_of_a_route_that_was_said_must_hold() {
    let said = Route { mtu: Some(1300), metric: Some(0), ..route("10.9.0.7/16") };
    let found = Route {
        dst: "10.9.0.0/16".parse().unwrap(),
        link: Some(2),
        table: Some(254),
        scope: Some(0),
        ..said.clone()
    };
    let found = Route { metric: None, ..found };
    assert!(is_route(&said, &found), "the kernel chose the rest");
    assert!(!is_route(&said, &Route { mtu: None, ..found.clone() }));
    assert!(!is_route(&said, &Route { gateway: None, ..found.clone() }));
    assert!(!is_route(&Route { table: Some(7), ..said.clone() }, &found));
    assert!(!is_route(&Route { scope: Some(253), ..said }, &found));
}

#[test]
fn a_rate_is_what_the_kernel_can_keep_of_it() {
    let rate =
        |bits_per_second, burst_bits| Value::Rate(Rate { bits_per_second, burst_bits, latency_ms: 25 });
    assert!(holds(&rate(8_000_001, 800_000), &rate(8_000_000, 800_008)));
    assert!(!holds(&rate(8_000_000, 800_000), &rate(8_000_000, 900_000)));
    assert!(!holds(&rate(8_000_000, 800_000), &rate(16_000_000, 800_000)));
}

fn listed(name: &str, record: Record, seconds: u64) -> Listed {
    let modified = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    Listed { name: name.into(), record, busy: false, modified }
}

fn differs(key: Key, expected: Value, found: Value) -> Difference {
    Difference { statement: Statement { key, value: expected, operation: "links/set-mtu" }, found }
}

#[test]
fn the_newest_record_of_an_attachment_wins() {
    let port = || link(Ns::Host, 9, "veth1");
    let mtu = |mtu| KernelOp::Link(LinkOp::SetMtu { link: port(), mtu });
    let all = [listed("bridge", done([mtu(1500)]), 1), listed("tuning", done([mtu(1400)]), 2)];
    let difference =
        |expected, found| differs(Key::Mtu((&port()).into()), Value::Number(expected), Value::Number(found));
    let own = Expected::of(&all[0].record);
    let bridge = Excuses::of(&all, Path::new("/x/bridge"), &attachment("c"), &own, None);
    assert!(bridge.cover(&difference(1500, 1400)), "the plugin behind it");
    assert!(!bridge.cover(&difference(1500, 1300)));
    let own = Expected::of(&all[1].record);
    let tuning = Excuses::of(&all, Path::new("/x/tuning"), &attachment("c"), &own, None);
    assert!(!tuning.cover(&difference(1400, 1500)), "the plugin before it");
}

#[test]
fn other_attachments_may_change_what_is_shared_and_nothing_else() {
    let address = "10.0.0.1/24".parse().unwrap();
    let theirs = |on: Link| {
        let remove = KernelOp::Address(AddressOp::Remove { on, address });
        record("other", vec![(remove, Outcome::Done)])
    };
    let bridge = || link(Ns::Host, 3, "br0");
    let own = Expected::of(&record("c", vec![veth()]));
    let missing = |on: &Link| differs(Key::Address(on.into(), address), Value::Present, Value::Absent);
    for (on, excused) in [(bridge(), true), (link(Ns::Host, 9, "veth1"), false), (eth0(), false)] {
        let all = [listed("own", record("c", vec![veth()]), 1), listed("other", theirs(on.clone()), 2)];
        let excuses = Excuses::of(&all, Path::new("/x/own"), &attachment("c"), &own, None);
        assert_eq!(excuses.cover(&missing(&on)), excused, "{on:?}");
    }
}

#[test]
fn what_plugins_without_a_record_do_to_the_container_is_none() {
    let own = Expected::default();
    let excuses = Excuses::of(&[], Path::new("/x/own"), &attachment("c"), &own, None);
    let sysctl = |ns, key: &str| differs(Key::Sysctl(ns, key.into()), text("0"), text("1"));
    assert!(excuses.cover(&sysctl(Ns::Container, "ipv6/conf/eth0/accept_dad")), "tuning");
    for difference in [
        sysctl(Ns::Host, "ipv6/conf/veth1/accept_dad"),
        sysctl(Ns::Container, "ipv6/conf/all/accept_dad"),
        sysctl(Ns::Container, "ipv4/ip_forward"),
        differs(Key::Sysctl(Ns::Container, "ipv4/conf/eth0/arp_notify".into()), text("1"), Value::Absent),
    ] {
        assert!(!excuses.cover(&difference), "{difference}");
    }

    let said = Route { link: Some(2), mtu: Some(1300), ..route("10.9.0.0/16") };
    let found = Route { table: Some(100), scope: Some(0), ..said.clone() };
    let moved = |ns, found| differs(Key::Route(ns, said.clone()), Value::Present, found);
    assert!(excuses.cover(&moved(Ns::Container, Value::Route(found.clone()))), "sbr");
    let other = Route { mtu: None, ..found.clone() };
    for difference in [
        moved(Ns::Host, Value::Route(found)),
        moved(Ns::Container, Value::Route(other)),
        moved(Ns::Container, Value::Absent),
    ] {
        assert!(!excuses.cover(&difference), "{difference}");
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn a_difference_names_what_where_expected_and_found() {
    let difference = differs(Key::Mtu((&eth0()).into()), Value::Number(1400), Value::Number(1500));
    assert_eq!(difference.to_string(), r#"MTU of link "eth0" in the container: expected 1400, found 1500"#);
    let error = super::error(&[difference]);
    assert_eq!((error.code, error.details.as_deref()), (101, Some("fault: host; operation: links/set-mtu")));
}
