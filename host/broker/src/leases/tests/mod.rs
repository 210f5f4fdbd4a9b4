//! The store as its callers see it, with host-local played by hand.

mod boots;
mod crash;
mod layout;
mod sharing;
mod steady;

use std::net::IpAddr;
use std::path::PathBuf;

use wharf_ops::leases::LeaseOwner;

use super::Pool;

/// A lease directory and an index directory that go with the test.
struct Bench {
    root: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn directory(&self) -> PathBuf {
        self.root.path().join("networks/net1")
    }

    fn index(&self) -> PathBuf {
        self.root.path().join("run/net1")
    }

    fn index_file(&self) -> PathBuf {
        self.index().join("index")
    }

    fn pool(&self) -> Pool {
        Pool::open(&self.directory(), &self.index(), None).unwrap()
    }

    fn lease(&self, address: &str) -> PathBuf {
        self.directory().join(address)
    }

    /// What host-local does to reserve, and what a hand does.
    fn write(&self, address: &str, content: &str) {
        std::fs::create_dir_all(self.directory()).unwrap();
        std::fs::write(self.lease(address), content).unwrap();
    }

    fn remove(&self, address: &str) {
        std::fs::remove_file(self.lease(address)).unwrap();
    }

    /// Many leases, as host-local leaves them.
    fn fill(&self, addresses: impl Iterator<Item = IpAddr>) {
        for (number, address) in addresses.enumerate() {
            self.write(&address.to_string(), &format!("c{number}\r\neth0"));
        }
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn owner(container: &str) -> LeaseOwner {
    LeaseOwner { container: container.into(), ifname: "eth0".into() }
}

fn next(
    pool: &mut Pool,
    range: (&str, &str),
    after: Option<&str>,
    skip: &[&str],
    who: &str,
) -> Option<IpAddr> {
    let skip: Vec<_> = skip.iter().map(|skip| ip(skip)).collect();
    pool.reserve_next(ip(range.0), ip(range.1), after.map(ip), &skip, &owner(who)).unwrap()
}
