//! DEL: the firewall, the links and the leases go, whatever is still there and whatever fails on the way.

use wharf_sdk::delegate::Ipam;
use wharf_sdk::firewall::{filter, nat};
use wharf_sdk::{
    Context, Error, HostErrorKind, HostResult, Mac, Netns, NetworkResult, Request, Result, debug, warn,
};

use crate::config::Config;
use crate::port::is_host_end;

/// Rules go before links (their removal is then cheaper for the kernel), leases go last, so that nobody gets an
/// address that still has a user.
pub(crate) fn del(request: &Request, host: &Netns, container: Option<&Netns>) -> Result<()> {
    let mut failures = Failures::default();
    failures.note(removed(nat::remove_masquerades()).context("ipMasq"));
    failures.note(removed(filter::remove_anti_spoof()).context("macspoofchk"));
    failures.note(remove_links(request, host, container));
    failures.note(Ipam::of_request(request).and_then(|ipam| ipam.map_or(Ok(()), |ipam| ipam.del())));
    failures.finish()
}

/// Rules are removed whether they are configured or not: the configuration may have been another one at the time of
/// ADD. Where the host cannot have them, or does not let this guest make them, there are none.
fn removed(outcome: HostResult<()>) -> HostResult<()> {
    match outcome {
        Err(error) if matches!(error.kind, HostErrorKind::Denied | HostErrorKind::Unsupported) => {
            debug!("there are no rules to remove: {error}");
            Ok(())
        }
        outcome => outcome,
    }
}

/// The container's end takes the host's along. The host's end is only looked for if the other was not found.
fn remove_links(request: &Request, host: &Netns, container: Option<&Netns>) -> Result<()> {
    let ifname = request.ifname();
    // By its address it is known from the interface of whoever has the namespace by now.
    let known = request.previous().and_then(|previous| inner_end(previous, ifname));
    if let Some(container) = container
        && !is_of_another_bridge(request, host, container)
        && remove_veth(container, ifname, known).context(format_args!("remove {ifname:?}"))?
    {
        return Ok(());
    }
    for (name, mac) in request.previous().into_iter().flat_map(host_ends) {
        // The name is random; the address tells whether it came to be another's, and so does the host.
        match remove_veth(host, name, mac) {
            Err(error) if error.kind == HostErrorKind::Denied => debug!("{name} stays: {error}"),
            outcome => drop(outcome.context(format_args!("remove {name:?}"))?),
        }
    }
    Ok(())
}

/// Whether `CNI_IFNAME` leads to a bridge that is not this network's. Then the namespace has come to be another's since
/// the ADD (plugins#714), and the interface with it. What cannot be told is what the runtime says: ours.
fn is_of_another_bridge(request: &Request, host: &Netns, container: &Netns) -> bool {
    let Ok(config) = Config::of(request) else { return false };
    let master = || -> HostResult<Option<u32>> {
        let Some(inside) = container.link(request.ifname())? else { return Ok(None) };
        let Some(outside) = inside.peer(host)? else { return Ok(None) };
        Ok(outside.info()?.master)
    };
    let Ok(Some(master)) = master() else { return false };
    let bridge = host.link(&config.bridge).and_then(|bridge| bridge.map(|bridge| bridge.info()).transpose());
    let another = bridge.is_ok_and(|bridge| bridge.is_none_or(|bridge| bridge.index != master));
    if another {
        warn!("{} stays: it is not of the bridge {:?}", request.ifname(), config.bridge);
    }
    another
}

/// Removes the veth of that name, and of that address if there is one to compare. Answers whether it is gone now.
fn remove_veth(namespace: &Netns, name: &str, mac: Option<Mac>) -> HostResult<bool> {
    let Some(link) = namespace.link(name)? else {
        return Ok(false);
    };
    match link.info() {
        Ok(info) if info.kind == "veth" && (mac.is_none() || info.mac == mac) => link.delete().map(|()| true),
        Ok(info) => {
            debug!("{name} is of kind {:?} and not of this attachment", info.kind);
            Ok(false)
        }
        // It went by itself, as with its namespace.
        Err(error) if error.kind == HostErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// The hardware address that an earlier ADD gave to the container's end.
fn inner_end(previous: &NetworkResult, ifname: &str) -> Option<Mac> {
    let mut inside = previous.interfaces.iter().filter(|interface| interface.sandbox.is_some());
    inside.find(|interface| interface.name == ifname)?.mac
}

/// The host's ends among the interfaces of an earlier ADD.
pub(crate) fn host_ends(previous: &NetworkResult) -> impl Iterator<Item = (&str, Option<Mac>)> {
    let of_host = previous.interfaces.iter().filter(|interface| interface.sandbox.is_none());
    of_host
        .filter(|interface| is_host_end(&interface.name))
        .map(|interface| (interface.name.as_str(), interface.mac))
}

/// What went wrong in steps that do not wait for each other.
#[derive(Debug, Default)]
pub(crate) struct Failures(Vec<Error>);

impl Failures {
    /// Keeps the error of a step.
    pub(crate) fn note(&mut self, outcome: Result<()>) {
        self.0.extend(outcome.err());
    }

    /// One error for all, with the first one's code.
    pub(crate) fn finish(self) -> Result<()> {
        let mut errors = self.0.into_iter();
        let Some(mut first) = errors.next() else {
            return Ok(());
        };
        for Error { msg, details, .. } in errors {
            first.msg = format!("{}; {msg}", first.msg);
            first.details = match (first.details, details) {
                (Some(before), Some(more)) => Some(format!("{before}; {more}")),
                (before, more) => before.or(more),
            };
        }
        Err(first)
    }
}
