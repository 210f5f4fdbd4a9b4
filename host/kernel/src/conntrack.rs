//! `conntrack`.
use wharf_ops::conntrack::ConntrackOp;
use wharf_ops::{Error, Reply};

use crate::real::RealKernel;

pub(crate) fn apply(_kernel: &mut RealKernel, _op: &ConntrackOp) -> Result<Reply, Error> {
    Err(Error::internal("owner C writes this"))
}
