use wharf_ops::addresses::AddressOp;
pub(super) mod samples;

use wharf_ops::bridge_ports::{BridgePortOp, VlanRange};
use wharf_ops::conntrack::{ConntrackOp, Family};
use wharf_ops::delegate::{DelegateOp, Verb};
use wharf_ops::filter::FilterOp;
use wharf_ops::leases::LeaseOp;
use wharf_ops::links::{LinkOp, VethEnd};
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::shaping::ShapingOp;
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{ErrorKind, KernelOp, Link, Mac, Ns};

use super::*;
use samples::{forward, link, masquerade, reserve};

pub(super) const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
pub(super) const OTHER: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

fn grant(operations: &str) -> Result<Grant, String> {
    Grant::parse(&format!("digest = {DIGEST:?}\noperations = {operations}"))
}

fn attachment(ifname: &str) -> Attachment {
    Attachment { network: "n".into(), container: "c".into(), ifname: ifname.into() }
}

/// What comes of an operation under these tables, for `eth0`.
fn under(tables: &str, op: impl Into<KernelOp>) -> Result<(), Refusal> {
    ask(tables, &Op::Kernel(op.into()))
}

fn ask(tables: &str, op: &Op) -> Result<(), Refusal> {
    let grant = grant(&format!("[]\n{tables}")).unwrap();
    grant.confine(op, &attachment("eth0"))
}

/// The operation is denied, and these words say why (to the guest) and how to allow it (to the log).
#[track_caller]
fn denied(outcome: Result<(), Refusal>, why: &str, cure: &str) {
    let refusal = outcome.unwrap_err();
    assert!(refusal.to_string().contains(cure), "{refusal}");
    let error = refusal.into_error();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Denied, why));
}

#[test]
fn what_no_line_names_is_denied() {
    let grant = grant(r#"["routes/*", "links/get"]"#).unwrap();
    assert!(grant.allows("routes/add") && grant.allows("links/get"));
    assert!(!grant.allows("links/delete") && !grant.allows("routes") && !grant.allows("leases/open"));
    assert_eq!(grant.missing(&["links/get".into(), "nat/detect".into()]), ["nat/detect"]);
}

#[test]
fn a_file_that_others_may_write_is_no_guest_store() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("g.toml");
    std::fs::write(&file, "operations = []").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let error = Grant::read(folder.path(), "g").unwrap_err().to_string();
    let words =
        "g.toml: others may write it (mode 666), and so it counts for nothing: give it to root with mode 644";
    assert!(error.ends_with(words) && !error.contains("store"), "{error}");
}

#[test]
fn a_slip_is_told_with_what_was_meant() {
    for (operation, says) in [
        ("links/creat-veth", "did you mean \"links/create-veth\"?"),
        ("link/*", "did you mean \"links/*\"?"),
        ("frobnicate", "there are "),
    ] {
        let error = grant(&format!("[{operation:?}]")).unwrap_err();
        assert!(error.contains(says) && error.len() < 300, "{operation}: {error}");
    }
}

#[test]
fn a_sentence_ends_where_the_parsers_does() {
    let error = grant("[]\n[bridge-ports]\nvlans = ['x']").unwrap_err();
    assert!(error.starts_with("line ") && error.ends_with('"'), "{error:?}");
}

