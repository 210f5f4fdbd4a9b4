//! Against the real kernel in throw-away namespaces, read back with `ip`.

use serde_json::{Value, json};
use wharf_ops::{ErrorKind, KernelOp, Link};

use super::*;
use crate::Kernel;
use crate::testing::Rig;

const NS: Ns = Ns::Container;

fn rig() -> (Rig, Link) {
    let mut rig = Rig::new();
    let (_, eth0) = rig.veth_up();
    rig.run(NS, "ip address add 10.0.0.3/24 dev eth0");
    rig.run(NS, "ip address add fd00::3/64 dev eth0 nodad");
    (rig, eth0)
}

fn to(dst: &str) -> Route {
    Route::to(dst.parse().unwrap())
}

fn via(dst: &str, gateway: &str) -> Route {
    Route { gateway: Some(gateway.parse().unwrap()), ..to(dst) }
}

fn change(rig: &mut Rig, op: RouteOp) -> Result<(), Error> {
    rig.apply(KernelOp::Route(op)).and_then(Reply::done)
}

fn add_route(rig: &mut Rig, route: &Route) -> Result<(), Error> {
    change(rig, RouteOp::Add { ns: NS, route: route.clone() })
}

fn remove_route(rig: &mut Rig, route: &Route) -> Result<(), Error> {
    change(rig, RouteOp::Remove { ns: NS, route: route.clone() })
}

fn shown(rig: &Rig, arguments: &str) -> Vec<Value> {
    rig.json(NS, &format!("ip -d -j route show {arguments}")).as_array().unwrap().clone()
}

fn all(rig: &mut Rig, table: Option<u32>) -> Vec<Route> {
    rig.apply(KernelOp::Route(RouteOp::GetAll { ns: NS, table })).unwrap().routes().unwrap()
}

#[test]
fn every_field_reaches_the_kernel() {
    let (mut rig, eth0) = rig();
    let route = Route {
        link: Some(eth0.index),
        source: Some("10.0.0.3".parse().unwrap()),
        metric: Some(50),
        table: Some(1000),
        mtu: Some(1300),
        advmss: Some(1200),
        ..via("10.5.0.0/16", "10.0.0.1")
    };
    add_route(&mut rig, &route).unwrap();
    let shown = &shown(&rig, "table 1000")[0];
    let wanted = json!({"type": "unicast", "dst": "10.5.0.0/16", "gateway": "10.0.0.1", "dev": "eth0", "protocol": "boot",
        "scope": "global", "prefsrc": "10.0.0.3", "metric": 50, "flags": [], "metrics": [{"mtu": 1300, "advmss": 1200}]});
    for (key, value) in wanted.as_object().unwrap() {
        assert_eq!(&shown[key], value, "{key} of {shown}");
    }
    assert_eq!(all(&mut rig, Some(1000)), [Route { scope: Some(0), ..route.clone() }]);
    assert!(all(&mut rig, Some(1001)).is_empty());
    remove_route(&mut rig, &route).unwrap();
    assert!(all(&mut rig, Some(1000)).is_empty());
}

#[test]
fn the_same_for_ipv6() {
    let (mut rig, eth0) = rig();
    let route = Route {
        link: Some(eth0.index),
        metric: Some(50),
        mtu: Some(1300),
        advmss: Some(1200),
        ..via("::/0", "fd00::1")
    };
    add_route(&mut rig, &route).unwrap();
    let shown = rig.json(NS, "ip -d -j -6 route show default")[0].clone();
    assert_eq!(
        (&shown["gateway"], &shown["dev"], &shown["metric"]),
        (&json!("fd00::1"), &json!("eth0"), &json!(50))
    );
    assert_eq!(shown["metrics"], json!([{"mtu": 1300, "advmss": 1200}]));
    let wanted = Route { scope: Some(0), table: Some(254), ..route.clone() };
    assert!(all(&mut rig, None).contains(&wanted), "{:?}", all(&mut rig, None));
    remove_route(&mut rig, &route).unwrap();
    assert!(!all(&mut rig, None).contains(&wanted));
}

