//! Everything that a node is: the simulated kernel, and what the host keeps beside it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use wharf_ops::{Attachment, Error, Operation};
use wharf_sim::{Sim, SimKernel, Space};

use crate::attachment::Record;
use crate::change::Change;
use crate::delegates::Delegate;
use crate::fault::Fault;
use crate::leases::Pool;
use crate::log::Line;

/// The network of a pool, and its directory if it is not the usual one.
pub(crate) type PoolKey = (String, Option<String>);

pub(crate) struct Machine {
    pub(crate) sim: Sim,
    /// What the namespaces are called, in the order that they were made in.
    pub(crate) names: RefCell<Vec<(Space, String)>>,
    pub(crate) records: RefCell<BTreeMap<Attachment, Record>>,
    pub(crate) leases: RefCell<BTreeMap<PoolKey, Pool>>,
    pub(crate) files: RefCell<BTreeMap<String, String>>,
    pub(crate) delegates: RefCell<BTreeMap<String, Delegate>>,
    pub(crate) faults: RefCell<Vec<Fault>>,
    pub(crate) changes: RefCell<Vec<Change>>,
    pub(crate) operations: RefCell<Vec<&'static str>>,
    pub(crate) log: RefCell<Vec<Line>>,
}

/// A fault that never struck tests nothing. Not where the test fails anyway.
impl Drop for Machine {
    fn drop(&mut self) {
        let faults = self.faults.borrow();
        let missed: Vec<&str> = faults.iter().filter_map(Fault::missed).collect();
        assert!(
            missed.is_empty() || std::thread::panicking(),
            "the node was to fail {}, which no guest asked for that often; `Node::operations` says what they asked for",
            missed.join(" and ")
        );
    }
}

impl Machine {
    pub(crate) fn new() -> Self {
        let sim = Sim::new(1);
        Self {
            names: RefCell::new(vec![(sim.host(), "host".to_owned())]),
            sim,
            records: RefCell::default(),
            leases: RefCell::default(),
            files: RefCell::default(),
            delegates: RefCell::default(),
            faults: RefCell::default(),
            changes: RefCell::default(),
            operations: RefCell::default(),
            log: RefCell::default(),
        }
    }

    /// A new namespace of that name.
    pub(crate) fn add_namespace(&self, name: &str) -> Space {
        let space = self.sim.add_namespace(format!("/run/netns/{name}"));
        self.names.borrow_mut().push((space, name.to_owned()));
        space
    }

    pub(crate) fn remove_namespace(&self, space: Space) {
        self.sim.remove_namespace(space);
        self.names.borrow_mut().retain(|(other, _)| *other != space);
    }

    pub(crate) fn has(&self, space: Space) -> bool {
        self.names.borrow().iter().any(|(other, _)| *other == space)
    }

    pub(crate) fn name(&self, space: Space) -> String {
        let names = self.names.borrow();
        let name = names.iter().find(|(other, _)| *other == space).map(|(_, name)| name.clone());
        name.unwrap_or_else(|| "a namespace that is gone".to_owned())
    }

    pub(crate) fn kernel(&self, container: Option<Space>) -> SimKernel {
        self.sim.kernel(self.sim.host(), container)
    }

    /// The error that the operation is to fail with, if it is to fail.
    pub(crate) fn strike(&self, operation: &str) -> Result<(), Error> {
        let mut faults = self.faults.borrow_mut();
        for (index, fault) in faults.iter_mut().enumerate() {
            if let Some(error) = fault.strike(operation) {
                if fault.is_spent_by_one() {
                    faults.remove(index);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    pub(crate) fn note(&self, operation: Operation, change: Change) {
        self.operations.borrow_mut().push(operation.name);
        if operation.changes {
            self.changes.borrow_mut().push(change);
        }
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("namespaces", &self.names)
            .field("leases", &self.leases)
            .finish_non_exhaustive()
    }
}
