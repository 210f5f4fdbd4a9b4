//! The masks: how many bits they have, how they are drawn, and what they make of an address.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::{Result, bail};
use wharf_ops::Mac;

use super::found::Found;

/// Prefixes that are shorter than these have no mask, and set no width.
pub(super) const SHORTEST_V4: u8 = 8;
pub(super) const SHORTEST_V6: u8 = 16;
/// Globally unique, or unique to a site: that stays.
const KEPT_V6: u8 = 8;
/// The well-known prefix of NAT64: an IPv4 address is behind it.
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];
/// All bits of a hardware address but those that say whether it is a group's and who gave it.
const MAC_BITS: u64 = 0xfcff_ffff_ffff;
/// Nearly every mask does.
const TRIES: u32 = 10_000;

/// Where random numbers come from.
pub(crate) type Random<'r> = dyn FnMut() -> Result<u64> + 'r;

/// How many upper bits of an address are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Widths {
    v4: u8,
    v6: u8,
}

impl Widths {
    /// Where no prefix says less: the bits behind them are for hosts.
    pub(super) const WIDEST: Self = Self { v4: 24, v6: 64 };

    /// The bits behind a prefix must stay.
    pub(super) fn narrow(&mut self, address: Found, prefix: Option<u8>) {
        let Some(prefix) = prefix else { return };
        match address {
            Found::V4(v4) if is_ordinary(v4) => self.v4 = self.v4.min(prefix),
            Found::V6(v6) if is_global(v6) => self.v6 = self.v6.min(prefix),
            Found::V4(_) | Found::V6(_) | Found::Mac(_) => {}
        }
    }

    /// What an address has in common with every other one of its network.
    pub(super) fn network(self, address: Found) -> Found {
        match address {
            Found::V4(v4) => Found::V4((v4.to_bits() & upper_v4(self.v4)).into()),
            Found::V6(v6) => Found::V6((v6.to_bits() & upper_v6(self.v6)).into()),
            Found::Mac(_) => address,
        }
    }
}

fn upper_v4(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0)
}

fn upper_v6(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0)
}

/// Whether it is some host's, and not one that means something by itself.
fn is_ordinary(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    let netmask = address.to_bits().leading_ones() == 32 - address.to_bits().trailing_zeros();
    !matches!(first, 0 | 127 | 224..) && !address.is_link_local() && !netmask
}

fn is_global(address: Ipv6Addr) -> bool {
    let [first, ..] = address.octets();
    first != 0 && !address.is_multicast() && !address.is_unicast_link_local()
}

/// The IPv4 address that is a part of an IPv6 one.
fn inner(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let translated = address.segments().starts_with(&NAT64);
    let low = u32::try_from(address.to_bits() & u128::from(u32::MAX)).map(Ipv4Addr::from_bits);
    address.to_ipv4_mapped().or_else(|| low.ok().filter(|_| translated))
}

/// The random bits.
pub(super) struct Masks {
    widths: Widths,
    v4: u32,
    v6: u128,
    mac: u64,
}

impl fmt::Display for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the upper {} bits of IPv4 addresses, the bits {} to {} of IPv6 addresses, and hardware addresses are others",
            self.widths.v4,
            KEPT_V6 + 1,
            self.widths.v6
        )
    }
}

impl Masks {
    /// New ones, so that every address that is some host's stays one.
    pub(super) fn draw(widths: Widths, all: &BTreeSet<Found>, random: &mut Random<'_>) -> Result<Self> {
        let v4s: Vec<Ipv4Addr> = all
            .iter()
            .filter_map(|found| match found {
                Found::V4(v4) => Some(*v4),
                Found::V6(v6) => inner(*v6),
                Found::Mac(_) => None,
            })
            .filter(|v4| is_ordinary(*v4))
            .collect();
        let upper = upper_v4(widths.v4);
        let v4 = |number: u64| u32::try_from(number >> 32).unwrap_or_default() & upper;
        let fits = |mask: u32| v4s.iter().all(|v4| is_ordinary((v4.to_bits() ^ mask).into()));
        let v6_bits = upper_v6(widths.v6) & !upper_v6(KEPT_V6);
        let v6 = |number: u64| (u128::from(number) << 64) & v6_bits;
        let mut draw = |good: &dyn Fn(u64) -> bool| {
            for _ in 0..TRIES {
                let number = random()?;
                if good(number) {
                    return Ok(number);
                }
            }
            bail!("no other networks can be found for all addresses in the recording")
        };
        Ok(Self {
            widths,
            v4: v4(draw(&|number| v4(number) != 0 && fits(v4(number)))?),
            v6: v6(draw(&|number| v6(number) != 0)?),
            mac: draw(&|number| number & MAC_BITS != 0)? & MAC_BITS,
        })
    }

    /// What stands for an address; none if it stands for itself.
    pub(super) fn map(&self, address: Found) -> Option<String> {
        match address {
            Found::V4(v4) => self.v4(v4).map(|v4| v4.to_string()),
            Found::V6(v6) => self.v6(v6).map(|v6| v6.to_string()),
            Found::Mac(mac) => self.mac(mac).map(|mac| mac.to_string()),
        }
    }

