//! `links`.
use wharf_ops::links::LinkOp;
use wharf_ops::{Error, Reply};

use crate::real::RealKernel;

pub(crate) fn apply(_kernel: &mut RealKernel, _op: &LinkOp) -> Result<Reply, Error> {
    Err(Error::internal(""))
}
