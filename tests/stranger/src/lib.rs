//! Gives the container's link the MTU of the configuration.

wit_bindgen::generate!({
    path: "../../sdk/wit",
    world: "wharf:plugin/chained-plugin",
    generate_all,
});

use exports::wharf::plugin::network::Guest;
use wharf::cni::types::{CniError, Metadata, NetworkResult, Request};
use wharf::net::links;
use wharf::net::netns::Netns;

struct Stranger;

impl Guest for Stranger {
    fn describe() -> Metadata {
        Metadata { name: "stranger".into(), version: "0.0.0".into(), capabilities: Vec::new() }
    }

    fn add(request: Request, _host: &Netns, container: &Netns) -> Result<NetworkResult, CniError> {
        let config: serde_json::Value = serde_json::from_str(&request.config).map_err(|e| error(e.to_string()))?;
        let mtu = config["mtu"].as_u64().and_then(|mtu| u32::try_from(mtu).ok());
        let mtu = mtu.ok_or_else(|| error("mtu: a number of bytes is missing".into()))?;
        let name = &request.attachment.ifname;
        let link = links::get(container, name).map_err(|e| error(e.message))?;
        let link = link.ok_or_else(|| error(format!("there is no {name}")))?;
        link.set_mtu(mtu).map_err(|e| error(e.message))?;
        #[cfg(feature = "second")]
        link.set_alias("by a stranger").map_err(|e| error(e.message))?;
        request.previous.ok_or_else(|| error("this goes behind another plugin".into()))
    }

    fn check(_: Request, _: &Netns, _: &Netns) -> Result<(), CniError> {
        Ok(())
    }

    fn del(_: Request, _: &Netns, _: Option<&Netns>) -> Result<(), CniError> {
        Ok(())
    }

    fn status(_: String) -> Result<(), CniError> {
        Ok(())
    }

    fn gc(_: String, _: Vec<(String, String)>, _: &Netns) -> Result<(), CniError> {
        Ok(())
    }
}

fn error(msg: String) -> CniError {
    CniError { code: 100, msg, details: None }
}

export!(Stranger);
