//! From operations to statements. An operation that is not named here does not compile.

use std::collections::BTreeMap;

use wharf_ops::addresses::AddressOp;
use wharf_ops::bridge_ports::{BridgePortOp, VlanRange};
use wharf_ops::filter::FilterOp;
use wharf_ops::links::{Common, LinkOp};
use wharf_ops::nat::{NatOp, PortForward};
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::routes::RouteOp;
use wharf_ops::shaping::ShapingOp;
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{KernelOp, Link, Ns};

use super::statement::{Key, Named, Statement, Value};
use crate::journal::{Record, Step, Transaction};

/// What a record says, in the order in which it came to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) statements: Vec<Statement>,
    /// The operation that is being read.
    operation: &'static str,
}

impl Expected {
    /// By the committed transactions. Of an earlier boot only files are left.
    pub(crate) fn of(record: &Record) -> Self {
        let mut expected = Self::default();
        for transaction in record.committed() {
            if !transaction.of_earlier_boot() {
                expected.kernel(transaction);
            }
            for (directory, address) in transaction.leases() {
                expected.operation = "leases/reserve";
                expected.set(Key::Lease(directory.map(str::to_owned), address), Value::Present);
            }
        }
        expected
    }

    /// What one operation on the firewall says.
    pub(crate) fn of_rules(op: &KernelOp) -> Self {
        let mut expected = Self { operation: op.operation().name, ..Self::default() };
        match op {
            KernelOp::Nat(op) => expected.nat(op),
            KernelOp::Filter(op) => expected.filter(op),
            KernelOp::Link(_)
            | KernelOp::BridgePort(_)
            | KernelOp::Address(_)
            | KernelOp::Route(_)
            | KernelOp::Neighbour(_)
            | KernelOp::Sysctl(_)
            | KernelOp::Conntrack(_)
            | KernelOp::Shaping(_) => {}
        }
        expected
    }

    /// What it says about `key`, if anything.
    pub(crate) fn get(&self, key: &Key) -> Option<&Value> {
        self.statements.iter().find(|statement| statement.key == *key).map(|statement| &statement.value)
    }

    /// Whether the record's ADD created that link.
    pub(crate) fn created(&self, link: &Named) -> bool {
        matches!(self.get(&Key::Link(link.clone())), Some(Value::Link { index: Some(_), .. }))
    }

    fn kernel(&mut self, transaction: &Transaction) {
        for (step, op) in transaction.operations() {
            self.operation = op.operation().name;
            match op {
                KernelOp::Link(op) => self.link(step, op),
                KernelOp::BridgePort(op) => self.bridge_port(op),
                KernelOp::Address(op) => self.address(op),
                KernelOp::Route(op) => self.route(op),
                KernelOp::Neighbour(op) => self.neighbour(op),
                KernelOp::Sysctl(op) => self.sysctl(op),
                KernelOp::Nat(op) => self.nat(op),
                KernelOp::Filter(op) => self.filter(op),
                // A flow that was forgotten comes back with its next packet.
                KernelOp::Conntrack(_) => {}
                KernelOp::Shaping(op) => self.shaping(op),
            }
        }
        let Some(commit) = &transaction.commit else { return };
        // A hardware address that the kernel chose is known by the result.
        for interface in &commit.result.interfaces {
            let ns = if interface.sandbox.is_some() { Ns::Container } else { Ns::Host };
            let link = Named::new(ns, &interface.name);
            let created = transaction.created().find(|created| Named::from(*created) == link);
            let Some(mac) = interface.mac.filter(|_| created.is_some()) else { continue };
            let key = Key::Mac(link.clone());
            // A bridge takes its ports' addresses until it is given one.
            let is_bridge = matches!(
                self.get(&Key::Link(link)),
                Some(Value::Link { kind: Some(kind), .. }) if kind == "bridge"
            );
            if !is_bridge && self.get(&key).is_none() {
                self.operation = "links/create-veth";
                self.set(key, Value::Mac(mac));
            }
        }
    }

    fn set(&mut self, key: Key, value: Value) {
        let operation = self.operation;
        match self.statements.iter_mut().find(|statement| statement.key == key) {
            Some(statement) => (statement.value, statement.operation) = (value, operation),
            None => self.statements.push(Statement { key, value, operation }),
        }
    }

    /// As `set`, for something of a link, which therefore has to be there.
    fn set_of(&mut self, link: &Link, key: fn(Named) -> Key, value: Value) {
        let named = Named::from(link);
        self.needs(&named);
        self.set(key(named), value);
    }

    fn needs(&mut self, link: &Named) {
        let key = Key::Link(link.clone());
        if matches!(self.get(&key), None | Some(Value::Absent)) {
            self.set(key, Value::Link { kind: None, index: None });
        }
    }

