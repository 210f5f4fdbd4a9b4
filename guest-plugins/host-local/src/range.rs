//! Ranges of addresses inside a subnet, and sets of them: one address of each set is given to an attachment.

use std::fmt;
use std::net::IpAddr;

use wharf_sdk::IpNetwork;
use wharf_sdk::addr::{first_host, predecessor, same_family};

/// Addresses of one subnet that may be given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) subnet: IpNetwork,
    pub(crate) first: IpAddr,
    pub(crate) last: IpAddr,
    /// Never given out.
    pub(crate) gateway: IpAddr,
}

/// A key of a range and what is wrong with its value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) key: &'static str,
    pub(crate) reason: String,
}

impl Range {
    /// Completes a range with the defaults: from the first host to the last one (IPv4: not the broadcast address),
    /// the first host being the gateway.
    pub(crate) fn new(
        subnet: IpNetwork,
        first: Option<IpAddr>,
        last: Option<IpAddr>,
        gateway: Option<IpAddr>,
    ) -> Result<Self, Fault> {
        let fault = |key, reason| Err(Fault { key, reason });
        let bits = if subnet.is_ipv4() { 32 } else { 128 };
        if subnet.prefix() > bits - 2 {
            return fault("subnet", format!("Network {subnet} too small to allocate from"));
        }
        if let IpAddr::V6(address) = subnet.ip()
            && let Some(mapped) = address.to_ipv4_mapped().filter(|_| subnet.prefix() >= 96)
        {
            let plain = subnet.prefix() - 96;
            return fault("subnet", format!("{subnet} is a network of IPv4: write {mapped}/{plain}"));
        }
        let network = subnet.network();
        if subnet.ip() != network {
            let length = subnet.prefix();
            let reason = format!(
                "{subnet}: Network has host bits set. For a subnet mask of length {length} the network address is \
                 {network}"
            );
            return fault("subnet", reason);
        }
        for (key, name, address) in [
            ("gateway", "Gateway", gateway),
            ("rangeEnd", "RangeEnd", last),
            ("rangeStart", "RangeStart", first),
        ] {
            let reached = |address: IpAddr| {
                subnet.contains(address)
                    || (key == "gateway" && same_family(address, network) && is_link_local(address))
            };
            if let Some(address) = address.filter(|address| !reached(*address)) {
                return fault(key, format!("{name} {address} not in network {subnet}"));
            }
        }
        let last = last.unwrap_or_else(|| default_last(subnet));
        let first = first.unwrap_or_else(|| first_host(subnet));
        if first > last {
            return fault(
                "rangeStart",
                format!("RangeStart {first} not in network {subnet}: RangeEnd is {last}"),
            );
        }
        Ok(Self { subnet, first, last, gateway: gateway.unwrap_or_else(|| first_host(subnet)) })
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        same_family(self.first, address) && self.first <= address && address <= self.last
    }

    fn overlaps(&self, other: &Self) -> bool {
        same_family(self.first, other.first) && self.first <= other.last && other.first <= self.last
    }

    /// How many addresses there are from first to last, the gateway included.
    fn size(&self) -> u128 {
        let number = |address| match address {
            IpAddr::V4(v4) => u128::from(u32::from(v4)),
            IpAddr::V6(v6) => u128::from(v6),
        };
        (number(self.last) - number(self.first)).saturating_add(1)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// Such an address is on every link, beside all others; routers announce themselves by it.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn default_last(subnet: IpNetwork) -> IpAddr {
    let end = subnet.broadcast();
    match end {
        IpAddr::V4(_) => predecessor(end).unwrap_or(end),
        IpAddr::V6(_) => end,
    }
}

/// Ranges of one family that do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeSet {
    ranges: Vec<Range>,
}

impl RangeSet {
    /// A set of these ranges; the error is what is wrong with them.
    pub(crate) fn new(ranges: Vec<Range>) -> Result<Self, String> {
        let Some(head) = ranges.first() else {
            return Err("empty range set".to_owned());
        };
        if let Some(other) = ranges.iter().find(|range| !same_family(range.first, head.first)) {
            return Err(format!("mixed address families: {head} and {other}"));
        }
        for (index, range) in ranges.iter().enumerate() {
            if let Some(other) = ranges.iter().skip(index + 1).find(|other| range.overlaps(other)) {
                return Err(format!("subnets {range} and {other} overlap"));
            }
        }
        Ok(Self { ranges })
    }

