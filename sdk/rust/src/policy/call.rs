//! The ADD under review.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::bindings::calls as wit;
use crate::config::Config;
use crate::error::{Error, Result, code};
use crate::json::Json;
use crate::request::{Args, Attachment};
use crate::result::NetworkResult;

/// What Kubernetes calls a pod; from `CNI_ARGS`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// `K8S_POD_NAMESPACE`.
    pub namespace: String,
    /// `K8S_POD_NAME`.
    pub name: String,
    /// `K8S_POD_UID`.
    pub uid: Option<String>,
    /// `K8S_POD_INFRA_CONTAINER_ID`.
    pub infra_container: Option<String>,
}

/// Who asks for what.
///
/// ```
/// use wharf_sdk::Attachment;
/// use wharf_sdk::policy::Call;
///
/// let attachment = Attachment { network: "pods".into(), container: "c1".into(), ifname: "eth0".into() };
/// let call = Call::new(attachment).with_pod("shop", "web-1").with_label("tier", "front");
/// assert_eq!(call.namespace(), Some("shop"));
/// assert_eq!(call.label("tier"), Some("front"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// `CNI_COMMAND`. Today always `ADD`.
    pub command: String,
    /// What is added.
    pub attachment: Attachment,
    /// `CNI_NETNS` as text.
    pub netns_path: Option<String>,
    /// None outside Kubernetes.
    pub pod: Option<Pod>,
    /// `args.cni.labels` of the configuration, in order.
    pub labels: Vec<(String, String)>,
    /// The pod's annotations, if the configuration has the capability `io.kubernetes.cri.pod-annotations`.
    pub annotations: Vec<(String, String)>,
    /// All of `CNI_ARGS`.
    pub args: Args,
    /// The types of the plugins that this process runs, in order.
    pub plugins: Vec<String>,
    /// Whether they are a `chain`: the network's whole list. If not, the runtime runs more of it in other processes, and
    /// each asks the policies anew.
    pub chain: bool,
    /// `prevResult`: what the plugins before made, in other processes.
    pub previous: Option<NetworkResult>,
    /// The table `[policy.NAME]` of `/etc/cni/wharf.toml`; see [`Call::settings`].
    pub raw_settings: Config,
}

impl Call {
    /// An ADD with nothing else said; for tests.
    pub fn new(attachment: Attachment) -> Self {
        Self {
            command: "ADD".to_owned(),
            attachment,
            netns_path: None,
            pod: None,
            labels: Vec::new(),
            annotations: Vec::new(),
            args: Args::default(),
            plugins: Vec::new(),
            chain: false,
            previous: None,
            raw_settings: Config::new("{}"),
        }
    }

    /// The same call for a pod.
    #[must_use]
    pub fn with_pod(mut self, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        self.pod = Some(Pod { namespace: namespace.into(), name: name.into(), ..Pod::default() });
        self
    }

    /// The same call with one label more.
    #[must_use]
    pub fn with_label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }

    /// The same call with these settings, as JSON.
    #[must_use]
    pub fn with_settings(mut self, json: impl Into<String>) -> Self {
        self.raw_settings = Config::new(json);
        self
    }

    /// The same call of a process that runs these plugins as a chain.
    #[must_use]
    pub fn with_chain(mut self, plugins: &[&str]) -> Self {
        self.plugins = plugins.iter().map(|&plugin| plugin.to_owned()).collect();
        self.chain = true;
        self
    }

    /// The pod's Kubernetes namespace.
    pub fn namespace(&self) -> Option<&str> {
        self.pod.as_ref().map(|pod| pod.namespace.as_str())
    }

    /// The value of a label, the last one if it is there twice.
    pub fn label(&self, key: &str) -> Option<&str> {
        value(&self.labels, key)
    }

    /// The value of an annotation of the pod.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        value(&self.annotations, key)
    }

    /// What the operator has set for this policy, read as `T`. A `?` behind it denies what an operator has set wrongly.
    ///
    /// ```
    /// use wharf_sdk::Attachment;
    /// use wharf_sdk::policy::Call;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings { ports: Vec<u16> }
    ///
    /// let attachment = Attachment { network: "pods".into(), container: "c1".into(), ifname: "eth0".into() };
    /// let call = Call::new(attachment).with_settings(r#"{"ports": [443]}"#);
    /// assert_eq!(call.settings::<Settings>()?.ports, [443]);
    /// # Ok::<(), wharf_sdk::Error>(())
    /// ```
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T> {
        let wrong =
            |reason: String| Error::new(code::INVALID_CONFIG, format!("the policy's settings: {reason}"));
        let value: Value =
            serde_json::from_str(self.raw_settings.as_str()).map_err(|error| wrong(error.to_string()))?;
        T::deserialize(Json(&value)).map_err(|error| match error.path() {
            path if path.is_empty() => wrong(error.to_string()),
            path => wrong(format!("{path}: {error}")),
        })
    }
}

fn value<'a>(pairs: &'a [(String, String)], key: &str) -> Option<&'a str> {
    pairs.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

impl From<wit::Call> for Call {
    fn from(from: wit::Call) -> Self {
        Self {
            command: from.command,
            attachment: from.attachment.into(),
            netns_path: from.netns_path,
            pod: from.pod.map(|pod| Pod {
                namespace: pod.namespace,
                name: pod.name,
                uid: pod.uid,
                infra_container: pod.infra_container,
            }),
            labels: from.labels,
            annotations: from.annotations,
            args: Args::from_iter(from.args),
            plugins: from.plugins,
            chain: from.chain,
            previous: from.previous.map(Into::into),
            raw_settings: Config::new(from.settings),
        }
    }
}
