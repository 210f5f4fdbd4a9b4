//! What a guest hears, asks and answers arrives unchanged.

use std::net::IpAddr;

use wharf_ops::addresses::AddressOp;
use wharf_ops::bridge_ports::BridgePortOp;
use wharf_ops::call::{
    Answer, Call, CniError, Dns, Failure, Interface, IpConfig, Metadata, NetworkResult, Request, ResultRoute,
};
use wharf_ops::delegate::{DelegateOp, Verb};
use wharf_ops::leases::{Lease, LeaseOp, LeaseOwner};
use wharf_ops::links::{Common, Info, LinkOp, VethEnd};
use wharf_ops::logging::Level;
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::{Error, ErrorKind, KernelOp, Link, Ns, Op, Reply};
use wharf_sandbox::Ended;

use crate::Guests;
use crate::support::{Job, add, job, nothing, request, run};

crate::tests![
    describe,
    a_request_arrives_whole,
    operations_arrive_in_order,
    an_error_of_the_broker_reaches_the_guest,
    an_error_of_the_guest_reaches_the_broker,
    a_wrong_argument_is_refused_before_it_is_sent,
    namespaces_are_lent_and_told_apart,
    del_lends_a_container_only_if_there_is_one,
    status_and_gc,
    log_lines_carry_their_fields_and_level,
    a_delegate_answers_or_refuses,
    leases_and_the_pools_end,
];

fn describe(guests: &Guests) {
    let report = run(&job(&guests.probe, &Call::Describe), nothing);
    let capabilities = vec!["mac".into(), "ips".into()];
    let metadata = Metadata { name: "probe".into(), version: "0.0.0".into(), capabilities };
    assert_eq!(report.answer(), &Answer::Metadata(metadata));
    assert_eq!(report.ended, Ended::Exited(0));
    assert!(report.timings.load > 0 && report.timings.instantiate > 0, "{:?}", report.timings);
}

fn full_result() -> NetworkResult {
    NetworkResult {
        interfaces: vec![Interface {
            name: "eth0".into(),
            mac: Some("02:42:ac:11:00:02".parse().unwrap()),
            mtu: Some(1400),
            sandbox: Some("/run/netns/x".into()),
            socket_path: Some("/run/x.sock".into()),
            pci_id: Some("0000:00:1f.6".into()),
        }],
        ips: vec![IpConfig {
            address: "2001:db8::2/64".parse().unwrap(),
            gateway: Some("2001:db8::1".parse().unwrap()),
            interface: Some(0),
        }],
        routes: vec![ResultRoute {
            dst: "10.0.0.0/8".parse().unwrap(),
            gw: Some("10.1.2.1".parse().unwrap()),
            mtu: Some(1),
            advmss: Some(2),
            priority: Some(3),
            table: Some(4),
            scope: Some(5),
        }],
        dns: Dns {
            nameservers: vec!["192.0.2.53".into()],
            domain: Some("example.org".into()),
            search: vec!["a".into(), "b".into()],
            options: vec!["ndots:5".into()],
        },
    }
}

fn a_request_arrives_whole(guests: &Guests) {
    let call = Call::Add(Request { previous: Some(full_result()), ..request("echo") });
    let report = run(&job(&guests.probe, &call), nothing);
    let mut expected = full_result();
    expected.interfaces.push(Interface { name: "net/ctr/eth0".into(), ..Interface::default() });
    expected.interfaces.push(Interface {
        name: "[(\"K\", \"V\")]".into(),
        sandbox: Some("/run/netns/x".into()),
        ..Interface::default()
    });
    assert_eq!(report.answer(), &Answer::Result(expected));
}

fn link(ns: Ns, index: u32, name: &str) -> Link {
    Link { ns, index, name: name.into() }
}

