//! What happens on a simulated node, in order: each change of the kernel and of the leases, whoever asked for it, with
//! what came of it. Here is also where one of them can be made to fail.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Instant;

use wharf_broker::run::{LeaseChange, Moment};
use wharf_cni::CniError;
use wharf_kernel::{Kernel, Machine, Netns, NetnsError};
use wharf_ops::{Attachment, Error, ErrorKind, KernelOp, Op, Reply};
use wharf_sim::Sim;

use crate::words;

/// Something that happened, in words: what was asked, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `links/create-veth`, and `sweep` for the rules of an owner.
    pub(crate) operation: &'static str,
    /// Its arguments.
    pub(crate) arguments: String,
    /// What it made, or why it failed.
    pub(crate) answer: Result<String, String>,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (arguments, separator) = (&self.arguments, if self.arguments.is_empty() { "" } else { " " });
        write!(f, "{}{separator}{arguments}", self.operation)?;
        match &self.answer {
            Ok(made) if made.is_empty() => Ok(()),
            Ok(made) => write!(f, " -> {made}"),
            Err(error) => write!(f, " -> failed: {error}"),
        }
    }
}

/// Which operation fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The one with this number, counted from 1 over all changes from now on.
    Change(u32),
    /// The first of that name from now on, which may be a question.
    Operation(String),
}

/// An operation that fails instead of being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Which.
    pub(crate) at: At,
    /// How.
    pub(crate) errno: i32,
}

/// Is told before and after each change, with the number of changes that were done by then.
pub(crate) type Watcher = Box<dyn FnMut(u32)>;

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    changes: u32,
    /// What was said of changes whose arguments cannot be.
    invalid: Vec<String>,
    fault: Option<Fault>,
    went_on: Vec<String>,
    watcher: Option<Watcher>,
}

/// What happened so far, and what is to happen.
#[derive(Default)]
pub(crate) struct Story(RefCell<State>);

impl Story {
    /// Takes what happened, and counts from 1 again.
    pub(crate) fn take(&self) -> Vec<Entry> {
        let mut state = self.0.borrow_mut();
        state.changes = 0;
        state.invalid.clear();
        std::mem::take(&mut state.entries)
    }

    /// Whether this tells of a change that was refused for its arguments, which would be so on any machine.
    pub(crate) fn refused_as_invalid(&self, told: &str) -> bool {
        self.0.borrow().invalid.iter().any(|message| told.contains(message.as_str()))
    }

    /// Lets one operation fail, counted from now on; none takes it back. Answers whether the last plan came true.
    pub(crate) fn plan(&self, fault: Option<Fault>) -> bool {
        let mut state = self.0.borrow_mut();
        state.changes = 0;
        std::mem::replace(&mut state.fault, fault).is_none()
    }

    /// Whom to tell of changes.
    pub(crate) fn watch(&self, watcher: Option<Watcher>) {
        self.0.borrow_mut().watcher = watcher;
    }

    /// Takes what DELs went on after, in words.
    pub(crate) fn take_went_on(&self) -> Vec<String> {
        std::mem::take(&mut self.0.borrow_mut().went_on)
    }

    /// A DEL goes on after a failure, which is told with its guest. Digests differ from build to build.
    pub(super) fn goes_on(&self, error: &CniError) {
        let guest = error.details.as_deref().and_then(|details| details.split_once("; guest: "));
        let guest = guest.and_then(|(_, rest)| rest.split_whitespace().next());
        let named = |guest: &&str| !error.msg.starts_with(&format!("{guest}: "));
        let words = match guest.filter(named) {
            Some(guest) => format!("{guest}: {}", error.msg),
            None => error.msg.clone(),
        };
        self.0.borrow_mut().went_on.push(words);
    }

    /// An operation is about to happen; an error is to happen instead.
    fn before(&self, name: &str, changes: bool) -> Result<(), Error> {
        if changes {
            self.tell();
        }
        let mut state = self.0.borrow_mut();
        state.changes += u32::from(changes);
        let now = state.fault.as_ref().is_some_and(|fault| match &fault.at {
            At::Change(number) => changes && *number == state.changes,
            At::Operation(operation) => operation == name,
        });
        match state.fault.take_if(|_| now) {
            Some(Fault { errno, .. }) => {
                let error = std::io::Error::from_raw_os_error(errno);
                Err(Error::from_errno(errno, format!("{error}, as a fault was asked for")))
            }
            None => Ok(()),
        }
    }

