//! A pool of addresses: the lease files under their lock, with the index kept in step.

use std::collections::HashSet;
use std::fs::File;
use std::net::IpAddr;
use std::path::Path;
use std::time::Instant;

use nix::fcntl::Flock;
use wharf_ops::Error;
use wharf_ops::leases::{Lease as Reserved, LeaseOwner};

use super::address::Address;
use super::boot::Boot;
use super::files::{Files, Lease};
use super::holder::{Holder, spread};
use super::home::Home;
use super::index::{Entry, Index};
use super::lock;
use super::pages::Broken;

/// How many range sets have a cursor: as many addresses an interface gets from a pool.
const MOST_SETS: u32 = 256;

/// Whose leases are that name nobody. No owner is called so.
pub const NOBODY: LeaseOwner = LeaseOwner { container: String::new(), ifname: String::new() };

/// An open and locked lease directory.
///
/// The lock belongs to the open file and ends when the pool is dropped or its process dies. Its descriptor is
/// closed on exec; a child that is forked while a pool is open must close it (the sandbox closes all descriptors
/// that are not its own), or the lock outlives a killed parent.
pub struct Pool {
    files: Files,
    home: Home,
    /// Whether the index can be kept in `home`.
    keeps: bool,
    index: Option<Index>,
    /// Ranges in which nothing is free, as long as the lock is held.
    full: Vec<(Address, Address)>,
    /// Last, so that it goes last.
    _lock: Flock<File>,
    #[cfg(test)]
    pub(super) scans: usize,
    #[cfg(test)]
    pub(super) words: usize,
}

impl Pool {
    /// Opens the pool of `directory` and waits for its lock until `deadline`, or for ever.
    ///
    /// `directory` is one network's, and it is made if it is not there. `index` is a directory for the index of
    /// this one pool, writable for nobody else, on a file system that does not survive a boot. It may vanish or
    /// be damaged at any time; it need not be there, then the cost grows with the number of leases.
    pub fn open(directory: &Path, index: &Path, deadline: Option<Instant>) -> Result<Self, Error> {
        Self::open_in(&Boot::default(), directory, index, deadline)
    }

    /// As [`Self::open`] in a given boot.
    pub(super) fn open_in(
        boot: &Boot,
        directory: &Path,
        index: &Path,
        deadline: Option<Instant>,
    ) -> Result<Self, Error> {
        loop {
            let files = Files::open(directory, boot.clone())?;
            if let Some(lock) = lock::take(files.directory(), directory, deadline)? {
                return Ok(Self::new(files, index, lock));
            }
        }
    }

    /// As [`Self::open`], but a directory that is not there is not made: there are no leases in it.
    pub fn open_existing(
        directory: &Path,
        index: &Path,
        deadline: Option<Instant>,
    ) -> Result<Option<Self>, Error> {
        while let Some(files) = Files::existing(directory, Boot::default())? {
            if let Some(lock) = lock::take(files.directory(), directory, deadline)? {
                return Ok(Some(Self::new(files, index, lock)));
            }
        }
        Ok(None)
    }

    fn new(files: Files, index: &Path, lock: Flock<File>) -> Self {
        Self {
            files,
            home: Home::new(index),
            keeps: true,
            index: None,
            full: Vec::new(),
            _lock: lock,
            #[cfg(test)]
            scans: 0,
            #[cfg(test)]
            words: 0,
        }
    }

    /// Takes one address; false if somebody has it. A lease of an earlier boot is nobody's.
    pub fn try_reserve(&mut self, address: IpAddr, owner: &LeaseOwner) -> Result<bool, Error> {
        let holder = Holder::new(owner)?;
        let address = Address::from(address);
        self.forget_earlier_life(owner)?;
        self.index()?;
        let mut taken = self.files.draft(&holder)?.publish(address)?;
        if !taken && self.reclaim(address)? {
            taken = self.files.draft(&holder)?.publish(address)?;
        }
        if taken {
            self.note(|index| index.insert(new_entry(&holder, address)));
        }
        Ok(taken)
    }

