//! One look at the records.

use wharf_kernel::{Kernel, Machine};
use wharf_ops::links::{Info, LinkOp};
use wharf_ops::{Attachment, Error, ErrorKind, KernelOp, Link, Ns, Reply};

use super::{Look, Missing, Reconciled};
use crate::Paths;
use crate::flock::Patience;
use crate::journal::{Held, JournalError, Listed, Listing, Record, Store, Transaction};
use crate::record::firewall;
use crate::repair::{Seen, host_ends, kernel_for, look};
use crate::run::Kernels;

/// Which records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// Those with rules of iptables.
    Iptables,
    /// By their file names.
    Named(Vec<String>),
}

/// How records are looked at.
pub(super) struct Pass<'a> {
    pub(super) paths: &'a Paths,
    pub(super) kernels: Kernels,
    pub(super) dry_run: bool,
}

impl Pass<'_> {
    /// Looks. What is whole is not answered, unless iptables-legacy has it.
    pub(super) fn run(&self, which: &Which) -> Result<Look, JournalError> {
        let store = Store::of(self.paths);
        let Listing { journals: all, odd } = store.listing()?;
        let legacy = legacy_in_use();
        let mut host = None;
        let mut answers = Vec::new();
        for listed in &all {
            let operations = in_force(&all, listed);
            let of_iptables = operations.iter().any(firewall::is_iptables);
            let wanted = match which {
                Which::All => true,
                Which::Iptables => of_iptables,
                Which::Named(names) => names.contains(&listed.name),
            };
            let (Some(attachment), Some(entry)) = (listed.record.attachment(), listed.record.entry()) else {
                continue;
            };
            if operations.is_empty() || !wanted {
                continue;
            }
            let mut answer = Reconciled {
                journal: listed.name.clone(),
                attachment: attachment.clone(),
                entry: entry.to_owned(),
                missing: Vec::new(),
                skipped: None,
                busy: false,
                failures: Vec::new(),
                legacy: legacy && of_iptables,
            };
            match store.open(&listed.name, &Patience::BRIEF) {
                // Another ADD came between listing and locking.
                Ok(Some(held)) if *held.record() != listed.record => answer.busy = true,
                Ok(Some(held)) => {
                    let of = all.iter().filter(|other| other.record.attachment() == Some(attachment));
                    let records: Vec<&Record> = of.map(|other| &other.record).collect();
                    if let Err(error) = self.one(&mut host, &held, &records, &operations, &mut answer) {
                        answer.failures.push(error.to_string());
                    }
                }
                // It was deleted meanwhile.
                Ok(None) => continue,
                Err(JournalError::Busy { .. }) => answer.busy = true,
                Err(error) => answer.failures.push(error.to_string()),
            }
            if answer.says_something() {
                answers.push(answer);
            }
        }
        Ok(Look { found: answers, odd: odd.iter().map(ToString::to_string).collect() })
    }

    /// One record of those of its attachment, while its lock is held: nobody adds or deletes that meanwhile.
    fn one(
        &self,
        host: &mut Option<Host>,
        held: &Held,
        records: &[&Record],
        operations: &[KernelOp],
        answer: &mut Reconciled,
    ) -> Result<(), Error> {
        let record = held.record();
        let attachment = answer.attachment.clone();
        let host = match host {
            Some(host) => host,
            None => host.insert(Host::of(self.kernels, &attachment)?),
        };
        match host.fate(&self.kernels, record, records) {
            Fate::Alive => {}
            Fate::Gone(reason) => {
                answer.skipped = Some(reason);
                return Ok(());
            }
            Fate::Unknown(reason) => return Err(Error::new(ErrorKind::Io, reason)),
        }
        for op in operations {
            let rules = host.missing(&attachment, self.paths, op)?;
            if rules.is_empty() {
                continue;
            }
            let mut missing = Missing { operation: op.operation().name, rules, restored: false };
            if !self.dry_run {
                match host.restore(&attachment, self.paths, op) {
                    Ok(()) => missing.restored = true,
                    Err(error) => answer.failures.push(format!("{}: {error}", missing.operation)),
                }
            }
            answer.missing.push(missing);
        }
        Ok(())
    }
}

impl Reconciled {
    fn says_something(&self) -> bool {
        !self.missing.is_empty()
            || self.skipped.is_some()
            || self.busy
            || !self.failures.is_empty()
            || self.legacy
    }
}

