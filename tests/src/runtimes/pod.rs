//! Pods, whichever runtime makes them.

use std::net::IpAddr;

use crate::Netns;

/// A mapped port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// On the node.
    pub host: u16,
    /// In the pod.
    pub container: u16,
    /// Which of the node's addresses; all if none.
    pub address: Option<&'static str>,
}

/// What a pod is to be.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// Its name.
    pub name: String,
    /// Its mapped ports.
    pub ports: Vec<Port>,
    /// Limits into it and out of it in Mbit/s.
    pub limits: Option<[u32; 2]>,
}

impl Spec {
    /// Without ports and limits.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// With a mapped port.
    #[must_use]
    pub fn port(mut self, protocol: &'static str, host: u16, container: u16) -> Self {
        self.ports.push(Port { protocol, host, container, address: None });
        self
    }

    /// With a port that is mapped on one of the node's addresses.
    #[must_use]
    pub fn port_at(
        mut self,
        address: &'static str,
        protocol: &'static str,
        host: u16,
        container: u16,
    ) -> Self {
        self.ports.push(Port { protocol, host, container, address: Some(address) });
        self
    }

    /// With limits into it and out of it in Mbit/s.
    #[must_use]
    pub fn limits(mut self, into: u32, out_of: u32) -> Self {
        self.limits = Some([into, out_of]);
        self
    }
}

/// A pod that runs.
#[derive(Debug)]
pub struct Pod {
    /// What its runtime calls it.
    pub id: String,
    /// Its namespace.
    pub netns: Netns,
    /// Its addresses as its runtime tells them, in order.
    pub ips: Vec<IpAddr>,
}

impl Pod {
    /// Its first address of a family.
    pub fn ip(&self, v6: bool) -> IpAddr {
        let found = self.ips.iter().find(|ip| ip.is_ipv6() == v6);
        *found.unwrap_or_else(|| panic!("{} has no such address: {:?}", self.id, self.ips))
    }
}
