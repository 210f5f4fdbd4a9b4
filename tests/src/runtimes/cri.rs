//! The container runtime interface: the part of `runtime.v1` that pods without containers need.
//!
//! The messages are written by hand, with the fields that are used here; what a server sends beyond them is skipped.

use std::collections::BTreeMap;
use std::path::Path;

use prost::Message;
use serde_json::Value;

use super::grpc::{Channel, Status};

/// What a pod is to be.
#[derive(Clone, PartialEq, Message)]
pub struct PodSandboxConfig {
    /// Its name.
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<PodSandboxMetadata>,
    /// Its host name.
    #[prost(string, tag = "2")]
    pub hostname: String,
    /// Where its containers log.
    #[prost(string, tag = "3")]
    pub log_directory: String,
    /// What the kubelet wants in its resolv.conf.
    #[prost(message, optional, tag = "4")]
    pub dns_config: Option<DnsConfig>,
    /// Mapped ports.
    #[prost(message, repeated, tag = "5")]
    pub port_mappings: Vec<PortMapping>,
    /// Annotations of the pod.
    #[prost(btree_map = "string, string", tag = "7")]
    pub annotations: BTreeMap<String, String>,
    /// What only Linux has.
    #[prost(message, optional, tag = "8")]
    pub linux: Option<LinuxPodSandboxConfig>,
}

/// Whose pod it is.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PodSandboxMetadata {
    /// The pod's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The pod's unique id.
    #[prost(string, tag = "2")]
    pub uid: String,
    /// Kubernetes' namespace.
    #[prost(string, tag = "3")]
    pub namespace: String,
    /// Which try it is.
    #[prost(uint32, tag = "4")]
    pub attempt: u32,
}

/// resolv.conf.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct DnsConfig {
    /// Addresses.
    #[prost(string, repeated, tag = "1")]
    pub servers: Vec<String>,
    /// Domains.
    #[prost(string, repeated, tag = "2")]
    pub searches: Vec<String>,
}

/// One mapped port.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PortMapping {
    /// 0 is TCP, 1 UDP, 2 SCTP.
    #[prost(int32, tag = "1")]
    pub protocol: i32,
    /// In the pod.
    #[prost(int32, tag = "2")]
    pub container_port: i32,
    /// On the node.
    #[prost(int32, tag = "3")]
    pub host_port: i32,
    /// Which of the node's addresses; all if empty.
    #[prost(string, tag = "4")]
    pub host_ip: String,
}

/// What only Linux has.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct LinuxPodSandboxConfig {
    /// The control group that the pod's are below.
    #[prost(string, tag = "1")]
    pub cgroup_parent: String,
    /// Parameters of the pod's namespaces.
    #[prost(btree_map = "string, string", tag = "3")]
    pub sysctls: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct RunRequest {
    #[prost(message, optional, tag = "1")]
    config: Option<PodSandboxConfig>,
}

/// A pod's id, alone: RunPodSandbox's answer, and the request of many calls.
#[derive(Clone, PartialEq, Eq, Message)]
struct Id {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct StatusRequest {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(bool, tag = "2")]
    verbose: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Nothing {}

/// What a pod is.
#[derive(Clone, PartialEq, Message)]
pub struct PodSandboxStatus {
    /// Its id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// 0 is ready, 1 is not.
    #[prost(int32, tag = "3")]
    pub state: i32,
    /// Its addresses.
    #[prost(message, optional, tag = "5")]
    pub network: Option<PodSandboxNetworkStatus>,
}

/// A pod's addresses.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PodSandboxNetworkStatus {
    /// The first.
    #[prost(string, tag = "1")]
    pub ip: String,
    /// The others.
    #[prost(message, repeated, tag = "2")]
    pub additional_ips: Vec<PodIp>,
}

/// One address.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PodIp {
    /// Without a prefix length.
    #[prost(string, tag = "1")]
    pub ip: String,
}

