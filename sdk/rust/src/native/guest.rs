//! How a test kit calls a guest.

use crate::config::Config;
use crate::error::Result;
use crate::guest::{Ipam, Network};
use crate::net::Netns;
use crate::request::{Owner, Request};
use crate::result::NetworkResult;

use super::{Side, lend};

/// What a guest is called for.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// ADD, which answers a result.
    Add(&'a Request),
    /// CHECK.
    Check(&'a Request),
    /// DEL. A guest that sees namespaces may get none of a container.
    Del(&'a Request),
    /// STATUS.
    Status(&'a Config),
    /// GC, with what stays.
    Gc(&'a Config, &'a [Owner]),
}

/// A guest that is exported: [`export_network!`](crate::export_network) and [`export_ipam!`](crate::export_ipam) say how
/// it is called.
pub trait Guest {
    /// The plugin's `type`.
    const NAME: &'static str;

    /// Makes a call. `container` says whether the container's namespace is there.
    fn call(call: Call<'_>, container: bool) -> Result<Option<NetworkResult>>;
}

/// Calls a main or chained plugin.
pub fn network<T: Network>(call: Call<'_>, container: bool) -> Result<Option<NetworkResult>> {
    let (host, inside): (Netns, Netns) = (lend(Side::Host), lend(Side::Container));
    match call {
        Call::Add(request) => return T::add(request, &host, &inside).map(Some),
        Call::Check(request) => T::check(request, &host, &inside),
        Call::Del(request) => T::del(request, &host, container.then_some(&inside)),
        Call::Status(config) => T::status(config),
        Call::Gc(config, valid) => T::gc(config, valid, &host),
    }
    .map(|()| None)
}

/// Calls an address manager.
pub fn ipam<T: Ipam>(call: Call<'_>, _container: bool) -> Result<Option<NetworkResult>> {
    match call {
        Call::Add(request) => return T::add(request).map(Some),
        Call::Check(request) => T::check(request),
        Call::Del(request) => T::del(request),
        Call::Status(config) => T::status(config),
        Call::Gc(config, valid) => T::gc(config, valid),
    }
    .map(|()| None)
}
