//! Native builds: where host calls go when a guest is no component.
//!
//! A guest's crate builds for the machine that it is written on, too, so that `cargo test` and a debugger work on it. Its
//! host calls then reach the [`Host`] that the running thread has [entered](enter): the simulated node of the crate
//! `wharf-testkit`, which is what authors use. Without one they fail as `unsupported`. Nothing of this is in a component.
//!
//! The traits here have one method for each function of `wit/`, with the types that are generated from it ([`wit`]).

mod guest;
mod handles;
pub(crate) mod wharf;

use std::cell::RefCell;
use std::rc::Rc;

pub use crate::bindings::imports::wharf as wit;
pub use guest::{Call, Guest, ipam, network};
pub use handles::{Link, Pool, Side, lend};
pub use wharf::firewall::{conntrack::Conntrack, filter::Filter, nat::Nat};
pub use wharf::host::{delegate::Delegate, logging::Logging};
pub use wharf::net::{
    addresses::Addresses, bridge_ports::BridgePorts, links::Links, neighbours::Neighbours, routes::Routes,
    sysctl::Sysctl,
};
pub use wharf::store::leases::Leases;
pub use wharf::tc::shaping::Shaping;

use wit::cni::types::CniError;
use wit::types::errors::{Error, Kind};

/// Answers every host call. Whatever implements the traits of all interfaces is one.
pub trait Host:
    Links
    + BridgePorts
    + Addresses
    + Routes
    + Neighbours
    + Sysctl
    + Nat
    + Filter
    + Conntrack
    + Shaping
    + Leases
    + Logging
    + Delegate
{
}

impl<T> Host for T where
    T: Links
        + BridgePorts
        + Addresses
        + Routes
        + Neighbours
        + Sysctl
        + Nat
        + Filter
        + Conntrack
        + Shaping
        + Leases
        + Logging
        + Delegate
{
}

thread_local! {
    /// The innermost is the one that answers: a delegate runs inside of the call that delegates.
    static ENTERED: RefCell<Vec<Rc<dyn Host>>> = const { RefCell::new(Vec::new()) };
}

/// Does `work`, whose host calls on this thread `host` answers.
pub fn enter<T>(host: Rc<dyn Host>, work: impl FnOnce() -> T) -> T {
    /// Leaves in a panic, too.
    struct Entered;
    impl Drop for Entered {
        fn drop(&mut self) {
            ENTERED.with_borrow_mut(Vec::pop);
        }
    }
    ENTERED.with_borrow_mut(|entered| entered.push(host));
    let _entered = Entered;
    work()
}

/// Who answers the host calls of this thread.
pub(crate) fn current() -> Option<Rc<dyn Host>> {
    ENTERED.with_borrow(|entered| entered.last().cloned())
}

/// What a host call answers where nobody does.
trait Unanswered {
    fn unanswered(operation: &str) -> Self;
}

fn message(operation: &str) -> String {
    format!(
        "{operation} was called outside of a component, and no test kit answers: call the guest by a wharf_testkit::Node"
    )
}

impl<T> Unanswered for Result<T, Error> {
    fn unanswered(operation: &str) -> Self {
        let operation = operation.replace('_', "-");
        Err(Error { kind: Kind::Unsupported, errno: None, message: message(&operation), operation })
    }
}

impl<T> Unanswered for Result<T, CniError> {
    fn unanswered(operation: &str) -> Self {
        Err(CniError { code: crate::code::INTERNAL, msg: message(operation), details: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostErrorKind, delegate, firewall::nat};

    #[test]
    fn without_a_host_a_call_fails_and_says_what_to_use() {
        let error = lend(Side::Host).link("lo").unwrap_err();
        assert_eq!((error.kind, error.operation.as_str()), (HostErrorKind::Unsupported, "links/get"));
        assert!(error.message.contains("wharf_testkit::Node"), "{error}");
        assert_eq!(nat::masquerades().unwrap_err().operation, "nat/get-masquerades");
        let error = delegate::add("host-local", "{}").unwrap_err();
        assert!(error.msg.starts_with("delegate/add"), "{error}");
    }
}