    fn after(&self, operation: &'static str, arguments: String, answer: Result<String, &Error>) {
        let mut state = self.0.borrow_mut();
        let answer = answer.map_err(|error| {
            if error.kind == ErrorKind::Invalid {
                state.invalid.push(error.message.clone());
            }
            error.message.clone()
        });
        state.entries.push(Entry { operation, arguments, answer });
        drop(state);
        self.tell();
    }

    fn tell(&self) {
        let mut state = self.0.borrow_mut();
        if let Some(mut watcher) = state.watcher.take() {
            let changes = state.changes;
            drop(state);
            watcher(changes);
            self.0.borrow_mut().watcher = Some(watcher);
        }
    }

    /// The hook of the lease stores.
    pub(crate) fn lease(&self, change: &LeaseChange<'_>, moment: Moment<'_>) -> Result<(), Error> {
        let (operation, arguments) = match change {
            LeaseChange::Asked(op) => {
                let op = Op::Lease((*op).clone());
                (op.operation().name, words::of(&op))
            }
            LeaseChange::GivenBack(address) => ("leases/give-back", format!("address={address}")),
        };
        match moment {
            Moment::Before => {
                self.before(operation, true).inspect_err(|error| self.after(operation, arguments, Err(error)))
            }
            Moment::After(reply) => {
                self.after(operation, arguments, Ok(words::of_reply(reply)));
                Ok(())
            }
        }
    }
}

/// The simulated machine, watched.
pub(super) struct Watched {
    pub(super) sim: Sim,
    pub(super) story: Rc<Story>,
}

impl Machine for Watched {
    fn kernel(&self, host: Netns, container: Option<Netns>) -> Box<dyn Kernel> {
        let kernel = Machine::kernel(&self.sim, host, container);
        Box::new(WatchedKernel { kernel, story: Rc::clone(&self.story) })
    }

    fn own(&self) -> Result<Netns, NetnsError> {
        self.sim.own()
    }

    fn open(&self, path: &std::path::Path) -> Result<Netns, NetnsError> {
        self.sim.open(path)
    }
}

struct WatchedKernel {
    kernel: Box<dyn Kernel>,
    story: Rc<Story>,
}

impl Kernel for WatchedKernel {
    fn apply(&mut self, owner: &Attachment, op: &KernelOp) -> Result<Reply, Error> {
        let operation = op.operation();
        let answer = self
            .story
            .before(operation.name, operation.changes)
            .map_err(|error| error.context(operation.name))
            .and_then(|()| self.kernel.apply(owner, op));
        if operation.changes {
            let made = answer.as_ref().map(words::of_reply);
            self.story.after(operation.name, words::of_kernel(op), made);
        }
        answer
    }

    fn owners(&mut self, network: &str) -> Result<Vec<Attachment>, Error> {
        self.kernel.owners(network)
    }

    fn sweep(&mut self, owner: &Attachment) -> Result<(), Error> {
        let arguments = format!("rules of={}/{}/{}", owner.network, owner.container, owner.ifname);
        let answer = self.story.before("sweep", true).and_then(|()| self.kernel.sweep(owner));
        self.story.after("sweep", arguments, answer.as_ref().map(|()| String::new()));
        answer
    }

    fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.kernel.set_deadline(deadline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_del_went_on_after_names_the_guest_once_and_no_digest() {
        let story = Story::default();
        let details = "fault: guest; guest: g sha256:00; guest says: \"; guest: h sha256:11\"";
        story.goes_on(&CniError::new(100, "I will not").with_details(details));
        story.goes_on(&CniError::new(902, "g: the guest trapped").with_details(details));
        story.goes_on(&CniError::new(999, "no guest's"));
        assert_eq!(story.take_went_on(), ["g: I will not", "g: the guest trapped", "no guest's"]);
        assert!(story.take_went_on().is_empty());
    }

    #[test]
    fn what_was_refused_for_its_arguments_is_known_by_what_is_told() {
        let story = Story::default();
        story.after("nat/forward-ports", String::new(), Err(&Error::invalid("\"foo\" is not known")));
        story.after("nat/forward-ports", String::new(), Err(&Error::not_found("there is no chain")));
        assert!(story.refused_as_invalid("portMappings: \"foo\" is not known"));
        assert!(!story.refused_as_invalid("portMappings: there is no chain"));
        assert_eq!(story.take().len(), 2);
        assert!(!story.refused_as_invalid("portMappings: \"foo\" is not known"));
    }
}
