//! A guest of the kit's own: something to be chained to.

use wharf_sdk::net::VethEnd;
use wharf_sdk::{
    Config, Error, Interface, IpConfig, IpNetwork, Netns, Network, NetworkResult, Request, Result, interface,
    names,
};

/// A veth pair with the `address` that its configuration says, and the subnet's first host as gateway on the host's end: what
/// a chained guest finds when it is called.
///
/// ```
/// use wharf_testkit::{Cable, Node, json};
/// let node = Node::new();
/// let pod = node.container("c1");
/// node.add::<Cable>(&pod, json!({"address": "10.22.0.2/24"}))?;
/// assert!(pod.tcp("10.22.0.1:80").is_delivered());
/// assert_eq!(node.host().tcp("10.22.0.2:80").delivered_to(), Some("c1"));
/// # Ok::<(), wharf_sdk::Error>(())
/// ```
#[derive(Debug)]
pub struct Cable;

impl Network for Cable {
    const NAME: &'static str = "cable";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn add(request: &Request, host: &Netns, container: &Netns) -> Result<NetworkResult> {
        let address = address(request.raw_config())?;
        let outside = VethEnd::new(names::hashed("veth", 15, &[&request.attachment().to_string()]));
        let (outside, inside) = host.create_veth(&outside, container, &VethEnd::new(request.ifname()))?;
        outside.set_up()?;
        let mut result = NetworkResult::default();
        let (here, there) = (outside.info()?, inside.info()?);
        result.add_interface(Interface::new(here.name).with_mac(here.mac).with_mtu(here.mtu));
        let netns = request.netns_path().unwrap_or_default();
        let index = result.add_interface(
            Interface::new(there.name).with_mac(there.mac).with_mtu(there.mtu).in_sandbox(netns),
        );
        result.ips.push(IpConfig::new(address).on(index));
        interface::complete_gateways(&mut result);
        interface::add_default_routes(&mut result);
        interface::configure(container, &inside, &result)?;
        for gateway in result.ips.iter().filter_map(|ip| ip.gateway) {
            let gateway = IpNetwork::new(gateway, address.prefix()).unwrap_or(gateway.into());
            outside.add_address(gateway)?;
        }
        Ok(result)
    }
}

wharf_sdk::export_network!(Cable);

fn address(config: &Config) -> Result<IpNetwork> {
    let value: serde_json::Value = config.parse()?;
    let text = value.get("address").and_then(|address| address.as_str());
    let text =
        text.ok_or_else(|| Error::config("address", "is missing: say one such as \"10.22.0.2/24\""))?;
    wharf_sdk::config::parse_cidr(text).map_err(|reason| Error::config("address", reason))
}