    /// Takes the first free address from `first` to `last` that comes after `after` and is not in `skip`.
    ///
    /// Asked again for a range in which nothing was free, it takes over the first one that a lease of an earlier boot
    /// has. A caller that has several ranges thus tries them all before.
    pub fn reserve_next(
        &mut self,
        first: IpAddr,
        last: IpAddr,
        after: Option<IpAddr>,
        skip: &[IpAddr],
        owner: &LeaseOwner,
    ) -> Result<Option<IpAddr>, Error> {
        let holder = Holder::new(owner)?;
        let Some((first, last)) = span(first, last, after)? else { return Ok(None) };
        self.forget_earlier_life(owner)?;
        let mut skip: HashSet<Address> = skip.iter().copied().map(Address::from).collect();
        let mut next = first;
        while let Some(free) = self.look(|index| index.next_free(next, last, &skip))? {
            if self.files.draft(&holder)?.publish(free)? {
                self.note(|index| index.insert(new_entry(&holder, free)));
                return Ok(Some(free.ip()));
            }
            // Somebody made the file without the lock, in this moment.
            self.forget();
            skip.insert(free);
            next = free;
        }
        if !self.full.contains(&(first, last)) {
            self.full.push((first, last));
            return Ok(None);
        }
        while let Some(old) = self.look(|index| index.next_old(first, last, &skip))? {
            if self.reclaim(old)? && self.files.draft(&holder)?.publish(old)? {
                self.note(|index| index.insert(new_entry(&holder, old)));
                return Ok(Some(old.ip()));
            }
            self.forget();
            skip.insert(old);
        }
        Ok(None)
    }

    /// Removes the leases that an owner has from an earlier boot: a container that keeps its id across boots starts
    /// anew, and gives back only what it gets now.
    fn forget_earlier_life(&mut self, owner: &LeaseOwner) -> Result<(), Error> {
        for holder in Holder::candidates(owner)? {
            for entry in
                self.look(|index| index.entries(holder.hash()))?.into_iter().filter(|entry| entry.old)
            {
                if matches!(self.files.read(entry.address)?, Lease::Held(found) if found == holder) {
                    self.reclaim(entry.address)?;
                }
            }
        }
        Ok(())
    }

    /// Removes a lease if it is of an earlier boot, and answers whether it was.
    fn reclaim(&mut self, address: Address) -> Result<bool, Error> {
        if !self.files.is_of_earlier_boot(address)? {
            return Ok(false);
        }
        let hash = match self.files.read(address)? {
            Lease::Held(holder) => holder.hash(),
            Lease::Ownerless | Lease::Foreign | Lease::Free => nobodys(address),
        };
        self.files.remove(address)?;
        self.note(|index| index.remove(hash, address));
        Ok(true)
    }

    /// Gives back every address of `owner` and answers how many they were.
    pub fn release(&mut self, owner: &LeaseOwner) -> Result<u32, Error> {
        let (holder, held) = self.held(owner)?;
        self.free(&holder, &addresses(&held))
    }

    /// Gives back one address, if `owner` has it.
    pub fn give_back(&mut self, address: IpAddr, owner: &LeaseOwner) -> Result<(), Error> {
        let (holder, mut held) = self.held(owner)?;
        held.retain(|entry| entry.address.ip() == address);
        self.free(&holder, &addresses(&held)).map(drop)
    }

    fn free(&mut self, holder: &Holder, addresses: &[Address]) -> Result<u32, Error> {
        let mut released = 0;
        for address in addresses {
            if let Err(error) = self.files.remove(*address) {
                self.forget();
                return Err(error);
            }
            released += 1;
        }
        if released > 0 {
            let hash = holder.hash();
            self.note(|index| addresses.iter().try_for_each(|address| index.remove(hash, *address)));
        }
        Ok(released)
    }

    /// The addresses of `owner`, in order. What it had in an earlier boot does not count.
    pub fn find(&mut self, owner: &LeaseOwner) -> Result<Vec<IpAddr>, Error> {
        let held = self.held(owner)?.1.into_iter();
        Ok(held.filter(|entry| !entry.old).map(|entry| entry.address.ip()).collect())
    }

    /// Every lease that belongs to somebody, in the order of the addresses. This one reads all of them.
    pub fn get_all(&mut self) -> Result<Vec<Reserved>, Error> {
        self.list(true, holder_of)
    }

