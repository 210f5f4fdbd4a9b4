//! Routes: which are taken, which are not, and how they are found.

#![allow(clippy::too_many_lines, reason = "sequences are read from top to bottom")]

use wharf_ops::routes::Route;

use crate::ops::*;
use crate::step::{Case, Step, case};

/// A container with `10.0.0.3/24` and `fd00::3/64` on a link with a carrier.
fn ready(steps: impl IntoIterator<Item = Step>) -> Vec<Step> {
    let before = [quiet(HOST), quiet(CONTAINER), veth_up()].concat();
    let own = [add(eth0(), "10.0.0.3/24"), add(eth0(), "fd00::3/64"), settle(eth0())];
    before.into_iter().chain(own).chain(steps).collect()
}

fn plus(route: Route) -> Step {
    add_route(CONTAINER, route)
}

fn minus(route: Route) -> Step {
    remove_route(CONTAINER, route)
}

fn all_routes() -> Step {
    routes(CONTAINER, None)
}

pub(crate) fn all() -> Vec<Case> {
    [taken(), refused(), removed(), found()].concat()
}

fn taken() -> Vec<Case> {
    let full = |dst: &str, gateway: &str| Route {
        link: Some(2),
        metric: Some(50),
        table: Some(1000),
        mtu: Some(1300),
        advmss: Some(1200),
        ..via(dst, gateway)
    };
    vec![
        case(
            "every field",
            ready([
                plus(Route { source: Some("10.0.0.3".parse().unwrap()), ..full("10.5.0.0/16", "10.0.0.1") }),
                plus(Route { source: Some("fd00::3".parse().unwrap()), ..full("fd05::/64", "fd00::1") }),
                plus(Route { table: None, ..full("::/0", "fd00::1") }),
                plus(Route { table: Some(0), ..full("0.0.0.0/0", "10.0.0.1") }),
                routes(CONTAINER, Some(1000)),
                routes(CONTAINER, Some(1001)),
                all_routes(),
                lookup(CONTAINER, "8.8.8.8"),
                lookup(CONTAINER, "2001:db8::1"),
                lookup(CONTAINER, "10.5.0.1"),
            ]),
        ),
        case(
            "metrics beyond what a packet can have",
            ready([
                plus(Route { mtu: Some(100_000), advmss: Some(100_000), ..via("10.5.0.0/16", "10.0.0.1") }),
                plus(Route { mtu: Some(100_000), advmss: Some(0), ..via("fd05::/64", "fd00::1") }),
                plus(Route { mtu: Some(0), metric: Some(0), ..via("10.6.0.0/16", "10.0.0.1") }),
                all_routes(),
            ]),
        ),
        case(
            "scopes",
            ready([
                plus(on("10.6.0.0/16", 2)),
                plus(via("10.7.0.0/16", "10.0.0.1")),
                plus(Route { scope: Some(254), ..on("10.8.0.1/32", 2) }),
                plus(Route { scope: Some(0), ..on("10.9.0.0/16", 2) }),
                plus(Route { scope: Some(200), ..on("10.10.0.0/16", 2) }),
                plus(Route { scope: Some(200), ..via("10.11.0.0/16", "10.0.0.1") }),
                plus(Route { scope: Some(253), ..via("10.12.0.0/16", "10.0.0.1") }),
                plus(Route { scope: Some(254), ..via("10.13.0.0/16", "10.0.0.1") }),
                plus(Route { scope: Some(255), ..on("10.14.0.0/16", 2) }),
                plus(Route { scope: Some(253), ..on("fd06::/64", 2) }),
                all_routes(),
            ]),
        ),
        case(
            "only the very same exists already",
            ready([
                plus(via("0.0.0.0/0", "10.0.0.1")),
                plus(via("0.0.0.0/0", "10.0.0.1")),
                plus(Route { link: Some(2), ..via("0.0.0.0/0", "10.0.0.1") }),
                plus(via("0.0.0.0/0", "10.0.0.2")),
                plus(via("::/0", "fd00::1")),
                plus(via("::/0", "fd00::1")),
                plus(via("::/0", "fd00::2")),
                plus(on("10.4.0.0/16", 2)),
                plus(via("10.4.0.0/16", "10.0.0.1")),
                plus(Route { metric: Some(7), ..on("10.4.0.0/16", 2) }),
                plus(Route { mtu: Some(1300), ..on("10.4.0.0/16", 2) }),
                plus(on("fd04::/64", 2)),
                plus(on("fd04::/64", 2)),
                plus(via("fd04::/64", "fd00::1")),
                plus(Route { metric: Some(7), ..on("fd04::/64", 2) }),
                plus(Route { mtu: Some(1300), ..on("fd04::/64", 2) }),
                plus(on("10.0.0.0/24", 2)),
                plus(on("fd00::/64", 2)),
                plus(Route { metric: Some(256), ..on("fd00::/64", 2) }),
                all_routes(),
                lookup(CONTAINER, "8.8.8.8"),
            ]),
        ),
        case(
            "a gateway on the loopback's link, and through the link's own address",
            ready([
                plus(via("10.5.0.0/16", "10.0.0.3")),
                plus(Route { link: Some(2), ..via("10.5.0.0/16", "10.0.0.3") }),
                plus(via("fd05::/64", "fd00::3")),
                plus(Route { link: Some(2), ..via("fd05::/64", "fd00::3") }),
                plus(via("fd06::/64", "fe80::1")),
                plus(Route { link: Some(2), ..via("fd06::/64", "fe80::1") }),
                lookup(CONTAINER, "10.5.0.1"),
                all_routes(),
            ]),
        ),
        case(
            "a host route makes a gateway reachable",
            ready([
                plus(via("192.0.2.0/24", "169.254.1.1")),
                plus(on("169.254.1.1/32", 2)),
                plus(via("192.0.2.0/24", "169.254.1.1")),
                plus(via("2001:db8::/64", "fd99::1")),
                plus(on("fd99::1/128", 2)),
                plus(via("2001:db8::/64", "fd99::1")),
                lookup(CONTAINER, "192.0.2.7"),
                lookup(CONTAINER, "2001:db8::7"),
            ]),
        ),
        case(
            "tables of their own",
            ready([
                plus(Route { table: Some(100), ..on("10.77.0.0/16", 2) }),
                plus(Route { table: Some(100), ..via("10.78.0.0/16", "10.77.0.1") }),
                plus(via("10.79.0.0/16", "10.77.0.1")),
                plus(Route { table: Some(100), ..via("10.80.0.0/16", "10.0.0.1") }),
                plus(Route { table: Some(100), ..on("fd77::/64", 2) }),
                plus(Route { table: Some(100), ..via("fd78::/64", "fd77::1") }),
                plus(via("fd79::/64", "fd77::1")),
                plus(Route { table: Some(255), ..on("10.81.0.0/16", 2) }),
                plus(Route { table: Some(253), ..on("10.82.0.0/16", 2) }),
                plus(Route { table: Some(253), ..on("fd82::/64", 2) }),
                routes(CONTAINER, Some(100)),
                routes(CONTAINER, Some(255)),
                routes(CONTAINER, Some(253)),
                lookup(CONTAINER, "10.77.0.1"),
                lookup(CONTAINER, "10.81.0.1"),
                lookup(CONTAINER, "10.82.0.1"),
                lookup(CONTAINER, "fd82::1"),
            ]),
        ),
    ]
}