#[derive(Clone, PartialEq, Message)]
struct StatusAnswer {
    #[prost(message, optional, tag = "1")]
    status: Option<PodSandboxStatus>,
    #[prost(btree_map = "string, string", tag = "2")]
    info: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct ListAnswer {
    #[prost(message, repeated, tag = "1")]
    items: Vec<PodSandboxStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeAnswer {
    #[prost(message, optional, tag = "1")]
    status: Option<NodeStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeStatus {
    #[prost(message, repeated, tag = "1")]
    conditions: Vec<Condition>,
}

/// What the runtime says about itself.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Condition {
    /// `RuntimeReady` or `NetworkReady`.
    #[prost(string, tag = "1")]
    pub kind: String,
    /// Whether it holds.
    #[prost(bool, tag = "2")]
    pub status: bool,
    /// One word.
    #[prost(string, tag = "3")]
    pub reason: String,
    /// For people.
    #[prost(string, tag = "4")]
    pub message: String,
}

#[derive(Clone, PartialEq, Message)]
struct Version {
    #[prost(string, tag = "3")]
    of_runtime: String,
}

#[derive(Clone, PartialEq, Message)]
struct ImageRequest {
    #[prost(message, optional, tag = "1")]
    image: Option<Id>,
}

#[derive(Clone, PartialEq, Message)]
struct ImageAnswer {
    #[prost(message, optional, tag = "1")]
    image: Option<Id>,
}

/// A client.
#[derive(Debug)]
pub struct Cri(Channel);

impl Cri {
    /// Connects to a runtime's socket.
    pub fn connect(socket: &Path) -> Result<Self, Status> {
        Channel::connect(socket).map(Self)
    }

    fn call<A: Message + Default>(&self, method: &str, request: &impl Message) -> Result<A, Status> {
        self.0.call(&format!("runtime.v1.RuntimeService/{method}"), request)
    }

    /// The runtime's own version.
    pub fn version(&self) -> Result<String, Status> {
        self.call("Version", &Nothing {}).map(|answer: Version| answer.of_runtime)
    }

    /// Whether the node has an image of that name.
    pub fn has_image(&self, name: &str) -> Result<bool, Status> {
        let request = ImageRequest { image: Some(Id { id: name.to_owned() }) };
        let answer: ImageAnswer = self.0.call("runtime.v1.ImageService/ImageStatus", &request)?;
        Ok(answer.image.is_some())
    }

    /// What the runtime says about itself.
    pub fn condition(&self, kind: &str) -> Result<Condition, Status> {
        let answer: NodeAnswer = self.call("Status", &Nothing {})?;
        let mut conditions = answer.status.unwrap_or_default().conditions.into_iter();
        Ok(conditions.find(|condition| condition.kind == kind).unwrap_or_default())
    }

    /// Makes a pod. Answers its id.
    pub fn run(&self, config: PodSandboxConfig) -> Result<String, Status> {
        let answer: Id = self.call("RunPodSandbox", &RunRequest { config: Some(config) })?;
        Ok(answer.id)
    }

    /// Ends a pod's processes and takes its network away.
    pub fn stop(&self, id: &str) -> Result<(), Status> {
        self.call("StopPodSandbox", &Id { id: id.to_owned() }).map(|_: Nothing| ())
    }

    /// Forgets a pod.
    pub fn remove(&self, id: &str) -> Result<(), Status> {
        self.call("RemovePodSandbox", &Id { id: id.to_owned() }).map(|_: Nothing| ())
    }

    /// What a pod is, and what the runtime knows beyond that.
    pub fn status(&self, id: &str) -> Result<(PodSandboxStatus, Value), Status> {
        let request = StatusRequest { id: id.to_owned(), verbose: true };
        let answer: StatusAnswer = self.call("PodSandboxStatus", &request)?;
        let info = answer.info.get("info").and_then(|text| serde_json::from_str(text).ok());
        Ok((answer.status.unwrap_or_default(), info.unwrap_or_default()))
    }

    /// The ids of all pods.
    pub fn list(&self) -> Result<Vec<String>, Status> {
        let answer: ListAnswer = self.call("ListPodSandbox", &Nothing {})?;
        Ok(answer.items.into_iter().map(|pod| pod.id).collect())
    }
}
