//! The body of the fuzz target `lease_store`, shared with `tests/lease_store_smoke.rs`: a pool over a directory in which
//! anybody may have put anything, and over an index that may be damaged at any time.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{FileExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, Instant, UNIX_EPOCH};

use wharf_broker::leases::Pool;
use wharf_ops::leases::LeaseOwner;

/// What the input is made of.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(self.byte()?).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        Some(taken)
    }

    /// One of few, so that steps meet.
    fn address(&mut self) -> Option<IpAddr> {
        let byte = self.byte()?;
        Some(if byte & 0x80 == 0 {
            Ipv4Addr::new(10, 1, byte >> 6, byte & 0x0f).into()
        } else {
            Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, u16::from(byte >> 6 & 1), u16::from(byte & 0x0f)).into()
        })
    }

    fn owner(&mut self) -> Option<LeaseOwner> {
        let byte = self.byte()?;
        let container = format!("c{}", byte & 3);
        Some(LeaseOwner { container, ifname: if byte & 4 == 0 { "eth0".into() } else { "eth1".into() } })
    }

    /// A name in the directory, mostly an address.
    fn name(&mut self) -> Option<String> {
        if self.byte()? & 3 != 0 {
            return Some(self.address()?.to_string());
        }
        let name = String::from_utf8_lossy(self.bytes()?).into_owned();
        let special = name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']);
        // Where the lock is no file the pool says so, and nothing is left to try.
        Some(if special || name.len() > 100 || name == "lock" { "lock.d".to_owned() } else { name })
    }
}

/// A pool and the places that it works on.
struct Bench {
    root: PathBuf,
    pool: Option<Pool>,
    /// Whether a file has got another content in its place. No plugin does that, and the directory does not show it.
    rewritten: bool,
}

impl Bench {
    fn place(&self) -> PathBuf {
        self.root.join("networks/n")
    }

    fn index(&self) -> Option<fs::File> {
        fs::File::options().write(true).open(self.root.join("index/index")).ok()
    }

    fn content(&self, address: IpAddr) -> Option<Vec<u8>> {
        fs::read(self.place().join(address.to_string())).ok()
    }

    fn pool(&mut self) -> &mut Pool {
        let open = || {
            let deadline = Some(Instant::now() + Duration::from_secs(5));
            Pool::open(&self.root.join("networks/n"), &self.root.join("index"), deadline).unwrap()
        };
        if self.pool.is_none() {
            self.pool = Some(open());
        }
        self.pool.as_mut().unwrap()
    }

    /// Writes a lease as somebody else would, or something else by its name.
    fn write(&mut self, name: &str, content: &[u8]) {
        let path = self.place().join(name);
        self.rewritten |= path.exists();
        let _ = fs::write(path, content);
    }

    /// From the next change of the directory on it is seen.
    fn show_rewritten(&mut self) {
        if std::mem::take(&mut self.rewritten) {
            // Longer than any name that the input gives.
            let other = self.place().join("x".repeat(101));
            fs::write(&other, "").and_then(|()| fs::remove_file(other)).unwrap();
        }
    }

    fn belongs_to(&self, address: IpAddr, owner: &LeaseOwner) {
        let content = String::from_utf8(self.content(address).unwrap()).unwrap();
        let LeaseOwner { container, ifname } = owner;
        let exact = format!("{container}\r\n{ifname}");
        assert!(
            [exact.as_str(), container].contains(&content.trim()),
            "{address} of {owner:?} says {content:?}"
        );
    }

    /// One step; none if the input is used up.
    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        match input.byte()? % 14 {
            0 | 1 => {
                let (name, content) = (input.name()?, input.bytes()?);
                self.write(&name, content);
            }
            2 => {
                let (name, owner) = (input.name()?, input.owner()?);
                self.write(&name, format!("{}\r\n{}", owner.container, owner.ifname).as_bytes());
            }
            3 => drop(fs::remove_file(self.place().join(input.name()?))),
            4 => {
                let path = self.place().join(input.name()?);
                let _ =
                    if input.byte()? & 1 == 0 { fs::create_dir(path) } else { symlink("/dev/null", path) };
            }
            5 => {
                let file = fs::File::open(self.place().join(input.name()?)).ok();
                let _ = file.map(|file| file.set_modified(UNIX_EPOCH));
            }
            6 => {
                let (at, bytes) = (input.byte()?, input.bytes()?);
                let _ = self.index().map(|index| index.write_all_at(bytes, u64::from(at) * 512));
            }
            7 => {
                let size = u64::from(input.byte()?) * 600;
                let _ = self.index().map(|index| index.set_len(size));
            }
            8 => self.pool = None,
            9 => {
                let (address, owner) = (input.address()?, input.owner()?);
                if self.pool().try_reserve(address, &owner).is_ok_and(|taken| taken) {
                    self.belongs_to(address, &owner);
                }
            }
            10 => self.reserve_next(input)?,
            11 => {
                let owner = input.owner()?;
                self.show_rewritten();
                if self.pool().release(&owner).is_ok() {
                    // Those of the container alone are its own when it has no others.
                    self.pool().release(&owner).unwrap();
                    assert_eq!(self.pool().find(&owner).unwrap(), [] as [IpAddr; 0]);
                }
            }
            12 => {
                let owner = input.owner()?;
                for address in self.pool().find(&owner).unwrap_or_default() {
                    self.belongs_to(address, &owner);
                }
                let (all, current) = (self.pool().get_all().unwrap(), self.pool().get_current().unwrap());
                assert!(current.iter().all(|lease| all.contains(lease)));
            }
            _ => {
                let (set, address) = (u32::from(input.byte()?) & 1, input.address()?);
                if self.pool().set_last_reserved(set, address).is_ok() {
                    assert_eq!(self.pool().last_reserved(set).unwrap(), Some(address));
                }
            }
        }
        Some(())
    }

    fn reserve_next(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (first, last, skip) = (input.address()?, input.address()?, [input.address()?]);
        let after = if input.byte()? & 1 == 0 { None } else { Some(input.address()?) };
        let owner = input.owner()?;
        for _ in 0..2 {
            let given = self.pool().reserve_next(first, last, after, &skip, &owner);
            let Ok(Some(address)) = given else { continue };
            assert!(first <= address && address <= last && !skip.contains(&address));
            assert!(after.is_none_or(|after| after < address));
            self.belongs_to(address, &owner);
        }
        Some(())
    }
}

/// Runs one input: steps of others in the directory, of the index's decay, and of the pool.
pub(crate) fn run(data: &[u8]) {
    // In memory where there is such a place: the index is written again and again.
    let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let mut bench = Bench { root: root.path().to_owned(), pool: None, rewritten: false };
    fs::create_dir_all(bench.place()).unwrap();
    fs::write(bench.place().join("README"), "not a lease").unwrap();
    let mut input = Input(data);
    while bench.step(&mut input).is_some() {}
    drop(bench.pool.take());
    bench.show_rewritten();
    // Whatever happened to the index, a new one says what the directory says.
    let owners = [0_u8, 1, 2, 3, 4, 5, 6, 7].map(|byte| Input(&[byte]).owner().unwrap());
    let found = owners.each_ref().map(|owner| bench.pool().find(owner).unwrap());
    bench.pool = None;
    let _ = fs::remove_dir_all(bench.root.join("index"));
    assert_eq!(owners.each_ref().map(|owner| bench.pool().find(owner).unwrap()), found);
}
