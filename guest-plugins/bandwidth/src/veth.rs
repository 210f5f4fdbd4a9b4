//! The host's side of the container's interface.

use wharf_sdk::{Context, Error, Link, LinkInfo, Netns, NetworkResult, Request, Result, code};

/// The other end of `CNI_IFNAME`. The result must list it as an interface of the host: a link that no plugin of the
/// chain has named is not this one's to shape.
pub(crate) fn of_attachment(
    request: &Request,
    result: &NetworkResult,
    host: &Netns,
    container: &Netns,
) -> Result<(Link, LinkInfo)> {
    let ifname = request.ifname();
    if result.interfaces.is_empty() {
        return Err(Error::new(
            code::INVALID_CONFIG,
            "no interfaces provided: prevResult.interfaces is empty",
        ));
    }
    let Some(inside) = container.link(ifname)? else {
        return Err(Error::plugin(format!("container interface {ifname:?} is missing")));
    };
    let Some(outside) = inside.peer(host)? else {
        return Err(Error::plugin(format!(
            "container interface {ifname:?} has no veth peer in the host's namespace"
        )));
    };
    let info = outside.info()?;
    listed(result, ifname, &info.name)?;
    Ok((outside, info))
}

fn listed(result: &NetworkResult, ifname: &str, name: &str) -> Result<()> {
    let of_host = |sandbox: &Option<String>| sandbox.as_ref().is_none_or(String::is_empty);
    if result.interfaces.iter().any(|interface| interface.name == name && of_host(&interface.sandbox)) {
        return Ok(());
    }
    let msg = format!(
        "no veth peer of container interface {ifname:?} found in host ns: prevResult.interfaces does not list {name:?}"
    );
    Err(Error::new(code::INVALID_CONFIG, msg))
}

/// Removes the qdiscs of the other end of `ifname`, if both are still there.
pub(crate) fn clear(ifname: &str, host: &Netns, container: Option<&Netns>) -> Result<()> {
    let Some(inside) = container.map(|container| container.link(ifname)).transpose()?.flatten() else {
        return Ok(());
    };
    match inside.peer(host)? {
        Some(outside) => outside.clear_shaping().context("clear the limits of the host's veth"),
        None => Ok(()),
    }
}

/// Whether an interface of the container other than `ifname` has its traffic redirected to the link of that index.
pub(crate) fn another_sends_through(
    index: u32,
    ifname: &str,
    host: &Netns,
    container: &Netns,
) -> Result<bool> {
    for other in container.links()?.iter().filter(|link| link.kind == "veth" && link.name != ifname) {
        let Some(inside) = container.link(&other.name)? else { continue };
        if let Some(outside) = inside.peer(host)?
            && outside.redirect()? == Some(index)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_sdk::Interface;

    #[test]
    fn the_host_veth_must_be_listed_without_a_sandbox() {
        let mut result = NetworkResult::default();
        result.add_interface(Interface::new("cni0"));
        result.add_interface(Interface::new("veth1").in_sandbox(""));
        result.add_interface(Interface::new("eth0").in_sandbox("/run/netns/c"));
        listed(&result, "eth0", "veth1").unwrap();
        for name in ["veth2", "eth0"] {
            let error = listed(&result, "eth0", name).unwrap_err();
            assert_eq!(error.code, code::INVALID_CONFIG);
            assert!(error.msg.contains(&format!("{name:?}")), "{error}");
        }
    }
}
