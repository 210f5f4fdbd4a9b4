//! Options that several commands have: what a runtime tells a plugin beside its configuration, and paths below WHARF_ROOT.

use anyhow::{Context, Result};
use serde_json::{Map, Value};

#[derive(Debug, clap::Args)]
pub(crate) struct Told {
    /// CNI_ARGS, as the runtime would set it: `IgnoreUnknown=1;K8S_POD_NAMESPACE=games;K8S_POD_NAME=chess`.
    #[arg(long, default_value = "")]
    pub(crate) args: String,
    /// What the runtime tells about capabilities, as JSON: `{"portMappings": [{"hostPort": 8080, "containerPort": 80}]}`.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) capabilities: String,
}

impl Told {
    /// By the names of the capabilities.
    pub(crate) fn capabilities(&self) -> Result<Map<String, Value>> {
        serde_json::from_str(&self.capabilities).context("--capabilities is not a JSON object")
    }
}

/// A path that is below WHARF_ROOT: there is no current folder to take it from.
pub(crate) fn whole<T: From<String>>(text: &str) -> Result<T, String> {
    if text.starts_with('/') {
        return Ok(T::from(text.to_owned()));
    }
    Err("it is taken below WHARF_ROOT, and not in the current folder: say the whole path, from the root"
        .to_owned())
}
