//! {{name}}: gives the container's interface the MTU of the configuration, whoever made it.

use serde::Deserialize;
use wharf_sdk::{Context, Error, Link, Netns, NetworkResult, Request, Result};

/// What the configuration says.
#[derive(Deserialize)]
struct Conf {
    /// In bytes.
    mtu: u32,
}

/// The guest.
pub struct {{type}};

#[wharf_sdk::network(name = "{{name}}")]
impl {{type}} {
    /// Answers what the plugins before it made, with what it changed.
    fn add(request: &Request, _host: &Netns, container: &Netns) -> Result<NetworkResult> {
        let Conf { mtu } = request.config()?;
        let mut result = request.require_previous()?.clone();
        link(request, container)?.set_mtu(mtu).context(format_args!("set the MTU of {:?}", request.ifname()))?;
        for interface in result.interfaces.iter_mut().filter(|interface| interface.sandbox.is_some()) {
            interface.mtu = Some(mtu);
        }
        Ok(result)
    }

    fn check(request: &Request, _host: &Netns, container: &Netns) -> Result<()> {
        let Conf { mtu } = request.config()?;
        let found = link(request, container)?.info()?.mtu;
        if found == mtu {
            return Ok(());
        }
        Err(Error::check(format!("the MTU of {:?} is {found}, not {mtu}", request.ifname())))
    }
}

fn link(request: &Request, container: &Netns) -> Result<Link> {
    let missing = || Error::plugin(format!("the container has no interface {:?}", request.ifname()));
    container.link(request.ifname())?.ok_or_else(missing)
}
