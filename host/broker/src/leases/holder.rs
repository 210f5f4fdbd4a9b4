//! The content of a lease file: `<containerID>\r\n<ifname>`, or only a container id in leases of old versions.

use wharf_ops::Error;
use wharf_ops::leases::LeaseOwner;

const SEPARATOR: &str = "\r\n";

/// Who holds an address, as the trimmed text of its file. Equal text is equal owner, as it is for host-local.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder(String);

impl Holder {
    /// The holder that a file's content names, none if it names nobody.
    pub(super) fn of_content(content: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(content).ok()?.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// What a new lease of `owner` says. The owner must be one that reads back as itself.
    pub(super) fn new(owner: &LeaseOwner) -> Result<Self, Error> {
        let LeaseOwner { container, ifname } = owner;
        let plain =
            |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_control() || c.is_whitespace());
        if plain(container) && plain(ifname) {
            return Ok(Self(format!("{container}{SEPARATOR}{ifname}")));
        }
        Err(Error::invalid(format!(
            "lease owner {container:?}, {ifname:?}: both must be given and have no white space in them"
        )))
    }

    /// What to look for: leases of exactly this owner, and if there are none, those of the container alone.
    pub(super) fn candidates(owner: &LeaseOwner) -> Result<[Self; 2], Error> {
        let container = owner.container.trim();
        if container.is_empty() || container.contains(SEPARATOR) {
            let message = format!("lease owner: {:?} is not a container id", owner.container);
            return Err(Error::invalid(message));
        }
        let exact = format!("{container}{SEPARATOR}{}", owner.ifname);
        Ok([Self(exact.trim().to_owned()), Self(container.to_owned())])
    }

    /// The two parts. A lease of an old version has no interface name.
    pub(super) fn owner(&self) -> LeaseOwner {
        let (container, ifname) = self.0.split_once(SEPARATOR).unwrap_or((&self.0, ""));
        LeaseOwner { container: container.to_owned(), ifname: ifname.to_owned() }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The index's key: FNV-1a, with a finish that spreads it over all bits. It is part of the index's format.
    pub(super) fn hash(&self) -> u64 {
        spread(self.0.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }
}

/// A permutation of the 64 bit numbers in which every bit of the input reaches every bit of the output.
pub(super) fn spread(mut value: u64) -> u64 {
    value = (value ^ (value >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    value = (value ^ (value >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    value ^ (value >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(container: &str, ifname: &str) -> LeaseOwner {
        LeaseOwner { container: container.into(), ifname: ifname.into() }
    }

    #[test]
    fn content_is_trimmed_and_reads_back() {
        let holder = Holder::of_content(b"c1\r\neth0\r\n \n").unwrap();
        assert_eq!(holder, Holder::new(&owner("c1", "eth0")).unwrap());
        assert_eq!(holder.owner(), owner("c1", "eth0"));
        assert_eq!(Holder::of_content(b"c1\n").unwrap().owner(), owner("c1", ""));
        assert_eq!(Holder::of_content(b" \r\n"), None);
        assert_eq!(Holder::of_content(b"\xff\xfe"), None);
    }

    #[test]
    fn an_owner_that_would_read_back_as_another_is_refused() {
        for (container, ifname) in
            [("", "eth0"), ("c", ""), ("c\r\nx", "eth0"), ("c", "eth 0"), (" c", "eth0")]
        {
            assert!(Holder::new(&owner(container, ifname)).is_err(), "{container:?} {ifname:?}");
        }
        assert!(Holder::candidates(&owner(" ", "eth0")).is_err());
        assert!(Holder::candidates(&owner("a\r\nb", "")).is_err());
    }

    #[test]
    fn what_get_all_says_of_an_old_lease_can_be_looked_for() {
        let old = Holder::of_content(b"c1").unwrap();
        assert_eq!(Holder::candidates(&old.owner()).unwrap()[0], old);
    }
}
