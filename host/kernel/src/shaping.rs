//! `shaping`.
use wharf_ops::shaping::ShapingOp;
use wharf_ops::{Error, Reply};

use crate::real::RealKernel;

pub(crate) fn apply(_kernel: &mut RealKernel, _op: &ShapingOp) -> Result<Reply, Error> {
    Err(Error::internal(""))
}