fn operations_arrive_in_order(guests: &Guests) {
    let (bridge, outer) = (link(Ns::Host, 3, "cni0"), link(Ns::Host, 4, "veth0"));
    let inner = link(Ns::Container, 2, "eth0");
    let report = run(&job(&guests.probe, &add("attach")), |op| {
        let Op::Kernel(op) = op else { panic!("{op:?}") };
        Ok(match op {
            KernelOp::Link(LinkOp::EnsureBridge { .. }) => Reply::Bridge(bridge.clone(), true),
            KernelOp::Link(LinkOp::CreateVeth { .. }) => Reply::Pair(outer.clone(), inner.clone()),
            KernelOp::Link(LinkOp::Info { link }) => Reply::Info(Info {
                index: link.index,
                name: link.name.clone(),
                kind: "veth".into(),
                mac: Some("02:00:00:00:00:01".parse().unwrap()),
                mtu: 1400,
                up: true,
                operational: true,
                promiscuous: false,
                master: None,
                peer: Some(4),
                alias: None,
            }),
            _ => Reply::Done,
        })
    });
    let end = |ns, name: &str| VethEnd { ns, name: name.into(), mtu: None, mac: None, tx_queue_length: None };
    let dst = "0.0.0.0/0".parse().unwrap();
    let gateway: IpAddr = "10.1.2.1".parse().unwrap();
    let expected = [
        KernelOp::Link(LinkOp::EnsureBridge {
            ns: Ns::Host,
            common: Common { name: "cni0".into(), mtu: Some(1400), mac: None },
            vlan_filtering: false,
        }),
        KernelOp::Link(LinkOp::CreateVeth { a: end(Ns::Host, "veth0"), b: end(Ns::Container, "eth0") }),
        KernelOp::Link(LinkOp::SetMaster { link: outer.clone(), master: Some(bridge) }),
        KernelOp::BridgePort(BridgePortOp::SetHairpin { port: outer.clone(), on: true }),
        KernelOp::Address(AddressOp::Add { on: inner.clone(), address: "10.1.2.3/24".parse().unwrap() }),
        KernelOp::Link(LinkOp::SetUp { link: inner.clone(), up: true }),
        KernelOp::Link(LinkOp::Info { link: inner }),
        KernelOp::Route(RouteOp::Add {
            ns: Ns::Container,
            route: Route { gateway: Some(gateway), link: Some(2), ..Route::to(dst) },
        }),
        KernelOp::Link(LinkOp::Delete { link: outer }),
    ];
    assert_eq!(report.ops, expected.map(Op::Kernel));
    let Answer::Result(result) = report.answer() else { panic!("{report:?}") };
    assert_eq!(result.interfaces[0].mtu, Some(1400));
    assert_eq!(result.ips[0].address, "10.1.2.3/24".parse().unwrap());
}

fn an_error_of_the_broker_reaches_the_guest(guests: &Guests) {
    let report = run(&job(&guests.probe, &add("operations 1")), |op| {
        let operation = op.operation().name.into();
        Err(Error { kind: ErrorKind::Denied, errno: Some(1), operation, message: "not you".into() })
    });
    let details = Some("Kind::Denied Some(1) sysctl/read".into());
    let error = CniError { code: 110, msg: "not you".into(), details };
    assert_eq!(report.failure(), &Failure::Guest(error));
}

fn an_error_of_the_guest_reaches_the_broker(guests: &Guests) {
    let report = run(&job(&guests.probe, &add("refuse")), nothing);
    let error = CniError { code: 100, msg: "no".into(), details: Some("because".into()) };
    assert_eq!(report.failure(), &Failure::Guest(error));
    assert_eq!(report.ended, Ended::Exited(0));
}

fn a_wrong_argument_is_refused_before_it_is_sent(guests: &Guests) {
    let report =
        run(&job(&guests.probe, &add("prefix")), |_| Ok(Reply::MaybeLink(Some(link(Ns::Host, 1, "lo")))));
    let Failure::Guest(error) = report.failure() else { panic!("{report:?}") };
    assert_eq!(error.msg, "10.0.0.1/33: the prefix must be 0 to 32");
    assert_eq!(error.details.as_deref(), Some("Kind::Invalid None addresses/add"));
    assert_eq!(report.ops.len(), 1, "only the lookup of the link");
}

fn namespaces_are_lent_and_told_apart(guests: &Guests) {
    let report = run(&job(&guests.probe, &Call::Check(request(""))), nothing);
    let Failure::Guest(error) = report.failure() else { panic!("{report:?}") };
    assert_eq!(error.msg, "host and container");
}

fn del_lends_a_container_only_if_there_is_one(guests: &Guests) {
    let call = Call::Del(request(""));
    let report = run(&job(&guests.probe, &call), nothing);
    let Failure::Guest(error) = report.failure() else { panic!("{report:?}") };
    assert_eq!((error.code, error.msg.as_str()), (102, "container"));
    let report = run(&Job { container_present: false, ..job(&guests.probe, &call) }, nothing);
    assert_eq!(report.answer(), &Answer::Done);
}

fn status_and_gc(guests: &Guests) {
    let report = run(&job(&guests.probe, &Call::Status { config: String::new() }), nothing);
    assert_eq!(report.answer(), &Answer::Done);
    let report = run(&job(&guests.probe, &Call::Status { config: "full".into() }), nothing);
    assert_eq!(report.failure(), &Failure::Guest(CniError { code: 50, msg: "full".into(), details: None }));
    let valid = vec![("a".into(), "eth0".into())];
    let report = run(&job(&guests.probe, &Call::Gc { config: String::new(), valid }), nothing);
    let Failure::Guest(error) = report.failure() else { panic!("{report:?}") };
    assert_eq!(error.msg, "[(\"a\", \"eth0\")]");
}