#[test]
fn scope_follows_the_gateway_unless_it_is_said() {
    let (mut rig, eth0) = rig();
    let on_link = Route { link: Some(eth0.index), ..to("10.6.0.0/16") };
    add_route(&mut rig, &on_link).unwrap();
    assert_eq!(shown(&rig, "10.6.0.0/16")[0]["scope"], json!("link"));
    add_route(&mut rig, &via("10.7.0.0/16", "10.0.0.1")).unwrap();
    assert_eq!(shown(&rig, "10.7.0.0/16")[0]["scope"], json!("global"));
    let host = Route { scope: Some(254), link: Some(eth0.index), ..to("10.8.0.1/32") };
    add_route(&mut rig, &host).unwrap();
    assert_eq!(shown(&rig, "10.8.0.1")[0]["scope"], json!("host"));
    for route in [on_link, host] {
        remove_route(&mut rig, &route).unwrap();
    }
    assert!(shown(&rig, "10.6.0.0/16").is_empty() && shown(&rig, "10.8.0.1").is_empty());
}

#[test]
fn only_the_very_same_route_exists_already() {
    let (mut rig, eth0) = rig();
    for (first, second) in [
        (via("0.0.0.0/0", "10.0.0.1"), via("0.0.0.0/0", "10.0.0.2")),
        (via("::/0", "fd00::1"), via("::/0", "fd00::2")),
        (Route { link: Some(eth0.index), ..to("10.4.0.0/16") }, via("10.4.0.0/16", "10.0.0.1")),
    ] {
        add_route(&mut rig, &first).unwrap();
        let error = add_route(&mut rig, &first).unwrap_err();
        assert_eq!((error.kind, error.errno), (ErrorKind::AlreadyExists, Some(libc::EEXIST)), "{error}");
        assert!(error.message.contains(&first.dst.to_string()), "{error}");
        add_route(&mut rig, &second).unwrap();
        let both = all(&mut rig, None).into_iter().filter(|route| route.dst == first.dst).collect::<Vec<_>>();
        let gateways: Vec<_> = both.iter().map(|route| route.gateway).collect();
        assert_eq!(both.len(), 2, "{both:?}");
        assert!(gateways.contains(&first.gateway) && gateways.contains(&second.gateway), "{gateways:?}");
        assert!(both.iter().all(|route| route.link == Some(eth0.index)));
    }
}

#[test]
fn removing_is_idempotent_and_exact() {
    let (mut rig, eth0) = rig();
    let (one, two) =
        (via("10.5.0.0/16", "10.0.0.1"), Route { metric: Some(9), ..via("10.5.0.0/16", "10.0.0.2") });
    add_route(&mut rig, &one).unwrap();
    add_route(&mut rig, &two).unwrap();
    for _ in 0..2 {
        remove_route(&mut rig, &one).unwrap();
    }
    let left = shown(&rig, "10.5.0.0/16");
    assert_eq!((left.len(), &left[0]["gateway"]), (1, &json!("10.0.0.2")));
    remove_route(&mut rig, &Route { table: Some(4711), ..two.clone() }).unwrap();
    remove_route(&mut rig, &Route { link: Some(99), ..two.clone() }).unwrap();
    remove_route(&mut rig, &Route { link: Some(99), ..to("fd09::/64") }).unwrap();
    assert_eq!(shown(&rig, "10.5.0.0/16").len(), 1);
    // The kernel's own route to the prefix of an address.
    remove_route(&mut rig, &Route { link: Some(eth0.index), ..to("10.0.0.0/24") }).unwrap();
    assert!(shown(&rig, "10.0.0.0/24").is_empty());
    let op = KernelOp::Route(RouteOp::Remove { ns: NS, route: two });
    rig.without_container().apply(&Rig::owner(), &op).unwrap().done().unwrap();
}

