//! Tables of configurations and of what the kernel might say, without a host.

mod check;
mod config;
mod del;
mod gateway;
mod vlan;

use wharf_sdk::{IpNetwork, Result};

use crate::config::Config;

fn parse(config: &str) -> Result<Config> {
    Config::read(&wharf_sdk::Config::new(config), None)
}

fn net(text: &str) -> IpNetwork {
    text.parse().unwrap()
}
