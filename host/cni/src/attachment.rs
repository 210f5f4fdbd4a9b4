//! An attachment: one interface of one container on one network.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::env;
use crate::error::Error;
use crate::json;

/// What an ADD makes and a DEL removes. As JSON it has the keys of `cni.dev/valid-attachments`, and `network`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attachment {
    /// The network's name.
    #[serde(default)]
    pub network: String,
    /// The container's id.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// The interface's name in the container.
    pub ifname: String,
}

impl Attachment {
    /// Reads `{containerID, ifname}` of a GC request for the network. Both must be as an ADD takes them: a list
    /// that is read wrongly costs somebody a live attachment.
    pub(crate) fn parse(value: &Value, network: &str) -> Result<Self, Error> {
        let object = json::object(value, "")?;
        let required = |key: &'static str| {
            json::string(object, key)?.ok_or_else(|| Error::invalid(key, "missing or empty"))
        };
        let (container_id, ifname) = (required("containerID")?, required("ifname")?);
        env::container_id(container_id).map_err(|e| Error::invalid("containerID", with_value(e)))?;
        env::ifname(ifname).map_err(|e| Error::invalid("ifname", e.to_string()))?;
        Ok(Self {
            network: network.to_owned(),
            container_id: container_id.to_owned(),
            ifname: ifname.to_owned(),
        })
    }
}

impl std::fmt::Display for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.network, self.container_id, self.ifname)
    }
}

fn with_value(error: Error) -> String {
    match error {
        Error::ContainerId(value) => format!("invalid characters in {value}"),
        other => other.to_string(),
    }
}
