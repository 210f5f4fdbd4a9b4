//! The Kubernetes API, as far as a node needs it: where it is and who we are, by a kubeconfig or by a pod's service
//! account; and one question, for a node's pod CIDRs.

mod config;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use wharf_ops::IpNetwork;

use crate::http::{Tls, agent};

pub(crate) use config::in_cluster;

/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest message of a refusal that is shown, in characters.
const LONGEST: usize = 300;

/// A cluster and a user of it.
#[derive(Clone, Default)]
pub(crate) struct Cluster {
    /// `https://host:6443`
    pub(crate) server: String,
    pub(crate) tls: Tls,
    /// Bearer token.
    pub(crate) token: Option<String>,
}

impl Cluster {
    /// `.spec.podCIDRs` of a node; empty until it is assigned.
    pub(crate) fn pod_cidrs(&self, node: &str) -> Result<Vec<IpNetwork>> {
        if !is_name(node) {
            bail!("{node:?} cannot be a node's name");
        }
        let url = format!("{}/api/v1/nodes/{node}", self.server.trim_end_matches('/'));
        let mut request = agent(&url, &self.tls, PATIENCE)?.get(&url);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut answer = request.call().with_context(|| format!("GET {url}"))?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string().with_context(|| format!("GET {url}"))?;
        let object: Value = serde_json::from_str(&text).unwrap_or_default();
        if !status.is_success() {
            let message = object.get("message").and_then(Value::as_str).unwrap_or(&text);
            let message: String = message.chars().take(LONGEST).collect();
            bail!("GET {url}: {status}: {message}");
        }
        of_node(&object).with_context(|| format!("GET {url}"))
    }
}

/// From the node's object. Old ones have only `podCIDR`.
fn of_node(node: &Value) -> Result<Vec<IpNetwork>> {
    let spec =
        node.get("spec").and_then(Value::as_object).context("the answer is no Node: it has no spec")?;
    let all = spec.get("podCIDRs").and_then(Value::as_array).into_iter().flatten();
    let mut texts: Vec<&str> = all.filter_map(Value::as_str).collect();
    if texts.is_empty() {
        texts.extend(spec.get("podCIDR").and_then(Value::as_str));
    }
    texts.into_iter().map(|text| text.parse().with_context(|| format!("spec.podCIDRs: {text:?}"))).collect()
}

/// A DNS subdomain, which a node's name is: it becomes part of a path.
fn is_name(node: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    !node.is_empty() && node.len() <= 253 && node.bytes().all(plain) && !node.starts_with('.')
}

#[cfg(test)]
mod tests;