fn refused() -> Vec<Case> {
    vec![
        case(
            "nonsense",
            ready([
                plus(via("10.5.0.1/16", "10.0.0.1")),
                plus(via("10.5.0.0/16", "fd00::1")),
                plus(Route { source: Some("fd00::3".parse().unwrap()), ..via("10.5.0.0/16", "10.0.0.1") }),
                plus(to("10.5.0.0/16")),
                minus(via("10.5.0.1/16", "10.0.0.1")),
            ]),
        ),
        case(
            "gateways that cannot be",
            ready([
                plus(via("10.5.0.0/16", "192.0.2.1")),
                plus(via("10.5.0.0/16", "10.0.0.255")),
                plus(via("10.5.0.0/16", "0.0.0.0")),
                plus(via("10.5.0.0/16", "224.0.0.1")),
                plus(via("10.5.0.0/16", "127.0.0.1")),
                plus(via("fd05::/64", "2001:db8::1")),
                plus(via("fd05::/64", "ff02::1")),
                plus(via("fd05::/64", "::")),
                plus(via("fd05::/64", "::1")),
                plus(via("0.0.0.0/0", "10.0.0.1")),
                plus(via("10.5.0.0/16", "8.8.8.8")),
                plus(via("::/0", "fd00::1")),
                plus(via("fd05::/64", "2001:db8::1")),
            ]),
        ),
        case(
            "sources that nobody has",
            ready([
                plus(Route { source: Some("10.0.0.4".parse().unwrap()), ..via("10.5.0.0/16", "10.0.0.1") }),
                plus(Route { source: Some("fd00::4".parse().unwrap()), ..via("fd05::/64", "fd00::1") }),
                plus(Route { source: Some("127.0.0.1".parse().unwrap()), ..via("10.5.0.0/16", "10.0.0.1") }),
            ]),
        ),
        case(
            "links that are not there, or down",
            ready([
                ifb(CONTAINER, "ifb0"),
                plus(on("10.5.0.0/16", 77)),
                plus(on("10.5.0.0/16", 3)),
                plus(Route { scope: Some(254), ..on("10.5.0.1/32", 3) }),
                plus(Route { link: Some(3), ..via("10.5.0.0/16", "10.0.0.1") }),
                plus(Route { link: Some(77), ..via("10.5.0.0/16", "10.0.0.1") }),
                plus(on("fd05::/64", 77)),
                plus(on("fd05::/64", 3)),
                plus(Route { link: Some(3), ..via("fd05::/64", "fd00::1") }),
                plus(Route { link: Some(3), ..via("fd05::/64", "fe80::1") }),
                plus(Route { link: Some(77), ..via("fd05::/64", "fd00::1") }),
                plus(on("fd05::/64", 1)),
                plus(on("10.5.0.0/16", 1)),
                add_route(HOST, on("10.5.0.0/16", 2)),
                add_route(HOST, on("fd05::/64", 2)),
                down(eth0()),
                plus(on("10.5.0.0/16", 2)),
                plus(on("fd05::/64", 2)),
            ]),
        ),
        case(
            "over the loopback",
            [
                up(lo(CONTAINER)),
                plus(on("10.5.0.0/16", 1)),
                plus(on("fd05::/64", 1)),
                plus(Route { link: Some(1), ..via("fd06::/64", "fe80::1") }),
                plus(via("10.6.0.0/16", "127.0.0.1")),
                all_routes(),
                lookup(CONTAINER, "10.5.0.1"),
                lookup(CONTAINER, "fd05::1"),
            ],
        ),
        case(
            "without a container",
            [
                Step::WithoutContainer,
                plus(on("10.5.0.0/16", 2)),
                plus(via("10.5.0.1/16", "10.0.0.1")),
                minus(on("10.5.0.0/16", 2)),
                all_routes(),
                lookup(CONTAINER, "10.0.0.1"),
            ],
        ),
    ]
}

