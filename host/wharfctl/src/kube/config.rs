//! Where a cluster is and who we are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use yaml_rust2::{Yaml, YamlLoader};

use super::Cluster;
use crate::http::Tls;

/// Where the kubelet mounts a pod's service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// By the service account of the pod that this runs in.
pub(crate) fn in_cluster() -> Result<Cluster> {
    let variables: BTreeMap<&str, String> = ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"]
        .into_iter()
        .filter_map(|key| Some((key, std::env::var(key).ok()?)))
        .collect();
    by_account(&variables, Path::new(ACCOUNT))
}

pub(super) fn by_account(variables: &BTreeMap<&str, String>, account: &Path) -> Result<Cluster> {
    let of = |key: &str| {
        variables.get(key).filter(|value| !value.is_empty()).with_context(|| {
            format!("no --kubeconfig is given, and this runs in no pod of a cluster ({key} is not set)")
        })
    };
    let (host, port) = (of("KUBERNETES_SERVICE_HOST")?, of("KUBERNETES_SERVICE_PORT")?);
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let read = |name: &str| {
        let file = account.join(name);
        fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
    };
    Ok(Cluster {
        server: format!("https://{host}:{port}"),
        tls: Tls { authorities: Some(read("ca.crt")?), ..Tls::default() },
        token: Some(text(read("token")?)?),
    })
}

impl Cluster {
    /// By a kubeconfig, in its current context or in another one.
    pub(crate) fn of_kubeconfig(file: &Path, context: Option<&str>) -> Result<Self> {
        let shown = file.display();
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
        let folder = file.parent().unwrap_or(Path::new("/"));
        parse(&text, folder, context).with_context(|| format!("{shown}"))
    }
}

pub(super) fn parse(yaml: &str, folder: &Path, context: Option<&str>) -> Result<Cluster> {
    let documents =
        YamlLoader::load_from_str(yaml).map_err(|error| anyhow::anyhow!("is no YAML: {error}"))?;
    let config = documents.first().context("is empty")?;
    let context = match context {
        Some(context) => context,
        None => string(config, "current-context").context("has no current-context; name one by --context")?,
    };
    let chosen = named(config, "contexts", context, "context")?;
    let of = |key| string(chosen, key).with_context(|| format!("contexts: {context:?}: has no {key}"));
    let cluster = named(config, "clusters", of("cluster")?, "cluster")?;
    let user = match string(chosen, "user") {
        Some(user) => named(config, "users", user, "user")?,
        None => &Yaml::BadValue,
    };
    for key in ["exec", "auth-provider", "username"] {
        if !matches!(user[key], Yaml::BadValue | Yaml::Null) {
            bail!(
                "users: {key} is not supported: use a token or a client certificate, as a node's kubeconfig has it"
            );
        }
    }
    if string(cluster, "tls-server-name").is_some() {
        bail!("clusters: tls-server-name is not supported: name the server as its certificate does");
    }
    let files = Files { folder };
    let chain = files.bytes(user, "client-certificate")?;
    let key = files.bytes(user, "client-key")?;
    let client = match (chain, key) {
        (Some(chain), Some(key)) => Some((chain, key)),
        (None, None) => None,
        _ => bail!("users: client-certificate and client-key belong together"),
    };
    let token = match (string(user, "token"), string(user, "tokenFile")) {
        (_, Some(file)) => Some(self::text(files.read(file)?)?),
        (Some(token), None) => Some(token.to_owned()),
        (None, None) => None,
    };
    Ok(Cluster {
        server: string(cluster, "server").context("clusters: server is missing")?.to_owned(),
        tls: Tls {
            authorities: files.bytes(cluster, "certificate-authority")?,
            client,
            insecure: cluster["insecure-skip-tls-verify"].as_bool().unwrap_or_default(),
        },
        token,
    })
}

/// Paths in a kubeconfig are relative to it.
struct Files<'a> {
    folder: &'a Path,
}

impl Files<'_> {
    fn read(&self, file: &str) -> Result<Vec<u8>> {
        let file: PathBuf = self.folder.join(file);
        fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
    }

    /// `KEY-data` in base64, or the file that `KEY` names.
    fn bytes(&self, of: &Yaml, key: &str) -> Result<Option<Vec<u8>>> {
        let data = format!("{key}-data");
        if let Some(text) = string(of, &data) {
            let plain: String = text.split_whitespace().collect();
            return STANDARD.decode(plain).map(Some).with_context(|| format!("{data}: is no base64"));
        }
        string(of, key).map(|file| self.read(file)).transpose()
    }
}

/// A string that is not empty.
fn string<'a>(of: &'a Yaml, key: &str) -> Option<&'a str> {
    of[key].as_str().filter(|text| !text.is_empty())
}

/// The inner object of the entry with that name.
fn named<'a>(config: &'a Yaml, list: &str, name: &str, inner: &str) -> Result<&'a Yaml> {
    let mut entries = config[list].as_vec().map_or(&[][..], Vec::as_slice).iter();
    let found = entries.find(|entry| string(entry, "name") == Some(name));
    found.map(|entry| &entry[inner]).with_context(|| format!("{list}: there is none with the name {name:?}"))
}

fn text(bytes: Vec<u8>) -> Result<String> {
    let text = String::from_utf8(bytes).context("a token is text")?;
    Ok(text.trim().to_owned())
}
