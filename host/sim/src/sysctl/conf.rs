//! The folders `ipv4/conf/*` and `ipv6/conf/*`: one of each for all devices together, for new ones, and for each device.

use std::collections::{BTreeMap, BTreeSet};

use super::known::{CONF4, CONF6, Rule};
use crate::device::Kind;

/// One folder. Only what differs from the table is kept.
#[derive(Clone, Debug)]
pub(crate) struct Conf {
    v4: bool,
    values: BTreeMap<&'static str, i64>,
    /// IPv4: what somebody wrote here, which a new default does not change any more.
    written: BTreeSet<&'static str>,
    /// The text of `stable_secret`.
    secret: String,
}

impl Conf {
    fn new(v4: bool, values: &[(&'static str, i64)]) -> Self {
        let values = values.iter().copied().collect();
        Self { v4, values, written: BTreeSet::new(), secret: String::new() }
    }

    fn row(&self, name: &str) -> Option<(&'static str, i64, Rule)> {
        let table = if self.v4 { CONF4 } else { CONF6 };
        table.iter().find(|(known, ..)| *known == name).copied()
    }

    /// The number; 0 for what is not in the table.
    pub(crate) fn get(&self, name: &str) -> i64 {
        let usual = || self.row(name).map(|(_, value, _)| value);
        self.values.get(name).copied().or_else(usual).unwrap_or_default()
    }

    /// The text and how it is written, if there is such a parameter.
    pub(super) fn find(&self, name: &str) -> Option<(String, Rule)> {
        let (name, _, rule) = self.row(name)?;
        let highest = self.get("link mtu");
        let rule = match rule {
            Rule::Mtu { .. } => Rule::Mtu { highest },
            Rule::GenMode { .. } => Rule::GenMode { secret: !self.secret.is_empty() },
            other => other,
        };
        let value = if rule == Rule::Secret { self.secret.clone() } else { self.get(name).to_string() };
        Some((value, rule))
    }

    /// Sets a number.
    pub(crate) fn set(&mut self, name: &str, value: i64) {
        if let Some((name, ..)) = self.row(name) {
            self.values.insert(name, value);
        }
    }

    pub(super) fn set_secret(&mut self, secret: &str) {
        secret.clone_into(&mut self.secret);
    }

    /// Sets what somebody asked for.
    pub(super) fn write(&mut self, name: &str, value: i64) {
        self.set(name, value);
        self.written.extend(self.row(name).map(|(name, ..)| name));
    }

    /// Sets what a new default says, unless somebody has written it.
    pub(super) fn follow(&mut self, name: &str, value: i64) {
        if !self.written.contains(name) {
            self.set(name, value);
        }
    }

    /// What has not its usual value, but for the MTU.
    pub(crate) fn unusual(&self) -> impl Iterator<Item = (&'static str, i64)> {
        let rows = self.values.iter().filter_map(|(name, value)| Some((self.row(name)?, *value)));
        let rows =
            rows.filter(|((_, usual, rule), value)| value != usual && !matches!(rule, Rule::Mtu { .. }));
        rows.map(|((name, ..), value)| (name, value))
    }

    /// From now on no new default changes anything: the device has an address.
    pub(crate) fn settle(&mut self) {
        self.written.extend(CONF4.iter().map(|(name, ..)| *name));
    }

    /// What IPv6 may be told to take for the MTU.
    pub(crate) fn set_mtu(&mut self, mtu: u32) {
        self.values.insert("link mtu", mtu.into());
        self.values.insert("mtu", mtu.into());
    }
}

/// What a namespace has of them, and the parameters that belong to no device.
#[derive(Clone, Debug)]
pub(crate) struct Sysctls {
    pub(crate) all4: Conf,
    pub(crate) default4: Conf,
    pub(crate) all6: Conf,
    pub(crate) default6: Conf,
    /// What was set.
    pub(crate) globals: BTreeMap<&'static str, String>,
}

impl Default for Sysctls {
    fn default() -> Self {
        Self {
            all4: Conf::new(true, &[("accept_source_route", 0)]),
            default4: Conf::new(true, &[]),
            all6: Conf::new(false, &[("accept_dad", 0), ("link mtu", 1280)]),
            default6: Conf::new(false, &[("link mtu", 1280)]),
            globals: BTreeMap::new(),
        }
    }
}

impl Sysctls {
    /// Of a new device.
    pub(crate) fn conf4(&self, kind: &Kind) -> Conf {
        let mut conf = self.default4.clone();
        if *kind == Kind::Loopback {
            conf.set("disable_policy", 1);
            conf.set("disable_xfrm", 1);
        }
        conf
    }

    /// Of a new device. Where nobody can be asked there is no duplicate address detection.
    pub(crate) fn conf6(&self, kind: &Kind) -> Conf {
        let mut conf = self.default6.clone();
        conf.secret.clear();
        conf.set_mtu(if *kind == Kind::Loopback { 65536 } else { 1500 });
        if kind.no_arp() {
            conf.set("accept_dad", -1);
        }
        if *kind == Kind::Loopback {
            conf.set("use_tempaddr", -1);
        }
        conf
    }
}