    pub(crate) fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// The range that holds an address.
    pub(crate) fn range_of(&self, address: IpAddr) -> Option<&Range> {
        self.ranges.iter().find(|range| range.contains(address))
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.range_of(address).is_some()
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.ranges.iter().any(|range| other.ranges.iter().any(|theirs| range.overlaps(theirs)))
    }

    pub(crate) fn is_ipv4(&self) -> bool {
        self.ranges.first().is_some_and(|range| range.first.is_ipv4())
    }

    /// The gateways of all ranges: not one of them is given out, by whichever range.
    pub(crate) fn gateways(&self) -> Vec<IpAddr> {
        let mut gateways = Vec::with_capacity(self.ranges.len());
        for range in &self.ranges {
            if !gateways.contains(&range.gateway) {
                gateways.push(range.gateway);
            }
        }
        gateways
    }

    /// How many addresses can be given out.
    pub(crate) fn capacity(&self) -> u128 {
        let all = self.ranges.iter().fold(0_u128, |sum, range| sum.saturating_add(range.size()));
        let gateways = self.gateways().into_iter().filter(|gateway| self.contains(*gateway)).count();
        all.saturating_sub(gateways as u128)
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.ranges.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{range}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn whole(subnet: &str) -> Range {
        Range::new(subnet.parse().unwrap(), None, None, None).unwrap()
    }

    fn part(subnet: &str, first: &str, last: &str) -> Range {
        Range::new(subnet.parse().unwrap(), Some(ip(first)), Some(ip(last)), None).unwrap()
    }

    #[test]
    fn defaults_leave_out_network_and_broadcast() {
        for (subnet, first, last, gateway) in [
            ("10.1.0.0/24", "10.1.0.1", "10.1.0.254", "10.1.0.1"),
            ("10.1.0.0/30", "10.1.0.1", "10.1.0.2", "10.1.0.1"),
            ("0.0.0.0/0", "0.0.0.1", "255.255.255.254", "0.0.0.1"),
            ("fd00::/64", "fd00::1", "fd00::ffff:ffff:ffff:ffff", "fd00::1"),
            ("fd00::/126", "fd00::1", "fd00::3", "fd00::1"),
            ("::/0", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::1"),
        ] {
            let range = whole(subnet);
            assert_eq!(
                (range.first, range.last, range.gateway),
                (ip(first), ip(last), ip(gateway)),
                "{subnet}"
            );
        }
    }

    #[test]
    fn capacity_is_what_can_be_given_out() {
        for (ranges, capacity) in [
            (vec![whole("10.1.0.0/24")], 253),
            (vec![whole("10.1.0.0/30")], 1),
            (vec![part("10.1.0.0/24", "10.1.0.10", "10.1.0.19")], 10),
            (vec![whole("10.1.0.0/30"), whole("10.2.0.0/30")], 2),
            (vec![whole("fd00::/64")], u128::from(u64::MAX) - 1),
            (vec![whole("::/0")], u128::MAX - 1),
        ] {
            assert_eq!(RangeSet::new(ranges.clone()).unwrap().capacity(), capacity, "{ranges:?}");
        }
    }

    #[test]
    fn a_set_contains_the_ends_of_its_ranges_and_nothing_between() {
        let set = RangeSet::new(vec![
            part("10.1.0.0/24", "10.1.0.10", "10.1.0.20"),
            part("10.1.0.0/24", "10.1.0.30", "10.1.0.40"),
        ])
        .unwrap();
        for (address, inside) in [
            ("10.1.0.9", false),
            ("10.1.0.10", true),
            ("10.1.0.20", true),
            ("10.1.0.25", false),
            ("10.1.0.40", true),
            ("10.1.0.41", false),
            ("::ffff:10.1.0.10", false),
        ] {
            assert_eq!(set.contains(ip(address)), inside, "{address}");
        }
        assert_eq!(set.to_string(), "10.1.0.10-10.1.0.20,10.1.0.30-10.1.0.40");
        assert_eq!(set.gateways(), [ip("10.1.0.1")]);
    }
}
