//! Whether what was found is what was expected.

use std::net::Ipv6Addr;

use ipnetwork::IpNetwork;
use wharf_ops::routes::Route;
use wharf_ops::shaping::Rate;

use super::statement::Value;

/// Whether it is. What was found may be more: other VLANs of a port, for example.
pub(super) fn holds(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Link { kind, index }, Value::Link { kind: is, index: found }) => {
            (kind.is_none() || kind == is) && (index.is_none() || index == found)
        }
        (Value::Vlans(expected), Value::Vlans(found)) => {
            expected.iter().all(|(vlan, untagged)| found.get(vlan) == Some(untagged))
        }
        (Value::Rate(expected), Value::Rate(found)) => same_rate(*expected, *found),
        (_, Value::Untold) => true,
        (expected, found) => expected == found,
    }
}

/// Whether a route has everything that was said when it was added. What was not said is the kernel's to choose.
pub(super) fn is_route(said: &Route, found: &Route) -> bool {
    fn same<T: PartialEq + Copy>(said: Option<T>, found: Option<T>) -> bool {
        said.is_none() || said == found
    }
    // Zero stands for "not said", as in the kernel.
    let number = |value: Option<u32>| value.filter(|value| *value != 0);
    // IPv6 has no scopes.
    let scope = said.scope.filter(|_| said.dst.is_ipv4());
    same_network(said.dst, found.dst)
        && same(said.gateway, found.gateway)
        && same(said.link, found.link)
        && same(said.source, found.source)
        && same(number(said.metric), found.metric)
        && same(number(said.table), found.table)
        && same(number(said.mtu), found.mtu)
        && same(number(said.advmss), found.advmss)
        && same(scope, found.scope)
}

/// Whether a route is the one that was added, in whichever table.
pub(super) fn is_moved(said: &Route, found: &Route) -> bool {
    is_route(&Route { table: None, ..said.clone() }, found)
}

/// The same but for bits behind the prefix.
pub(super) fn same_network(a: IpNetwork, b: IpNetwork) -> bool {
    (a.network(), a.prefix()) == (b.network(), b.prefix())
}

/// The kernel keeps whole bytes per second, and the burst as a time in ticks of 64 ns that ends at four seconds.
fn same_rate(expected: Rate, found: Rate) -> bool {
    const LONGEST_MS: u128 = 4_000;
    if expected.bits_per_second / 8 != found.bits_per_second / 8 {
        return false;
    }
    let longest = u128::from(expected.bits_per_second) * LONGEST_MS;
    let tick = expected.bits_per_second / 1_000_000 + 8;
    u128::from(expected.burst_bits) * 1000 > longest || expected.burst_bits.abs_diff(found.burst_bits) <= tick
}

/// A sysctl's value: several are told apart by tabs, whatever they were written with, and an address has all its zeros.
pub(super) fn words(value: &str) -> String {
    let word = |word: &str| word.parse().map_or_else(|_| word.to_owned(), |six: Ipv6Addr| six.to_string());
    value.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// Networks without host bits, in one order.
pub(super) fn sorted(networks: &[IpNetwork]) -> Vec<IpNetwork> {
    let plain = |network: &IpNetwork| IpNetwork::new(network.network(), network.prefix()).unwrap_or(*network);
    let mut networks: Vec<IpNetwork> = networks.iter().map(plain).collect();
    networks.sort_unstable();
    networks.dedup();
    networks
}
