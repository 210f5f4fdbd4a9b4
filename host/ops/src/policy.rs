//! `wharf:policy`: what policy guests are asked and what they answer.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::call::NetworkResult;
use crate::{Attachment, Op};

/// What Kubernetes calls a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// K8S_POD_NAMESPACE.
    pub namespace: String,
    /// K8S_POD_NAME.
    pub name: String,
    /// K8S_POD_UID.
    pub uid: Option<String>,
    /// K8S_POD_INFRA_CONTAINER_ID.
    pub infra_container: Option<String>,
}

/// The ADD under review: the first message to a policy's sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// CNI_COMMAND.
    pub command: String,
    /// Which attachment.
    pub attachment: Attachment,
    /// CNI_NETNS, as text.
    pub netns_path: Option<String>,
    /// None outside Kubernetes.
    pub pod: Option<Pod>,
    /// `args.cni.labels`.
    pub labels: Vec<(String, String)>,
    /// The pod's annotations.
    pub annotations: Vec<(String, String)>,
    /// CNI_ARGS, in order.
    pub args: Vec<(String, String)>,
    /// The types of the plugins that run.
    pub plugins: Vec<String>,
    /// Whether they are a chain.
    pub chain: bool,
    /// prevResult.
    pub previous: Option<NetworkResult>,
    /// The policy's own, as JSON.
    pub settings: String,
}

/// Every further message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question<'a> {
    /// `review`, or `review-unknown` if the WIT has no case for the operation.
    Review {
        /// Who asks for it.
        guest: Cow<'a, str>,
        /// The change.
        op: Cow<'a, Op>,
    },
    /// `review-result`.
    Result(Cow<'a, NetworkResult>),
    /// `admit`.
    Admit {
        /// The plugin's type.
        plugin: Cow<'a, str>,
        /// Its configuration as JSON.
        config: Cow<'a, str>,
    },
}

/// The answer to each message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It may be done; of `admit`: the configuration stays.
    Allow,
    /// It must not be done.
    Deny(String),
    /// Of `admit`: a JSON merge patch.
    Change(String),
}