    /// The same without leases of an earlier boot.
    pub fn get_current(&mut self) -> Result<Vec<Reserved>, Error> {
        self.list(false, holder_of)
    }

    /// What an ADD would find taken, [`NOBODY`]'s included.
    pub fn get_taken(&mut self) -> Result<Vec<Reserved>, Error> {
        self.list(false, |lease| match lease {
            Lease::Free => None,
            Lease::Ownerless | Lease::Foreign => Some(NOBODY),
            Lease::Held(holder) => Some(holder.owner()),
        })
    }

    /// What can be given back: every lease, [`NOBODY`]'s included.
    pub fn get_releasable(&mut self) -> Result<Vec<Reserved>, Error> {
        self.list(true, |lease| match lease {
            Lease::Free | Lease::Foreign => None,
            Lease::Ownerless => Some(NOBODY),
            Lease::Held(holder) => Some(holder.owner()),
        })
    }

    fn list(
        &self,
        with_old: bool,
        owner_of: impl Fn(Lease) -> Option<LeaseOwner>,
    ) -> Result<Vec<Reserved>, Error> {
        let mut leases = Vec::new();
        self.files.scan(|address, lease, old| {
            if with_old || !old {
                leases.extend(owner_of(lease).map(|owner| (address, owner)));
            }
        })?;
        leases.sort_unstable_by_key(|(address, _)| *address);
        Ok(leases.into_iter().map(|(address, owner)| Reserved { address: address.ip(), owner }).collect())
    }

    /// Gives back what is [`NOBODY`]'s, and answers how many they were. Whoever made such a file died before it said
    /// whose it is: until then, a writer has the lock.
    pub fn release_nobodys(&mut self) -> Result<u32, Error> {
        let all = self.list(true, |lease| (lease == Lease::Ownerless).then_some(NOBODY))?;
        self.index()?;
        let mut released = 0;
        for address in all.into_iter().map(|lease| Address::from(lease.address)) {
            if let Err(error) = self.files.remove(address) {
                self.forget();
                return Err(error);
            }
            self.note(|index| index.remove(nobodys(address), address));
            released += 1;
        }
        Ok(released)
    }

    /// The cursor of a range set: what round robin gave last.
    pub fn last_reserved(&self, set: u32) -> Result<Option<IpAddr>, Error> {
        self.files.cursor(set)
    }

    /// Moves the cursor. Each is a file that stays.
    pub fn set_last_reserved(&mut self, set: u32, address: IpAddr) -> Result<(), Error> {
        if set >= MOST_SETS {
            let reason = format!("range set {set}: a pool has no more than {MOST_SETS}, counted from 0");
            return Err(Error::invalid(reason));
        }
        let address = Address::from(address);
        if !self.files.move_cursor(set, address)? {
            self.index()?;
            self.files.create_cursor(set, address)?;
            self.note(|_| Ok(()));
        }
        Ok(())
    }

    /// What an owner has, with the holder that their files name: first exactly this owner, then the
    /// container alone, as leases of old versions have it.
    fn held(&mut self, owner: &LeaseOwner) -> Result<(Holder, Vec<Entry>), Error> {
        let [exact, container] = Holder::candidates(owner)?;
        let found = self.held_by(&exact)?;
        if found.is_empty() && exact != container {
            let found = self.held_by(&container)?;
            return Ok((container, found));
        }
        Ok((exact, found))
    }

    fn held_by(&mut self, holder: &Holder) -> Result<Vec<Entry>, Error> {
        let mut found = self.confirmed(holder)?;
        if found.is_none() {
            // A file was changed in place, which the directory does not show.
            self.forget();
            found = self.confirmed(holder)?;
        }
        Ok(found.unwrap_or_default())
    }

