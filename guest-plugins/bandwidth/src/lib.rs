//! The bandwidth plugin: token buckets on the host's side of a container's veth.
//!
//! What goes into the container is shaped at the root of the host veth. What comes out is redirected to an ifb and
//! shaped there. The ifb's alias names the attachment, so that GC finds it without a record.

mod limits;
mod names;
mod veth;

use serde::Deserialize;
use wharf_sdk::net::LinkCommon;
use wharf_sdk::tc::Rate;
use wharf_sdk::{
    Config, Context, Error, HostErrorKind, Interface, Link, LinkInfo, Netns, Network, NetworkResult, Owner,
    Request, Result, code, warn,
};

use limits::Limits;

/// The guest.
#[derive(Debug)]
pub struct Bandwidth;

impl Network for Bandwidth {
    const NAME: &'static str = "bandwidth";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CAPABILITIES: &'static [&'static str] = &["bandwidth"];

    fn add(request: &Request, host: &Netns, container: &Netns) -> Result<NetworkResult> {
        let limits = Limits::of(request.raw_config())?;
        let mut result = request.require_previous()?.clone();
        if !limits.any() {
            return Ok(result);
        }
        let (veth, info) = veth::of_attachment(request, &result, host, container)?;
        if let Some(rate) = limits.egress {
            let ifb = limit_egress(request, host, &veth, &info, rate)?;
            result.add_interface(Interface::new(ifb.name).with_mac(ifb.mac));
        }
        if let Some(rate) = limits.ingress {
            veth.set_egress(rate).context(format_args!("limit what {:?} sends", info.name))?;
        }
        Ok(result)
    }

    fn check(request: &Request, host: &Netns, container: &Netns) -> Result<()> {
        let limits = Limits::of(request.raw_config())?;
        if !limits.any() {
            return Ok(());
        }
        let (veth, info) = veth::of_attachment(request, request.require_previous()?, host, container)?;
        if let Some(rate) = limits.ingress {
            check_bucket(&info.name, rate, veth.egress()?)?;
        }
        if let Some(rate) = limits.egress {
            let (ifb, ifb_info) = find_ifb(request, host)?;
            check_bucket(&ifb_info.name, rate, ifb.egress()?)?;
            check_redirect(&info.name, &ifb_info, veth.redirect()?)?;
        }
        Ok(())
    }

    fn del(request: &Request, host: &Netns, container: Option<&Netns>) -> Result<()> {
        // A limit that cannot be read any more may have been in force.
        let limited = Limits::of(request.raw_config()).map_or(true, |limits| limits.any());
        let own = own_ifb(request, host)?;
        let mut outcome = Ok(());
        if limited || own.is_some() {
            outcome = outcome.and(permitted(veth::clear(request.ifname(), host, container)));
        }
        if let Some((ifb, info)) = own {
            outcome = outcome.and(permitted(ifb.delete().context(format_args!("delete {:?}", info.name))));
        }
        outcome.and(permitted(delete_reference_ifb(request, host, container)))
    }

    fn status(config: &Config) -> Result<()> {
        Limits::of(config).map(|_| ())
    }

    fn gc(config: &Config, valid: &[Owner], host: &Netns) -> Result<()> {
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        let network = config.parse::<Named>()?.name;
        let mut outcome = Ok(());
        for name in names::stale(&host.links()?, &network, valid) {
            let deleted = match host.link(name) {
                Ok(Some(ifb)) => ifb.delete(),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            outcome = outcome.and(deleted.context(format_args!("delete {name:?}")));
        }
        outcome
    }
}

wharf_sdk::export_network!(Bandwidth);

/// What this guest may not touch, it did not make, or made under a wider grant: then the host's record has it. A DEL that
/// failed for it would keep the rest of the list from being cleaned.
fn permitted(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(error) if error.code == code::DENIED => {
            warn!("it stays as it is: {error}");
            Ok(())
        }
        outcome => outcome,
    }
}

/// Shapes before the ifb is raised and redirects last: no packet meets a half-made path, and a qdisc on a link that
/// is down costs the kernel a tenth.
fn limit_egress(
    request: &Request,
    host: &Netns,
    veth: &Link,
    info: &LinkInfo,
    rate: Rate,
) -> Result<LinkInfo> {
    let attachment = request.attachment();
    let (ifb, name) = create_ifb(request, host, info.mtu)?;
    ifb.set_alias(&names::alias(attachment)).context(format_args!("name the owner of {name:?}"))?;
    ifb.set_egress(rate).context(format_args!("limit what {name:?} sends"))?;
    ifb.set_up().context(format_args!("raise {name:?}"))?;
    veth.redirect_ingress(&ifb).context(format_args!("redirect {:?} to {name:?}", info.name))?;
    Ok(ifb.info()?)
}

/// A new ifb, by the first of its names that is free.
fn create_ifb(request: &Request, host: &Netns, mtu: u32) -> Result<(Link, String)> {
    let attachment = request.attachment();
    let mut taken = None;
    for name in names::candidates(attachment) {
        let common = LinkCommon { name: name.clone(), mtu: Some(mtu), mac: None };
        match host.create_ifb(&common) {
            Ok(ifb) => return Ok((ifb, name)),
            // It is of another interface of the container, unless it is this one's.
            Err(error) if error.kind == HostErrorKind::AlreadyExists => {
                if own_ifb(request, host)?.is_some() {
                    let msg = format!("its ifb exists already: {attachment} was added twice without a DEL");
                    return Err(Error::new(code::DUPLICATE, msg));
                }
                taken = Some(error);
            }
            Err(error) => return Err(Error::from(error).context(format_args!("create {name:?}"))),
        }
    }
    // With the kernel's words, by which the host knows whose fault it is: nobody added the attachment twice.
    let error = taken.map_or_else(|| Error::plugin("an ifb has no name"), Error::from);
    Err(error.context(format_args!("each name of the ifb of {attachment} is another link's")))
}

/// The attachment's ifb, as its alias says.
fn own_ifb(request: &Request, host: &Netns) -> Result<Option<(Link, LinkInfo)>> {
    let attachment = request.attachment();
    let alias = names::alias(attachment);
    for name in names::candidates(attachment) {
        if let Some(ifb) = host.link(&name)? {
            let info = ifb.info()?;
            if info.kind == "ifb" && info.alias.as_ref() == Some(&alias) {
                return Ok(Some((ifb, info)));
            }
        }
    }
    Ok(None)
}

/// The attachment's ifb, or the one that the reference plugin made before this one took over.
fn find_ifb(request: &Request, host: &Netns) -> Result<(Link, LinkInfo)> {
    if let Some(own) = own_ifb(request, host)? {
        return Ok(own);
    }
    let name = names::reference(request.attachment());
    let Some(ifb) = host.link(&name)? else {
        return Err(Error::check(format!(
            "interface {name:?}, which limits what the container sends, is missing"
        )));
    };
    let info = ifb.info()?;
    Ok((ifb, info))
}

/// Removes the ifb that the reference plugin made for this container. Its name does not say for which interface, so
/// it stays while another interface of the container sends through it, or if an alias says that it is somebody's.
fn delete_reference_ifb(request: &Request, host: &Netns, container: Option<&Netns>) -> Result<()> {
    let name = names::reference(request.attachment());
    let Some(ifb) = host.link(&name)? else { return Ok(()) };
    let info = ifb.info()?;
    if info.kind != "ifb" || info.alias.is_some_and(|alias| !alias.is_empty()) {
        return Ok(());
    }
    if let Some(container) = container
        && veth::another_sends_through(info.index, request.ifname(), host, container)?
    {
        return Ok(());
    }
    ifb.delete().context(format_args!("delete {name:?}"))
}

fn check_bucket(name: &str, wanted: Rate, present: Option<Rate>) -> Result<()> {
    let Some(present) = present else {
        return Err(Error::check(format!("interface {name:?} is not limited: its root is no token bucket")));
    };
    if limits::same(wanted, present) {
        return Ok(());
    }
    let show = |rate: Rate| format!("{} bit/s with a burst of {} bit", rate.bits_per_second, rate.burst_bits);
    let msg = format!("interface {name:?} is limited to {}, not {}", show(present), show(wanted));
    Err(Error::check(msg))
}

fn check_redirect(veth: &str, ifb: &LinkInfo, present: Option<u32>) -> Result<()> {
    if !ifb.up {
        return Err(Error::check(format!("interface {:?} is down", ifb.name)));
    }
    if present == Some(ifb.index) {
        return Ok(());
    }
    Err(Error::check(format!("what {veth:?} receives is not redirected to {:?}", ifb.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_denial_is_no_failure_of_a_delete() {
        permitted(Err(Error::new(code::DENIED, "denied"))).unwrap();
        assert_eq!(permitted(Err(Error::plugin("broken"))).unwrap_err().msg, "broken");
    }

    #[test]
    fn check_tells_what_differs() {
        let rate = |bits_per_second| Rate { bits_per_second, burst_bits: 800, latency_ms: 25 };
        check_bucket("veth0", rate(8000), Some(rate(8000))).unwrap();
        let error = check_bucket("veth0", rate(8000), Some(rate(16000))).unwrap_err();
        assert_eq!(error.code, code::CHECK_FAILED);
        assert!(["veth0", "16000", "8000"].iter().all(|text| error.msg.contains(text)), "{error}");
        let error = check_bucket("veth0", rate(8000), None).unwrap_err();
        assert!(error.msg.contains("veth0"), "{error}");
    }

    #[test]
    fn check_wants_the_redirection_to_a_raised_ifb() {
        let ifb = |up| LinkInfo {
            index: 7,
            name: "bwp1".into(),
            kind: "ifb".into(),
            mac: None,
            mtu: 1500,
            up,
            operational: up,
            promiscuous: false,
            master: None,
            peer: None,
            alias: None,
        };
        check_redirect("veth0", &ifb(true), Some(7)).unwrap();
        for (ifb, present) in [(ifb(true), Some(8)), (ifb(true), None), (ifb(false), Some(7))] {
            let error = check_redirect("veth0", &ifb, present).unwrap_err();
            assert!(error.msg.contains("bwp1"), "{error}");
        }
    }
}
