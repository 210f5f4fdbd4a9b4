//! `bridge_ports`.
use wharf_ops::bridge_ports::BridgePortOp;
use wharf_ops::{Error, Reply};

use crate::real::RealKernel;

pub(crate) fn apply(_kernel: &mut RealKernel, _op: &BridgePortOp) -> Result<Reply, Error> {
    Err(Error::internal(""))
}
