//! `sysctl`.
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{Error, Reply};

use crate::real::RealKernel;

pub(crate) fn apply(_kernel: &mut RealKernel, _op: &SysctlOp) -> Result<Reply, Error> {
    Err(Error::internal(""))
}
