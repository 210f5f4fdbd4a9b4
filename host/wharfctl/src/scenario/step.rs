//! A step as it is carried out: one action, checked before anything runs.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use wharf_cni::Command;

use super::errno;
use super::format::{self, Scenario};
use crate::simulated::{At, Fault};

/// An attachment of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Who {
    pub(super) container: String,
    pub(super) ifname: String,
}

impl Who {
    /// `container`, or `container/ifname`.
    pub(super) fn parse(text: &str) -> Self {
        let (container, ifname) = text.split_once('/').unwrap_or((text, "eth0"));
        Self { container: container.to_owned(), ifname: ifname.to_owned() }
    }

    /// CNI_NETNS.
    pub(super) fn netns(&self) -> String {
        netns(&self.container)
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.container, self.ifname)
    }
}

/// Where a container's namespace is mounted.
pub(super) fn netns(container: &str) -> String {
    format!("/run/netns/{container}")
}

/// What happens.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// A call on an attachment.
    Attachment(Command, Who),
    /// GC: what is valid.
    Gc(Vec<Who>),
    /// STATUS.
    Status,
    /// A packet.
    Probe(format::Probe),
    /// Somebody else changes the machine.
    Change,
}

/// An action and the step that it is of.
pub(super) struct Step<'a> {
    pub(super) action: Action,
    pub(super) says: &'a format::Step,
    pub(super) fault: Option<Fault>,
}

impl<'a> Step<'a> {
    fn of(says: &'a format::Step) -> Result<Self> {
        let attachment = |command, who: &Option<String>| {
            who.as_deref().map(|who| Action::Attachment(command, Who::parse(who)))
        };
        let changes = says.host.is_some() || !says.containers.is_empty();
        let all = [
            attachment(Command::Add, &says.add),
            attachment(Command::Check, &says.check),
            attachment(Command::Del, &says.del),
            says.gc.as_ref().map(|valid| Action::Gc(valid.iter().map(|who| Who::parse(who)).collect())),
            says.status.map(|_| Action::Status),
            says.probe.clone().map(Action::Probe),
            changes.then_some(Action::Change),
        ];
        let mut all = all.into_iter().flatten();
        let (Some(action), None) = (all.next(), all.next()) else {
            bail!("say one of add, check, del, gc, status, probe, and host with containers");
        };
        let is_call = !matches!(action, Action::Probe(_) | Action::Change);
        let of_a_call = says.error.is_some() || says.changes.is_some() || says.fault.is_some();
        ensure!(is_call || !of_a_call, "error, changes and fault are of calls");
        let is_add = matches!(action, Action::Attachment(Command::Add, _));
        ensure!(is_add || says.result.is_none(), "only ADD has a result");
        let is_del = matches!(action, Action::Attachment(Command::Del, _));
        ensure!(is_del || says.goes_on_after.is_empty(), "only DEL goes on: goes-on-after is of DEL");
        let fault = says.fault.as_ref().map(fault).transpose()?;
        Ok(Self { action, says, fault })
    }

    /// What it is called in what people read.
    pub(super) fn title(&self) -> String {
        match &self.action {
            Action::Attachment(command, who) => format!("{} {who}", command.as_str()),
            Action::Gc(valid) => {
                let valid: Vec<_> = valid.iter().map(ToString::to_string).collect();
                format!(
                    "GC, valid: {}",
                    if valid.is_empty() { "nothing".to_owned() } else { valid.join(", ") }
                )
            }
            Action::Status => "STATUS".to_owned(),
            Action::Probe(probe) => {
                let protocol = format!("{:?}", probe.protocol).to_lowercase();
                format!("packet from {} to {}, {protocol}", probe.from, probe.to)
            }
            Action::Change => "somebody changes the machine".to_owned(),
        }
    }
}

impl Scenario {
    /// The steps, each checked.
    pub(super) fn actions(&self) -> Result<Vec<Step<'_>>> {
        ensure!(!self.steps.is_empty(), "there is no [[step]]");
        let named = |(index, says)| Step::of(says).with_context(|| format!("step {}", index + 1));
        self.steps.iter().enumerate().map(named).collect()
    }

    /// With these grants for guests that it has none for.
    pub(super) fn with_grants(mut self, shared: &BTreeMap<String, String>) -> Self {
        for (guest, grant) in shared {
            self.grants.entry(guest.clone()).or_insert_with(|| grant.clone());
        }
        self
    }

    /// Every container that it names.
    pub(super) fn container_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.containers.keys().cloned().collect();
        for step in &self.steps {
            let calls = [&step.add, &step.check, &step.del];
            names.extend(calls.into_iter().flatten().map(|who| Who::parse(who).container));
            names.extend(step.containers.keys().cloned());
        }
        names.sort();
        names.dedup();
        names
    }
}

/// Operations that the broker does by itself.
const OWN: [&str; 4] = ["links/delete-many", "links/delete-unused-bridge", "leases/give-back", "sweep"];

fn fault(says: &format::Fault) -> Result<Fault> {
    let errno = errno::parse(&says.errno)?;
    let at = match (says.change, &says.operation) {
        (Some(number), None) if number > 0 => At::Change(number),
        (None, Some(name)) => {
            let known = wharf_ops::OPERATIONS.iter().any(|operation| operation.name == name);
            ensure!(
                known || OWN.contains(&name.as_str()),
                "fault: there is no operation {name:?}; they are called as in grants: links/set-up, ..."
            );
            At::Operation(name.clone())
        }
        _ => bail!("fault: say `change`, a number from 1, or `operation`"),
    };
    Ok(Fault { at, errno })
}
