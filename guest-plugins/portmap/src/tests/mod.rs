//! Tables of configurations and results, without a host.

mod config;
mod forwards;
mod mapping;

use wharf_sdk::Result;

use crate::config::Config;

fn parse(config: &str) -> Result<Config> {
    Config::read(&wharf_sdk::Config::new(config))
}
