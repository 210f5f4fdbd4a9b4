//! Policies: guests that see what others are about to do to a pod's network, and allow or deny it.
//!
//! A [`Policy`] reviews each change of an ADD before it is made, and the result before it is told; an [`Admission`] changes
//! configurations before any plugin runs. An operator names them in `/etc/cni/wharf.toml`, for every network of a node, or
//! under `policies` in a network's configuration. What a policy denies fails the ADD with code 901 and is undone; so does a
//! policy that traps, takes too long, or is missing. DEL is never held up.
//!
//! ```
//! use wharf_sdk::firewall::nat::Protocol;
//! use wharf_sdk::policy::{Call, Change, Policy, Verdict};
//!
//! #[derive(Default)]
//! struct NoSctp;
//! impl Policy for NoSctp {
//!     fn review(&mut self, _call: &Call, _guest: &str, change: &Change) -> Verdict {
//!         match change.host_ports().find(|port| port.protocol == Protocol::Sctp) {
//!             Some(port) => wharf_sdk::deny!("SCTP port {} may not be opened", port.host_port),
//!             None => Ok(()),
//!         }
//!     }
//! }
//! wharf_sdk::export_policy!(NoSctp);
//! # fn main() {}
//! ```

#[doc(hidden)]
pub mod bindings;
mod call;
mod change;
mod convert;
mod export;
mod verdict;

use serde_json::Value;

use crate::config::Config;
use crate::result::NetworkResult;

pub use call::{Call, Pod};
pub use change::{Change, LinkName, NewLink, Side};
#[doc(hidden)]
pub use export::{AdmissionAdapter, Held, PolicyAdapter, State};
pub use verdict::{Denial, Verdict};

/// Allows or denies what an ADD does.
///
/// One value serves one ADD from [`begin`](Policy::begin) to [`review_result`](Policy::review_result) and is thrown away
/// then; what it keeps in between is its own. Everything but [`review`](Policy::review) has a default.
///
/// ```
/// use wharf_sdk::policy::{Call, Change, Policy, Verdict};
/// use wharf_sdk::{Attachment, NetworkResult, deny};
///
/// /// A pod must not get through without a limit on its bandwidth.
/// #[derive(Default)]
/// struct Limited(bool);
/// impl Policy for Limited {
///     fn review(&mut self, _: &Call, _: &str, change: &Change) -> Verdict {
///         self.0 |= matches!(change, Change::ShapingSetEgress { .. });
///         Ok(())
///     }
///     fn review_result(&mut self, _: &Call, _: &NetworkResult) -> Verdict {
///         if self.0 { Ok(()) } else { deny!("no limit on its bandwidth") }
///     }
/// }
///
/// let attachment = Attachment { network: "pods".into(), container: "c1".into(), ifname: "eth0".into() };
/// let denial = Limited::default().review_result(&Call::new(attachment), &NetworkResult::default()).unwrap_err();
/// assert_eq!(denial.reason(), "no limit on its bandwidth");
/// ```
pub trait Policy: Default {
    /// Comes first, before anything is changed.
    fn begin(&mut self, _call: &Call) -> Verdict {
        Ok(())
    }

    /// One change that `guest` is about to make, and that its grant allows.
    fn review(&mut self, call: &Call, guest: &str, change: &Change) -> Verdict;

    /// A change that came into Wharf after this SDK, so that [`Change`] has no case for it; `operation` is its name,
    /// `links/create-vxlan` for one. Denied by default: what a policy cannot see it should not allow.
    fn review_unknown(&mut self, _call: &Call, _guest: &str, operation: &str) -> Verdict {
        crate::deny!(
            "{operation} is newer than this policy, which cannot judge it: rebuild the policy with a newer wharf-sdk"
        )
    }

    /// Comes last: what the ADD is about to answer, all changes being made.
    fn review_result(&mut self, _call: &Call, _result: &NetworkResult) -> Verdict {
        Ok(())
    }
}

/// Changes the configurations of an ADD's plugins before any of them runs.
///
/// What it changes is written into the attachment's journal under its name (`wharfctl journal show`), and holds for CHECK
/// and DEL too.
///
/// ```
/// use serde_json::{Value, json};
/// use wharf_sdk::policy::{Admission, Call, Denial};
/// use wharf_sdk::{Attachment, Config};
///
/// /// Pods labelled `jumbo` get large packets.
/// struct Jumbo;
/// impl Admission for Jumbo {
///     fn admit(call: &Call, plugin: &str, _config: &Config) -> Result<Option<Value>, Denial> {
///         let jumbo = plugin == "bridge" && call.label("jumbo").is_some();
///         Ok(jumbo.then(|| json!({"mtu": 9000})))
///     }
/// }
/// wharf_sdk::export_admission!(Jumbo);
///
/// # fn main() -> Result<(), Denial> {
/// let attachment = Attachment { network: "pods".into(), container: "c1".into(), ifname: "eth0".into() };
/// let call = Call::new(attachment).with_label("jumbo", "yes");
/// assert_eq!(Jumbo::admit(&call, "bridge", &Config::new("{}"))?, Some(json!({"mtu": 9000})));
/// assert_eq!(Jumbo::admit(&call, "portmap", &Config::new("{}"))?, None);
/// # Ok(())
/// # }
/// ```
pub trait Admission {
    /// Called once for each plugin that this process runs, in order, with what policies before this one changed. Answers a
    /// JSON merge patch (RFC 7396), nothing if the configuration is to stay as it is, or why there is to be no ADD. The keys
    /// `name`, `type`, `cniVersion`, `prevResult`, `policies`, `capabilities` and `cni.dev/*` cannot be changed.
    fn admit(call: &Call, plugin: &str, config: &Config) -> Result<Option<Value>, Denial>;
}
