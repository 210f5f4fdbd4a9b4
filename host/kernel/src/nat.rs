//! `nat`.
use wharf_ops::nat::NatOp;
use wharf_ops::{Attachment, Error, Reply};

use crate::real::RealKernel;

pub(crate) fn apply(_kernel: &mut RealKernel, _owner: &Attachment, _op: &NatOp) -> Result<Reply, Error> {
    Err(Error::internal("owner C writes this"))
}

pub(crate) fn owners(_kernel: &mut RealKernel, _network: &str) -> Result<Vec<Attachment>, Error> {
    Err(Error::internal("owner C writes this"))
}

pub(crate) fn sweep(_kernel: &mut RealKernel, _owner: &Attachment) -> Result<(), Error> {
    Err(Error::internal("owner C writes this"))
}
