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
use crate::offer;
use crate::policy::Indices;
use crate::state::{State, lend};

/// What a call comes to: the outer error is a trap, the inner one the guest's own.
type Outcome = Result<Result<Answer, CniError>>;

/// Which of the interfaces a guest exports.
pub(crate) enum Guest {
    Network(network::GuestIndices),
    Ipam(ipam::GuestIndices),
    /// Either kind of policy.
    Policy(Indices),
}

/// A result that no honest guest answers with.
#[derive(Debug, thiserror::Error)]
#[error("its result is not valid: {0}")]
struct BadResult(Error);

/// It is a policy, and is called as a plugin.
#[derive(Debug, thiserror::Error)]
#[error("it is a policy, and no plugin")]
struct NoPlugin;

/// Functions of the right names and of other types. That shows only once the component is instantiated.
#[derive(Debug, thiserror::Error)]
#[error("what it exports as {0} does not have its types: {1}")]
pub(crate) struct WrongExports(&'static str, String);

impl WrongExports {
    pub(crate) fn of(interface: &'static str) -> impl Fn(wasmtime::Error) -> Self {
        move |error| Self(interface, format!("{error:#}"))
    }
}

impl Guest {
    pub(crate) fn network(pre: &InstancePre<State>) -> Result<Self> {
        network::GuestIndices::new(pre).map(Self::Network)
    }

    pub(crate) fn ipam(pre: &InstancePre<State>) -> Result<Self> {
        ipam::GuestIndices::new(pre).map(Self::Ipam)
    }

    pub(crate) fn policy(pre: &InstancePre<State>) -> Result<Self> {
        Indices::policy(pre).map(Self::Policy)
    }

    pub(crate) fn admission(pre: &InstancePre<State>) -> Result<Self> {
        Indices::admission(pre).map(Self::Policy)
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
            Self::Network(indices) => {
                let guest = indices.load(&mut *store, instance).map_err(WrongExports::of(offer::NETWORK))?;
                call_network(&guest, store, call, container)
            }
            Self::Ipam(indices) => {
                let guest = indices.load(&mut *store, instance).map_err(WrongExports::of(offer::IPAM))?;
                call_ipam(&guest, store, call)
            }
            // The broker goes by the manifest, which the installer has from the component.
            Self::Policy(_) => Err(NoPlugin.into()),
        }
    }
}

fn call_network(guest: &network::Guest, store: &mut Store<State>, call: &Call, container: bool) -> Outcome {
    let (host, inside) = (lend(Ns::Host), lend(Ns::Container));
    match call {
        Call::Describe => Ok(Ok(Answer::Metadata(metadata(guest.call_describe(store)?)))),
        Call::Add(request) => result(guest.call_add(store, &to_request(request), host, inside)?),
        Call::Check(request) => Ok(done(guest.call_check(store, &to_request(request), host, inside)?)),
        Call::Del(request) => {
            Ok(done(guest.call_del(store, &to_request(request), host, container.then_some(inside))?))
        }
        Call::Status { config } => Ok(done(guest.call_status(store, config)?)),
        Call::Gc { config, valid } => Ok(done(guest.call_gc(store, config, valid, host)?)),
    }
}

fn call_ipam(guest: &ipam::Guest, store: &mut Store<State>, call: &Call) -> Outcome {
    match call {
        Call::Describe => Ok(Ok(Answer::Metadata(metadata(guest.call_describe(store)?)))),
        Call::Add(request) => result(guest.call_add(store, &to_request(request))?),
        Call::Check(request) => Ok(done(guest.call_check(store, &to_request(request))?)),
        Call::Del(request) => Ok(done(guest.call_del(store, &to_request(request))?)),
        Call::Status { config } => Ok(done(guest.call_status(store, config)?)),
        Call::Gc { config, valid } => Ok(done(guest.call_gc(store, config, valid)?)),
    }
}