/// What a record says as far as no newer one of the same attachment says the same kind of thing: each call replaces all
/// that the attachment has of it.
fn in_force(all: &[Listed], listed: &Listed) -> Vec<KernelOp> {
    let mut operations = firewall::operations(&listed.record);
    if operations.is_empty() {
        return operations;
    }
    for other in all {
        if other.name != listed.name
            && other.record.attachment() == listed.record.attachment()
            && other.age() > listed.age()
        {
            let newer = firewall::operations(&other.record);
            operations.retain(|op| !newer.iter().any(|newer| firewall::same_kind(op, newer)));
        }
    }
    operations
}

/// What is known of an attachment.
enum Fate {
    Alive,
    /// It needs no rules any more, and why.
    Gone(String),
    /// Nobody can tell, and why.
    Unknown(String),
}

/// The host's side of a look.
struct Host {
    kernel: Box<dyn Kernel>,
    links: Vec<Info>,
}

impl Host {
    fn of(kernels: Kernels, owner: &Attachment) -> Result<Self, Error> {
        let mut kernel = kernel_for(&kernels, None)?;
        kernel.remember_rules();
        let all = KernelOp::Link(LinkOp::GetAll { ns: Ns::Host });
        let links = kernel.apply(owner, &all).and_then(Reply::infos)?;
        Ok(Self { kernel, links })
    }

    /// Whether the attachment still needs its rules. They are the host's: its namespace need not be seen for them, as long
    /// as one of the links into it is there.
    fn fate(&self, machine: &dyn Machine, record: &Record, records: &[&Record]) -> Fate {
        let seen = record.netns().map(|netns| (netns.path.as_str(), look(machine, netns)));
        let mut ends = records.iter().copied().flat_map(host_ends).peekable();
        let linked = ends.peek().is_some();
        let lost = ends.find(|link| !self.has(link));
        match (seen, lost) {
            (Some((path, Seen::Replaced)), _) => {
                return Fate::Gone(format!("its namespace {path} is gone: another one is there"));
            }
            (Some((path, Seen::Missing(_))), Some(link)) => {
                return Fate::Gone(format!("its namespace {path} is gone, and its link {:?}", link.name));
            }
            (_, Some(link)) => return Fate::Gone(format!("its link {:?} is gone", link.name)),
            (Some((_, Seen::Missing(reason))), None) if !linked => {
                return Fate::Gone(format!("its namespace is gone, or cannot be seen from here: {reason}"));
            }
            (Some((_, Seen::Closed(reason))), None) if !linked => {
                return Fate::Unknown(format!("its namespace cannot be seen from here: {reason}"));
            }
            (Some((_, Seen::Here(_) | Seen::Missing(_) | Seen::Closed(_))) | None, None) => {}
        }
        let operations = record.committed().flat_map(Transaction::operations);
        // A bridge is everybody's, and may have been made anew.
        let own = operations.filter(|(_, op)| !matches!(op, KernelOp::Link(LinkOp::EnsureBridge { .. })));
        let own = own.flat_map(|(step, _)| step.created());
        let mut lost = own.filter(|link| link.ns == Ns::Host && !self.has(link));
        lost.next().map_or(Fate::Alive, |link| Fate::Gone(format!("its link {:?} is gone", link.name)))
    }

    fn has(&self, link: &Link) -> bool {
        self.links.iter().any(|info| info.index == link.index && info.name == link.name)
    }

    /// What is missing of an operation's rules. Those of nftables are told without iptables-legacy, of which this process
    /// may have no right to read a thing.
    fn missing(&mut self, owner: &Attachment, paths: &Paths, op: &KernelOp) -> Result<Vec<String>, Error> {
        self.kernel.pass_over_legacy(!firewall::is_iptables(op));
        firewall::missing(self.kernel.as_mut(), owner, paths, op)
    }

    fn restore(&mut self, owner: &Attachment, paths: &Paths, op: &KernelOp) -> Result<(), Error> {
        self.kernel.apply(owner, op)?;
        // What does not come back as it was written would be written for ever.
        let still = self.missing(owner, paths, op)?;
        match still.first() {
            None => Ok(()),
            Some(rule) => Err(Error::internal(format!("it was put back, but is not there: {rule}"))),
        }
    }
}

/// Whether the legacy flavour of iptables has a nat table in this thread's namespace.
pub(super) fn legacy_in_use() -> bool {
    ["ip_tables_names", "ip6_tables_names"].iter().any(|file| {
        let names = std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
        names.lines().any(|name| name == "nat")
    })
}
