//! What the attachment record says about the host, and whether the host is still that way.
//!
//! A record is a list of operations. Read in order it becomes a list of statements ([`Expected`]: each has a key, and a
//! later one of the same key replaces an earlier one); each key has one reader ([`Actual`]). Nothing is inferred from
//! what else is there: other plugins may add to an interface, and other attachments to what is shared.

mod actual;
mod compare;
mod excuse;
mod expected;
pub(crate) mod firewall;
mod statement;
#[cfg(test)]
mod tests;

use std::path::Path;

use wharf_cni::CniError;
use wharf_kernel::Kernel;
use wharf_ops::call::NetworkResult;
use wharf_ops::{Error, Ns};

use crate::Paths;
use crate::journal::{Record, Store};
use actual::Actual;
use compare::holds;
use expected::Expected;
use statement::{Key, Statement, Value};

/// What plugins answer when a CHECK finds a difference.
pub(crate) const CHECK_FAILED: u32 = 101;

/// A statement that is not true any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    statement: Statement,
    found: Value,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Statement { key, value, .. } = &self.statement;
        write!(f, "{key}: expected {value}, found {}", self.found)
    }
}

/// What a record is compared with.
pub(crate) struct Comparison<'a> {
    pub(crate) paths: &'a Paths,
    pub(crate) kernel: &'a mut dyn Kernel,
    /// The container's namespace of this call: device and inode.
    pub(crate) netns: Option<(u64, u64)>,
    /// What the runtime says that the result was, later plugins' changes included.
    pub(crate) result: Option<&'a NetworkResult>,
    /// The file of the record.
    pub(crate) journal: &'a Path,
}

impl Comparison<'_> {
    /// Every difference, in the order of the operations that made what differs.
    pub(crate) fn differences(&mut self, record: &Record) -> Result<Vec<Difference>, Error> {
        let Some(attachment) = record.attachment() else { return Ok(Vec::new()) };
        let mut expected = Expected::of(record);
        let mut differences = Vec::new();
        let inside = |statement: &Statement| {
            statement.value != Value::Absent && statement.key.ns() == Some(Ns::Container)
        };
        if expected.statements.iter().any(inside)
            && let Some(recorded) = record.netns()
            && let Some(found) = self.netns
            && found != (recorded.device, recorded.inode)
        {
            differences.push(Difference {
                statement: Statement {
                    key: Key::Namespace,
                    value: Value::Namespace(recorded.device, recorded.inode),
                    operation: "links/create-veth",
                },
                found: Value::Namespace(found.0, found.1),
            });
            // What is in another one says nothing about the attachment.
            expected.statements.retain(|statement| statement.key.ns() != Some(Ns::Container));
        }
        let mut actual = Actual::new(self.kernel, attachment, self.paths);
        for statement in &expected.statements {
            if statement.value == Value::Absent || actual.lacks_link_of(&statement.key)? {
                continue;
            }
            let found = actual.read(&statement.key)?;
            if !holds(&statement.value, &found) {
                differences.push(Difference { statement: statement.clone(), found });
            }
        }
        if differences.is_empty() {
            return Ok(differences);
        }
        let all = Store::of(self.paths).list()?;
        let excuses = excuse::Excuses::of(&all, self.journal, attachment, &expected, self.result);
        differences.retain(|difference| !excuses.cover(difference));
        Ok(differences)
    }
}

/// The differences as one error of a CHECK.
pub(crate) fn error(differences: &[Difference]) -> CniError {
    let mut operations: Vec<&str> = Vec::new();
    for difference in differences {
        let operation = difference.statement.operation;
        if !operations.contains(&operation) {
            operations.push(operation);
        }
    }
    let named: Vec<String> = differences.iter().map(ToString::to_string).collect();
    CniError::new(CHECK_FAILED, format!("not as ADD left it: {}", named.join("; ")))
        .with_details(format!("fault: host; operation: {}", operations.join(", ")))
}
