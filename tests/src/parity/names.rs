//! What is random, or a place on this machine, under names that are the same on both sides.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::stage::Stage;
use crate::dump::text;

/// Texts and what they are called.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Names of links of the node.
    links: BTreeMap<String, String>,
    /// Places: namespaces and the node's folder; the longest first.
    places: Vec<(String, String)>,
    /// Hardware addresses that the case gives.
    given: BTreeSet<String>,
    /// The hardware address of each link, by the namespace and the name that results have.
    macs: BTreeMap<(String, String), String>,
}

impl Names {
    /// The names of everything on the stage; `links` are each namespace's, the node's first.
    pub(super) fn of(stage: &Stage, links: &[(&str, Value)]) -> Self {
        let mut names = Self::default();
        for (name, container) in &stage.containers {
            names.places.push((container.path().display().to_string(), format!("<netns of {name}>")));
        }
        names.places.push((stage.node.folder("").display().to_string(), "<node>/".to_owned()));
        for (place, all) in links {
            let sandbox = if *place == "node" { String::new() } else { format!("<netns of {place}>") };
            for link in all.as_array().into_iter().flatten() {
                let (name, mac) = (text(link, "ifname"), text(link, "address"));
                names.macs.insert((sandbox.clone(), name.to_owned()), mac.to_owned());
            }
        }
        names.link_names(links);
        names.redirect_names(stage);
        names.places.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        names.given.clone_from(&stage.given_macs);
        names
    }

    /// A veth with a random name is called by its other end.
    fn link_names(&mut self, links: &[(&str, Value)]) {
        let Some((_, on_node)) = links.first() else { return };
        let random = |link: &&Value| is_random(text(link, "ifname"));
        for link in on_node.as_array().into_iter().flatten().filter(random) {
            let inside = links.iter().skip(1).find_map(|(place, all)| {
                let mut all = all.as_array()?.iter();
                let end = all.find(|other| {
                    other.get("link_netnsid").is_some() && other["link_index"] == link["ifindex"]
                })?;
                Some(format!("{place}/{}", text(end, "ifname")))
            });
            let beside = || link["link"].as_str().map(str::to_owned);
            let other = inside.or_else(beside).unwrap_or_else(|| "?".to_owned());
            self.links.insert(text(link, "ifname").to_owned(), format!("peer({other})"));
        }
    }

    /// An ifb is called by what is redirected to it.
    fn redirect_names(&mut self, stage: &Stage) {
        let veths: Vec<(String, String)> =
            self.links.iter().map(|(name, called)| (name.clone(), called.clone())).collect();
        for ifb in stage.node.links().into_iter().filter(|name| name.starts_with("bwp")) {
            let comes_from = veths.iter().find(|(veth, _)| {
                let filters = stage.node.try_sh(&format!("tc -j filter show dev {veth} ingress"));
                String::from_utf8_lossy(&filters.stdout).contains(&format!("\"{ifb}\""))
            });
            let called = comes_from.map_or("?", |(_, called)| called.as_str());
            self.links.insert(ifb, format!("ifb({called})"));
        }
    }

    /// What a link of the node is called.
    pub fn link(&self, name: &str) -> String {
        self.links.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// The address itself if the case gave it, else what kind it is.
    pub fn kind_of_mac(&self, mac: &str) -> String {
        match mac {
            "00:00:00:00:00:00" => "zero".to_owned(),
            _ if self.given.contains(mac) => mac.to_owned(),
            _ => "random".to_owned(),
        }
    }

    /// A text without what is random or a place.
    pub fn clean(&self, text: &str) -> String {
        let named = self.links.iter().chain(self.places.iter().map(|(text, name)| (text, name)));
        named.fold(text.to_owned(), |text, (random, name)| text.replace(random, name))
    }

    /// The members of a result at paths. An interface's hardware address is compared with that of the link itself.
    pub fn result(&self, path: &str, result: &Value) -> BTreeMap<String, Value> {
        let mut result = result.clone();
        for interface in result["interfaces"].as_array_mut().into_iter().flatten() {
            self.interface(interface);
        }
        let mut found = BTreeMap::new();
        self.flatten(path, &result, &mut found);
        found
    }

    fn interface(&self, interface: &mut Value) {
        let Some(interface) = interface.as_object_mut() else { return };
        let of = |interface: &Map<String, Value>, key: &str| {
            interface.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let sandbox = self.clean(&of(interface, "sandbox"));
        let (link, mac) = (of(interface, "name"), of(interface, "mac"));
        let own = self.macs.get(&(sandbox, link));
        if let Some(shown) = interface.get_mut("mac") {
            let kind = self.kind_of_mac(&mac);
            *shown = match own {
                Some(own) if *own == mac => format!("the link's, {kind}").into(),
                _ => format!("not the link's, {kind}").into(),
            };
        }
    }

    fn flatten(&self, path: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                members.iter().for_each(|(key, value)| self.flatten(&format!("{path} {key}"), value, found));
            }
            Value::Array(items) if !items.is_empty() => {
                let items = items.iter().enumerate();
                items.for_each(|(index, value)| self.flatten(&format!("{path} {index}"), value, found));
            }
            Value::String(text) => {
                found.insert(path.to_owned(), self.clean(text).into());
            }
            other => {
                found.insert(path.to_owned(), other.clone());
            }
        }
    }
}

/// `veth` and eight hexadecimal digits.
fn is_random(name: &str) -> bool {
    name.strip_prefix("veth").is_some_and(|digits| {
        digits.len() == 8 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// The hardware addresses that a text has in it.
pub(super) fn macs_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_hexdigit() || c == ':';
    let words = text.split(|c| !is_part(c)).filter(|word| word.len() == 17 && word.matches(':').count() == 5);
    words.map(str::to_ascii_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_names_are_told_by_their_shape() {
        assert!(is_random("veth01234abc"));
        assert!(!is_random("veth0") && !is_random("vethzzzzzzzz") && !is_random("eth0"));
    }

    #[test]
    fn given_addresses_are_found_in_any_text() {
        let found = macs_in(r#"{"args": "MAC=02:00:00:00:00:0A;IP=fd00::1", "mac": "0a:58:00:00:00:01"}"#);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["02:00:00:00:00:0a", "0a:58:00:00:00:01"]);
    }
}
