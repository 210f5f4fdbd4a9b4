//! `wharf:host/delegate`.

use wharf_ops::call::CniError;
use wharf_ops::delegate::{DelegateOp, Verb};
use wharf_ops::{Error, ErrorKind, Op, Reply};

use crate::bindings::wharf::host::delegate as wit;
use crate::guest::{to_cni_error, to_result};
use crate::state::State;

/// Of an error that no delegate answered: 900 when the grant forbids it, else the host's own fault.
fn cni_error(error: Error) -> CniError {
    let code = if error.kind == ErrorKind::Denied { 900 } else { 999 };
    CniError { code, msg: error.message, details: Some(error.operation).filter(|name| !name.is_empty()) }
}

impl State {
    fn delegate(
        &mut self,
        verb: Verb,
        plugin: String,
        config: String,
    ) -> wasmtime::Result<Result<Reply, wit::CniError>> {
        let reply = self.perform(Op::Delegate(DelegateOp { verb, plugin, config }))?;
        Ok(match reply {
            Ok(Reply::Refused(error)) => Err(to_cni_error(error)),
            Ok(other) => Ok(other),
            Err(error) => Err(to_cni_error(cni_error(error))),
        })
    }

    fn delegate_done(
        &mut self,
        verb: Verb,
        plugin: String,
        config: String,
    ) -> wasmtime::Result<Result<(), wit::CniError>> {
        let reply = self.delegate(verb, plugin, config)?;
        Ok(reply.and_then(|reply| reply.done().map_err(|error| to_cni_error(cni_error(error)))))
    }
}

impl wit::Host for State {
    fn add(
        &mut self,
        plugin: String,
        config: String,
    ) -> wasmtime::Result<Result<wit::NetworkResult, wit::CniError>> {
        Ok(match self.delegate(Verb::Add, plugin, config)? {
            Ok(Reply::Result(result)) => Ok(to_result(result)),
            Ok(other) => {
                let error = Error::internal(format!("the broker answered {other:?} where a result belongs"));
                Err(to_cni_error(cni_error(error)))
            }
            Err(error) => Err(error),
        })
    }

    fn check(&mut self, plugin: String, config: String) -> wasmtime::Result<Result<(), wit::CniError>> {
        self.delegate_done(Verb::Check, plugin, config)
    }

    fn del(&mut self, plugin: String, config: String) -> wasmtime::Result<Result<(), wit::CniError>> {
        self.delegate_done(Verb::Del, plugin, config)
    }

    fn status(&mut self, plugin: String, config: String) -> wasmtime::Result<Result<(), wit::CniError>> {
        self.delegate_done(Verb::Status, plugin, config)
    }

    fn gc(&mut self, plugin: String, config: String) -> wasmtime::Result<Result<(), wit::CniError>> {
        self.delegate_done(Verb::Gc, plugin, config)
    }
}
