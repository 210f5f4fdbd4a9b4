//! The loopback plugin: raises `lo` inside the container and reports its addresses.
//!
//! `CNI_IFNAME` is ignored, as runtimes expect; the interface is always `lo`.

use wharf_sdk::{
    Context, Error, Interface, IpConfig, IpNetwork, LinkInfo, Netns, Network, NetworkResult, Request, Result,
};

const LO: &str = "lo";

/// The guest.
#[derive(Debug)]
pub struct Loopback;

impl Network for Loopback {
    const NAME: &'static str = "loopback";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn add(request: &Request, _host: &Netns, container: &Netns) -> Result<NetworkResult> {
        let Some(lo) = container.link(LO)? else {
            return Err(Error::plugin("the container's namespace has no interface \"lo\""));
        };
        lo.set_up().context("raise \"lo\"")?;
        answer(request, &lo.info()?, &lo.addresses()?)
    }

    fn check(_request: &Request, _host: &Netns, container: &Netns) -> Result<()> {
        let info = container.link(LO)?.map(|lo| lo.info()).transpose()?;
        check_state(info.as_ref())
    }

    fn del(_request: &Request, _host: &Netns, container: Option<&Netns>) -> Result<()> {
        let Some(container) = container else { return Ok(()) };
        match container.link(LO)? {
            Some(lo) => lo.set_down().context("lower \"lo\""),
            None => Ok(()),
        }
    }
}

wharf_sdk::export_network!(Loopback);

/// What came before, or `lo` with the first address of each family. A `lo` with any other address is refused: it
/// is somebody's interface, not a loopback.
fn answer(request: &Request, lo: &LinkInfo, addresses: &[IpNetwork]) -> Result<NetworkResult> {
    if let Some(foreign) = addresses.iter().find(|address| !address.ip().is_loopback()) {
        return Err(Error::plugin(format!(
            "interface \"lo\" has {foreign}, which is not a loopback address"
        )));
    }
    if let Some(previous) = request.previous() {
        return Ok(previous.clone());
    }
    let mut result = NetworkResult::default();
    let interface = Interface::new(LO).with_mac(lo.mac.unwrap_or_default());
    let index = result.add_interface(match request.netns_path() {
        Some(path) => interface.in_sandbox(path),
        None => interface,
    });
    let first = |ipv4: bool| addresses.iter().find(move |address| address.is_ipv4() == ipv4);
    result.ips = [first(true), first(false)]
        .into_iter()
        .flatten()
        .map(|&address| IpConfig::new(address).on(index))
        .collect();
    Ok(result)
}

fn check_state(lo: Option<&LinkInfo>) -> Result<()> {
    match lo {
        None => Err(Error::check("interface \"lo\" is missing")),
        Some(lo) if !lo.up => Err(Error::check("interface \"lo\" is down")),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_sdk::{Attachment, Mac};

    fn request() -> Request {
        let attachment =
            Attachment { network: "cni-loopback".into(), container: "c".into(), ifname: "x".into() };
        Request::new(attachment, r#"{"type":"loopback"}"#).with_netns_path("/run/netns/c")
    }

    fn lo(up: bool) -> LinkInfo {
        LinkInfo {
            index: 1,
            name: "lo".into(),
            kind: String::new(),
            mac: Some(Mac::default()),
            mtu: 65536,
            up,
            operational: up,
            promiscuous: false,
            master: None,
            peer: None,
            alias: None,
        }
    }

    fn nets(texts: &[&str]) -> Vec<IpNetwork> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn reports_lo_with_the_first_address_of_each_family() {
        let addresses = nets(&["127.0.0.1/8", "127.0.0.53/8", "::1/128"]);
        let result = answer(&request(), &lo(true), &addresses).unwrap();
        let interface = Interface::new("lo").with_mac(Mac::default()).in_sandbox("/run/netns/c");
        assert_eq!(result.interfaces, [interface]);
        let ips: Vec<_> = result.ips.iter().map(|ip| (ip.address.to_string(), ip.interface)).collect();
        assert_eq!(ips, [("127.0.0.1/8".to_owned(), Some(0)), ("::1/128".to_owned(), Some(0))]);
    }

    #[test]
    fn a_kernel_without_ipv6_reports_ipv4_only() {
        let result = answer(&request(), &lo(true), &nets(&["127.0.0.1/8"])).unwrap();
        assert_eq!(result.ips.len(), 1);
    }

    #[test]
    fn an_address_that_is_no_loopback_is_refused() {
        for foreign in ["10.0.0.1/8", "fe80::1/64"] {
            let error = answer(&request(), &lo(true), &nets(&["127.0.0.1/8", foreign])).unwrap_err();
            assert!(error.msg.contains(foreign) && error.msg.contains("\"lo\""), "{error}");
        }
    }

    #[test]
    fn what_came_before_passes_through() {
        let mut previous = NetworkResult::default();
        previous.add_interface(Interface::new("eth0").in_sandbox("/run/netns/c"));
        let request = request().with_previous(previous.clone());
        assert_eq!(answer(&request, &lo(true), &nets(&["127.0.0.1/8"])).unwrap(), previous);
    }

    #[test]
    fn check_wants_lo_up() {
        check_state(Some(&lo(true))).unwrap();
        assert_eq!(check_state(Some(&lo(false))).unwrap_err().msg, "interface \"lo\" is down");
        assert_eq!(check_state(None).unwrap_err().msg, "interface \"lo\" is missing");
    }
}
