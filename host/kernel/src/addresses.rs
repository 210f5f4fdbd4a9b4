//! `addresses`.
use wharf_ops::addresses::AddressOp;
use wharf_ops::{Error, Reply};

use crate::real::RealKernel;

pub(crate) fn apply(_kernel: &mut RealKernel, _op: &AddressOp) -> Result<Reply, Error> {
    Err(Error::internal(""))
}
