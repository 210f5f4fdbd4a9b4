//! Collecting what no valid attachment of a network holds, without its configuration and its guests: what an operator
//! does on a node by `wharfctl gc`.
//!
//! The records of its attachments come first: they know all that an attachment has. What has no record is known by what
//! carries the network's name: owner stamps of rules, aliases of veths and ifbs, the directory of its leases,
//! and, if they are to be adopted, the comments that the reference plugins write. Rules and links go before leases, so that
//! nobody gets an address that still has either.

mod leases;
mod links;
mod records;
mod rules;

pub(crate) use links::{names_attachment, prefix as alias_prefix, stale_ends};
pub(crate) use rules::stale;
use serde::Serialize;
use wharf_kernel::{Kernel as _, RealKernel};

use crate::Paths;
use crate::journal::{JournalError, Store};

/// What is to be collected.
#[derive(Clone, Debug)]
pub struct Collection {
    /// The network's name.
    pub network: String,
    /// Container and interface of what stays.
    pub valid: Vec<(String, String)>,
    /// host-local's `dataDir`, none the default.
    pub data_dir: Option<String>,
    /// Also what the reference plugins left.
    pub adopt: bool,
    /// Only say what would go.
    pub dry_run: bool,
}

/// What became of a thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is gone.
    Removed,
    /// It would go.
    WouldRemove,
    /// It stays, for it may be another network's.
    Unsure,
    /// It stays, for this reason.
    Failed(String),
}

/// What a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An attachment that has a record, with all that is in it.
    Attachment,
    /// Firewall rules.
    Rules,
    /// A network device.
    Link,
    /// An address.
    Lease,
}

/// Something that no valid attachment holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Which one, in the words of the tools that show it.
    pub what: String,
    /// Whose it was; empty where that is not known.
    #[serde(rename = "containerID")]
    pub container: String,
    /// By which interface; empty where that is not known.
    pub ifname: String,
    /// Whether a reference plugin made it.
    pub reference: bool,
    /// What became of it.
    pub outcome: Outcome,
}

/// What was found, and what could not be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What no valid attachment holds.
    pub items: Vec<Item>,
    /// What kept some place from being looked at. Every other place was.
    pub errors: Vec<String>,
}

impl Report {
    /// Whether everything that was to go went.
    pub fn is_complete(&self) -> bool {
        self.errors.is_empty() && !self.items.iter().any(|item| matches!(item.outcome, Outcome::Failed(_)))
    }

    fn note<T>(&mut self, what: &str, outcome: Result<T, wharf_ops::Error>) -> Option<T> {
        outcome.map_err(|error| self.errors.push(format!("{what}: {error}"))).ok()
    }
}

impl Collection {
    /// Looks at everything and removes what is stale. An error in one place does not keep the others.
    pub fn run(&self, paths: &Paths, kernel: &mut RealKernel) -> Report {
        let mut report = Report::default();
        records::collect(self, paths, &mut report);
        let mut pool = leases::open(self, paths, &mut report);
        let leased = leases::list(&mut pool, &mut report);
        let owners = report.note("rules", kernel.owners(&self.network)).unwrap_or_default();
        let links = links::list(self, kernel, &mut report);
        // Later than what was found, and while the pool is held: an ADD that has something of it has a journal by now.
        let wanted = &match self.with_running(paths) {
            Ok(wanted) => wanted,
            Err(error) => {
                report.errors.push(error.to_string());
                return report;
            }
        };
        rules::own(wanted, owners, kernel, &mut report);
        if self.adopt {
            rules::of_reference(wanted, kernel, &leased, &mut report);
        }
        links::collect(wanted, links, kernel, &leased, &mut report);
        leases::collect(wanted, pool.as_mut(), &leased, &mut report);
        report
    }

    /// The same with those who are being attached, whom nobody can call valid yet. Records of what is not valid were swept;
    /// where they were only looked at, a journal that is locked tells.
    fn with_running(&self, paths: &Paths) -> Result<Self, JournalError> {
        let store = Store::of(paths);
        let mut wanted = self.clone();
        if !self.dry_run {
            wanted.valid.extend(store.attachments(&self.network)?);
            return Ok(wanted);
        }
        for listed in store.list()?.into_iter().filter(|listed| listed.busy) {
            let owner = listed.record.attachment().filter(|owner| owner.network == self.network);
            wanted.valid.extend(owner.map(|owner| (owner.container.clone(), owner.ifname.clone())));
        }
        Ok(wanted)
    }

    /// Only what has a record. What has none may be in use: nobody here knows all attachments.
    pub fn run_recorded(&self, paths: &Paths) -> Report {
        let mut report = Report::default();
        records::collect(self, paths, &mut report);
        report
    }

    fn keeps(&self, container: &str, ifname: &str) -> bool {
        self.valid.iter().any(|(valid, by)| valid == container && (by == ifname || ifname.is_empty()))
    }

    fn carry_out(&self, remove: impl FnOnce() -> Result<(), wharf_ops::Error>) -> Outcome {
        if self.dry_run {
            return Outcome::WouldRemove;
        }
        remove().map_or_else(|error| Outcome::Failed(error.to_string()), |()| Outcome::Removed)
    }
}
