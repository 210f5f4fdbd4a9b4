//! An address as a family and a number, which is what ranges and bitmaps are made of.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Family {
    V4,
    V6,
}

/// An address in canonical form: an IPv4-mapped IPv6 address is the IPv4 address, as it is for Go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Address {
    pub(super) family: Family,
    pub(super) value: u128,
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self { family: Family::V4, value: u128::from(v4.to_bits()) },
            IpAddr::V6(v6) => Self { family: Family::V6, value: v6.to_bits() },
        }
    }
}

impl Address {
    /// Back to the usual type. A value beyond the family cannot be made by [`From`]; a damaged one is cut.
    pub(super) fn ip(self) -> IpAddr {
        match self.family {
            Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(self.value).unwrap_or(u32::MAX))),
            Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(self.value)),
        }
    }

    /// The address that a lease file's name stands for. Only the form that host-local itself writes counts: no
    /// other name keeps it from giving the address out.
    pub(super) fn of_file(name: &str) -> Option<Self> {
        let address = Self::from(name.parse::<IpAddr>().ok()?);
        (address.file() == name).then_some(address)
    }

    /// The name of the lease file.
    pub(super) fn file(self) -> String {
        self.ip().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_name_is_a_lease() {
        for name in ["10.1.0.2", "255.255.255.255", "fd01::2", "::1", "2001:db8:0:1:1:1:1:1"] {
            let address = Address::of_file(name).expect(name);
            assert_eq!(address.file(), name);
            assert_eq!(Address::from(address.ip()), address);
        }
        for name in ["lock", "last_reserved_ip.0", "FD01::2", "fd01:0::2", "::ffff:10.1.0.2", "10.1.0.2~", ""]
        {
            assert_eq!(Address::of_file(name), None, "{name}");
        }
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        let mapped: IpAddr = "::ffff:10.1.0.2".parse().unwrap();
        assert_eq!(Address::from(mapped).file(), "10.1.0.2");
    }
}
