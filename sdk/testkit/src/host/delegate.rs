//! `wharf:host/delegate`.

use wharf_ops::delegate::{DelegateOp, Verb as Asked};
use wharf_ops::{Error, ErrorKind, Op};
use wharf_sdk::native::Delegate;
use wharf_sdk::native::wit::cni::types::{CniError, NetworkResult};
use wharf_sdk::{self as sdk, HostError, code};

use super::{Host, Verb};
use crate::change::Change;
use crate::convert::to_error;

/// Delegates may delegate, but not for ever.
const MAX_DEPTH: u32 = 3;

impl Delegate for Host {
    fn add(&self, plugin: &str, config: &str) -> Result<NetworkResult, CniError> {
        match self.delegate(Asked::Add, plugin, config)? {
            Some(result) => Ok(result.into()),
            None => Err(sdk::Error::plugin(format!("{plugin:?} answered no result")).into()),
        }
    }

    fn check(&self, plugin: &str, config: &str) -> Result<(), CniError> {
        Ok(self.delegate(Asked::Check, plugin, config).map(drop)?)
    }

    fn del(&self, plugin: &str, config: &str) -> Result<(), CniError> {
        Ok(self.delegate(Asked::Del, plugin, config).map(drop)?)
    }

    fn status(&self, plugin: &str, config: &str) -> Result<(), CniError> {
        Ok(self.delegate(Asked::Status, plugin, config).map(drop)?)
    }

    fn gc(&self, plugin: &str, config: &str) -> Result<(), CniError> {
        Ok(self.delegate(Asked::Gc, plugin, config).map(drop)?)
    }
}

impl Host {
    fn delegate(&self, verb: Asked, plugin: &str, config: &str) -> sdk::Result<Option<sdk::NetworkResult>> {
        let op = Op::Delegate(DelegateOp { verb, plugin: plugin.to_owned(), config: config.to_owned() });
        let operation = op.operation();
        let refused = self
            .refusal(&op)
            .map(|error| HostError::from(to_error(Error { operation: operation.name.to_owned(), ..error })));
        self.machine.note(operation, Change::of(&op, refused.clone()));
        if let Some(error) = refused {
            // As a sandbox answers it: denied, or the host's own fault.
            let denied = error.kind == sdk::HostErrorKind::Denied;
            let code = if denied { code::DENIED } else { code::INTERNAL };
            return Err(sdk::Error::new(code, error.message).with_details(error.operation));
        }
        if self.depth >= MAX_DEPTH {
            let msg = format!("{plugin}: delegation goes deeper than {MAX_DEPTH} plugins");
            return Err(sdk::Error::new(code::INVALID_CONFIG, msg));
        }
        let delegate = self.machine.delegates.borrow().get(plugin).cloned();
        let Some(delegate) = delegate else {
            let msg = format!(
                "{plugin:?} is not on this node: bring it by Node::delegate or Node::delegate_answers"
            );
            return Err(sdk::Error::new(code::NOT_AVAILABLE, msg));
        };
        delegate(self, verb, config)
    }

    fn refusal(&self, op: &Op) -> Option<Error> {
        let operation = op.operation();
        if operation.changes && matches!(self.verb, Verb::Check | Verb::Status) {
            let reason = format!("{} changes something, and this call may only look", operation.name);
            return Some(Error::new(ErrorKind::Denied, reason));
        }
        self.machine.strike(operation.name).err()
    }
}
