//! Operations of a guest on leases: whose they may be about, and how they are recorded.

use wharf_ops::leases::{Lease, LeaseOp, LeaseOwner};
use wharf_ops::{Attachment, Error, ErrorKind, Op, Reply};

use super::{Invocation, Session};
use crate::Paths;
use crate::journal::{Effect, Outcome, Store};
use crate::launch::Launcher;
use crate::lease_ops::{self, Access};
use crate::pipeline::Course;
use crate::run::{LeaseChange, Moment};

impl Session<'_> {
    /// Refuses what is about another attachment's leases, or a pool that this call has not opened. A GC may give back what
    /// is nobody's.
    pub(super) fn check_lease(
        &self,
        paths: &Paths,
        attachment: &Attachment,
        op: &LeaseOp,
    ) -> Result<(), Error> {
        if let Some(owner) = lease_ops::owner_of(op) {
            let is_others = match self.leases {
                Access::Any => {
                    matches!(op, LeaseOp::Release { .. }) && self.stays(paths, attachment, owner)?
                }
                Access::Make | Access::Own | Access::Survey => {
                    owner.container != attachment.container || owner.ifname != attachment.ifname
                }
            };
            if is_others {
                let reason =
                    format!("leases of {}/{} are another attachment's", owner.container, owner.ifname);
                return Err(Error::new(ErrorKind::Denied, reason));
            }
        }
        match op {
            LeaseOp::ReadResolvConf { .. } | LeaseOp::Open { .. } | LeaseOp::Close { .. } => Ok(()),
            LeaseOp::Release { pool, .. }
            | LeaseOp::TryReserve { pool, .. }
            | LeaseOp::ReserveNext { pool, .. }
            | LeaseOp::Find { pool, .. }
            | LeaseOp::GetAll { pool }
            | LeaseOp::LastReserved { pool, .. }
            | LeaseOp::SetLastReserved { pool, .. } => {
                if self.pools.contains_key(pool) {
                    Ok(())
                } else {
                    Err(not_open(*pool))
                }
            }
        }
    }
}

impl Session<'_> {
    /// Whether a GC has to leave an owner's leases alone.
    fn stays(&self, paths: &Paths, of: &Attachment, owner: &LeaseOwner) -> Result<bool, Error> {
        let holds = |(container, ifname): &(String, String)| holds(owner, container, ifname);
        Ok(self.valid.is_some_and(|valid| valid.iter().any(holds)) || running(paths, of)?.iter().any(holds))
    }
}

/// Whether a lease is the attachment's. One without an interface, as old versions of the reference wrote it, is any
/// attachment's of its container.
fn holds(owner: &LeaseOwner, container: &str, ifname: &str) -> bool {
    owner.container == container && (owner.ifname == ifname || owner.ifname.is_empty())
}

/// The attachments of the network that have a journal. In a GC, the records of what is not valid were swept before: what
/// has one all the same is being made, or was not to be removed.
fn running(paths: &Paths, of: &Attachment) -> Result<Vec<(String, String)>, Error> {
    Store::of(paths).attachments(&of.network).map_err(|error| Error::new(ErrorKind::Io, error.to_string()))
}

fn not_open(pool: u32) -> Error {
    Error::new(ErrorKind::Denied, format!("pool {pool} is not open in this call"))
}

impl<L: Launcher> Invocation<'_, L> {
    /// Carries out what [`Session::check_lease`] let pass.
    pub(super) fn lease(
        &mut self,
        session: &mut Session<'_>,
        guest: &str,
        op: LeaseOp,
    ) -> Result<Reply, Error> {
        let paths = &self.broker.paths;
        let (number, op) = match op {
            LeaseOp::ReadResolvConf { path } => {
                lease_ops::configured(session.conf, "resolvConf", Some(&path))?;
                return lease_ops::read_resolv_conf(paths, &path);
            }
            LeaseOp::Open { directory } => {
                if let Some(path) = &directory {
                    lease_ops::check_path("ipam.dataDir", path)?;
                }
                lease_ops::configured(session.conf, "dataDir", directory.as_deref())?;
                if session.pools.values().any(|(open, _)| *open == directory) {
                    return Err(Error::new(ErrorKind::Busy, "this call holds the pool already"));
                }
                let network = &self.attachment.network;
                let place = paths.leases(directory.as_deref(), network);
                let index = paths.lease_index(directory.as_deref(), network);
                let pool = lease_ops::open(session.leases, &place, &index, Some(session.deadline))?;
                session.pools_opened += 1;
                session.pools.insert(session.pools_opened, (directory, pool));
                return Ok(Reply::Pool(session.pools_opened));
            }
            LeaseOp::Close { pool } => {
                session.pools.remove(&pool);
                return Ok(Reply::Done);
            }
            LeaseOp::Release { pool, .. } => {
                // Nobody may get the address while the link that has it is still there.
                self.take_down();
                (pool, op)
            }
            LeaseOp::TryReserve { pool, .. }
            | LeaseOp::ReserveNext { pool, .. }
            | LeaseOp::Find { pool, .. }
            | LeaseOp::GetAll { pool }
            | LeaseOp::LastReserved { pool, .. }
            | LeaseOp::SetLastReserved { pool, .. } => (pool, op),
        };
        let (directory, pool) = session.pools.get_mut(&number).ok_or_else(|| not_open(number))?;
        let changes = Op::Lease(op.clone()).operation().changes;
        if !changes {
            let (mut reply, _) = lease_ops::apply(pool, &op)?;
            if let (Reply::Leases(leases), Some(valid)) = (&mut reply, session.valid) {
                // Read while the pool is held: whoever has a lease in it has a journal since before. The guest knows whom
                // it has to leave alone, but for those who came since.
                let running = running(paths, &self.attachment)?;
                leases.retain(|Lease { owner, .. }| {
                    let by = |(container, ifname): &&(String, String)| holds(owner, container, ifname);
                    valid.iter().any(|one| by(&one)) || !running.iter().any(|one| by(&one))
                });
            }
            return Ok(reply);
        }
        let reserved = match &op {
            LeaseOp::TryReserve { address, owner, .. } => Some((Some(*address), owner)),
            LeaseOp::ReserveNext { owner, .. } => Some((None, owner)),
            _ => None,
        };
        let releases = matches!(op, LeaseOp::Release { .. });
        let mut recording = None;
        if let (Course::Add(running), Some((address, owner))) = (&mut self.course, reserved) {
            let held = pool.find(owner)?;
            running.intend(guest, Effect::Lease { directory: directory.clone(), address, held })?;
            recording = Some(running);
        }
        let hook = &self.broker.lease_hook;
        let change = LeaseChange::Asked(&op);
        let done =
            hook(&change, Moment::Before).and_then(|()| lease_ops::apply(pool, &op)).and_then(|done| {
                hook(&change, Moment::After(&done.0))?;
                Ok(done)
            });
        if let Some(running) = recording {
            running.ended(match &done {
                Ok((_, Some((address, _)))) => Outcome::Reserved(*address),
                Ok((_, None)) => Outcome::Nothing,
                Err(_) => Outcome::Failed,
            })?;
        }
        if let (Course::Del(removal), true, Ok(_)) = (&mut self.course, releases, &done) {
            removal.owned.leases_released(directory.as_deref());
        }
        done.map(|(reply, _)| reply)
    }
}
