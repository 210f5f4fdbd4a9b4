//! `wharfctl pod-cidr`: asks the Kubernetes API once for this node's pod CIDRs, and writes them to where an ADD finds
//! them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use wharf_broker::Paths;
use wharf_broker::pod_cidr::PodCidrs;

use crate::kube::{Cluster, in_cluster};
use crate::lists::{self, CONF_DIR};
use crate::say;
use crate::told::whole;

/// How often a node that has none yet is asked again.
const AGAIN: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) api: Api,
    /// Where lists are looked for that say `usePodCidr`, and name a kubeconfig; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = CONF_DIR, value_parser = whole::<PathBuf>)]
    conf_dir: PathBuf,
    /// Print them, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

/// How the API is reached, and for whom.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Api {
    /// The node's name. [default: `nodename` of a list that says `usePodCidr`, else NODE_NAME, else the host's name]
    #[arg(long)]
    pub(crate) node: Option<String>,
    /// A kubeconfig. [default: `kubernetes.kubeconfig` of such a list, else the service account of this pod]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Another context of it than the current one.
    #[arg(long)]
    pub(crate) context: Option<String>,
    /// Wait so many seconds for a node that has no pod CIDR yet.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait: u64,
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    let conf_dir = paths.inside(&options.conf_dir.to_string_lossy());
    let found = ask(paths, &options.api, &conf_dir)?;
    if !options.dry_run {
        found.write(paths)?;
    }
    let lines: Vec<String> = found.pod_cidrs.iter().map(|cidr| format!("{cidr}\n")).collect();
    say::text(&lines.concat())
}

/// Asks the API.
pub(crate) fn ask(paths: &Paths, api: &Api, conf_dir: &Path) -> Result<PodCidrs> {
    let hint = hint(conf_dir);
    let kubeconfig = api.kubeconfig.clone().or_else(|| hint.kubeconfig.map(|file| paths.inside(&file)));
    let cluster = match kubeconfig {
        Some(file) => Cluster::of_kubeconfig(&file, api.context.as_deref())?,
        None => in_cluster()?,
    };
    let node = match api.node.clone().or(hint.node).or_else(|| std::env::var("NODE_NAME").ok()) {
        Some(node) => node,
        None => host_name()?,
    };
    let until = Instant::now() + Duration::from_secs(api.wait);
    loop {
        let pod_cidrs = cluster.pod_cidrs(&node)?;
        if !pod_cidrs.is_empty() {
            return Ok(PodCidrs { node, pod_cidrs });
        }
        if Instant::now() >= until {
            bail!(
                "node {node} has no pod CIDR: the cluster's controller manager assigns them (--allocate-node-cidrs, \
                 --cluster-cidr; kubeadm: networking.podSubnet)"
            );
        }
        // The API has no event for it that would be worth a watch here.
        std::thread::sleep(AGAIN);
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Hint {
    kubeconfig: Option<String>,
    node: Option<String>,
}

/// What lists that say `usePodCidr` name, as Calico writes them.
fn hint(conf_dir: &Path) -> Hint {
    let mut hint = Hint::default();
    let files = lists::read(conf_dir).unwrap_or_default();
    for plugin in files.iter().filter_map(|file| file.list.as_ref().ok()).flat_map(|list| &list.plugins) {
        let asks = serde_json::to_string(plugin.raw.get("ipam").unwrap_or(&Value::Null)).unwrap_or_default();
        if !asks.to_ascii_lowercase().contains("\"usepodcidr") {
            continue;
        }
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let kubernetes = plugin.raw.get("kubernetes");
        hint.kubeconfig = hint.kubeconfig.or(text(kubernetes.and_then(|all| all.get("kubeconfig"))));
        hint.node = hint.node.or(text(plugin.raw.get("nodename")));
    }
    hint
}

fn host_name() -> Result<String> {
    let name = nix::unistd::gethostname().context("this host's name")?;
    Ok(name.to_string_lossy().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_calico_tells_kubeconfig_and_node() {
        let folder = tempfile::tempdir().unwrap();
        let list = |ipam: &str| {
            format!(
                r#"{{"cniVersion": "0.3.1", "name": "k8s-pod-network", "plugins": [{{"type": "calico", "nodename": "n1",
                "ipam": {{"type": "host-local", "subnet": "{ipam}"}},
                "kubernetes": {{"kubeconfig": "/etc/cni/net.d/calico-kubeconfig"}}}}]}}"#
            )
        };
        std::fs::write(folder.path().join("10-calico.conflist"), list("10.1.0.0/16")).unwrap();
        assert_eq!(hint(folder.path()), Hint::default(), "it needs no API");
        std::fs::write(folder.path().join("10-calico.conflist"), list("usePodCidr")).unwrap();
        let kubeconfig = Some("/etc/cni/net.d/calico-kubeconfig".to_owned());
        assert_eq!(hint(folder.path()), Hint { kubeconfig, node: Some("n1".to_owned()) });
    }
}