fn result(from: Result<wit::NetworkResult, wit::CniError>) -> Outcome {
    match from {
        Ok(from) => Ok(Ok(Answer::Result(network_result(from).map_err(BadResult)?))),
        Err(error) => Ok(Err(cni_error(error))),
    }
}

fn done(from: Result<(), wit::CniError>) -> Result<Answer, CniError> {
    from.map(|()| Answer::Done).map_err(cni_error)
}

fn cni_error(from: wit::CniError) -> CniError {
    let wit::CniError { code, msg, details } = from;
    CniError { code, msg, details }
}

pub(crate) fn to_cni_error(from: CniError) -> wit::CniError {
    let CniError { code, msg, details } = from;
    wit::CniError { code, msg, details }
}

fn metadata(from: wit::Metadata) -> Metadata {
    let wit::Metadata { name, version, capabilities } = from;
    Metadata { name, version, capabilities }
}

fn to_request(from: &Request) -> wit::Request {
    wit::Request {
        attachment: wit::Attachment {
            network: from.attachment.network.clone(),
            container: from.attachment.container.clone(),
            ifname: from.attachment.ifname.clone(),
        },
        netns_path: from.netns_path.clone(),
        args: from.args.clone(),
        config: from.config.clone(),
        previous: from.previous.clone().map(to_result),
    }
}

fn network_result(from: wit::NetworkResult) -> Result<NetworkResult, Error> {
    Ok(NetworkResult {
        interfaces: from.interfaces.into_iter().map(interface).collect(),
        ips: from.ips.into_iter().map(ip).collect::<Result<_, _>>()?,
        routes: from.routes.into_iter().map(route).collect::<Result<_, _>>()?,
        dns: Dns {
            nameservers: from.dns.nameservers,
            domain: from.dns.domain,
            search: from.dns.search,
            options: from.dns.options,
        },
    })
}

pub(crate) fn to_result(from: NetworkResult) -> wit::NetworkResult {
    wit::NetworkResult {
        interfaces: from.interfaces.into_iter().map(to_interface).collect(),
        ips: from.ips.iter().map(to_ip).collect(),
        routes: from.routes.iter().map(to_route).collect(),
        dns: wit::Dns {
            nameservers: from.dns.nameservers,
            domain: from.dns.domain,
            search: from.dns.search,
            options: from.dns.options,
        },
    }
}

fn interface(from: wit::NetworkInterface) -> Interface {
    Interface {
        name: from.name,
        mac: from.mac.map(mac),
        mtu: from.mtu,
        sandbox: from.sandbox,
        socket_path: from.socket_path,
        pci_id: from.pci_id,
    }
}

fn to_interface(from: Interface) -> wit::NetworkInterface {
    wit::NetworkInterface {
        name: from.name,
        mac: from.mac.map(to_mac),
        mtu: from.mtu,
        sandbox: from.sandbox,
        socket_path: from.socket_path,
        pci_id: from.pci_id,
    }
}

fn ip(from: wit::IpConfig) -> Result<IpConfig, Error> {
    Ok(IpConfig {
        address: cidr(from.address)?,
        gateway: from.gateway.map(address),
        interface: from.interface,
    })
}

fn to_ip(from: &IpConfig) -> wit::IpConfig {
    wit::IpConfig {
        address: to_cidr(from.address),
        gateway: from.gateway.map(to_address),
        interface: from.interface,
    }
}

fn route(from: wit::ResultRoute) -> Result<ResultRoute, Error> {
    Ok(ResultRoute {
        dst: cidr(from.dst)?,
        gw: from.gw.map(address),
        mtu: from.mtu,
        advmss: from.advmss,
        priority: from.priority,
        table: from.table,
        scope: from.scope,
    })
}

fn to_route(from: &ResultRoute) -> wit::ResultRoute {
    wit::ResultRoute {
        dst: to_cidr(from.dst),
        gw: from.gw.map(to_address),
        mtu: from.mtu,
        advmss: from.advmss,
        priority: from.priority,
        table: from.table,
        scope: from.scope,
    }
}