#[test]
fn host_only_operations_cannot_be_granted() {
    assert!(grant(r#"["links/*"]"#).unwrap().allows("links/delete"));
    assert!(!grant(r#"["links/*"]"#).unwrap().allows("links/delete-unused-bridge"));
    assert!(grant(r#"["links/delete-unused-bridge"]"#).is_err());
    assert_eq!(Grant::line_for("links/delete-unused-bridge"), None);
    assert_eq!(Grant::line_for("links/get").as_deref(), Some(r#"operations = ["links/get"]"#));
}

#[test]
fn wrong_names_are_errors_that_list_the_right_ones() {
    assert!(grant(r#"["link/get"]"#).unwrap_err().contains("links/get"));
    assert!(grant(r#"["*"]"#).unwrap_err().contains("links/*"));
    for (text, says) in [
        ("tables = 1", &["line 3", "`tables`", "`operations`", "`bridge-ports`"][..]),
        ("[limits]\nmemory = 1", &["line 4", "`memory`", "memory-mib"]),
        ("[links]\nname = []", &["line 4", "`name`", "`names`", "`container-names`"]),
        ("[nat]\nports = []", &["`ports`", "`host-ports`", "`cidrs`"]),
        ("[sysctl]\nkeys = ['/x']", &["line 4", "\"/x\"", "ipv4/conf/*/forwarding"]),
        ("[routes]\ncidrs = [\n'10.1.0.0/8']", &["line 4", "10.0.0.0/8"]),
        ("[nat]\nhost-ports = [0]", &["line 4", "1 to 65535"]),
        ("[links]\nnames = 'x'", &["line 4", "sequence"]),
    ] {
        let error = grant(&format!("[]\n{text}")).unwrap_err();
        assert!(says.iter().all(|word| error.contains(word)), "{text}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
    assert!(Grant::parse("digest = \"sha256:12\"\noperations = []").unwrap_err().contains("64"));
}

#[test]
fn a_suggestion_allows_the_imports_and_nothing_else() {
    let imports = vec!["links/get".to_string(), "routes/add".to_string()];
    for guest in ["bridge", "mine"] {
        let grant = Grant::parse(&suggest(guest, "network", DIGEST, &imports)).unwrap();
        assert!(grant.missing(&imports).is_empty());
        assert!(!grant.allows("links/get-all"));
        assert_eq!(grant.limits, Limits::default());
        assert_eq!(grant.constraint(Key::LinkNames), None, "nothing that it imports needs it");
        assert!(grant.constraint(Key::RouteContainerCidrs).is_some());
    }
}

#[test]
fn a_policy_has_five_seconds_for_each_answer() {
    for world in ["policy", "admission"] {
        let grant = Grant::parse(&fresh("mine", world, DIGEST, &[])).unwrap();
        assert_eq!(grant.limits, Limits { deadline_ms: 5000, ..Limits::default() });
    }
}

#[test]
fn a_suggestion_for_everything_is_a_valid_file() {
    let imports: Vec<String> = OPERATIONS.iter().map(|operation| operation.name.to_string()).collect();
    for guest in ["bridge", "host-local", "loopback", "portmap", "bandwidth", "mine"] {
        let text = fresh(guest, "network", DIGEST, &imports);
        let grant = Grant::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let keys = Key::ALL.into_iter().filter(|key| grant.constraint(*key).is_some()).count();
        assert_eq!(keys, profile::of(guest).len(), "{guest}");
        assert!(guest != "mine" || keys == Key::ALL.len());
    }
}

#[test]
fn an_absent_key_allows_nothing_and_neither_does_an_empty_list() {
    for op in samples::all() {
        let free = claim::claims(&op).is_empty();
        assert_eq!(ask("", &op).is_ok(), free, "{op:?}");
    }
    let up = || LinkOp::SetUp { link: link(Ns::Host, "cni0"), up: true };
    denied(
        under("", KernelOp::Link(up())),
        r#"links/set-up "cni0": the grant has no [links] names"#,
        r#"; `names = ["cni0"]` below `[links]` of its grant would allow it"#,
    );
    denied(
        under("[links]\nnames = []", KernelOp::Link(up())),
        r#"links/set-up "cni0": outside [links] names"#,
        "names = [\"cni0\"]",
    );
}

#[test]
fn links_are_bounded_by_name_and_side() {
    let tables = "[links]\nnames = ['cni0', 'veth*']\ncontainer-names = ['{ifname}']";
    let end = |ns, name: &str| VethEnd { ns, name: name.into(), mtu: None, mac: None, tx_queue_length: None };
    let veth = |a, b| KernelOp::Link(LinkOp::CreateVeth { a, b });
    under(tables, veth(end(Ns::Host, "veth1"), end(Ns::Container, "eth0"))).unwrap();
    denied(
        under(tables, veth(end(Ns::Host, "veth1"), end(Ns::Container, "eth1"))),
        r#"links/create-veth "eth1": outside [links] container-names"#,
        "container-names = [\"eth1\"]",
    );
    denied(
        under(tables, veth(end(Ns::Host, "eth0"), end(Ns::Container, "eth0"))),
        r#"links/create-veth "eth0": outside [links] names"#,
        "`names = [\"eth0\"]`",
    );
    let delete = |link: Link| KernelOp::Link(LinkOp::Delete { link });
    under(tables, delete(link(Ns::Host, "veth9"))).unwrap();
    under(tables, delete(link(Ns::Host, "docker0"))).unwrap_err();
    under(tables, delete(link(Ns::Container, "veth9"))).unwrap_err();
    // Reading is free.
    under(tables, KernelOp::Link(LinkOp::Info { link: link(Ns::Host, "docker0") })).unwrap();
    // Who joins a bridge changes it.
    let join = |master: &str| {
        let (link, master) = (link(Ns::Host, "veth1"), Some(link(Ns::Host, master)));
        KernelOp::Link(LinkOp::SetMaster { link, master })
    };
    under(tables, join("cni0")).unwrap();
    denied(under(tables, join("br1")), r#"links/set-master "br1": outside [links] names"#, "br1");
    let spoof =
        |link: &str| KernelOp::Filter(FilterOp::AntiSpoof { link: link.into(), allowed: Mac::default() });
    under(tables, spoof("veth1")).unwrap();
    under(tables, spoof("eth0")).unwrap_err();
}

#[test]
fn no_glob_lets_an_impossible_name_through() {
    let tables =
        "[links]\nnames = ['*']\n[sysctl]\nkeys = ['*', '*/*', '*/*/*', '*/*/*/*']\n[shaping]\nnames = ['*']";
    for name in
        ["", ".", "..", "a/b", "../x", "a b", "a:b", "a\n", "a\0b", "0123456789abcdef", &"é".repeat(8)]
    {
        for op in [
            KernelOp::Link(LinkOp::SetUp { link: link(Ns::Host, name), up: true }),
            KernelOp::Filter(FilterOp::AntiSpoof { link: name.into(), allowed: Mac::default() }),
            KernelOp::Shaping(ShapingOp::Clear { on: link(Ns::Host, name) }),
        ] {
            let error = under(tables, op).unwrap_err().into_error();
            assert_eq!(error.kind, ErrorKind::Invalid, "{name:?}");
        }
    }
    let long = "x".repeat(256);
    for key in
        ["", "/", "ipv4/../../kernel/core_pattern", "..", "./x", "/etc", "ipv4//x", "a\0", "a b", &long]
    {
        for op in [
            SysctlOp::Read { ns: Ns::Host, key: key.into() },
            SysctlOp::Write { ns: Ns::Host, key: key.into(), value: "1".into() },
        ] {
            let refusal = under(tables, KernelOp::Sysctl(op)).unwrap_err();
            assert!(refusal.to_string().len() < 300, "{refusal}");
            assert_eq!(refusal.into_error().kind, ErrorKind::Invalid, "{key:?}");
        }
    }
}

#[test]
fn addresses_are_bounded_with_their_subnet() {
    let tables = "[links]\nnames = ['*']\ncontainer-names = ['*']\n[addresses]\ncidrs = ['10.0.0.0/8']\ncontainer-cidrs = []";
    let add = |ns, address: &str| {
        KernelOp::Address(AddressOp::Add { on: link(ns, "x"), address: address.parse().unwrap() })
    };
    under(tables, add(Ns::Host, "10.1.0.1/24")).unwrap();
    denied(
        under(tables, add(Ns::Host, "10.1.0.1/4")),
        "addresses/add 10.1.0.1/4: outside [addresses] cidrs",
        "cidrs = [\"0.0.0.0/4\"]",
    );
    under(tables, add(Ns::Host, "192.0.2.1/24")).unwrap_err();
    denied(
        under(tables, add(Ns::Container, "10.1.0.1/24")),
        "addresses/add 10.1.0.1/24: outside [addresses] container-cidrs",
        "`container-cidrs = [\"10.1.0.0/24\"]` below `[addresses]`",
    );
    // The link counts, too.
    let tables = "[addresses]\ncidrs = ['10.0.0.0/8']\n[links]\nnames = ['cni0']";
    denied(
        under(tables, add(Ns::Host, "10.1.0.1/24")),
        r#"addresses/add "x": outside [links] names"#,
        "\"x\"",
    );
}

#[test]
fn routes_are_bounded_by_where_they_lead() {
    let tables = "[routes]\ncidrs = ['10.0.0.0/8']\ncontainer-cidrs = ['10.0.0.0/8', 'default']";
    let add = |ns, dst: &str| KernelOp::Route(RouteOp::Add { ns, route: Route::to(dst.parse().unwrap()) });
    under(tables, add(Ns::Host, "10.2.0.0/16")).unwrap();
    under(tables, add(Ns::Container, "0.0.0.0/0")).unwrap();
    under(tables, add(Ns::Container, "0.0.0.0/1")).unwrap_err();
    under(tables, add(Ns::Host, "0.0.0.0/0")).unwrap_err();
    denied(
        under(tables, add(Ns::Host, "192.0.2.0/24")),
        "routes/add 192.0.2.0/24: outside [routes] cidrs",
        "`cidrs = [\"192.0.2.0/24\"]` below `[routes]` of its grant would allow it",
    );
    let remove = RouteOp::Remove { ns: Ns::Host, route: Route::to("192.0.2.0/24".parse().unwrap()) };
    under(tables, KernelOp::Route(remove)).unwrap_err();
}

#[test]
fn neighbours_are_bounded_by_address() {
    let tables = "[links]\nnames = ['cni0']\n[neighbours]\ncidrs = ['10.1.0.0/24']";
    let set = |address: &str| {
        let (on, address) = (link(Ns::Host, "cni0"), address.parse().unwrap());
        KernelOp::Neighbour(NeighbourOp::Set { on, address, mac: Mac::default() })
    };
    under(tables, set("10.1.0.9")).unwrap();
    denied(under(tables, set("10.2.0.1")), "neighbours/set 10.2.0.1: outside [neighbours] cidrs", "10.2.0.1");
}

#[test]
fn sysctls_are_bounded_by_key_and_side_and_when_read() {
    let tables =
        "[sysctl]\nkeys = ['ipv4/conf/*/forwarding']\ncontainer-keys = ['ipv6/conf/{ifname}/accept_dad']";
    let write = |ns, key: &str| KernelOp::Sysctl(SysctlOp::Write { ns, key: key.into(), value: "1".into() });
    under(tables, write(Ns::Host, "ipv4/conf/cni0/forwarding")).unwrap();
    under(tables, write(Ns::Container, "ipv6/conf/eth0/accept_dad")).unwrap();
    under(tables, write(Ns::Container, "ipv6/conf/eth1/accept_dad")).unwrap_err();
    under(tables, write(Ns::Container, "ipv4/conf/cni0/forwarding")).unwrap_err();
    let read = SysctlOp::Read { ns: Ns::Host, key: "ipv4/tcp_fastopen_key".into() };
    denied(
        under(tables, KernelOp::Sysctl(read)),
        r#"sysctl/read "ipv4/tcp_fastopen_key": outside [sysctl] keys"#,
        "`keys = [\"ipv4/tcp_fastopen_key\"]` below `[sysctl]`",
    );
}

#[test]
fn ports_are_bounded_and_where_they_lead_to() {
    let tables = "[nat]\nhost-ports = ['1024-65535', 80]\ncidrs = ['10.0.0.0/8']";
    let to = |port, address: &str| KernelOp::Nat(forward(port, address));
    under(tables, to(80, "10.1.0.2")).unwrap();
    under(tables, to(1024, "10.1.0.2")).unwrap();
    denied(
        under(tables, to(443, "10.1.0.2")),
        "nat/forward-ports port 443: outside [nat] host-ports",
        "`host-ports = [443]` below `[nat]`",
    );
    denied(
        under(tables, to(80, "127.0.0.1")),
        "nat/forward-ports 127.0.0.1: outside [nat] cidrs",
        "127.0.0.1",
    );
    under(tables, KernelOp::Nat(masquerade("10.1.0.2"))).unwrap();
    under(tables, KernelOp::Nat(masquerade("192.0.2.1"))).unwrap_err();
    let flush = |port| KernelOp::Conntrack(ConntrackOp::FlushUdp { family: Family::Ipv4, port });
    under(tables, flush(8080)).unwrap();
    denied(under(tables, flush(53)), "conntrack/flush-udp port 53: outside [nat] host-ports", "[53]");
}

#[test]
fn shaping_has_names_of_its_own_for_both_links() {
    let tables = "[shaping]\nnames = ['veth*', 'bwp*']";
    let redirect = |on: &str, to: &str| {
        let (on, to) = (link(Ns::Host, on), link(Ns::Host, to));
        KernelOp::Shaping(ShapingOp::RedirectIngress { on, to })
    };
    under(tables, redirect("veth1", "bwp1")).unwrap();
    under(tables, redirect("eth0", "bwp1")).unwrap_err();
    denied(
        under(tables, redirect("veth1", "eth0")),
        r#"shaping/redirect-ingress "eth0": outside [shaping] names"#,
        "eth0",
    );
    let delete = LinkOp::Delete { link: link(Ns::Host, "veth1") };
    under(tables, KernelOp::Link(delete)).unwrap_err();
}

#[test]
fn vlans_are_bounded_where_they_are_given() {
    let tables = "[links]\nnames = ['*']\n[bridge-ports]\nvlans = ['100-199']";
    let range = |first, last| VlanRange { first, last, pvid: false, untagged: false };
    let add = |first, last| {
        KernelOp::BridgePort(BridgePortOp::AddVlan { port: link(Ns::Host, "v"), range: range(first, last) })
    };
    under(tables, add(100, 199)).unwrap();
    denied(
        under(tables, add(99, 100)),
        "bridge-ports/add-vlan VLAN 99-100: outside [bridge-ports] vlans",
        "vlans",
    );
    let remove = BridgePortOp::RemoveVlan { port: link(Ns::Host, "v"), range: range(1, 1) };
    under(tables, KernelOp::BridgePort(remove)).unwrap();
}

#[test]
fn leases_are_bounded_as_whole_ranges() {
    let tables = "[leases]\ncidrs = ['10.1.0.0/24']";
    let next = |first: &str, last: &str| Op::Lease(reserve(first, last));
    ask(tables, &next("10.1.0.2", "10.1.0.254")).unwrap();
    denied(
        ask(tables, &next("10.1.0.2", "10.1.1.254")),
        "leases/reserve-next 10.1.0.2 to 10.1.1.254: outside [leases] cidrs",
        "cidrs = [\"10.1.0.0/23\"]",
    );
    ask(tables, &Op::Lease(LeaseOp::GetAll { pool: 1 })).unwrap();
}

#[test]
fn delegates_are_bounded_by_name() {
    let tables = "[delegate]\nplugins = ['host-*']";
    let run = |plugin: &str| {
        Op::Delegate(DelegateOp { verb: Verb::Del, plugin: plugin.into(), config: "{}".into() })
    };
    ask(tables, &run("host-local")).unwrap();
    denied(
        ask(tables, &run("dhcp")),
        r#"delegate/del "dhcp": outside [delegate] plugins"#,
        "`plugins = [\"dhcp\"]` below `[delegate]`",
    );
    denied(
        ask(tables, &run("../sh")),
        r#"delegate/del "../sh": outside [delegate] plugins"#,
        "no grant would allow it: it is not the name of a plugin",
    );
    let long = ask(tables, &run(&"x".repeat(1 << 20))).unwrap_err();
    assert!(long.to_string().len() < 400);
}

#[test]
fn a_call_without_an_interface_matches_no_ifname() {
    let grant = grant("[]\n[links]\ncontainer-names = ['{ifname}']").unwrap();
    let op = Op::Kernel(KernelOp::Link(LinkOp::SetUp { link: link(Ns::Container, "eth0"), up: true }));
    grant.confine(&op, &attachment("eth0")).unwrap();
    grant.confine(&op, &attachment("")).unwrap_err();
}

#[test]
fn a_grant_is_for_one_component_and_all_that_it_imports() {
    let directory = tempfile::tempdir().unwrap();
    let paths = Paths::below(directory.path());
    std::fs::create_dir_all(paths.grants()).unwrap();
    let write = |text: &str| std::fs::write(paths.grants().join("g.toml"), text).unwrap();
    let manifest = Manifest {
        name: "g".into(),
        digest: DIGEST.into(),
        artefact: String::new(),
        world: "network".into(),
        imports: vec!["links/get".into(), "routes/add".into(), "nat/detect".into()],
        size: 1,
        seen: None,
    };
    let read = || Grant::read_for(&paths, &manifest).map_err(|error| error.to_string());
    assert!(read().unwrap_err().contains("g.toml is missing"));
    write(&format!("digest = {OTHER:?}\noperations = []"));
    let error = read().unwrap_err();
    assert!(["g.toml", OTHER, DIGEST, "wharfctl install"].iter().all(|word| error.contains(word)), "{error}");
    write(&format!("digest = {DIGEST:?}\noperations = ['links/get']"));
    let error = read().unwrap_err();
    assert!(
        error.ends_with(r#"g.toml grants; add to its operations: "routes/add", "nat/detect","#),
        "{error}"
    );
    write(&format!("digest = {DIGEST:?}\noperations = ['*/*']"));
    let error = read().unwrap_err();
    assert!(error.contains("g.toml: operations: \"*/*\" names no operation"), "{error}");
    write(&suggest("g", "network", DIGEST, &manifest.imports));
    let parsed = read().unwrap();
    assert_eq!(read().unwrap(), parsed, "from memory");
    assert!(paths.remembered_grants().join("g").exists());
}

#[test]
fn a_limit_of_nothing_is_refused() {
    let read = |limit: &str| {
        Grant::parse(&format!("digest = {DIGEST:?}\noperations = []\n[limits]\n{limit}\n"))
            .map(|grant| grant.limits)
    };
    for limit in ["deadline-ms", "memory-mib", "operations"] {
        let error = read(&format!("{limit} = 0")).unwrap_err();
        assert!(error.starts_with(&format!("limits.{limit} = 0 would end every call: write 1")), "{error}");
        assert!(read(&format!("{limit} = 1")).is_ok(), "{limit}");
    }
    assert_eq!(read("log-bytes = 0").unwrap().log_bytes, 0, "to log nothing is no reason to end");
}