fn removed() -> Vec<Case> {
    let two = || Route { metric: Some(9), ..via("10.5.0.0/16", "10.0.0.2") };
    vec![
        case(
            "removing is idempotent and exact",
            ready([
                plus(via("10.5.0.0/16", "10.0.0.1")),
                plus(two()),
                minus(via("10.5.0.0/16", "10.0.0.1")),
                minus(via("10.5.0.0/16", "10.0.0.1")),
                minus(Route { table: Some(4711), ..two() }),
                minus(Route { link: Some(99), ..two() }),
                minus(Route { link: Some(99), ..to("fd09::/64") }),
                minus(Route { mtu: Some(1300), ..two() }),
                minus(Route { source: Some("10.0.0.3".parse().unwrap()), ..two() }),
                minus(Route { scope: Some(253), ..two() }),
                minus(Route { metric: Some(8), ..two() }),
                all_routes(),
                minus(Route { scope: Some(0), ..two() }),
                minus(on("10.0.0.0/24", 2)),
                all_routes(),
                minus(on("fd00::/64", 2)),
                all_routes(),
            ]),
        ),
        case(
            "what is not said is not compared",
            ready([
                plus(Route { mtu: Some(1300), metric: Some(7), ..via("10.5.0.0/16", "10.0.0.1") }),
                plus(Route { metric: Some(8), ..via("10.5.0.0/16", "10.0.0.2") }),
                minus(to("10.5.0.0/16")),
                all_routes(),
                minus(to("10.5.0.0/16")),
                all_routes(),
                plus(Route { mtu: Some(1300), metric: Some(7), ..via("fd05::/64", "fd00::1") }),
                plus(Route { mtu: Some(1300), ..via("fd05::/64", "fd00::2") }),
                minus(Route { metric: Some(7), mtu: Some(1200), ..via("fd05::/64", "fd00::1") }),
                all_routes(),
                minus(to("fd05::/64")),
                all_routes(),
            ]),
        ),
        case(
            "of several ways one goes, or all",
            ready([
                plus(via("fd05::/64", "fd00::1")),
                plus(via("fd05::/64", "fd00::2")),
                plus(via("fd05::/64", "fd00::4")),
                minus(via("fd05::/64", "fd00::2")),
                all_routes(),
                minus(on("fd05::/64", 2)),
                all_routes(),
                plus(via("10.5.0.0/16", "10.0.0.1")),
                plus(via("10.5.0.0/16", "10.0.0.2")),
                minus(on("10.5.0.0/16", 2)),
                all_routes(),
            ]),
        ),
        case(
            "a way between two gateways is not told",
            ready([
                plus(via("fd05::/64", "fd00::1")),
                plus(on("fd05::/64", 2)),
                all_routes(),
                plus(via("fd05::/64", "fd00::2")),
                all_routes(),
                minus(via("fd05::/64", "fd00::2")),
                all_routes(),
            ]),
        ),
        case(
            "routes go with their link",
            ready([
                plus(via("0.0.0.0/0", "10.0.0.1")),
                plus(via("::/0", "fd00::1")),
                plus(on("10.6.0.0/16", 2)),
                plus(Route { scope: Some(254), ..on("10.8.0.1/32", 2) }),
                down(va()),
                all_routes(),
                lookup(CONTAINER, "8.8.8.8"),
                up(va()),
                down(eth0()),
                all_routes(),
                up(eth0()),
                wait(eth0()),
                all_routes(),
            ]),
        ),
    ]
}

