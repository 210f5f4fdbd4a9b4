//! `routes`.
use wharf_ops::routes::RouteOp;
use wharf_ops::{Error, Reply};

use crate::real::RealKernel;

pub(crate) fn apply(_kernel: &mut RealKernel, _op: &RouteOp) -> Result<Reply, Error> {
    Err(Error::internal(""))
}
