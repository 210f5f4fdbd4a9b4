//! What a runtime tells a plugin beside its configuration, as an option of commands that stand for one.

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
