//! Ways to an attachment's rules: the first that wants a key has it in a map, the others stand behind.

use std::collections::BTreeMap;
use std::net::IpAddr;

use wharf_ops::nat::{PortForward, Protocol};

/// A port of the host, of one address of it or of any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Port {
    pub(crate) v4: bool,
    pub(crate) protocol: Protocol,
    pub(crate) host: Option<IpAddr>,
    pub(crate) number: u16,
}

impl Port {
    /// Of a forward.
    pub(crate) fn of(forward: &PortForward) -> Self {
        Self {
            v4: forward.container_address.is_ipv4(),
            protocol: forward.protocol,
            host: forward.host_address.filter(|host| !host.is_unspecified()),
            number: forward.host_port,
        }
    }
}

/// Keys, and by which attachments they are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Ways<K> {
    map: BTreeMap<K, String>,
    more: Vec<(K, String)>,
}

impl<K> Default for Ways<K> {
    fn default() -> Self {
        Self { map: BTreeMap::new(), more: Vec::new() }
    }
}

impl<K: Ord + Clone> Ways<K> {
    /// Makes `keys` the only ones of an attachment.
    pub(super) fn put(&mut self, owner: &str, keys: impl IntoIterator<Item = K>) {
        self.map.retain(|_, other| other != owner);
        self.more.retain(|(_, other)| other != owner);
        for key in keys {
            match self.map.get(&key) {
                Some(other) if other != owner => {
                    let way = (key, owner.to_owned());
                    if !self.more.contains(&way) {
                        self.more.push(way);
                    }
                }
                _ => {
                    self.map.insert(key, owner.to_owned());
                }
            }
        }
    }

    /// As [`Ways::put`], but nobody else has them any more. What it had stays its own.
    pub(super) fn put_over(&mut self, owner: &str, had: &[K], keys: &[K]) {
        self.map.retain(|_, other| other != owner);
        for key in keys.iter().filter(|key| !had.contains(key)) {
            self.map.insert(key.clone(), owner.to_owned());
        }
        for key in keys {
            self.map.entry(key.clone()).or_insert_with(|| owner.to_owned());
        }
    }

    /// Who has a key.
    pub(crate) fn first(&self, key: &K) -> Option<&str> {
        self.map.get(key).map(String::as_str)
    }

    /// Who also wants it, in order.
    pub(crate) fn others<'a>(&'a self, key: &'a K) -> impl Iterator<Item = &'a str> {
        self.more.iter().filter(move |(wanted, _)| wanted == key).map(|(_, owner)| owner.as_str())
    }
}
