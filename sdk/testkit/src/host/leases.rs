//! `wharf:store/leases`.

use wharf_ops::leases::{self, LeaseOp, LeaseOwner};
use wharf_ops::{Error, ErrorKind, Reply};
use wharf_sdk::native::Leases;
use wharf_sdk::native::wit::store::leases::{Lease, Owner, Range};
use wharf_sdk::native::wit::types::ip::Address;

use super::{Answer, Host, Verb};
use crate::convert::addresses;

impl Leases for Host {
    fn open(&self, directory: Option<&str>) -> Answer<u32> {
        self.ask(LeaseOp::Open { directory: directory.map(str::to_owned) }, Reply::pool)
    }

    fn close(&self, pool: u32) -> Answer<()> {
        self.pools.borrow_mut().remove(&pool);
        Ok(())
    }

    fn try_reserve(&self, pool: u32, address: Address, owner: &Owner) -> Answer<bool> {
        self.ask(
            LeaseOp::TryReserve { pool, address: address.into(), owner: lease_owner(owner) },
            Reply::flag,
        )
    }

    fn reserve_next(
        &self,
        pool: u32,
        range: Range,
        after: Option<Address>,
        skip: &[Address],
        owner: &Owner,
    ) -> Answer<Option<Address>> {
        let op = LeaseOp::ReserveNext {
            pool,
            first: range.first.into(),
            last: range.last.into(),
            after: after.map(Into::into),
            skip: addresses(skip),
            owner: lease_owner(owner),
        };
        self.ask(op, |reply| Ok(reply.maybe_address()?.map(Into::into)))
    }

    fn release(&self, pool: u32, owner: &Owner) -> Answer<u32> {
        let op = LeaseOp::Release { pool, owner: lease_owner(owner) };
        self.ask(op, |reply| Ok(reply.count()?.unwrap_or_default()))
    }

    fn find(&self, pool: u32, owner: &Owner) -> Answer<Vec<Address>> {
        let op = LeaseOp::Find { pool, owner: lease_owner(owner) };
        self.ask(op, |reply| Ok(reply.hosts()?.into_iter().map(Into::into).collect()))
    }

    fn get_all(&self, pool: u32) -> Answer<Vec<Lease>> {
        self.ask(LeaseOp::GetAll { pool }, |reply| Ok(reply.leases()?.into_iter().map(to_lease).collect()))
    }

    fn last_reserved(&self, pool: u32, set: u32) -> Answer<Option<Address>> {
        self.ask(LeaseOp::LastReserved { pool, set }, |reply| Ok(reply.maybe_address()?.map(Into::into)))
    }

    fn set_last_reserved(&self, pool: u32, set: u32, address: Address) -> Answer<()> {
        self.ask(LeaseOp::SetLastReserved { pool, set, address: address.into() }, Reply::done)
    }

    fn read_resolv_conf(&self, path: &str) -> Answer<String> {
        self.ask(LeaseOp::ReadResolvConf { path: path.to_owned() }, Reply::text)
    }
}

impl Host {
    pub(super) fn lease(&self, op: &LeaseOp) -> Result<Reply, Error> {
        let pool = match op {
            LeaseOp::ReadResolvConf { path } => return self.file(path).map(Reply::Text),
            LeaseOp::Open { directory } => return self.open_pool(directory.clone()).map(Reply::Pool),
            LeaseOp::Close { .. } => return Ok(Reply::Done),
            LeaseOp::TryReserve { pool, owner, .. }
            | LeaseOp::ReserveNext { pool, owner, .. }
            | LeaseOp::Release { pool, owner }
            | LeaseOp::Find { pool, owner } => {
                self.check_owner(owner)?;
                pool
            }
            LeaseOp::GetAll { pool }
            | LeaseOp::LastReserved { pool, .. }
            | LeaseOp::SetLastReserved { pool, .. } => pool,
        };
        let Some(directory) = self.pools.borrow().get(pool).cloned() else {
            return Err(Error::new(ErrorKind::Denied, format!("pool {pool} is not open in this call")));
        };
        let key = (self.attachment.network.clone(), directory);
        let mut all = self.machine.leases.borrow_mut();
        let reply = all.entry(key.clone()).or_default().apply(op, matches!(self.verb, Verb::Gc(_)))?;
        let reserves = matches!(op, LeaseOp::TryReserve { .. } | LeaseOp::ReserveNext { .. });
        if self.verb == Verb::Add && reserves {
            let mut records = self.machine.records.borrow_mut();
            records.entry(self.attachment.clone()).or_default().note_leases(key);
        }
        Ok(reply)
    }

    fn open_pool(&self, directory: Option<String>) -> Result<u32, Error> {
        let mut pools = self.pools.borrow_mut();
        if pools.values().any(|open| *open == directory) {
            return Err(Error::new(ErrorKind::Busy, "this call holds the pool already"));
        }
        let number = pools.keys().last().map_or(1, |last| last + 1);
        let key = (self.attachment.network.clone(), directory.clone());
        self.machine.leases.borrow_mut().entry(key).or_default().open();
        pools.insert(number, directory);
        Ok(number)
    }

    /// Leases are one's own, but in a GC.
    fn check_owner(&self, owner: &LeaseOwner) -> Result<(), Error> {
        let own = owner.container == self.attachment.container && owner.ifname == self.attachment.ifname;
        if own || matches!(self.verb, Verb::Gc(_)) {
            return Ok(());
        }
        let reason = format!("leases of {}/{} are another attachment's", owner.container, owner.ifname);
        Err(Error::new(ErrorKind::Denied, reason))
    }

    fn file(&self, path: &str) -> Result<String, Error> {
        let files = self.machine.files.borrow();
        let missing =
            || Error::from_errno(2, format!("resolvConf: {path}: there is no such file on this node"));
        files.get(path).cloned().ok_or_else(missing)
    }
}

fn lease_owner(from: &Owner) -> LeaseOwner {
    LeaseOwner { container: from.container.clone(), ifname: from.ifname.clone() }
}

fn to_lease(from: leases::Lease) -> Lease {
    let LeaseOwner { container, ifname } = from.owner;
    Lease { address: from.address.into(), owner: Owner { container, ifname } }
}