    fn created_link(&mut self, link: &Link, kind: &str, mtu: Option<u32>, mac: Option<wharf_ops::Mac>) {
        let named = Named::from(link);
        self.set(Key::Link(named.clone()), Value::Link { kind: Some(kind.into()), index: Some(link.index) });
        if let Some(mtu) = mtu {
            self.set(Key::Mtu(named.clone()), Value::Number(mtu));
        }
        if let Some(mac) = mac {
            self.set(Key::Mac(named), Value::Mac(mac));
        }
    }

    fn gone(&mut self, link: &Link) {
        let link = Named::from(link);
        self.statements.retain(|statement| statement.key.link().as_ref() != Some(&link));
        self.set(Key::Link(link), Value::Absent);
    }

    fn link(&mut self, step: &Step, op: &LinkOp) {
        match op {
            LinkOp::CreateVeth { a, b } => {
                if let [one, other] = step.created() {
                    self.created_link(one, "veth", a.mtu, a.mac);
                    self.created_link(other, "veth", b.mtu, b.mac);
                    self.set(Key::Peer(one.into(), other.ns), Value::Name(other.name.clone()));
                }
            }
            LinkOp::EnsureBridge { ns, common, .. } => self.bridge(step, *ns, common),
            LinkOp::CreateIfb { common, .. } => {
                if let [link] = step.created() {
                    self.created_link(link, "ifb", common.mtu, common.mac);
                }
            }
            LinkOp::SetUp { link, up } => self.set_of(link, Key::Up, Value::On(*up)),
            LinkOp::SetMtu { link, mtu } => self.set_of(link, Key::Mtu, Value::Number(*mtu)),
            LinkOp::SetMac { link, mac } => self.set_of(link, Key::Mac, Value::Mac(*mac)),
            LinkOp::SetMaster { link, master } => {
                let master = master.as_ref().map_or(Value::Absent, |master| Value::Name(master.name.clone()));
                self.set_of(link, Key::Master, master);
            }
            LinkOp::SetPromiscuous { link, on } => self.set_of(link, Key::Promiscuous, Value::On(*on)),
            LinkOp::SetAlias { link, alias } => self.set_of(link, Key::Alias, Value::Text(alias.clone())),
            LinkOp::Delete { link } | LinkOp::DeleteUnusedBridge { link } => self.gone(link),
            LinkOp::DeleteMany { links } => links.iter().for_each(|link| self.gone(link)),
            LinkOp::Get { .. }
            | LinkOp::GetAll { .. }
            | LinkOp::Info { .. }
            | LinkOp::Peer { .. }
            | LinkOp::WaitOperational { .. } => {}
        }
    }

    /// A bridge is known by its name alone: it is everybody's, and may have been made anew. Its address is what the record
    /// says only if this ADD made it. Its MTU says nothing: the kernel makes it follow the smallest one of the ports.
    fn bridge(&mut self, step: &Step, ns: Ns, common: &Common) {
        let named = Named::new(ns, &common.name);
        self.set(Key::Link(named.clone()), Value::Link { kind: Some("bridge".into()), index: None });
        if step.created().is_empty() {
            return;
        }
        if let Some(mac) = common.mac {
            self.set(Key::Mac(named), Value::Mac(mac));
        }
    }

    fn bridge_port(&mut self, op: &BridgePortOp) {
        match op {
            BridgePortOp::SetHairpin { port, on } => self.set_of(port, Key::Hairpin, Value::On(*on)),
            BridgePortOp::SetIsolated { port, on } => self.set_of(port, Key::Isolated, Value::On(*on)),
            BridgePortOp::AddVlan { port, range } => self.vlans(port, *range, true),
            BridgePortOp::RemoveVlan { port, range } => self.vlans(port, *range, false),
            BridgePortOp::Get { .. } | BridgePortOp::GetVlans { .. } => {}
        }
    }

    fn vlans(&mut self, port: &Link, range: VlanRange, add: bool) {
        let named = Named::from(port);
        let mut vlans = match self.get(&Key::Vlans(named.clone())) {
            Some(Value::Vlans(vlans)) => vlans.clone(),
            _ => BTreeMap::new(),
        };
        for vlan in range.first..=range.last {
            if add {
                vlans.insert(vlan, range.untagged)
            } else {
                vlans.remove(&vlan)
            };
        }
        self.set_of(port, Key::Vlans, Value::Vlans(vlans));
        let pvid = match self.get(&Key::Pvid(named)) {
            Some(Value::Number(pvid)) => u16::try_from(*pvid).ok(),
            _ => None,
        };
        if add && range.pvid {
            self.set_of(port, Key::Pvid, Value::Number(range.last.into()));
        } else if pvid.is_some_and(|pvid| (range.first..=range.last).contains(&pvid)) {
            self.set_of(port, Key::Pvid, Value::Absent);
        }
    }

