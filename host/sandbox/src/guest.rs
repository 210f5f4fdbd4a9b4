//! Calls a guest through the interface that it exports, and converts what it hears and answers.

use wasmtime::component::InstancePre;
use wasmtime::{Result, Store};
use wharf_ops::call::{
    Answer, Call, CniError, Dns, Interface, IpConfig, Metadata, NetworkResult, Request, ResultRoute,
};
use wharf_ops::{Error, Ns};

use crate::bindings::exports::wharf::plugin::{ipam, network};
use crate::bindings::wharf::cni::types as wit;
use crate::convert::{address, cidr, mac, to_address, to_cidr, to_mac};
use crate::state::{State, lend};

/// What a call comes to: the outer error is a trap, the inner one the guest's own.
type Outcome = Result<Result<Answer, CniError>>;

/// Which of the two interfaces a guest exports.
pub(crate) enum Guest {
    Network(network::GuestIndices),
    Ipam(ipam::GuestIndices),
}

/// A result that no honest guest answers with.
#[derive(Debug, thiserror::Error)]
#[error("its result is not valid: {0}")]
struct BadResult(Error);

impl Guest {
    pub(crate) fn network(pre: &InstancePre<State>) -> Result<Self> {
        network::GuestIndices::new(pre).map(Self::Network)
    }

    pub(crate) fn ipam(pre: &InstancePre<State>) -> Result<Self> {
        ipam::GuestIndices::new(pre).map(Self::Ipam)
    }

    /// Makes the call. `container` says whether there is a container to lend.
    pub(crate) fn call(
        &self,
        store: &mut Store<State>,
        instance: &wasmtime::component::Instance,
        call: &Call,
        container: bool,
    ) -> Outcome {
        match self {
            Self::Network(indices) => call_network(&indices.load(&mut *store, instance)?, store, call, container),
            Self::Ipam(indices) => call_ipam(&indices.load(&mut *store, instance)?, store, call),
        }
    }
}

fn call_network(guest: &network::Guest, store: &mut Store<State>, call: &Call, container: bool) -> Outcome {
    let (host, inside) = (lend(Ns::Host), lend(Ns::Container));
    match call {
        Call::Describe => Ok(Ok(Answer::Metadata(metadata(guest.call_describe(store)?)))),
        Call::Add(request) => result(guest.call_add(store, &to_request(request), host, inside)?),
        Call::Check(request) => done(guest.call_check(store, &to_request(request), host, inside)?),
        Call::Del(request) => {
            done(guest.call_del(store, &to_request(request), host, container.then_some(inside))?)
        }
        Call::Status { config } => done(guest.call_status(store, config)?),
        Call::Gc { config, valid } => done(guest.call_gc(store, config, valid, host)?),
    }
}

fn call_ipam(guest: &ipam::Guest, store: &mut Store<State>, call: &Call) -> Outcome {
    match call {
        Call::Describe => Ok(Ok(Answer::Metadata(metadata(guest.call_describe(store)?)))),
        Call::Add(request) => result(guest.call_add(store, &to_request(request))?),
        Call::Check(request) => done(guest.call_check(store, &to_request(request))?),
        Call::Del(request) => done(guest.call_del(store, &to_request(request))?),
        Call::Status { config } => done(guest.call_status(store, config)?),
        Call::Gc { config, valid } => done(guest.call_gc(store, config, valid)?),
    }
}

fn result(from: Result<wit::NetworkResult, wit::CniError>) -> Outcome
where
{
    match from {
        Ok(from) => Ok(Ok(Answer::Result(network_result(from).map_err(BadResult)?))),
        Err(error) => Ok(Err(cni_error(error))),
    }
}

fn done(from: Result<(), wit::CniError>) -> Outcome {
    Ok(from.map(|()| Answer::Done).map_err(cni_error))
}