fn found() -> Vec<Case> {
    vec![
        case(
            "the way of a packet",
            ready([
                lookup(CONTAINER, "10.0.0.9"),
                lookup(CONTAINER, "fd00::9"),
                lookup(CONTAINER, "8.8.8.8"),
                lookup(CONTAINER, "2001:db8::1"),
                lookup(CONTAINER, "10.0.0.3"),
                lookup(CONTAINER, "fd00::3"),
                lookup(CONTAINER, "10.0.0.255"),
                lookup(CONTAINER, "127.0.0.1"),
                lookup(CONTAINER, "::1"),
                plus(via("0.0.0.0/0", "10.0.0.1")),
                plus(via("::/0", "fd00::1")),
                lookup(CONTAINER, "8.8.8.8"),
                lookup(CONTAINER, "2001:db8::1"),
                plus(Route { metric: Some(10), ..via("8.0.0.0/8", "10.0.0.4") }),
                plus(Route { metric: Some(5), ..via("8.0.0.0/8", "10.0.0.5") }),
                plus(Route { metric: Some(20), ..via("8.8.0.0/16", "10.0.0.6") }),
                lookup(CONTAINER, "8.8.8.8"),
                lookup(CONTAINER, "8.9.9.9"),
                plus(Route { metric: Some(10), ..via("2001:db8::/32", "fd00::4") }),
                plus(Route { metric: Some(5), ..via("2001:db8::/32", "fd00::5") }),
                lookup(CONTAINER, "2001:db8::1"),
            ]),
        ),
        case(
            "the source of a packet",
            ready([
                add(eth0(), "10.1.0.3/24"),
                add(eth0(), "10.0.0.4/24"),
                add(eth0(), "fd01::3/64"),
                settle(eth0()),
                plus(via("192.0.2.0/24", "10.1.0.1")),
                plus(via("198.51.100.0/24", "10.0.0.1")),
                plus(Route {
                    source: Some("10.0.0.4".parse().unwrap()),
                    ..via("203.0.113.0/24", "10.0.0.1")
                }),
                plus(on("10.50.0.0/16", 2)),
                lookup(CONTAINER, "192.0.2.1"),
                lookup(CONTAINER, "198.51.100.1"),
                lookup(CONTAINER, "203.0.113.1"),
                lookup(CONTAINER, "10.50.0.1"),
                lookup(CONTAINER, "10.1.0.9"),
                plus(via("2001:db8::/64", "fd01::1")),
                lookup(CONTAINER, "2001:db8::1"),
                lookup(CONTAINER, "fd01::9"),
                lookup(CONTAINER, "fd00::9"),
            ]),
        ),
        case(
            "a link without an address borrows one",
            ready([
                ifb(CONTAINER, "ifb0"),
                up(at(CONTAINER, 3, "ifb0")),
                plus(on("10.60.0.0/16", 3)),
                plus(on("fd60::/64", 3)),
                lookup(CONTAINER, "10.60.0.1"),
                lookup(CONTAINER, "fd60::1"),
                remove(eth0(), "10.0.0.3/24"),
                lookup(CONTAINER, "10.60.0.1"),
            ]),
        ),
    ]
}