    fn address(&mut self, op: &AddressOp) {
        match op {
            AddressOp::Add { on, address } => {
                self.needs(&on.into());
                self.set(Key::Address(on.into(), *address), Value::Present);
            }
            AddressOp::Remove { on, address } => self.set(Key::Address(on.into(), *address), Value::Absent),
            AddressOp::GetAll { .. } | AddressOp::Settle { .. } | AddressOp::Announce { .. } => {}
        }
    }

    fn route(&mut self, op: &RouteOp) {
        match op {
            RouteOp::Add { ns, route } => self.set(Key::Route(*ns, route.clone()), Value::Present),
            RouteOp::Remove { ns, route } => {
                for statement in &mut self.statements {
                    if let Key::Route(own_ns, own) = &statement.key
                        && (own_ns, own.dst) == (ns, route.dst)
                        && (route.link.is_none() || route.link == own.link)
                        && route.table.unwrap_or(MAIN) == own.table.unwrap_or(MAIN)
                    {
                        statement.value = Value::Absent;
                    }
                }
                self.set(Key::Route(*ns, route.clone()), Value::Absent);
            }
            RouteOp::GetAll { .. } | RouteOp::Lookup { .. } => {}
        }
    }

    fn neighbour(&mut self, op: &NeighbourOp) {
        match op {
            NeighbourOp::Set { on, address, mac } => {
                self.needs(&on.into());
                self.set(Key::Neighbour(on.into(), *address), Value::Mac(*mac));
            }
            NeighbourOp::Remove { on, address } => {
                self.set(Key::Neighbour(on.into(), *address), Value::Absent);
            }
            NeighbourOp::GetAll { .. } => {}
        }
    }

    fn sysctl(&mut self, op: &SysctlOp) {
        match op {
            SysctlOp::Write { ns, key, value } => {
                self.set(Key::Sysctl(*ns, key.clone()), Value::Text(super::compare::words(value)));
            }
            SysctlOp::Read { .. } => {}
        }
    }

    /// Each call replaces what the attachment has.
    fn nat(&mut self, op: &NatOp) {
        match op {
            NatOp::Masquerade { rules, .. } => {
                self.absent(|key| matches!(key, Key::Masquerade(_)));
                for rule in rules {
                    let except = super::compare::sorted(&rule.except);
                    self.set(Key::Masquerade(rule.source), Value::Except(except));
                }
            }
            NatOp::RemoveMasquerades => self.absent(|key| matches!(key, Key::Masquerade(_))),
            NatOp::ForwardPorts { rules, .. } => {
                self.absent(|key| matches!(key, Key::Forward { .. }));
                for rule in rules {
                    self.set(forward_key(rule), Value::To(rule.container_address, rule.container_port));
                }
            }
            NatOp::RemoveForwards => self.absent(|key| matches!(key, Key::Forward { .. })),
            NatOp::Detect | NatOp::GetMasquerades | NatOp::GetForwards => {}
        }
    }

    fn filter(&mut self, op: &FilterOp) {
        match op {
            FilterOp::AntiSpoof { link, allowed } => {
                self.set(Key::AntiSpoof(link.clone()), Value::Mac(*allowed));
            }
            FilterOp::RemoveAntiSpoof => self.absent(|key| matches!(key, Key::AntiSpoof(_))),
            FilterOp::GetAntiSpoof { .. } => {}
        }
    }

    fn shaping(&mut self, op: &ShapingOp) {
        match op {
            ShapingOp::SetEgress { on, rate } => self.set_of(on, Key::Egress, Value::Rate(*rate)),
            ShapingOp::RedirectIngress { on, to } => {
                self.needs(&to.into());
                self.set_of(on, Key::Redirect, Value::Name(to.name.clone()));
            }
            ShapingOp::Clear { on } => {
                self.set(Key::Egress(on.into()), Value::Absent);
                self.set(Key::Redirect(on.into()), Value::Absent);
            }
            ShapingOp::ClearEgress { on } => self.set(Key::Egress(on.into()), Value::Absent),
            ShapingOp::ClearIngress { on } => self.set(Key::Redirect(on.into()), Value::Absent),
            ShapingOp::GetEgress { .. } | ShapingOp::GetRedirect { .. } => {}
        }
    }

    fn absent(&mut self, which: fn(&Key) -> bool) {
        for statement in self.statements.iter_mut().filter(|statement| which(&statement.key)) {
            statement.value = Value::Absent;
        }
    }
}

/// RT_TABLE_MAIN.
const MAIN: u32 = 254;

/// What a forward is known by. An unspecified host address says no more than none.
pub(super) fn forward_key(rule: &PortForward) -> Key {
    Key::Forward {
        protocol: rule.protocol,
        host: rule.host_address.filter(|host| !host.is_unspecified()),
        port: rule.host_port,
        v6: rule.container_address.is_ipv6(),
    }
}