#[test]
fn nonsense_is_invalid_before_the_kernel_sees_it() {
    let (mut rig, _) = rig();
    for (route, word) in [
        (via("10.5.0.1/16", "10.0.0.1"), "the network is 10.5.0.0/16"),
        (via("10.5.0.0/16", "fd00::1"), "another family"),
        (
            Route { source: Some("fd00::3".parse().unwrap()), ..via("10.5.0.0/16", "10.0.0.1") },
            "another family",
        ),
        (to("10.5.0.0/16"), "a gateway or a link"),
    ] {
        let error = add_route(&mut rig, &route).unwrap_err();
        assert_eq!((error.kind, error.errno), (ErrorKind::Invalid, None));
        assert!(error.message.contains(word), "{error}");
    }
    let error = add_route(&mut rig, &via("10.5.0.0/16", "192.0.2.1")).unwrap_err();
    assert!(error.message.contains("Nexthop has invalid gateway"), "the kernel's own words: {error}");
}

#[test]
fn only_unicast_routes_of_the_table_are_listed() {
    let (mut rig, eth0) = rig();
    rig.run(NS, "ip route add blackhole 10.66.0.0/16");
    rig.run(NS, "ip route add 10.77.0.0/16 via 10.0.0.1 table 100");
    let listed = all(&mut rig, None);
    assert!(listed.iter().all(|route| route.table == Some(254)), "{listed:?}");
    let connected = Route {
        link: Some(eth0.index),
        source: Some("10.0.0.3".parse().unwrap()),
        scope: Some(253),
        table: Some(254),
        ..to("10.0.0.0/24")
    };
    assert!(listed.contains(&connected), "{listed:?}");
    assert!(!listed.iter().any(|route| {
        ["10.66.0.0/16", "10.77.0.0/16", "fe80::3/128"].contains(&route.dst.to_string().as_str())
    }));
    assert!(listed.iter().any(|route| route.dst == "fd00::/64".parse().unwrap()));
    assert_eq!(all(&mut rig, Some(0)), listed, "0 is the main table too");
    assert_eq!(all(&mut rig, Some(100)).len(), 1);
}

#[test]
fn the_way_of_a_packet_is_looked_up() {
    let (mut rig, eth0) = rig();
    let mut lookup = |to: &str| {
        let op = RouteOp::Lookup { ns: NS, to: to.parse().unwrap() };
        rig.apply(KernelOp::Route(op)).unwrap().maybe_route().unwrap()
    };
    let near = lookup("10.0.0.9").unwrap();
    assert_eq!(
        (near.link, near.gateway, near.source),
        (Some(eth0.index), None, Some("10.0.0.3".parse().unwrap()))
    );
    assert_eq!(lookup("8.8.8.8"), None);
    assert_eq!(lookup("2001:db8::1"), None);
    assert_eq!(lookup("10.0.0.3").unwrap().link, Some(1), "itself, over lo");
    add_route(&mut rig, &via("0.0.0.0/0", "10.0.0.1")).unwrap();
    add_route(&mut rig, &via("::/0", "fd00::1")).unwrap();
    rig.run(NS, "ip route add blackhole 10.66.0.0/16");
    rig.run(NS, "ip route add unreachable 10.67.0.0/16");
    rig.run(NS, "ip -6 route add blackhole fd66::/64");
    let mut lookup = |to: &str| {
        let op = RouteOp::Lookup { ns: NS, to: to.parse().unwrap() };
        rig.apply(KernelOp::Route(op)).unwrap().maybe_route().unwrap()
    };
    let far = lookup("8.8.8.8").unwrap();
    assert_eq!((far.dst, far.gateway), ("8.8.8.8/32".parse().unwrap(), Some("10.0.0.1".parse().unwrap())));
    assert_eq!(far.table, Some(254));
    assert_eq!(lookup("2001:db8::1").unwrap().gateway, Some("fd00::1".parse().unwrap()));
    for nowhere in ["10.66.0.1", "10.67.0.1", "fd66::1"] {
        assert_eq!(lookup(nowhere), None, "{nowhere}");
    }
}
