//! `filter`.
use wharf_ops::filter::FilterOp;
use wharf_ops::{Attachment, Error, Reply};

use crate::real::RealKernel;

pub(crate) fn apply(_kernel: &mut RealKernel, _owner: &Attachment, _op: &FilterOp) -> Result<Reply, Error> {
    Err(Error::internal("owner C writes this"))
}
