//! `wharf:store/leases`.

use wasmtime::component::Resource;
use wharf_ops::leases::{LeaseOp, LeaseOwner};
use wharf_ops::{Error, Op, Reply};

use crate::bindings::wharf::store::leases as wit;
use crate::convert::{address, to_address};
use crate::state::{Answer, State};

/// An open pool, by the number that the broker gave it.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct Pool(u32);

impl State {
    fn pool(&self, handle: &Resource<Pool>) -> wasmtime::Result<u32> {
        Ok(self.table.get(handle)?.0)
    }
}

impl wit::HostPool for State {
    fn open(&mut self, directory: Option<String>) -> Answer<Resource<Pool>> {
        Ok(match self.ask(Op::Lease(LeaseOp::Open { directory }), Reply::pool)? {
            Ok(pool) => Ok(self.table.push(Pool(pool))?),
            Err(error) => Err(error),
        })
    }

    fn try_reserve(&mut self, this: Resource<Pool>, wanted: wit::Address, by: wit::Owner) -> Answer<bool> {
        let pool = self.pool(&this)?;
        let operation = LeaseOp::TryReserve { pool, address: address(wanted), owner: owner(by) };
        self.ask(Op::Lease(operation), Reply::flag)
    }

    fn reserve_next(
        &mut self,
        this: Resource<Pool>,
        range: wit::Range,
        after: Option<wit::Address>,
        skip: Vec<wit::Address>,
        by: wit::Owner,
    ) -> Answer<Option<wit::Address>> {
        let operation = LeaseOp::ReserveNext {
            pool: self.pool(&this)?,
            first: address(range.first),
            last: address(range.last),
            after: after.map(address),
            skip: skip.into_iter().map(address).collect(),
            owner: owner(by),
        };
        self.ask(Op::Lease(operation), |reply| Ok(reply.maybe_address()?.map(to_address)))
    }

    fn release(&mut self, this: Resource<Pool>, by: wit::Owner) -> Answer<u32> {
        let pool = self.pool(&this)?;
        self.ask(Op::Lease(LeaseOp::Release { pool, owner: owner(by) }), |reply| {
            reply
                .count()?
                .ok_or_else(|| Error::internal("the broker did not say how many leases it released"))
        })
    }

    fn find(&mut self, this: Resource<Pool>, by: wit::Owner) -> Answer<Vec<wit::Address>> {
        let pool = self.pool(&this)?;
        self.ask(Op::Lease(LeaseOp::Find { pool, owner: owner(by) }), |reply| {
            Ok(reply.hosts()?.into_iter().map(to_address).collect())
        })
    }

    fn get_all(&mut self, this: Resource<Pool>) -> Answer<Vec<wit::Lease>> {
        let pool = self.pool(&this)?;
        self.ask(Op::Lease(LeaseOp::GetAll { pool }), |reply| {
            Ok(reply
                .leases()?
                .into_iter()
                .map(|lease| wit::Lease {
                    address: to_address(lease.address),
                    owner: wit::Owner { container: lease.owner.container, ifname: lease.owner.ifname },
                })
                .collect())
        })
    }

    fn last_reserved(&mut self, this: Resource<Pool>, set: u32) -> Answer<Option<wit::Address>> {
        let pool = self.pool(&this)?;
        self.ask(Op::Lease(LeaseOp::LastReserved { pool, set }), |reply| {
            Ok(reply.maybe_address()?.map(to_address))
        })
    }

    fn set_last_reserved(&mut self, this: Resource<Pool>, set: u32, last: wit::Address) -> Answer<()> {
        let pool = self.pool(&this)?;
        self.ask(Op::Lease(LeaseOp::SetLastReserved { pool, set, address: address(last) }), Reply::done)
    }

    /// The broker releases the lock. That it might refuse is its own affair: a destructor has nobody to tell.
    fn drop(&mut self, this: Resource<Pool>) -> wasmtime::Result<()> {
        let Pool(pool) = self.table.delete(this)?;
        let _ = self.perform(Op::Lease(LeaseOp::Close { pool }))?;
        Ok(())
    }
}

impl wit::Host for State {
    fn read_resolv_conf(&mut self, path: String) -> Answer<String> {
        self.ask(Op::Lease(LeaseOp::ReadResolvConf { path }), Reply::text)
    }
}

fn owner(from: wit::Owner) -> LeaseOwner {
    LeaseOwner { container: from.container, ifname: from.ifname }
}
