//! Address leases: the host owns locking and durability, the guest owns policy.

use std::net::IpAddr;

use crate::bindings::wharf::store::leases as wit;
use crate::error::HostResult;
use crate::request::Owner;

/// An address and who holds it.
///
/// ```
/// # wharf_testkit::run(|request, _, _| {
/// use wharf_sdk::leases::Pool;
/// let (pool, owner) = (Pool::open(None)?, request.attachment().owner());
/// pool.try_reserve([10, 22, 0, 2].into(), &owner)?;
/// let lease = &pool.leases()?[0];
/// assert_eq!((lease.address, &lease.owner), ([10, 22, 0, 2].into(), &owner));
/// # Ok(())
/// # });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: IpAddr,
    /// Its holder.
    pub owner: Owner,
}

/// The pool of the request's network. Holding it holds its lock; reservations of a call that fails are rolled back
/// by the host.
///
/// ```
/// # wharf_testkit::run(|request, _, _| {
/// use wharf_sdk::leases::Pool;
/// let (pool, owner) = (Pool::open(None)?, request.attachment().owner());
/// let (first, last) = ([10, 22, 0, 2].into(), [10, 22, 0, 254].into());
/// assert_eq!(pool.reserve_next(first, last, None, &[], &owner)?, Some(first));
/// # Ok(())
/// # });
/// ```
#[derive(Debug)]
pub struct Pool {
    raw: wit::Pool,
}

impl Pool {
    /// Opens and locks the pool; `directory` is the configuration's `dataDir`, none the default. Only an ADD makes it
    /// where it is missing; other calls find it empty. STATUS fails here where no lease could be written.
    ///
    /// ```
    /// # wharf_testkit::run(|_, _, _| {
    /// let pool = wharf_sdk::leases::Pool::open(None)?;
    /// assert!(pool.leases()?.is_empty());
    /// # Ok(())
    /// # });
    /// ```
    pub fn open(directory: Option<&str>) -> HostResult<Self> {
        Ok(Self { raw: wit::Pool::open(directory)? })
    }

    /// Takes one address; false if somebody has it. A lease of an earlier boot is nobody's.
    ///
    /// ```
    /// # wharf_testkit::run(|request, _, _| {
    /// use wharf_sdk::leases::Pool;
    /// let (pool, owner) = (Pool::open(None)?, request.attachment().owner());
    /// assert!(pool.try_reserve([10, 22, 0, 7].into(), &owner)?);
    /// assert!(!pool.try_reserve([10, 22, 0, 7].into(), &owner)?, "somebody has it, if only oneself");
    /// # Ok(())
    /// # });
    /// ```
    pub fn try_reserve(&self, address: IpAddr, owner: &Owner) -> HostResult<bool> {
        Ok(self.raw.try_reserve(address.into(), &owner.to_wit())?)
    }

    /// Takes the first free address from `first` to `last` that comes after `after` (from `first` on, if none) and is
    /// not in `skip`. Does not wrap. Time does not grow with the number of leases.
    ///
    /// Asked again for the same where nothing was free, it takes over an address whose lease is of an earlier boot.
    ///
    /// ```
    /// # wharf_testkit::run(|request, _, _| {
    /// use wharf_sdk::leases::Pool;
    /// let (pool, owner) = (Pool::open(None)?, request.attachment().owner());
    /// let (first, last) = ([10, 22, 0, 1].into(), [10, 22, 0, 254].into());
    /// let gateway = [10, 22, 0, 1].into();
    /// let address = pool.reserve_next(first, last, pool.last_reserved(0)?, &[gateway], &owner)?;
    /// assert_eq!(address, Some([10, 22, 0, 2].into()));
    /// # Ok(())
    /// # });
    /// ```
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
    ///
    /// ```
    /// # wharf_testkit::run(|request, _, _| {
    /// use wharf_sdk::leases::Pool;
    /// let (pool, owner) = (Pool::open(None)?, request.attachment().owner());
    /// pool.try_reserve([10, 22, 0, 7].into(), &owner)?;
    /// assert_eq!(pool.release(&owner)?, 1);
    /// assert_eq!(pool.release(&owner)?, 0);
    /// # Ok(())
    /// # });
    /// ```
    pub fn release(&self, owner: &Owner) -> HostResult<u32> {
        Ok(self.raw.release(&owner.to_wit())?)
    }

    /// The addresses of `owner`.
    ///
    /// ```
    /// # wharf_testkit::run(|request, _, _| {
    /// use wharf_sdk::leases::Pool;
    /// let (pool, owner) = (Pool::open(None)?, request.attachment().owner());
    /// pool.try_reserve([10, 22, 0, 7].into(), &owner)?;
    /// assert_eq!(pool.find(&owner)?, [std::net::IpAddr::from([10, 22, 0, 7])]);
    /// # Ok(())
    /// # });
    /// ```
    pub fn find(&self, owner: &Owner) -> HostResult<Vec<IpAddr>> {
        Ok(self.raw.find(&owner.to_wit())?.into_iter().map(Into::into).collect())
    }

    /// Every lease of the pool. Those of an earlier boot are among them in a GC only. In a STATUS and a GC, so are
    /// addresses that a plugin took and was killed before it said for whom: their owner is empty, and a GC can release it.
    ///
    /// ```
    /// # wharf_testkit::run(|request, _, _| {
    /// use wharf_sdk::leases::Pool;
    /// let (pool, owner) = (Pool::open(None)?, request.attachment().owner());
    /// pool.try_reserve([10, 22, 0, 7].into(), &owner)?;
    /// assert_eq!(pool.leases()?.len(), 1);
    /// # Ok(())
    /// # });
    /// ```
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
    ///
    /// ```
    /// # wharf_testkit::run(|_, _, _| {
    /// assert_eq!(wharf_sdk::leases::Pool::open(None)?.last_reserved(0)?, None);
    /// # Ok(())
    /// # });
    /// ```
    pub fn last_reserved(&self, set: u32) -> HostResult<Option<IpAddr>> {
        Ok(self.raw.last_reserved(set)?.map(Into::into))
    }

    /// Moves the cursor of a range set.
    ///
    /// ```
    /// # wharf_testkit::run(|_, _, _| {
    /// let pool = wharf_sdk::leases::Pool::open(None)?;
    /// pool.set_last_reserved(0, [10, 22, 0, 7].into())?;
    /// assert_eq!(pool.last_reserved(0)?, Some([10, 22, 0, 7].into()));
    /// # Ok(())
    /// # });
    /// ```
    pub fn set_last_reserved(&self, set: u32, address: IpAddr) -> HostResult<()> {
        Ok(self.raw.set_last_reserved(set, address.into())?)
    }
}

/// A resolv.conf(5) file of the host; 64 KiB at most.
///
/// ```
/// use wharf_sdk::leases::read_resolv_conf;
/// let node = wharf_testkit::Node::new();
/// node.add_file("/etc/resolv.conf", "nameserver 192.0.2.53\n");
/// let text = node.run(&node.container("c1"), |_, _, _| Ok(read_resolv_conf("/etc/resolv.conf")?))?;
/// assert_eq!(text, "nameserver 192.0.2.53\n");
/// # Ok::<(), wharf_sdk::Error>(())
/// ```
pub fn read_resolv_conf(path: &str) -> HostResult<String> {
    Ok(wit::read_resolv_conf(path)?)
}

impl Owner {
    fn to_wit(&self) -> wit::Owner {
        wit::Owner { container: self.container.clone(), ifname: self.ifname.clone() }
    }
}
