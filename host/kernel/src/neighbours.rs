//! `neighbours`.
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::{Error, Reply};

use crate::real::RealKernel;

pub(crate) fn apply(_kernel: &mut RealKernel, _op: &NeighbourOp) -> Result<Reply, Error> {
    Err(Error::internal(""))
}
