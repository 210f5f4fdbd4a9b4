//! Address leases: the host owns locking and durability, the guest owns policy.

use std::net::IpAddr;

use crate::bindings::wharf::store::leases as wit;
use crate::error::HostResult;
use crate::request::Owner;

/// An address and who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: IpAddr,
    /// Its holder.
    pub owner: Owner,
}

/// The pool of the request's network. Holding it holds its lock; reservations of a call that fails are rolled back
/// by the host.
#[derive(Debug)]
pub struct Pool {
    raw: wit::Pool,
}

impl Pool {
    /// Opens and locks the pool; `directory` is the configuration's `dataDir`, none the default. Only an ADD makes it
    /// where it is missing; other calls find it empty. STATUS fails here where no lease could be written.
    pub fn open(directory: Option<&str>) -> HostResult<Self> {
        Ok(Self { raw: wit::Pool::open(directory)? })
    }

    /// Takes one address; false if somebody has it. A lease of an earlier boot is nobody's.
    pub fn try_reserve(&self, address: IpAddr, owner: &Owner) -> HostResult<bool> {
        Ok(self.raw.try_reserve(address.into(), &owner.to_wit())?)
    }

    /// Takes the first free address from `first` to `last` that comes after `after` (from `first` on, if none) and is
    /// not in `skip`. Does not wrap. Time does not grow with the number of leases.
    ///
    /// Asked again for the same where nothing was free, it takes over an address whose lease is of an earlier boot.
    pub fn reserve_next(
        &self,
        first: IpAddr,
        last: IpAddr,
        after: Option<IpAddr>,
        skip: &[IpAddr],
        owner: &Owner,
    ) -> HostResult<Option<IpAddr>> {
        let range = wit::Range { first: first.into(), last: last.into() };
        let skip: Vec<_> = skip.iter().copied().map(Into::into).collect();
        let taken = self.raw.reserve_next(range, after.map(Into::into), &skip, &owner.to_wit())?;
        Ok(taken.map(Into::into))
    }

    /// Gives back every address of `owner` and answers how many they were.
    pub fn release(&self, owner: &Owner) -> HostResult<u32> {
        Ok(self.raw.release(&owner.to_wit())?)
    }

    /// The addresses of `owner`.
    pub fn find(&self, owner: &Owner) -> HostResult<Vec<IpAddr>> {
        Ok(self.raw.find(&owner.to_wit())?.into_iter().map(Into::into).collect())
    }

    /// Every lease of the pool. Those of an earlier boot are among them in a GC only.
    pub fn leases(&self) -> HostResult<Vec<Lease>> {
        let all = self.raw.get_all()?.into_iter();
        Ok(all
            .map(|wit::Lease { address, owner: wit::Owner { container, ifname } }| Lease {
                address: address.into(),
                owner: Owner { container, ifname },
            })
            .collect())
    }

    /// The cursor of a range set: what round robin gave last.
    pub fn last_reserved(&self, set: u32) -> HostResult<Option<IpAddr>> {
        Ok(self.raw.last_reserved(set)?.map(Into::into))
    }

    /// Moves the cursor of a range set.
    pub fn set_last_reserved(&self, set: u32, address: IpAddr) -> HostResult<()> {
        Ok(self.raw.set_last_reserved(set, address.into())?)
    }
}

/// A resolv.conf(5) file of the host; 64 KiB at most.
pub fn read_resolv_conf(path: &str) -> HostResult<String> {
    Ok(wit::read_resolv_conf(path)?)
}

impl Owner {
    fn to_wit(&self) -> wit::Owner {
        wit::Owner { container: self.container.clone(), ifname: self.ifname.clone() }
    }
}