fn log_lines_carry_their_fields_and_level(guests: &Guests) {
    let call = add("log 2");
    let report = run(&job(&guests.probe, &call), nothing);
    let Answer::Result(result) = report.answer() else { panic!("{report:?}") };
    assert_eq!(result.interfaces[0].name, "false", "trace is below the level of the job");
    assert_eq!(report.logs.len(), 2, "{:?}", report.logs);
    assert_eq!(report.logs[1].message, "line 1");
    assert_eq!(report.logs[1].fields, [("key".to_owned(), "value".to_owned())]);
    let report = run(&Job { log_level: Level::Trace, ..job(&guests.probe, &call) }, nothing);
    assert_eq!(report.logs.len(), 3);
    let report = run(&Job { log_level: Level::Error, ..job(&guests.probe, &call) }, nothing);
    assert_eq!(report.logs.len(), 0);
}

fn a_delegate_answers_or_refuses(guests: &Guests) {
    let call = add("delegate");
    let report = run(&job(&guests.probe, &call), |_| Ok(Reply::Result(full_result())));
    assert_eq!(report.answer(), &Answer::Result(full_result()));
    let delegate = DelegateOp { verb: Verb::Add, plugin: "host-local".into(), config: "{}".into() };
    assert_eq!(report.ops, [Op::Delegate(delegate)]);
    let refused = CniError { code: 11, msg: "later".into(), details: None };
    let report = run(&job(&guests.probe, &call), |_| Ok(Reply::Refused(refused.clone())));
    assert_eq!(report.failure(), &Failure::Guest(refused.clone()));
    let report = run(&job(&guests.probe, &call), |_| Err(Error::new(ErrorKind::Denied, "not granted")));
    let Failure::Guest(error) = report.failure() else { panic!("{report:?}") };
    assert_eq!((error.code, error.msg.as_str()), (900, "not granted"));
}

fn leases_and_the_pools_end(guests: &Guests) {
    let owner = LeaseOwner { container: "ctr".into(), ifname: "eth0".into() };
    let five: IpAddr = "10.0.0.5".parse().unwrap();
    let broker = |op: &Op| {
        let Op::Lease(op) = op else { panic!("{op:?}") };
        Ok(match op {
            LeaseOp::Open { .. } => Reply::Pool(7),
            LeaseOp::TryReserve { .. } => Reply::Flag(false),
            LeaseOp::ReserveNext { .. } => Reply::MaybeAddress(Some(five)),
            LeaseOp::Release { .. } => Reply::Count(Some(2)),
            LeaseOp::Find { .. } => Reply::Hosts(vec![five]),
            LeaseOp::GetAll { .. } => Reply::Leases(vec![Lease { address: five, owner: owner.clone() }]),
            LeaseOp::LastReserved { .. } => Reply::MaybeAddress(None),
            LeaseOp::ReadResolvConf { .. } => Reply::Text("nameserver 192.0.2.53".into()),
            LeaseOp::Close { .. } | LeaseOp::SetLastReserved { .. } => Reply::Done,
        })
    };
    let report = run(&job(&guests.pool, &add("")), broker);
    let Answer::Result(result) = report.answer() else { panic!("{report:?}") };
    assert_eq!(result.ips[0].address, "10.0.0.5/24".parse().unwrap());
    let first: IpAddr = "10.0.0.1".parse().unwrap();
    let expected = [
        LeaseOp::Open { directory: Some("/var/lib/pool".into()) },
        LeaseOp::LastReserved { pool: 7, set: 0 },
        LeaseOp::ReserveNext {
            pool: 7,
            first,
            last: "10.0.0.9".parse().unwrap(),
            after: None,
            skip: vec![first],
            owner: owner.clone(),
        },
        LeaseOp::SetLastReserved { pool: 7, set: 0, address: five },
        LeaseOp::TryReserve { pool: 7, address: five, owner: owner.clone() },
        LeaseOp::Find { pool: 7, owner: owner.clone() },
        LeaseOp::GetAll { pool: 7 },
        LeaseOp::Close { pool: 7 },
        LeaseOp::ReadResolvConf { path: "/etc/resolv.conf".into() },
    ];
    assert_eq!(report.ops, expected.map(Op::Lease));
    let report = run(&job(&guests.pool, &Call::Del(request(""))), broker);
    assert_eq!(report.answer(), &Answer::Done);
    assert_eq!(report.ops.last(), Some(&Op::Lease(LeaseOp::Close { pool: 7 })), "{report:?}");
}