    /// What the index has for a holder; none if a file contradicts it.
    fn confirmed(&mut self, holder: &Holder) -> Result<Option<Vec<Entry>>, Error> {
        let mut found = self.look(|index| index.entries(holder.hash()))?;
        found.sort_unstable_by_key(|entry| entry.address);
        for entry in &found {
            match self.files.read_with_age(entry.address)? {
                (Lease::Held(other), old) if other == *holder && old == entry.old => {}
                _ => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    /// Asks the index, and a new one if it turns out to be damaged.
    fn look<T>(&mut self, ask: impl Fn(&mut Index) -> Result<T, Broken>) -> Result<T, Error> {
        let answer = match ask(self.index()?) {
            Err(Broken) => {
                self.forget();
                ask(self.index()?)
            }
            answer => answer,
        };
        #[cfg(test)]
        {
            self.words += self.index.as_mut().map_or(0, |index| std::mem::take(&mut index.words));
        }
        answer.map_err(|Broken| damaged())
    }

    /// The index that belongs to what is in the directory now.
    fn index(&mut self) -> Result<&mut Index, Error> {
        let stamp = self.files.stamp();
        let mut index = self.index.take().filter(|index| index.is_of(stamp.as_ref()));
        if index.is_none() && self.keeps {
            index = stamp.and_then(|stamp| Index::load(&mut self.home, &stamp));
        }
        let index = match index {
            Some(index) => index,
            None => self.rebuild()?,
        };
        Ok(self.index.insert(index))
    }

    fn rebuild(&mut self) -> Result<Index, Error> {
        #[cfg(test)]
        {
            self.scans += 1;
        }
        // Sealed before the scan: what changes from here on is seen by the next call.
        let stamp = self.files.seal();
        let mut entries: Vec<Entry> = Vec::new();
        self.files.scan(|address, lease, old| {
            let hash = match lease {
                Lease::Held(holder) => holder.hash(),
                Lease::Ownerless | Lease::Foreign | Lease::Free => nobodys(address),
            };
            entries.push(Entry { hash, address, old });
        })?;
        let mut index = Index::build(&entries).map_err(|Broken| damaged())?;
        if let Some(stamp) = stamp {
            self.keeps &= index.finish(stamp, self.keeps.then_some(&mut self.home)).is_ok();
        }
        Ok(index)
    }

    /// Brings the index up to date with a change of the files that has been made.
    ///
    /// In this order: the index's pages, the directory's time, the index's header. A crash in between leaves a
    /// header that does not belong to the directory. What fails here costs the index and not the call.
    fn note(&mut self, change: impl FnOnce(&mut Index) -> Result<(), Broken>) {
        let Some(index) = &mut self.index else { return };
        let done = change(index).and_then(|()| {
            index.flush()?;
            let stamp = self.files.seal().ok_or(Broken)?;
            index.finish(stamp, self.keeps.then_some(&mut self.home))
        });
        if done.is_err() {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.index = None;
        self.home.forget();
    }
}

/// The addresses to look at, none if there are none behind `after`.
fn span(first: IpAddr, last: IpAddr, after: Option<IpAddr>) -> Result<Option<(Address, Address)>, Error> {
    let [low, high] = [first, last].map(Address::from);
    let after = after.map(Address::from);
    if low.family != high.family || after.is_some_and(|after| after.family != low.family) || low > high {
        let after = after.map_or_else(String::new, |after| format!(" after {}", after.ip()));
        return Err(Error::invalid(format!("reserve from {first} to {last}{after}: this is no range")));
    }
    let Some(after) = after.filter(|after| *after >= low) else { return Ok(Some((low, high))) };
    let next = after.value.checked_add(1).map(|value| Address { value, ..low });
    Ok(next.filter(|next| *next <= high).map(|next| (next, high)))
}

fn new_entry(holder: &Holder, address: Address) -> Entry {
    Entry { hash: holder.hash(), address, old: false }
}

fn holder_of(lease: Lease) -> Option<LeaseOwner> {
    match lease {
        Lease::Held(holder) => Some(holder.owner()),
        Lease::Ownerless | Lease::Foreign | Lease::Free => None,
    }
}

fn addresses(entries: &[Entry]) -> Vec<Address> {
    entries.iter().map(|entry| entry.address).collect()
}

/// What stands for the holder of a lease that names nobody. Nobody looks for it; the address spreads these over the
/// table.
#[expect(clippy::cast_possible_truncation, reason = "only to spread the addresses")]
fn nobodys(address: Address) -> u64 {
    spread(!spread(address.value as u64))
}

fn damaged() -> Error {
    Error::internal("the index of the leases is damaged although it was just made")
}