    fn v4(&self, address: Ipv4Addr) -> Option<Ipv4Addr> {
        is_ordinary(address).then(|| Ipv4Addr::from_bits(address.to_bits() ^ self.v4))
    }

    fn v6(&self, address: Ipv6Addr) -> Option<Ipv6Addr> {
        if let Some(v4) = inner(address) {
            let high = address.to_bits() & !u128::from(u32::MAX);
            return self.v4(v4).map(|v4| Ipv6Addr::from_bits(high | u128::from(v4.to_bits())));
        }
        let mask = if is_global(address) { self.v6 } else { 0 };
        let other = self.interface(Ipv6Addr::from_bits(address.to_bits() ^ mask));
        (other != address).then_some(other)
    }

    /// The lower half may be made of a hardware address (RFC 4291, appendix A), which it must not tell.
    fn interface(&self, address: Ipv6Addr) -> Ipv6Addr {
        /// The bit that is turned round in it.
        const UNIVERSAL: u64 = 1 << 41;
        let bits = address.to_bits();
        let low = u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
        let (head, middle, tail) = (low >> 40, low >> 24 & 0xffff, low & 0xff_ffff);
        let Some(mac) = self.mac_bits((head << 24 | tail) ^ UNIVERSAL).filter(|_| middle == 0xfffe) else {
            return address;
        };
        let mac = mac ^ UNIVERSAL;
        let low = mac >> 24 << 40 | middle << 24 | mac & 0xff_ffff;
        Ipv6Addr::from_bits(bits >> 64 << 64 | u128::from(low))
    }

    fn mac(&self, Mac(bytes): Mac) -> Option<Mac> {
        let bits = bytes.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        let [_, _, other @ ..] = self.mac_bits(bits)?.to_be_bytes();
        Some(Mac(other))
    }

    /// A group's, such as the broadcast address, means something by itself.
    fn mac_bits(&self, mac: u64) -> Option<u64> {
        let group = mac >> 40 & 1 == 1;
        (!group && mac != 0).then_some(mac ^ self.mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(all: &[&str], widths: Widths) -> Masks {
        let found = all.iter().map(|text| Found::V4(text.parse().unwrap())).collect();
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Ok(state)
        };
        Masks::draw(widths, &found, &mut random).unwrap()
    }

    #[test]
    fn what_means_something_by_itself_stays() {
        let masks = masks(&[], Widths::WIDEST);
        for text in [
            "0.0.0.0",
            "127.0.0.53",
            "169.254.1.1",
            "224.0.0.1",
            "255.255.255.0",
            "255.255.255.255",
            "192.0.0.0",
        ] {
            assert_eq!(masks.v4(text.parse().unwrap()), None, "{text}");
        }
        for text in ["::", "::1", "ff02::1", "fe80::1", "::ffff:127.0.0.1", "ffff:ffff::"] {
            assert_eq!(masks.v6(text.parse().unwrap()), None, "{text}");
        }
        for text in ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01"] {
            assert_eq!(masks.mac(text.parse().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn hosts_stay_hosts_and_kinds_stay_kinds() {
        let all =
            ["10.1.0.2", "1.1.1.1", "126.0.0.1", "172.16.0.1", "192.168.0.1", "223.0.0.1", "169.253.0.1"];
        let masks = masks(&all, Widths { v4: 8, v6: 64 });
        for text in all {
            let other = masks.v4(text.parse().unwrap()).unwrap();
            assert!(is_ordinary(other) && other.to_string() != text, "{other}");
        }
        let v6 = |text: &str| masks.v6(text.parse().unwrap()).unwrap();
        assert_eq!(v6("fd01::2").octets()[0], 0xfd);
        assert_eq!(v6("2001:db8::2").octets()[0], 0x20);
        let v4 = masks.v4("10.1.0.2".parse().unwrap()).unwrap();
        assert_eq!(v6("::ffff:10.1.0.2"), v4.to_ipv6_mapped());
        assert_eq!(inner(v6("64:ff9b::10.1.0.2")), Some(v4));
        let other = masks.mac("02:42:ac:11:00:02".parse().unwrap()).unwrap();
        assert_eq!(other.0[0] & 3, 2);
    }

    #[test]
    fn an_address_that_is_made_of_a_hardware_address_follows_it() {
        let masks = masks(&[], Widths::WIDEST);
        let Mac(mac) = masks.mac("02:42:ac:11:00:02".parse().unwrap()).unwrap();
        let expected = [&[mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe][..], &mac[3..]].concat();
        for text in ["fe80::42:acff:fe11:2", "2001:db8::42:acff:fe11:2"] {
            let other = masks.v6(text.parse().unwrap()).unwrap().octets();
            assert_eq!(other[8..], expected, "{text}");
        }
    }

    #[test]
    fn no_mask_is_an_error() {
        let narrow = Widths { v4: 0, v6: 64 };
        let drawn = Masks::draw(narrow, &BTreeSet::new(), &mut || Ok(1));
        assert!(drawn.err().unwrap().to_string().contains("no other networks"));
    }
}
